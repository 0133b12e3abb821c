//! Codes that the kiosk validates offline: the statements that it needs from the feed, and power cuts.

use contract::{
    CodeHolder, Entry, FeedItem, IssuerKey, IssuerKeys, Revocations, Revoked, SecretKey, SignedStatement,
    UnixMs,
};
use engine::CacheSnapshot;
use resident_code::{Alias, Capabilities, CodeIssuer, SessionCertificate, SessionTerms};
use session::Event;
use view::{Body, Intent, Text, TextId};

use crate::fixture::{ChargeOutcome, Fixture, SharedDisk, WATER};
use crate::platform::Platform;

const BEGIN: u64 = 1_795_000_000_000;
const DAY: u64 = 86_400_000;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap()
}

fn keys() -> FeedItem {
    let (not_before, not_after) = (UnixMs(0), UnixMs(BEGIN + 30 * DAY));
    let issuers = vec![IssuerKey { id: 1, key: key(0x51).public(), not_before, not_after }];
    let revoker = key(9).public();
    let list = IssuerKeys { city: "YK".into(), version: 1, not_before, not_after, revoker, issuers };
    FeedItem::IssuerKeys { list: SignedStatement::sign(&list, &key(1)) }
}

fn revocations(since: u64, aliases: &[[u8; 8]]) -> FeedItem {
    let ends = UnixMs(BEGIN + DAY);
    let revoked: Vec<_> =
        aliases.iter().map(|alias| Revoked { who: CodeHolder::from_alias(alias), ends }).collect();
    let until = since + revoked.len() as u64;
    let delta = Revocations { city: "YK".into(), since, until, expires: UnixMs(BEGIN + 3 * DAY), revoked };
    FeedItem::Revocations { delta: SignedStatement::sign(&delta, &key(9)) }
}

/// The code that phone `number` shows at this time.
fn code(number: u8, at: u64) -> Event {
    let session = SecretKey::from_bytes(&[number; 32]).unwrap();
    let terms = SessionTerms {
        capabilities: Capabilities(1),
        alias: Alias([number; 8]),
        issued_at: u32::try_from(BEGIN / 1000).unwrap() - 3600,
        lifetime_quarters: 96,
        session_key: session.public(),
    };
    let issuer = CodeIssuer::new(1, SecretKey::from_bytes(&[0x51; 32]).unwrap());
    let certificate = SessionCertificate::issue(&terms, &issuer).unwrap();
    let shown = certificate.present(&session, u32::try_from(at / 1000).unwrap()).unwrap();
    Event::CodeScanned(shown.to_text().into_bytes().into())
}

/// A kiosk that has fetched the feed once and then lost the link.
fn offline_after_feed(feed: Vec<FeedItem>) -> Fixture {
    let mut platform = Platform::with_services(&[WATER]);
    platform.feed.extend(feed);
    let mut bench =
        Fixture::with_code_rules(SharedDisk::default(), platform, 1, CacheSnapshot::default(), &key(1));
    bench.answer_all(ChargeOutcome::Answered);
    lose_link(&mut bench);
    bench
}

fn lose_link(bench: &mut Fixture) {
    bench.link_up = false;
    for _ in 0..10 {
        bench.advance(20_000);
        bench.answer_all(ChargeOutcome::Answered);
    }
}

/// Simulates a power cut and a restart, with or without the cache.
fn power_cut(bench: Fixture, cache: bool) -> Fixture {
    let Fixture { disk, platform, cached: kept, .. } = bench;
    disk.lock().power_cut(3);
    let kept = if cache { kept } else { CacheSnapshot::default() };
    let mut bench = Fixture::with_code_rules(disk, platform, 2, kept, &key(1));
    bench.link_up = false;
    bench
}

fn verified(bench: &Fixture) -> bool {
    bench.view().lead == Some(TextId::MenuLeadOffline.into())
}

fn headline(bench: &Fixture) -> Text {
    let Body::Outcome(outcome) = &bench.view().body else { panic!("no outcome: {:?}", bench.view()) };
    outcome.headline.clone()
}

#[test]
fn offline_code_is_accepted_with_keys_and_revocations() {
    let mut bench = offline_after_feed(vec![keys(), revocations(0, &[[7; 8]])]);
    bench.event(code(3, bench.wall()));
    assert!(verified(&bench));
    bench.touch(Intent::EndVisit);
    bench.event(code(7, bench.wall()));
    assert_eq!(headline(&bench), TextId::CodeRevoked.into());
    bench.link_up = true;
    bench.finish_open_work();
    assert_eq!(bench.platform.count(|entry| matches!(entry, Entry::CodeVerified { offline: true, .. })), 1);
    assert!(bench.platform.count(|entry| matches!(entry, Entry::ClockSynchronised { .. })) >= 1);
}

#[test]
fn offline_code_is_refused_without_keys_or_revocations() {
    let forged = FeedItem::IssuerKeys {
        list: match keys() {
            FeedItem::IssuerKeys { list } => {
                SignedStatement::sign(&list.open(&key(1).public()).unwrap(), &key(2))
            }
            _ => unreachable!(),
        },
    };
    for feed in [vec![], vec![keys()], vec![forged, revocations(0, &[])]] {
        let mut bench = offline_after_feed(feed);
        bench.event(code(3, bench.wall()));
        assert_eq!(headline(&bench), TextId::CodeNeedsLink.into());
    }
}

#[test]
fn offline_code_is_refused_when_clock_went_back() {
    let mut bench = offline_after_feed(vec![keys(), revocations(0, &[])]);
    let at = bench.wall();
    bench.event(code(3, at));
    assert!(verified(&bench));
    // The clock of the fixture is reset by the power cut, like one whose battery is empty.
    let mut bench = power_cut(bench, true);
    let now = bench.wall();
    bench.event(code(3, now));
    assert!(at > now);
    assert_eq!(headline(&bench), TextId::ClockDoubt.into());
}

#[test]
fn used_code_is_recovered_from_journal() {
    let mut platform = Platform::with_services(&[WATER]);
    platform.feed.extend([keys(), revocations(0, &[])]);
    let mut bench =
        Fixture::with_code_rules(SharedDisk::default(), platform, 1, CacheSnapshot::default(), &key(1));
    bench.answer_all(ChargeOutcome::Answered);
    bench.event(code(3, BEGIN));
    bench.pending.clear();
    let mut bench = power_cut(bench, true);
    bench.event(code(3, BEGIN));
    assert_eq!(headline(&bench), TextId::CodeUsed.into());
    bench.touch(Intent::Primary);
    bench.event(code(4, BEGIN));
    assert!(verified(&bench), "another phone's code is accepted, by the cached statements");
}

#[test]
fn offline_code_is_refused_without_cache_until_feed() {
    let bench = offline_after_feed(vec![keys(), revocations(0, &[])]);
    let mut bench = power_cut(bench, false);
    bench.advance(400_000);
    bench.event(code(3, bench.wall()));
    assert_eq!(headline(&bench), TextId::CodeNeedsLink.into());
    bench.link_up = true;
    bench.touch(Intent::Primary);
    bench.advance(20_000);
    bench.answer_all(ChargeOutcome::Answered);
    lose_link(&mut bench);
    bench.event(code(3, bench.wall()));
    assert!(verified(&bench));
}
