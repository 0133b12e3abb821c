//! Step-up by PIN: on an authenticated card, a PIN that was reported to the platform opens services that need level 2.

use contract::{Entry, Evidence, EvidenceAnswer, Given, Level, ProblemCode};
use session::{Answer, CardEvent, Device, Effect, Event, Failure, Health, PinAnswer, Ticket, Trouble, Work};
use view::{Body, Intent, PinPad, Text, TextId};

use crate::bench::Bench;
use crate::cards::recognised;

const SERVICE: &str = "开通手机";
const PROVEN: EvidenceAnswer =
    EvidenceAnswer { evidence: Evidence::AuthenticatedCardPin, level: Level::Proven };

/// A visit by an authenticated card, at the PIN pad.
fn at_pin_pad() -> Bench {
    let mut fixture = recognised(true, Evidence::CardAuthenticated);
    assert_eq!(tile(&fixture), (true, TextId::TileNeedsPin.into()));
    fixture.open(SERVICE);
    assert_eq!(fixture.title(), TextId::PinTitle);
    fixture
}

/// Whether the tile of the service is enabled, and its detail text.
fn tile(fixture: &Bench) -> (bool, Text) {
    let Body::Menu(tiles) = fixture.view().body else { panic!("expected the menu") };
    let tile = tiles.iter().find(|tile| tile.title == Text::Data(SERVICE.into())).unwrap();
    (tile.enabled, tile.detail.clone())
}

fn pad(fixture: &Bench) -> PinPad {
    match fixture.view().body {
        Body::Pin(pad) => pad,
        other => panic!("expected the PIN pad: {other:?}"),
    }
}

/// Enters six digits and the primary action; returns the ticket of the card's work.
fn enter(fixture: &mut Bench) -> Ticket {
    for digit in [7, 3, 0, 9, 1, 4] {
        fixture.touch(Intent::Digit(digit));
    }
    fixture.touch(Intent::Go);
    let (ticket, work) = fixture.work();
    assert!(matches!(work, Work::VerifyPin(pin) if *pin == b"730914"));
    ticket
}

/// The card verifies the PIN; returns the ticket of the platform's work.
fn verify_at_card(fixture: &mut Bench) -> Ticket {
    let ticket = enter(fixture);
    fixture.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Verified))));
    let (ticket, work) = fixture.work();
    assert!(matches!(work, Work::Prove(request) if matches!(request.given, Given::CardPin)));
    ticket
}

fn evidence_count(fixture: &Bench) -> usize {
    fixture.count(|entry| matches!(entry, Entry::EvidenceGiven { .. }))
}

#[test]
fn pin_step_up_verified_opens_service_and_shows_code() {
    let mut fixture = at_pin_pad();
    let ticket = verify_at_card(&mut fixture);
    assert_eq!(fixture.outcome().word, TextId::PinCheck.into());
    assert_eq!(evidence_count(&fixture), 0, "the platform has not confirmed it");
    fixture.event(Event::Answer(ticket, Ok(Answer::Evidence(PROVEN))));
    assert!(fixture.log.iter().any(|entry| matches!(
        entry,
        Entry::EvidenceGiven { evidence: Evidence::AuthenticatedCardPin, level: Level::Proven, .. }
    )));
    fixture.answer_rows(&[&[("code", "https://city/code/#pair=12")]]);
    let Body::Scan(scan) = fixture.view().body else { panic!("expected a code") };
    assert_eq!((scan.qr.as_str(), scan.steps.len()), ("https://city/code/#pair=12", 1));
    fixture.touch(Intent::Go);
    assert_eq!(
        tile(&fixture).1,
        Text::Data("凭卡和密码开通".into()),
        "the service is available in this visit"
    );
}

#[test]
fn pin_step_up_wrong_pin_shuffles_keys_and_last_try_locks() {
    let mut fixture = at_pin_pad();
    let before = pad(&fixture).keys;
    let ticket = enter(&mut fixture);
    fixture.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Wrong { tries_left: 2 }))));
    let after = pad(&fixture);
    assert_eq!(after.problem, Some(Text::With(TextId::PinWrong, vec!["2".into()])));
    assert_eq!(after.entered, 0);
    assert_ne!(after.keys, before);
    let ticket = enter(&mut fixture);
    fixture.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Locked))));
    assert_eq!(fixture.outcome().detail, TextId::ProvePinLockedDetail.into());
    fixture.touch(Intent::Go);
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert_eq!(evidence_count(&fixture), 0);
}

#[test]
fn pin_step_up_failures_are_shown_and_not_recorded() {
    for (answer, word) in [
        (Err(Failure::Unreachable), TextId::NoLink),
        (Err(Failure::Problem(ProblemCode::NotOffered)), TextId::NotPermitted),
        (Err(Failure::Problem(ProblemCode::VisitExpired)), TextId::VisitExpired),
        (Ok(Answer::Evidence(EvidenceAnswer { level: Level::Recognised, ..PROVEN })), TextId::Nonsense),
        (Ok(Answer::Evidence(EvidenceAnswer { evidence: Evidence::CardPin, ..PROVEN })), TextId::Nonsense),
    ] {
        let mut fixture = at_pin_pad();
        let ticket = verify_at_card(&mut fixture);
        fixture.event(Event::Answer(ticket, answer));
        assert_eq!(fixture.outcome().word, word.into());
        assert_eq!(evidence_count(&fixture), 0);
    }
    let mut fixture = at_pin_pad();
    let ticket = enter(&mut fixture);
    fixture.event(Event::Answer(ticket, Err(Failure::Device)));
    assert_eq!(fixture.outcome().detail, TextId::ProvePinFailedDetail.into());
    let mut fixture = at_pin_pad();
    verify_at_card(&mut fixture);
    fixture.wait(60_000);
    assert_eq!(fixture.outcome().word, TextId::NoLink.into(), "the wait for the platform is limited");
}

#[test]
fn card_removed_during_pin_step_up_ends_visit() {
    let loss = || {
        [Event::Card(CardEvent::Removed), Event::Health(Device::CardReader, Health::Trouble(Trouble::Gone))]
    };
    for at in 0..3 {
        for loss in loss() {
            let mut fixture = at_pin_pad();
            let late = match at {
                0 => None,
                1 => Some((enter(&mut fixture), Answer::Pin(PinAnswer::Verified))),
                _ => Some((verify_at_card(&mut fixture), Answer::Evidence(PROVEN))),
            };
            fixture.event(loss);
            assert!(matches!(fixture.view().body, Body::Welcome(_)), "{at}");
            fixture.effects.clear();
            if let Some((ticket, answer)) = late {
                fixture.event(Event::Answer(ticket, Ok(answer)));
            }
            assert_eq!(evidence_count(&fixture), 0);
            assert!(!fixture.effects.iter().any(|effect| matches!(effect, Effect::Do { .. })));
        }
    }
}

#[test]
fn pin_pad_back_discards_digits() {
    let mut fixture = at_pin_pad();
    fixture.touch(Intent::Digit(7));
    fixture.touch(Intent::Digit(3));
    fixture.touch(Intent::Erase);
    assert_eq!(pad(&fixture).entered, 1);
    fixture.touch(Intent::Go);
    assert_eq!(pad(&fixture).entered, 1, "an incomplete PIN is not submitted");
    fixture.touch(Intent::Back);
    assert_eq!(fixture.title(), TextId::MenuTitle);
    fixture.open(SERVICE);
    assert_eq!(pad(&fixture).entered, 0);
}

#[test]
fn pin_step_up_without_authenticated_card_is_unavailable() {
    let only_read = recognised(false, Evidence::CardRead);
    assert_eq!(tile(&only_read), (false, TextId::TileNeedsLevel.into()));
    let mut fixture = Bench::new();
    fixture.by_id_card();
    assert_eq!(tile(&fixture), (false, TextId::TileNeedsLevel.into()));
}

/// A wrong PIN shuffles the keys, so a touch made on the previous pad is dropped.
#[test]
fn touch_on_pad_before_wrong_pin_is_dropped() {
    let mut fixture = at_pin_pad();
    let on = fixture.view().id;
    let ticket = enter(&mut fixture);
    fixture.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Wrong { tries_left: 2 }))));
    fixture.event(Event::Touch { on, intent: Intent::Digit(1) });
    assert_eq!(pad(&fixture).entered, 0);
}
