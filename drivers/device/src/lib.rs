//! The wire between the kiosk and a device process, for both sides.
//!
//! `kiosk-device` runs one driver in a process of its own, because PC/SC and camera calls can block for
//! ever in C, and because strangers choose what cameras decode. The kiosk starts it with one end of a
//! UNIX socket pair as standard input, and ends it when it hangs.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

pub mod framing;
pub mod record;
pub mod wire;
