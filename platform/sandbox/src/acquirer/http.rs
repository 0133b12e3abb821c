//! The acquirer over HTTP. All decisions are made in the ledger.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};

use super::ledger::{AcquirerChargeRequest, ChargeLedger, ChargeLedgerError, PaidOrdersRequest};
use crate::shell::{Domain, DomainState, now_ms};

type AcquirerState = Arc<DomainState<ChargeLedger>>;

impl Domain for ChargeLedger {
    type Error = ChargeLedgerError;

    const DECIDES: bool = true;

    fn status(error: &ChargeLedgerError) -> StatusCode {
        match error {
            ChargeLedgerError::Malformed => StatusCode::BAD_REQUEST,
            ChargeLedgerError::Conflict => StatusCode::CONFLICT,
            ChargeLedgerError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The acquirer's routes over this ledger.
pub fn router(ledger: ChargeLedger) -> Router {
    let routes = Router::new()
        .route("/charges", post(charge).get(entries))
        .route("/charges/list", post(paid_orders))
        .route("/charges/{order}/inquire", post(inquire));
    DomainState::router(ledger, routes)
}

async fn charge(
    State(acquirer): State<AcquirerState>,
    Json(charge): Json<AcquirerChargeRequest>,
) -> Response {
    acquirer
        .decide(move |ledger, accept| Ok(Json(ledger.charge(&charge, accept, now_ms())?).into_response()))
        .await
}

async fn inquire(State(acquirer): State<AcquirerState>, Path(order): Path<String>) -> Response {
    acquirer.answer(move |ledger| Ok(Json(ledger.inquire(&order, now_ms())?).into_response())).await
}

async fn paid_orders(
    State(acquirer): State<AcquirerState>,
    Json(request): Json<PaidOrdersRequest>,
) -> Response {
    acquirer.answer(move |ledger| Ok(Json(ledger.paid_orders(&request)?).into_response())).await
}

async fn entries(State(acquirer): State<AcquirerState>) -> Response {
    acquirer.audit(ChargeLedger::entries)
}
