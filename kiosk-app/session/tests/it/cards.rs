//! Cards that need authentication before they disclose their holder, and the evidence of a PIN on them.

use contract::{
    CardAuthAnswer, CardAuthRequest, CardChallenge, Entry, Evidence, HexBytes, Level, ProblemCode,
};
use session::{
    CardEvent, CardRefusal, CardWork, DeviceKind, DeviceState, Effect, Event, Failure, FaultReason,
    PinAnswer, PlatformWork, Work, WorkAnswer,
};
use view::{Body, TextId};

use crate::fixture::{Fixture, evidence, identified};

pub(crate) fn challenge() -> CardChallenge {
    CardChallenge {
        area: "500103".into(),
        identification: HexBytes([0x50; 16]),
        version: "3.00".into(),
        algorithm: 3,
        atr_history: "8154".into(),
        challenge: HexBytes([1; 8]),
        internal_factor: HexBytes([2; 8]),
        internal_source: HexBytes([3; 8]),
        external_factor: HexBytes([4; 8]),
    }
}

pub(crate) fn authority_answer() -> CardAuthAnswer {
    CardAuthAnswer { internal: HexBytes([5; 8]), external: HexBytes([6; 16]) }
}

pub(crate) fn card_read(authenticated: bool) -> Event {
    let mut evidence = evidence();
    evidence.version = "3.00".into();
    evidence.authenticated = authenticated;
    Event::Card(CardEvent::Read { evidence, valid_to: None })
}

/// A card waits in the slot for its authentication.
fn awaiting_authority() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.event(Event::Card(CardEvent::Inserted));
    fixture.event(Event::Card(CardEvent::NeedsAuthentication(challenge())));
    fixture
}

/// A visit whose card was read; the platform identified the holder with this evidence.
pub(crate) fn identified_by_card(authenticated: bool, reported: Evidence) -> Fixture {
    let mut fixture = awaiting_authority();
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::CardAuthority(authority_answer()))));
    fixture.effects.clear();
    fixture.event(card_read(authenticated));
    let (ticket, work) = fixture.pending_work();
    assert!(matches!(work, Work::Platform(PlatformWork::Identify(_))));
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Identified(identified(reported)))));
    fixture
}

/// The evidence and level that are recorded after a correct PIN.
fn after_pin(mut fixture: Fixture) -> Option<(Evidence, Level)> {
    fixture.pay_by_card();
    fixture.log.iter().find_map(|entry| match entry {
        Entry::EvidenceGiven { evidence, level, .. } => Some((*evidence, *level)),
        _ => None,
    })
}

#[test]
fn card_authentication_answer_is_passed_to_waiting_card() {
    let mut fixture = awaiting_authority();
    assert_eq!(fixture.shown_outcome().headline, TextId::ReadingCard.into());
    let (ticket, work) = fixture.pending_work();
    let Work::Platform(PlatformWork::RequestCardAuthentication(CardAuthRequest { card, .. })) = work else {
        panic!("expected a request for card authentication")
    };
    assert!(card == challenge());
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::CardAuthority(authority_answer()))));
    let (_, work) = fixture.pending_work();
    assert!(matches!(work, Work::Card(CardWork::Authenticate(Some(answer))) if answer == authority_answer()));
    assert_eq!(fixture.shown_outcome().headline, TextId::ReadingCard.into());
    fixture.event(card_read(true));
    assert!(matches!(fixture.pending_work().1, Work::Platform(PlatformWork::Identify(_))));
}

#[test]
fn card_not_authentic_is_refused_without_record() {
    let mut fixture = awaiting_authority();
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::CardAuthority(authority_answer()))));
    fixture.event(Event::Card(CardEvent::Refused(CardRefusal::NotAuthentic)));
    let outcome = fixture.shown_outcome();
    assert_eq!(
        (outcome.headline, outcome.detail),
        (TextId::CardUnproven.into(), TextId::CardUnprovenDetail.into())
    );
    fixture.wait(120_000);
    assert_eq!(
        fixture.shown_outcome().headline,
        TextId::CardUnproven.into(),
        "shown until the card is removed"
    );
    fixture.event(Event::Card(CardEvent::Removed));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
    assert!(fixture.log.is_empty());
}

#[test]
fn card_authentication_failures_read_in_part_or_refuse() {
    let mut fixture = awaiting_authority();
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::Problem(ProblemCode::NotOffered))));
    assert!(matches!(fixture.pending_work().1, Work::Card(CardWork::Authenticate(None))));
    for (failure, word) in [
        (Failure::Problem(ProblemCode::CardStopped), TextId::CardStopped),
        (Failure::Problem(ProblemCode::CardUnknown), TextId::CardUnknown),
        (Failure::Problem(ProblemCode::ChallengeFailed), TextId::NotPermitted),
        (Failure::Problem(ProblemCode::Unavailable), TextId::NoLink),
        (Failure::Unreachable, TextId::NoLink),
        (Failure::InvalidResponse, TextId::Nonsense),
    ] {
        let mut fixture = awaiting_authority();
        let (ticket, _) = fixture.pending_work();
        fixture.event(Event::WorkAnswered(ticket, Err(failure)));
        assert_eq!(fixture.shown_outcome().headline, word.into(), "{failure:?}");
        assert!(
            !fixture.effects.iter().any(|effect| matches!(effect, Effect::StartWork { .. })),
            "{failure:?}"
        );
    }
}

#[test]
fn card_removed_during_authentication_cancels_request() {
    let loss = [
        Event::Card(CardEvent::Removed),
        Event::DeviceStateChanged(DeviceKind::CardReader, DeviceState::Faulty(FaultReason::Unavailable)),
    ];
    for loss in loss {
        let mut fixture = awaiting_authority();
        let (ticket, _) = fixture.pending_work();
        fixture.event(loss);
        assert!(
            fixture.effects.iter().any(|effect| matches!(effect, Effect::CancelWork(of) if *of == ticket))
        );
        fixture.effects.clear();
        fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::CardAuthority(authority_answer()))));
        fixture.event(card_read(true));
        assert!(fixture.effects.is_empty() && fixture.log.is_empty());
    }
}

#[test]
fn card_authentication_times_out() {
    let mut fixture = awaiting_authority();
    let (ticket, _) = fixture.pending_work();
    fixture.wait(11_000);
    assert_eq!(fixture.shown_outcome().headline, TextId::NoLink.into());
    assert!(fixture.effects.iter().any(|effect| matches!(effect, Effect::CancelWork(of) if *of == ticket)));

    let mut fixture = awaiting_authority();
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::CardAuthority(authority_answer()))));
    fixture.wait(60_000);
    assert_eq!(
        fixture.shown_outcome().headline,
        TextId::CardMute.into(),
        "the card did not respond to the authentication"
    );
}

#[test]
fn card_authentication_is_requested_once_per_card() {
    let mut fixture = awaiting_authority();
    fixture.event(Event::Card(CardEvent::NeedsAuthentication(challenge())));
    assert_eq!(fixture.effects.iter().filter(|effect| matches!(effect, Effect::StartWork { .. })).count(), 1);
    let mut fixture = Fixture::new();
    fixture.event(Event::Card(CardEvent::NeedsAuthentication(challenge())));
    assert!(fixture.effects.is_empty());
}

#[test]
fn card_authentication_with_wrong_answer_kind_is_refused() {
    let mut fixture = awaiting_authority();
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Verified))));
    assert_eq!(fixture.shown_outcome().headline, TextId::Nonsense.into());
}

#[test]
fn card_read_during_authentication_cancels_request() {
    let mut fixture = awaiting_authority();
    let (ticket, _) = fixture.pending_work();
    fixture.event(card_read(false));
    assert!(fixture.effects.iter().any(|effect| matches!(effect, Effect::CancelWork(of) if *of == ticket)));
    assert!(matches!(fixture.pending_work().1, Work::Platform(PlatformWork::Identify(_))));
}

#[test]
fn payment_pin_evidence_depends_on_card_authentication() {
    let authenticated = identified_by_card(true, Evidence::CardAuthenticated);
    assert!(authenticated.log.iter().any(|entry| matches!(
        entry,
        Entry::Identified { evidence: Evidence::CardAuthenticated, level: Level::Recognised, .. }
    )));
    assert_eq!(after_pin(authenticated), Some((Evidence::AuthenticatedCardPin, Level::Recognised)));
    let only_read = identified_by_card(false, Evidence::CardRead);
    assert_eq!(after_pin(only_read), Some((Evidence::CardPin, Level::Recognised)));
}

#[test]
fn unauthenticated_card_limits_platform_evidence() {
    for reported in [Evidence::CardAuthenticated, Evidence::AuthenticatedCardPin] {
        let fixture = identified_by_card(false, reported);
        assert!(fixture.log.iter().any(|entry| matches!(
            entry,
            Entry::Identified { evidence: Evidence::CardRead, level: Level::Recognised, .. }
        )));
        assert_eq!(after_pin(fixture), Some((Evidence::CardPin, Level::Recognised)));
    }
}
