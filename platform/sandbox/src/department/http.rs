//! The department over HTTP. All decisions are made in the ledger.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};

use super::bills::{BillLedger, BillLedgerError, BillPayment, BillsRequest};
use crate::shell::{Domain, DomainState};

type DepartmentState = Arc<DomainState<BillLedger>>;

impl Domain for BillLedger {
    type Error = BillLedgerError;

    const DECIDES: bool = false;

    fn status(error: &BillLedgerError) -> StatusCode {
        match error {
            BillLedgerError::Conflict => StatusCode::CONFLICT,
            BillLedgerError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The department's routes over this ledger.
pub fn router(ledger: BillLedger) -> Router {
    let routes = Router::new().route("/bills", post(bills)).route("/payments", post(payment).get(bookings));
    DomainState::router(ledger, routes)
}

async fn bills(State(department): State<DepartmentState>, Json(request): Json<BillsRequest>) -> Response {
    department.answer(move |ledger| Ok(Json(ledger.open_bills(&request)?).into_response())).await
}

async fn payment(State(department): State<DepartmentState>, Json(payment): Json<BillPayment>) -> Response {
    department
        .answer(move |ledger| {
            ledger.book(&payment)?;
            Ok(StatusCode::NO_CONTENT.into_response())
        })
        .await
}

async fn bookings(State(department): State<DepartmentState>) -> Response {
    department.audit(BillLedger::bookings)
}
