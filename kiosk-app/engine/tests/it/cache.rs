//! Starts with cached values: services without a link, recovery without reading the whole journal, and the same
//! state as from the journal alone.

use contract::Entry;
use engine::{CacheKey, CacheSnapshot, Output, UplinkRequest};

use crate::feed::menu;
use crate::fixture::{ChargeOutcome, Fixture, SharedDisk};
use crate::platform::Platform;

/// Simulates a power cut. Returns what survives it.
fn power_cut(bench: Fixture, seed: u64) -> (SharedDisk, Platform, CacheSnapshot) {
    let Fixture { disk, platform, cached: kept, .. } = bench;
    disk.lock().power_cut(seed);
    (disk, platform, kept)
}

fn after_visits(visits: usize) -> Fixture {
    let mut bench = Fixture::new();
    bench.answer_all(ChargeOutcome::Answered);
    for _ in 0..visits {
        bench.visit(ChargeOutcome::Answered);
        bench.finish_open_work();
    }
    bench
}

#[test]
fn start_without_link_offers_cached_services() {
    let (disk, platform, kept) = power_cut(after_visits(1), 3);
    let start = |kept| {
        let mut bench = Fixture::with_cache(disk.clone(), platform.clone(), 2, kept);
        bench.link_up = false;
        let asked = bench.pending.iter().find_map(|out| match out {
            Output::Send(UplinkRequest::Changes { since, .. }) => Some(*since),
            _ => None,
        });
        (menu(&mut bench), asked)
    };
    assert_eq!(start(CacheSnapshot::default()), (0, Some(0)));
    assert_eq!(start(kept), (1, Some(1)), "and only new items are fetched");
}

#[test]
fn cached_services_are_not_recorded_as_change() {
    let changes =
        |bench: &Fixture| bench.platform.count(|entry| matches!(entry, Entry::ServicesChanged { .. }));
    let bench = after_visits(1);
    assert_eq!(changes(&bench), 1);
    let (disk, platform, kept) = power_cut(bench, 3);
    let mut bench = Fixture::with_cache(disk, platform, 2, kept);
    bench.finish_open_work();
    assert_eq!(changes(&bench), 1);
}

#[test]
fn garbage_in_cache_is_ignored() {
    let (disk, platform, _) = power_cut(after_visits(1), 3);
    let garbage = CacheSnapshot { feed: Some(vec![0xFF; 99]) };
    let mut bench = Fixture::with_cache(disk, platform, 2, garbage);
    bench.finish_open_work();
    assert_eq!(menu(&mut bench), 1);
    assert_eq!(bench.out_of_service, 0);
}

#[test]
fn cache_key_names_are_stable() {
    assert_eq!(CacheKey::Feed.name(), "shelf");
}
