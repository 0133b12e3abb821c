//! A sandbox business system: the water department, which owns its bills.
//!
//! The sandbox stands for one of the many systems of a city's departments, so it is a process of its own with
//! its own database and shares no code with the platform: they share only the HTTP interface.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | `POST /bills` | [`BillsRequest`] | the open [`Bill`]s of that person |
//! | `POST /payments` | [`BillPayment`] | 204, also when repeated; 409 when a bill is paid by another order or has another amount |
//! | `GET /payments` | – | every [`Booking`], for an auditor |
//! | `POST /faults` | [`DepartmentFaultRequest`] | 204; the next requests fail in this way |
//! | `DELETE /faults` | – | 204; removes all requested faults |
//!
//! A person is named in the body, never in the path, so that no identity number gets into an access log.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod faults;
mod ledger;
mod seed;
pub mod shell;

pub use faults::{DepartmentFault, DepartmentFaultRequest};
pub use ledger::{Bill, BillLedger, BillLedgerError, BillPayment, BillsRequest, Booking, PaidBill};
pub use seed::{BillSeedError, parse_bills};
