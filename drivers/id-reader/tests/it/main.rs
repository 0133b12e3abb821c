//! The whole driver over a scripted line: what is asked, what is made of the answers, and of their absence.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod far_side;
mod faults;
mod readings;
mod serial;
