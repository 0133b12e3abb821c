//! Refusals of cards and codes, each with its own text.

use contract::{Entry, ProblemCode};
use session::{Answer, CardEvent, CardRefusal, Device, Event, Failure, Health, Trouble};
use view::{Body, TextId, Verdict};

use crate::bench::{Bench, code, evidence, identified};

fn code_event(text: &str) -> Event {
    Event::Code(text.as_bytes().to_vec().into())
}

#[test]
fn card_refusal_is_shown_until_card_removed() {
    for (refusal, word) in [
        (CardRefusal::Foreign, TextId::CardForeign),
        (CardRefusal::Mute, TextId::CardMute),
        (CardRefusal::Damaged, TextId::CardDamaged),
        (CardRefusal::Blocked, TextId::CardBlocked),
        (CardRefusal::Unproven, TextId::CardUnproven),
    ] {
        let mut fixture = Bench::new();
        fixture.event(Event::Card(CardEvent::Inserted));
        fixture.event(Event::Card(CardEvent::Refused(refusal)));
        fixture.wait(120_000);
        assert_eq!(fixture.outcome().word, word.into());
        assert_eq!(fixture.outcome().verdict, Verdict::Sorry);
        assert!(fixture.view().actions.is_empty());
        fixture.event(Event::Card(CardEvent::Removed));
        assert!(matches!(fixture.view().body, Body::Welcome(_)));
        assert!(fixture.log.is_empty(), "nobody was identified, so nothing is recorded");
    }
}

#[test]
fn card_reader_lost_while_reading_shows_timed_refusal() {
    let mut fixture = Bench::new();
    fixture.event(Event::Card(CardEvent::Inserted));
    fixture.event(Event::Health(Device::CardReader, Health::Trouble(Trouble::Gone)));
    assert_eq!(fixture.outcome().word, TextId::CardMute.into());
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
        let mut fixture = Bench::new();
        fixture.event(Event::Card(CardEvent::Inserted));
        fixture.event(Event::Card(CardEvent::Read { evidence: evidence(), valid_to: Some(valid_to.into()) }));
        let word = if accepted { TextId::Identifying } else { TextId::CardExpired };
        assert_eq!(fixture.outcome().word, word.into(), "{valid_to}");
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
        let mut fixture = Bench::new();
        fixture.insert_card();
        let (ticket, _) = fixture.work();
        fixture.event(Event::Answer(ticket, Err(Failure::Problem(problem))));
        assert_eq!(fixture.outcome().word, word.into());
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
        let mut fixture = Bench::new();
        fixture.event(code_event(text));
        assert_eq!(fixture.outcome().word, word.into(), "{text}");
        assert!(fixture.log.is_empty() && fixture.effects.is_empty());
    }
    assert_ne!(bent, good);
    let mut fixture = Bench::new();
    fixture.event(Event::Code(vec![0xFF, 0xFE, 0x00].into()));
    assert_eq!(fixture.outcome().word, TextId::CodeForeign.into());
}

#[test]
fn online_token_is_recorded_first_and_accepted_once() {
    let mut fixture = Bench::new();
    fixture.event(code_event(&code(5)));
    assert!(matches!(fixture.log.last(), Some(Entry::CodeAccepted { .. })));
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Err(Failure::Unreachable)));
    fixture.wait(9_000);
    fixture.event(code_event(&code(5)));
    assert_eq!(fixture.outcome().word, TextId::CodeUsed.into());
    fixture.event(code_event(&code(6)));
    assert_eq!(fixture.outcome().word, TextId::Identifying.into(), "another code is accepted");
}

#[test]
fn used_online_token_is_refused_after_restart() {
    let mut fixture = Bench::new();
    fixture.event(code_event(&code(5)));
    let used_codes = fixture
        .log
        .iter()
        .filter_map(|entry| match entry {
            Entry::CodeAccepted { mark, .. } => Some((mark.clone(), contract::UnixMs(1_795_000_060_000))),
            _ => None,
        })
        .collect();
    let mut again =
        Bench::recovered(session::OpenWork { code_marks: used_codes, ..session::OpenWork::default() });
    again.event(Event::Link(true));
    again.event(code_event(&code(5)));
    assert_eq!(again.outcome().word, TextId::CodeUsed.into());
}

#[test]
fn code_during_visit_by_card_is_ignored() {
    let mut fixture = Bench::new();
    fixture.by_card();
    fixture.event(code_event(&code(9)));
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert_eq!(fixture.count(|e| matches!(e, Entry::CodeAccepted { .. })), 0);
}

#[test]
fn online_token_without_link_is_not_consumed() {
    let mut fixture = Bench::new();
    fixture.event(Event::Link(false));
    fixture.event(code_event(&code(3)));
    assert_eq!(fixture.outcome().word, TextId::NoLink.into());
    fixture.event(Event::Link(true));
    fixture.event(code_event(&code(3)));
    assert_eq!(fixture.outcome().word, TextId::Identifying.into());
}

#[test]
fn identification_with_wrong_answer_kind_is_refused() {
    let mut fixture = Bench::new();
    fixture.insert_card();
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Ok(Answer::Pin(session::PinAnswer::Verified))));
    assert_eq!(fixture.outcome().word, TextId::Nonsense.into());
    assert_eq!(fixture.count(|e| matches!(e, Entry::Identified { .. })), 0);
}

#[test]
fn payment_pin_on_unauthenticated_card_keeps_level() {
    let mut fixture = Bench::new();
    fixture.by_card();
    fixture.bills();
    for intent in [view::Intent::Toggle(0), view::Intent::Go, view::Intent::Go] {
        fixture.touch(intent);
    }
    for digit in [1, 2, 3, 4, 5, 6] {
        fixture.touch(view::Intent::Digit(digit));
    }
    fixture.touch(view::Intent::Go);
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Ok(Answer::Pin(session::PinAnswer::Verified))));
    let level = fixture.log.iter().find_map(|entry| match entry {
        Entry::EvidenceGiven { level, .. } => Some(*level),
        _ => None,
    });
    assert_eq!(level, Some(identified(contract::Evidence::CardRead).level));
}
