//! Tests of the complete driver over a scripted link: the commands, the handling of answers, and time-outs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod faults;
mod readings;
mod scripted_reader;
