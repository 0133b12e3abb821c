//! Reading the journal for the uplink.

use std::io;

use contract::{Chain, Head, Record};

use crate::disk::Disk;
use crate::error::JournalError;
use crate::journal::Journal;
use crate::recovery::{push_all, readable_end};
use crate::segment;
use crate::segment_info::{ReadPosition, SegmentInfo};
use crate::state::JournalState;

/// A segment that failed to be read this often is taken for damaged: a cable or a controller may have failed for a moment.
const READ_FAILURES_MAX: u32 = 3;
/// One read gives up or passes over this many segments at most, so that it ends. The next read goes on without them.
const ROUNDS_MAX: u32 = 1_000;

/// What follows a number of an epoch.
#[derive(Clone, PartialEq, Eq)]
pub enum NextRecords {
    /// The next records, and the chain's head before the first of them.
    Records(Head, Vec<Record>),
    /// The next records no longer exist. The first one that does comes after this head.
    Missing(Head),
}

impl<S: JournalState, D: Disk> Journal<S, D> {
    /// What follows number `after` of an epoch: at most `records_max` records and about `bytes_max` bytes of bodies. `None` when
    /// nothing does. Records that turn out to be unreadable are missing from then on, and a new epoch is needed.
    ///
    /// # Errors
    /// When the segment cannot be read. Try again later; after some attempts it is taken for damaged.
    pub fn read_after(
        &mut self,
        epoch: u64,
        after: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Option<NextRecords>, JournalError> {
        let mut resumes: Option<Head> = None;
        for _ in 0..ROUNDS_MAX {
            let wanted = resumes.map_or(after, |resumes| resumes.seq);
            if let Some(at) = self.segments.iter().position(|segment| segment.continues_after(epoch, wanted))
            {
                let (from, records) = self.read_segment_after(at, wanted, records_max, bytes_max)?;
                if !records.is_empty() {
                    let found = resumes.map_or(NextRecords::Records(from, records), NextRecords::Missing);
                    return Ok(Some(found));
                }
                self.give_up_rest(at, from.seq);
                continue;
            }
            // Of a segment between two gaps, the head alone may be left.
            let of_epoch = self.segments.iter().filter(|segment| segment.before.epoch == epoch);
            let later = of_epoch.map(|segment| segment.before).filter(|before| before.seq > wanted);
            resumes = later.min_by_key(|before| before.seq);
            if resumes.is_none() {
                return Ok(None);
            }
        }
        let error = io::Error::other("too many damaged segments follow each other");
        Err(JournalError::Disk("read the segments", error))
    }

    /// The hash of the chain after number `seq` of an epoch; `None` when those records no longer exist.
    ///
    /// # Errors
    /// As for [`Journal::read_after`].
    pub fn head_at(&mut self, epoch: u64, seq: u64) -> Result<Option<Head>, JournalError> {
        let mut heads = self.segments.iter().map(|segment| segment.before);
        if let Some(head) = heads.find(|head| (head.epoch, head.seq) == (epoch, seq)) {
            return Ok(Some(head));
        }
        let Some(after) = seq.checked_sub(1) else { return Ok(None) };
        match self.read_after(epoch, after, 1, usize::MAX)? {
            Some(NextRecords::Records(from, records)) => {
                let mut chain = Chain::from_head(from);
                Ok(push_all(&mut chain, &records).map(|()| chain.head()))
            }
            Some(NextRecords::Missing(_)) | None => Ok(None),
        }
    }

    /// The readable records of one segment after a number, and the head before them.
    fn read_segment_after(
        &mut self,
        at: usize,
        after: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<(Head, Vec<Record>), JournalError> {
        let Some(segment) = self.segments.get_mut(at) else { return Err(JournalError::Poisoned) };
        let bytes = match self.disk.read(&segment.name.to_string()) {
            Ok(bytes) => bytes,
            Err(error) => {
                segment.read_failures = segment.read_failures.saturating_add(1);
                if segment.read_failures < READ_FAILURES_MAX {
                    return Err(JournalError::Disk("read a segment", error));
                }
                Vec::new()
            }
        };
        segment.read_failures = 0;
        let nothing = Ok((segment.before, Vec::new()));
        let Ok((opened, rest)) = segment::decode_head(&bytes, &self.config.wrap_key) else { return nothing };
        let Ok(snapshot) = opened.open_snapshot(rest) else { return nothing };
        let all = snapshot.as_ref().map_or(rest, |snapshot| snapshot.units);
        let known = self
            .read_position
            .filter(|position| position.ordinal == segment.name.ordinal && position.head.seq <= after);
        let mut position =
            known.unwrap_or(ReadPosition { ordinal: segment.name.ordinal, head: opened.before, offset: 0 });
        let mut chain = Chain::from_head(position.head);
        let mut from = position.head;
        let mut rest = all.get(position.offset..).unwrap_or_default();
        let (mut records, mut taken) = (Vec::new(), 0_usize);
        'units: while let Ok((unit, next)) = opened.open_unit(rest) {
            rest = next;
            for record in unit {
                let beyond = record.header.seq > segment.last_seq;
                if beyond || chain.push(&record.header, &record.commitment()).is_err() {
                    break 'units;
                }
                if record.header.seq <= after {
                    from = chain.head();
                    continue;
                }
                taken = taken.saturating_add(record.body.len());
                if records.len() >= records_max || (taken > bytes_max && !records.is_empty()) {
                    break 'units;
                }
                records.push(record);
            }
            if chain.head().seq <= after {
                position = ReadPosition { head: chain.head(), offset: all.len() - rest.len(), ..position };
            }
        }
        self.read_position = Some(position);
        Ok((from, records))
    }

    /// The records of a segment after this number cannot be read. It stays until the next epoch begins, which is at once: records may
    /// still be appended to the current one.
    fn give_up_rest(&mut self, at: usize, readable: u64) {
        let Some(segment) = self.segments.get_mut(at) else { return };
        self.read_position = None;
        self.damaged.push(segment.name.clone());
        let (before, last_seq) = (segment.before, segment.last_seq);
        segment.last_seq = readable;
        if readable == before.seq {
            self.extend_one_before(at, before, last_seq);
        }
    }

    /// What the segment at this place repeated of the one before it can still be read there.
    fn extend_one_before(&mut self, at: usize, before: Head, last_seq: u64) {
        let ends_there =
            |one: &&mut SegmentInfo| one.before.epoch == before.epoch && one.last_seq == before.seq;
        let Some(previous) = self.segments.iter_mut().take(at).find(ends_there) else { return };
        let end = readable_end(&mut self.disk, &self.config, &previous.name);
        previous.last_seq = end.map_or(before.seq, |end| end.seq.min(last_seq).max(before.seq));
    }
}
