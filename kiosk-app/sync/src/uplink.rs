//! State machine of the uplink: sends records and fetches the feed.

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    Backoff, BatchAck, Chain, ChangesAnswer, FeedItem, Head, KioskId, LogEnds, MissingRecords, Record,
    RecordBatch, Signature, SignedHead, UnixMs, UploadWindow, WireRecord, to_hex,
};

use crate::clock::ClockEstimate;
use crate::exchange::{ExchangeFailed, ExchangeState, ExchangeTiming, FailureCount};

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

/// What follows a number of an epoch in the journal.
#[derive(Clone, PartialEq, Eq)]
pub enum NextRecords {
    /// The next records, and the chain's head before the first.
    Records(Head, Vec<Record>),
    /// The next records no longer exist. The first one that does comes after this head.
    Missing(Head),
}

/// Source of the records: the journal.
pub trait RecordSource {
    /// The epochs that still exist, oldest first.
    fn epochs(&self) -> Vec<u64>;

    /// What follows number `after` of an epoch; `None` when nothing does, or it cannot be read now. At most `records`
    /// records, and about `bytes` bytes of bodies.
    fn read_after(&mut self, epoch: u64, after: u64, records: usize, bytes: usize) -> Option<NextRecords>;

    /// The newest head of an epoch; `None` when it cannot be read.
    fn newest(&mut self, epoch: u64) -> Option<Head>;

    /// The number up to which the platform acknowledged an epoch to an earlier process, as far as is known.
    fn acknowledged(&self, epoch: u64) -> Option<u64>;

    /// The number before the oldest record of an epoch that still exists.
    fn before_oldest(&self, epoch: u64) -> u64;

    /// Signs the bytes with the kiosk's key.
    fn sign(&self, bytes: &[u8]) -> Signature;
}

/// Where a kiosk is in the platform's feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedPosition {
    /// Epoch of the feed; `None` while the platform has named none.
    pub feed: Option<u64>,
    /// Position in that feed after which items are wanted.
    pub cursor: u64,
    /// Epoch of the feed whose platform is known to have all of the log that it acknowledged. Another platform is asked first.
    pub compared: Option<u64>,
}

/// What the platform's answer with feed items means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedAnswer {
    /// The next items.
    Items {
        /// The items, oldest first. None: the feed was read to its end.
        items: Vec<FeedItem>,
        /// Where the kiosk is after them.
        position: FeedPosition,
        /// Whether the items are the feed's first.
        is_first: bool,
    },
    /// The feed has another epoch: the platform was restored from a backup. The feed is fetched from its beginning.
    OtherFeed {
        /// Where the kiosk is now.
        position: FeedPosition,
    },
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
        /// Epoch of the feed that the cursor belongs to.
        feed: Option<u64>,
    },
}

/// What the platform's answer to a batch means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsOutcome {
    /// The platform has stored all records of this epoch up to this number.
    Acknowledged {
        /// The epoch.
        epoch: u64,
        /// The number.
        upto: u64,
        /// The platform's time.
        platform: UnixMs,
    },
    /// The platform has other records of this epoch, and takes no more of it: see [`Uplink::forked_after`].
    Forked {
        /// The epoch.
        epoch: u64,
        /// The platform's time.
        platform: UnixMs,
    },
}

/// The batch in flight.
#[derive(Clone, Copy)]
struct InFlight {
    /// Its head.
    to: Head,
    purpose: Purpose,
    /// Epoch of the feed that was known when it was made.
    feed: Option<u64>,
}

/// What a batch is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// It delivers records.
    Deliver,
    /// It has no records: the acknowledgement says what the platform has of the epoch.
    Compare,
    /// It has no records, and states the ends of the log.
    StateEnds,
}

/// The uplink (上行链路) of one kiosk.
pub struct Uplink {
    device: KioskId,
    /// The highest acknowledged number, by epoch.
    acknowledged: BTreeMap<u64, u64>,
    /// Epochs of which the platform holds other records, each with the number up to which both have the same. Nothing more of
    /// them is sent.
    forked: BTreeMap<u64, u64>,
    /// Epochs of the log that were compared with the platform of the present feed, while that is not done.
    compared_epochs: BTreeSet<u64>,
    in_flight: Option<InFlight>,
    records_exchange: ExchangeState,
    changes_exchange: ExchangeState,
    window: UploadWindow,
    records_failures: FailureCount,
    changes_failures: FailureCount,
    /// Number of consecutive changes of the feed's epoch, without having read a feed to its end.
    feed_restarts: FailureCount,
    position: FeedPosition,
    clock: ClockEstimate,
    refused: u64,
    online: bool,
}

impl Uplink {
    /// An uplink that fetches the feed after `position`. The platform reports in its answer to the first batch which
    /// records it has already stored.
    #[must_use]
    pub fn new(device: KioskId, position: FeedPosition) -> Self {
        Self {
            device,
            acknowledged: BTreeMap::new(),
            forked: BTreeMap::new(),
            compared_epochs: BTreeSet::new(),
            in_flight: None,
            records_exchange: ExchangeState::Idle(0),
            changes_exchange: ExchangeState::Idle(0),
            window: INITIAL_WINDOW,
            records_failures: FailureCount(0),
            changes_failures: FailureCount(0),
            feed_restarts: FailureCount(0),
            position,
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
            let FeedPosition { feed, cursor: since, .. } = self.position;
            return Some(UplinkRequest::Changes { since, feed });
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

    /// Where the kiosk is in the platform's feed.
    #[must_use]
    pub const fn position(&self) -> FeedPosition {
        self.position
    }

    /// Whether it is not known what the platform of this feed has of the log: it was restored from a backup, or the kiosk has
    /// lost what it knew.
    fn is_comparing(&self) -> bool {
        self.position.feed.is_some() && self.position.compared != self.position.feed
    }

    /// Whether the journal, with this newest head, has records that the platform has not acknowledged, or must be compared with
    /// what the platform has.
    #[must_use]
    pub fn has_unacknowledged(&self, head: Head) -> bool {
        self.is_comparing() || self.is_unacknowledged(head)
    }

    /// Whether the platform is known to have all records up to this newest head, and is reachable.
    #[must_use]
    pub fn has_delivered(&self, head: Head) -> bool {
        self.online && !self.has_unacknowledged(head)
    }

    fn is_unacknowledged(&self, head: Head) -> bool {
        !self.forked.contains_key(&head.epoch)
            && self.acknowledged.get(&head.epoch).copied().unwrap_or(0) < head.seq
    }

    /// The number up to which kiosk and platform have the same records of an epoch that forked after it. Such an epoch must end.
    #[must_use]
    pub fn forked_after(&self, epoch: u64) -> Option<u64> {
        self.forked.get(&epoch).copied()
    }

    fn build_batch(&mut self, source: &mut dyn RecordSource) -> Option<Vec<u8>> {
        if self.is_comparing()
            && let Some(head) = self.next_to_compare(source)
        {
            return self.encode_batch(source, Purpose::Compare, (head, Vec::new(), None));
        }
        let records_max = usize::try_from(self.window.records).unwrap_or(0).clamp(1, RECORDS_MAX);
        let bytes_max = usize::try_from(self.window.bytes).unwrap_or(0).clamp(1, BYTES_MAX);
        for epoch in source.epochs() {
            if self.forked.contains_key(&epoch) {
                continue;
            }
            // Before the first acknowledgement: records that no longer exist were acknowledged to an earlier process.
            let known = self.acknowledged.get(&epoch).copied();
            let after =
                known.or_else(|| source.acknowledged(epoch)).unwrap_or_else(|| source.before_oldest(epoch));
            let (mut missing, mut next) = (None, source.read_after(epoch, after, records_max, bytes_max));
            if let Some(NextRecords::Missing(resumes)) = next {
                // Deleted or lost records come after what the platform has, so the kiosk must state it.
                let statement = MissingRecords::to_be_signed(self.device, epoch, after, resumes.seq);
                missing = Some(MissingRecords { after, signature: source.sign(&statement) });
                next = source.read_after(epoch, resumes.seq, records_max, bytes_max);
            }
            let Some(NextRecords::Records(from, records)) = next else { continue };
            return self.encode_batch(source, Purpose::Deliver, (from, records, missing));
        }
        if !self.is_comparing() {
            return None;
        }
        let newest = self.taken_epochs(source).into_iter().filter_map(|epoch| source.newest(epoch)).last()?;
        self.encode_batch(source, Purpose::StateEnds, (newest, Vec::new(), None))
    }

    /// The epochs that the platform takes, oldest first.
    fn taken_epochs(&self, source: &dyn RecordSource) -> Vec<u64> {
        source.epochs().into_iter().filter(|epoch| !self.forked.contains_key(epoch)).collect()
    }

    /// The newest head of the oldest epoch of which it is not known what the platform has.
    fn next_to_compare(&mut self, source: &mut dyn RecordSource) -> Option<Head> {
        for epoch in self.taken_epochs(source) {
            if self.compared_epochs.contains(&epoch) {
                continue;
            }
            if let Some(head) = source.newest(epoch) {
                return Some(head);
            }
            // Its end cannot be read: what can is sent again.
            self.acknowledged.insert(epoch, source.before_oldest(epoch));
            self.compared_epochs.insert(epoch);
        }
        None
    }

    fn encode_batch(
        &mut self,
        source: &mut dyn RecordSource,
        purpose: Purpose,
        (from, records, missing): (Head, Vec<Record>, Option<MissingRecords>),
    ) -> Option<Vec<u8>> {
        let mut chain = Chain::from_head(from);
        let wire: Option<Vec<WireRecord>> = records
            .iter()
            .map(|record| {
                chain.push(&record.header, &record.commitment()).ok()?;
                WireRecord::from_record(record).ok()
            })
            .collect();
        let head = chain.head();
        let feed = self.position.feed;
        let log = feed.filter(|_| purpose == Purpose::StateEnds).map(|feed| {
            let epochs = self.taken_epochs(source);
            LogEnds { feed, heads: epochs.into_iter().filter_map(|epoch| source.newest(epoch)).collect() }
        });
        let to = SignedHead { head, signature: source.sign(&head.to_be_signed()) };
        let batch = RecordBatch { from, records: wire?, to, missing, log };
        let json = serde_json::to_vec(&batch).ok()?;
        self.in_flight = Some(InFlight { to: head, purpose, feed });
        zstd::encode_all(json.as_slice(), ZSTD_LEVEL).ok()
    }

    /// Handles the answer to a batch. `head_at` is the kiosk's own chain, as far as it still exists.
    pub fn on_records(
        &mut self,
        now: u64,
        random: u128,
        timing: ExchangeTiming,
        answer: Result<BatchAck, ExchangeFailed>,
        head_at: impl FnOnce(u64, u64) -> Option<Head>,
    ) -> Option<RecordsOutcome> {
        let in_flight = self.in_flight.take();
        let valid = answer
            .ok()
            .zip(in_flight)
            .filter(|(ack, sent)| ack.device == self.device && ack.epoch == sent.to.epoch);
        let Some((ack, InFlight { to: sent, purpose, feed })) = valid else {
            self.records_exchange = ExchangeState::Idle(
                now.saturating_add(self.records_failures.next_pause(BATCH_BACKOFF, random)),
            );
            self.update_online();
            return None;
        };
        let epoch = sent.epoch;
        self.refused = self.refused.saturating_add(u64::try_from(ack.refused.len()).unwrap_or(u64::MAX));
        self.window = ack.window;
        self.clock.observe(timing.sent, timing.received, ack.now);
        self.online = true;
        if ack.forked && purpose == Purpose::Deliver {
            // With back-off: each fork costs an epoch, and a platform that always says so must not fill the disk.
            let pause = self.records_failures.next_pause(BATCH_BACKOFF, random);
            self.records_exchange = ExchangeState::Idle(now.saturating_add(pause));
            self.forked.insert(epoch, ack.upto);
            return Some(RecordsOutcome::Forked { epoch, platform: ack.now });
        }
        let own = ack.hash.as_ref().zip(head_at(epoch, ack.upto));
        let is_same = own.map(|(hash, head)| *hash == to_hex(&head.hash));
        let upto = match purpose {
            // Only records show after which number the two logs differ: all that exist are sent again.
            Purpose::Compare | Purpose::StateEnds if ack.forked || is_same == Some(false) => 0,
            // The platform may have stored more than the batch holds: from an earlier process of this kiosk, or from a log that
            // was replaced by a copy since. Only the same chain is skipped.
            Purpose::Deliver | Purpose::Compare | Purpose::StateEnds
                if ack.upto <= sent.seq || is_same == Some(true) =>
            {
                ack.upto
            }
            Purpose::Deliver | Purpose::Compare | Purpose::StateEnds => sent.seq,
        };
        let known = self.acknowledged.insert(epoch, upto).unwrap_or(0);
        let is_progress = match purpose {
            Purpose::Deliver => upto != known,
            // An answer of the platform before it was restored says nothing.
            Purpose::Compare => feed == self.position.feed && self.compared_epochs.insert(epoch),
            Purpose::StateEnds => {
                let is_done = feed == self.position.feed && upto >= sent.seq;
                if is_done {
                    self.position.compared = feed;
                    self.compared_epochs.clear();
                }
                is_done
            }
        };
        // Without a back-off, an acknowledgement without progress would cause requests in an endless loop.
        let wait = if is_progress {
            self.records_failures.reset();
            u64::from(ack.window.after_ms)
        } else {
            self.records_failures.next_pause(BATCH_BACKOFF, random).max(u64::from(ack.window.after_ms))
        };
        self.records_exchange = ExchangeState::Idle(now.saturating_add(wait));
        Some(RecordsOutcome::Acknowledged { epoch, upto, platform: ack.now })
    }

    /// Handles an answer with feed items.
    pub fn on_changes(
        &mut self,
        now: u64,
        random: u128,
        timing: ExchangeTiming,
        answer: Result<ChangesAnswer, ExchangeFailed>,
    ) -> Option<FeedAnswer> {
        match answer {
            Ok(answer) => {
                self.clock.observe(timing.sent, timing.received, answer.now);
                self.changes_failures.reset();
                // The link is up again: waiting records are sent without waiting for their own back-off.
                if self.records_failures.0 > 0 && self.records_exchange != ExchangeState::InFlight {
                    self.records_exchange = ExchangeState::Idle(now);
                }
                self.online = true;
                Some(self.read_feed(now, random, answer))
            }
            Err(ExchangeFailed) => {
                self.changes_exchange = ExchangeState::Idle(
                    now.saturating_add(self.changes_failures.next_pause(PROBE_BACKOFF, random)),
                );
                self.update_online();
                None
            }
        }
    }

    fn read_feed(&mut self, now: u64, random: u128, answer: ChangesAnswer) -> FeedAnswer {
        let is_first = self.position.cursor == 0;
        // A platform that names no epoch is of an earlier version; its feed goes on at the cursor, which is lower than before
        // when it was restored from a backup.
        let is_other = answer.feed.is_some() && answer.feed != self.position.feed;
        self.position.feed = answer.feed.or(self.position.feed);
        if is_other {
            // Whatever the platform had of the log, it may have lost; also records that contradicted this kiosk's.
            self.compared_epochs.clear();
            self.forked.clear();
        }
        if is_other && !is_first {
            self.position.cursor = 0;
            // With back-off: a platform that always names another epoch must not be asked without end.
            let pause = self.feed_restarts.next_pause(PROBE_BACKOFF, random);
            self.changes_exchange = ExchangeState::Idle(now.saturating_add(pause));
            return FeedAnswer::OtherFeed { position: self.position };
        }
        self.position.cursor = answer.cursor;
        let wait = if answer.items.is_empty() {
            self.feed_restarts.reset();
            CHANGES_EVERY_MS
        } else {
            0
        };
        self.changes_exchange = ExchangeState::Idle(now.saturating_add(wait));
        FeedAnswer::Items { items: answer.items, position: self.position, is_first }
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
