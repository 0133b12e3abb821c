//! Recovery: reads an existing journal, finds damage, and computes the open work.

use contract::{Chain, Entry, Head, UnixMs};

use crate::checkpoint::{Checkpoint, SegmentInfo};
use crate::disk::Disk;
use crate::journal::{JournalConfig, JournalError, RecoveryReport};
use crate::projection::OpenWork;
use crate::segment::{self, HEAD_LEN, RecordSealer, SegmentError, SegmentHead};

/// Result of recovery.
#[derive(Default)]
pub(crate) struct Recovered {
    /// Oldest first.
    pub(crate) segments: Vec<SegmentInfo>,
    pub(crate) work: OpenWork,
    /// End of the chain; `None` when a new epoch must begin.
    pub(crate) chain: Option<Chain>,
    /// Head at the end of the last readable segment.
    pub(crate) previous: Option<Head>,
    pub(crate) report: RecoveryReport,
    /// The ordinal of the next segment.
    pub(crate) next_ordinal: u64,
}

/// Reads the journal: from the checkpoint on if it matches, else from the first record. Quarantines damaged
/// segments, and syncs the last one: after a failed sync its tail may be readable and yet not durable, and
/// nothing may be appended after such a tail.
pub(crate) fn recover<D: Disk>(
    disk: &mut D,
    config: &JournalConfig,
    checkpoint: Option<Checkpoint>,
) -> Result<Recovered, JournalError> {
    let failed = |doing| move |error| JournalError::Disk(doing, error);
    let mut names: Vec<(u64, String)> = disk
        .list()
        .map_err(failed("list the segment files"))?
        .into_iter()
        .filter_map(|name| segment_ordinal(&name).map(|ordinal| (ordinal, name)))
        .collect();
    names.sort();
    let resumed = match checkpoint {
        Some(checkpoint) => resume_from_checkpoint(disk, config, &names, checkpoint)?,
        None => None,
    };
    let mut recovered = resumed.unwrap_or_default();
    recovered.next_ordinal = names.last().map_or(0, |(last, _)| last.saturating_add(1));
    let covered = recovered.segments.len();
    for (ordinal, name) in names.into_iter().skip(covered) {
        let bytes = disk.read(&name).map_err(failed("read a segment"))?;
        let read = read_segment(&bytes, config, recovered.chain, &mut recovered.work);
        // Torn tails of earlier segments were reported when the next segment was begun.
        recovered.report.torn_bytes = read.torn_bytes;
        recovered.report.replayed_records += read.records;
        match read.end {
            SegmentEnd::Damaged => {
                recovered.report.damaged_segments += 1;
                disk.quarantine(&name).map_err(failed("quarantine a segment"))?;
                recovered.chain = None;
            }
            // The process ended while it created the segment.
            SegmentEnd::Unfinished => disk.delete(&name).map_err(failed("delete an unfinished segment"))?,
            SegmentEnd::Intact(chain) => {
                recovered.chain = Some(chain);
                recovered.previous = Some(chain.head());
                recovered.segments.push(SegmentInfo { name, ordinal, ..read.segment });
            }
        }
    }
    if let Some(last) = recovered.segments.last() {
        disk.sync(&last.name).map_err(failed("sync the last segment"))?;
    }
    Ok(recovered)
}

/// Extracts the ordinal from a segment's file name.
fn segment_ordinal(name: &str) -> Option<u64> {
    let (ordinal, rest) = name.split_once('-')?;
    (ordinal.len() == 10 && rest.ends_with(".seg")).then(|| ordinal.parse().ok()).flatten()
}

/// Resumes recovery from a checkpoint and reads the tail of its last segment. `None` when the checkpoint does
/// not match exactly the first files, or when the tail is damaged.
///
/// The bytes before the checkpoint are still compared with its checksums, which costs a hundredth of
/// decrypting them: so a checkpoint does not hide bit rot.
fn resume_from_checkpoint<D: Disk>(
    disk: &mut D,
    config: &JournalConfig,
    names: &[(u64, String)],
    checkpoint: Checkpoint,
) -> Result<Option<Recovered>, JournalError> {
    let Checkpoint { software, head, mut segments, mut work } = checkpoint;
    if software != config.software || head.device != config.device {
        return Ok(None);
    }
    // Acknowledged segments may have been deleted since, oldest first.
    if let Some((_, oldest)) = names.first() {
        segments.retain(|segment| segment.name >= *oldest);
    }
    let on_disk = names.iter().map(|(_, name)| name).take(segments.len());
    let Some((last, earlier)) = segments.split_last_mut() else { return Ok(None) };
    if !earlier.iter().chain([&*last]).map(|segment| &segment.name).eq(on_disk) {
        return Ok(None);
    }
    let mut read = |name: &str| disk.read(name).map_err(|e| JournalError::Disk("read a segment", e));
    for segment in earlier {
        if segment.verified_tail(&read(&segment.name)?).is_none_or(|tail| !tail.is_empty()) {
            return Ok(None);
        }
    }
    let file = read(&last.name)?;
    let Some(tail) = last.verified_tail(&file) else { return Ok(None) };
    let Ok((opened, _)) = segment::decode_head(&file, &config.wrap_key) else { return Ok(None) };
    let read = read_records(&opened, tail, Chain::from_head(head), last.clone(), &mut work);
    let SegmentEnd::Intact(chain) = read.end else { return Ok(None) };
    *last = read.segment;
    let report = RecoveryReport {
        torn_bytes: read.torn_bytes,
        replayed_records: read.records,
        ..RecoveryReport::default()
    };
    let (chain, previous) = (Some(chain), Some(chain.head()));
    Ok(Some(Recovered { segments, work, chain, previous, report, next_ordinal: 0 }))
}

/// Result of reading one segment.
struct SegmentRead {
    segment: SegmentInfo,
    torn_bytes: u64,
    records: u64,
    end: SegmentEnd,
}

enum SegmentEnd {
    /// Intact up to this chain; the bytes after it were torn and never confirmed to the caller.
    Intact(Chain),
    /// The segment's head is incomplete.
    Unfinished,
    /// Durable records cannot be read.
    Damaged,
}

/// Reads a segment from its head and applies its records to the open work, as far as they are readable.
fn read_segment(
    bytes: &[u8],
    config: &JournalConfig,
    before: Option<Chain>,
    work: &mut OpenWork,
) -> SegmentRead {
    let nowhere = Head { device: config.device, epoch: 0, seq: 0, hash: [0; 32] };
    let mut segment = SegmentInfo::empty(String::new(), 0, nowhere, UnixMs(0));
    let (opened, records) = match segment::decode_head(bytes, &config.wrap_key) {
        Ok(opened) => opened,
        Err(SegmentError::Torn) if bytes.len() < HEAD_LEN => {
            return SegmentRead {
                segment,
                torn_bytes: length(bytes),
                records: 0,
                end: SegmentEnd::Unfinished,
            };
        }
        Err(SegmentError::Torn | SegmentError::Checksum | SegmentError::Unseal | SegmentError::Foreign) => {
            return SegmentRead { segment, torn_bytes: 0, records: 0, end: SegmentEnd::Damaged };
        }
    };
    segment.before = opened.before;
    segment.last_seq = opened.before.seq;
    segment.extend(bytes.get(..HEAD_LEN).unwrap_or_default());
    let mut read = read_records(&opened, records, Chain::from_head(opened.before), segment, work);
    // A segment that does not continue where the previous one ended shows that durable records are missing.
    let foreign = opened.before.device != config.device;
    let gap = before
        .is_some_and(|chain| chain.head().epoch == opened.before.epoch && chain.head() != opened.before);
    if foreign || gap {
        read.end = SegmentEnd::Damaged;
    }
    read
}

/// Reads the records of a segment, which continue from `chain`.
fn read_records(
    opened: &SegmentHead,
    bytes: &[u8],
    mut chain: Chain,
    mut segment: SegmentInfo,
    work: &mut OpenWork,
) -> SegmentRead {
    segment.extend(bytes);
    let mut read = SegmentRead { segment, torn_bytes: 0, records: 0, end: SegmentEnd::Damaged };
    let mut rest = bytes;
    while !rest.is_empty() {
        match opened.sealer.open(rest) {
            Ok((record, next)) => {
                if chain.push(&record.header, &record.commitment()).is_err() {
                    return read;
                }
                let entry = Entry::decode(&record.body).ok();
                if let Some(entry) = &entry {
                    work.apply(entry, record.header.time);
                }
                if read.segment.begun == UnixMs(0) {
                    read.segment.begun = record.header.time;
                }
                read.segment.add_record(&record.header, entry.as_ref());
                read.records += 1;
                rest = next;
            }
            Err(_) if whole_record_follows(rest, &opened.sealer) => return read,
            Err(_) => {
                read.torn_bytes = length(rest);
                break;
            }
        }
    }
    read.end = SegmentEnd::Intact(chain);
    read
}

/// Distinguishes bit rot from a torn tail: intact records follow rot, none follows a torn write.
fn whole_record_follows(broken: &[u8], sealer: &RecordSealer) -> bool {
    (1..broken.len()).any(|at| broken.get(at..).is_some_and(|rest| sealer.open(rest).is_ok()))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
