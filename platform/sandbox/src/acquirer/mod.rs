//! A sandbox acquirer: the institution that charges money for the platform.
//!
//! The sandbox stands for a system of a bank or a card network. It charges each order once, fences an order on inquiry,
//! and fails on request.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | `POST /charges` | [`AcquirerChargeRequest`] | [`ChargeAnswer`]; 409 when the order is known with other content |
//! | `POST /charges/{order}/inquire` | – | [`LedgerEntry`]; an order never seen becomes void permanently |
//! | `POST /charges/list` | [`PaidOrdersRequest`] | [`PaidOrders`]: the paid orders since a time, in pages |
//! | `GET /charges` | – | every [`LedgerEntry`], for an auditor |
//! | `POST /faults` | [`FaultRequest`](crate::shell::FaultRequest) | 204; the next requests fail in this way |
//! | `DELETE /faults` | – | 204; removes all requested faults |
//!
//! The sandbox moves no money and knows no person: an account is an opaque reference.

mod http;
mod ledger;

pub use http::router;
pub use ledger::{
    AcquirerChargeRequest, ChargeAnswer, ChargeLedger, ChargeLedgerError, LedgerEntry, OrderOutcome,
    PaidOrders, PaidOrdersRequest,
};
