//! The state machine of the kiosk, pure and deterministic.
//!
//! [`Kiosk::handle`] takes one [`Input`], time and entropy included, and returns a [`Transition`]: records
//! that must be durable first, and effects that may be executed then. [`Kiosk::view`] is a pure function of the
//! state. Nothing here reads a clock, generates a random number, or uses a file, a socket or a thread; the
//! crate's dependencies, its `clippy.toml` and an architecture test enforce that. Called by the engine.
//!
//! State that must end with the visit is stored under `Kiosk::visit`; payments and print jobs outlive the visit and are
//! stored beside it.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::panic)
)]

mod begin;
mod clock;
mod closing;
mod code;
mod draw;
mod effect;
mod event;
mod gate;
mod kiosk;
mod mask;
mod new_pin;
mod open;
mod paper;
mod payment;
mod pin;
mod prove;
mod receipt;
mod rows;
mod setup;
mod show;
mod staff;
mod steps;
mod touch;
mod trust;
mod visit;

pub use effect::{Effect, Ticket, Transition, Work};
pub use event::{
    Answer, CardEvent, CardRefusal, CodeHint, Device, Event, Failure, Health, IdCardEvent, IdCardRefusal,
    Input, Mono, Now, PinAnswer, PrintResult, Trouble,
};
pub use kiosk::Kiosk;
pub use open::{OpenPaper, OpenPayment, OpenWork};
pub use setup::{Catalogue, Equipment, Setup, Times};
pub use show::closed_view;
pub use trust::CodeTrust;
