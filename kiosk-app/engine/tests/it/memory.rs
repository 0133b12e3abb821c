//! A start with what a cache kept: the services without a link, the log without reading it all, and never
//! anything that the log alone would not have given.

use contract::Entry;
use engine::{Memo, Out, Place, Remembered, UplinkRequest};
use view::{Body, Intent};

use crate::bench::{Bench, Charges, SharedDisk};
use crate::feed::menu;
use crate::platform::Platform;

/// The power goes: all that is left of a bench.
fn cut(bench: Bench, seed: u64) -> (SharedDisk, Platform, Remembered) {
    let Bench { disk, platform, kept, .. } = bench;
    disk.lock().power_cut(seed);
    (disk, platform, kept)
}

fn visited(visits: usize) -> Bench {
    let mut bench = Bench::new();
    bench.answer_all(Charges::Answered);
    for _ in 0..visits {
        bench.visit(Charges::Answered);
        bench.settle();
    }
    bench
}

#[test]
fn without_a_link_the_services_that_were_kept_are_there() {
    let (disk, platform, kept) = cut(visited(1), 3);
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
    assert_eq!(start(kept), (1, Some(1)), "and only what is new is asked for");
}

#[test]
fn services_that_were_kept_are_not_recorded_as_a_change() {
    let changes =
        |bench: &Bench| bench.platform.count(|entry| matches!(entry, Entry::CatalogueChanged { .. }));
    let bench = visited(1);
    assert_eq!(changes(&bench), 1);
    let (disk, platform, kept) = cut(bench, 3);
    let mut bench = Bench::remembering(disk, platform, 2, kept);
    bench.settle();
    assert_eq!(changes(&bench), 1);
}

#[test]
fn the_fold_of_the_log_is_kept_now_and_then_but_never_while_somebody_is_there() {
    let mut bench = Bench::new();
    bench.answer_all(Charges::Answered);
    let mut folds = 0;
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
        assert!(bench.kept.log.is_none(), "a resident would wait for it");
        bench.touch(Intent::Leave);
        bench.settle();
        folds += u32::from(bench.kept.log.is_some());
    }
    assert!((2..=15).contains(&folds), "{folds} in 30 visits");
}

#[test]
fn an_order_that_is_open_at_the_cut_is_found_with_and_without_the_fold_that_was_kept() {
    let mut with_fold = 0;
    for visits in 0..12 {
        let mut bench = visited(visits);
        bench.visit(Charges::AnswerLost);
        let had_fold = bench.kept.log.is_some();
        let (disk, platform, kept) = cut(bench, visits as u64);
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
        with_fold += u32::from(had_fold);
    }
    assert!((2..12).contains(&with_fold), "{with_fold} of the cuts came with a fold");
}

#[test]
fn what_was_kept_by_nobody_known_is_left_aside() {
    let (disk, platform, _) = cut(visited(1), 3);
    let garbage = Remembered { log: Some(b"{".to_vec()), shelf: Some(vec![0xFF; 99]) };
    let mut bench = Bench::remembering(disk, platform, 2, garbage);
    bench.settle();
    assert_eq!(menu(&mut bench), 1);
    assert_eq!(bench.out_of_service, 0);
}

#[test]
fn a_memo_has_the_same_name_for_ever() {
    let name = |place| Memo { place, bytes: Vec::new() }.place.name();
    assert_eq!((name(Place::Log), name(Place::Shelf)), ("log", "shelf"));
}
