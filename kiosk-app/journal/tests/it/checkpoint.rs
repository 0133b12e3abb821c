//! Opening a journal with a checkpoint yields the same state as without, under power cuts and bit rot.

use contract::{
    CloseReason, Entry, Money, OrderId, PaymentMethod, Pseudonym, Receipt, ReceiptId, Settlement, UnixMs,
    VisitId,
};
use faulty_disk::FaultyDisk;
use journal::{Checkpoint, Disk, Journal, JournalConfig, RecoveryReport};

const START: u64 = 1_795_000_000_000;
const DAY_MS: u64 = 86_400_000;

/// Reproducible pseudo-random numbers.
struct TestRng(u64);

/// Ids that were issued so far.
#[derive(Default)]
struct Ids(u64);

impl Ids {
    fn next_id(&mut self) -> u128 {
        self.0 += 1;
        self.0.into()
    }

    fn earlier_id(&self, rng: &mut TestRng) -> u128 {
        (1 + rng.below(self.0.max(1))).into()
    }
}

impl TestRng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn config(software: &str) -> JournalConfig {
    JournalConfig {
        device: "K-VP-0001".parse().unwrap(),
        wrap_key: [9; 16].into(),
        software: software.into(),
        configuration: "00".into(),
        high_water: 1 << 30,
    }
}

fn entropy(seed: u64) -> impl FnMut() -> [u8; 16] {
    let mut count = 0_u64;
    move || {
        count += 1;
        let hash = contract::sm3(&[&seed.to_be_bytes(), &count.to_be_bytes()]);
        *hash.first_chunk().unwrap()
    }
}

type TestJournal = Journal<FaultyDisk>;

fn open(disk: FaultyDisk, checkpoint: Option<&[u8]>, now: u64, seed: u64) -> (TestJournal, RecoveryReport) {
    let checkpoint = checkpoint.map(|bytes| Checkpoint::decode(bytes).unwrap());
    Journal::open(disk, config("1"), checkpoint, UnixMs(now), &mut entropy(seed)).unwrap()
}

fn entry(rng: &mut TestRng, ids: &mut Ids) -> Entry {
    let kind = rng.below(7);
    let id = if matches!(kind, 0 | 2) { ids.next_id() } else { ids.earlier_id(rng) };
    let (order, receipt) = (OrderId::from_entropy(id), ReceiptId::from_entropy(id));
    let visit = VisitId::from_entropy(rng.below(9).into());
    let paid = Settlement::Paid { reference: "A".into(), at: UnixMs(START) };
    let content =
        Receipt { title: "缴费凭条".into(), lines: Vec::new(), number: receipt.number(), code: None };
    match kind {
        0 => Entry::OrderCreated {
            order,
            visit,
            resident: Pseudonym::from_entropy(1),
            service: "water.pay".into(),
            items: Vec::new(),
            total: Money::ZERO,
            method: PaymentMethod::ResidentCode,
        },
        1 => Entry::OrderSettled { order, settlement: paid },
        2 => Entry::ReceiptIssued { receipt, visit, order: Some(order), content },
        3 => Entry::PrintStarted { receipt, copy: 1 },
        4 => Entry::PrintAbandoned { receipt },
        5 => Entry::CodeUsed { visit, code_hash: rng.below(1000).to_string() },
        _ => Entry::VisitClosed { visit, reason: CloseReason::Exit },
    }
}

/// A journal after several starts, with checkpoints from each of them.
fn journal_after_starts(rng: &mut TestRng, starts: u64) -> (FaultyDisk, Vec<Vec<u8>>, u64) {
    let (mut disk, mut checkpoints, mut now) = (FaultyDisk::new(), Vec::new(), START);
    let mut ids = Ids::default();
    for start in 0..starts {
        let (mut journal, _) = open(disk, None, now, start);
        for _ in 0..rng.below(12) {
            now += rng.below(2) * rng.below(DAY_MS);
            let entries: Vec<Entry> = (0..1 + rng.below(3)).map(|_| entry(rng, &mut ids)).collect();
            journal.append(&entries, UnixMs(now), &mut entropy(start * 1000 + rng.below(1 << 30))).unwrap();
            if rng.below(3) == 0 {
                checkpoints.push(journal.checkpoint().encode());
            }
        }
        if rng.below(3) == 0 {
            now += 8 * DAY_MS;
            let head = journal.head();
            journal.delete_acknowledged(head.epoch, head.seq, UnixMs(now)).unwrap();
        }
        disk = journal.into_parts().0;
        let name = disk.list().unwrap().into_iter().max().unwrap();
        disk.append(&name, &vec![0xAB; rng.below(90) as usize]).unwrap();
        disk.power_cut(rng.below(1 << 40));
    }
    (disk, checkpoints, now)
}

/// Opens the journal with and without the checkpoint and compares the visible state. Returns both reports, the one
/// with the checkpoint first.
fn assert_same_with_and_without(
    disk: &FaultyDisk,
    checkpoint: &[u8],
    now: u64,
    context: &str,
) -> (RecoveryReport, RecoveryReport) {
    let (whole, report) = open(disk.clone(), None, now, 77);
    let (resumed, quick) = open(disk.clone(), Some(checkpoint), now, 77);
    assert_eq!(resumed.open_work(), whole.open_work(), "{context}");
    assert!(resumed.checkpoint() == whole.checkpoint(), "{context}");
    assert_eq!((resumed.head(), resumed.epochs()), (whole.head(), whole.epochs()), "{context}");
    assert_eq!((quick.new_epoch, quick.damaged_segments), (report.new_epoch, report.damaged_segments));
    (quick, report)
}

#[test]
fn open_with_any_checkpoint_yields_same_state() {
    let (mut quick, mut slow) = (0, 0);
    for seed in 0..60 {
        let mut rng = TestRng(seed);
        let (disk, checkpoints, now) = journal_after_starts(&mut rng, 5);
        for (at, checkpoint) in checkpoints.iter().enumerate() {
            let (with, without) = assert_same_with_and_without(
                &disk,
                checkpoint,
                now,
                &format!("seed {seed}, checkpoint {at}"),
            );
            assert!(with.replayed_records <= without.replayed_records);
            quick += u64::from(with.replayed_records < without.replayed_records);
            slow += u64::from(with.replayed_records == without.replayed_records);
        }
    }
    assert!(quick > 4 * slow, "most checkpoints must be used: {quick} were, {slow} were not");
}

#[test]
fn rot_is_found_before_and_after_checkpoint() {
    let mut rotten = 0;
    for seed in 0..60 {
        let mut rng = TestRng(seed);
        let (mut disk, checkpoints, now) = journal_after_starts(&mut rng, 4);
        let names = disk.list().unwrap();
        let name = &names[rng.below(names.len() as u64) as usize];
        disk.flip_bit(name, rng.below(disk.file_len(name) as u64) as usize);
        let Some(checkpoint) = checkpoints.last() else { continue };
        let (_, report) = assert_same_with_and_without(&disk, checkpoint, now, &format!("seed {seed}"));
        rotten += report.damaged_segments;
    }
    assert!(rotten > 30);
}

#[test]
fn checkpoint_ahead_of_journal_is_ignored() {
    let (mut journal, _) = open(FaultyDisk::new(), None, START, 1);
    let before = journal.into_parts().0;
    (journal, _) = open(before.clone(), None, START, 2);
    journal.append(&[entry(&mut TestRng(1), &mut Ids::default())], UnixMs(START), &mut entropy(3)).unwrap();
    let checkpoint = journal.checkpoint().encode();
    let (with, without) =
        assert_same_with_and_without(&before, &checkpoint, START, "restored from an older copy");
    assert_eq!(with, without);
}

#[test]
fn checkpoint_of_other_version_is_ignored() {
    let (journal, _) = open(FaultyDisk::new(), None, START, 1);
    let checkpoint = journal.checkpoint();
    let disk = journal.into_parts().0;
    let open = |software| {
        let now = UnixMs(START);
        let opened =
            Journal::open(disk.clone(), config(software), Some(checkpoint.clone()), now, &mut entropy(2));
        opened.unwrap().1.replayed_records
    };
    assert_eq!((open("1"), open("2")), (0, 1));
}

#[test]
fn malformed_checkpoint_or_missing_journal_starts_new() {
    assert!(Checkpoint::decode(b"{}").is_err());
    assert!(Checkpoint::decode(&[0xFF; 40]).is_err());
    let (journal, _) = open(FaultyDisk::new(), None, START, 1);
    let checkpoint = journal.checkpoint().encode();
    let (_, report) = open(FaultyDisk::new(), Some(&checkpoint), START, 2);
    assert_eq!(report, RecoveryReport { new_epoch: true, ..RecoveryReport::default() });
}
