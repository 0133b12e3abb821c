//! A card's PIN opens what needs level 2: on a card that proved itself, once the platform has heard of it.

use contract::{Entry, Evidence, EvidenceAnswer, Given, Level, ProblemCode};
use session::{Answer, CardEvent, Device, Effect, Event, Failure, Health, PinAnswer, Ticket, Trouble, Work};
use view::{Body, Intent, PinPad, Text, TextId};

use crate::bench::Bench;
use crate::cards::recognised;

const SERVICE: &str = "开通手机";
const PROVEN: EvidenceAnswer =
    EvidenceAnswer { evidence: Evidence::AuthenticatedCardPin, level: Level::Proven };

/// Somebody with a card that proved itself, at the pad.
fn asked() -> Bench {
    let mut bench = recognised(true, Evidence::CardAuthenticated);
    assert_eq!(tile(&bench), (true, TextId::TileNeedsPin.into()));
    bench.open(SERVICE);
    assert_eq!(bench.title(), TextId::PinTitle);
    bench
}

/// Whether the service can be touched, and what stands under its name.
fn tile(bench: &Bench) -> (bool, Text) {
    let Body::Menu(tiles) = bench.view().body else { panic!("not the menu") };
    let tile = tiles.iter().find(|tile| tile.title == Text::Data(SERVICE.into())).unwrap();
    (tile.enabled, tile.detail.clone())
}

fn pad(bench: &Bench) -> PinPad {
    match bench.view().body {
        Body::Pin(pad) => pad,
        other => panic!("not the pad: {other:?}"),
    }
}

/// Six digits, and *go*; the card's work.
fn enter(bench: &mut Bench) -> Ticket {
    for digit in [7, 3, 0, 9, 1, 4] {
        bench.touch(Intent::Digit(digit));
    }
    bench.touch(Intent::Go);
    let (ticket, work) = bench.work();
    assert!(matches!(work, Work::VerifyPin(pin) if *pin == b"730914"));
    ticket
}

/// The card says yes; the platform's work.
fn verified(bench: &mut Bench) -> Ticket {
    let ticket = enter(bench);
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Verified))));
    let (ticket, work) = bench.work();
    assert!(matches!(work, Work::Prove(request) if matches!(request.given, Given::CardPin)));
    ticket
}

fn proofs(bench: &Bench) -> usize {
    bench.count(|entry| matches!(entry, Entry::EvidenceGiven { .. }))
}

#[test]
fn the_service_opens_when_card_and_platform_have_said_yes_and_shows_its_code() {
    let mut bench = asked();
    let ticket = verified(&mut bench);
    assert_eq!(bench.outcome().word, TextId::PinCheck.into());
    assert_eq!(proofs(&bench), 0, "the platform has not heard of it");
    bench.event(Event::Answer(ticket, Ok(Answer::Evidence(PROVEN))));
    assert!(bench.log.iter().any(|entry| matches!(
        entry,
        Entry::EvidenceGiven { evidence: Evidence::AuthenticatedCardPin, level: Level::Proven, .. }
    )));
    bench.answer_rows(&[&[("code", "https://city/code/#pair=12")]]);
    let Body::Scan(scan) = bench.view().body else { panic!("not a code") };
    assert_eq!((scan.qr.as_str(), scan.steps.len()), ("https://city/code/#pair=12", 1));
    bench.touch(Intent::Go);
    assert_eq!(tile(&bench).1, Text::Data("凭卡和密码开通".into()), "it is open in this visit");
}

#[test]
fn a_wrong_pin_says_how_often_and_shuffles_the_keys_and_the_last_one_locks() {
    let mut bench = asked();
    let before = pad(&bench).keys;
    let ticket = enter(&mut bench);
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Wrong { tries_left: 2 }))));
    let after = pad(&bench);
    assert_eq!(after.problem, Some(Text::With(TextId::PinWrong, vec!["2".into()])));
    assert_eq!(after.entered, 0);
    assert_ne!(after.keys, before);
    let ticket = enter(&mut bench);
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Locked))));
    assert_eq!(bench.outcome().detail, TextId::ProvePinLockedDetail.into());
    bench.touch(Intent::Go);
    assert_eq!(bench.title(), TextId::MenuTitle);
    assert_eq!(proofs(&bench), 0);
}

#[test]
fn what_goes_wrong_is_said_and_proves_nothing() {
    for (answer, word) in [
        (Err(Failure::Unreachable), TextId::NoLink),
        (Err(Failure::Problem(ProblemCode::NotOffered)), TextId::NotPermitted),
        (Err(Failure::Problem(ProblemCode::VisitExpired)), TextId::VisitExpired),
        (Ok(Answer::Evidence(EvidenceAnswer { level: Level::Recognised, ..PROVEN })), TextId::Nonsense),
        (Ok(Answer::Evidence(EvidenceAnswer { evidence: Evidence::CardPin, ..PROVEN })), TextId::Nonsense),
    ] {
        let mut bench = asked();
        let ticket = verified(&mut bench);
        bench.event(Event::Answer(ticket, answer));
        assert_eq!(bench.outcome().word, word.into());
        assert_eq!(proofs(&bench), 0);
    }
    let mut bench = asked();
    let ticket = enter(&mut bench);
    bench.event(Event::Answer(ticket, Err(Failure::Device)));
    assert_eq!(bench.outcome().detail, TextId::ProvePinFailedDetail.into());
    let mut bench = asked();
    verified(&mut bench);
    bench.wait(60_000);
    assert_eq!(bench.outcome().word, TextId::NoLink.into(), "the platform is not waited for without end");
}

#[test]
fn the_card_taken_or_the_reader_gone_ends_it_at_every_moment_and_late_answers_match_nothing() {
    let gone = || {
        [Event::Card(CardEvent::Removed), Event::Health(Device::CardReader, Health::Trouble(Trouble::Gone))]
    };
    for at in 0..3 {
        for gone in gone() {
            let mut bench = asked();
            let late = match at {
                0 => None,
                1 => Some((enter(&mut bench), Answer::Pin(PinAnswer::Verified))),
                _ => Some((verified(&mut bench), Answer::Evidence(PROVEN))),
            };
            bench.event(gone);
            assert!(matches!(bench.view().body, Body::Welcome(_)), "{at}");
            bench.effects.clear();
            if let Some((ticket, answer)) = late {
                bench.event(Event::Answer(ticket, Ok(answer)));
            }
            assert_eq!(proofs(&bench), 0);
            assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::Do { .. })));
        }
    }
}

#[test]
fn back_leaves_the_pad_and_what_was_entered_is_gone() {
    let mut bench = asked();
    bench.touch(Intent::Digit(7));
    bench.touch(Intent::Digit(3));
    bench.touch(Intent::Erase);
    assert_eq!(pad(&bench).entered, 1);
    bench.touch(Intent::Go);
    assert_eq!(pad(&bench).entered, 1, "one digit is no PIN");
    bench.touch(Intent::Back);
    assert_eq!(bench.title(), TextId::MenuTitle);
    bench.open(SERVICE);
    assert_eq!(pad(&bench).entered, 0);
}

#[test]
fn a_card_that_was_only_read_and_an_id_card_are_sent_to_the_counter() {
    let only_read = recognised(false, Evidence::CardRead);
    assert_eq!(tile(&only_read), (false, TextId::TileNeedsLevel.into()));
    let mut bench = Bench::new();
    bench.by_id_card();
    assert_eq!(tile(&bench), (false, TextId::TileNeedsLevel.into()));
}

/// Keys on the screen while the pad is up are those of the pad: a touch made on the view before does nothing.
#[test]
fn a_touch_on_the_pad_before_a_wrong_pin_does_not_count_on_the_one_after_it() {
    let mut bench = asked();
    let on = bench.view().id;
    let ticket = enter(&mut bench);
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Wrong { tries_left: 2 }))));
    bench.event(Event::Touch { on, intent: Intent::Digit(1) });
    assert_eq!(pad(&bench).entered, 0);
}
