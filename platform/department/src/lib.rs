//! A sandbox business system: the water department, which owns its bills.
//!
//! It stands for one of the many systems of a city's departments, so it is a process of its own with
//! its own database and shares no code with the platform: what they agree on is the wire alone.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | `POST /bills` | [`BillsRequest`] | the open [`Bill`]s of that person |
//! | `POST /payments` | [`Payment`] | 204, once or many times; 409 when a bill is paid by another order or is not as paid |
//! | `GET /payments` | – | every [`Booking`], for an auditor |
//! | `POST /faults` | [`FaultOrder`] | 204; the next requests fail so |
//! | `DELETE /faults` | – | 204; no more faults |
//!
//! Who asks is named in a body, never in a path, so that no identity number gets into an access log.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod books;
mod faults;
mod seed;
pub mod shell;

pub use books::{Bill, BillsRequest, Booking, Books, BooksError, PaidBill, Payment};
pub use faults::{Fault, FaultOrder};
pub use seed::{SeedError, bills_of};
