//! The uplink to the platform as a pure state machine: which batch to send when, how to interpret an answer, and
//! whether the link is up. No I/O, no clock, no randomness: all come with the call.
//!
//! Every record reaches the platform exactly once and in order (I2): one batch is in flight, it begins
//! where the platform's last acknowledgement ends, and the platform drops records that it has already stored. The
//! platform's answers are untrusted input: an invalid one counts as a failure and changes nothing.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod clock;
mod exchange;
mod reconciliation;
mod uplink;

pub use clock::ClockEstimate;
pub use exchange::{ExchangeFailed, ExchangeTiming};
pub use reconciliation::{Reconciled, Reconciliation};
pub use uplink::{
    FeedAnswer, FeedPosition, NextRecords, RecordSource, RecordsOutcome, Uplink, UplinkRequest,
};
