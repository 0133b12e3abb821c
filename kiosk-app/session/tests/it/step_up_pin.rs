//! Step-up by PIN: on an authenticated card, a PIN that was reported to the platform opens services that need level 2.

use contract::{Entry, Evidence, EvidenceAnswer, Level, ProblemCode, StepUpProof};
use session::{
    CardEvent, CardWork, DeviceKind, DeviceState, Effect, Event, Failure, FaultReason, PinAnswer,
    PlatformWork, Ticket, Work, WorkAnswer,
};
use view::{Body, Intent, PinPad, Text, TextId};

use crate::cards::identified_by_card;
use crate::fixture::Fixture;

const SERVICE: &str = "开通手机";
const PROVEN: EvidenceAnswer =
    EvidenceAnswer { evidence: Evidence::AuthenticatedCardPin, level: Level::Proven };

/// A visit by an authenticated card, at the PIN pad.
fn at_pin_pad() -> Fixture {
    let mut fixture = identified_by_card(true, Evidence::CardAuthenticated);
    assert_eq!(tile(&fixture), (true, TextId::TileNeedsPin.into()));
    fixture.open(SERVICE);
    assert_eq!(fixture.title(), TextId::PinTitle);
    fixture
}

/// Whether the tile of the service is enabled, and its detail text.
fn tile(fixture: &Fixture) -> (bool, Text) {
    let Body::Menu(tiles) = fixture.view().body else { panic!("expected the menu") };
    let tile = tiles.iter().find(|tile| tile.title == Text::Data(SERVICE.into())).unwrap();
    (tile.enabled, tile.detail.clone())
}

fn pad(fixture: &Fixture) -> PinPad {
    match fixture.view().body {
        Body::Pin(pad) => pad,
        other => panic!("expected the PIN pad: {other:?}"),
    }
}

/// Enters six digits and the primary action; returns the ticket of the card's work.
fn enter(fixture: &mut Fixture) -> Ticket {
    for digit in [7, 3, 0, 9, 1, 4] {
        fixture.touch(Intent::PinDigit(digit));
    }
    fixture.touch(Intent::Primary);
    let (ticket, work) = fixture.pending_work();
    assert!(matches!(work, Work::Card(CardWork::VerifyPin(pin)) if *pin == b"730914"));
    ticket
}

/// The card verifies the PIN; returns the ticket of the platform's work.
fn verify_at_card(fixture: &mut Fixture) -> Ticket {
    let ticket = enter(fixture);
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Verified))));
    let (ticket, work) = fixture.pending_work();
    assert!(
        matches!(work, Work::Platform(PlatformWork::ReportEvidence(request)) if matches!(request.given, StepUpProof::CardPin))
    );
    ticket
}

fn evidence_count(fixture: &Fixture) -> usize {
    fixture.count(|entry| matches!(entry, Entry::EvidenceGiven { .. }))
}

#[test]
fn pin_step_up_verified_opens_service_and_shows_code() {
    let mut fixture = at_pin_pad();
    let ticket = verify_at_card(&mut fixture);
    assert_eq!(fixture.shown_outcome().headline, TextId::PinCheck.into());
    assert_eq!(evidence_count(&fixture), 0, "the platform has not confirmed it");
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Evidence(PROVEN))));
    assert!(fixture.log.iter().any(|entry| matches!(
        entry,
        Entry::EvidenceGiven { evidence: Evidence::AuthenticatedCardPin, level: Level::Proven, .. }
    )));
    fixture.answer_rows(&[&[("code", "https://city/code/#pair=12")]]);
    let Body::Scan(scan) = fixture.view().body else { panic!("expected a code") };
    assert_eq!((scan.qr.as_str(), scan.steps.len()), ("https://city/code/#pair=12", 1));
    fixture.touch(Intent::Primary);
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
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Wrong { tries_left: 2 }))));
    let after = pad(&fixture);
    assert_eq!(after.problem, Some(Text::With(TextId::PinWrong, vec!["2".into()])));
    assert_eq!(after.entered, 0);
    assert_ne!(after.keys, before);
    let ticket = enter(&mut fixture);
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Locked))));
    assert_eq!(fixture.shown_outcome().detail, TextId::ProvePinLockedDetail.into());
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert_eq!(evidence_count(&fixture), 0);
}

#[test]
fn pin_step_up_failures_are_shown_and_not_recorded() {
    for (answer, word) in [
        (Err(Failure::Unreachable), TextId::NoLink),
        (Err(Failure::Problem(ProblemCode::NotOffered)), TextId::NotPermitted),
        (Err(Failure::Problem(ProblemCode::VisitExpired)), TextId::VisitExpired),
        (Ok(WorkAnswer::Evidence(EvidenceAnswer { level: Level::Recognised, ..PROVEN })), TextId::Nonsense),
        (
            Ok(WorkAnswer::Evidence(EvidenceAnswer { evidence: Evidence::CardPin, ..PROVEN })),
            TextId::Nonsense,
        ),
    ] {
        let mut fixture = at_pin_pad();
        let ticket = verify_at_card(&mut fixture);
        fixture.event(Event::WorkAnswered(ticket, answer));
        assert_eq!(fixture.shown_outcome().headline, word.into());
        assert_eq!(evidence_count(&fixture), 0);
    }
    let mut fixture = at_pin_pad();
    let ticket = enter(&mut fixture);
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::DeviceFailed)));
    assert_eq!(fixture.shown_outcome().detail, TextId::ProvePinFailedDetail.into());
    let mut fixture = at_pin_pad();
    verify_at_card(&mut fixture);
    fixture.wait(60_000);
    assert_eq!(
        fixture.shown_outcome().headline,
        TextId::NoLink.into(),
        "the wait for the platform is limited"
    );
}

#[test]
fn card_removed_during_pin_step_up_ends_visit() {
    let loss = || {
        [
            Event::Card(CardEvent::Removed),
            Event::DeviceStateChanged(DeviceKind::CardReader, DeviceState::Faulty(FaultReason::Unavailable)),
        ]
    };
    for at in 0..3 {
        for loss in loss() {
            let mut fixture = at_pin_pad();
            let late = match at {
                0 => None,
                1 => Some((enter(&mut fixture), WorkAnswer::Pin(PinAnswer::Verified))),
                _ => Some((verify_at_card(&mut fixture), WorkAnswer::Evidence(PROVEN))),
            };
            fixture.event(loss);
            assert!(matches!(fixture.view().body, Body::Welcome(_)), "{at}");
            fixture.effects.clear();
            if let Some((ticket, answer)) = late {
                fixture.event(Event::WorkAnswered(ticket, Ok(answer)));
            }
            assert_eq!(evidence_count(&fixture), 0);
            assert!(!fixture.effects.iter().any(|effect| matches!(effect, Effect::StartWork { .. })));
        }
    }
}

#[test]
fn pin_pad_back_discards_digits() {
    let mut fixture = at_pin_pad();
    fixture.touch(Intent::PinDigit(7));
    fixture.touch(Intent::PinDigit(3));
    fixture.touch(Intent::PinErase);
    assert_eq!(pad(&fixture).entered, 1);
    fixture.touch(Intent::Primary);
    assert_eq!(pad(&fixture).entered, 1, "an incomplete PIN is not submitted");
    fixture.touch(Intent::Back);
    assert_eq!(fixture.title(), TextId::MenuTitle);
    fixture.open(SERVICE);
    assert_eq!(pad(&fixture).entered, 0);
}

#[test]
fn pin_step_up_without_authenticated_card_is_unavailable() {
    let only_read = identified_by_card(false, Evidence::CardRead);
    assert_eq!(tile(&only_read), (false, TextId::TileNeedsLevel.into()));
    let mut fixture = Fixture::new();
    fixture.begin_by_id_card();
    assert_eq!(tile(&fixture), (false, TextId::TileNeedsLevel.into()));
}

/// A wrong PIN shuffles the keys, so a touch made on the previous pad is dropped.
#[test]
fn touch_on_pad_before_wrong_pin_is_dropped() {
    let mut fixture = at_pin_pad();
    let on = fixture.view().id;
    let ticket = enter(&mut fixture);
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Wrong { tries_left: 2 }))));
    fixture.event(Event::Touch { view: on, intent: Intent::PinDigit(1) });
    assert_eq!(pad(&fixture).entered, 0);
}
