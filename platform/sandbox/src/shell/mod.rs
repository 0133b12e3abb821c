//! What all sandboxes need around their domain: HTTP, injected faults, files, clock, signals.
//!
//! The shell imports nothing of a sandbox. A sandbox gives it a router, and, if faults can be injected, implements
//! `Domain`.

mod abort;
mod clock;
mod database;
mod domain;
mod faults;
mod program;
mod residents;

pub(crate) use clock::now_ms;
pub(crate) use database::prepare_database;
pub(crate) use domain::{Domain, DomainState, lock};
pub(crate) use residents::parse_residents;

pub use database::open_private_database;
pub use faults::{Fault, FaultRequest};
pub use program::{run, serve, start_tracing};
pub use residents::{ResidentsError, read_residents};
