//! Change of a card's PIN: three entries of six digits, and the card's result.

use contract::Entry;
use session::{Answer, CardEvent, Effect, Event, Failure, PinAnswer, Ticket, Work};
use view::{Body, Intent, Text, TextId};

use crate::bench::Bench;

const SERVICE: &str = "修改密码";
const OLD: &str = "730914";
const NEW: &str = "580216";

fn at_current_pin() -> Bench {
    let mut fixture = Bench::new();
    fixture.by_card();
    fixture.open(SERVICE);
    assert_eq!(fixture.title(), TextId::ChangePinOld);
    fixture
}

fn enter(fixture: &mut Bench, pin: &str) {
    for digit in pin.bytes() {
        fixture.touch(Intent::Digit(digit - b'0'));
    }
    fixture.touch(Intent::Go);
}

fn problem(fixture: &Bench) -> Option<Text> {
    match fixture.view().body {
        Body::Pin(pad) => pad.problem,
        other => panic!("expected the PIN pad: {other:?}"),
    }
}

/// All three PINs are entered; returns the ticket of the card's work.
fn all_entered() -> (Bench, Ticket) {
    let mut fixture = at_current_pin();
    enter(&mut fixture, OLD);
    assert_eq!(fixture.title(), TextId::ChangePinNew);
    enter(&mut fixture, NEW);
    assert_eq!(fixture.title(), TextId::ChangePinAgain);
    enter(&mut fixture, NEW);
    let (ticket, work) = fixture.work();
    assert!(
        matches!(&work, Work::ChangePin { old, new } if **old == *OLD.as_bytes() && **new == *NEW.as_bytes())
    );
    (fixture, ticket)
}

fn pin_changes(fixture: &Bench) -> usize {
    fixture.count(|entry| matches!(entry, Entry::PinChanged { .. }))
}

#[test]
fn pin_change_verified_is_recorded_and_shown() {
    let (mut fixture, ticket) = all_entered();
    assert_eq!(fixture.outcome().word, TextId::ChangePinWorking.into());
    assert_eq!(pin_changes(&fixture), 0);
    fixture.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Verified))));
    assert_eq!((fixture.outcome().word, pin_changes(&fixture)), (TextId::ChangePinDone.into(), 1));
    fixture.touch(Intent::Go);
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn pin_change_wrong_current_pin_restarts_or_locks() {
    let (mut fixture, ticket) = all_entered();
    fixture.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Wrong { tries_left: 2 }))));
    assert_eq!(fixture.title(), TextId::ChangePinOld);
    assert_eq!(problem(&fixture), Some(Text::With(TextId::PinWrong, vec!["2".into()])));
    let (mut fixture, ticket) = all_entered();
    fixture.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Locked))));
    assert_eq!((fixture.outcome().word, pin_changes(&fixture)), (TextId::PinLocked.into(), 0));
    let (mut fixture, ticket) = all_entered();
    fixture.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::NotPossible))));
    assert_eq!((fixture.outcome().word, pin_changes(&fixture)), (TextId::ChangePinFailed.into(), 0));
}

#[test]
fn pin_change_without_answer_shows_unknown_outcome() {
    let (mut fixture, ticket) = all_entered();
    fixture.event(Event::Answer(ticket, Err(Failure::Device)));
    assert_eq!((fixture.outcome().word, pin_changes(&fixture)), (TextId::ChangePinUnclear.into(), 0));
    let (mut fixture, _) = all_entered();
    fixture.wait(60_000);
    assert_eq!(fixture.outcome().word, TextId::ChangePinUnclear.into());
    let (mut fixture, _) = all_entered();
    fixture.touch(Intent::Leave);
    assert_eq!(
        fixture.outcome().word,
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
        fixture.touch(Intent::Digit(5));
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
    assert!(
        !fixture
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Do { work: Work::ChangePin { .. }, .. }))
    );
    enter(&mut fixture, NEW);
    enter(&mut fixture, NEW);
    assert!(matches!(fixture.work().1, Work::ChangePin { .. }));
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
                fixture.outcome().word,
                TextId::ChangePinUnclear.into(),
                "the card was changing its PIN"
            );
            fixture.touch(Intent::Go);
        }
        assert!(matches!(fixture.view().body, Body::Welcome(_)));
        assert_eq!(pin_changes(&fixture), 0);
    }
}

#[test]
fn pin_change_without_card_is_disabled() {
    let mut fixture = Bench::new();
    fixture.by_code(1);
    let Body::Menu(tiles) = fixture.view().body else { panic!("expected the menu") };
    let tile = tiles.iter().find(|tile| tile.title == Text::Data(SERVICE.into())).unwrap();
    assert_eq!((tile.enabled, &tile.detail), (false, &TextId::TileNeedsCard.into()));
}
