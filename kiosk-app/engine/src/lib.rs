//! The kiosk, its log and its uplink in one loop: the product and the simulation run this same one.
//!
//! [`Engine::turn`] takes one thing that happened and gives what is to be done. A transition of the kiosk is
//! appended to the log before any of its effects is given out; when that fails, the kiosk is dropped (and
//! with it all it knew of a resident), the screen says *out of service*, and the log is opened anew with
//! growing pauses until it holds. Documents from the feed are checked here before the kiosk sees them.
//!
//! No threads, no clock, no randomness, no network: time and entropy come with each input, requests and
//! answers are plain values. Called by the engine thread of the `kiosk` program, and by simulations.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod bits;
mod engine;
mod lives;
mod log;
mod memory;
mod open;
mod shelf;
mod trust;
pub mod wire;

pub use engine::{Engine, Fittings, Input, Out, UplinkAnswer, What};
pub use log::LogSettings;
pub use memory::{Memo, Place, Remembered};
pub use sync::{Exchange, Failed, UplinkRequest};
