//! The uplink.

use std::collections::BTreeMap;

use contract::{
    BatchAck, Chain, ChangesAnswer, DeviceId, FeedItem, Head, Record, RecordBatch, Signature, SignedHead,
    UnixMs, Window, WireRecord,
};

use crate::backoff::Backoff;
use crate::clock::ClockEstimate;

/// The window before the platform has granted one.
const FIRST_WINDOW: Window = Window { records: 64, bytes: 64 * 1024, after_ms: 0 };
/// No window is taken larger than this, whatever the platform grants.
const RECORDS_MAX: usize = 256;
const BYTES_MAX: usize = 256 * 1024;
/// The feed is asked this often; it is also how the kiosk notices that the link is gone.
const CHANGES_EVERY_MS: u64 = 15_000;
/// A lost link is looked for at least this often: a resident may be waiting for it.
const PROBE_MOST_MS: u64 = 15_000;
const BATCH_MOST_MS: u64 = 300_000;
const FIRST_MS: u64 = 1_000;
/// The link is said to be down after this many failed exchanges in a row.
const DOWN_AFTER: u32 = 2;
/// zstd level for batches: text of this kind gains little above it.
const ZSTD_LEVEL: i32 = 3;

/// Where records come from: the log.
pub trait RecordSource {
    /// The epochs that are still there, oldest first.
    fn epochs(&self) -> Vec<u64>;

    /// The records after a number, with the chain's head before the first; `None` when there are none.
    fn read_after(
        &mut self,
        epoch: u64,
        after: u64,
        records: usize,
        bytes: usize,
    ) -> Option<(Head, Vec<Record>)>;

    /// The number before the oldest record of an epoch that is still there.
    fn before_oldest(&self, epoch: u64) -> u64;

    /// The number of the newest record of an epoch.
    fn last_seq(&self, epoch: u64) -> u64;

    /// The device's signature over the bytes.
    fn sign(&self, bytes: &[u8]) -> Signature;
}

/// What to send.
#[derive(Debug, PartialEq, Eq)]
pub enum UplinkRequest {
    /// `POST /v1/records` with this body (zstd).
    Records(Vec<u8>),
    /// `GET /v1/changes?since=…`.
    Changes {
        /// The cursor.
        since: u64,
    },
}

/// The clocks of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The kiosk's wall clock when it asked.
    pub sent: UnixMs,
    /// The same when the answer was there.
    pub received: UnixMs,
}

/// An exchange without a usable answer: no answer, a refusal, nonsense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// What the uplink has under way of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing before then, in monotonic milliseconds.
    At(u64),
    /// A request is out.
    Out,
}

/// The uplink of one kiosk.
pub struct Uplink {
    device: DeviceId,
    /// The highest number that the platform acknowledged, by epoch.
    acknowledged: BTreeMap<u64, u64>,
    /// What is in flight: its epoch, and the highest number that may be acknowledged. The platform may have
    /// more than the batch holds, from an earlier life of this kiosk, but of the present epoch never more
    /// than the log.
    sent: Option<(u64, u64)>,
    records: Turn,
    changes: Turn,
    window: Window,
    records_backoff: Backoff,
    changes_backoff: Backoff,
    cursor: u64,
    clock: ClockEstimate,
    refused: u64,
    online: bool,
}

impl Uplink {
    /// An uplink that asks the feed for what follows `cursor`. What the platform already has, it says in
    /// answer to the first batch.
    #[must_use]
    pub fn new(device: DeviceId, cursor: u64) -> Self {
        Self {
            device,
            acknowledged: BTreeMap::new(),
            sent: None,
            records: Turn::At(0),
            changes: Turn::At(0),
            window: FIRST_WINDOW,
            records_backoff: Backoff::new(FIRST_MS, BATCH_MOST_MS),
            changes_backoff: Backoff::new(FIRST_MS, PROBE_MOST_MS),
            cursor,
            clock: ClockEstimate::default(),
            refused: 0,
            online: false,
        }
    }

    /// What to send now. Call it again after every answer, after records were appended, and when
    /// [`Uplink::next_deadline`] has passed.
    pub fn poll(&mut self, now: u64, source: &mut dyn RecordSource) -> Option<UplinkRequest> {
        if matches!(self.changes, Turn::At(at) if at <= now) {
            self.changes = Turn::Out;
            return Some(UplinkRequest::Changes { since: self.cursor });
        }
        if matches!(self.records, Turn::At(at) if at <= now) {
            let body = self.batch(source)?;
            self.records = Turn::Out;
            return Some(UplinkRequest::Records(body));
        }
        None
    }

    /// When to poll at the latest. Records wait for no deadline while there are none.
    #[must_use]
    pub fn next_deadline(&self, records_waiting: bool) -> Option<u64> {
        let at = |turn: Turn| match turn {
            Turn::At(at) => Some(at),
            Turn::Out => None,
        };
        let records = at(self.records).filter(|_| records_waiting);
        [at(self.changes), records].into_iter().flatten().min()
    }

    /// Whether the log has records that the platform has not acknowledged, given its newest head.
    #[must_use]
    pub fn waiting(&self, head: Head) -> bool {
        self.acknowledged.get(&head.epoch).copied().unwrap_or(0) < head.seq
    }

    fn batch(&mut self, source: &mut dyn RecordSource) -> Option<Vec<u8>> {
        let records_max = usize::try_from(self.window.records).unwrap_or(0).clamp(1, RECORDS_MAX);
        let bytes_max = usize::try_from(self.window.bytes).unwrap_or(0).clamp(1, BYTES_MAX);
        let epochs = source.epochs();
        for epoch in &epochs {
            let epoch = *epoch;
            // Before the first acknowledgement: what is there no more was settled in an earlier life.
            let known = self.acknowledged.get(&epoch).copied();
            let after = known.unwrap_or_else(|| source.before_oldest(epoch));
            // Nothing more of this epoch, or a part of it is gone with a damaged disk: the next one.
            let Some((from, records)) = source.read_after(epoch, after, records_max, bytes_max) else {
                continue;
            };
            let mut chain = Chain::from_head(from);
            let wire: Option<Vec<WireRecord>> = records
                .iter()
                .map(|record| {
                    chain.push(&record.header, &record.commitment()).ok()?;
                    WireRecord::from_record(record).ok()
                })
                .collect();
            let head = chain.head();
            let to = SignedHead { head, signature: source.sign(&head.to_be_signed()) };
            let json = serde_json::to_vec(&RecordBatch { from, records: wire?, to }).ok()?;
            // Of an epoch that is over, the platform may have what a damaged disk has lost since.
            let over = epochs.last() != Some(&epoch);
            self.sent = Some((epoch, if over { u64::MAX } else { source.last_seq(epoch) }));
            return zstd::encode_all(json.as_slice(), ZSTD_LEVEL).ok();
        }
        None
    }

    /// The answer to a batch. Gives the point up to which the platform has everything of an epoch.
    pub fn on_records(
        &mut self,
        now: u64,
        random: u128,
        exchange: Exchange,
        answer: Result<BatchAck, Failed>,
    ) -> Option<(u64, u64)> {
        let sent = self.sent.take();
        let sound = answer.ok().zip(sent).filter(|(ack, (epoch, last))| {
            ack.device == self.device && ack.epoch == *epoch && ack.upto <= *last
        });
        let Some((ack, (epoch, _))) = sound else {
            self.records = Turn::At(now.saturating_add(self.records_backoff.fail(random)));
            self.note_link();
            return None;
        };
        let known = self.acknowledged.insert(epoch, ack.upto).unwrap_or(0);
        let moved = ack.upto != known;
        self.refused = self.refused.saturating_add(u64::try_from(ack.refused.len()).unwrap_or(u64::MAX));
        self.window = ack.window;
        self.clock.observe(exchange.sent, exchange.received, ack.now);
        // An acknowledgement that moves nothing would be asked for again at once, and again.
        let wait = if moved {
            self.records_backoff.succeed();
            u64::from(ack.window.after_ms)
        } else {
            self.records_backoff.fail(random).max(u64::from(ack.window.after_ms))
        };
        self.records = Turn::At(now.saturating_add(wait));
        self.online = true;
        Some((epoch, ack.upto))
    }

    /// The answer to a question for changes. Gives the items and the cursor that they lead to.
    pub fn on_changes(
        &mut self,
        now: u64,
        random: u128,
        exchange: Exchange,
        answer: Result<ChangesAnswer, Failed>,
    ) -> Option<(Vec<FeedItem>, u64)> {
        match answer {
            Ok(answer) if answer.cursor >= self.cursor => {
                self.clock.observe(exchange.sent, exchange.received, answer.now);
                self.changes_backoff.succeed();
                // The link is back: what waits need not wait out its own back-off.
                if self.records_backoff.failures() > 0 && self.records != Turn::Out {
                    self.records = Turn::At(now);
                }
                self.online = true;
                self.cursor = answer.cursor;
                let more = !answer.items.is_empty();
                let wait = if more { 0 } else { CHANGES_EVERY_MS };
                self.changes = Turn::At(now.saturating_add(wait));
                Some((answer.items, self.cursor))
            }
            Ok(_) | Err(Failed) => {
                self.changes = Turn::At(now.saturating_add(self.changes_backoff.fail(random)));
                self.note_link();
                None
            }
        }
    }

    fn note_link(&mut self) {
        if self.records_backoff.failures().max(self.changes_backoff.failures()) >= DOWN_AFTER {
            self.online = false;
        }
    }

    /// Another exchange with the platform failed for want of an answer: look at the link now.
    pub fn suspect(&mut self, now: u64) {
        if let Turn::At(at) = self.changes {
            self.changes = Turn::At(at.min(now));
        }
    }

    /// Whether the platform can be reached, as far as is known.
    #[must_use]
    pub const fn online(&self) -> bool {
        self.online
    }

    /// Records that the platform stored but did not understand.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// The platform's clock against the kiosk's.
    #[must_use]
    pub const fn clock(&self) -> &ClockEstimate {
        &self.clock
    }
}
