//! Visits by ID card: identification, refusals, and the end of the visit.

use contract::{CloseReason, Entry, Evidence, IdentificationMethod, Level, PresentedCredential, ProblemCode};
use session::{
    CardEvent, DeviceKind, DeviceState, Effect, Event, Failure, FaultReason, IdCardEvent, IdCardRefusal,
    PlatformWork, Work,
};
use view::{Body, FooterButton, Gesture, Intent, OutcomeKind, TextId};

use crate::fixture::{Fixture, ID_NUMBER, NAME, code, evidence, id_evidence};

fn detected() -> Event {
    Event::IdCard(IdCardEvent::Detected)
}

fn read(valid_to: Option<&str>) -> Event {
    Event::IdCard(IdCardEvent::Read { evidence: id_evidence(), valid_to: valid_to.map(str::to_owned) })
}

fn refused(why: IdCardRefusal) -> Event {
    Event::IdCard(IdCardEvent::Refused(why))
}

fn offered_methods(fixture: &Fixture) -> Vec<(view::SignInMethod, bool)> {
    let Body::Welcome(offered_methods) = fixture.view().body else { panic!("expected the idle screen") };
    offered_methods.iter().map(|card| (card.method, card.unavailable.is_none())).collect()
}

#[test]
fn id_card_read_identifies_at_level_recognised() {
    let mut fixture = Fixture::new();
    fixture.event(detected());
    assert_eq!(fixture.shown_outcome().headline, TextId::ReadingIdCard.into());
    fixture.event(read(Some("20360101")));
    let (_, Work::Platform(PlatformWork::Identify(request))) = fixture.pending_work() else {
        panic!("expected an identification")
    };
    let PresentedCredential::IdCard(presented) = &request.presented else { panic!("expected an ID card") };
    assert_eq!((presented.id_number.as_str(), presented.name.as_str()), (ID_NUMBER, NAME));

    let mut fixture = Fixture::new();
    fixture.begin_by_id_card();
    assert_eq!(fixture.title(), TextId::MenuTitle);
    let level = fixture.log.iter().find_map(|entry| match entry {
        Entry::Identified {
            method: IdentificationMethod::IdCard,
            evidence: Evidence::IdCardRead,
            level,
            ..
        } => Some(*level),
        _ => None,
    });
    assert_eq!(level, Some(Level::Recognised));
}

#[test]
fn id_card_visit_records_no_name_or_number() {
    let mut fixture = Fixture::new();
    fixture.begin_by_id_card();
    fixture.touch(Intent::EndVisit);
    for entry in &fixture.log {
        let text = String::from_utf8(entry.encode()).unwrap();
        assert!(!text.contains(ID_NUMBER) && !text.contains(NAME), "{text}");
    }
}

#[test]
fn id_card_visit_exit_asks_to_take_card() {
    let mut fixture = Fixture::new();
    fixture.begin_by_id_card();
    assert!(fixture.view().footer.contains(&FooterButton::Exit));
    fixture.touch(Intent::EndVisit);
    assert!(matches!(fixture.log.last(), Some(Entry::VisitClosed { reason: CloseReason::Exit, .. })));
    assert_eq!(fixture.title(), TextId::TakeIdCardTitle);
    assert_eq!(fixture.shown_outcome().gesture, Some(Gesture::TakeIdCard));
    assert!(fixture.view().header.resident.is_none(), "the notice names nobody");
    fixture.touch(Intent::Primary);
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn id_card_visit_times_out_and_notice_clears() {
    let mut fixture = Fixture::new();
    fixture.begin_by_id_card();
    fixture.wait(60_000);
    assert!(matches!(fixture.log.last(), Some(Entry::VisitClosed { reason: CloseReason::TimedOut, .. })));
    fixture.wait(8_000);
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn id_card_detected_replaces_notice() {
    let mut fixture = Fixture::new();
    fixture.begin_by_id_card();
    fixture.touch(Intent::EndVisit);
    fixture.event(detected());
    assert_eq!(fixture.shown_outcome().headline, TextId::ReadingIdCard.into());
}

#[test]
fn social_security_card_during_id_card_visit_is_ignored() {
    let mut fixture = Fixture::new();
    fixture.event(detected());
    fixture.event(Event::Card(CardEvent::Inserted));
    fixture.event(Event::Card(CardEvent::Read { evidence: evidence(), valid_to: None }));
    assert_eq!(
        fixture.shown_outcome().headline,
        TextId::ReadingIdCard.into(),
        "data of another card is ignored"
    );
    assert!(fixture.effects.is_empty());
    fixture.event(Event::Card(CardEvent::Removed));
    fixture.event(read(None));
    assert_eq!(fixture.shown_outcome().headline, TextId::Identifying.into());
}

#[test]
fn id_card_refusals_show_remedy_and_clear() {
    for (refusal, title, word, gesture) in [
        (IdCardRefusal::Unsupported, TextId::SorryIdCardTitle, TextId::IdCardForeign, Gesture::PlaceIdCard),
        (IdCardRefusal::NotRead, TextId::SorryIdCardTitle, TextId::IdCardUnread, Gesture::PlaceIdCard),
        (IdCardRefusal::Damaged, TextId::TakeIdCardTitle, TextId::IdCardDamaged, Gesture::TakeIdCard),
    ] {
        let mut fixture = Fixture::new();
        fixture.event(detected());
        fixture.event(refused(refusal));
        assert_eq!((fixture.title(), fixture.shown_outcome().headline), (title, word.into()));
        assert_eq!(
            (fixture.shown_outcome().kind, fixture.shown_outcome().gesture),
            (OutcomeKind::NotDone, Some(gesture))
        );
        fixture.wait(8_000);
        assert!(matches!(fixture.view().body, Body::Welcome(_)));
        assert!(fixture.log.is_empty() && fixture.effects.is_empty(), "nothing is recorded or started");
    }
}

#[test]
fn id_card_not_read_can_be_read_again() {
    let mut fixture = Fixture::new();
    fixture.event(detected());
    fixture.event(refused(IdCardRefusal::NotRead));
    fixture.begin_by_id_card();
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn id_card_after_last_day_of_validity_is_refused() {
    // The fixture's clock is at 2026-11-18, Chongqing time.
    for (valid_to, accepted) in [(Some("20261117"), false), (Some("20261118"), true), (None, true)] {
        let mut fixture = Fixture::new();
        fixture.event(detected());
        fixture.event(read(valid_to));
        let word = if accepted { TextId::Identifying } else { TextId::IdCardExpired };
        assert_eq!(fixture.shown_outcome().headline, word.into(), "{valid_to:?}");
        assert_eq!(fixture.effects.iter().any(|effect| matches!(effect, Effect::StartWork { .. })), accepted);
    }
}

#[test]
fn id_card_of_unknown_resident_is_refused() {
    let mut fixture = Fixture::new();
    fixture.lay_id_card();
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::Problem(ProblemCode::ResidentUnknown))));
    assert_eq!(fixture.shown_outcome().headline, TextId::IdCardUnknown.into());
    assert_eq!(fixture.title(), TextId::TakeIdCardTitle);
}

#[test]
fn id_card_reading_ends_on_timeout_or_reader_lost() {
    let mut fixture = Fixture::new();
    fixture.event(detected());
    fixture.wait(10_000);
    assert_eq!(fixture.shown_outcome().headline, TextId::IdCardUnread.into());

    let mut fixture = Fixture::new();
    fixture.event(detected());
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::IdReader,
        DeviceState::Faulty(FaultReason::Unavailable),
    ));
    assert_eq!(fixture.shown_outcome().headline, TextId::IdCardUnread.into());

    let mut fixture = Fixture::new();
    fixture.begin_by_id_card();
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::IdReader,
        DeviceState::Faulty(FaultReason::Unavailable),
    ));
    assert_eq!(fixture.title(), TextId::MenuTitle, "a card that was read is no longer needed");
}

#[test]
fn id_card_during_visit_or_with_card_inserted_is_ignored() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.lay_id_card();
    assert_eq!(fixture.title(), TextId::MenuTitle);
    fixture.touch(Intent::EndVisit);
    fixture.lay_id_card();
    assert_eq!(fixture.title(), TextId::TakeCardTitle);

    let mut fixture = Fixture::new();
    fixture.begin_by_id_card();
    fixture.event(Event::CodeScanned(code(3).into_bytes().into()));
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert_eq!(fixture.count(|entry| matches!(entry, Entry::CodeUsed { .. })), 0);
}

#[test]
fn id_card_read_without_detection_is_dropped() {
    let mut fixture = Fixture::new();
    fixture.event(read(None));
    fixture.event(refused(IdCardRefusal::NotRead));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
    assert!(fixture.effects.is_empty());
}

#[test]
fn id_card_without_link_is_refused_before_reading() {
    let mut fixture = Fixture::new();
    fixture.event(Event::LinkChanged(false));
    fixture.event(detected());
    assert_eq!(fixture.shown_outcome().headline, TextId::NoLink.into());
    fixture.event(read(None));
    assert!(fixture.effects.is_empty());
}

#[test]
fn id_reader_fault_disables_id_card() {
    let mut fixture = Fixture::new();
    let all = [view::SignInMethod::Card, view::SignInMethod::IdCard, view::SignInMethod::Code];
    assert_eq!(offered_methods(&fixture), all.map(|method| (method, true)));
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::IdReader,
        DeviceState::Faulty(FaultReason::Unavailable),
    ));
    assert_eq!(offered_methods(&fixture), all.map(|method| (method, method != view::SignInMethod::IdCard)));
}

#[test]
fn id_card_visit_has_no_payment_method() {
    let mut fixture = Fixture::new();
    fixture.begin_by_id_card();
    fixture.open_bills();
    fixture.touch(Intent::ToggleRow(0));
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.shown_outcome().headline, TextId::NoMethod.into());
    assert!(fixture.charges().is_empty());
}
