//! The whole driver over a scripted link: bytes sent to the printer, and the outcome of each receipt.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod cups;
mod far_side;
mod generators;
mod golden;
mod judged;
mod network;
mod oracles;
mod outcomes;
mod paper;
mod serial;
mod sheets;
mod usb;
