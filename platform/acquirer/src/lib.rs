//! A sandbox acquirer: the side of the payment channel that the platform talks to.
//!
//! It stands for a bank's or network's own system, so it is a process of its own with its own database
//! and shares no code with the platform: what they agree on is the wire alone.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | `POST /charges` | [`Charge`] | [`Answer`]; 409 when the order is known with another body |
//! | `POST /charges/{order}/inquire` | – | [`Answer`]; an order never seen becomes void for ever |
//! | `GET /charges` | – | every [`Entry`], for an auditor |
//! | `POST /faults` | [`FaultOrder`] | 204; the next requests fail so |
//! | `DELETE /faults` | – | 204; no more faults |
//!
//! No money moves and no person is known here: an account is an opaque reference.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod faults;
mod ledger;
pub mod shell;

pub use faults::{Fault, FaultOrder};
pub use ledger::{Answer, Charge, Entry, Ledger, LedgerError, Outcome};
