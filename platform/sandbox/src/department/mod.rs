//! A sandbox business system: the water department, which owns its bills.
//!
//! The sandbox stands for one of the many systems of a city's departments. It books each payment once, and fails on
//! request.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | `POST /bills` | [`BillsRequest`] | the open [`Bill`]s of that person |
//! | `POST /payments` | [`BillPayment`] | 204, also when repeated; 409 when a bill is paid by another order or has another amount |
//! | `GET /payments` | – | every [`Booking`], for an auditor |
//! | `POST /faults` | [`FaultRequest`](crate::shell::FaultRequest), not `decline` | 204; the next requests fail in this way |
//! | `DELETE /faults` | – | 204; removes all requested faults |
//!
//! A person is named in the body, never in the path, so that no identity number gets into an access log.

mod bills;
mod http;
mod seed;

pub use bills::{Bill, BillLedger, BillLedgerError, BillPayment, BillsRequest, Booking, PaidBill};
pub use http::router;
pub use seed::parse_bills;
