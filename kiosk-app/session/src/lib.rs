//! The state machine of the kiosk, pure and deterministic.
//!
//! [`Kiosk::handle`] takes one [`KioskInput`], time and entropy included, and returns a [`Transition`]: records
//! that must be durable first, and effects that may be executed then. [`Kiosk::view`] is a pure function of the
//! state. Nothing here reads a clock, generates a random number, or uses a file, a socket or a thread; the
//! crate's dependencies, its `clippy.toml` and an architecture test enforce that. Called by the engine.
//!
//! The kiosk has a *durable state*, changed only by recording ([`Durable`]); *components* that outlive a visit (payments, printing,
//! clock, devices), each with private state; and a *front*, which stands before the screen and ends with the visit.
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

mod clock;
mod code_trust;
mod code_verification;
mod components;
mod content;
mod devices;
mod durable;
mod event;
mod evidence;
mod front;
mod kiosk;
mod mask;
mod out_of_service;
mod payment_content;
mod payments;
mod printing;
mod receipt_content;
mod refusal;
mod rows;
mod setup;
mod text_width;
mod time;
mod transition;
mod view_identity;
mod wording;
mod work;

pub use code_trust::CodeTrust;
pub use durable::Durable;
pub use event::{
    CardEvent, CardRefusal, CodeHint, DeviceKind, DeviceState, Event, FaultReason, IdCardEvent,
    IdCardRefusal, KioskInput, PrintResult,
};
pub use kiosk::Kiosk;
pub use out_of_service::out_of_service_view;
pub use setup::{Catalogue, Equipment, KioskSetup, ScreenSetup, TimeLimits};
pub use time::{MonotonicMs, Now};
pub use transition::{Effect, Transition};
pub use work::{CardWork, Failure, PinAnswer, PlatformWork, Ticket, Work, WorkAnswer};
