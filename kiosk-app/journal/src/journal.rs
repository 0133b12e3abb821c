//! The journal: opening, appending, new epochs, deleting acknowledged segments. [`reading`](crate::reading) serves the uplink.

use contract::{Chain, Entry, Head, KioskId, RECORD_BYTES_MAX, Record, RecordHeader, UnixMs};
use zeroize::Zeroizing;

use crate::config::{EntropyFn, JournalConfig, RecoveryReport};
use crate::disk::Disk;
use crate::error::JournalError;
use crate::recovery::{self, Recovered, Resume, Unconfirmed};
use crate::segment::{self, RecordSealer, SegmentKey};
use crate::segment_info::{ReadPosition, SegmentInfo, SegmentName, rename};
use crate::state::{JournalState, Snapshot};

/// Acknowledged segments are kept for this long by the platform's clock, for a platform that is restored from a backup.
const RETENTION_MS: u64 = 7 * 86_400_000;

/// The append-only journal (日志) of one kiosk, and the state `S` that its records fold to.
pub struct Journal<S, D> {
    pub(crate) disk: D,
    pub(crate) config: JournalConfig,
    /// Oldest first; records are appended to the last one.
    pub(crate) segments: Vec<SegmentInfo>,
    sealer: RecordSealer,
    chain: Chain,
    state: S,
    poisoned: bool,
    /// Damaged segments that are to be set aside when the next epoch is durable. If they were set aside before, and the epoch could
    /// not be written, no opening would find the damage again.
    pub(crate) damaged: Vec<SegmentName>,
    /// Where the last read began: the next one usually continues from there.
    pub(crate) read_position: Option<ReadPosition>,
}

impl<S: JournalState, D: Disk> Journal<S, D> {
    /// Opens the journal: reads the newest snapshot and the records after it, cuts a torn tail, sets damaged segments aside,
    /// and begins a new segment with an [`Entry::JournalOpened`]. A missing or damaged journal begins a new epoch.
    ///
    /// # Errors
    /// When the disk fails. Damage is not an error: it is in the [`RecoveryReport`] and in the record.
    pub fn open(
        mut disk: D,
        config: JournalConfig,
        now: UnixMs,
        entropy: EntropyFn<'_>,
    ) -> Result<(Self, RecoveryReport), JournalError> {
        let Recovered { segments, state, resume, previous, report, damaged, next_ordinal } =
            recovery::recover::<S, D>(&mut disk, &config)?;
        let previous = previous.filter(|_| report.new_epoch);
        let opened = config.opening(previous, report.torn_bytes, report.damaged_segments);
        let mut first = vec![opened];
        let (chain, state, mut units) = match resume {
            Resume::NewEpoch(unconfirmed) => {
                first.extend(unconfirmed.iter().filter_map(restated));
                (new_epoch(config.device, entropy), state, Vec::new())
            }
            Resume::After(chain) => (chain, state, Vec::new()),
            Resume::Repeat(Unconfirmed { before, state, units }) => (before, state, units),
        };
        let mut journal = Self {
            disk,
            sealer: RecordSealer::new(&Zeroizing::new([0; 16])),
            config,
            segments,
            chain,
            state,
            poisoned: false,
            damaged,
            read_position: None,
        };
        if let Some(last) = journal.segments.last_mut()
            && last.before.epoch == chain.head().epoch
        {
            last.last_seq = last.last_seq.min(chain.head().seq);
        }
        let mut end = chain;
        for unit in &units {
            recovery::push_all(&mut end, unit).expect("recovery has just read them from this chain");
        }
        units.push(records_of(&first, &mut end, now, entropy)?);
        journal.begin_segment(next_ordinal, &units, now, entropy)?;
        journal.set_damaged_aside();
        // The new segment repeats these as a whole, and their own sync may have failed.
        journal.delete_segments(|one| one.before == chain.head() && one.name.ordinal < next_ordinal)?;
        if !report.new_epoch {
            journal.renumber_current()?;
        }
        Ok((journal, report))
    }

    /// Gives the current segment the ordinal after that of the one before it, which the opening has just read or found complete.
    /// At the next opening, a gap between them would mean that a segment may be missing, and cost reading the one before.
    fn renumber_current(&mut self) -> Result<(), JournalError> {
        let [.., previous, current] = self.segments.as_mut_slice() else { return Ok(()) };
        let ordinal = previous.name.ordinal.saturating_add(1);
        let name = SegmentName::new(ordinal, &current.before);
        rename(&mut self.disk, current, name)
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
        let mut end = self.chain;
        let records = records_of(entries, &mut end, now, entropy)?;
        match self.segments.last() {
            Some(current) if !current.is_full(now, self.config.limits.segment_bytes) => {
                let bytes = self.sealer.seal_unit(&records).ok_or(JournalError::Sealing)?;
                self.write(&bytes)?;
                self.add_unit(&records);
                Ok(())
            }
            Some(_) | None => self.begin_segment(self.next_ordinal(), &[records], now, entropy),
        }
    }

    /// Begins a new epoch, because the present one can no longer be delivered as it is: a part of it cannot be read, or the
    /// platform has other records of it. The open work goes on in the new epoch; `entries` are recorded in it first.
    ///
    /// # Errors
    /// As for [`Journal::append`].
    pub fn begin_epoch(
        &mut self,
        entries: &[Entry],
        now: UnixMs,
        entropy: EntropyFn<'_>,
    ) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        let opened =
            self.config.opening(Some(self.head()), 0, u32::try_from(self.damaged.len()).unwrap_or(u32::MAX));
        let next = self.next_ordinal();
        self.chain = new_epoch(self.config.device, entropy);
        let mut end = self.chain;
        let unit = records_of(&[&[opened], entries].concat(), &mut end, now, entropy)?;
        self.begin_segment(next, &[unit], now, entropy)?;
        self.set_damaged_aside();
        Ok(())
    }

    /// Sets damaged segments aside, under another name or, where nothing of them can be read, out of the journal. When a file cannot
    /// even be moved, it is left where it is: service goes on without it, and the next opening finds it again.
    fn set_damaged_aside(&mut self) {
        for found in std::mem::take(&mut self.damaged) {
            let at = self.segments.iter().position(|segment| segment.name.stem == found.stem);
            let segment = at.map(|at| (at, self.segments.remove(at)));
            // An acknowledgement may have changed the name.
            let name = segment.as_ref().map_or(found, |(_, segment)| segment.name.clone());
            // Read again: records may have been appended to the current segment after its damage was found.
            let end = recovery::readable_end(&mut self.disk, &self.config, &name);
            match segment.zip(end) {
                Some(((at, mut segment), end)) => {
                    segment.last_seq = segment.last_seq.min(end.seq);
                    rename(&mut self.disk, &mut segment, SegmentName { is_damaged: true, ..name }).ok();
                    self.segments.insert(at, segment);
                }
                None => drop(self.disk.quarantine(&name.to_string())),
            }
        }
    }

    /// Whether damage was found since the epoch began: call [`Journal::begin_epoch`].
    #[must_use]
    pub const fn needs_new_epoch(&self) -> bool {
        !self.damaged.is_empty()
    }

    fn next_ordinal(&self) -> u64 {
        self.segments.last().map_or(0, |current| current.name.ordinal.saturating_add(1))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let Some(current) = self.segments.last_mut() else { return Err(JournalError::Poisoned) };
        // If one of the operations below fails, the content of the disk is unknown.
        self.poisoned = true;
        let name = current.name.to_string();
        self.disk.append(&name, bytes).map_err(|e| JournalError::Disk("append", e))?;
        self.disk.sync(&name).map_err(|e| JournalError::Disk("sync", e))?;
        current.extend(bytes);
        self.poisoned = false;
        Ok(())
    }

    /// Begins a new segment with its own key and these units, in one write.
    fn begin_segment(
        &mut self,
        ordinal: u64,
        units: &[Vec<Record>],
        now: UnixMs,
        entropy: EntropyFn<'_>,
    ) -> Result<(), JournalError> {
        let key: SegmentKey = Zeroizing::new(entropy());
        let before = self.chain.head();
        let wrap_nonce = entropy().first_chunk().copied().unwrap_or_default();
        let snapshot = Snapshot { units: units.len(), state: &self.state };
        let snapshot = Zeroizing::new(serde_json::to_vec(&snapshot).map_err(JournalError::Snapshot)?);
        let sealer = RecordSealer::new(&key);
        let mut bytes = segment::encode_head(&before, &snapshot, &key, &self.config.wrap_key, wrap_nonce)
            .ok_or(JournalError::Sealing)?;
        for unit in units {
            bytes.extend(sealer.seal_unit(unit).ok_or(JournalError::Sealing)?);
        }
        let name = SegmentName::new(ordinal, &before);
        self.poisoned = true;
        self.disk.create(&name.to_string()).map_err(|e| JournalError::Disk("begin a segment", e))?;
        self.sealer = sealer;
        self.segments.push(SegmentInfo::new(name, before, now));
        self.write(&bytes)?;
        units.iter().for_each(|unit| self.add_unit(unit));
        Ok(())
    }

    /// Accounts for a durable unit.
    fn add_unit(&mut self, records: &[Record]) {
        recovery::push_all(&mut self.chain, records)
            .expect("the records were made from the chain's own head");
        recovery::apply_all(&mut self.state, records);
        if let Some(current) = self.segments.last_mut() {
            current.last_seq = self.chain.head().seq;
        }
    }

    /// The state after all records.
    #[must_use]
    pub const fn state(&self) -> &S {
        &self.state
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

    /// The highest number of an epoch that the platform is known to have acknowledged in an earlier process.
    #[must_use]
    pub fn acknowledged(&self, epoch: u64) -> Option<u64> {
        let of_epoch = self.segments.iter().filter(|segment| segment.before.epoch == epoch);
        of_epoch.filter(|segment| segment.name.settled_at.is_some()).map(|segment| segment.last_seq).max()
    }

    /// Handles an acknowledgement: the platform, whose clock shows `platform`, has stored all records of this epoch up to
    /// this number. Segments that were acknowledged long enough ago are deleted, and with them the only copy of their keys.
    /// A platform that was restored from a backup acknowledges less than before.
    ///
    /// # Errors
    /// When a segment cannot be renamed or deleted.
    pub fn acknowledge(&mut self, epoch: u64, upto: u64, platform: UnixMs) -> Result<(), JournalError> {
        let current = self.segments.len().saturating_sub(1);
        for segment in self.segments.iter_mut().take(current).filter(|one| one.before.epoch == epoch) {
            let settled_at = (segment.last_seq <= upto).then(|| {
                // Not later than now: the platform's clock may have been ahead when it acknowledged.
                segment.name.settled_at.map_or(platform, |at| at.min(platform))
            });
            let name = SegmentName { settled_at, ..segment.name.clone() };
            rename(&mut self.disk, segment, name)?;
        }
        let settled_before = UnixMs(platform.0.saturating_sub(RETENTION_MS));
        self.delete_segments(|segment| segment.name.settled_at.is_some_and(|at| at < settled_before))
    }

    /// Handles that the platform will never take the rest of this epoch: its segments are kept like acknowledged ones, and then
    /// set aside instead of deleted.
    ///
    /// # Errors
    /// When a segment cannot be renamed.
    pub fn abandon_epoch(&mut self, epoch: u64, platform: UnixMs) -> Result<(), JournalError> {
        for segment in self.segments.iter_mut().filter(|segment| segment.before.epoch == epoch) {
            let name = SegmentName { is_damaged: true, ..segment.name.clone() };
            rename(&mut self.disk, segment, name)?;
        }
        self.acknowledge(epoch, u64::MAX, platform)
    }

    /// Deletes the segments that nothing needs any more. Damaged ones are evidence: they are set aside.
    fn delete_segments(&mut self, is_due: impl Fn(&SegmentInfo) -> bool) -> Result<(), JournalError> {
        while let Some(at) = self.segments.iter().position(&is_due) {
            let segment = self.segments.remove(at);
            let name = segment.name.to_string();
            let gone =
                if segment.name.is_damaged { self.disk.quarantine(&name) } else { self.disk.delete(&name) };
            gone.map_err(|error| JournalError::Disk("delete a segment", error))?;
        }
        Ok(())
    }

    /// Whether the journal is above its high-water mark: new money is refused until the platform has acknowledged
    /// records and their segments are deleted.
    #[must_use]
    pub fn is_above_high_water(&self) -> bool {
        self.segments.iter().map(|segment| segment.bytes).sum::<u64>() >= self.config.limits.high_water
    }

    /// Returns the disk and the configuration, to reopen the journal after a failure.
    #[must_use]
    pub fn into_parts(self) -> (D, JournalConfig) {
        (self.disk, self.config)
    }
}

/// The chain of a new epoch, whose number is drawn.
fn new_epoch(device: KioskId, entropy: EntropyFn<'_>) -> Chain {
    let epoch = entropy().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Chain::genesis(device, epoch)
}

/// The entry that states a record again in a new epoch. None for what concerns its own epoch only, for what this version does not
/// understand, and for what would be too long; what was stated again before stays what it is.
#[must_use]
pub fn restated(record: &Record) -> Option<Entry> {
    let RecordHeader { epoch, seq, time, .. } = record.header;
    match Entry::decode(&record.body) {
        Ok(Entry::JournalOpened { .. }) | Err(_) => None,
        Ok(entry @ Entry::Restated { .. }) => Some(entry),
        Ok(entry) => Some(Entry::Restated { epoch, seq, time, record: Box::new(entry) })
            .filter(|entry| entry.encode().len() <= RECORD_BYTES_MAX),
    }
}

/// The records of these entries, which continue the chain.
fn records_of(
    entries: &[Entry],
    chain: &mut Chain,
    now: UnixMs,
    entropy: EntropyFn<'_>,
) -> Result<Vec<Record>, JournalError> {
    let mut records = Vec::with_capacity(entries.len());
    for entry in entries {
        let body = entry.encode();
        if body.len() > RECORD_BYTES_MAX {
            return Err(JournalError::TooLong(body.len()));
        }
        let header = RecordHeader {
            kind: entry.kind(),
            body_len: u32::try_from(body.len()).unwrap_or(u32::MAX),
            device: chain.head().device,
            epoch: chain.head().epoch,
            seq: chain.head().seq.saturating_add(1),
            time: now,
        };
        let record = Record { header, salt: entropy(), body };
        chain.push(&header, &record.commitment()).expect("the header was made from the chain's own head");
        records.push(record);
    }
    Ok(records)
}
