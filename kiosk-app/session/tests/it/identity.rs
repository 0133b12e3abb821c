//! Refusals of cards and codes, each with its own text.

use contract::{Entry, ProblemCode};
use session::{CardEvent, CardRefusal, DeviceKind, DeviceState, Event, Failure, FaultReason, WorkAnswer};
use view::{Body, OutcomeKind, TextId};

use crate::fixture::{Fixture, code, evidence, identified};

fn code_event(text: &str) -> Event {
    Event::CodeScanned(text.as_bytes().to_vec().into())
}

#[test]
fn card_refusal_is_shown_until_card_removed() {
    for (refusal, word) in [
        (CardRefusal::Unsupported, TextId::CardForeign),
        (CardRefusal::NotResponding, TextId::CardMute),
        (CardRefusal::Damaged, TextId::CardDamaged),
        (CardRefusal::Blocked, TextId::CardBlocked),
        (CardRefusal::NotAuthentic, TextId::CardUnproven),
    ] {
        let mut fixture = Fixture::new();
        fixture.event(Event::Card(CardEvent::Inserted));
        fixture.event(Event::Card(CardEvent::Refused(refusal)));
        fixture.wait(120_000);
        assert_eq!(fixture.shown_outcome().headline, word.into());
        assert_eq!(fixture.shown_outcome().kind, OutcomeKind::NotDone);
        assert!(fixture.view().actions.is_empty());
        fixture.event(Event::Card(CardEvent::Removed));
        assert!(matches!(fixture.view().body, Body::Welcome(_)));
        assert!(fixture.log.is_empty(), "nobody was identified, so nothing is recorded");
    }
}

#[test]
fn card_reader_lost_while_reading_shows_timed_refusal() {
    let mut fixture = Fixture::new();
    fixture.event(Event::Card(CardEvent::Inserted));
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::CardReader,
        DeviceState::Faulty(FaultReason::Unavailable),
    ));
    assert_eq!(fixture.shown_outcome().headline, TextId::CardMute.into());
    fixture.wait(120_000);
    assert!(
        matches!(fixture.view().body, Body::Welcome(_)),
        "the notice is bounded in time: the removal of the card cannot be detected"
    );
}

#[test]
fn card_after_last_day_of_validity_is_refused() {
    // The fixture's clock is at 2026-11-18, Chongqing time.
    for (valid_to, accepted) in [("20261117", false), ("20261118", true), ("20360101", true)] {
        let mut fixture = Fixture::new();
        fixture.event(Event::Card(CardEvent::Inserted));
        fixture.event(Event::Card(CardEvent::Read { evidence: evidence(), valid_to: Some(valid_to.into()) }));
        let word = if accepted { TextId::Identifying } else { TextId::CardExpired };
        assert_eq!(fixture.shown_outcome().headline, word.into(), "{valid_to}");
    }
}

#[test]
fn platform_refusal_of_card_shows_its_text() {
    for (problem, word) in [
        (ProblemCode::CardUnknown, TextId::CardUnknown),
        (ProblemCode::CardStopped, TextId::CardStopped),
        (ProblemCode::CardMismatch, TextId::CardMismatch),
        (ProblemCode::CodeUsed, TextId::CodeUsed),
        (ProblemCode::CodeExpired, TextId::CodeExpired),
        (ProblemCode::CodeUnknown, TextId::CodeUnknown),
        (ProblemCode::Unavailable, TextId::NoLink),
    ] {
        let mut fixture = Fixture::new();
        fixture.insert_card();
        let (ticket, _) = fixture.pending_work();
        fixture.event(Event::WorkAnswered(ticket, Err(Failure::Problem(problem))));
        assert_eq!(fixture.shown_outcome().headline, word.into());
    }
}

#[test]
fn invalid_codes_show_distinct_refusals() {
    let good = code(1);
    let bent = format!("{}A", &good[..good.len() - 1]);
    let other_city = good.replacen("YK1:", "CD1:", 1);
    for (text, word) in [
        ("https://example.com/pay?id=1", TextId::CodeForeign),
        (other_city.as_str(), TextId::CodeOtherCity),
        (&good[..good.len() - 3], TextId::CodeDamaged),
    ] {
        let mut fixture = Fixture::new();
        fixture.event(code_event(text));
        assert_eq!(fixture.shown_outcome().headline, word.into(), "{text}");
        assert!(fixture.log.is_empty() && fixture.effects.is_empty());
    }
    assert_ne!(bent, good);
    let mut fixture = Fixture::new();
    fixture.event(Event::CodeScanned(vec![0xFF, 0xFE, 0x00].into()));
    assert_eq!(fixture.shown_outcome().headline, TextId::CodeForeign.into());
}

#[test]
fn online_token_is_recorded_first_and_accepted_once() {
    let mut fixture = Fixture::new();
    fixture.event(code_event(&code(5)));
    assert!(matches!(fixture.log.last(), Some(Entry::CodeUsed { .. })));
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::Unreachable)));
    fixture.wait(9_000);
    fixture.event(code_event(&code(5)));
    assert_eq!(fixture.shown_outcome().headline, TextId::CodeUsed.into());
    fixture.event(code_event(&code(6)));
    assert_eq!(fixture.shown_outcome().headline, TextId::Identifying.into(), "another code is accepted");
}

#[test]
fn used_online_token_is_refused_after_restart() {
    let mut fixture = Fixture::new();
    fixture.event(code_event(&code(5)));
    let mut again = Fixture::recovered(fixture.folded);
    again.event(Event::LinkChanged(true));
    again.event(code_event(&code(5)));
    assert_eq!(again.shown_outcome().headline, TextId::CodeUsed.into());
}

#[test]
fn code_during_visit_by_card_is_ignored() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.event(code_event(&code(9)));
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert_eq!(fixture.count(|e| matches!(e, Entry::CodeUsed { .. })), 0);
}

#[test]
fn online_token_without_link_is_not_consumed() {
    let mut fixture = Fixture::new();
    fixture.event(Event::LinkChanged(false));
    fixture.event(code_event(&code(3)));
    assert_eq!(fixture.shown_outcome().headline, TextId::NoLink.into());
    fixture.event(Event::LinkChanged(true));
    fixture.event(code_event(&code(3)));
    assert_eq!(fixture.shown_outcome().headline, TextId::Identifying.into());
}

#[test]
fn identification_with_wrong_answer_kind_is_refused() {
    let mut fixture = Fixture::new();
    fixture.insert_card();
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(session::PinAnswer::Verified))));
    assert_eq!(fixture.shown_outcome().headline, TextId::Nonsense.into());
    assert_eq!(fixture.count(|e| matches!(e, Entry::Identified { .. })), 0);
}

#[test]
fn payment_pin_on_unauthenticated_card_keeps_level() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.open_bills();
    for intent in [view::Intent::ToggleRow(0), view::Intent::Primary, view::Intent::Primary] {
        fixture.touch(intent);
    }
    for digit in [1, 2, 3, 4, 5, 6] {
        fixture.touch(view::Intent::PinDigit(digit));
    }
    fixture.touch(view::Intent::Primary);
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(session::PinAnswer::Verified))));
    let level = fixture.log.iter().find_map(|entry| match entry {
        Entry::EvidenceGiven { level, .. } => Some(*level),
        _ => None,
    });
    assert_eq!(level, Some(identified(contract::Evidence::CardRead).level));
}
