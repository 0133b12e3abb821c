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

use crate::faults::{AcquirerFault, AcquirerFaultQueue, AcquirerFaultRequest, AcquirerRequestKind};
use crate::ledger::{AcquirerChargeRequest, ChargeAnswer, ChargeLedger, ChargeLedgerError};

struct AcquirerState {
    ledger: Mutex<ChargeLedger>,
    faults: Mutex<AcquirerFaultQueue>,
}

/// Serves until `stop` is ready and the running requests are answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    ledger: ChargeLedger,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let acquirer = Arc::new(AcquirerState { ledger: Mutex::new(ledger), faults: Mutex::default() });
    let router = Router::new()
        .route("/charges", post(charge).get(entries))
        .route("/charges/{order}/inquire", post(inquire))
        .route("/faults", post(inject_fault).delete(clear_faults))
        .with_state(acquirer);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn charge(
    State(acquirer): State<Arc<AcquirerState>>,
    Json(charge): Json<AcquirerChargeRequest>,
) -> Response {
    answer_in_task(acquirer, AcquirerRequestKind::Charge, move |ledger, accept| {
        ledger.charge(&charge, accept, now_ms())
    })
    .await
}

async fn inquire(State(acquirer): State<Arc<AcquirerState>>, Path(order): Path<String>) -> Response {
    answer_in_task(acquirer, AcquirerRequestKind::Inquiry, move |ledger, _| ledger.inquire(&order, now_ms()))
        .await
}

async fn entries(State(acquirer): State<Arc<AcquirerState>>) -> Response {
    match lock(&acquirer.ledger).entries() {
        Ok(entries) => Json(entries).into_response(),
        Err(error) => error_response(&error),
    }
}

async fn inject_fault(
    State(acquirer): State<Arc<AcquirerState>>,
    Json(order): Json<AcquirerFaultRequest>,
) -> StatusCode {
    tracing::info!(?order, "fault injection requested");
    lock(&acquirer.faults).push(order);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(acquirer): State<Arc<AcquirerState>>) -> StatusCode {
    lock(&acquirer.faults).clear();
    StatusCode::NO_CONTENT
}

/// Executes a request in a task of its own: as with a real acquirer, a client that disconnects does not cancel it.
async fn answer_in_task(
    acquirer: Arc<AcquirerState>,
    request: AcquirerRequestKind,
    work: impl FnOnce(&mut ChargeLedger, bool) -> Result<ChargeAnswer, ChargeLedgerError> + Send + 'static,
) -> Response {
    let task = tokio::spawn(async move {
        let fault = lock(&acquirer.faults).next_for(request);
        match fault {
            Some(AcquirerFault::DropBefore) => return abort_connection(),
            Some(AcquirerFault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Some(AcquirerFault::DropAfter | AcquirerFault::Decline | AcquirerFault::InvalidResponse)
            | None => {}
        }
        let outcome = work(&mut lock(&acquirer.ledger), fault != Some(AcquirerFault::Decline));
        match (fault, outcome) {
            (Some(AcquirerFault::DropAfter), _) => abort_connection(),
            (Some(AcquirerFault::InvalidResponse), _) => {
                (StatusCode::OK, "<html>系统繁忙</html>").into_response()
            }
            (_, Ok(answer)) => Json(answer).into_response(),
            (_, Err(error)) => error_response(&error),
        }
    });
    task.await.unwrap_or_else(|_| abort_connection())
}

fn error_response(error: &ChargeLedgerError) -> Response {
    let status = match error {
        ChargeLedgerError::Malformed => StatusCode::BAD_REQUEST,
        ChargeLedgerError::Conflict => StatusCode::CONFLICT,
        ChargeLedgerError::Store(cause) => {
            tracing::error!(%cause, "{error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    (status, error.to_string()).into_response()
}

/// Closes the connection without a byte of an answer: the response head is not sent before the body, which fails at
/// once.
fn abort_connection() -> Response {
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
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
