//! The engine's access to the journal: opens it, reopens it after each failure, and serves its records to the uplink.

use std::io;
use std::sync::Arc;

use contract::{EntropySource, Entry, Head, KioskId, SecretKey, Signature, UnixMs};
use journal::{Disk, Journal, JournalConfig, JournalError, JournalLimits, NextRecords, RecoveryReport};
use sync::RecordSource;
use zeroize::Zeroizing;

use crate::kiosk_state::KioskState;

/// At most this many records are stated again in a new epoch: far more than a kiosk makes between two copies of a disk that still
/// differ by little.
const RESTATED_MAX: usize = 4096;

/// Opens the journal, each time with the same settings.
pub struct JournalOpener<D> {
    /// Opens the journal's directory; called for each attempt.
    pub disk: Box<dyn FnMut() -> io::Result<D> + Send>,
    /// Wraps the segment keys.
    pub wrap_key: Zeroizing<[u8; 16]>,
    /// Version of the software, for the opening record.
    pub software: String,
    /// SM3 of the site configuration in hexadecimal, for the opening record.
    pub configuration: String,
    /// How large the journal may become.
    pub limits: JournalLimits,
}

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalOpenError {
    /// Opening the directory failed.
    #[error("cannot open the journal's directory")]
    Directory(#[source] io::Error),
    /// Recovery failed.
    #[error("cannot open the journal")]
    Journal(#[source] JournalError),
}

impl<D: Disk> JournalOpener<D> {
    pub(crate) fn open(
        &mut self,
        device: KioskId,
        now: UnixMs,
        entropy: &mut EntropySource,
    ) -> Result<(Journal<KioskState, D>, RecoveryReport), JournalOpenError> {
        let disk = (self.disk)().map_err(JournalOpenError::Directory)?;
        let identity = JournalConfig {
            device,
            wrap_key: self.wrap_key.clone(),
            software: self.software.clone(),
            configuration: self.configuration.clone(),
            limits: self.limits,
        };
        let (journal, report) = Journal::open(disk, identity, now, &mut || entropy.next_bytes())
            .map_err(JournalOpenError::Journal)?;
        if report.damaged_segments > 0 {
            tracing::warn!(
                torn_bytes = report.torn_bytes,
                damaged_segments = report.damaged_segments,
                new_epoch = report.new_epoch,
                "journal damaged: unreadable parts were cut or quarantined, and recorded"
            );
        } else if report.torn_bytes > 0 {
            tracing::info!(torn_bytes = report.torn_bytes, "journal: an unfinished write was cut");
        }
        Ok((journal, report))
    }
}

/// The journal and the kiosk's key, as a record source for the uplink.
pub(crate) struct JournalSource<'a, D> {
    pub(crate) journal: &'a mut Journal<KioskState, D>,
    pub(crate) key: &'a Arc<SecretKey>,
}

impl<D: Disk> RecordSource for JournalSource<'_, D> {
    fn epochs(&self) -> Vec<u64> {
        self.journal.epochs()
    }

    fn read_after(
        &mut self,
        epoch: u64,
        after: u64,
        records: usize,
        bytes: usize,
    ) -> Option<sync::NextRecords> {
        readable(self.journal.read_after(epoch, after, records, bytes)).map(|next| match next {
            NextRecords::Records(from, records) => sync::NextRecords::Records(from, records),
            NextRecords::Missing(resumes) => sync::NextRecords::Missing(resumes),
        })
    }

    fn newest(&mut self, epoch: u64) -> Option<Head> {
        let head = self.journal.head();
        if head.epoch == epoch {
            return Some(head);
        }
        let last = self.journal.last_seq(epoch);
        readable(self.journal.head_at(epoch, last))
    }

    fn acknowledged(&self, epoch: u64) -> Option<u64> {
        self.journal.acknowledged(epoch)
    }

    fn before_oldest(&self, epoch: u64) -> u64 {
        self.journal.before_oldest(epoch)
    }

    fn sign(&self, bytes: &[u8]) -> Signature {
        self.key.sign(bytes)
    }
}

/// What was read. A failure is not fatal: reading is independent of commits, and the next append will detect a failing disk.
pub(crate) fn readable<T>(read: Result<Option<T>, JournalError>) -> Option<T> {
    read.unwrap_or_else(|error| {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "cannot read journal records for the uplink"
        );
        None
    })
}

/// The records of an epoch after number `common`, to be stated again in a new epoch, oldest first. Those that this version does
/// not understand, or that can no longer be read, are left out.
pub(crate) fn restated_after<D: Disk>(
    journal: &mut Journal<KioskState, D>,
    epoch: u64,
    common: u64,
) -> Vec<Entry> {
    let (mut entries, mut after) = (Vec::new(), common);
    while entries.len() < RESTATED_MAX {
        match readable(journal.read_after(epoch, after, RESTATED_MAX, usize::MAX)) {
            Some(NextRecords::Records(_, records)) => {
                after = records.last().map_or(after, |last| last.header.seq);
                entries.extend(records.iter().filter_map(journal::restated));
            }
            Some(NextRecords::Missing(resumes)) => after = resumes.seq,
            None => break,
        }
    }
    entries
}
