//! What the feed brings to the screen, and what it does not.

use contract::{Entry, FeedItem, SecretKey};
use view::{Body, Link};

use crate::bench::{Bench, Charges, SharedDisk, WATER};
use crate::platform::{Platform, signed};

/// How many services the menu offers.
pub(crate) fn menu(bench: &mut Bench) -> usize {
    bench.insert_card();
    bench.answer_all(Charges::Answered);
    let Body::Menu(tiles) = &bench.view().body else { panic!("not the menu") };
    tiles.len()
}

#[test]
fn a_service_that_the_city_signed_is_offered_and_recorded() {
    let mut bench = Bench::new();
    bench.answer_all(Charges::Answered);
    assert_eq!(menu(&mut bench), 1);
    let changed = |entry: &Entry| matches!(entry, Entry::CatalogueChanged { cursor: 1, services } if services[0] == ("water.pay".into(), 1));
    assert_eq!(bench.platform.count(changed), 1);
}

#[test]
fn a_service_that_a_stranger_signed_is_never_shown() {
    let stranger = SecretKey::from_bytes(&[66; 32]).unwrap();
    let other = WATER.replace("water.pay", "water.steal");
    let feed = vec![signed(&stranger, &other), signed(&crate::platform::city_key(), WATER)];
    let mut platform = Platform::default();
    platform.feed = feed;
    let mut bench = Bench::on(SharedDisk::default(), platform, 1);
    bench.answer_all(Charges::Answered);
    assert_eq!(menu(&mut bench), 1);
    assert_eq!(bench.engine.refused_documents(), 1);
}

#[test]
fn a_withdrawn_service_is_gone_with_the_next_change() {
    let mut bench = Bench::new();
    bench.answer_all(Charges::Answered);
    bench.platform.feed.push(FeedItem::ServiceWithdrawn { id: "water.pay".into() });
    bench.wait(20_000);
    bench.answer_all(Charges::Answered);
    assert_eq!(menu(&mut bench), 0);
}

#[test]
fn the_screen_says_when_the_link_is_gone_and_when_it_is_back() {
    let mut bench = Bench::new();
    bench.answer_all(Charges::Answered);
    assert_eq!(bench.view().header.link, Link::Online);
    bench.link = false;
    for _ in 0..10 {
        bench.wait(20_000);
        bench.answer_all(Charges::Answered);
    }
    assert_eq!(bench.view().header.link, Link::Offline);
    bench.link = true;
    bench.settle();
    assert_eq!(bench.view().header.link, Link::Online);
}
