//! State machine of the uplink: sends records and fetches the feed.

use std::collections::BTreeMap;

use contract::{
    Backoff, BatchAck, Chain, ChangesAnswer, FeedItem, Head, KioskId, Record, RecordBatch, Signature,
    SignedHead, UnixMs, UploadWindow, WireRecord,
};

use crate::clock::ClockEstimate;

/// Window until the platform has granted one.
const INITIAL_WINDOW: UploadWindow = UploadWindow { records: 64, bytes: 64 * 1024, after_ms: 0 };
/// Upper bounds of the window, independent of what the platform grants.
const RECORDS_MAX: usize = 256;
const BYTES_MAX: usize = 256 * 1024;
/// Interval of fetching the feed; a failed fetch is also how the kiosk detects a lost link.
const CHANGES_EVERY_MS: u64 = 15_000;
/// Longest pause between two probes of a lost link: a resident may be waiting for it.
const PROBE_MAX_MS: u64 = 15_000;
const BATCH_MAX_MS: u64 = 300_000;
const RETRY_FIRST_MS: u64 = 1_000;
const BATCH_BACKOFF: Backoff = Backoff::new(RETRY_FIRST_MS, BATCH_MAX_MS);
const PROBE_BACKOFF: Backoff = Backoff::new(RETRY_FIRST_MS, PROBE_MAX_MS);
/// The link counts as down after this many consecutive failed exchanges.
const DOWN_AFTER: u32 = 2;
/// zstd level for batches: higher levels gain little for this kind of text.
const ZSTD_LEVEL: i32 = 3;

/// Source of the records: the journal.
pub trait RecordSource {
    /// The epochs that still exist, oldest first.
    fn epochs(&self) -> Vec<u64>;

    /// The records after number `after` of an epoch, with the chain's head before the first; `None` when there are
    /// none. At most `records` records, and about `bytes` bytes of bodies.
    fn read_after(
        &mut self,
        epoch: u64,
        after: u64,
        records: usize,
        bytes: usize,
    ) -> Option<(Head, Vec<Record>)>;

    /// The number before the oldest record of an epoch that still exists.
    fn before_oldest(&self, epoch: u64) -> u64;

    /// The number of the newest record of an epoch.
    fn last_seq(&self, epoch: u64) -> u64;

    /// Signs the bytes with the kiosk's key.
    fn sign(&self, bytes: &[u8]) -> Signature;
}

/// A request that the uplink wants to send.
#[derive(Debug, PartialEq, Eq)]
pub enum UplinkRequest {
    /// [`RECORDS`](contract::routes::RECORDS) with this body (zstd).
    Records(Vec<u8>),
    /// [`CHANGES`](contract::routes::CHANGES).
    Changes {
        /// Cursor: position in the feed after which items are wanted.
        since: u64,
    },
}

/// Wall times of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeTiming {
    /// The kiosk's wall time when it sent the request.
    pub sent: UnixMs,
    /// The kiosk's wall time when it received the answer.
    pub received: UnixMs,
}

/// An exchange without a usable answer: no answer, a refusal, or an invalid response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeFailed;

/// State of the exchanges of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExchangeState {
    /// No request is in flight; the next one is due at this monotonic time in milliseconds.
    Idle(u64),
    /// A request is in flight.
    InFlight,
}

/// Number of consecutive failed exchanges of one kind.
struct FailureCount(u32);

impl FailureCount {
    /// Counts a failure and returns the pause before the next exchange, in milliseconds.
    fn next_pause(&mut self, backoff: Backoff, random: u128) -> u64 {
        let pause = backoff.full_jitter_ms(self.0, random);
        self.0 = self.0.saturating_add(1);
        pause
    }

    const fn reset(&mut self) {
        self.0 = 0;
    }
}

/// The uplink (上行链路) of one kiosk.
pub struct Uplink {
    device: KioskId,
    /// The highest acknowledged number, by epoch.
    acknowledged: BTreeMap<u64, u64>,
    /// The batch in flight: its epoch, and the highest number that may be acknowledged. The platform may have
    /// stored more than the batch holds, from an earlier process of this kiosk, but of the present epoch never more
    /// than the journal holds.
    in_flight: Option<(u64, u64)>,
    records_exchange: ExchangeState,
    changes_exchange: ExchangeState,
    window: UploadWindow,
    records_failures: FailureCount,
    changes_failures: FailureCount,
    cursor: u64,
    clock: ClockEstimate,
    refused: u64,
    online: bool,
}

impl Uplink {
    /// An uplink that fetches the feed after `cursor`. The platform reports in its answer to the first batch which
    /// records it has already stored.
    #[must_use]
    pub fn new(device: KioskId, cursor: u64) -> Self {
        Self {
            device,
            acknowledged: BTreeMap::new(),
            in_flight: None,
            records_exchange: ExchangeState::Idle(0),
            changes_exchange: ExchangeState::Idle(0),
            window: INITIAL_WINDOW,
            records_failures: FailureCount(0),
            changes_failures: FailureCount(0),
            cursor,
            clock: ClockEstimate::default(),
            refused: 0,
            online: false,
        }
    }

    /// The next request to send now. Must be called again after every answer, after records were appended, and when
    /// [`Uplink::next_deadline`] has passed.
    pub fn poll(&mut self, now: u64, source: &mut dyn RecordSource) -> Option<UplinkRequest> {
        if matches!(self.changes_exchange, ExchangeState::Idle(at) if at <= now) {
            self.changes_exchange = ExchangeState::InFlight;
            return Some(UplinkRequest::Changes { since: self.cursor });
        }
        if matches!(self.records_exchange, ExchangeState::Idle(at) if at <= now) {
            let body = self.build_batch(source)?;
            self.records_exchange = ExchangeState::InFlight;
            return Some(UplinkRequest::Records(body));
        }
        None
    }

    /// When [`Uplink::poll`] must be called at the latest. Without waiting records, only the feed has a deadline.
    #[must_use]
    pub fn next_deadline(&self, records_waiting: bool) -> Option<u64> {
        let at = |state: ExchangeState| match state {
            ExchangeState::Idle(at) => Some(at),
            ExchangeState::InFlight => None,
        };
        let records = at(self.records_exchange).filter(|_| records_waiting);
        [at(self.changes_exchange), records].into_iter().flatten().min()
    }

    /// Whether the journal, with this newest head, has records that the platform has not acknowledged.
    #[must_use]
    pub fn has_unacknowledged(&self, head: Head) -> bool {
        self.acknowledged.get(&head.epoch).copied().unwrap_or(0) < head.seq
    }

    fn build_batch(&mut self, source: &mut dyn RecordSource) -> Option<Vec<u8>> {
        let records_max = usize::try_from(self.window.records).unwrap_or(0).clamp(1, RECORDS_MAX);
        let bytes_max = usize::try_from(self.window.bytes).unwrap_or(0).clamp(1, BYTES_MAX);
        let epochs = source.epochs();
        for epoch in &epochs {
            let epoch = *epoch;
            // Before the first acknowledgement: records that no longer exist were acknowledged to an earlier process.
            let known = self.acknowledged.get(&epoch).copied();
            let after = known.unwrap_or_else(|| source.before_oldest(epoch));
            // This epoch has no more records, or a damaged disk lost some of them: continue with the next epoch.
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
            // Of an earlier epoch, the platform may have stored records that a damaged disk has lost since.
            let is_earlier = epochs.last() != Some(&epoch);
            self.in_flight = Some((epoch, if is_earlier { u64::MAX } else { source.last_seq(epoch) }));
            return zstd::encode_all(json.as_slice(), ZSTD_LEVEL).ok();
        }
        None
    }

    /// Handles the answer to a batch. Returns the epoch and the number up to which the platform has stored all its
    /// records.
    pub fn on_records(
        &mut self,
        now: u64,
        random: u128,
        timing: ExchangeTiming,
        answer: Result<BatchAck, ExchangeFailed>,
    ) -> Option<(u64, u64)> {
        let in_flight = self.in_flight.take();
        let valid = answer.ok().zip(in_flight).filter(|(ack, (epoch, last))| {
            ack.device == self.device && ack.epoch == *epoch && ack.upto <= *last
        });
        let Some((ack, (epoch, _))) = valid else {
            self.records_exchange = ExchangeState::Idle(
                now.saturating_add(self.records_failures.next_pause(BATCH_BACKOFF, random)),
            );
            self.update_online();
            return None;
        };
        let known = self.acknowledged.insert(epoch, ack.upto).unwrap_or(0);
        let moved = ack.upto != known;
        self.refused = self.refused.saturating_add(u64::try_from(ack.refused.len()).unwrap_or(u64::MAX));
        self.window = ack.window;
        self.clock.observe(timing.sent, timing.received, ack.now);
        // Without a back-off, an acknowledgement without progress would cause requests in an endless loop.
        let wait = if moved {
            self.records_failures.reset();
            u64::from(ack.window.after_ms)
        } else {
            self.records_failures.next_pause(BATCH_BACKOFF, random).max(u64::from(ack.window.after_ms))
        };
        self.records_exchange = ExchangeState::Idle(now.saturating_add(wait));
        self.online = true;
        Some((epoch, ack.upto))
    }

    /// Handles an answer with feed items. Returns the items and the new cursor.
    pub fn on_changes(
        &mut self,
        now: u64,
        random: u128,
        timing: ExchangeTiming,
        answer: Result<ChangesAnswer, ExchangeFailed>,
    ) -> Option<(Vec<FeedItem>, u64)> {
        match answer {
            Ok(answer) if answer.cursor >= self.cursor => {
                self.clock.observe(timing.sent, timing.received, answer.now);
                self.changes_failures.reset();
                // The link is up again: waiting records are sent without waiting for their own back-off.
                if self.records_failures.0 > 0 && self.records_exchange != ExchangeState::InFlight {
                    self.records_exchange = ExchangeState::Idle(now);
                }
                self.online = true;
                self.cursor = answer.cursor;
                let more = !answer.items.is_empty();
                let wait = if more { 0 } else { CHANGES_EVERY_MS };
                self.changes_exchange = ExchangeState::Idle(now.saturating_add(wait));
                Some((answer.items, self.cursor))
            }
            Ok(_) | Err(ExchangeFailed) => {
                self.changes_exchange = ExchangeState::Idle(
                    now.saturating_add(self.changes_failures.next_pause(PROBE_BACKOFF, random)),
                );
                self.update_online();
                None
            }
        }
    }

    fn update_online(&mut self) {
        if self.records_failures.0.max(self.changes_failures.0) >= DOWN_AFTER {
            self.online = false;
        }
    }

    /// Probes the link now, because another request to the platform got no answer.
    pub fn probe_now(&mut self, now: u64) {
        if let ExchangeState::Idle(at) = self.changes_exchange {
            self.changes_exchange = ExchangeState::Idle(at.min(now));
        }
    }

    /// Whether the platform was reachable at the last exchanges.
    #[must_use]
    pub const fn online(&self) -> bool {
        self.online
    }

    /// Number of records that the platform stored but could not decode.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Estimate of the platform's clock.
    #[must_use]
    pub const fn clock(&self) -> &ClockEstimate {
        &self.clock
    }
}
