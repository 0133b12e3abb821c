//! Cards that need authentication before they disclose their holder, and the evidence of a PIN on them.

use contract::{
    CardAuthAnswer, CardAuthRequest, CardChallenge, Entry, Evidence, HexBytes, Level, ProblemCode,
};
use session::{
    Answer, CardEvent, CardRefusal, Device, Effect, Event, Failure, Health, PinAnswer, Trouble, Work,
};
use view::{Body, TextId};

use crate::bench::{Bench, evidence, identified};

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

pub(crate) fn vouched() -> CardAuthAnswer {
    CardAuthAnswer { internal: HexBytes([5; 8]), external: HexBytes([6; 16]) }
}

pub(crate) fn read(authenticated: bool) -> Event {
    let mut evidence = evidence();
    evidence.version = "3.00".into();
    evidence.authenticated = authenticated;
    Event::Card(CardEvent::Read { evidence, valid_to: None })
}

/// A card waits in the slot for its authentication.
fn waiting() -> Bench {
    let mut fixture = Bench::new();
    fixture.event(Event::Card(CardEvent::Inserted));
    fixture.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
    fixture
}

/// A visit whose card was read; the platform identified the holder with this evidence.
pub(crate) fn recognised(authenticated: bool, reported: Evidence) -> Bench {
    let mut fixture = waiting();
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
    fixture.effects.clear();
    fixture.event(read(authenticated));
    let (ticket, work) = fixture.work();
    assert!(matches!(work, Work::Identify(_)));
    fixture.event(Event::Answer(ticket, Ok(Answer::Identified(identified(reported)))));
    fixture
}

/// The evidence and level that are recorded after a correct PIN.
fn after_pin(mut fixture: Bench) -> Option<(Evidence, Level)> {
    fixture.pay_by_card();
    fixture.log.iter().find_map(|entry| match entry {
        Entry::EvidenceGiven { evidence, level, .. } => Some((*evidence, *level)),
        _ => None,
    })
}

#[test]
fn card_authentication_answer_is_passed_to_waiting_card() {
    let mut fixture = waiting();
    assert_eq!(fixture.outcome().word, TextId::ReadingCard.into());
    let (ticket, work) = fixture.work();
    let Work::AskAuthority(CardAuthRequest { card, .. }) = work else {
        panic!("expected a request for card authentication")
    };
    assert!(card == challenge());
    fixture.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
    let (_, work) = fixture.work();
    assert!(matches!(work, Work::Authenticate(Some(answer)) if answer == vouched()));
    assert_eq!(fixture.outcome().word, TextId::ReadingCard.into());
    fixture.event(read(true));
    assert!(matches!(fixture.work().1, Work::Identify(_)));
}

#[test]
fn card_not_authentic_is_refused_without_record() {
    let mut fixture = waiting();
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
    fixture.event(Event::Card(CardEvent::Refused(CardRefusal::Unproven)));
    let outcome = fixture.outcome();
    assert_eq!(
        (outcome.word, outcome.detail),
        (TextId::CardUnproven.into(), TextId::CardUnprovenDetail.into())
    );
    fixture.wait(120_000);
    assert_eq!(fixture.outcome().word, TextId::CardUnproven.into(), "shown until the card is removed");
    fixture.event(Event::Card(CardEvent::Removed));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
    assert!(fixture.log.is_empty());
}

#[test]
fn card_authentication_failures_read_in_part_or_refuse() {
    let mut fixture = waiting();
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Err(Failure::Problem(ProblemCode::NotOffered))));
    assert!(matches!(fixture.work().1, Work::Authenticate(None)));
    for (failure, word) in [
        (Failure::Problem(ProblemCode::CardStopped), TextId::CardStopped),
        (Failure::Problem(ProblemCode::CardUnknown), TextId::CardUnknown),
        (Failure::Problem(ProblemCode::ChallengeFailed), TextId::NotPermitted),
        (Failure::Problem(ProblemCode::Unavailable), TextId::NoLink),
        (Failure::Unreachable, TextId::NoLink),
        (Failure::Nonsense, TextId::Nonsense),
    ] {
        let mut fixture = waiting();
        let (ticket, _) = fixture.work();
        fixture.event(Event::Answer(ticket, Err(failure)));
        assert_eq!(fixture.outcome().word, word.into(), "{failure:?}");
        assert!(!fixture.effects.iter().any(|effect| matches!(effect, Effect::Do { .. })), "{failure:?}");
    }
}

#[test]
fn card_removed_during_authentication_cancels_request() {
    let loss =
        [Event::Card(CardEvent::Removed), Event::Health(Device::CardReader, Health::Trouble(Trouble::Gone))];
    for loss in loss {
        let mut fixture = waiting();
        let (ticket, _) = fixture.work();
        fixture.event(loss);
        assert!(fixture.effects.iter().any(|effect| matches!(effect, Effect::Cancel(of) if *of == ticket)));
        fixture.effects.clear();
        fixture.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
        fixture.event(read(true));
        assert!(fixture.effects.is_empty() && fixture.log.is_empty());
    }
}

#[test]
fn card_authentication_times_out() {
    let mut fixture = waiting();
    let (ticket, _) = fixture.work();
    fixture.wait(11_000);
    assert_eq!(fixture.outcome().word, TextId::NoLink.into());
    assert!(fixture.effects.iter().any(|effect| matches!(effect, Effect::Cancel(of) if *of == ticket)));

    let mut fixture = waiting();
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
    fixture.wait(60_000);
    assert_eq!(
        fixture.outcome().word,
        TextId::CardMute.into(),
        "the card did not respond to the authentication"
    );
}

#[test]
fn card_authentication_is_requested_once_per_card() {
    let mut fixture = waiting();
    fixture.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
    assert_eq!(fixture.effects.iter().filter(|effect| matches!(effect, Effect::Do { .. })).count(), 1);
    let mut fixture = Bench::new();
    fixture.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
    assert!(fixture.effects.is_empty());
}

#[test]
fn card_authentication_with_wrong_answer_kind_is_refused() {
    let mut fixture = waiting();
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Verified))));
    assert_eq!(fixture.outcome().word, TextId::Nonsense.into());
}

#[test]
fn card_read_during_authentication_cancels_request() {
    let mut fixture = waiting();
    let (ticket, _) = fixture.work();
    fixture.event(read(false));
    assert!(fixture.effects.iter().any(|effect| matches!(effect, Effect::Cancel(of) if *of == ticket)));
    assert!(matches!(fixture.work().1, Work::Identify(_)));
}

#[test]
fn payment_pin_evidence_depends_on_card_authentication() {
    let authenticated = recognised(true, Evidence::CardAuthenticated);
    assert!(authenticated.log.iter().any(|entry| matches!(
        entry,
        Entry::Identified { evidence: Evidence::CardAuthenticated, level: Level::Recognised, .. }
    )));
    assert_eq!(after_pin(authenticated), Some((Evidence::AuthenticatedCardPin, Level::Recognised)));
    let only_read = recognised(false, Evidence::CardRead);
    assert_eq!(after_pin(only_read), Some((Evidence::CardPin, Level::Recognised)));
}

#[test]
fn unauthenticated_card_limits_platform_evidence() {
    for reported in [Evidence::CardAuthenticated, Evidence::AuthenticatedCardPin] {
        let fixture = recognised(false, reported);
        assert!(fixture.log.iter().any(|entry| matches!(
            entry,
            Entry::Identified { evidence: Evidence::CardRead, level: Level::Recognised, .. }
        )));
        assert_eq!(after_pin(fixture), Some((Evidence::CardPin, Level::Recognised)));
    }
}
