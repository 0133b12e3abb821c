//! What a journal is opened with, and what opening it finds.

use contract::{Entry, Head, KioskId};
use zeroize::Zeroizing;

/// Configuration of a journal.
pub struct JournalConfig {
    /// Id of the kiosk.
    pub device: KioskId,
    /// Wraps the segment keys; from the machine's key store.
    pub wrap_key: Zeroizing<[u8; 16]>,
    /// Version of the software, for the opening record.
    pub software: String,
    /// SM3 of the site configuration in hexadecimal, for the opening record.
    pub configuration: String,
    /// How large it may become.
    pub limits: JournalLimits,
}

/// Sizes of a journal in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalLimits {
    /// High-water mark (高水位): a journal of this size refuses new money.
    pub high_water: u64,
    /// A segment of this size is full.
    pub segment_bytes: u64,
}

impl JournalLimits {
    /// Segments of 4 MiB, and this high-water mark.
    #[must_use]
    pub const fn new(high_water: u64) -> Self {
        Self { high_water, segment_bytes: 4 * 1024 * 1024 }
    }
}

impl JournalConfig {
    /// The first entry of an opened journal or of a new epoch.
    pub(crate) fn opening(&self, previous: Option<Head>, torn_bytes: u64, damaged_segments: u32) -> Entry {
        Entry::JournalOpened {
            software: self.software.clone(),
            configuration: self.configuration.clone(),
            previous,
            torn_bytes,
            damaged_segments,
        }
    }
}

/// Source of random bytes for keys, salts and epochs.
pub type EntropyFn<'a> = &'a mut dyn FnMut() -> [u8; 16];

/// What recovery found when the journal was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Bytes of a torn tail that was cut: never confirmed to the caller, so nothing is lost.
    pub torn_bytes: u64,
    /// Damaged segments: quarantined, or renamed when a part of them can be read.
    pub damaged_segments: u32,
    /// Whether a new epoch began: there was no journal, or it was damaged.
    pub new_epoch: bool,
    /// Records that were read and applied: those after the newest snapshot.
    pub replayed_records: u64,
}
