//! The uplink over links that drop, repeat, delay and falsify answers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::collections::{BTreeMap, VecDeque};

use contract::{
    BatchAck, Chain, ChangesAnswer, CloseReason, Entry, FeedItem, Head, KioskId, LogEnds, Record,
    RecordBatch, RecordHeader, Signature, UnixMs, UploadWindow, VisitId,
};
use sync::{
    ExchangeFailed, ExchangeTiming, FeedAnswer, FeedPosition, NextRecords, RecordSource, RecordsOutcome,
    Uplink, UplinkRequest,
};

const EXCHANGE: ExchangeTiming = ExchangeTiming { sent: UnixMs(0), received: UnixMs(10) };

fn device() -> KioskId {
    "K-1".parse().unwrap()
}

/// A journal in memory: epochs of records, and the chain's head before each record and after the last.
struct MemoryJournal {
    epochs: Vec<(u64, Vec<Record>)>,
    heads: BTreeMap<(u64, u64), Head>,
    /// By epoch: the number up to which records no longer exist.
    deleted_upto: BTreeMap<u64, u64>,
    /// By epoch: the number up to which an earlier process knew it acknowledged.
    settled: BTreeMap<u64, u64>,
}

impl MemoryJournal {
    fn new() -> Self {
        Self {
            epochs: vec![(7, Vec::new())],
            heads: BTreeMap::new(),
            deleted_upto: BTreeMap::new(),
            settled: BTreeMap::new(),
        }
    }

    fn append(&mut self, n: u64) {
        let (epoch, records) = self.epochs.last_mut().unwrap();
        let body = Entry::VisitClosed { visit: VisitId::from_entropy(n.into()), reason: CloseReason::Exit };
        let header = RecordHeader {
            kind: body.kind(),
            body_len: body.encode().len() as u32,
            device: device(),
            epoch: *epoch,
            seq: records.len() as u64 + 1,
            time: UnixMs(n),
        };
        let record = Record { header, salt: [1; 16], body: body.encode() };
        let before = self.heads.entry((*epoch, header.seq - 1));
        let before = *before.or_insert_with(|| Chain::genesis(device(), *epoch).head());
        let mut chain = Chain::from_head(before);
        chain.push(&record.header, &record.commitment()).unwrap();
        self.heads.insert((*epoch, header.seq), chain.head());
        records.push(record);
    }
}

impl MemoryJournal {
    fn head_at(&self, epoch: u64, seq: u64) -> Option<Head> {
        self.heads.get(&(epoch, seq)).copied()
    }
}

impl RecordSource for MemoryJournal {
    fn epochs(&self) -> Vec<u64> {
        self.epochs.iter().map(|(epoch, _)| *epoch).collect()
    }

    fn read_after(&mut self, epoch: u64, after: u64, records: usize, _: usize) -> Option<NextRecords> {
        let (_, all) = self.epochs.iter().find(|(e, _)| *e == epoch)?;
        let oldest = self.before_oldest(epoch);
        if after < oldest {
            return Some(NextRecords::Missing(self.heads[&(epoch, oldest)]));
        }
        let taken: Vec<Record> = all.iter().skip(after as usize).take(records).cloned().collect();
        (!taken.is_empty()).then(|| NextRecords::Records(self.heads[&(epoch, after)], taken))
    }

    fn newest(&mut self, epoch: u64) -> Option<Head> {
        let (_, records) = self.epochs.iter().find(|(e, _)| *e == epoch)?;
        self.heads.get(&(epoch, records.len() as u64)).copied()
    }

    fn acknowledged(&self, epoch: u64) -> Option<u64> {
        self.settled.get(&epoch).copied()
    }

    fn before_oldest(&self, epoch: u64) -> u64 {
        self.deleted_upto.get(&epoch).copied().unwrap_or(0)
    }

    fn sign(&self, _: &[u8]) -> Signature {
        // The platform of this test verifies only the chain; signing would take most of the test's time.
        Signature([1; 64])
    }
}

/// A platform that stores record bodies by epoch and number.
#[derive(Default)]
struct Platform {
    stored: BTreeMap<(u64, u64), Vec<u8>>,
    /// Record bodies in the order in which they were first stored.
    order: Vec<Vec<u8>>,
    hashes: BTreeMap<(u64, u64), String>,
}

impl Platform {
    fn store_batch(&mut self, body: &[u8]) -> BatchAck {
        let batch: RecordBatch = serde_json::from_slice(&zstd::decode_all(body).unwrap()).unwrap();
        batch.verify_chain().unwrap();
        let epoch = batch.from.epoch;
        let mut chain = Chain::from_head(batch.from);
        for wire in &batch.records {
            let record = wire.to_record().unwrap();
            chain.push(&record.header, &record.commitment()).unwrap();
            self.hashes.insert((epoch, record.header.seq), contract::to_hex(&chain.head().hash));
            if self.stored.insert((epoch, record.header.seq), record.body.clone()).is_none() {
                self.order.push(record.body);
            }
        }
        let mut upto = 0;
        while self.stored.contains_key(&(epoch, upto + 1)) {
            upto += 1;
        }
        let window = UploadWindow { records: 16, bytes: 65_536, after_ms: 0 };
        let hash = self.hashes.get(&(epoch, upto)).cloned();
        BatchAck {
            device: device(),
            epoch,
            upto,
            hash,
            forked: false,
            refused: Vec::new(),
            window,
            now: UnixMs(1),
        }
    }
}

struct TestRng(u64);

impl TestRng {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

#[test]
fn records_arrive_once_in_order_over_faulty_link() {
    for seed in 1..=60_u64 {
        let mut rng = TestRng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (mut log, mut platform) = (MemoryJournal::new(), Platform::default());
        let mut uplink = Uplink::new(device(), FeedPosition::default());
        let mut late: VecDeque<Vec<u8>> = VecDeque::new();
        let (mut now, mut appended) = (0_u64, 0_u64);
        for step in 0..4_000 {
            let faults = step < 2_000;
            if faults && rng.below(4) == 0 && appended < 120 {
                appended += 1;
                log.append(appended);
            }
            if faults && rng.below(400) == 0 {
                let epoch = 100 + log.epochs.len() as u64;
                log.epochs.push((epoch, Vec::new()));
            }
            if faults && rng.below(300) == 0 {
                uplink = Uplink::new(device(), FeedPosition::default()); // the kiosk was restarted
            }
            if let Some(body) = late.front().cloned()
                && rng.below(5) == 0
            {
                late.pop_front();
                platform.store_batch(&body); // a delayed repetition
            }
            match uplink.poll(now, &mut log) {
                None => now += 500,
                Some(UplinkRequest::Changes { since, .. }) => {
                    let answer =
                        ChangesAnswer { items: Vec::new(), cursor: since, feed: None, now: UnixMs(1) };
                    let lost = faults && rng.below(3) == 0;
                    uplink.on_changes(
                        now,
                        rng.below(1 << 30).into(),
                        EXCHANGE,
                        if lost { Err(ExchangeFailed) } else { Ok(answer) },
                    );
                }
                Some(UplinkRequest::Records(body)) => {
                    let answer = match if faults { rng.below(5) } else { 9 } {
                        0 => Err(ExchangeFailed),
                        1 => {
                            platform.store_batch(&body);
                            Err(ExchangeFailed)
                        }
                        2 => {
                            late.push_back(body.clone());
                            Err(ExchangeFailed)
                        }
                        3 => {
                            // Too high a number, of which the kiosk has no record, or another one.
                            let mut ack = platform.store_batch(&body);
                            ack.upto += 1 + rng.below(1_000);
                            Ok(ack)
                        }
                        _ => Ok(platform.store_batch(&body)),
                    };
                    let random = rng.below(1 << 30).into();
                    uplink.on_records(now, random, EXCHANGE, answer, |epoch, seq| log.head_at(epoch, seq));
                }
            }
        }
        let sent: Vec<Vec<u8>> =
            log.epochs.iter().flat_map(|(_, records)| records.iter().map(|r| r.body.clone())).collect();
        assert_eq!(platform.order.len(), sent.len(), "seed {seed}");
        assert!(platform.order == sent, "seed {seed}: out of order");
    }
}

fn ack(epoch: u64, upto: u64) -> BatchAck {
    let window = UploadWindow { records: 16, bytes: 65_536, after_ms: 0 };
    let (hash, forked) = (None, false);
    BatchAck { device: device(), epoch, upto, hash, forked, refused: Vec::new(), window, now: UnixMs(1) }
}

fn acknowledged(epoch: u64, upto: u64) -> Option<RecordsOutcome> {
    Some(RecordsOutcome::Acknowledged { epoch, upto, platform: UnixMs(1) })
}

/// A kiosk whose own chain is not asked for.
fn no_head(_: u64, _: u64) -> Option<Head> {
    None
}

fn batch_of(uplink: &mut Uplink, log: &mut MemoryJournal, now: u64) -> RecordBatch {
    loop {
        match uplink.poll(now, log).expect("a request") {
            UplinkRequest::Changes { since, .. } => {
                let answer = ChangesAnswer { items: Vec::new(), cursor: since, feed: None, now: UnixMs(1) };
                uplink.on_changes(now, 0, EXCHANGE, Ok(answer));
            }
            UplinkRequest::Records(body) => {
                return serde_json::from_slice(&zstd::decode_all(body.as_slice()).unwrap()).unwrap();
            }
        }
    }
}

#[test]
fn one_batch_is_in_flight_within_window() {
    let mut log = MemoryJournal::new();
    (1..=100).for_each(|n| log.append(n));
    let mut uplink = Uplink::new(device(), FeedPosition::default());
    assert_eq!(batch_of(&mut uplink, &mut log, 0).records.len(), 64);
    assert_eq!(uplink.poll(0, &mut log), None);
    let mut granted = ack(7, 64);
    granted.window.records = 10;
    granted.window.after_ms = 5_000;
    assert_eq!(uplink.on_records(0, 0, EXCHANGE, Ok(granted), no_head), acknowledged(7, 64));
    assert_eq!(uplink.poll(4_999, &mut log), None);
    assert_eq!(batch_of(&mut uplink, &mut log, 5_000).records.len(), 10);
}

#[test]
fn restored_platform_receives_lost_records_again() {
    let mut log = MemoryJournal::new();
    (1..=20).for_each(|n| log.append(n));
    let mut uplink = Uplink::new(device(), FeedPosition::default());
    batch_of(&mut uplink, &mut log, 0);
    uplink.on_records(0, 0, EXCHANGE, Ok(ack(7, 20)), no_head);
    log.append(21);
    batch_of(&mut uplink, &mut log, 0);
    uplink.on_records(0, 0, EXCHANGE, Ok(ack(7, 5)), no_head);
    assert_eq!(batch_of(&mut uplink, &mut log, 0).from.seq, 5);
}

#[test]
fn first_batch_begins_at_oldest_existing_record() {
    let mut log = MemoryJournal::new();
    (1..=20).for_each(|n| log.append(n));
    log.deleted_upto.insert(7, 12);
    let mut uplink = Uplink::new(device(), FeedPosition::default());
    let batch = batch_of(&mut uplink, &mut log, 0);
    assert_eq!((batch.from.seq, batch.records.len()), (12, 8));
}

#[test]
fn records_that_no_longer_exist_are_stated_missing() {
    // The platform was restored from a backup, and the kiosk has deleted what it had acknowledged.
    let mut log = MemoryJournal::new();
    (1..=20).for_each(|n| log.append(n));
    log.deleted_upto.insert(7, 10);
    let mut uplink = Uplink::new(device(), FeedPosition::default());
    assert_eq!(batch_of(&mut uplink, &mut log, 0).from.seq, 10);
    assert_eq!(uplink.on_records(0, 0, EXCHANGE, Ok(ack(7, 4)), no_head), acknowledged(7, 4));
    let batch = batch_of(&mut uplink, &mut log, 0);
    assert_eq!((batch.from.seq, batch.missing.map(|missing| missing.after)), (10, Some(4)));
    uplink.on_records(0, 0, EXCHANGE, Ok(ack(7, 20)), no_head);
    log.append(21);
    let batch = batch_of(&mut uplink, &mut log, 0);
    assert_eq!((batch.from.seq, batch.missing), (20, None));
}

#[test]
fn acknowledgement_beyond_the_batch_skips_only_the_same_chain() {
    let mut log = MemoryJournal::new();
    (1..=100).for_each(|n| log.append(n));
    let same = log.heads[&(7, 90)];
    for (hash, next) in [(same.hash, 90), ([1; 32], 64)] {
        let mut uplink = Uplink::new(device(), FeedPosition::default());
        batch_of(&mut uplink, &mut log, 0);
        let answer = BatchAck { hash: Some(contract::to_hex(&hash)), ..ack(7, 90) };
        uplink.on_records(0, 0, EXCHANGE, Ok(answer), |epoch, seq| log.head_at(epoch, seq));
        assert_eq!(batch_of(&mut uplink, &mut log, 0).from.seq, next);
    }
}

#[test]
fn forked_epoch_is_reported_and_not_sent_again() {
    let mut log = MemoryJournal::new();
    (1..=20).for_each(|n| log.append(n));
    let mut uplink = Uplink::new(device(), FeedPosition::default());
    batch_of(&mut uplink, &mut log, 0);
    let answer = BatchAck { forked: true, ..ack(7, 12) };
    let outcome = uplink.on_records(0, 0, EXCHANGE, Ok(answer), no_head);
    assert_eq!(outcome, Some(RecordsOutcome::Forked { epoch: 7, platform: UnixMs(1) }));
    assert_eq!(uplink.forked_after(7), Some(12));
    assert!(uplink.online() && uplink.poll(0, &mut log).is_none());
    log.epochs.push((8, Vec::new()));
    log.append(1);
    assert_eq!(batch_of(&mut uplink, &mut log, 10_000).from.epoch, 8);
}

#[test]
fn first_batch_begins_after_what_was_settled_before() {
    let mut log = MemoryJournal::new();
    (1..=20).for_each(|n| log.append(n));
    log.settled.insert(7, 15);
    let mut uplink = Uplink::new(device(), FeedPosition::default());
    assert_eq!(batch_of(&mut uplink, &mut log, 0).from.seq, 15);
}

#[test]
fn invalid_acknowledgement_changes_nothing() {
    for invalid in [ack(8, 1), BatchAck { device: "K-2".parse().unwrap(), ..ack(7, 3) }] {
        let mut log = MemoryJournal::new();
        (1..=20).for_each(|n| log.append(n));
        let mut uplink = Uplink::new(device(), FeedPosition::default());
        batch_of(&mut uplink, &mut log, 0);
        assert_eq!(uplink.on_records(0, 0, EXCHANGE, Ok(invalid), no_head), None);
        assert_eq!(batch_of(&mut uplink, &mut log, 600_000).from.seq, 0);
    }
}

#[test]
fn acknowledgement_without_progress_backs_off() {
    let mut log = MemoryJournal::new();
    log.append(1);
    let mut uplink = Uplink::new(device(), FeedPosition::default());
    let (mut now, mut sent) = (0, 0);
    for _ in 0..200 {
        match uplink.poll(now, &mut log) {
            Some(UplinkRequest::Records(_)) => {
                sent += 1;
                uplink.on_records(now, u128::MAX / 3, EXCHANGE, Ok(ack(7, 0)), no_head);
            }
            Some(UplinkRequest::Changes { since, .. }) => {
                let answer = ChangesAnswer { items: Vec::new(), cursor: since, feed: None, now: UnixMs(1) };
                uplink.on_changes(now, 0, EXCHANGE, Ok(answer));
            }
            None => now += 100,
        }
    }
    assert!(sent < 60, "{sent} batches in 20 seconds");
}

#[test]
fn two_failures_mean_offline_one_answer_online() {
    let mut log = MemoryJournal::new();
    let mut uplink = Uplink::new(device(), FeedPosition::default());
    assert!(!uplink.online());
    let changes = |cursor| ChangesAnswer { items: Vec::new(), cursor, feed: None, now: UnixMs(1) };
    uplink.poll(0, &mut log);
    uplink.on_changes(0, 0, EXCHANGE, Ok(changes(3)));
    assert!(uplink.online());
    for (at, online) in [(20_000, true), (40_000, false)] {
        assert_eq!(uplink.poll(at, &mut log), Some(UplinkRequest::Changes { since: 3, feed: None }));
        uplink.on_changes(at, 0, EXCHANGE, Err(ExchangeFailed));
        assert_eq!(uplink.online(), online);
    }
    uplink.poll(90_000, &mut log);
    uplink.on_changes(90_000, 0, EXCHANGE, Ok(changes(4)));
    assert!(uplink.online());
}

#[test]
fn lower_cursor_is_a_restored_platform() {
    let mut log = MemoryJournal::new();
    let mut uplink = Uplink::new(device(), FeedPosition { feed: None, cursor: 900, compared: None });
    uplink.poll(0, &mut log);
    let answer = ChangesAnswer { items: Vec::new(), cursor: 3, feed: None, now: UnixMs(1) };
    uplink.on_changes(0, 0, EXCHANGE, Ok(answer)).unwrap();
    assert_eq!(uplink.position().cursor, 3);
    assert!(uplink.online());
    assert_eq!(uplink.poll(20_000, &mut log), Some(UplinkRequest::Changes { since: 3, feed: None }));
}

/// The answer of a feed with this epoch.
fn feed_answer(feed: u64, cursor: u64, count: usize) -> ChangesAnswer {
    let item = FeedItem::ServiceWithdrawn { id: "a.b".into() };
    ChangesAnswer { items: vec![item; count], cursor, feed: Some(feed), now: UnixMs(1) }
}

/// The next request for the feed, answered with this.
fn fetch(
    uplink: &mut Uplink,
    now: &mut u64,
    answer: ChangesAnswer,
) -> ((u64, Option<u64>), Option<FeedAnswer>) {
    let mut log = MemoryJournal::new();
    *now = uplink.next_deadline(false).unwrap().max(*now);
    let Some(UplinkRequest::Changes { since, feed }) = uplink.poll(*now, &mut log) else {
        panic!("the feed is due")
    };
    ((since, feed), uplink.on_changes(*now, u128::MAX, EXCHANGE, Ok(answer)))
}

#[test]
fn feed_that_caught_up_after_a_restore_is_read_from_zero() {
    let mut now = 0;
    let mut uplink = Uplink::new(device(), FeedPosition { feed: Some(5), cursor: 900, compared: None });
    let (sent, answer) = fetch(&mut uplink, &mut now, feed_answer(6, 901, 1));
    assert_eq!(sent, (900, Some(5)));
    let position = FeedPosition { feed: Some(6), cursor: 0, compared: None };
    assert_eq!(answer, Some(FeedAnswer::OtherFeed { position }), "its items are of another feed");
    let (sent, answer) = fetch(&mut uplink, &mut now, feed_answer(6, 40, 2));
    assert_eq!(sent, (0, Some(6)));
    assert!(matches!(answer, Some(FeedAnswer::Items { is_first: true, items, .. }) if items.len() == 2));
    let (sent, answer) = fetch(&mut uplink, &mut now, feed_answer(6, 40, 0));
    assert_eq!(sent, (40, Some(6)));
    assert!(matches!(answer, Some(FeedAnswer::Items { is_first: false, .. })));
}

#[test]
fn cursor_of_version_2_is_not_taken_for_the_named_feed() {
    let mut now = 0;
    let mut uplink = Uplink::new(device(), FeedPosition { feed: None, cursor: 7, compared: None });
    let (sent, answer) = fetch(&mut uplink, &mut now, feed_answer(6, 9, 2));
    assert_eq!(sent, (7, None));
    assert!(matches!(answer, Some(FeedAnswer::OtherFeed { .. })));
}

#[test]
fn platform_that_names_no_epoch_is_read_by_cursor() {
    let mut now = 0;
    let mut uplink = Uplink::new(device(), FeedPosition { feed: Some(5), cursor: 7, compared: None });
    let answer = ChangesAnswer { feed: None, ..feed_answer(0, 9, 2) };
    assert!(matches!(fetch(&mut uplink, &mut now, answer).1, Some(FeedAnswer::Items { .. })));
    assert_eq!(fetch(&mut uplink, &mut now, feed_answer(5, 9, 0)).0, (9, Some(5)));
}

#[test]
fn feed_whose_epoch_always_changes_is_asked_with_backoff() {
    let mut now = 0;
    let mut uplink = Uplink::new(device(), FeedPosition::default());
    let mut requests = 0;
    while now < 60_000 {
        requests += 1;
        fetch(&mut uplink, &mut now, feed_answer(requests, 1, 1));
    }
    assert!(requests < 30, "{requests} requests in a minute");
}

/// Two epochs that the platform has acknowledged, and the platform after a restore: it has 12 records of the first.
fn restored_platform() -> (MemoryJournal, Platform) {
    let mut log = MemoryJournal::new();
    (1..=20).for_each(|n| log.append(n));
    let mut uplink = Uplink::new(device(), FeedPosition::default());
    let batch = batch_of(&mut uplink, &mut log, 0);
    let mut kept = RecordBatch { records: batch.records[..12].to_vec(), ..batch };
    kept.to.head = log.heads[&(7, 12)];
    let mut platform = Platform::default();
    platform.store_batch(&zstd::encode_all(serde_json::to_vec(&kept).unwrap().as_slice(), 0).unwrap());
    log.settled.insert(7, 20);
    log.epochs.push((8, Vec::new()));
    (21..=25).for_each(|n| log.append(n));
    log.settled.insert(8, 5);
    (log, platform)
}

/// Sends all that the uplink wants to send, to a platform whose feed has this epoch. Returns the batches.
fn deliver(
    uplink: &mut Uplink,
    log: &mut MemoryJournal,
    platform: &mut Platform,
    feed: u64,
) -> Vec<RecordBatch> {
    let (mut now, mut sent) = (0, Vec::new());
    while now < 100_000 {
        match uplink.poll(now, log) {
            None => now += 500,
            Some(UplinkRequest::Changes { .. }) => {
                uplink.on_changes(now, 0, EXCHANGE, Ok(feed_answer(feed, 9, 0)));
            }
            Some(UplinkRequest::Records(body)) => {
                let ack = platform.store_batch(&body);
                uplink.on_records(now, u128::MAX, EXCHANGE, Ok(ack), |epoch, seq| log.head_at(epoch, seq));
                sent.push(serde_json::from_slice(&zstd::decode_all(body.as_slice()).unwrap()).unwrap());
            }
        }
    }
    sent
}

const OLD_FEED: FeedPosition = FeedPosition { feed: Some(5), cursor: 9, compared: Some(5) };

#[test]
fn every_epoch_is_sent_again_to_a_restored_platform() {
    let (mut log, mut platform) = restored_platform();
    let mut uplink = Uplink::new(device(), OLD_FEED);
    let sent = deliver(&mut uplink, &mut log, &mut platform, 6);
    let steps: Vec<(u64, u64, usize)> =
        sent.iter().map(|batch| (batch.from.epoch, batch.from.seq, batch.records.len())).collect();
    assert_eq!(steps, [(7, 20, 0), (8, 5, 0), (7, 12, 8), (8, 0, 5), (8, 5, 0)]);
    assert_eq!(platform.stored.len(), 25);
    let heads = vec![log.heads[&(7, 20)], log.heads[&(8, 5)]];
    assert_eq!(sent[4].log, Some(LogEnds { feed: 6, heads }));
    assert_eq!(uplink.position().compared, Some(6));
}

#[test]
fn comparison_that_a_restart_interrupts_begins_again() {
    let (mut log, mut platform) = restored_platform();
    let mut uplink = Uplink::new(device(), FeedPosition { feed: Some(6), ..OLD_FEED });
    deliver(&mut uplink, &mut log, &mut platform, 6);
    assert_eq!((platform.stored.len(), uplink.position().compared), (25, Some(6)));
}

#[test]
fn log_is_not_compared_with_the_same_feed_or_without_one() {
    let (mut log, mut platform) = restored_platform();
    assert!(deliver(&mut Uplink::new(device(), OLD_FEED), &mut log, &mut platform, 5).is_empty());
    let mut uplink = Uplink::new(device(), FeedPosition { feed: None, cursor: 9, compared: None });
    uplink.poll(0, &mut log);
    let answer = ChangesAnswer { feed: None, ..feed_answer(0, 9, 0) };
    uplink.on_changes(0, 0, EXCHANGE, Ok(answer));
    assert_eq!(uplink.poll(0, &mut log), None);
}

#[test]
fn contradicted_comparison_sends_the_oldest_records() {
    for by_hash in [false, true] {
        let (mut log, _) = restored_platform();
        let mut uplink = Uplink::new(device(), FeedPosition { feed: Some(6), ..OLD_FEED });
        assert!(batch_of(&mut uplink, &mut log, 0).records.is_empty());
        let answer = BatchAck { forked: !by_hash, hash: Some(contract::to_hex(&[3; 32])), ..ack(7, 4) };
        let outcome = uplink.on_records(0, 0, EXCHANGE, Ok(answer), |epoch, seq| log.head_at(epoch, seq));
        assert_eq!(outcome, acknowledged(7, 0), "a comparison is no fork");
        batch_of(&mut uplink, &mut log, 0);
        uplink.on_records(0, 0, EXCHANGE, Ok(ack(8, 5)), no_head);
        let batch = batch_of(&mut uplink, &mut log, 0);
        assert_eq!((batch.from.epoch, batch.from.seq), (7, 0));
    }
}

#[test]
fn platform_that_refuses_the_ends_gets_new_records() {
    let (mut log, mut platform) = restored_platform();
    let mut uplink = Uplink::new(device(), OLD_FEED);
    let (mut now, mut refused) = (0, 0);
    while now < 3_600_000 {
        match uplink.poll(now, &mut log) {
            None => now += 1_000,
            Some(UplinkRequest::Changes { .. }) => {
                uplink.on_changes(now, 0, EXCHANGE, Ok(feed_answer(6, 9, 0)));
            }
            Some(UplinkRequest::Records(body)) => {
                let batch: RecordBatch =
                    serde_json::from_slice(&zstd::decode_all(body.as_slice()).unwrap()).unwrap();
                let answer =
                    if batch.log.is_some() { Err(ExchangeFailed) } else { Ok(platform.store_batch(&body)) };
                refused += u32::from(batch.log.is_some());
                if refused == 3 && batch.log.is_some() {
                    log.append(26);
                }
                uplink.on_records(now, u128::MAX / 3, EXCHANGE, answer, |epoch, seq| log.head_at(epoch, seq));
            }
        }
    }
    assert_eq!(platform.stored.len(), 26);
    assert!((3..1_000).contains(&refused), "{refused} statements in an hour");
}
