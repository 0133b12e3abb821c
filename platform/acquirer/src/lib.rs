//! A sandbox acquirer: the institution that charges money for the platform.
//!
//! The sandbox stands for a system of a bank or a card network, so it is a process of its own with its own
//! database and shares no code with the platform: they share only the HTTP interface.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | `POST /charges` | [`AcquirerChargeRequest`] | [`ChargeAnswer`]; 409 when the order is known with other content |
//! | `POST /charges/{order}/inquire` | – | [`ChargeAnswer`]; an order never seen becomes void permanently |
//! | `GET /charges` | – | every [`LedgerEntry`], for an auditor |
//! | `POST /faults` | [`AcquirerFaultRequest`] | 204; the next requests fail in this way |
//! | `DELETE /faults` | – | 204; removes all requested faults |
//!
//! The sandbox moves no money and knows no person: an account is an opaque reference.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod faults;
mod ledger;
pub mod shell;

pub use faults::{AcquirerFault, AcquirerFaultRequest};
pub use ledger::{
    AcquirerChargeRequest, ChargeAnswer, ChargeLedger, ChargeLedgerError, LedgerEntry, OrderOutcome,
};
