//! The state machine of the kiosk, pure and deterministic.
//!
//! [`Kiosk::handle`] takes one [`KioskInput`], time and entropy included, and returns a [`Transition`]: records
//! that must be durable first, and effects that may be executed then. [`Kiosk::view`] is a pure function of the
//! state. Nothing here reads a clock, generates a random number, or uses a file, a socket or a thread; the
//! crate's dependencies, its `clippy.toml` and an architecture test enforce that. Called by the engine.
//!
//! State that must end with the visit is stored under `Kiosk::visit`; payments and print jobs outlive the visit and are
//! stored beside it.
//!
//! # Examples
//!
//! `examples/one_visit.rs` plays one visit and prints the records, effects and views of each event:
//!
//! ```text
//! cargo run -p session --example one_visit
//! ```

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::panic)
)]

mod code_trust;
mod code_verification;
mod durable;
mod effect;
mod event;
mod gate;
mod identification;
mod kiosk;
mod mask;
mod notice;
mod payment;
mod pin;
mod pin_change;
mod platform_clock;
mod print_job;
mod receipt;
mod rows;
mod service_steps;
mod setup;
mod show;
mod staff;
mod step_up;
mod touch;
mod visit;

pub use code_trust::CodeTrust;
pub use durable::Durable;
pub use effect::{Effect, Ticket, Transition, Work};
pub use event::{
    CardEvent, CardRefusal, CodeHint, DeviceKind, DeviceState, Event, Failure, FaultReason, IdCardEvent,
    IdCardRefusal, KioskInput, MonotonicMs, Now, PinAnswer, PrintResult, WorkAnswer,
};
pub use kiosk::Kiosk;
pub use setup::{Catalogue, Equipment, KioskSetup, TimeLimits};
pub use show::out_of_service_view;
