//! Starts with cached values: services without a link, recovery without reading the whole journal, and the same
//! state as from the journal alone.

use contract::Entry;
use engine::{Memo, Out, Place, Remembered, UplinkRequest};
use view::{Body, Intent};

use crate::bench::{Bench, Charges, SharedDisk};
use crate::feed::menu;
use crate::platform::Platform;

/// Simulates a power cut. Returns what survives it.
fn power_cut(bench: Bench, seed: u64) -> (SharedDisk, Platform, Remembered) {
    let Bench { disk, platform, kept, .. } = bench;
    disk.lock().power_cut(seed);
    (disk, platform, kept)
}

fn after_visits(visits: usize) -> Bench {
    let mut bench = Bench::new();
    bench.answer_all(Charges::Answered);
    for _ in 0..visits {
        bench.visit(Charges::Answered);
        bench.settle();
    }
    bench
}

#[test]
fn start_without_link_offers_cached_services() {
    let (disk, platform, kept) = power_cut(after_visits(1), 3);
    let start = |kept| {
        let mut bench = Bench::remembering(disk.clone(), platform.clone(), 2, kept);
        bench.link = false;
        let asked = bench.waiting.iter().find_map(|out| match out {
            Out::Send(UplinkRequest::Changes { since }) => Some(*since),
            _ => None,
        });
        (menu(&mut bench), asked)
    };
    assert_eq!(start(Remembered::default()), (0, Some(0)));
    assert_eq!(start(kept), (1, Some(1)), "and only new items are fetched");
}

#[test]
fn cached_services_are_not_recorded_as_change() {
    let changes =
        |bench: &Bench| bench.platform.count(|entry| matches!(entry, Entry::CatalogueChanged { .. }));
    let bench = after_visits(1);
    assert_eq!(changes(&bench), 1);
    let (disk, platform, kept) = power_cut(bench, 3);
    let mut bench = Bench::remembering(disk, platform, 2, kept);
    bench.settle();
    assert_eq!(changes(&bench), 1);
}

#[test]
fn checkpoint_is_cached_between_visits_only() {
    let mut bench = Bench::new();
    bench.answer_all(Charges::Answered);
    let mut checkpoints = 0;
    for _ in 0..30 {
        bench.kept.log = None;
        bench.insert_card();
        bench.answer_all(Charges::Answered);
        for _ in 0..8 {
            bench.touch(Intent::Open(0));
            bench.answer_all(Charges::Answered);
            bench.touch(Intent::Back);
            bench.answer_all(Charges::Answered);
        }
        assert!(bench.kept.log.is_none(), "a checkpoint during a visit would make the resident wait");
        bench.touch(Intent::Leave);
        bench.settle();
        checkpoints += u32::from(bench.kept.log.is_some());
    }
    assert!((2..=15).contains(&checkpoints), "{checkpoints} in 30 visits");
}

#[test]
fn open_order_is_recovered_with_and_without_checkpoint() {
    let mut with_checkpoint = 0;
    for visits in 0..12 {
        let mut bench = after_visits(visits);
        bench.visit(Charges::AnswerLost);
        let had_checkpoint = bench.kept.log.is_some();
        let (disk, platform, kept) = power_cut(bench, visits as u64);
        let end = |kept: Remembered| {
            let copy = SharedDisk::default();
            *copy.lock() = disk.lock().clone();
            let mut bench = Bench::remembering(copy, platform.clone(), 2, kept);
            let first = bench.view().body.clone();
            bench.settle();
            assert!(matches!(bench.view().body, Body::Welcome(_)));
            (first, bench.inquiries, bench.platform.entries.len(), bench.platform.charged)
        };
        let without = Remembered { log: None, ..kept.clone() };
        assert!(end(kept) == end(without), "after {visits} visits");
        with_checkpoint += u32::from(had_checkpoint);
    }
    assert!((2..12).contains(&with_checkpoint), "{with_checkpoint} power cuts had a cached checkpoint");
}

#[test]
fn garbage_in_cache_is_ignored() {
    let (disk, platform, _) = power_cut(after_visits(1), 3);
    let garbage = Remembered { log: Some(b"{".to_vec()), shelf: Some(vec![0xFF; 99]) };
    let mut bench = Bench::remembering(disk, platform, 2, garbage);
    bench.settle();
    assert_eq!(menu(&mut bench), 1);
    assert_eq!(bench.out_of_service, 0);
}

#[test]
fn cache_key_names_are_stable() {
    let name = |place| Memo { place, bytes: Vec::new() }.place.name();
    assert_eq!((name(Place::Log), name(Place::Shelf)), ("log", "shelf"));
}
