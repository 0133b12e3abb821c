//! Recovery: finds the newest segment whose snapshot can be read, folds what follows, and finds damage.

use contract::{Chain, Entry, Head, Record, UnixMs};

use crate::config::{JournalConfig, RecoveryReport};
use crate::disk::Disk;
use crate::error::JournalError;
use crate::segment::{self, HEAD_LEN, SegmentError, SegmentHead};
use crate::segment_info::{SegmentInfo, SegmentName};
use crate::state::{JournalState, Snapshot};

/// Result of recovery.
pub(crate) struct Recovered<S> {
    /// Oldest first.
    pub(crate) segments: Vec<SegmentInfo>,
    /// The state after all records that could be read.
    pub(crate) state: S,
    /// Where the next segment begins.
    pub(crate) resume: Resume<S>,
    /// End of the chain as far as it could be read.
    pub(crate) previous: Option<Head>,
    pub(crate) report: RecoveryReport,
    /// Damaged segments, to be set aside when the new epoch is durable.
    pub(crate) damaged: Vec<SegmentName>,
    /// The ordinal of the next segment.
    pub(crate) next_ordinal: u64,
}

/// Where the next segment begins.
pub(crate) enum Resume<S> {
    /// In a new epoch: there is no journal, or damage was found in it. The last units, whose sync may have failed, are stated again
    /// there: they are in the state.
    NewEpoch(Vec<Record>),
    /// After this chain.
    After(Chain),
    /// Before units whose sync may have failed, which the new segment repeats: the last one, or all of a segment that was begun
    /// and never appended to. Their bytes can be read and yet be lost with the next power cut: Linux reports a failed sync
    /// once, and takes the pages for clean afterwards.
    Repeat(Unconfirmed<S>),
}

/// Units at the end of the journal of which nothing shows that they are durable.
pub(crate) struct Unconfirmed<S> {
    /// Chain and state before them.
    pub(crate) before: Chain,
    pub(crate) state: S,
    pub(crate) units: Vec<Vec<Record>>,
}

/// A segment file that was read, from the newest backwards.
struct ReadFile {
    name: SegmentName,
    head: SegmentHead,
    /// Number of units that were written together with the snapshot; 0 without one.
    first_units: usize,
    /// Bytes of the units.
    units: Vec<u8>,
    length: u64,
}

/// Reads the journal. Of a damaged segment, the readable records stay, if there are any.
///
/// # Errors
/// When the directory cannot be listed.
pub(crate) fn recover<S: JournalState, D: Disk>(
    disk: &mut D,
    config: &JournalConfig,
) -> Result<Recovered<S>, JournalError> {
    let listed = disk.list().map_err(|error| JournalError::Disk("list the segment files", error))?;
    let mut names: Vec<SegmentName> = listed.iter().filter_map(|name| SegmentName::parse(name)).collect();
    names.sort();
    let mut recovery = Recovery {
        disk,
        config,
        report: RecoveryReport::default(),
        damaged: Vec::new(),
        next_ordinal: names.last().map_or(0, |last| last.ordinal.saturating_add(1)),
    };
    let (base, files) = recovery.read_back_to_snapshot(&mut names);
    let older = recovery.describe_older(&names, files.first());
    Ok(recovery.fold(base, files, older))
}

/// State of one recovery.
struct Recovery<'a, D> {
    disk: &'a mut D,
    config: &'a JournalConfig,
    report: RecoveryReport,
    damaged: Vec<SegmentName>,
    next_ordinal: u64,
}

impl<D: Disk> Recovery<'_, D> {
    /// Reads segments from the newest back to one with a snapshot; returns it and them, oldest first. Leaves the names of
    /// those that are older.
    fn read_back_to_snapshot<S: JournalState>(
        &mut self,
        names: &mut Vec<SegmentName>,
    ) -> (Option<S>, Vec<ReadFile>) {
        let (mut files, mut base) = (Vec::new(), None);
        while base.is_none()
            && let Some(name) = names.pop()
        {
            let Ok(bytes) = self.disk.read(&name.to_string()) else {
                self.note_unreadable(&name);
                continue;
            };
            // The process ended while it created the segment: nothing in it was confirmed. Of a file whose length alone was
            // durable, the rest reads as zeros. Each failed opening leaves one.
            let is_newest = files.is_empty() && self.damaged.is_empty();
            let is_cut = |error: &SegmentError| *error == SegmentError::Torn || ends_in_zeros(&bytes);
            let decoded = match segment::decode_head(&bytes, &self.config.wrap_key) {
                Ok((head, _)) if head.before.device != self.config.device => Err(SegmentError::Foreign),
                Ok((head, rest)) => head.open_snapshot(rest).map(|snapshot| (head, rest, snapshot)),
                Err(error) => Err(error),
            };
            // A snapshot is written together with a unit.
            let decoded = decoded.and_then(|(head, rest, snapshot)| match &snapshot {
                Some(opened) if is_newest => {
                    head.check_first_unit(opened.units)?;
                    Ok((head, rest, snapshot))
                }
                Some(_) | None => Ok((head, rest, snapshot)),
            });
            match decoded {
                Err(error) if is_newest && is_cut(&error) && !self.has_intact_unit(&bytes) => {
                    self.discard_unfinished(&name, &bytes);
                }
                Ok((head, rest, snapshot)) => {
                    let units = snapshot.as_ref().map_or(rest, |snapshot| snapshot.units).to_vec();
                    let mut first_units = 0;
                    if let Some(snapshot) = snapshot {
                        let read: Option<Snapshot<S>> = serde_json::from_slice(&snapshot.json).ok();
                        // Without it, its records are of use only after a state that an older segment must have.
                        self.report.damaged_segments += u32::from(read.is_none());
                        (base, first_units) = read.map_or((None, 0), |read| (Some(read.state), read.units));
                    }
                    files.push(ReadFile { name, head, first_units, units, length: length(&bytes) });
                }
                Err(_) => self.note_unreadable(&name),
            }
        }
        files.reverse();
        (base, files)
    }

    /// Describes the segments before `next`, of which only the heads are read. A gap counts as damage in the newest epoch only: one
    /// in an earlier epoch was found before, and ended it.
    fn describe_older(&mut self, names: &[SegmentName], next: Option<&ReadFile>) -> Vec<SegmentInfo> {
        let mut described: Vec<SegmentInfo> = Vec::new();
        let mut next_ordinal = next.map(|next| next.name.ordinal);
        let mut next = next.map(|next| next.head.before);
        let newest_epoch = next.map(|next| next.epoch);
        // The segment between two others cannot be read, so it is counted.
        let mut is_gap_counted = false;
        for name in names.iter().rev() {
            let start = self.disk.read_start(&name.to_string(), HEAD_LEN).ok();
            let decoded = start.as_ref().and_then(|(bytes, length)| {
                let (head, _) = segment::decode_head(bytes, &self.config.wrap_key).ok()?;
                (head.before.device == self.config.device).then_some((head, *length))
            });
            let Some((head, length)) = decoded else {
                self.note_unreadable(name);
                is_gap_counted = true;
                continue;
            };
            let mut segment = SegmentInfo::new(name.clone(), head.before, UnixMs(0));
            segment.bytes = length;
            // A segment ends where the next one begins. Where that is not certain, it is read.
            let follows = next.filter(|next| next.epoch == head.before.epoch && next.seq >= head.before.seq);
            let is_adjacent = next_ordinal.is_none_or(|next: u64| next == name.ordinal.saturating_add(1));
            match follows {
                Some(next) if is_adjacent && !name.is_damaged => segment.last_seq = next.seq,
                _ => {
                    let end = readable_end(self.disk, self.config, name).unwrap_or(head.before);
                    segment.last_seq = follows.map_or(end.seq, |next| next.seq.min(end.seq));
                    let is_gap =
                        follows.is_some_and(|next| end.seq < next.seq && Some(next.epoch) == newest_epoch);
                    if is_gap && !is_gap_counted && !name.is_damaged {
                        self.report.damaged_segments += 1;
                    }
                }
            }
            next = Some(head.before);
            next_ordinal = Some(name.ordinal);
            is_gap_counted = false;
            described.push(segment);
        }
        described.reverse();
        described
    }

    /// Folds the records of the files, oldest first, into the state of the snapshot.
    fn fold<S: JournalState>(
        mut self,
        base: Option<S>,
        files: Vec<ReadFile>,
        mut segments: Vec<SegmentInfo>,
    ) -> Recovered<S> {
        let mut state = base.unwrap_or_default();
        let mut end: Option<Chain> = None;
        // The units that were read last and are not folded yet, with the chain before them.
        let mut pending: Option<(Chain, Vec<Vec<Record>>)> = None;
        let newest = files.len().saturating_sub(1);
        for (at, file) in files.into_iter().enumerate() {
            let before = file.head.before;
            if pending.as_ref().is_some_and(|(chain, _)| chain.head() == before) {
                // This segment repeats the units.
                pending = None;
                if let Some(previous) = segments.last_mut() {
                    previous.last_seq = before.seq;
                }
            } else if end.is_some_and(|end| end.head().epoch == before.epoch && end.head() != before) {
                self.report.damaged_segments += 1;
            }
            let mut segment = SegmentInfo::new(file.name, before, UnixMs(0));
            segment.bytes = file.length;
            let mut chain = Chain::from_head(before);
            let mut rest = file.units.as_slice();
            let mut count = 0_usize;
            while !rest.is_empty() {
                let start = chain;
                let unit = file.head.open_unit(rest).ok();
                let Some((records, next)) =
                    unit.filter(|(records, _)| push_all(&mut chain, records).is_some())
                else {
                    if file.head.intact_unit_follows(rest) {
                        self.note_unreadable_rest(&segment.name);
                    } else if at == newest {
                        self.report.torn_bytes = length(rest);
                    }
                    break;
                };
                self.report.replayed_records += u64::try_from(records.len()).unwrap_or(u64::MAX);
                rest = next;
                count += 1;
                match &mut pending {
                    // Written together with the snapshot, so no sync of the segment is known to have succeeded. Only the
                    // oldest file has a number of first units, and nothing is pending before its first one.
                    Some((_, units)) if count <= file.first_units => units.push(records),
                    _ => {
                        let before = pending.replace((start, vec![records]));
                        before.into_iter().flat_map(|(_, units)| units).for_each(|records| {
                            apply_all(&mut state, &records);
                        });
                    }
                }
            }
            segment.last_seq = chain.head().seq;
            end = Some(chain);
            segments.push(segment);
        }
        self.report.new_epoch = end.is_none() || self.report.damaged_segments > 0;
        let state_before = pending.is_some().then(|| state.clone());
        for records in pending.iter().flat_map(|(_, units)| units) {
            apply_all(&mut state, records);
        }
        let resume = match (end, pending.zip(state_before)) {
            (_, pending) if self.report.new_epoch => {
                Resume::NewEpoch(pending.into_iter().flat_map(|((_, units), _)| units).flatten().collect())
            }
            (_, Some(((before, units), state))) => Resume::Repeat(Unconfirmed { before, state, units }),
            (Some(end), None) => Resume::After(end),
            (None, None) => Resume::NewEpoch(Vec::new()),
        };
        let previous = end.map(|end| end.head());
        let Self { report, damaged, next_ordinal, .. } = self;
        Recovered { segments, state, resume, previous, report, damaged, next_ordinal }
    }

    /// Whether a unit of the segment can be read somewhere: it was finished, and a length in it has rotted.
    fn has_intact_unit(&self, bytes: &[u8]) -> bool {
        let head = segment::decode_head(bytes, &self.config.wrap_key);
        head.is_ok_and(|(head, rest)| head.intact_unit_follows(rest))
    }

    /// Notes a segment of which nothing can be read.
    fn note_unreadable(&mut self, name: &SegmentName) {
        self.report.damaged_segments += 1;
        self.damaged.push(name.clone());
    }

    /// Deletes a segment that was never begun. Nothing in it was confirmed, so it is no damage; and on a full disk each attempt
    /// leaves one.
    fn discard_unfinished(&mut self, name: &SegmentName, bytes: &[u8]) {
        self.report.torn_bytes = length(bytes);
        self.disk.delete(&name.to_string()).ok();
    }

    /// Notes a segment of which a part cannot be read.
    fn note_unreadable_rest(&mut self, name: &SegmentName) {
        // Where the name says so already, a new epoch has begun because of it.
        if !name.is_damaged {
            self.note_unreadable(name);
        }
    }
}

/// Head of the chain after the last readable record of a segment.
pub(crate) fn readable_end<D: Disk>(
    disk: &mut D,
    config: &JournalConfig,
    name: &SegmentName,
) -> Option<Head> {
    let bytes = disk.read(&name.to_string()).ok()?;
    let (head, rest) = segment::decode_head(&bytes, &config.wrap_key).ok()?;
    let mut chain = Chain::from_head(head.before);
    let mut rest = head.open_snapshot(rest).ok()?.map_or(rest, |snapshot| snapshot.units);
    while let Ok((records, next)) = head.open_unit(rest) {
        if push_all(&mut chain, &records).is_none() {
            break;
        }
        rest = next;
    }
    Some(chain.head())
}

pub(crate) fn apply_all<S: JournalState>(state: &mut S, records: &[Record]) {
    for record in records {
        // A record that this version does not understand changes nothing of what it keeps.
        if let Ok(entry) = Entry::decode(&record.body) {
            state.apply(&entry, record.header.time);
        }
    }
}

/// Whether the end of a file reads as zeros, which no record does.
fn ends_in_zeros(bytes: &[u8]) -> bool {
    bytes.last_chunk::<16>().is_some_and(|end| end.iter().all(|byte| *byte == 0))
}

/// Appends all records to the chain, or none.
pub(crate) fn push_all(chain: &mut Chain, records: &[Record]) -> Option<()> {
    let mut next = *chain;
    for record in records {
        next.push(&record.header, &record.commitment()).ok()?;
    }
    *chain = next;
    Some(())
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
