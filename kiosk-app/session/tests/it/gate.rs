//! Gates: one sign, cleared automatically, and one admission per holder.

use std::sync::Arc;

use contract::{
    AdmissionSubject, CardName, Entry, Evidence, GateRules, ProblemCode, Pseudonym, SiteProfile, UnixMs,
};
use session::{
    CardEvent, CardWork, DeviceKind, DeviceState, Durable, Equipment, Event, Failure, PlatformWork, Work,
    WorkAnswer,
};
use view::{Body, Light, TextId};

use crate::cards::{authority_answer, card_read, challenge};
use crate::codes::{DAY, Phone, card_revocations, code_trust_event};
use crate::fixture::{Fixture, WALL, code, evidence, identified, setup_with_codes};

fn gate_with(open: Durable) -> Fixture {
    let mut fixture = gate_without_code_trust(open);
    fixture.event(code_trust_event(&[]));
    fixture
}

fn gate_without_code_trust(open: Durable) -> Fixture {
    let mut setup = Arc::into_inner(setup_with_codes()).unwrap();
    setup.profile = SiteProfile::Gate;
    setup.equipment = Equipment { code_reader: true, card_reader: true, ..Equipment::default() };
    setup.gate_rules = Some(GateRules { passback_s: 300, verdict_ms: 2_500 });
    let mut fixture = Fixture::set_up(Arc::new(setup), open);
    fixture.event(Event::DeviceStateChanged(DeviceKind::CodeReader, DeviceState::Ready));
    fixture.event(Event::ClockSynchronised(0));
    fixture
}

fn gate() -> Fixture {
    gate_with(Durable::default())
}

fn sign(fixture: &Fixture) -> (Light, view::Text) {
    match fixture.view().body {
        Body::Sign(sign) => (sign.light, sign.detail),
        other => panic!("expected a sign: {other:?}"),
    }
}

fn admitted(fixture: &Fixture) -> Vec<AdmissionSubject> {
    let who = |entry: &Entry| if let Entry::Admitted { who, .. } = entry { Some(*who) } else { None };
    fixture.log.iter().filter_map(who).collect()
}

#[test]
fn gate_offline_code_admits_and_sign_clears() {
    let (mut fixture, phone) = (gate(), Phone::new(3));
    assert_eq!(sign(&fixture).0, Light::Ready);
    fixture.event(phone.shows_code(WALL));
    assert_eq!(sign(&fixture), (Light::Go, TextId::GateGoDetail.into()));
    assert!(fixture.effects.is_empty(), "the platform was not asked");
    assert_eq!(admitted(&fixture), [AdmissionSubject::Holder(phone.holder)]);
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
        fixture.event(Phone::new(number).shows_code(WALL));
        assert_eq!(sign(&fixture).0, Light::Go);
        seen.insert(fixture.view().id);
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn gate_repeated_phone_is_ignored_then_stopped() {
    let (mut fixture, phone) = (gate(), Phone::new(3));
    fixture.event(phone.shows_code(WALL));
    fixture.wait(4_000);
    fixture.event(phone.shows_code(WALL + 4_000));
    assert_eq!(sign(&fixture).0, Light::Ready);
    fixture.wait(16_000);
    fixture.event(phone.shows_code(WALL + 20_000));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::GatePassback.into()));
    fixture.event(Phone::new(4).shows_code(WALL + 20_000));
    assert_eq!(sign(&fixture).0, Light::Go, "the next code replaces the verdict");
    fixture.wait(300_000);
    fixture.event(phone.shows_code(WALL + 320_000));
    assert_eq!((sign(&fixture).0, admitted(&fixture).len()), (Light::Go, 3));
}

#[test]
fn gate_repeated_code_is_refused() {
    let (mut fixture, phone) = (gate(), Phone::new(3));
    fixture.event(phone.shows_code(WALL));
    fixture.wait(11_000);
    fixture.event(phone.shows_code(WALL));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::CodeUsed.into()));
    fixture.wait(10_000);
    fixture.event(phone.shows_code(WALL));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::CodeStale.into()));
    assert_eq!(admitted(&fixture).len(), 1);
}

#[test]
fn gate_anti_passback_survives_crash() {
    let phone = Phone::new(3);
    let mut before = gate();
    before.event(phone.shows_code(WALL));
    assert_eq!(admitted(&before).len(), 1);
    let open = before.folded;
    let mut fixture = gate_with(open);
    fixture.wait(30_000);
    fixture.event(phone.shows_code(WALL + 30_000));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::GatePassback.into()));
    fixture.wait(271_000);
    fixture.event(phone.shows_code(WALL + 301_000));
    assert_eq!(sign(&fixture).0, Light::Go);
}

#[test]
fn gate_online_token_admits_by_pseudonym_only() {
    let mut fixture = gate();
    fixture.event(Event::CodeScanned(code(7).into_bytes().into()));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::NoLink.into()));
    fixture.event(Event::LinkChanged(true));
    fixture.event(Event::CodeScanned(code(7).into_bytes().into()));
    assert_eq!(sign(&fixture).0, Light::Wait);
    let (ticket, _) = fixture.pending_work();
    fixture
        .event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Identified(identified(Evidence::TokenConsumed)))));
    assert_eq!(sign(&fixture).0, Light::Go);
    assert_eq!(admitted(&fixture), [AdmissionSubject::Resident(Pseudonym::from_entropy(77))]);
    assert!(!format!("{:?}", fixture.log).contains(crate::fixture::NAME));
    assert_eq!(fixture.view().header.resident, None);
}

#[test]
fn gate_platform_timeout_shows_stop() {
    let mut fixture = gate();
    fixture.event(Event::LinkChanged(true));
    fixture.event(Event::CodeScanned(code(7).into_bytes().into()));
    fixture.wait(3_000);
    assert_eq!(sign(&fixture), (Light::Stop, TextId::NoLink.into()));
    fixture.wait(2_500);
    assert_eq!(sign(&fixture).0, Light::Ready);
    fixture.event(Event::CodeScanned(code(8).into_bytes().into()));
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::Unreachable)));
    assert_eq!(sign(&fixture).0, Light::Stop);
    assert!(admitted(&fixture).is_empty());
}

#[test]
fn gate_without_working_readers_is_out_of_service() {
    let mut fixture = gate();
    fixture.event(Event::DeviceStateChanged(DeviceKind::CardReader, DeviceState::Ready));
    assert_eq!(sign(&fixture), (Light::Ready, TextId::GateReadyBothDetail.into()));
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::CodeReader,
        DeviceState::Faulty(session::FaultReason::Unavailable),
    ));
    assert_eq!(sign(&fixture), (Light::Ready, TextId::GateTapDetail.into()), "cards are still accepted");
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::CardReader,
        DeviceState::Faulty(session::FaultReason::Unavailable),
    ));
    assert_eq!(fixture.title(), TextId::ClosedTitle);
}

fn card() -> CardName {
    evidence().card_name().unwrap()
}

#[test]
fn gate_offline_admits_authenticated_card_until_revoked() {
    let mut fixture = gate();
    fixture.event(card_read(true));
    let offline = (Light::Stop, TextId::GateCardOffline.into());
    assert_eq!(sign(&fixture), offline, "card revocations are not known yet");
    fixture.event(card_revocations(&[], UnixMs(WALL + DAY)));
    fixture.event(card_read(false));
    assert_eq!(sign(&fixture), offline, "an unauthenticated card can be a copy");
    fixture.event(card_read(true));
    assert_eq!(sign(&fixture).0, Light::Go);
    assert!(fixture.effects.is_empty(), "the platform was not asked");
    assert_eq!(admitted(&fixture), [AdmissionSubject::Card(card())]);
    fixture.event(card_read(true));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::GatePassback.into()));

    fixture.event(card_revocations(&[(card(), UnixMs(WALL + DAY))], UnixMs(WALL + DAY)));
    fixture.wait(300_000);
    fixture.event(card_read(true));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::CardStopped.into()));
    fixture.event(card_revocations(&[(card(), UnixMs(WALL + DAY)), (card(), UnixMs(0))], UnixMs(WALL + DAY)));
    fixture.event(card_read(true));
    assert_eq!(sign(&fixture).0, Light::Go, "the revocation was lifted");
    fixture.event(card_revocations(&[], UnixMs(WALL + 1)));
    fixture.wait(300_000);
    fixture.event(card_read(true));
    assert_eq!(sign(&fixture), offline, "the card revocations have expired");
}

#[test]
fn gate_anti_passback_holds_across_link_changes() {
    let mut fixture = gate();
    fixture.event(card_revocations(&[], UnixMs(WALL + DAY)));
    fixture.event(Event::LinkChanged(true));
    fixture.event(card_read(true));
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(
        ticket,
        Ok(WorkAnswer::Identified(identified(Evidence::CardAuthenticated))),
    ));
    assert_eq!(sign(&fixture).0, Light::Go);
    fixture.event(Event::LinkChanged(false));
    fixture.event(card_read(true));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::GatePassback.into()));
    assert_eq!(admitted(&fixture), [AdmissionSubject::Resident(Pseudonym::from_entropy(77))]);

    let mut fixture = gate();
    fixture.event(card_revocations(&[], UnixMs(WALL + DAY)));
    fixture.event(card_read(true));
    fixture.event(Event::LinkChanged(true));
    fixture.event(card_read(true));
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(
        ticket,
        Ok(WorkAnswer::Identified(identified(Evidence::CardAuthenticated))),
    ));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::GatePassback.into()));
    assert_eq!(admitted(&fixture), [AdmissionSubject::Card(card())]);
}

#[test]
fn gate_knows_one_person_by_card_and_phone() {
    let phone = Phone::new(3);
    let names = || vec![AdmissionSubject::Card(card()), AdmissionSubject::Holder(phone.holder)];
    let answer_pending = |fixture: &mut Fixture, evidence| {
        let (ticket, _) = fixture.pending_work();
        let mut answer = identified(evidence);
        answer.names = names();
        fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Identified(answer))));
    };
    let refused = (Light::Stop, TextId::GatePassback.into());

    let mut by_card = gate();
    by_card.event(Event::LinkChanged(true));
    by_card.event(card_read(true));
    answer_pending(&mut by_card, Evidence::CardAuthenticated);
    assert_eq!(sign(&by_card).0, Light::Go);
    by_card.wait(11_000);
    by_card.event(phone.shows_code(WALL + 11_000));
    assert_eq!(sign(&by_card), refused, "the phone of the card's holder");

    let mut by_phone = gate();
    by_phone.event(Event::LinkChanged(true));
    by_phone.event(phone.shows_code(WALL));
    assert_eq!(sign(&by_phone).0, Light::Go);
    by_phone.event(card_read(true));
    answer_pending(&mut by_phone, Evidence::CardAuthenticated);
    assert_eq!(sign(&by_phone), refused, "the card of the phone's holder");
}

#[test]
fn gate_knows_phone_that_platform_had_to_verify() {
    // A gate that was just started has not received what codes are judged by: the platform is asked.
    let (mut fixture, phone) = (gate_without_code_trust(Durable::default()), Phone::new(3));
    fixture.event(Event::LinkChanged(true));
    fixture.event(phone.shows_code(WALL));
    let (ticket, _) = fixture.pending_work();
    let mut answer = identified(Evidence::OfflineCode);
    answer.names = vec![AdmissionSubject::Holder(phone.holder)];
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Identified(answer))));
    assert_eq!(sign(&fixture).0, Light::Go);
    fixture.event(code_trust_event(&[]));
    fixture.wait(4_000);
    fixture.event(phone.shows_code(WALL + 4_000));
    assert_eq!(sign(&fixture).0, Light::Ready, "the phone is still in front of the reader");
    fixture.wait(8_000);
    fixture.event(phone.shows_code(WALL + 12_000));
    assert_eq!(sign(&fixture), (Light::Stop, TextId::GatePassback.into()));
}

#[test]
fn gate_records_only_observed_card_evidence() {
    for (seen, expected) in [(false, Evidence::CardRead), (true, Evidence::CardAuthenticated)] {
        let mut fixture = gate();
        fixture.event(Event::LinkChanged(true));
        fixture.event(card_read(seen));
        let (ticket, _) = fixture.pending_work();
        fixture.event(Event::WorkAnswered(
            ticket,
            Ok(WorkAnswer::Identified(identified(Evidence::CardAuthenticated))),
        ));
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
        fixture.event(card_revocations(&[], UnixMs(WALL + DAY)));
        fixture.event(Event::LinkChanged(true));
        fixture.event(card_read(authenticated));
        fixture.wait(3_000);
        assert_eq!(sign(&fixture).0, light);
    }
}

#[test]
fn gate_without_psam_requests_card_authentication() {
    let mut fixture = gate();
    fixture.event(Event::LinkChanged(true));
    fixture.event(Event::Card(CardEvent::NeedsAuthentication(challenge())));
    assert_eq!(sign(&fixture).0, Light::Wait);
    let (ticket, Work::Platform(PlatformWork::RequestCardAuthentication(_))) = fixture.pending_work() else {
        panic!("expected a request for card authentication")
    };
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::CardAuthority(authority_answer()))));
    assert!(matches!(fixture.pending_work().1, Work::Card(CardWork::Authenticate(Some(_)))));
    fixture.event(card_read(true));
    assert!(matches!(fixture.pending_work().1, Work::Platform(PlatformWork::Identify(_))));
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
        fixture.event(Event::LinkChanged(true));
        fixture.event(Event::Card(CardEvent::NeedsAuthentication(challenge())));
        let (ticket, _) = fixture.pending_work();
        fixture.event(Event::WorkAnswered(ticket, Err(failure)));
        if stopped {
            assert_eq!(sign(&fixture).0, Light::Stop, "{failure:?}");
        } else {
            assert!(
                matches!(fixture.pending_work().1, Work::Card(CardWork::Authenticate(None))),
                "{failure:?}"
            );
        }
    }
    let mut fixture = gate();
    fixture.event(Event::Card(CardEvent::NeedsAuthentication(challenge())));
    assert!(
        matches!(fixture.pending_work().1, Work::Card(CardWork::Authenticate(None))),
        "no request without a link"
    );
}
