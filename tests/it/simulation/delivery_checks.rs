//! Checks of what reaches the platform, at the end of a run: the chains, and each record on the kiosks' disks.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Chain, Entry, Head, KioskId, RecordBatch, RecordHeader, UnixMs, UnreportedOrdersAnswer};
use engine::platform_api::OutgoingRequest;
use server::{KioskAudit, PlatformReply};

use super::kiosk::SimKiosk;
use super::network::signed_request;
use super::screen_checks::DurableRecords;
use super::simulator::Simulator;

/// What the platform has of one epoch.
pub(crate) struct StoredEpoch {
    pub(crate) epoch: u64,
    /// The number of the newest record.
    pub(crate) upto: u64,
    /// Hashes of the chain, by number. None in a gap that the kiosk has stated.
    heads: BTreeMap<u64, [u8; 32]>,
    /// The entries with the kiosk's time, each once; those that were stated again as they were first recorded.
    pub(crate) entries: Vec<(UnixMs, Entry)>,
    /// All entries with epoch and number of their first record.
    numbered: Vec<((u64, u64), Entry)>,
}

/// I2, I7: checks that the chains are signed by the kiosk, and complete but for what it states to be missing; returns the epochs.
pub(crate) fn audit(world: &mut Simulator, id: KioskId) -> Vec<StoredEpoch> {
    let now = world.wall();
    let export = world.city.page(&format!("/v1/audit/{id}"), now, 1);
    let audit: KioskAudit = serde_json::from_slice(&export).unwrap();
    let mut stored = Vec::new();
    for epoch in audit.epochs {
        let number = epoch.batch.from.epoch;
        let runs: Vec<_> = std::iter::once(epoch.batch).chain(epoch.after_missing).collect();
        for run in &runs {
            run.verify_chain().unwrap_or_else(|error| panic!("{id}: {error}"));
            assert!(run.missing.is_none_or(|missing| missing.verify(run.from, &audit.key).is_ok()), "{id}");
        }
        assert!(epoch.heads.iter().all(|head| head.verify(&audit.key).is_ok()), "{id}");
        let records = runs.iter().flat_map(|run| &run.records).map(|wire| wire.to_record().unwrap());
        let entries = records.map(|record| (record.header, Entry::decode(&record.body).unwrap()));
        let upto = runs.last().map_or(0, |run| run.to.head.seq);
        let heads = runs.iter().flat_map(heads_of_run).map(|head| (head.seq, head.hash)).collect();
        stored.push((number, upto, heads, entries.collect::<Vec<_>>()));
    }
    let numbered = |(header, entry): &(RecordHeader, Entry)| ((header.epoch, header.seq), entry.clone());
    let first: BTreeMap<(u64, u64), Entry> =
        stored.iter().flat_map(|(_, _, _, entries)| entries).map(numbered).collect();
    let as_first_recorded = |(header, entry): (RecordHeader, Entry)| match entry {
        Entry::Restated { epoch, seq, record, .. } if first.get(&(epoch, seq)) == Some(&record) => None,
        Entry::Restated { time, record, .. } => Some((time, *record)),
        entry => Some((header.time, entry)),
    };
    let first_number = |(header, entry): &(RecordHeader, Entry)| match entry {
        Entry::Restated { epoch, seq, record, .. } => ((*epoch, *seq), (**record).clone()),
        entry => ((header.epoch, header.seq), entry.clone()),
    };
    let epochs = stored.into_iter().map(|(epoch, upto, heads, entries)| StoredEpoch {
        epoch,
        upto,
        heads,
        numbered: entries.iter().map(first_number).collect(),
        entries: entries.into_iter().filter_map(as_first_recorded).collect(),
    });
    epochs.collect()
}

/// The heads of the chain of a run of records.
fn heads_of_run(run: &RecordBatch) -> Vec<Head> {
    let mut chain = Chain::from_head(run.from);
    let records = run.records.iter().map(|wire| wire.to_record().unwrap());
    let heads = records.map(|record| {
        chain.push(&record.header, &record.commitment()).unwrap();
        chain.head()
    });
    heads.collect()
}

/// I2, I7: the platform has every record of the epoch that the kiosk writes, and those that the kiosk has written at any time.
pub(crate) fn check_delivered(world: &Simulator, kiosk: usize, stored: &[StoredEpoch]) {
    for (epoch, upto) in world.answers.acknowledged(kiosk) {
        let exported = stored.iter().find(|one| one.epoch == epoch).map_or(0, |one| one.upto);
        assert!(exported >= upto, "kiosk {kiosk}: {upto} records are acknowledged, {exported} exported");
    }
    let terminal = &world.kiosks[kiosk];
    let head = terminal.head().expect("a kiosk in service has a journal");
    let current = stored.iter().find(|one| one.epoch == head.epoch).expect("the epoch is delivered");
    assert_eq!(current.upto, head.seq, "kiosk {kiosk}: records are not delivered");
    for ((_, seq), hash) in terminal.heads.range((head.epoch, 0)..=(head.epoch, u64::MAX)) {
        let is_kept = current.heads.get(seq).is_none_or(|stored| stored == hash);
        assert!(is_kept, "kiosk {kiosk}: record {seq} was written, and another one is delivered");
    }
    check_every_record(terminal, kiosk, stored);
}

/// I2: what can be read on the kiosk's disk is at the platform: under its own number, or stated again.
fn check_every_record(terminal: &SimKiosk, kiosk: usize, stored: &[StoredEpoch]) {
    let mut records = DurableRecords::default();
    records.update(terminal.disk.lock().clone(), kiosk);
    let mut delivered: BTreeMap<(u64, u64), Vec<&Entry>> = BTreeMap::new();
    for (number, entry) in stored.iter().flat_map(|epoch| &epoch.numbered) {
        delivered.entry(*number).or_default().push(entry);
    }
    let is_delivered = |number, entry| delivered.get(&number).is_some_and(|all| all.contains(&entry));
    // The platform has other records of these.
    let forked: BTreeSet<u64> = records
        .numbered()
        .filter(|(number, entry)| delivered.contains_key(number) && !is_delivered(*number, *entry))
        .map(|((epoch, _), _)| epoch)
        .collect();
    for ((epoch, seq), entry) in records.numbered() {
        // These concern their own epoch only.
        let is_of_epoch = matches!(entry, Entry::JournalOpened { .. } | Entry::Restated { .. });
        // What was stated again may have rotted before it was delivered.
        let may_be_lost = terminal.is_rotten && forked.contains(&epoch);
        assert!(
            is_of_epoch || may_be_lost || is_delivered((epoch, seq), entry),
            "kiosk {kiosk}: record {seq} of epoch {epoch:x} was never delivered: {entry:?}"
        );
    }
}

/// I2: the platform knows the outcome of each order from the kiosk's records.
pub(crate) fn check_no_order_is_unreported(world: &mut Simulator, kiosk: usize) {
    let request = signed_request(kiosk, OutgoingRequest::unreported_orders(), world.wall());
    let (now, entropy) = (world.wall(), world.rng.next_u128());
    let PlatformReply::Answer(response) = world.city.platform.handle(&request, now, entropy) else {
        panic!("the platform needs nobody for this answer")
    };
    let answer: UnreportedOrdersAnswer = serde_json::from_slice(&response.body)
        .unwrap_or_else(|_| panic!("the platform refuses: {}", String::from_utf8_lossy(&response.body)));
    assert!(
        answer.orders.is_empty(),
        "kiosk {kiosk}: outcomes did not reach the platform: {:?}",
        answer.orders
    );
    world.counts.checks += 1;
}
