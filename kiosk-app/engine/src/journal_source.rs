//! The engine's access to the journal: opens it, reopens it after each failure, and serves its records to the uplink.

use std::io;
use std::sync::Arc;

use contract::{EntropySource, Head, KioskId, Record, SecretKey, Signature, UnixMs};
use journal::{Checkpoint, Disk, Journal, JournalConfig, JournalError, RecoveryReport};
use sync::RecordSource;
use zeroize::Zeroizing;

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
    /// High-water mark: at this many bytes of journal, new money is refused.
    pub high_water: u64,
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
        checkpoint: Option<Checkpoint>,
        now: UnixMs,
        entropy: &mut EntropySource,
    ) -> Result<(Journal<D>, RecoveryReport), JournalOpenError> {
        let disk = (self.disk)().map_err(JournalOpenError::Directory)?;
        let identity = JournalConfig {
            device,
            wrap_key: self.wrap_key.clone(),
            software: self.software.clone(),
            configuration: self.configuration.clone(),
            high_water: self.high_water,
        };
        let (journal, report) = Journal::open(disk, identity, checkpoint, now, &mut || entropy.next_bytes())
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
    pub(crate) journal: &'a mut Journal<D>,
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
    ) -> Option<(Head, Vec<Record>)> {
        match self.journal.read_after(epoch, after, records, bytes) {
            Ok(found) => found,
            Err(error) => {
                // Not fatal: reading is independent of commits, and the next append will detect a failing disk.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot read journal records for the uplink"
                );
                None
            }
        }
    }

    fn before_oldest(&self, epoch: u64) -> u64 {
        self.journal.before_oldest(epoch)
    }

    fn last_seq(&self, epoch: u64) -> u64 {
        self.journal.last_seq(epoch)
    }

    fn sign(&self, bytes: &[u8]) -> Signature {
        self.key.sign(bytes)
    }
}
