//! The departments over HTTP, each below its own path. All decisions are made in [`Departments`].

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::departments::{Answering, Departments, DepartmentsError, SignedAnswer, SignedRequest};
use crate::shell::{Domain, DomainState, lock, now_ms};

/// Most bytes of a request that an adapter has to accept: 1 MiB.
const MAX_BODY: usize = 1024 * 1024;

type Shared = Arc<Mutex<Departments>>;
type DepartmentState = Arc<DomainState<Department>>;

/// One department, whose faults are its own.
struct Department {
    id: String,
    all: Shared,
}

impl Domain for Department {
    type Error = DepartmentsError;

    const DECIDES: bool = false;

    fn status(error: &DepartmentsError) -> StatusCode {
        match error {
            DepartmentsError::NoDepartment(_) => StatusCode::NOT_FOUND,
            DepartmentsError::Store(_) | DepartmentsError::NoKey(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The routes of all departments.
pub fn router(departments: Departments) -> Router {
    let ids: Vec<String> = departments.ids().map(str::to_owned).collect();
    let all: Shared = Arc::new(Mutex::new(departments));
    let auditor = Router::new()
        .route("/payments", get(all_bookings))
        .route("/bills/{resident}", get(open_bills))
        .with_state(Arc::clone(&all));
    ids.into_iter().fold(auditor, |router, id| {
        let path = format!("/{id}");
        let routes = Router::new()
            .route("/payments", get(bookings).fallback(exchange))
            .fallback(exchange)
            .layer(DefaultBodyLimit::max(MAX_BODY));
        router.nest(&path, DomainState::router(Department { id, all: Arc::clone(&all) }, routes))
    })
}

async fn exchange(
    State(department): State<DepartmentState>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header =
        |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let request = SignedRequest {
        method: method.as_str().to_owned(),
        target: uri.path_and_query().map_or_else(String::new, ToString::to_string),
        platform: header("x-device"),
        time: header("x-time"),
        signature: header("x-signature"),
        body: body.into(),
    };
    department
        .answer_or_nonsense(move |department, nonsense| {
            let answering = if nonsense { Answering::Nonsense } else { Answering::Normal };
            let answer = lock(&department.all).handle_as(&department.id, &request, now_ms(), answering)?;
            Ok(respond(answer))
        })
        .await
}

fn respond(answer: SignedAnswer) -> Response {
    let response = Response::builder()
        .status(answer.status)
        .header("x-time", answer.time_ms)
        .header("x-signature", answer.signature);
    let response =
        if answer.body.is_empty() { response } else { response.header("content-type", "application/json") };
    response
        .body(Body::from(answer.body))
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn bookings(State(department): State<DepartmentState>) -> Response {
    department.audit(|department| {
        let all = lock(&department.all).bookings()?;
        Ok(all.into_iter().filter(|booking| booking.department == department.id).collect::<Vec<_>>())
    })
}

async fn all_bookings(State(all): State<Shared>) -> Response {
    audit(lock(&all).bookings())
}

async fn open_bills(State(all): State<Shared>, Path(resident): Path<String>) -> Response {
    audit(lock(&all).open_bills(&resident, now_ms()))
}

fn audit<T: serde::Serialize>(read: Result<T, DepartmentsError>) -> Response {
    match read {
        Ok(rows) => axum::Json(rows).into_response(),
        Err(error) => {
            tracing::error!("{error}");
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}
