//! Change of a card's PIN: three entries of six digits, and the card's result.

use contract::Entry;
use session::{CardEvent, CardWork, Effect, Event, Failure, PinAnswer, Ticket, Work, WorkAnswer};
use view::{Body, Intent, Text, TextId};

use crate::fixture::Fixture;

const SERVICE: &str = "修改密码";
const OLD: &str = "730914";
const NEW: &str = "580216";

fn at_current_pin() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.open(SERVICE);
    assert_eq!(fixture.title(), TextId::ChangePinOld);
    fixture
}

fn enter(fixture: &mut Fixture, pin: &str) {
    for digit in pin.bytes() {
        fixture.touch(Intent::PinDigit(digit - b'0'));
    }
    fixture.touch(Intent::Primary);
}

fn problem(fixture: &Fixture) -> Option<Text> {
    match fixture.view().body {
        Body::Pin(pad) => pad.problem,
        other => panic!("expected the PIN pad: {other:?}"),
    }
}

/// All three PINs are entered; returns the ticket of the card's work.
fn all_entered() -> (Fixture, Ticket) {
    let mut fixture = at_current_pin();
    enter(&mut fixture, OLD);
    assert_eq!(fixture.title(), TextId::ChangePinNew);
    enter(&mut fixture, NEW);
    assert_eq!(fixture.title(), TextId::ChangePinAgain);
    enter(&mut fixture, NEW);
    let (ticket, work) = fixture.pending_work();
    assert!(
        matches!(&work, Work::Card(CardWork::ChangePin { old, new }) if **old == *OLD.as_bytes() && **new == *NEW.as_bytes())
    );
    (fixture, ticket)
}

fn pin_changes(fixture: &Fixture) -> usize {
    fixture.count(|entry| matches!(entry, Entry::PinChanged { .. }))
}

#[test]
fn pin_change_verified_is_recorded_and_shown() {
    let (mut fixture, ticket) = all_entered();
    assert_eq!(fixture.shown_outcome().headline, TextId::ChangePinWorking.into());
    assert_eq!(pin_changes(&fixture), 0);
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Verified))));
    assert_eq!((fixture.shown_outcome().headline, pin_changes(&fixture)), (TextId::ChangePinDone.into(), 1));
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn pin_change_wrong_current_pin_restarts_or_locks() {
    let (mut fixture, ticket) = all_entered();
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Wrong { tries_left: 2 }))));
    assert_eq!(fixture.title(), TextId::ChangePinOld);
    assert_eq!(problem(&fixture), Some(Text::With(TextId::PinWrong, vec!["2".into()])));
    let (mut fixture, ticket) = all_entered();
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Locked))));
    assert_eq!((fixture.shown_outcome().headline, pin_changes(&fixture)), (TextId::PinLocked.into(), 0));
    let (mut fixture, ticket) = all_entered();
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Unsupported))));
    assert_eq!(
        (fixture.shown_outcome().headline, pin_changes(&fixture)),
        (TextId::ChangePinFailed.into(), 0)
    );
}

#[test]
fn pin_change_without_answer_shows_unknown_outcome() {
    let (mut fixture, ticket) = all_entered();
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::DeviceFailed)));
    assert_eq!(
        (fixture.shown_outcome().headline, pin_changes(&fixture)),
        (TextId::ChangePinUnclear.into(), 0)
    );
    let (mut fixture, _) = all_entered();
    fixture.wait(60_000);
    assert_eq!(fixture.shown_outcome().headline, TextId::ChangePinUnclear.into());
    let (mut fixture, _) = all_entered();
    fixture.touch(Intent::EndVisit);
    assert_eq!(
        fixture.shown_outcome().headline,
        TextId::ChangePinUnclear.into(),
        "the unknown outcome is shown after leaving, too"
    );
    let banners = fixture.view().banners;
    assert!(banners.iter().any(|banner| banner.title == TextId::TakeCardTitle.into()));
}

#[test]
fn weak_new_pins_are_rejected() {
    // The fixture's resident was born on 1 January 1990; the ID number ends in 011239.
    for (pin, word) in [
        (OLD, TextId::ChangePinSame),
        ("888888", TextId::ChangePinWeak),
        ("123456", TextId::ChangePinWeak),
        ("654321", TextId::ChangePinWeak),
        ("011239", TextId::ChangePinWeak),
        ("900101", TextId::ChangePinWeak),
        ("199001", TextId::ChangePinWeak),
        ("010190", TextId::ChangePinWeak),
    ] {
        let mut fixture = at_current_pin();
        enter(&mut fixture, OLD);
        enter(&mut fixture, pin);
        assert_eq!((fixture.title(), problem(&fixture)), (TextId::ChangePinNew, Some(word.into())), "{pin}");
        fixture.touch(Intent::PinDigit(5));
        assert_eq!(problem(&fixture), None, "the problem is shown until the next digit");
    }
}

#[test]
fn differing_new_pins_are_asked_again_without_current_pin() {
    let mut fixture = at_current_pin();
    enter(&mut fixture, OLD);
    enter(&mut fixture, NEW);
    enter(&mut fixture, "580217");
    assert_eq!(
        (fixture.title(), problem(&fixture)),
        (TextId::ChangePinNew, Some(TextId::ChangePinDiffers.into()))
    );
    assert!(!fixture.effects.iter().any(|effect| matches!(
        effect,
        Effect::StartWork { work: Work::Card(CardWork::ChangePin { .. }), .. }
    )));
    enter(&mut fixture, NEW);
    enter(&mut fixture, NEW);
    assert!(matches!(fixture.pending_work().1, Work::Card(CardWork::ChangePin { .. })));
}

#[test]
fn pin_change_back_or_card_removed_ends_any_stage() {
    for entered in [&[][..], &[OLD], &[OLD, NEW], &[OLD, NEW, NEW]] {
        let mut fixture = at_current_pin();
        for pin in entered {
            enter(&mut fixture, pin);
        }
        if entered.len() < 3 {
            fixture.touch(Intent::Back);
            assert_eq!(fixture.title(), TextId::MenuTitle);
            fixture.open(SERVICE);
        }
        fixture.event(Event::Card(CardEvent::Removed));
        if entered.len() == 3 {
            assert_eq!(
                fixture.shown_outcome().headline,
                TextId::ChangePinUnclear.into(),
                "the card was changing its PIN"
            );
            fixture.touch(Intent::Primary);
        }
        assert!(matches!(fixture.view().body, Body::Welcome(_)));
        assert_eq!(pin_changes(&fixture), 0);
    }
}

#[test]
fn pin_change_without_card_is_disabled() {
    let mut fixture = Fixture::new();
    fixture.begin_by_code(1);
    let Body::Menu(tiles) = fixture.view().body else { panic!("expected the menu") };
    let tile = tiles.iter().find(|tile| tile.title == Text::Data(SERVICE.into())).unwrap();
    assert_eq!((tile.enabled, &tile.detail), (false, &TextId::TileNeedsCard.into()));
}
