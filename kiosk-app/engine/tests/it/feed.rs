//! Effects of the feed on the screen.

use contract::{Entry, FeedItem, SecretKey};
use engine::{Output, UplinkRequest};
use view::{Body, LinkStatus};

use crate::fixture::{ChargeOutcome, Fixture, SharedDisk, WATER};
use crate::platform::{Platform, signed};

/// Number of services in the menu of a new visit.
pub(crate) fn menu(bench: &mut Fixture) -> usize {
    bench.insert_card();
    bench.answer_all(ChargeOutcome::Answered);
    let Body::Menu(tiles) = &bench.view().body else { panic!("not the menu") };
    tiles.len()
}

#[test]
fn signed_service_is_offered_and_recorded() {
    let mut bench = Fixture::new();
    bench.answer_all(ChargeOutcome::Answered);
    assert_eq!(menu(&mut bench), 1);
    let changed = |entry: &Entry| matches!(entry, Entry::ServicesChanged { cursor: 1, services } if services[0] == ("water.pay".into(), 1));
    assert_eq!(bench.platform.count(changed), 1);
}

#[test]
fn service_with_other_signature_is_never_shown() {
    let stranger = SecretKey::from_bytes(&[66; 32]).unwrap();
    let other = WATER.replace("water.pay", "water.steal");
    let feed = vec![signed(&stranger, &other), signed(&crate::platform::city_key(), WATER)];
    let mut platform = Platform::default();
    platform.feed = feed;
    let mut bench = Fixture::start_on(SharedDisk::default(), platform, 1);
    bench.answer_all(ChargeOutcome::Answered);
    assert_eq!(menu(&mut bench), 1);
    assert_eq!(bench.engine.refused_documents(), 1);
}

#[test]
fn withdrawn_service_disappears_after_next_fetch() {
    let mut bench = Fixture::new();
    bench.answer_all(ChargeOutcome::Answered);
    bench.platform.feed.push(FeedItem::ServiceWithdrawn { id: "water.pay".into() });
    bench.advance(20_000);
    bench.answer_all(ChargeOutcome::Answered);
    assert_eq!(menu(&mut bench), 0);
}

#[test]
fn screen_shows_lost_and_restored_link() {
    let mut bench = Fixture::new();
    bench.answer_all(ChargeOutcome::Answered);
    assert_eq!(bench.view().header.link, LinkStatus::Online);
    bench.link_up = false;
    for _ in 0..10 {
        bench.advance(20_000);
        bench.answer_all(ChargeOutcome::Answered);
    }
    assert_eq!(bench.view().header.link, LinkStatus::Offline);
    bench.link_up = true;
    bench.finish_open_work();
    assert_eq!(bench.view().header.link, LinkStatus::Online);
}

#[test]
fn restored_feed_at_the_same_cursor_replaces_the_services() {
    let mut bench = Fixture::new();
    bench.platform.feed_epoch = Some(1);
    bench.answer_all(ChargeOutcome::Answered);
    assert_eq!(menu(&mut bench), 1);
    // The backup has another service, and as many items.
    bench.platform.feed = vec![FeedItem::ServiceWithdrawn { id: "gas.pay".into() }];
    bench.platform.feed_epoch = Some(2);
    bench.finish_open_work();
    assert_eq!(menu(&mut bench), 0);
    let cached = bench.cached.clone();
    let restarted = Fixture::with_cache(bench.disk.clone(), bench.platform.clone(), 2, cached);
    assert!(
        restarted
            .pending
            .iter()
            .any(|out| matches!(out, Output::Send(UplinkRequest::Changes { since: 1, feed: Some(2) })))
    );
}
