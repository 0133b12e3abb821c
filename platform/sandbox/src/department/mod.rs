//! Sandbox business systems of all departments of the demo city, described by data files.
//!
//! Each department answers by the department contract (`docs/departments.md`) below a path of its own: the base URL of
//! the department `water` is `http://HOST:PORT/water`. Requests are verified with the platform's key, answers are
//! signed with the department's.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | as the contract says, below `/D` | | signed |
//! | `GET /payments`, `GET /D/payments` | – | every [`Booking`] of all, or of one department, for an auditor |
//! | `GET /bills/{resident}` | – | every [`OpenBill`] of a resident, by the short name of `residents.toml`, for an auditor |
//! | `POST /D/faults` | [`FaultRequest`](crate::shell::FaultRequest), not `decline` | 204; the next requests of this department fail in this way |
//! | `DELETE /D/faults` | – | 204; removes all requested faults of this department |
//!
//! The fault `nonsense` answers 200, signed, with rows that no operation declares. Without HTTP, [`Departments::handle`]
//! does the same with a given time: it reads no clock.
//!
//! | module | purpose |
//! |---|---|
//! | `data`, `check`, `files` | the data files, and what can be wrong with them |
//! | `values` | derived values |
//! | `books`, `effects` | rows of queries, and what changes them |
//! | `queries`, `payments`, `tickets`, `submissions`, `call` | the requests |
//! | `departments`, `signatures`, `sealed`, `wire` | the contract: verify, answer, sign |
//! | `http` | HTTP |

mod books;
mod call;
mod check;
mod data;
mod departments;
mod effects;
mod files;
mod http;
mod payments;
mod queries;
mod sealed;
mod signatures;
mod submissions;
#[cfg(test)]
mod tests;
mod tickets;
mod values;
mod wire;

pub use data::{DataError, DepartmentData, Resident, State};
pub use departments::{Answering, Departments, DepartmentsError, KeptMessage, SignedAnswer, SignedRequest};
pub use files::{department_keys, read_departments, residents_from_toml};
pub use http::router;
pub use signatures::{DepartmentKey, KeyError, PlatformIdentity, PublicKey, answer_message, request_message};
pub use wire::{Booking, OpenBill};
