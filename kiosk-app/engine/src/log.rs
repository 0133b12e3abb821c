//! The log as the engine uses it: opened again after each failure, and a source of records for the uplink.

use std::io;
use std::sync::Arc;

use contract::{DeviceId, Head, Record, SecretKey, Signature, UnixMs};
use journal::{Checkpoint, Disk, Identity, Journal, JournalError, Opening};
use sync::RecordSource;
use zeroize::Zeroizing;

use crate::bits::Bits;

/// What a log is opened with, each time.
pub struct LogSettings<D> {
    /// Opens the directory.
    pub disk: Box<dyn FnMut() -> io::Result<D> + Send>,
    /// Wraps the keys of the segments.
    pub wrap: Zeroizing<[u8; 16]>,
    /// Version of the software, for the opening record.
    pub software: String,
    /// SM3 of the site configuration in hexadecimal, for the opening record.
    pub configuration: String,
    /// At this many bytes the log is nearly full and new money is refused.
    pub high_water: u64,
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Not even its directory.
    #[error("the directory of the log cannot be opened")]
    Directory(#[source] io::Error),
    /// The log itself.
    #[error("the log cannot be opened")]
    Journal(#[source] JournalError),
}

impl<D: Disk> LogSettings<D> {
    pub(crate) fn open(
        &mut self,
        device: DeviceId,
        checkpoint: Option<Checkpoint>,
        now: UnixMs,
        bits: &mut Bits,
    ) -> Result<(Journal<D>, Opening), OpenError> {
        let disk = (self.disk)().map_err(OpenError::Directory)?;
        let identity = Identity {
            device,
            wrap: self.wrap.clone(),
            software: self.software.clone(),
            configuration: self.configuration.clone(),
            high_water: self.high_water,
        };
        let (journal, opening) = Journal::open(disk, identity, checkpoint, now, &mut || bits.next_bytes())
            .map_err(OpenError::Journal)?;
        if opening.damaged_segments > 0 || opening.torn_bytes > 0 {
            tracing::warn!(
                torn_bytes = opening.torn_bytes,
                damaged_segments = opening.damaged_segments,
                new_epoch = opening.new_epoch,
                "the log was not whole: what could not be read is set aside and recorded"
            );
        }
        Ok((journal, opening))
    }
}

/// The log and the device's key, as the uplink reads them.
pub(crate) struct Source<'a, D> {
    pub(crate) journal: &'a mut Journal<D>,
    pub(crate) key: &'a Arc<SecretKey>,
}

impl<D: Disk> RecordSource for Source<'_, D> {
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
                // Reading is not on the way of a commit: the next append will show how the disk is.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the log cannot be read for sending"
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
