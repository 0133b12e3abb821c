//! The heart of the kiosk: one pure state machine.
//!
//! [`Kiosk::handle`] takes one [`Input`], time and entropy included, and returns a [`Transition`]: records
//! that must be durable first, and effects that may happen then. [`Kiosk::view`] is a pure picture of the
//! state. Nothing here reads a clock, draws a random number, touches a file, a socket or a thread; the
//! crate's dependencies, its `clippy.toml` and a test of the workspace see to that. Called by the engine.
//!
//! What must die with the resident hangs under `Kiosk::visit`; what must not (payments, papers) does not.

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
