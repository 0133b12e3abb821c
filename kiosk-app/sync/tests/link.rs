//! The uplink over links that drop, repeat, delay and lie.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::collections::{BTreeMap, VecDeque};

use contract::{
    BatchAck, Chain, ChangesAnswer, CloseReason, DeviceId, Entry, Head, Header, Record, RecordBatch,
    Signature, UnixMs, VisitId, Window,
};
use sync::{Exchange, Failed, RecordSource, Uplink, UplinkRequest};

const EXCHANGE: Exchange = Exchange { sent: UnixMs(0), received: UnixMs(10) };

fn device() -> DeviceId {
    "K-1".parse().unwrap()
}

/// A log in memory: epochs of records, and the chain's head before each and after the last.
struct Log {
    epochs: Vec<(u64, Vec<Record>)>,
    heads: BTreeMap<(u64, u64), Head>,
    /// Up to which number the records of an epoch are there no more.
    gone: BTreeMap<u64, u64>,
}

impl Log {
    fn new() -> Self {
        Self { epochs: vec![(7, Vec::new())], heads: BTreeMap::new(), gone: BTreeMap::new() }
    }

    fn append(&mut self, n: u64) {
        let (epoch, records) = self.epochs.last_mut().unwrap();
        let body = Entry::VisitClosed { visit: VisitId::from_entropy(n.into()), reason: CloseReason::Exit };
        let header = Header {
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

impl RecordSource for Log {
    fn epochs(&self) -> Vec<u64> {
        self.epochs.iter().map(|(epoch, _)| *epoch).collect()
    }

    fn read_after(
        &mut self,
        epoch: u64,
        after: u64,
        records: usize,
        _: usize,
    ) -> Option<(Head, Vec<Record>)> {
        let (_, all) = self.epochs.iter().find(|(e, _)| *e == epoch)?;
        if after < self.before_oldest(epoch) {
            return None;
        }
        let taken: Vec<Record> = all.iter().skip(after as usize).take(records).cloned().collect();
        (!taken.is_empty()).then(|| (self.heads[&(epoch, after)], taken))
    }

    fn before_oldest(&self, epoch: u64) -> u64 {
        self.gone.get(&epoch).copied().unwrap_or(0)
    }

    fn last_seq(&self, epoch: u64) -> u64 {
        self.epochs.iter().find(|(e, _)| *e == epoch).map_or(0, |(_, records)| records.len() as u64)
    }

    fn sign(&self, _: &[u8]) -> Signature {
        // The platform of this test looks at the chain only; signing would be most of its time.
        Signature([1; 64])
    }
}

/// A platform that keeps what it gets by (epoch, number).
#[derive(Default)]
struct Platform {
    stored: BTreeMap<(u64, u64), Vec<u8>>,
    /// Every record in the order in which it was first stored.
    order: Vec<Vec<u8>>,
}

impl Platform {
    fn take(&mut self, body: &[u8]) -> BatchAck {
        let batch: RecordBatch = serde_json::from_slice(&zstd::decode_all(body).unwrap()).unwrap();
        batch.check().unwrap();
        let epoch = batch.from.epoch;
        for wire in &batch.records {
            let record = wire.to_record().unwrap();
            if self.stored.insert((epoch, record.header.seq), record.body.clone()).is_none() {
                self.order.push(record.body);
            }
        }
        let mut upto = 0;
        while self.stored.contains_key(&(epoch, upto + 1)) {
            upto += 1;
        }
        let window = Window { records: 16, bytes: 65_536, after_ms: 0 };
        BatchAck { device: device(), epoch, upto, refused: Vec::new(), window, now: UnixMs(1) }
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

#[test]
fn every_record_arrives_once_and_in_order_over_any_link() {
    for seed in 1..=60_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (mut log, mut platform) = (Log::new(), Platform::default());
        let mut uplink = Uplink::new(device(), 0);
        let mut late: VecDeque<Vec<u8>> = VecDeque::new();
        let (mut now, mut made) = (0_u64, 0_u64);
        for step in 0..4_000 {
            let faults = step < 2_000;
            if faults && dice.roll(4) == 0 && made < 120 {
                made += 1;
                log.append(made);
            }
            if faults && dice.roll(400) == 0 {
                let epoch = 100 + log.epochs.len() as u64;
                log.epochs.push((epoch, Vec::new()));
            }
            if faults && dice.roll(300) == 0 {
                uplink = Uplink::new(device(), 0); // the kiosk was started again
            }
            if let Some(body) = late.front().cloned()
                && dice.roll(5) == 0
            {
                late.pop_front();
                platform.take(&body); // a delayed repetition
            }
            match uplink.poll(now, &mut log) {
                None => now += 500,
                Some(UplinkRequest::Changes { since }) => {
                    let answer = ChangesAnswer { items: Vec::new(), cursor: since, now: UnixMs(1) };
                    let lost = faults && dice.roll(3) == 0;
                    uplink.on_changes(
                        now,
                        dice.roll(1 << 30).into(),
                        EXCHANGE,
                        if lost { Err(Failed) } else { Ok(answer) },
                    );
                }
                Some(UplinkRequest::Records(body)) => {
                    let answer = match if faults { dice.roll(5) } else { 9 } {
                        0 => Err(Failed),
                        1 => {
                            platform.take(&body);
                            Err(Failed)
                        }
                        2 => {
                            late.push_back(body.clone());
                            Err(Failed)
                        }
                        3 => {
                            let mut ack = platform.take(&body);
                            // A lie; of an epoch that is over it could be the truth about a lost disk.
                            let present = log.epochs.last().is_some_and(|(epoch, _)| *epoch == ack.epoch);
                            ack.upto += if present { 1_000 } else { 0 };
                            Ok(ack)
                        }
                        _ => Ok(platform.take(&body)),
                    };
                    uplink.on_records(now, dice.roll(1 << 30).into(), EXCHANGE, answer);
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
    let window = Window { records: 16, bytes: 65_536, after_ms: 0 };
    BatchAck { device: device(), epoch, upto, refused: Vec::new(), window, now: UnixMs(1) }
}

fn batch_of(uplink: &mut Uplink, log: &mut Log, now: u64) -> RecordBatch {
    loop {
        match uplink.poll(now, log).expect("a request") {
            UplinkRequest::Changes { since } => {
                let answer = ChangesAnswer { items: Vec::new(), cursor: since, now: UnixMs(1) };
                uplink.on_changes(now, 0, EXCHANGE, Ok(answer));
            }
            UplinkRequest::Records(body) => {
                return serde_json::from_slice(&zstd::decode_all(body.as_slice()).unwrap()).unwrap();
            }
        }
    }
}

#[test]
fn one_batch_is_in_flight_and_it_keeps_to_the_window() {
    let mut log = Log::new();
    (1..=100).for_each(|n| log.append(n));
    let mut uplink = Uplink::new(device(), 0);
    assert_eq!(batch_of(&mut uplink, &mut log, 0).records.len(), 64);
    assert_eq!(uplink.poll(0, &mut log), None);
    let mut granted = ack(7, 64);
    granted.window.records = 10;
    granted.window.after_ms = 5_000;
    assert_eq!(uplink.on_records(0, 0, EXCHANGE, Ok(granted)), Some((7, 64)));
    assert_eq!(uplink.poll(4_999, &mut log), None);
    assert_eq!(batch_of(&mut uplink, &mut log, 5_000).records.len(), 10);
}

#[test]
fn a_restored_platform_gets_again_what_it_lost() {
    let mut log = Log::new();
    (1..=20).for_each(|n| log.append(n));
    let mut uplink = Uplink::new(device(), 0);
    batch_of(&mut uplink, &mut log, 0);
    uplink.on_records(0, 0, EXCHANGE, Ok(ack(7, 20)));
    log.append(21);
    batch_of(&mut uplink, &mut log, 0);
    uplink.on_records(0, 0, EXCHANGE, Ok(ack(7, 5)));
    assert_eq!(batch_of(&mut uplink, &mut log, 0).from.seq, 5);
}

#[test]
fn what_was_settled_in_an_earlier_life_is_not_waited_for() {
    let mut log = Log::new();
    (1..=20).for_each(|n| log.append(n));
    log.gone.insert(7, 12);
    let mut uplink = Uplink::new(device(), 0);
    let batch = batch_of(&mut uplink, &mut log, 0);
    assert_eq!((batch.from.seq, batch.records.len()), (12, 8));
}

#[test]
fn records_that_a_damaged_disk_lost_do_not_hold_up_the_next_epoch() {
    // The platform has more of the old epoch than is still there, or less than where that begins.
    for (stored, gone) in [(30, 0), (4, 10)] {
        let mut log = Log::new();
        (1..=20).for_each(|n| log.append(n));
        log.gone.insert(7, gone);
        log.epochs.push((8, Vec::new()));
        log.append(1);
        let mut uplink = Uplink::new(device(), 0);
        assert_eq!(batch_of(&mut uplink, &mut log, 0).from.epoch, 7);
        uplink.on_records(0, 0, EXCHANGE, Ok(ack(7, stored)));
        let next = batch_of(&mut uplink, &mut log, 0);
        assert_eq!(next.from.epoch, 8, "platform at {stored}, log from {gone}");
    }
}

#[test]
fn answers_that_make_no_sense_move_nothing() {
    for lie in [ack(8, 1), ack(7, 21), BatchAck { device: "K-2".parse().unwrap(), ..ack(7, 3) }] {
        let mut log = Log::new();
        (1..=20).for_each(|n| log.append(n));
        let mut uplink = Uplink::new(device(), 0);
        batch_of(&mut uplink, &mut log, 0);
        assert_eq!(uplink.on_records(0, 0, EXCHANGE, Ok(lie)), None);
        assert_eq!(batch_of(&mut uplink, &mut log, 600_000).from.seq, 0);
    }
}

#[test]
fn an_acknowledgement_that_moves_nothing_is_not_asked_for_without_end() {
    let mut log = Log::new();
    log.append(1);
    let mut uplink = Uplink::new(device(), 0);
    let (mut now, mut sent) = (0, 0);
    for _ in 0..200 {
        match uplink.poll(now, &mut log) {
            Some(UplinkRequest::Records(_)) => {
                sent += 1;
                uplink.on_records(now, u128::MAX / 3, EXCHANGE, Ok(ack(7, 0)));
            }
            Some(UplinkRequest::Changes { since }) => {
                let answer = ChangesAnswer { items: Vec::new(), cursor: since, now: UnixMs(1) };
                uplink.on_changes(now, 0, EXCHANGE, Ok(answer));
            }
            None => now += 100,
        }
    }
    assert!(sent < 60, "{sent} batches in 20 seconds");
}

#[test]
fn two_failures_mean_offline_and_one_answer_means_online() {
    let mut log = Log::new();
    let mut uplink = Uplink::new(device(), 0);
    assert!(!uplink.online());
    let changes = |cursor| ChangesAnswer { items: Vec::new(), cursor, now: UnixMs(1) };
    uplink.poll(0, &mut log);
    uplink.on_changes(0, 0, EXCHANGE, Ok(changes(3)));
    assert!(uplink.online());
    for (at, online) in [(20_000, true), (40_000, false)] {
        assert_eq!(uplink.poll(at, &mut log), Some(UplinkRequest::Changes { since: 3 }));
        uplink.on_changes(at, 0, EXCHANGE, Err(Failed));
        assert_eq!(uplink.online(), online);
    }
    uplink.poll(60_000, &mut log);
    assert_eq!(uplink.on_changes(60_000, 0, EXCHANGE, Ok(changes(2))), None, "a cursor never goes back");
    uplink.poll(90_000, &mut log);
    uplink.on_changes(90_000, 0, EXCHANGE, Ok(changes(4)));
    assert!(uplink.online());
}
