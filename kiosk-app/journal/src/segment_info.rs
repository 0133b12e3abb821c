//! What a journal knows of a segment without reading its file.

use std::fmt;

use contract::{Head, UnixMs};

use crate::disk::Disk;
use crate::error::JournalError;

const DAY_MS: u64 = 86_400_000;
const EXTENSION: &str = ".seg";
const DAMAGED: &str = ".damaged";
const SETTLED: &str = ".settled-";

/// File name of a segment: `ORDINAL-EPOCH-FIRST.seg`, then `.damaged` and `.settled-MS` where they apply. What becomes known of a
/// segment stands in its name, because a file is never written again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) ordinal: u64,
    /// The name up to and including `.seg`.
    pub(crate) stem: String,
    /// A part of the file cannot be read, or the platform has other records. The file is never deleted.
    pub(crate) is_damaged: bool,
    /// The platform's time when it was known to have stored all records of the segment.
    pub(crate) settled_at: Option<UnixMs>,
}

impl SegmentName {
    /// The name of a new segment whose chain continues from `before`.
    pub(crate) fn new(ordinal: u64, before: &Head) -> Self {
        let first = before.seq.saturating_add(1);
        let stem = format!("{ordinal:010}-{:016x}-{first:016x}{EXTENSION}", before.epoch);
        Self { ordinal, stem, is_damaged: false, settled_at: None }
    }

    /// Reads a file name; `None` when it is not that of a segment.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let end = name.find(EXTENSION)?.checked_add(EXTENSION.len())?;
        let (stem, flags) = name.split_at_checked(end)?;
        let (ordinal, _) = stem.split_once('-')?;
        let (is_damaged, flags) = match flags.strip_prefix(DAMAGED) {
            Some(flags) => (true, flags),
            None => (false, flags),
        };
        let settled_at = match flags {
            "" => None,
            flags => Some(UnixMs(flags.strip_prefix(SETTLED)?.parse().ok()?)),
        };
        let ordinal = (ordinal.len() == 10).then(|| ordinal.parse().ok()).flatten()?;
        Some(Self { ordinal, stem: stem.to_owned(), is_damaged, settled_at })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stem)?;
        if self.is_damaged {
            f.write_str(DAMAGED)?;
        }
        match self.settled_at {
            Some(at) => write!(f, "{SETTLED}{}", at.0),
            None => Ok(()),
        }
    }
}

/// Description of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentInfo {
    pub(crate) name: SegmentName,
    /// Head of the chain before the first record.
    pub(crate) before: Head,
    /// Number of the last record. Where the next segment repeats records, they count as its own.
    pub(crate) last_seq: u64,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// When this process began the segment.
    pub(crate) begun: UnixMs,
    /// Consecutive failures to read the file.
    pub(crate) read_failures: u32,
}

impl SegmentInfo {
    /// The segment in this file, without records.
    pub(crate) const fn new(name: SegmentName, before: Head, begun: UnixMs) -> Self {
        Self { name, before, last_seq: before.seq, bytes: 0, begun, read_failures: 0 }
    }

    /// Accounts for bytes that were appended to the file.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    /// Whether the next record must go into a new segment: after a day, or at this many bytes.
    pub(crate) const fn is_full(&self, now: UnixMs, segment_bytes: u64) -> bool {
        self.bytes >= segment_bytes || now.0.saturating_sub(self.begun.0) >= DAY_MS
    }

    /// Whether the segment has the record after this number.
    pub(crate) const fn continues_after(&self, epoch: u64, after: u64) -> bool {
        self.before.epoch == epoch && self.before.seq <= after && after < self.last_seq
    }
}

/// A position in a segment: before one of its units.
#[derive(Clone, Copy)]
pub(crate) struct ReadPosition {
    /// Ordinal of the segment.
    pub(crate) ordinal: u64,
    /// Head of the chain at the position.
    pub(crate) head: Head,
    /// Bytes from the first unit to the position.
    pub(crate) offset: usize,
}

/// Renames the file of a segment when its name changed.
pub(crate) fn rename<D: Disk>(
    disk: &mut D,
    segment: &mut SegmentInfo,
    name: SegmentName,
) -> Result<(), JournalError> {
    if segment.name != name {
        let renamed = disk.rename(&segment.name.to_string(), &name.to_string());
        renamed.map_err(|error| JournalError::Disk("rename a segment", error))?;
        segment.name = name;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::Chain;

    #[test]
    fn segment_name_round_trips_with_what_is_known() {
        let before = Chain::genesis("K-1".parse().unwrap(), 5).head();
        let mut name = SegmentName::new(7, &before);
        assert_eq!(name.to_string(), "0000000007-0000000000000005-0000000000000001.seg");
        for (is_damaged, settled_at) in
            [(false, None), (true, None), (false, Some(UnixMs(12))), (true, Some(UnixMs(12)))]
        {
            (name.is_damaged, name.settled_at) = (is_damaged, settled_at);
            assert_eq!(SegmentName::parse(&name.to_string()), Some(name.clone()));
        }
        assert_eq!(name.to_string(), "0000000007-0000000000000005-0000000000000001.seg.damaged.settled-12");
    }

    #[test]
    fn names_of_other_files_are_not_read() {
        for name in ["0000000007.seg", "notes.txt", "7-5-1.seg", "0000000007-5-1.seg.old", "é-.seg"] {
            assert_eq!(SegmentName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn segment_is_full_by_size_or_after_a_day() {
        let before = Chain::genesis("K-1".parse().unwrap(), 5).head();
        let mut segment = SegmentInfo::new(SegmentName::new(0, &before), before, UnixMs(1_000));
        assert!(!segment.is_full(UnixMs(DAY_MS + 999), 900) && segment.is_full(UnixMs(DAY_MS + 1_000), 900));
        // A clock that was set back does not fill it.
        assert!(!segment.is_full(UnixMs(0), 900));
        segment.bytes = 900;
        assert!(segment.is_full(UnixMs(1_000), 900) && !segment.is_full(UnixMs(1_000), 901));
    }
}
