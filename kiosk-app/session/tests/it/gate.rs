//! Gates: one sign, cleared automatically, and one admission per holder.

use std::sync::Arc;

use contract::{Admitted, CardName, Entry, Evidence, GateRules, ProblemCode, Profile, Pseudonym, UnixMs};
use session::{Answer, CardEvent, Device, Equipment, Event, Failure, Health, OpenWork, Work};
use view::{Body, Light, TextId};

use crate::bench::{Bench, WALL, code, evidence, identified, setup_with_codes};
use crate::cards::{challenge, read, vouched};
use crate::codes::{DAY, Phone, stops, trust};

fn gate_with(open: OpenWork) -> Bench {
    let mut setup = Arc::into_inner(setup_with_codes()).unwrap();
    setup.profile = Profile::Gate;
    setup.has = Equipment { code_reader: true, card_reader: true, ..Equipment::default() };
    setup.gate = Some(GateRules { passback_s: 300, verdict_ms: 2_500 });
    let mut fixture = Bench::set_up(Arc::new(setup), open);
    fixture.event(Event::Health(Device::CodeReader, Health::Ready));
    fixture.event(Event::ClockHeard(0));
    fixture.event(trust(&[]));
    fixture
}

fn gate() -> Bench {
    gate_with(OpenWork::default())
}

fn sign(fixture: &Bench) -> (Light, view::Text) {
    match fixture.view().body {
        Body::Sign(sign) => (sign.light, sign.detail),
        other => panic!("expected a sign: {other:?}"),
    }
}

fn admitted(fixture: &Bench) -> Vec<Admitted> {
    let who = |entry: &Entry| if let Entry::Admitted { who, .. } = entry { Some(*who) } else { None };
    fixture.log.iter().filter_map(who).collect()
}

#[test]
fn gate_offline_code_admits_and_sign_clears() {
    let (mut fixture, phone) = (gate(), Phone::new(3));
    assert_eq!(sign(&fixture).0, Light::Ready);
    fixture.event(phone.shows(WALL));
    assert_eq!(sign(&fixture), (Light::Go, TextId::GateGoDetail.into()));
    assert!(fixture.effects.is_empty(), "the platform was not asked");
    assert_eq!(admitted(&fixture), [Admitted::Holder(phone.holder)]);
    let kinds: Vec<u8> = fixture.log.iter().map(|entry| entry.kind().0).collect();
    assert!(kinds.ends_with(&[14, 15, 13]), "code verified, admitted, visit closed: {kinds:?}");
    fixture.wait(2_500);
    assert_eq!(sign(&fixture).0, Light::Ready);
}

#[test]
fn gate_equal_verdicts_have_distinct_view_ids() {
    let mut fixture = gate();
    let mut seen = std::collections::BTreeSet::new();
    for number in 3..6 {
        fixture.event(Phone::new(number).shows(WALL));
        assert_eq!(sign(&fixture).0, Light::Go);
        seen.insert(fixture.view().id);
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn gate_repeated_phone_is_ignored_then_stopped() {
    let (mut fixture, phone) = (gate(), Phone::new(3));
    fixture.event(phone.shows(WALL));
    fixture.wait(4_000);
    fixture.event(phone.shows(WALL + 4_000));
    assert_eq!(sign(&fixture).0, Light::Ready);
    fixture.wait(16_000);
    fixture.event(phone.shows(WALL + 20_000));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::GatePassback.into()));
    fixture.event(Phone::new(4).shows(WALL + 20_000));
    assert_eq!(sign(&fixture).0, Light::Go, "the next code replaces the verdict");
    fixture.wait(300_000);
    fixture.event(phone.shows(WALL + 320_000));
    assert_eq!((sign(&fixture).0, admitted(&fixture).len()), (Light::Go, 3));
}

#[test]
fn gate_repeated_code_is_refused() {
    let (mut fixture, phone) = (gate(), Phone::new(3));
    fixture.event(phone.shows(WALL));
    fixture.wait(11_000);
    fixture.event(phone.shows(WALL));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::CodeUsed.into()));
    fixture.wait(10_000);
    fixture.event(phone.shows(WALL));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::CodeStale.into()));
    assert_eq!(admitted(&fixture).len(), 1);
}

#[test]
fn gate_anti_passback_survives_crash() {
    let phone = Phone::new(3);
    let who = Admitted::Holder(phone.holder);
    let open = OpenWork { admitted: vec![(who, UnixMs(WALL + 60_000))], ..OpenWork::default() };
    let mut fixture = gate_with(open);
    fixture.event(phone.shows(WALL));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::GatePassback.into()));
    fixture.wait(61_000);
    fixture.event(phone.shows(WALL + 61_000));
    assert_eq!(sign(&fixture).0, Light::Go);
}

#[test]
fn gate_online_token_admits_by_pseudonym_only() {
    let mut fixture = gate();
    fixture.event(Event::Code(code(7).into_bytes().into()));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::NoLink.into()));
    fixture.event(Event::Link(true));
    fixture.event(Event::Code(code(7).into_bytes().into()));
    assert_eq!(sign(&fixture).0, Light::Wait);
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Ok(Answer::Identified(identified(Evidence::TokenConsumed)))));
    assert_eq!(sign(&fixture).0, Light::Go);
    assert_eq!(admitted(&fixture), [Admitted::Resident(Pseudonym::from_entropy(77))]);
    assert!(!format!("{:?}", fixture.log).contains(crate::bench::NAME));
    assert_eq!(fixture.view().header.who, None);
}

#[test]
fn gate_platform_timeout_shows_stop() {
    let mut fixture = gate();
    fixture.event(Event::Link(true));
    fixture.event(Event::Code(code(7).into_bytes().into()));
    fixture.wait(3_000);
    assert_eq!(sign(&fixture), (Light::Stop, TextId::NoLink.into()));
    fixture.wait(2_500);
    assert_eq!(sign(&fixture).0, Light::Ready);
    fixture.event(Event::Code(code(8).into_bytes().into()));
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Err(Failure::Unreachable)));
    assert_eq!(sign(&fixture).0, Light::Stop);
    assert!(admitted(&fixture).is_empty());
}

#[test]
fn gate_without_working_readers_is_out_of_service() {
    let mut fixture = gate();
    fixture.event(Event::Health(Device::CardReader, Health::Ready));
    assert_eq!(sign(&fixture), (Light::Ready, TextId::GateReadyBothDetail.into()));
    fixture.event(Event::Health(Device::CodeReader, Health::Trouble(session::Trouble::Gone)));
    assert_eq!(sign(&fixture), (Light::Ready, TextId::GateTapDetail.into()), "cards are still accepted");
    fixture.event(Event::Health(Device::CardReader, Health::Trouble(session::Trouble::Gone)));
    assert_eq!(fixture.title(), TextId::ClosedTitle);
}

fn card() -> CardName {
    evidence().card().unwrap()
}

#[test]
fn gate_offline_admits_authenticated_card_until_revoked() {
    let mut fixture = gate();
    fixture.event(read(true));
    let offline = (Light::Stop, TextId::GateCardOffline.into());
    assert_eq!(sign(&fixture), offline, "card revocations are not known yet");
    fixture.event(stops(&[], UnixMs(WALL + DAY)));
    fixture.event(read(false));
    assert_eq!(sign(&fixture), offline, "an unauthenticated card can be a copy");
    fixture.event(read(true));
    assert_eq!(sign(&fixture).0, Light::Go);
    assert!(fixture.effects.is_empty(), "the platform was not asked");
    assert_eq!(admitted(&fixture), [Admitted::Card(card())]);
    fixture.event(read(true));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::GatePassback.into()));

    fixture.event(stops(&[(card(), UnixMs(WALL + DAY))], UnixMs(WALL + DAY)));
    fixture.wait(300_000);
    fixture.event(read(true));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::CardStopped.into()));
    fixture.event(stops(&[(card(), UnixMs(WALL + DAY)), (card(), UnixMs(0))], UnixMs(WALL + DAY)));
    fixture.event(read(true));
    assert_eq!(sign(&fixture).0, Light::Go, "the revocation was lifted");
    fixture.event(stops(&[], UnixMs(WALL + 1)));
    fixture.wait(300_000);
    fixture.event(read(true));
    assert_eq!(sign(&fixture), offline, "the card revocations have expired");
}

#[test]
fn gate_anti_passback_holds_across_link_changes() {
    let mut fixture = gate();
    fixture.event(stops(&[], UnixMs(WALL + DAY)));
    fixture.event(Event::Link(true));
    fixture.event(read(true));
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Ok(Answer::Identified(identified(Evidence::CardAuthenticated)))));
    assert_eq!(sign(&fixture).0, Light::Go);
    fixture.event(Event::Link(false));
    fixture.event(read(true));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::GatePassback.into()));
    assert_eq!(admitted(&fixture), [Admitted::Resident(Pseudonym::from_entropy(77))]);

    let mut fixture = gate();
    fixture.event(stops(&[], UnixMs(WALL + DAY)));
    fixture.event(read(true));
    fixture.event(Event::Link(true));
    fixture.event(read(true));
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Ok(Answer::Identified(identified(Evidence::CardAuthenticated)))));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::GatePassback.into()));
    assert_eq!(admitted(&fixture), [Admitted::Card(card())]);
}

#[test]
fn gate_records_only_observed_card_evidence() {
    for (seen, expected) in [(false, Evidence::CardRead), (true, Evidence::CardAuthenticated)] {
        let mut fixture = gate();
        fixture.event(Event::Link(true));
        fixture.event(read(seen));
        let (ticket, _) = fixture.work();
        fixture.event(Event::Answer(ticket, Ok(Answer::Identified(identified(Evidence::CardAuthenticated)))));
        let recorded = fixture.log.iter().find_map(|entry| match entry {
            Entry::Admitted { evidence, .. } => Some(*evidence),
            _ => None,
        });
        assert_eq!(recorded, Some(expected));
    }
}

#[test]
fn gate_platform_timeout_admits_authenticated_card() {
    for (authenticated, light) in [(true, Light::Go), (false, Light::Stop)] {
        let mut fixture = gate();
        fixture.event(stops(&[], UnixMs(WALL + DAY)));
        fixture.event(Event::Link(true));
        fixture.event(read(authenticated));
        fixture.wait(3_000);
        assert_eq!(sign(&fixture).0, light);
    }
}

#[test]
fn gate_without_psam_requests_card_authentication() {
    let mut fixture = gate();
    fixture.event(Event::Link(true));
    fixture.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
    assert_eq!(sign(&fixture).0, Light::Wait);
    let (ticket, Work::AskAuthority(_)) = fixture.work() else {
        panic!("expected a request for card authentication")
    };
    fixture.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
    assert!(matches!(fixture.work().1, Work::Authenticate(Some(_))));
    fixture.event(read(true));
    assert!(matches!(fixture.work().1, Work::Identify(_)));
}

#[test]
fn gate_card_authentication_failures_stop_or_read_in_part() {
    for (failure, stopped) in [
        (Failure::Problem(ProblemCode::CardStopped), true),
        (Failure::Problem(ProblemCode::ChallengeFailed), true),
        (Failure::Problem(ProblemCode::NotOffered), false),
        (Failure::Problem(ProblemCode::Unavailable), false),
        (Failure::Unreachable, false),
    ] {
        let mut fixture = gate();
        fixture.event(Event::Link(true));
        fixture.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
        let (ticket, _) = fixture.work();
        fixture.event(Event::Answer(ticket, Err(failure)));
        if stopped {
            assert_eq!(sign(&fixture).0, Light::Stop, "{failure:?}");
        } else {
            assert!(matches!(fixture.work().1, Work::Authenticate(None)), "{failure:?}");
        }
    }
    let mut fixture = gate();
    fixture.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
    assert!(matches!(fixture.work().1, Work::Authenticate(None)), "no request without a link");
}
