//! The whole driver over a scripted link: bytes sent to the printer, and the outcome of each receipt.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod cups;
mod documents;
mod encoding;
mod generators;
mod golden;
mod ipp_endpoint;
mod network;
mod oracles;
mod outcomes;
mod receiptio;
mod refusals;
mod scripted_printer;
mod usb;
