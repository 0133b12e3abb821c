//! The outcome of a print attempt, with one variant for each thing that the caller can do.

use serde::{Deserialize, Serialize};

/// The outcome of one attempt to print one receipt or A4 document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrintOutcome {
    /// The whole receipt was printed, as far as the model can report it.
    Printed {
        /// How it is known.
        confirmation: PrintConfirmation,
    },
    /// No part of this receipt is on paper, or ever will be: no byte of it reached the printer, or its job ended without
    /// having been processed. It may be printed again without a copy mark.
    NotStarted(PrintFailure),
    /// Unknown outcome: the receipt may or may not have been printed, wholly or in part. Never send it again
    /// automatically: the resident or staff must ask, and the next one carries a copy mark.
    Unconfirmed(PrintFailure),
}

/// How it is known that a receipt was printed, strongest first (打印确认).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrintConfirmation {
    /// The printer echoed this receipt's process id after printing it (`GS ( H`, function 48).
    ProcessId,
    /// The printer answered the print barrier `GS r 1`, which it executes in order and not while it is out of
    /// paper, and its status was clean afterwards. The answer means processed, not "has left the cutter".
    Barrier,
    /// The document printer completed the job and counted its sheets (IPP). A queue that only forwards the job counts
    /// sheets too: see the README.
    SheetsCounted,
    /// The printer's status was clean after it had received every byte, or its job completed without a count of
    /// sheets. The model has no print barrier.
    Received,
}

/// Why a receipt was not printed, or why the outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrintFailure {
    /// The paper has run out.
    PaperOut,
    /// The cover is open.
    CoverOpen,
    /// The cutter or the paper path is blocked.
    Jammed,
    /// The toner or ink has run out.
    TonerOut,
    /// The print head is too hot; the printer recovers automatically.
    Overheated,
    /// The printer reports an unrecoverable error, which a power cycle does not clear; or a job ended with errors.
    Failed,
    /// The printer is offline and gives no reason.
    Offline,
    /// The printer does not answer status queries.
    NotResponding,
    /// The printer answers status queries but accepts no more bytes.
    Stalled,
    /// The port has disappeared: the cable was unplugged, or the adapter was reset.
    Disconnected,
    /// This printer cannot print the receipt: it is too long, or no font has one of its characters.
    Unprintable,
    /// Everything was sent, but the printer gave no confirmation, or the model cannot give one.
    NoConfirmation,
}

/// Progress of a print attempt, reported at least every few seconds, so that a caller can distinguish a slow
/// printer from a hung driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintProgress {
    /// The driver queries the status of the printer.
    QueryingStatus,
    /// The driver sends the receipt.
    Sending {
        /// Bytes that the port has accepted.
        sent_bytes: usize,
        /// Size of the encoded receipt in bytes.
        total_bytes: usize,
    },
    /// Everything is sent; the driver waits for the confirmation.
    Confirming,
}
