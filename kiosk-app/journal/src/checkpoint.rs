//! The fold of a log up to one of its records, kept so that opening need fold only what follows.

use contract::{Entry, Head, Header, OrderId, ReceiptId, UnixMs};
use serde::{Deserialize, Serialize};

use crate::fold::OpenWork;

/// A segment is closed at this size in bytes, or after a day.
const SEGMENT_MAX: u64 = 4 * 1024 * 1024;
const DAY_MS: u64 = 86_400_000;

/// A log folded up to one of its records. It names every byte that it stands for, so it is never used
/// with any other log, nor with one in which a bit has turned. Never the only copy of anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The version that folded: another one may understand more of the same records.
    pub(crate) software: String,
    pub(crate) head: Head,
    pub(crate) segments: Vec<Segment>,
    pub(crate) work: OpenWork,
}

impl Checkpoint {
    pub(crate) fn new(software: &str, head: Head, segments: &[Segment], work: &OpenWork) -> Self {
        let segments = segments.iter().map(|segment| segment.without_closed(work)).collect();
        Self { software: software.to_owned(), head, segments, work: work.clone() }
    }

    /// The checkpoint as bytes. They tell what is open at the kiosk: seal them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a checkpoint has string keys and no floats, so it is always JSON")
    }

    /// Reads what [`Checkpoint::encode`] made.
    ///
    /// # Errors
    /// When it is something else; the log is then folded whole.
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// What is known of a segment without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) ordinal: u64,
    pub(crate) before: Head,
    pub(crate) last_seq: u64,
    /// Length of the file, and CRC-32C of all of it.
    pub(crate) bytes: u64,
    pub(crate) checksum: u32,
    pub(crate) begun: UnixMs,
    pub(crate) last_time: UnixMs,
    /// Work that was begun in it; while any is open, the segment stays.
    pub(crate) orders: Vec<OrderId>,
    pub(crate) receipts: Vec<ReceiptId>,
}

impl Segment {
    /// An empty segment whose chain goes on from `before`.
    pub(crate) const fn begin(name: String, ordinal: u64, before: Head, now: UnixMs) -> Self {
        Self {
            name,
            ordinal,
            before,
            last_seq: before.seq,
            bytes: 0,
            checksum: 0,
            begun: now,
            last_time: now,
            orders: Vec::new(),
            receipts: Vec::new(),
        }
    }

    /// These bytes are in its file now, behind the others.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.checksum = crc32c::crc32c_append(self.checksum, bytes);
    }

    /// What follows in the file, if the file still begins with the bytes that are known.
    pub(crate) fn tail_of<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let (known, tail) = file.split_at_checked(usize::try_from(self.bytes).ok()?)?;
        (crc32c::crc32c(known) == self.checksum).then_some(tail)
    }

    /// One more record is in it.
    pub(crate) fn note(&mut self, header: &Header, entry: Option<&Entry>) {
        self.last_seq = header.seq;
        self.last_time = self.last_time.max(header.time);
        match entry {
            Some(Entry::PaymentIntended { order, .. }) => self.orders.push(*order),
            Some(Entry::ReceiptPromised { receipt, .. }) => self.receipts.push(*receipt),
            Some(_) | None => {}
        }
    }

    /// Work that is open was begun in it.
    pub(crate) fn refers_to(&self, work: &OpenWork) -> bool {
        self.orders.iter().any(|order| work.payments.contains_key(order))
            || self.receipts.iter().any(|receipt| work.papers.contains_key(receipt))
    }

    /// The next record goes into a new one.
    pub(crate) const fn is_full(&self, now: UnixMs) -> bool {
        self.bytes >= SEGMENT_MAX || now.0.saturating_sub(self.begun.0) >= DAY_MS
    }

    /// What was closed is never opened again, so it need not be remembered.
    fn without_closed(&self, work: &OpenWork) -> Self {
        let mut segment = self.clone();
        segment.orders.retain(|order| work.payments.contains_key(order));
        segment.receipts.retain(|receipt| work.papers.contains_key(receipt));
        segment
    }
}
