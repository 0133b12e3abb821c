//! The whole driver over a scripted line: what reaches the printer, and what is said of each receipt.
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
