//! 修改密码: three times six digits, and the card's word.

use contract::Entry;
use session::{Answer, CardEvent, Effect, Event, Failure, PinAnswer, Ticket, Work};
use view::{Body, Intent, Text, TextId};

use crate::bench::Bench;

const SERVICE: &str = "修改密码";
const OLD: &str = "730914";
const NEW: &str = "580216";

fn asked() -> Bench {
    let mut bench = Bench::new();
    bench.by_card();
    bench.open(SERVICE);
    assert_eq!(bench.title(), TextId::ChangePinOld);
    bench
}

fn enter(bench: &mut Bench, pin: &str) {
    for digit in pin.bytes() {
        bench.touch(Intent::Digit(digit - b'0'));
    }
    bench.touch(Intent::Go);
}

fn problem(bench: &Bench) -> Option<Text> {
    match bench.view().body {
        Body::Pin(pad) => pad.problem,
        other => panic!("not the pad: {other:?}"),
    }
}

/// All three entered; the card's work.
fn entered() -> (Bench, Ticket) {
    let mut bench = asked();
    enter(&mut bench, OLD);
    assert_eq!(bench.title(), TextId::ChangePinNew);
    enter(&mut bench, NEW);
    assert_eq!(bench.title(), TextId::ChangePinAgain);
    enter(&mut bench, NEW);
    let (ticket, work) = bench.work();
    assert!(
        matches!(&work, Work::ChangePin { old, new } if **old == *OLD.as_bytes() && **new == *NEW.as_bytes())
    );
    (bench, ticket)
}

fn changed(bench: &Bench) -> usize {
    bench.count(|entry| matches!(entry, Entry::PinChanged { .. }))
}

#[test]
fn the_card_changes_it_and_that_is_recorded_and_said() {
    let (mut bench, ticket) = entered();
    assert_eq!(bench.outcome().word, TextId::ChangePinWorking.into());
    assert_eq!(changed(&bench), 0);
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Verified))));
    assert_eq!((bench.outcome().word, changed(&bench)), (TextId::ChangePinDone.into(), 1));
    bench.touch(Intent::Go);
    assert_eq!(bench.title(), TextId::MenuTitle);
}

#[test]
fn a_wrong_present_pin_begins_again_and_the_last_try_locks() {
    let (mut bench, ticket) = entered();
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Wrong { tries_left: 2 }))));
    assert_eq!(bench.title(), TextId::ChangePinOld);
    assert_eq!(problem(&bench), Some(Text::With(TextId::PinWrong, vec!["2".into()])));
    let (mut bench, ticket) = entered();
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Locked))));
    assert_eq!((bench.outcome().word, changed(&bench)), (TextId::PinLocked.into(), 0));
    let (mut bench, ticket) = entered();
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::NotPossible))));
    assert_eq!((bench.outcome().word, changed(&bench)), (TextId::ChangePinFailed.into(), 0));
}

#[test]
fn a_card_that_does_not_answer_may_have_changed_its_pin_and_nobody_is_told_that_it_did_not() {
    let (mut bench, ticket) = entered();
    bench.event(Event::Answer(ticket, Err(Failure::Device)));
    assert_eq!((bench.outcome().word, changed(&bench)), (TextId::ChangePinUnclear.into(), 0));
    let (mut bench, _) = entered();
    bench.wait(60_000);
    assert_eq!(bench.outcome().word, TextId::ChangePinUnclear.into());
    let (mut bench, _) = entered();
    bench.touch(Intent::Leave);
    assert_eq!(bench.outcome().word, TextId::ChangePinUnclear.into(), "who leaves is told, too");
    let banners = bench.view().banners;
    assert!(banners.iter().any(|banner| banner.title == TextId::TakeCardTitle.into()));
}

#[test]
fn what_anybody_would_try_first_is_not_taken() {
    // The bench's resident was born on 1 January 1990; the ID number ends in 011239.
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
        let mut bench = asked();
        enter(&mut bench, OLD);
        enter(&mut bench, pin);
        assert_eq!((bench.title(), problem(&bench)), (TextId::ChangePinNew, Some(word.into())), "{pin}");
        bench.touch(Intent::Digit(5));
        assert_eq!(problem(&bench), None, "it is said until the next digit");
    }
}

#[test]
fn two_that_differ_are_asked_for_again_and_the_present_one_is_not() {
    let mut bench = asked();
    enter(&mut bench, OLD);
    enter(&mut bench, NEW);
    enter(&mut bench, "580217");
    assert_eq!(
        (bench.title(), problem(&bench)),
        (TextId::ChangePinNew, Some(TextId::ChangePinDiffers.into()))
    );
    assert!(
        !bench.effects.iter().any(|effect| matches!(effect, Effect::Do { work: Work::ChangePin { .. }, .. }))
    );
    enter(&mut bench, NEW);
    enter(&mut bench, NEW);
    assert!(matches!(bench.work().1, Work::ChangePin { .. }));
}

#[test]
fn back_leaves_it_and_the_card_taken_ends_it_at_every_stage() {
    for entered in [&[][..], &[OLD], &[OLD, NEW], &[OLD, NEW, NEW]] {
        let mut bench = asked();
        for pin in entered {
            enter(&mut bench, pin);
        }
        if entered.len() < 3 {
            bench.touch(Intent::Back);
            assert_eq!(bench.title(), TextId::MenuTitle);
            bench.open(SERVICE);
        }
        bench.event(Event::Card(CardEvent::Removed));
        if entered.len() == 3 {
            assert_eq!(bench.outcome().word, TextId::ChangePinUnclear.into(), "the card was at it");
            bench.touch(Intent::Go);
        }
        assert!(matches!(bench.view().body, Body::Welcome(_)));
        assert_eq!(changed(&bench), 0);
    }
}

#[test]
fn who_came_without_a_card_is_told_to_insert_it() {
    let mut bench = Bench::new();
    bench.by_code(1);
    let Body::Menu(tiles) = bench.view().body else { panic!("not the menu") };
    let tile = tiles.iter().find(|tile| tile.title == Text::Data(SERVICE.into())).unwrap();
    assert_eq!((tile.enabled, &tile.detail), (false, &TextId::TileNeedsCard.into()));
}
