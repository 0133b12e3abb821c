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

use crate::books::{BillsRequest, Books, BooksError, Payment};
use crate::faults::{Fault, FaultOrder, Faults};

struct Department {
    books: Mutex<Books>,
    faults: Mutex<Faults>,
}

/// Serves until `stop` is ready and the running requests are answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    books: Books,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let department = Arc::new(Department { books: Mutex::new(books), faults: Mutex::default() });
    let router = Router::new()
        .route("/bills", post(bills))
        .route("/payments", post(payment).get(bookings))
        .route("/faults", post(order_fault).delete(clear_faults))
        .with_state(department);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn bills(State(department): State<Arc<Department>>, Json(request): Json<BillsRequest>) -> Response {
    answer(department, move |books| Ok(Json(books.open_bills(&request)?).into_response())).await
}

async fn payment(State(department): State<Arc<Department>>, Json(payment): Json<Payment>) -> Response {
    answer(department, move |books| {
        books.book(&payment)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

async fn bookings(State(department): State<Arc<Department>>) -> Response {
    match locked(&department.books).bookings() {
        Ok(bookings) => Json(bookings).into_response(),
        Err(error) => refused(&error),
    }
}

async fn order_fault(State(department): State<Arc<Department>>, Json(order): Json<FaultOrder>) -> StatusCode {
    tracing::info!(?order, "fault injection requested");
    locked(&department.faults).order(order);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(department): State<Arc<Department>>) -> StatusCode {
    locked(&department.faults).clear();
    StatusCode::NO_CONTENT
}

/// Executes a request in a task of its own: as with a real system, a client that disconnects does not cancel it.
async fn answer(
    department: Arc<Department>,
    work: impl FnOnce(&mut Books) -> Result<Response, BooksError> + Send + 'static,
) -> Response {
    let task = tokio::spawn(async move {
        let fault = locked(&department.faults).next();
        match fault {
            Some(Fault::DropBefore) => return hang_up(),
            Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Some(Fault::DropAfter | Fault::Nonsense) | None => {}
        }
        let outcome = work(&mut locked(&department.books));
        match (fault, outcome) {
            (Some(Fault::DropAfter), _) => hang_up(),
            (Some(Fault::Nonsense), _) => (StatusCode::OK, "<html>系统繁忙</html>").into_response(),
            (_, Ok(response)) => response,
            (_, Err(error)) => refused(&error),
        }
    });
    task.await.unwrap_or_else(|_| hang_up())
}

fn refused(error: &BooksError) -> Response {
    let status = match error {
        BooksError::Conflict => StatusCode::CONFLICT,
        BooksError::Store(cause) => {
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

/// Ignores poisoning: the data is a database and a list of faults, and both are consistent after any panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
