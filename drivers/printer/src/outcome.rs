//! What became of a receipt, in the words that the caller decides by.

use serde::{Deserialize, Serialize};

/// The end of one attempt to print one receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The whole receipt was printed, as far as this printer can tell.
    Printed {
        /// How it is known.
        confirmation: Confirmation,
    },
    /// Nothing of this receipt reached the printer. It may be tried again without a copy mark.
    NotStarted(Why),
    /// It may or may not have been printed, wholly or in part. Never to be sent again by itself: the
    /// resident or staff asks, and the next one carries a copy mark.
    Unconfirmed(Why),
}

/// How it is known that a receipt was printed; the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirmation {
    /// The printer echoed this receipt's process id after printing it (`GS ( H`, function 48).
    ProcessId,
    /// The printer answered `GS r 1`, which it executes in order and not while it is out of paper, and
    /// its status was clean afterwards. It says processed, not "has left the cutter".
    Fence,
    /// The A4 printer counted sheets of this job and completed it (IPP). A queue that only hands over counts too: see
    /// the README.
    Sheets,
    /// The printer's status was clean after it had received every byte, or its job ended without a count. It has no
    /// fence.
    Received,
}

/// Why a receipt was not printed, or why it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// There is no paper.
    PaperOut,
    /// The cover is open.
    CoverOpen,
    /// The cutter or the paper path is blocked.
    Jammed,
    /// There is no toner.
    TonerOut,
    /// The head is too hot; it recovers by itself.
    Overheated,
    /// The printer reports a fault that a power cycle does not mend.
    Failed,
    /// The printer is off line and gives no reason.
    Offline,
    /// The printer does not answer.
    Mute,
    /// The printer answers and takes no more bytes.
    Stalled,
    /// The port is gone: unplugged, or its adapter reset.
    Gone,
    /// The receipt cannot be drawn on this printer: too long, or a character no font here has.
    Unprintable,
    /// Everything was sent and this printer has no means to say more.
    NoEvidence,
}

/// Where an attempt stands; reported every few seconds at most while it runs, so that a caller can tell a
/// slow printer from a hung driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The printer is asked whether it is ready.
    Asking,
    /// Bytes go out.
    Sending {
        /// Bytes that the port has taken.
        sent_bytes: usize,
        /// Bytes of the whole document.
        total_bytes: usize,
    },
    /// Everything is sent; the evidence is awaited.
    Confirming,
}
