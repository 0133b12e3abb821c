//! Cards and codes that are not what they should be, each with its own words.

use contract::{Entry, ProblemCode};
use session::{Answer, CardEvent, CardRefusal, Device, Event, Failure, Health, Trouble};
use view::{Body, TextId, Verdict};

use crate::bench::{Bench, code, evidence, identified};

fn code_event(text: &str) -> Event {
    Event::Code(text.as_bytes().to_vec().into())
}

#[test]
fn a_card_that_cannot_be_used_says_why_until_it_is_taken() {
    for (refusal, word) in [
        (CardRefusal::Foreign, TextId::CardForeign),
        (CardRefusal::Mute, TextId::CardMute),
        (CardRefusal::Damaged, TextId::CardDamaged),
        (CardRefusal::Blocked, TextId::CardBlocked),
        (CardRefusal::Unproven, TextId::CardUnproven),
    ] {
        let mut bench = Bench::new();
        bench.event(Event::Card(CardEvent::Inserted));
        bench.event(Event::Card(CardEvent::Refused(refusal)));
        bench.wait(120_000);
        assert_eq!(bench.outcome().word, word.into());
        assert_eq!(bench.outcome().verdict, Verdict::Sorry);
        assert!(bench.view().actions.is_empty());
        bench.event(Event::Card(CardEvent::Removed));
        assert!(matches!(bench.view().body, Body::Welcome(_)));
        assert!(bench.log.is_empty(), "nobody was there, so nothing is recorded");
    }
}

#[test]
fn a_reader_that_hangs_over_a_card_lets_go_of_its_holder_and_says_to_take_it() {
    let mut bench = Bench::new();
    bench.event(Event::Card(CardEvent::Inserted));
    bench.event(Event::Health(Device::CardReader, Health::Trouble(Trouble::Gone)));
    assert_eq!(bench.outcome().word, TextId::CardMute.into());
    bench.wait(120_000);
    assert!(
        matches!(bench.view().body, Body::Welcome(_)),
        "not for ever: nobody knows whether the card is there"
    );
}

#[test]
fn a_card_past_its_last_day_is_refused_and_on_it_accepted() {
    // The bench's clock stands on 2026-11-18, Chongqing time.
    for (valid_to, accepted) in [("20261117", false), ("20261118", true), ("20360101", true)] {
        let mut bench = Bench::new();
        bench.event(Event::Card(CardEvent::Inserted));
        bench.event(Event::Card(CardEvent::Read { evidence: evidence(), valid_to: Some(valid_to.into()) }));
        let word = if accepted { TextId::Identifying } else { TextId::CardExpired };
        assert_eq!(bench.outcome().word, word.into(), "{valid_to}");
    }
}

#[test]
fn what_the_platform_says_of_a_card_or_code_is_said_on_the_screen() {
    for (problem, word) in [
        (ProblemCode::CardUnknown, TextId::CardUnknown),
        (ProblemCode::CardStopped, TextId::CardStopped),
        (ProblemCode::CardMismatch, TextId::CardMismatch),
        (ProblemCode::CodeUsed, TextId::CodeUsed),
        (ProblemCode::CodeExpired, TextId::CodeExpired),
        (ProblemCode::CodeUnknown, TextId::CodeUnknown),
        (ProblemCode::Unavailable, TextId::NoLink),
    ] {
        let mut bench = Bench::new();
        bench.insert_card();
        let (ticket, _) = bench.work();
        bench.event(Event::Answer(ticket, Err(Failure::Problem(problem))));
        assert_eq!(bench.outcome().word, word.into());
    }
}

#[test]
fn other_texts_before_the_camera_are_told_apart() {
    let good = code(1);
    let bent = format!("{}A", &good[..good.len() - 1]);
    let other_city = good.replacen("YK1:", "CD1:", 1);
    for (text, word) in [
        ("https://example.com/pay?id=1", TextId::CodeForeign),
        (other_city.as_str(), TextId::CodeOtherCity),
        (&good[..good.len() - 3], TextId::CodeDamaged),
    ] {
        let mut bench = Bench::new();
        bench.event(code_event(text));
        assert_eq!(bench.outcome().word, word.into(), "{text}");
        assert!(bench.log.is_empty() && bench.effects.is_empty());
    }
    assert_ne!(bent, good);
    let mut bench = Bench::new();
    bench.event(Event::Code(vec![0xFF, 0xFE, 0x00].into()));
    assert_eq!(bench.outcome().word, TextId::CodeForeign.into());
}

#[test]
fn a_code_is_accepted_once_and_its_mark_is_recorded_before_the_platform_is_asked() {
    let mut bench = Bench::new();
    bench.event(code_event(&code(5)));
    assert!(matches!(bench.log.last(), Some(Entry::CodeAccepted { .. })));
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Err(Failure::Unreachable)));
    bench.wait(9_000);
    bench.event(code_event(&code(5)));
    assert_eq!(bench.outcome().word, TextId::CodeUsed.into());
    bench.event(code_event(&code(6)));
    assert_eq!(bench.outcome().word, TextId::Identifying.into(), "another code is not held up");
}

#[test]
fn marks_survive_a_restart() {
    let mut bench = Bench::new();
    bench.event(code_event(&code(5)));
    let marks = bench
        .log
        .iter()
        .filter_map(|entry| match entry {
            Entry::CodeAccepted { mark, .. } => Some((mark.clone(), contract::UnixMs(1_795_000_060_000))),
            _ => None,
        })
        .collect();
    let mut again = Bench::recovered(session::OpenWork { code_marks: marks, ..session::OpenWork::default() });
    again.event(Event::Link(true));
    again.event(code_event(&code(5)));
    assert_eq!(again.outcome().word, TextId::CodeUsed.into());
}

#[test]
fn a_code_during_a_visit_or_with_a_card_in_the_slot_is_not_looked_at() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.event(code_event(&code(9)));
    assert_eq!(bench.title(), TextId::MenuTitle);
    assert_eq!(bench.count(|e| matches!(e, Entry::CodeAccepted { .. })), 0);
}

#[test]
fn offline_a_code_is_not_spent() {
    let mut bench = Bench::new();
    bench.event(Event::Link(false));
    bench.event(code_event(&code(3)));
    assert_eq!(bench.outcome().word, TextId::NoLink.into());
    bench.event(Event::Link(true));
    bench.event(code_event(&code(3)));
    assert_eq!(bench.outcome().word, TextId::Identifying.into());
}

#[test]
fn an_answer_of_the_wrong_kind_identifies_nobody() {
    let mut bench = Bench::new();
    bench.insert_card();
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(session::PinAnswer::Verified))));
    assert_eq!(bench.outcome().word, TextId::Nonsense.into());
    assert_eq!(bench.count(|e| matches!(e, Entry::Identified { .. })), 0);
}

#[test]
fn the_level_is_the_platforms_and_a_pin_does_not_raise_it_on_an_unauthenticated_card() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.bills();
    for intent in [view::Intent::Toggle(0), view::Intent::Go, view::Intent::Go] {
        bench.touch(intent);
    }
    for digit in [1, 2, 3, 4, 5, 6] {
        bench.touch(view::Intent::Digit(digit));
    }
    bench.touch(view::Intent::Go);
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(session::PinAnswer::Verified))));
    let level = bench.log.iter().find_map(|entry| match entry {
        Entry::EvidenceGiven { level, .. } => Some(*level),
        _ => None,
    });
    assert_eq!(level, Some(identified(contract::Evidence::CardRead).level));
}
