//! 工作人员卡: a key that the site lists shows how the kiosk stands, and nothing else does.

use contract::{Entry, SecretKey, StaffKey, StaffProof};
use session::{CardEvent, CardRefusal, Device, Event, Health, OpenWork, Trouble};
use view::{Body, Foot, Intent, Pair, Text, TextId};

use crate::bench::{Bench, setup_with_staff};

const NAME: &str = "S-0042";

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap()
}

fn bench() -> Bench {
    let staff = vec![StaffKey { name: NAME.into(), key: key(7).public() }];
    let mut bench = Bench::set_up(setup_with_staff(staff), OpenWork::default());
    for device in [Device::CardReader, Device::CodeReader, Device::IdReader, Device::Printer] {
        bench.event(Event::Health(device, Health::Ready));
    }
    bench.event(Event::Link(true));
    bench
}

fn proof(name: &str, key: &SecretKey) -> StaffProof {
    let challenge = [9; 32];
    StaffProof { name: name.into(), challenge, signature: key.sign(&StaffProof::to_be_signed(&challenge)) }
}

fn insert(bench: &mut Bench, proof: StaffProof) {
    bench.event(Event::Card(CardEvent::Inserted));
    bench.event(Event::Card(CardEvent::Staff(proof)));
}

fn pairs(bench: &Bench) -> Vec<Pair> {
    assert_eq!(bench.title(), TextId::StaffTitle);
    let Body::Sheet(pairs) = bench.view().body else { panic!("not a sheet") };
    pairs
}

fn says(bench: &Bench, label: TextId, value: TextId) -> bool {
    pairs(bench).iter().any(|pair| pair.label == label.into() && pair.value == value.into())
}

#[test]
fn a_listed_card_shows_how_the_kiosk_stands_as_it_changes_until_it_is_taken() {
    let mut bench = bench();
    insert(&mut bench, proof(NAME, &key(7)));
    assert!(says(&bench, TextId::StaffPrinter, TextId::StaffWell));
    bench.event(Event::Health(Device::Printer, Health::Trouble(Trouble::PaperOut)));
    assert!(says(&bench, TextId::StaffPrinter, TextId::StaffPaperOut));
    assert!(matches!(bench.log.last(), Some(Entry::StaffCame { card }) if card == NAME));
    assert!(bench.view().header.who.is_none());
    bench.event(Event::Card(CardEvent::Removed));
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn a_key_that_is_not_listed_under_that_name_is_another_card() {
    for proof in [
        proof(NAME, &key(8)),
        proof("S-0043", &key(7)),
        StaffProof { challenge: [8; 32], ..proof(NAME, &key(7)) },
    ] {
        let mut bench = bench();
        let before = bench.log.len();
        insert(&mut bench, proof);
        assert_eq!(bench.outcome().word, TextId::CardForeign.into());
        assert_eq!(bench.log.len(), before, "nothing was recorded");
    }
}

#[test]
fn in_a_residents_visit_a_staff_card_shows_nothing() {
    let mut bench = bench();
    bench.by_code(1);
    insert(&mut bench, proof(NAME, &key(7)));
    assert_eq!(bench.title(), TextId::MenuTitle);
}

#[test]
fn nobody_else_begins_a_visit_meanwhile_and_a_card_left_there_is_to_be_taken() {
    let mut bench = bench();
    insert(&mut bench, proof(NAME, &key(7)));
    bench.event(Event::Code(crate::bench::code(3).into_bytes().into()));
    bench.lay_id_card();
    assert_eq!(bench.title(), TextId::StaffTitle);
    assert!(bench.effects.is_empty(), "nobody is asked about");
    bench.touch(Intent::SwitchLanguage);
    assert_eq!(bench.title(), TextId::StaffTitle);
    bench.wait(5 * 60_000);
    assert_eq!(bench.outcome().word, TextId::TakeCard.into());
    bench.event(Event::Card(CardEvent::Removed));
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn leaving_asks_for_the_card_and_a_reader_that_goes_ends_it() {
    let mut bench = bench();
    insert(&mut bench, proof(NAME, &key(7)));
    assert!(bench.view().footer.contains(&Foot::TakeCard));
    bench.touch(Intent::Leave);
    assert_eq!(bench.outcome().word, TextId::TakeCard.into());
    bench.event(Event::Card(CardEvent::Removed));
    insert(&mut bench, proof(NAME, &key(7)));
    bench.event(Event::Health(Device::CardReader, Health::Trouble(Trouble::Gone)));
    assert!(matches!(bench.view().body, Body::Welcome(_)));
    bench.event(Event::Card(CardEvent::Inserted));
    bench.event(Event::Card(CardEvent::Refused(CardRefusal::Foreign)));
    assert_eq!(bench.outcome().word, Text::Id(TextId::CardForeign));
}
