//! The identity service over HTTP, and the page on which a person is verified.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use super::register::{CredentialQuery, CredentialState, PersonIdentity, RedeemRequest, Register};
use crate::shell::{lock, now_ms};

/// The page sends requests to this service only, and cannot be shown in a frame.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                              connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct IdentityState {
    register: Mutex<Register>,
    page: String,
}

/// The service's routes over this register. A verified person is redirected only to URLs that begin with `returns_to`,
/// because the holder of a ticket can act as the person.
pub fn router(register: Register, returns_to: &str) -> Router {
    // The value goes into a JavaScript string: characters that could end the string are removed; a URL needs none.
    let safe: String = returns_to.chars().filter(|c| !matches!(c, '"' | '\\' | '<' | '\n')).collect();
    let page = include_str!("page.html").replace("{{returns_to}}", &safe);
    let service = Arc::new(IdentityState { register: Mutex::new(register), page });
    Router::new()
        .route("/check", get(check))
        .route("/names", post(names))
        .route("/tickets", post(tickets))
        .route("/tickets/redeem", post(redeem))
        .route("/credentials", post(credentials))
        .route("/credentials/end", post(end))
        .with_state(service)
}

async fn check(State(service): State<Arc<IdentityState>>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, service.page.clone()).into_response()
}

async fn names(State(service): State<Arc<IdentityState>>, Json(claim): Json<PersonIdentity>) -> Response {
    #[derive(Serialize)]
    struct Matched {
        r#match: bool,
    }
    Json(Matched { r#match: lock(&service.register).matches(&claim) }).into_response()
}

async fn tickets(State(service): State<Arc<IdentityState>>, Json(claim): Json<PersonIdentity>) -> Response {
    #[derive(Serialize)]
    struct IdentityTicket {
        ticket: String,
    }
    let Some(fresh) = random_token() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match lock(&service.register).issue_ticket(claim, fresh, now_ms()) {
        Some(ticket) => Json(IdentityTicket { ticket }).into_response(),
        None => StatusCode::FORBIDDEN.into_response(),
    }
}

async fn redeem(State(service): State<Arc<IdentityState>>, Json(request): Json<RedeemRequest>) -> Response {
    let Some(fresh) = random_token() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match lock(&service.register).redeem(&request, fresh, now_ms()) {
        Some(seen) => Json(seen).into_response(),
        None => StatusCode::GONE.into_response(),
    }
}

async fn credentials(
    State(service): State<Arc<IdentityState>>,
    Json(credential): Json<CredentialQuery>,
) -> Response {
    #[derive(Serialize)]
    struct CredentialAnswer {
        standing: CredentialState,
    }
    Json(CredentialAnswer { standing: lock(&service.register).credential_state(&credential) }).into_response()
}

async fn end(State(service): State<Arc<IdentityState>>, Json(claim): Json<PersonIdentity>) -> StatusCode {
    lock(&service.register).end_credentials(&claim);
    StatusCode::NO_CONTENT
}

/// 128 fresh random bits, hexadecimal.
fn random_token() -> Option<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).ok()?;
    Some(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
