//! The engine: kiosk state machine, journal and uplink in one loop. The product and the simulation run the same code.
//!
//! [`Engine::turn`] takes one input and returns its outputs. A transition of the kiosk is appended to the journal
//! before any of its effects becomes an output. When the append fails, the kiosk is dropped (and with it all data of
//! a resident), the screen shows *out of service*, and the journal is reopened with exponential back-off until an
//! append succeeds. Documents from the feed are verified here before the kiosk receives them.
//!
//! No threads, no clock, no randomness, no network: time and entropy come with each input, requests and
//! answers are plain values. Called by the engine thread of the `kiosk` program, and by simulations.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod cache_entry;
mod engine;
mod feed_state;
mod generation;
mod journal_source;
mod kiosk_state;
pub mod platform_api;
mod trust_store;

pub use cache_entry::{CacheEntry, CacheKey, CacheSnapshot};
pub use engine::{Engine, EngineConfig, EngineInput, InputEvent, Output, UplinkAnswer};
pub use journal_source::JournalOpener;
pub use kiosk_state::KioskState;
pub use sync::{ExchangeFailed, ExchangeTiming, UplinkRequest};
