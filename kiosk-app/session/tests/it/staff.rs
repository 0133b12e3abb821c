//! Staff cards: a key that the site lists opens the staff view, and no other key does.

use contract::{Entry, SecretKey, StaffKey, StaffProof};
use session::{CardEvent, CardRefusal, DeviceKind, DeviceState, Durable, Event, FaultReason};
use view::{Body, FooterButton, Intent, LabelledValue, Text, TextId};

use crate::fixture::{Fixture, setup_with_staff};

const NAME: &str = "S-0042";

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap()
}

fn staff_fixture() -> Fixture {
    let staff = vec![StaffKey { name: NAME.into(), key: key(7).public() }];
    let mut fixture = Fixture::set_up(setup_with_staff(staff), Durable::default());
    for device in
        [DeviceKind::CardReader, DeviceKind::CodeReader, DeviceKind::IdReader, DeviceKind::ReceiptPrinter]
    {
        fixture.event(Event::DeviceStateChanged(device, DeviceState::Ready));
    }
    fixture.event(Event::LinkChanged(true));
    fixture
}

fn proof(name: &str, key: &SecretKey) -> StaffProof {
    let challenge = [9; 32];
    StaffProof { name: name.into(), challenge, signature: key.sign(&StaffProof::to_be_signed(&challenge)) }
}

fn insert(fixture: &mut Fixture, proof: StaffProof) {
    fixture.event(Event::Card(CardEvent::Inserted));
    fixture.event(Event::Card(CardEvent::Staff(proof)));
}

fn staff_pairs(fixture: &Fixture) -> Vec<LabelledValue> {
    assert_eq!(fixture.title(), TextId::StaffTitle);
    let Body::Details(pairs) = fixture.view().body else { panic!("expected the staff view") };
    pairs
}

fn shows_pair(fixture: &Fixture, label: TextId, value: TextId) -> bool {
    staff_pairs(fixture).iter().any(|pair| pair.label == label.into() && pair.value == value.into())
}

#[test]
fn listed_staff_card_shows_device_states_until_removed() {
    let mut fixture = staff_fixture();
    insert(&mut fixture, proof(NAME, &key(7)));
    assert!(shows_pair(&fixture, TextId::StaffPrinter, TextId::StaffWell));
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::ReceiptPrinter,
        DeviceState::Faulty(FaultReason::PaperOut),
    ));
    assert!(shows_pair(&fixture, TextId::StaffPrinter, TextId::StaffPaperOut));
    assert!(matches!(fixture.log.last(), Some(Entry::StaffSignedIn { card }) if card == NAME));
    assert!(fixture.view().header.resident.is_none());
    fixture.event(Event::Card(CardEvent::Removed));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn unlisted_staff_card_is_refused_as_unsupported() {
    for proof in [
        proof(NAME, &key(8)),
        proof("S-0043", &key(7)),
        StaffProof { challenge: [8; 32], ..proof(NAME, &key(7)) },
    ] {
        let mut fixture = staff_fixture();
        let before = fixture.log.len();
        insert(&mut fixture, proof);
        assert_eq!(fixture.shown_outcome().headline, TextId::CardForeign.into());
        assert_eq!(fixture.log.len(), before, "nothing was recorded");
    }
}

#[test]
fn staff_card_during_visit_is_ignored() {
    let mut fixture = staff_fixture();
    fixture.begin_by_code(1);
    insert(&mut fixture, proof(NAME, &key(7)));
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn staff_view_blocks_visits_and_times_out() {
    let mut fixture = staff_fixture();
    insert(&mut fixture, proof(NAME, &key(7)));
    fixture.event(Event::CodeScanned(crate::fixture::code(3).into_bytes().into()));
    fixture.lay_id_card();
    assert_eq!(fixture.title(), TextId::StaffTitle);
    assert!(fixture.effects.is_empty(), "the platform is not asked");
    fixture.touch(Intent::SwitchLanguage);
    assert_eq!(fixture.title(), TextId::StaffTitle);
    fixture.wait(5 * 60_000);
    assert_eq!(fixture.shown_outcome().headline, TextId::TakeCard.into());
    fixture.event(Event::Card(CardEvent::Removed));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn staff_view_ends_on_leave_or_reader_lost() {
    let mut fixture = staff_fixture();
    insert(&mut fixture, proof(NAME, &key(7)));
    assert!(fixture.view().footer.contains(&FooterButton::TakeCard));
    fixture.touch(Intent::EndVisit);
    assert_eq!(fixture.shown_outcome().headline, TextId::TakeCard.into());
    fixture.event(Event::Card(CardEvent::Removed));
    insert(&mut fixture, proof(NAME, &key(7)));
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::CardReader,
        DeviceState::Faulty(FaultReason::Unavailable),
    ));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
    fixture.event(Event::Card(CardEvent::Inserted));
    fixture.event(Event::Card(CardEvent::Refused(CardRefusal::Unsupported)));
    assert_eq!(fixture.shown_outcome().headline, Text::Id(TextId::CardForeign));
}
