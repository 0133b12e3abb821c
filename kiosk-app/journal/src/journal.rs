//! The journal: opening, appending, reading for the uplink, deleting acknowledged segments.

use std::io;

use contract::{Chain, Entry, Head, KioskId, Record, RecordHeader, UnixMs};
use zeroize::Zeroizing;

use crate::checkpoint::{Checkpoint, SegmentInfo};
use crate::disk::Disk;
use crate::projection::OpenWork;
use crate::recovery::{self, Recovered};
use crate::segment::{self, BODY_MAX, RecordSealer, SegmentKey};

/// Acknowledged segments are kept for this long, for a platform that is restored from a backup.
const RETENTION_MS: u64 = 7 * 86_400_000;

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
    /// High-water mark (高水位) in bytes.
    pub high_water: u64,
}

/// Source of random bytes for keys, salts and epochs.
pub type EntropyFn<'a> = &'a mut dyn FnMut() -> [u8; 16];

/// What recovery found when the journal was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Bytes of a torn tail that was cut: never confirmed to the caller, so nothing is lost.
    pub torn_bytes: u64,
    /// Damaged segments that were quarantined.
    pub damaged_segments: u32,
    /// Whether a new epoch began.
    pub new_epoch: bool,
    /// Records that were read and applied; those before the checkpoint are not counted.
    pub replayed_records: u64,
}

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
}

/// The append-only journal (日志) of one kiosk.
pub struct Journal<D> {
    disk: D,
    config: JournalConfig,
    /// Oldest first; records are appended to the last one.
    segments: Vec<SegmentInfo>,
    sealer: RecordSealer,
    chain: Chain,
    work: OpenWork,
    poisoned: bool,
    /// Where the last read began: the next one usually continues from there.
    read_position: Option<ReadPosition>,
}

/// A position in a segment.
#[derive(Clone, Copy)]
struct ReadPosition {
    /// Ordinal of the segment.
    ordinal: u64,
    /// Head of the chain at the position.
    head: Head,
    /// Bytes from the first record to the position.
    offset: usize,
}

/// The file name of a segment.
fn segment_name(ordinal: u64, before: &Head) -> String {
    format!("{ordinal:010}-{:016x}-{:016x}.seg", before.epoch, before.seq.saturating_add(1))
}

impl<D: Disk> Journal<D> {
    /// Opens the journal: reads the existing records, cuts a torn tail, quarantines damaged segments, and begins a new
    /// segment with an [`Entry::JournalOpened`]. A missing or damaged journal begins a new epoch.
    ///
    /// With a checkpoint only the records after it are applied. A checkpoint that does not match the files, or that
    /// another version of the software made, is ignored: only the journal is the source of truth.
    ///
    /// # Errors
    /// When the disk fails. Damage is not an error: it is in the [`RecoveryReport`] and in the record.
    pub fn open(
        mut disk: D,
        config: JournalConfig,
        checkpoint: Option<Checkpoint>,
        now: UnixMs,
        entropy: EntropyFn<'_>,
    ) -> Result<(Self, RecoveryReport), JournalError> {
        let Recovered { segments, work, chain, previous, mut report, next_ordinal: next } =
            recovery::recover(&mut disk, &config, checkpoint)?;
        report.new_epoch = chain.is_none();
        let chain = chain.unwrap_or_else(|| {
            let epoch = entropy().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            Chain::genesis(config.device, epoch)
        });
        let mut journal = Self {
            disk,
            sealer: RecordSealer::new(&Zeroizing::new([0; 16])),
            config,
            segments,
            chain,
            work,
            poisoned: false,
            read_position: None,
        };
        journal.begin_segment(next, now, entropy)?;
        let opened = Entry::JournalOpened {
            software: journal.config.software.clone(),
            configuration: journal.config.configuration.clone(),
            previous: previous.filter(|_| report.new_epoch),
            torn_bytes: report.torn_bytes,
            damaged_segments: report.damaged_segments,
        };
        journal.append(&[opened], now, entropy)?;
        Ok((journal, report))
    }

    /// Makes the entries durable: one write, one `fdatasync`.
    ///
    /// # Errors
    /// When durability is not certain. None of the effects may then become visible, and the journal must be reopened.
    pub fn append(
        &mut self,
        entries: &[Entry],
        now: UnixMs,
        entropy: EntropyFn<'_>,
    ) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        if self.segments.last().is_some_and(|current| current.is_full(now)) {
            let next = self.segments.last().map_or(0, |current| current.ordinal.saturating_add(1));
            self.begin_segment(next, now, entropy)?;
        }
        let mut bytes = Vec::new();
        let mut chain = self.chain;
        let mut headers = Vec::with_capacity(entries.len());
        for entry in entries {
            let body = entry.encode();
            let body_len = u32::try_from(body.len()).unwrap_or(u32::MAX);
            if body.len() > BODY_MAX {
                return Err(JournalError::TooLong(body.len()));
            }
            let header = RecordHeader {
                kind: entry.kind(),
                body_len,
                device: self.config.device,
                epoch: chain.head().epoch,
                seq: chain.head().seq.saturating_add(1),
                time: now,
            };
            let record = Record { header, salt: entropy(), body };
            bytes.extend(self.sealer.seal(&record).ok_or(JournalError::Sealing)?);
            chain.push(&header, &record.commitment()).expect("the header was made from the chain's own head");
            headers.push(header);
        }
        self.write(&bytes)?;
        self.chain = chain;
        for (header, entry) in headers.iter().zip(entries) {
            self.work.apply(entry, header.time);
            if let Some(current) = self.segments.last_mut() {
                current.add_record(header, Some(entry));
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let Some(current) = self.segments.last_mut() else { return Err(JournalError::Poisoned) };
        // If one of the operations below fails, the content of the disk is unknown.
        self.poisoned = true;
        self.disk.append(&current.name, bytes).map_err(|e| JournalError::Disk("append", e))?;
        self.disk.sync(&current.name).map_err(|e| JournalError::Disk("sync", e))?;
        current.extend(bytes);
        self.poisoned = false;
        Ok(())
    }

    /// Begins a new segment with its own key.
    fn begin_segment(
        &mut self,
        ordinal: u64,
        now: UnixMs,
        entropy: EntropyFn<'_>,
    ) -> Result<(), JournalError> {
        let key: SegmentKey = Zeroizing::new(entropy());
        let before = self.chain.head();
        let wrap_nonce = entropy().first_chunk().copied().unwrap_or_default();
        let head = segment::encode_head(&before, &key, &self.config.wrap_key, wrap_nonce)
            .ok_or(JournalError::Sealing)?;
        let name = segment_name(ordinal, &before);
        self.poisoned = true;
        self.disk.create(&name).map_err(|e| JournalError::Disk("begin a segment", e))?;
        self.sealer = RecordSealer::new(&key);
        self.segments.push(SegmentInfo::empty(name, ordinal, before, now));
        self.write(&head)
    }

    /// The open work.
    #[must_use]
    pub const fn open_work(&self) -> &OpenWork {
        &self.work
    }

    /// The projection of all records so far, to be cached: see [`Journal::open`].
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(&self.config.software, self.head(), &self.segments, &self.work)
    }

    /// Head of the chain: the newest record.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.chain.head()
    }

    /// The epochs that still have segments, oldest first.
    #[must_use]
    pub fn epochs(&self) -> Vec<u64> {
        let mut epochs: Vec<u64> = self.segments.iter().map(|segment| segment.before.epoch).collect();
        epochs.dedup();
        epochs
    }

    /// The number of the newest record of an epoch, 0 when it has none.
    #[must_use]
    pub fn last_seq(&self, epoch: u64) -> u64 {
        let of_epoch = self.segments.iter().filter(|segment| segment.before.epoch == epoch);
        of_epoch.map(|segment| segment.last_seq).max().unwrap_or(0)
    }

    /// The number before the oldest record of an epoch that still exists: the earlier ones are acknowledged and
    /// deleted, or lost with a damaged segment.
    #[must_use]
    pub fn before_oldest(&self, epoch: u64) -> u64 {
        let of_epoch = self.segments.iter().filter(|segment| segment.before.epoch == epoch);
        of_epoch.map(|segment| segment.before.seq).min().unwrap_or(0)
    }

    /// The records after number `after` of an epoch, within the bounds, with the chain's head before the
    /// first of them. `None` when there are none, or when they no longer exist.
    ///
    /// # Errors
    /// When the segment cannot be read.
    pub fn read_after(
        &mut self,
        epoch: u64,
        after: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Option<(Head, Vec<Record>)>, JournalError> {
        let Some(segment) = self.segments.iter().find(|segment| {
            segment.before.epoch == epoch && segment.before.seq <= after && after < segment.last_seq
        }) else {
            return Ok(None);
        };
        let bytes = self.disk.read(&segment.name).map_err(|e| JournalError::Disk("read a segment", e))?;
        let Ok((opened, all)) = segment::decode_head(&bytes, &self.config.wrap_key) else {
            return Ok(None);
        };
        let known = self
            .read_position
            .filter(|position| position.ordinal == segment.ordinal && position.head.seq <= after);
        let mut position =
            known.unwrap_or(ReadPosition { ordinal: segment.ordinal, head: opened.before, offset: 0 });
        let mut chain = Chain::from_head(position.head);
        let mut rest = all.get(position.offset..).unwrap_or_default();
        let (mut records, mut taken) = (Vec::new(), 0_usize);
        while let Ok((record, next)) = opened.sealer.open(rest) {
            rest = next;
            let beyond = record.header.seq > segment.last_seq;
            if beyond || chain.push(&record.header, &record.commitment()).is_err() {
                break;
            }
            if record.header.seq <= after {
                position = ReadPosition { head: chain.head(), offset: all.len() - rest.len(), ..position };
                continue;
            }
            taken = taken.saturating_add(record.body.len());
            if records.len() >= records_max || (taken > bytes_max && !records.is_empty()) {
                break;
            }
            records.push(record);
        }
        let from = position.head;
        self.read_position = Some(position);
        Ok((!records.is_empty()).then_some((from, records)))
    }

    /// Handles an acknowledgement: the platform has stored all records of this epoch up to this number. Segments that
    /// are acknowledged, old enough and without open work are deleted, and with them the only copy of their keys.
    ///
    /// # Errors
    /// When a segment cannot be deleted.
    pub fn delete_acknowledged(&mut self, epoch: u64, upto: u64, now: UnixMs) -> Result<(), JournalError> {
        let oldest_kept = UnixMs(now.0.saturating_sub(RETENTION_MS));
        while let [first, _, ..] = self.segments.as_slice() {
            let acknowledged = first.before.epoch == epoch && first.last_seq <= upto;
            if !acknowledged || first.last_time >= oldest_kept || first.holds_open_work(&self.work) {
                break;
            }
            let name = first.name.clone();
            self.disk.delete(&name).map_err(|e| JournalError::Disk("delete a segment", e))?;
            self.segments.remove(0);
        }
        Ok(())
    }

    /// Whether the journal is above its high-water mark: new money is refused until the platform has acknowledged
    /// records and their segments are deleted.
    #[must_use]
    pub fn is_above_high_water(&self) -> bool {
        self.segments.iter().map(|segment| segment.bytes).sum::<u64>() >= self.config.high_water
    }

    /// Returns the disk and the configuration, to reopen the journal after a failure.
    #[must_use]
    pub fn into_parts(self) -> (D, JournalConfig) {
        (self.disk, self.config)
    }
}
