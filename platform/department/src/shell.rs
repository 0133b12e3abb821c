//! The department over HTTP: routes and faults. All decisions are made in the ledger.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::faults::{DepartmentFault, DepartmentFaultQueue, DepartmentFaultRequest};
use crate::ledger::{BillLedger, BillLedgerError, BillPayment, BillsRequest};

struct DepartmentState {
    ledger: Mutex<BillLedger>,
    faults: Mutex<DepartmentFaultQueue>,
}

/// Serves until `stop` is ready and the running requests are answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    books: BillLedger,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let department = Arc::new(DepartmentState { ledger: Mutex::new(books), faults: Mutex::default() });
    let router = Router::new()
        .route("/bills", post(bills))
        .route("/payments", post(payment).get(bookings))
        .route("/faults", post(inject_fault).delete(clear_faults))
        .with_state(department);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn bills(
    State(department): State<Arc<DepartmentState>>,
    Json(request): Json<BillsRequest>,
) -> Response {
    answer_in_task(department, move |books| Ok(Json(books.open_bills(&request)?).into_response())).await
}

async fn payment(
    State(department): State<Arc<DepartmentState>>,
    Json(payment): Json<BillPayment>,
) -> Response {
    answer_in_task(department, move |books| {
        books.book(&payment)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

async fn bookings(State(department): State<Arc<DepartmentState>>) -> Response {
    match lock(&department.ledger).bookings() {
        Ok(bookings) => Json(bookings).into_response(),
        Err(error) => error_response(&error),
    }
}

async fn inject_fault(
    State(department): State<Arc<DepartmentState>>,
    Json(order): Json<DepartmentFaultRequest>,
) -> StatusCode {
    tracing::info!(?order, "fault injection requested");
    lock(&department.faults).push(order);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(department): State<Arc<DepartmentState>>) -> StatusCode {
    lock(&department.faults).clear();
    StatusCode::NO_CONTENT
}

/// Executes a request in a task of its own: as with a real system, a client that disconnects does not cancel it.
async fn answer_in_task(
    department: Arc<DepartmentState>,
    work: impl FnOnce(&mut BillLedger) -> Result<Response, BillLedgerError> + Send + 'static,
) -> Response {
    let task = tokio::spawn(async move {
        let fault = lock(&department.faults).pop();
        match fault {
            Some(DepartmentFault::DropBefore) => return abort_connection(),
            Some(DepartmentFault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Some(DepartmentFault::DropAfter | DepartmentFault::InvalidResponse) | None => {}
        }
        let outcome = work(&mut lock(&department.ledger));
        match (fault, outcome) {
            (Some(DepartmentFault::DropAfter), _) => abort_connection(),
            (Some(DepartmentFault::InvalidResponse), _) => {
                (StatusCode::OK, "<html>系统繁忙</html>").into_response()
            }
            (_, Ok(response)) => response,
            (_, Err(error)) => error_response(&error),
        }
    });
    task.await.unwrap_or_else(|_| abort_connection())
}

fn error_response(error: &BillLedgerError) -> Response {
    let status = match error {
        BillLedgerError::Conflict => StatusCode::CONFLICT,
        BillLedgerError::Store(cause) => {
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

/// Ignores poisoning: the data is a database and a list of faults, and both are consistent after any panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
