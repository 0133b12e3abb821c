//! Failures of a journal.

use std::io;

/// Why the journal failed. It must be dropped and reopened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A disk operation failed.
    #[error("journal disk failed to {0}: check space and health of the disk")]
    Disk(&'static str, #[source] io::Error),
    /// An earlier append failed, so the content of the disk is unknown.
    #[error("an earlier append failed: reopen the journal")]
    Poisoned,
    /// A record exceeds the maximum length.
    #[error("a record of {0} bytes is too long for the journal")]
    TooLong(usize),
    /// Encryption failed, which the library does only for inputs far longer than a record.
    #[error("cannot encrypt a record")]
    Sealing,
    /// The state cannot be written as a snapshot.
    #[error("cannot write the state as a snapshot")]
    Snapshot(#[source] serde_json::Error),
}
