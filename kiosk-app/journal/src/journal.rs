//! The log itself: opening, appending, reading for the uplink, letting go of what is settled.

use std::io;

use contract::{Chain, DeviceId, Entry, Head, Header, OrderId, ReceiptId, Record, UnixMs};
use zeroize::Zeroizing;

use crate::disk::Disk;
use crate::fold::OpenWork;
use crate::segment::{self, BODY_MAX, Broken, HEAD_LEN, Key, Sealer};

/// A segment is closed at this size in bytes, or after a day.
const SEGMENT_MAX: u64 = 4 * 1024 * 1024;
const DAY_MS: u64 = 86_400_000;
/// Settled segments are kept this long, for a platform that is restored from a backup.
const KEEP_MS: u64 = 7 * DAY_MS;

/// What a log is opened with.
pub struct Identity {
    /// The kiosk.
    pub device: DeviceId,
    /// Wraps the keys of the segments; from the machine's key store.
    pub wrap: Zeroizing<[u8; 16]>,
    /// Version of the software, for the opening record.
    pub software: String,
    /// SM3 of the site configuration in hexadecimal, for the opening record.
    pub configuration: String,
    /// The log is nearly full at this many bytes.
    pub high_water: u64,
}

/// Random bits for keys, salts and epochs.
pub type Entropy<'a> = &'a mut dyn FnMut() -> [u8; 16];

/// What opening a log found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Bytes of torn tails that were cut: never acknowledged, so nothing is lost.
    pub torn_bytes: u64,
    /// Segments that could not be read whole and were set aside.
    pub damaged_segments: u32,
    /// A new epoch began.
    pub new_epoch: bool,
}

/// Why the log cannot go on. It must be dropped and opened again.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk did not do it.
    #[error("the log's disk failed while it should {0}: check space and health of the disk")]
    Disk(&'static str, #[source] io::Error),
    /// An earlier append failed, so it is not known what is on the disk.
    #[error("an earlier append failed: open the log again")]
    Poisoned,
    /// A record is longer than any entry may be.
    #[error("a record of {0} bytes is too long for the log")]
    TooLong(usize),
    /// The library refused to seal, which it does for inputs far longer than a record only.
    #[error("a record could not be sealed")]
    Sealing,
}

/// The append-only log of one kiosk.
pub struct Journal<D> {
    disk: D,
    identity: Identity,
    /// Oldest first; the last one is being written.
    segments: Vec<Segment>,
    sealer: Sealer,
    chain: Chain,
    work: OpenWork,
    poisoned: bool,
    /// Where the last reading began: the next one mostly goes on from there.
    bookmark: Option<Bookmark>,
}

/// A place in a segment.
#[derive(Clone, Copy)]
struct Bookmark {
    /// Which segment.
    ordinal: u64,
    /// The chain up to the place.
    head: Head,
    /// Bytes from the first record to the place.
    offset: usize,
}

/// What is known of a segment without reading it.
struct Segment {
    name: String,
    ordinal: u64,
    before: Head,
    last_seq: u64,
    bytes: u64,
    begun: UnixMs,
    last_time: UnixMs,
    /// Work that was begun in it; while any is open, the segment stays.
    orders: Vec<OrderId>,
    receipts: Vec<ReceiptId>,
}

impl Segment {
    fn note(&mut self, header: &Header, entry: Option<&Entry>) {
        self.last_seq = header.seq;
        self.last_time = self.last_time.max(header.time);
        match entry {
            Some(Entry::PaymentIntended { order, .. }) => self.orders.push(*order),
            Some(Entry::ReceiptPromised { receipt, .. }) => self.receipts.push(*receipt),
            Some(_) | None => {}
        }
    }

    fn refers_to(&self, work: &OpenWork) -> bool {
        self.orders.iter().any(|order| work.payments.contains_key(order))
            || self.receipts.iter().any(|receipt| work.papers.contains_key(receipt))
    }
}

fn name_of(ordinal: u64, before: &Head) -> String {
    format!("{ordinal:010}-{:016x}-{:016x}.seg", before.epoch, before.seq.saturating_add(1))
}

fn ordinal_of(name: &str) -> Option<u64> {
    let (ordinal, rest) = name.split_once('-')?;
    (ordinal.len() == 10 && rest.ends_with(".seg")).then(|| ordinal.parse().ok()).flatten()
}

impl<D: Disk> Journal<D> {
    /// Opens the log: reads what is there, cuts a torn tail, sets damaged segments aside, and begins a new
    /// segment with an [`Entry::Opened`]. A missing or damaged log begins a new epoch.
    ///
    /// # Errors
    /// When the disk fails. Damage is no error: it is in the [`Opening`] and in the record.
    pub fn open(
        mut disk: D,
        identity: Identity,
        now: UnixMs,
        entropy: Entropy<'_>,
    ) -> Result<(Self, Opening), JournalError> {
        let failed = |doing| move |error| JournalError::Disk(doing, error);
        let mut names: Vec<(u64, String)> = disk
            .list()
            .map_err(failed("list its files"))?
            .into_iter()
            .filter_map(|name| ordinal_of(&name).map(|ordinal| (ordinal, name)))
            .collect();
        names.sort();
        let mut opening = Opening::default();
        let mut work = OpenWork::default();
        let mut segments: Vec<Segment> = Vec::new();
        let mut chain: Option<Chain> = None;
        let mut previous: Option<Head> = None;
        let next = names.last().map_or(0, |(last, _)| last.saturating_add(1));
        for (ordinal, name) in names {
            let bytes = disk.read(&name).map_err(failed("read a segment"))?;
            let read = read_segment(&bytes, &identity, chain, &mut work);
            opening.torn_bytes += read.torn_bytes;
            if read.damaged {
                opening.damaged_segments += 1;
                disk.set_aside(&name).map_err(failed("set a segment aside"))?;
                chain = None;
                continue;
            }
            let Some(head) = read.chain else {
                // Not even its head was finished: the process died while it was made.
                disk.delete(&name).map_err(failed("delete an unfinished segment"))?;
                continue;
            };
            chain = Some(head);
            previous = Some(head.head());
            segments.push(Segment { name, ordinal, ..read.segment });
        }
        if let Some(last) = segments.last() {
            // After a failed sync its tail may be readable and yet not durable: nothing is built on that.
            disk.sync(&last.name).map_err(failed("sync the last segment"))?;
        }
        opening.new_epoch = chain.is_none();
        let going_on = chain.unwrap_or_else(|| {
            let epoch = entropy().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            Chain::genesis(identity.device, epoch)
        });
        let mut journal = Self {
            disk,
            sealer: Sealer::new(&Zeroizing::new([0; 16])),
            identity,
            segments,
            chain: going_on,
            work,
            poisoned: false,
            bookmark: None,
        };
        journal.begin_segment(next, now, entropy)?;
        let opened = Entry::Opened {
            software: journal.identity.software.clone(),
            configuration: journal.identity.configuration.clone(),
            previous: previous.filter(|_| opening.new_epoch),
            torn_bytes: opening.torn_bytes,
            damaged_segments: opening.damaged_segments,
        };
        journal.append(&[opened], now, entropy)?;
        Ok((journal, opening))
    }

    /// Makes the entries durable: one write, one `fdatasync`.
    ///
    /// # Errors
    /// When that is not certain. Nothing of it may be told then, and the log must be opened again.
    pub fn append(
        &mut self,
        entries: &[Entry],
        now: UnixMs,
        entropy: Entropy<'_>,
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
            let header = Header {
                kind: entry.kind(),
                body_len,
                device: self.identity.device,
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
                current.note(header, Some(entry));
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let Some(current) = self.segments.last_mut() else { return Err(JournalError::Poisoned) };
        // Whatever fails below, it is not known what the disk holds.
        self.poisoned = true;
        self.disk.append(&current.name, bytes).map_err(|e| JournalError::Disk("append", e))?;
        self.disk.sync(&current.name).map_err(|e| JournalError::Disk("sync", e))?;
        current.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.poisoned = false;
        Ok(())
    }

    /// A new segment under a key of its own.
    fn begin_segment(&mut self, ordinal: u64, now: UnixMs, entropy: Entropy<'_>) -> Result<(), JournalError> {
        let key: Key = Zeroizing::new(entropy());
        let before = self.chain.head();
        let wrap_nonce = entropy().first_chunk().copied().unwrap_or_default();
        let head =
            segment::head(&before, &key, &self.identity.wrap, wrap_nonce).ok_or(JournalError::Sealing)?;
        let name = name_of(ordinal, &before);
        self.poisoned = true;
        self.disk.create(&name).map_err(|e| JournalError::Disk("begin a segment", e))?;
        self.sealer = Sealer::new(&key);
        self.segments.push(Segment {
            name,
            ordinal,
            before,
            last_seq: before.seq,
            bytes: 0,
            begun: now,
            last_time: now,
            orders: Vec::new(),
            receipts: Vec::new(),
        });
        self.write(&head)
    }

    /// The work that the log leaves open.
    #[must_use]
    pub const fn open_work(&self) -> &OpenWork {
        &self.work
    }

    /// Where the chain stands.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.chain.head()
    }

    /// The epochs that are still here, oldest first.
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

    /// The number before the oldest record of an epoch that is still here: the earlier ones are settled,
    /// or gone with a damaged segment.
    #[must_use]
    pub fn before_oldest(&self, epoch: u64) -> u64 {
        let of_epoch = self.segments.iter().filter(|segment| segment.before.epoch == epoch);
        of_epoch.map(|segment| segment.before.seq).min().unwrap_or(0)
    }

    /// The records after number `after` of an epoch, within the bounds, with the chain's head before the
    /// first of them. Empty when there are none, or when they are gone.
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
        let Ok((opened, all)) = segment::open_head(&bytes, &self.identity.wrap) else {
            return Ok(None);
        };
        let known = self.bookmark.filter(|mark| mark.ordinal == segment.ordinal && mark.head.seq <= after);
        let mut mark = known.unwrap_or(Bookmark { ordinal: segment.ordinal, head: opened.before, offset: 0 });
        let mut chain = Chain::from_head(mark.head);
        let mut rest = all.get(mark.offset..).unwrap_or_default();
        let (mut records, mut taken) = (Vec::new(), 0_usize);
        while let Ok((record, next)) = opened.sealer.open(rest) {
            rest = next;
            let beyond = record.header.seq > segment.last_seq;
            if beyond || chain.push(&record.header, &record.commitment()).is_err() {
                break;
            }
            if record.header.seq <= after {
                mark = Bookmark { head: chain.head(), offset: all.len() - rest.len(), ..mark };
                continue;
            }
            taken = taken.saturating_add(record.body.len());
            if records.len() >= records_max || (taken > bytes_max && !records.is_empty()) {
                break;
            }
            records.push(record);
        }
        let from = mark.head;
        self.bookmark = Some(mark);
        Ok((!records.is_empty()).then_some((from, records)))
    }

    /// The platform has everything of this epoch up to this number: segments that are settled, old
    /// enough and without open work are deleted, and with them the only copy of their keys.
    ///
    /// # Errors
    /// When a segment cannot be deleted.
    pub fn settled(&mut self, epoch: u64, upto: u64, now: UnixMs) -> Result<(), JournalError> {
        let oldest_kept = UnixMs(now.0.saturating_sub(KEEP_MS));
        while let [first, _, ..] = self.segments.as_slice() {
            let settled = first.before.epoch == epoch && first.last_seq <= upto;
            if !settled || first.last_time >= oldest_kept || first.refers_to(&self.work) {
                break;
            }
            let name = first.name.clone();
            self.disk.delete(&name).map_err(|e| JournalError::Disk("delete a segment", e))?;
            self.segments.remove(0);
        }
        Ok(())
    }

    /// The log is nearly full: new money is refused until the platform has taken some of it.
    #[must_use]
    pub fn nearly_full(&self) -> bool {
        self.segments.iter().map(|segment| segment.bytes).sum::<u64>() >= self.identity.high_water
    }

    /// Gives the disk and the identity back, to open the log again after a failure.
    #[must_use]
    pub fn into_parts(self) -> (D, Identity) {
        (self.disk, self.identity)
    }
}

impl Segment {
    fn is_full(&self, now: UnixMs) -> bool {
        self.bytes >= SEGMENT_MAX || now.0.saturating_sub(self.begun.0) >= DAY_MS
    }
}

struct Read {
    /// Where the chain stands after it; none when not even its head is whole.
    chain: Option<Chain>,
    segment: Segment,
    torn_bytes: u64,
    damaged: bool,
}

/// Walks a segment and folds its records into the open work, as far as they can be read.
fn read_segment(bytes: &[u8], identity: &Identity, before: Option<Chain>, work: &mut OpenWork) -> Read {
    let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let empty = Head { device: identity.device, epoch: 0, seq: 0, hash: [0; 32] };
    let mut read = Read {
        chain: None,
        segment: Segment {
            name: String::new(),
            ordinal: 0,
            before: empty,
            last_seq: 0,
            bytes: length(bytes),
            begun: UnixMs(0),
            last_time: UnixMs(0),
            orders: Vec::new(),
            receipts: Vec::new(),
        },
        torn_bytes: 0,
        damaged: false,
    };
    let (opened, mut rest) = match segment::open_head(bytes, &identity.wrap) {
        Ok(opened) => opened,
        Err(Broken::Torn) if bytes.len() < HEAD_LEN => {
            read.torn_bytes = length(bytes);
            return read;
        }
        Err(Broken::Torn | Broken::Checksum | Broken::Sealed | Broken::Foreign) => {
            read.damaged = true;
            return read;
        }
    };
    read.segment.before = opened.before;
    read.segment.last_seq = opened.before.seq;
    // A segment that does not go on where the one before ended shows that acknowledged records are gone.
    read.damaged = opened.before.device != identity.device
        || before
            .is_some_and(|chain| chain.head().epoch == opened.before.epoch && chain.head() != opened.before);
    let mut chain = Chain::from_head(opened.before);
    while !rest.is_empty() {
        match opened.sealer.open(rest) {
            Ok((record, next)) => {
                if chain.push(&record.header, &record.commitment()).is_err() {
                    read.damaged = true;
                    break;
                }
                let entry = Entry::decode(&record.body).ok();
                if let Some(entry) = &entry {
                    work.apply(entry, record.header.time);
                }
                if read.segment.begun == UnixMs(0) {
                    read.segment.begun = record.header.time;
                }
                read.segment.note(&record.header, entry.as_ref());
                rest = next;
            }
            Err(_) if whole_record_follows(rest, &opened.sealer) => {
                read.damaged = true;
                break;
            }
            Err(_) => {
                read.torn_bytes = length(rest);
                break;
            }
        }
    }
    read.chain = Some(chain);
    read
}

/// Tells bit rot from a torn tail: behind rot there are whole records, behind a torn write there is none.
fn whole_record_follows(broken: &[u8], sealer: &Sealer) -> bool {
    (1..broken.len()).any(|at| broken.get(at..).is_some_and(|rest| sealer.open(rest).is_ok()))
}
