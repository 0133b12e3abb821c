//! The projection of a journal up to one of its records, cached so that recovery reads only the records after it.

use contract::{Entry, Head, OrderId, ReceiptId, RecordHeader, UnixMs};
use serde::{Deserialize, Serialize};

use crate::projection::OpenWork;

/// A segment is full at this size in bytes, or after a day.
const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;
const DAY_MS: u64 = 86_400_000;

/// Projection of a journal up to one of its records. Length and checksum of every segment are part of it, so it is
/// never applied to another journal, nor to one with a flipped bit. Never the only copy of any data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Version of the software that made the projection: another version may project the same records differently.
    pub(crate) software: String,
    pub(crate) head: Head,
    pub(crate) segments: Vec<SegmentInfo>,
    pub(crate) work: OpenWork,
}

impl Checkpoint {
    pub(crate) fn new(software: &str, head: Head, segments: &[SegmentInfo], work: &OpenWork) -> Self {
        let segments = segments.iter().map(|segment| segment.with_open_work_only(work)).collect();
        Self { software: software.to_owned(), head, segments, work: work.clone() }
    }

    /// Encodes the checkpoint. The caller must encrypt the bytes: they contain the open work of the kiosk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a checkpoint has string keys and no floats, so it is always JSON")
    }

    /// Decodes the output of [`Checkpoint::encode`].
    ///
    /// # Errors
    /// When the bytes are malformed; recovery must then read the whole journal.
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// Description of a segment: all that is known without reading its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentInfo {
    pub(crate) name: String,
    pub(crate) ordinal: u64,
    pub(crate) before: Head,
    pub(crate) last_seq: u64,
    /// Length of the file, and CRC-32C over all its bytes.
    pub(crate) bytes: u64,
    pub(crate) checksum: u32,
    pub(crate) begun: UnixMs,
    pub(crate) last_time: UnixMs,
    /// Orders and receipts that were created in the segment; it is not deleted while any of them is open.
    pub(crate) orders: Vec<OrderId>,
    pub(crate) receipts: Vec<ReceiptId>,
}

impl SegmentInfo {
    /// An empty segment whose chain continues from `before`.
    pub(crate) const fn empty(name: String, ordinal: u64, before: Head, now: UnixMs) -> Self {
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

    /// Accounts for bytes that were appended to the file.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.checksum = crc32c::crc32c_append(self.checksum, bytes);
    }

    /// The bytes after the known ones, if the file still begins with those.
    pub(crate) fn verified_tail<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let (known, tail) = file.split_at_checked(usize::try_from(self.bytes).ok()?)?;
        (crc32c::crc32c(known) == self.checksum).then_some(tail)
    }

    /// Accounts for a record that was added.
    pub(crate) fn add_record(&mut self, header: &RecordHeader, entry: Option<&Entry>) {
        self.last_seq = header.seq;
        self.last_time = self.last_time.max(header.time);
        match entry {
            Some(Entry::OrderCreated { order, .. }) => self.orders.push(*order),
            Some(Entry::ReceiptIssued { receipt, .. }) => self.receipts.push(*receipt),
            Some(_) | None => {}
        }
    }

    /// Whether the segment created work that is still open.
    pub(crate) fn holds_open_work(&self, work: &OpenWork) -> bool {
        self.orders.iter().any(|order| work.payments.contains_key(order))
            || self.receipts.iter().any(|receipt| work.receipts.contains_key(receipt))
    }

    /// Whether the next record must go into a new segment.
    pub(crate) const fn is_full(&self, now: UnixMs) -> bool {
        self.bytes >= SEGMENT_BYTES_MAX || now.0.saturating_sub(self.begun.0) >= DAY_MS
    }

    /// A copy without closed orders and receipts: they are never opened again.
    fn with_open_work_only(&self, work: &OpenWork) -> Self {
        let mut segment = self.clone();
        segment.orders.retain(|order| work.payments.contains_key(order));
        segment.receipts.retain(|receipt| work.receipts.contains_key(receipt));
        segment
    }
}
