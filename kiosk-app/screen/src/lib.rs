//! The kiosk's screen: draws a [`View`](view::View) with Slint, and nothing that is not in it.
//!
//! [`Screen`] belongs to the main thread; a [`ScreenHandle`] can be used by any other thread. Only the latest view is
//! kept, so a burst of views is drawn once. A touch is reported with the id of the view that
//! was on the screen. Knows nothing of visits, money or devices.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod apply;
mod qr_code;
#[cfg(test)]
#[path = "../tests/it/samples.rs"]
mod samples;
#[cfg(test)]
mod touch_targets;
mod window;

pub use window::{Screen, ScreenError, ScreenHandle};

/// Code that the Slint compiler generates from `ui/`.
mod ui {
    #![allow(
        unsafe_code,
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::todo,
        clippy::wildcard_enum_match_arm
    )]
    slint::include_modules!();
}
