//! A domain behind HTTP: its requests run one after the other, each with the fault that a test requested for it.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;

use super::abort::abort_connection;
use super::faults::{Fault, FaultQueue, FaultRequest, RequestKind};

/// What the shell has to know of a sandbox in which faults can be injected.
pub(crate) trait Domain: Send + 'static {
    /// Why the domain refuses a request. Its text is the answer's body.
    type Error: Error;

    /// Whether some requests ask for a decision, so that [`Fault::Decline`] can be injected.
    const DECIDES: bool;

    /// The HTTP status of an error.
    fn status(error: &Self::Error) -> StatusCode;
}

/// A domain and the faults requested for it.
pub(crate) struct DomainState<D> {
    domain: Mutex<D>,
    faults: Mutex<FaultQueue>,
}

impl<D: Domain> DomainState<D> {
    /// The router of a domain: its own routes, and `/faults`.
    pub(crate) fn router(domain: D, routes: Router<Arc<Self>>) -> Router {
        let state = Arc::new(Self { domain: Mutex::new(domain), faults: Mutex::default() });
        routes.route("/faults", post(inject_fault).delete(clear_faults)).with_state(state)
    }

    /// Answers a request that asks for a decision. The argument of `work` says whether the domain may accept; if not, it declines.
    pub(crate) async fn decide(
        self: Arc<Self>,
        work: impl FnOnce(&mut D, bool) -> Result<Response, D::Error> + Send + 'static,
    ) -> Response {
        self.execute(
            RequestKind::Decision,
            |domain, fault| work(domain, fault != Some(Fault::Decline)),
            false,
        )
        .await
    }

    /// Answers a request of a domain that makes its own nonsense for [`Fault::InvalidResponse`]: the argument of `work`
    /// says whether it has to.
    pub(crate) async fn answer_or_nonsense(
        self: Arc<Self>,
        work: impl FnOnce(&mut D, bool) -> Result<Response, D::Error> + Send + 'static,
    ) -> Response {
        self.execute(
            RequestKind::Plain,
            |domain, fault| work(domain, fault == Some(Fault::InvalidResponse)),
            true,
        )
        .await
    }

    /// Answers any other request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        work: impl FnOnce(&mut D) -> Result<Response, D::Error> + Send + 'static,
    ) -> Response {
        self.execute(RequestKind::Plain, |domain, _| work(domain), false).await
    }

    /// Answers an auditor, without faults.
    pub(crate) fn audit<T: Serialize>(&self, read: impl FnOnce(&D) -> Result<T, D::Error>) -> Response {
        match read(&lock(&self.domain)) {
            Ok(rows) => Json(rows).into_response(),
            Err(error) => error_response::<D>(&error),
        }
    }

    /// Executes a request in a task of its own: as with a real system, a client that disconnects does not cancel it.
    async fn execute(
        self: Arc<Self>,
        kind: RequestKind,
        work: impl FnOnce(&mut D, Option<Fault>) -> Result<Response, D::Error> + Send + 'static,
        makes_nonsense: bool,
    ) -> Response {
        let task = tokio::spawn(async move {
            let fault = lock(&self.faults).next_for(kind);
            match fault {
                Some(Fault::DropBefore) => return abort_connection(),
                Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Some(Fault::DropAfter | Fault::Decline | Fault::InvalidResponse) | None => {}
            }
            let outcome = work(&mut lock(&self.domain), fault);
            match (fault, outcome) {
                (Some(Fault::DropAfter), _) => abort_connection(),
                (Some(Fault::InvalidResponse), _) if !makes_nonsense => {
                    (StatusCode::OK, "<html>系统繁忙</html>").into_response()
                }
                (_, Ok(response)) => response,
                (_, Err(error)) => error_response::<D>(&error),
            }
        });
        task.await.unwrap_or_else(|_| abort_connection())
    }
}

async fn inject_fault<D: Domain>(
    State(state): State<Arc<DomainState<D>>>,
    Json(request): Json<FaultRequest>,
) -> Response {
    if request.fault == Fault::Decline && !D::DECIDES {
        return (StatusCode::UNPROCESSABLE_ENTITY, "no request of this sandbox can be declined")
            .into_response();
    }
    tracing::info!(?request, "fault injection requested");
    lock(&state.faults).push(request);
    StatusCode::NO_CONTENT.into_response()
}

async fn clear_faults<D: Domain>(State(state): State<Arc<DomainState<D>>>) -> StatusCode {
    lock(&state.faults).clear();
    StatusCode::NO_CONTENT
}

fn error_response<D: Domain>(error: &D::Error) -> Response {
    let status = D::status(error);
    if status.is_server_error() {
        tracing::error!(cause = error.source().map(tracing::field::display), "{error}");
    }
    (status, error.to_string()).into_response()
}

/// Ignores poisoning: a database, a list of faults, a set and maps are all consistent after any panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
