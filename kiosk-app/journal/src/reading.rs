//! Recovery: reads an existing journal, finds damage, and computes the open work.

use contract::{Chain, Entry, Head, UnixMs};

use crate::checkpoint::{Checkpoint, Segment};
use crate::disk::Disk;
use crate::fold::OpenWork;
use crate::journal::{Identity, JournalError, Opening};
use crate::segment::{self, Broken, HEAD_LEN, Opened, Sealer};

/// Result of recovery.
#[derive(Default)]
pub(crate) struct Folded {
    /// Oldest first.
    pub(crate) segments: Vec<Segment>,
    pub(crate) work: OpenWork,
    /// End of the chain; `None` when a new epoch must begin.
    pub(crate) chain: Option<Chain>,
    /// Head at the end of the last readable segment.
    pub(crate) previous: Option<Head>,
    pub(crate) opening: Opening,
    /// The ordinal of the next segment.
    pub(crate) next: u64,
}

/// Reads the journal: from the checkpoint on if it matches, else from the first record. Quarantines damaged
/// segments, and syncs the last one: after a failed sync its tail may be readable and yet not durable, and
/// nothing may be appended after such a tail.
pub(crate) fn fold<D: Disk>(
    disk: &mut D,
    config: &Identity,
    checkpoint: Option<Checkpoint>,
) -> Result<Folded, JournalError> {
    let failed = |doing| move |error| JournalError::Disk(doing, error);
    let mut names: Vec<(u64, String)> = disk
        .list()
        .map_err(failed("list the segment files"))?
        .into_iter()
        .filter_map(|name| ordinal_of(&name).map(|ordinal| (ordinal, name)))
        .collect();
    names.sort();
    let resumed = match checkpoint {
        Some(checkpoint) => resume(disk, config, &names, checkpoint)?,
        None => None,
    };
    let mut recovered = resumed.unwrap_or_default();
    recovered.next = names.last().map_or(0, |(last, _)| last.saturating_add(1));
    let covered = recovered.segments.len();
    for (ordinal, name) in names.into_iter().skip(covered) {
        let bytes = disk.read(&name).map_err(failed("read a segment"))?;
        let read = read_whole(&bytes, config, recovered.chain, &mut recovered.work);
        // Torn tails of earlier segments were reported when the next segment was begun.
        recovered.opening.torn_bytes = read.torn_bytes;
        recovered.opening.folded += read.records;
        match read.end {
            End::Damaged => {
                recovered.opening.damaged_segments += 1;
                disk.set_aside(&name).map_err(failed("quarantine a segment"))?;
                recovered.chain = None;
            }
            // The process ended while it created the segment.
            End::Unfinished => disk.delete(&name).map_err(failed("delete an unfinished segment"))?,
            End::At(chain) => {
                recovered.chain = Some(chain);
                recovered.previous = Some(chain.head());
                recovered.segments.push(Segment { name, ordinal, ..read.segment });
            }
        }
    }
    if let Some(last) = recovered.segments.last() {
        disk.sync(&last.name).map_err(failed("sync the last segment"))?;
    }
    Ok(recovered)
}

/// Extracts the ordinal from a segment's file name.
fn ordinal_of(name: &str) -> Option<u64> {
    let (ordinal, rest) = name.split_once('-')?;
    (ordinal.len() == 10 && rest.ends_with(".seg")).then(|| ordinal.parse().ok()).flatten()
}

/// Resumes recovery from a checkpoint and reads the tail of its last segment. `None` when the checkpoint does
/// not match exactly the first files, or when the tail is damaged.
///
/// The bytes before the checkpoint are still compared with its checksums, which costs a hundredth of
/// decrypting them: so a checkpoint does not hide bit rot.
fn resume<D: Disk>(
    disk: &mut D,
    config: &Identity,
    names: &[(u64, String)],
    checkpoint: Checkpoint,
) -> Result<Option<Folded>, JournalError> {
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
        if segment.tail_of(&read(&segment.name)?).is_none_or(|tail| !tail.is_empty()) {
            return Ok(None);
        }
    }
    let file = read(&last.name)?;
    let Some(tail) = last.tail_of(&file) else { return Ok(None) };
    let Ok((opened, _)) = segment::open_head(&file, &config.wrap) else { return Ok(None) };
    let read = read_records(&opened, tail, Chain::from_head(head), last.clone(), &mut work);
    let End::At(chain) = read.end else { return Ok(None) };
    *last = read.segment;
    let report = Opening { torn_bytes: read.torn_bytes, folded: read.records, ..Opening::default() };
    let (chain, previous) = (Some(chain), Some(chain.head()));
    Ok(Some(Folded { segments, work, chain, previous, opening: report, next: 0 }))
}

/// Result of reading one segment.
struct Read {
    segment: Segment,
    torn_bytes: u64,
    records: u64,
    end: End,
}

enum End {
    /// Intact up to this chain; the bytes after it were torn and never confirmed to the caller.
    At(Chain),
    /// The segment's head is incomplete.
    Unfinished,
    /// Durable records cannot be read.
    Damaged,
}

/// Reads a segment from its head and applies its records to the open work, as far as they are readable.
fn read_whole(bytes: &[u8], config: &Identity, before: Option<Chain>, work: &mut OpenWork) -> Read {
    let nowhere = Head { device: config.device, epoch: 0, seq: 0, hash: [0; 32] };
    let mut segment = Segment::begin(String::new(), 0, nowhere, UnixMs(0));
    let (opened, records) = match segment::open_head(bytes, &config.wrap) {
        Ok(opened) => opened,
        Err(Broken::Torn) if bytes.len() < HEAD_LEN => {
            return Read { segment, torn_bytes: length(bytes), records: 0, end: End::Unfinished };
        }
        Err(Broken::Torn | Broken::Checksum | Broken::Sealed | Broken::Foreign) => {
            return Read { segment, torn_bytes: 0, records: 0, end: End::Damaged };
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
        read.end = End::Damaged;
    }
    read
}

/// Reads the records of a segment, which continue from `chain`.
fn read_records(
    opened: &Opened,
    bytes: &[u8],
    mut chain: Chain,
    mut segment: Segment,
    work: &mut OpenWork,
) -> Read {
    segment.extend(bytes);
    let mut read = Read { segment, torn_bytes: 0, records: 0, end: End::Damaged };
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
                read.segment.note(&record.header, entry.as_ref());
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
    read.end = End::At(chain);
    read
}

/// Distinguishes bit rot from a torn tail: intact records follow rot, none follows a torn write.
fn whole_record_follows(broken: &[u8], sealer: &Sealer) -> bool {
    (1..broken.len()).any(|at| broken.get(at..).is_some_and(|rest| sealer.open(rest).is_ok()))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
