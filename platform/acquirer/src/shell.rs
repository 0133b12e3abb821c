//! The acquirer over HTTP: routes, clock, faults. All decisions are made in the ledger.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::faults::{Fault, FaultOrder, Faults, Request};
use crate::ledger::{Answer, Charge, Ledger, LedgerError};

struct Acquirer {
    ledger: Mutex<Ledger>,
    faults: Mutex<Faults>,
}

/// Serves until `stop` is ready and the running requests are answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    ledger: Ledger,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let acquirer = Arc::new(Acquirer { ledger: Mutex::new(ledger), faults: Mutex::default() });
    let router = Router::new()
        .route("/charges", post(charge).get(entries))
        .route("/charges/{order}/inquire", post(inquire))
        .route("/faults", post(order_fault).delete(clear_faults))
        .with_state(acquirer);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn charge(State(acquirer): State<Arc<Acquirer>>, Json(charge): Json<Charge>) -> Response {
    answer(acquirer, Request::Charge, move |ledger, accept| ledger.charge(&charge, accept, now_ms())).await
}

async fn inquire(State(acquirer): State<Arc<Acquirer>>, Path(order): Path<String>) -> Response {
    answer(acquirer, Request::Inquiry, move |ledger, _| ledger.inquire(&order, now_ms())).await
}

async fn entries(State(acquirer): State<Arc<Acquirer>>) -> Response {
    match locked(&acquirer.ledger).entries() {
        Ok(entries) => Json(entries).into_response(),
        Err(error) => refused(&error),
    }
}

async fn order_fault(State(acquirer): State<Arc<Acquirer>>, Json(order): Json<FaultOrder>) -> StatusCode {
    tracing::info!(?order, "fault injection requested");
    locked(&acquirer.faults).order(order);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(acquirer): State<Arc<Acquirer>>) -> StatusCode {
    locked(&acquirer.faults).clear();
    StatusCode::NO_CONTENT
}

/// Executes a request in a task of its own: as with a real acquirer, a client that disconnects does not cancel it.
async fn answer(
    acquirer: Arc<Acquirer>,
    request: Request,
    work: impl FnOnce(&mut Ledger, bool) -> Result<Answer, LedgerError> + Send + 'static,
) -> Response {
    let task = tokio::spawn(async move {
        let fault = locked(&acquirer.faults).next(request);
        match fault {
            Some(Fault::DropBefore) => return hang_up(),
            Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Some(Fault::DropAfter | Fault::Decline | Fault::Nonsense) | None => {}
        }
        let outcome = work(&mut locked(&acquirer.ledger), fault != Some(Fault::Decline));
        match (fault, outcome) {
            (Some(Fault::DropAfter), _) => hang_up(),
            (Some(Fault::Nonsense), _) => (StatusCode::OK, "<html>系统繁忙</html>").into_response(),
            (_, Ok(answer)) => Json(answer).into_response(),
            (_, Err(error)) => refused(&error),
        }
    });
    task.await.unwrap_or_else(|_| hang_up())
}

fn refused(error: &LedgerError) -> Response {
    let status = match error {
        LedgerError::Malformed => StatusCode::BAD_REQUEST,
        LedgerError::Conflict => StatusCode::CONFLICT,
        LedgerError::Store(cause) => {
            tracing::error!(%cause, "{error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    (status, error.to_string()).into_response()
}

/// Closes the connection without a byte of an answer: the response head is not sent before the body, which fails at
/// once.
fn hang_up() -> Response {
    struct AbortedBody;
    impl http_body::Body for AbortedBody {
        type Data = Bytes;
        type Error = io::Error;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
            Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
        }
    }
    Response::new(Body::new(AbortedBody))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Ignores poisoning: the data is a database and a list of faults, and both are consistent after any panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
