//! The code of a paper that a service asks for: what is accepted, what is refused, and that nothing of it is left.

use session::{DeviceKind, DeviceState, Event, FaultReason};
use view::{Body, Gesture, Intent, OutcomeKind, Text, TextId};

use crate::fixture::{Fixture, PAIRING, code, plain_setup};
use crate::services::{answer, call, data, input, offer, pad, refused, title, type_keys};

const BILL: &str = r#"
id = "water.pay-paper"
version = 1
title = { zh = "扫码缴水费", en = "Water bill by code" }
hint = { zh = "手里有账单", en = "With the bill" }
scene = "living"
profiles = ["village-point"]
level = "recognised"
offline = "refuse"
[[step]]
do = "scan"
id = "bill"
title = { zh = "请扫账单上的码", en = "Scan the code on the bill" }
lead = { zh = "码在账单右下角", en = "At the bottom right" }
code = { kind = "digits", min = 12, max = 16 }
prefix = "WB"
typed = true
[[step]]
do = "query"
id = "found"
call = "water.found"
with = { bill = "bill" }
answer = { state = { type = "text", zh = "状态", en = "State" } }
none = { zh = "没有查到", en = "Not found" }
[[step]]
do = "show"
id = "seen"
from = "found"
title = { zh = "查询结果", en = "Result" }
show = ["state"]
"#;

const NUMBER: &str = "202611045113";

fn scan(fixture: &mut Fixture, text: &str) {
    fixture.event(Event::CodeScanned(text.as_bytes().to_vec().into()));
}

/// A kiosk that waits for the code of a bill, in a visit by card.
fn at_bill(service: &str) -> Fixture {
    let mut fixture = Fixture::new();
    offer(&mut fixture, &[service, PAIRING]);
    fixture.begin_by_card();
    fixture.open("扫码缴水费");
    fixture
}

fn problems(fixture: &Fixture) -> Vec<Text> {
    fixture.view().banners.into_iter().map(|banner| banner.title).collect()
}

/// The number that is shown to be checked.
fn number_to_check(fixture: &Fixture) -> String {
    assert_eq!(fixture.title(), TextId::ScanCheck);
    match fixture.view().body {
        Body::Details(values) => match &values[0].value {
            Text::Entered(entered) => entered.as_str().to_owned(),
            other => panic!("expected what was scanned: {other:?}"),
        },
        other => panic!("expected labelled values: {other:?}"),
    }
}

#[test]
fn scanned_code_is_checked_and_then_an_input() {
    let mut fixture = at_bill(BILL);
    assert_eq!(title(&fixture), data("请扫账单上的码"));
    let outcome = fixture.shown_outcome();
    assert_eq!((outcome.kind, outcome.gesture), (OutcomeKind::Awaiting, Some(Gesture::ShowPaper)));

    scan(&mut fixture, &format!("WB{NUMBER}\r\n"));
    assert_eq!(number_to_check(&fixture), "2026 1104 5113", "without the prefix, in groups");
    assert!(fixture.effects.iter().all(|effect| !matches!(effect, session::Effect::StartWork { .. })));
    fixture.touch(Intent::Primary);
    assert_eq!(input(&call(&mut fixture).1), [("bill", NUMBER)]);
}

#[test]
fn code_after_the_accepted_one_does_not_replace_it() {
    let mut fixture = at_bill(BILL);
    scan(&mut fixture, "WB202611045113");
    let view = fixture.view().id;
    scan(&mut fixture, "WB999999999999");
    scan(&mut fixture, &code(7));
    assert_eq!((fixture.view().id, number_to_check(&fixture).as_str()), (view, "2026 1104 5113"));
    fixture.touch(Intent::Secondary);
    assert_eq!(title(&fixture), data("请扫账单上的码"));
    scan(&mut fixture, "WB999999999999");
    assert_eq!(number_to_check(&fixture), "9999 9999 9999");
    fixture.touch(Intent::Primary);
    assert_eq!(input(&call(&mut fixture).1), [("bill", "999999999999")]);
}

#[test]
fn resident_code_is_refused_and_not_consumed() {
    let mut fixture = at_bill(BILL);
    let (records, effects) = (fixture.log.len(), fixture.effects.len());
    for shown in [code(7), code(7).to_lowercase().to_uppercase(), "AB1:TRUNCATED".into()] {
        scan(&mut fixture, &shown);
        assert_eq!(problems(&fixture), [TextId::ScanResidentCode.into()]);
    }
    assert_eq!((fixture.log.len(), fixture.effects.len()), (records, effects));
    assert_eq!(title(&fixture), data("请扫账单上的码"), "the visit goes on");
    fixture.touch(Intent::EndVisit);
    fixture.event(Event::Card(session::CardEvent::Removed));
    // It was not consumed: it still begins a visit.
    fixture.begin_by_code(7);
    assert!(matches!(fixture.view().body, Body::Menu(_)));
}

#[test]
fn code_of_another_form_is_refused_with_advice() {
    let mut fixture = at_bill(BILL);
    for wrong in [
        "",
        NUMBER,
        "WB20261104511",
        "WB20261104511399999",
        "WB2026 1104 5113",
        "WB20261104\n5113",
        "https://pay.example/WB202611045113",
        "WB２０２６１１０４５１１３",
    ] {
        scan(&mut fixture, wrong);
        assert_eq!(problems(&fixture), [TextId::ScanWrong.into()], "{wrong}");
    }
    fixture.event(Event::CodeScanned(vec![b'W', b'B', 0xff, 0xfe].into()));
    assert_eq!(problems(&fixture), [TextId::ScanWrong.into()]);
    scan(&mut fixture, &format!("WB{NUMBER}"));
    assert!(problems(&fixture).is_empty());
    number_to_check(&fixture);
}

#[test]
fn text_code_with_control_character_is_refused() {
    let text = BILL
        .replace(r#"{ kind = "digits", min = 12, max = 16 }"#, r#"{ kind = "text", max = 10 }"#)
        .replace("prefix = \"WB\"\ntyped = true\n", "");
    let mut fixture = at_bill(&text);
    assert!(fixture.view().actions.is_empty(), "a text cannot be typed");
    for wrong in ["AB\u{1b}[2J", "AB\u{0}", "ABCDEFGHIJK"] {
        scan(&mut fixture, wrong);
        assert_eq!(problems(&fixture), [TextId::ScanWrong.into()], "{wrong:?}");
    }
    scan(&mut fixture, "渝-2026/A1");
    assert_eq!(number_to_check(&fixture), "渝-2026/A1");
}

#[test]
fn number_below_the_code_can_be_typed_instead() {
    let mut fixture = at_bill(BILL);
    fixture.touch(Intent::Secondary);
    type_keys(&mut fixture, "20261104511");
    assert!(!fixture.view().actions[0].enabled);
    // A code that is scanned in between is taken, a wrong one named beside the keys.
    scan(&mut fixture, "no bill");
    assert_eq!(pad(&fixture).problem, Some(TextId::ScanWrong.into()));
    type_keys(&mut fixture, "3");
    assert_eq!((pad(&fixture).entered.as_str(), pad(&fixture).problem), ("2026 1104 5113", None));
    fixture.touch(Intent::Back);
    assert_eq!(title(&fixture), data("请扫账单上的码"), "back leads to the code reader");
    fixture.touch(Intent::Secondary);
    fixture.touch(Intent::Primary);
    assert_eq!(input(&call(&mut fixture).1), [("bill", NUMBER)]);
}

#[test]
fn faulty_code_reader_leaves_typing_or_the_way_back() {
    let faulty =
        || Event::DeviceStateChanged(DeviceKind::CodeReader, DeviceState::Faulty(FaultReason::Unavailable));
    let mut fixture = at_bill(BILL);
    fixture.event(faulty());
    let outcome = fixture.shown_outcome();
    assert_eq!((outcome.kind, outcome.detail), (OutcomeKind::NotDone, TextId::ScanOffType.into()));
    fixture.touch(Intent::Primary);
    type_keys(&mut fixture, NUMBER);
    assert_eq!(fixture.view().actions.len(), 1, "nothing can be scanned instead");
    fixture.touch(Intent::Primary);
    assert_eq!(input(&call(&mut fixture).1), [("bill", NUMBER)]);

    let mut untyped = at_bill(&BILL.replace("typed = true\n", ""));
    untyped.event(faulty());
    assert_eq!(untyped.shown_outcome().detail, TextId::ScanOffDetail.into());
    untyped.event(Event::DeviceStateChanged(DeviceKind::CodeReader, DeviceState::Ready));
    assert_eq!(untyped.shown_outcome().kind, OutcomeKind::Awaiting, "it works again");
    untyped.event(faulty());
    untyped.touch(Intent::Primary);
    assert!(matches!(untyped.view().body, Body::Menu(_)));
}

#[test]
fn kiosk_without_a_code_reader_offers_typing() {
    let mut setup = plain_setup();
    setup.equipment.code_reader = false;
    let mut fixture = Fixture::working(std::sync::Arc::new(setup));
    offer(&mut fixture, &[BILL]);
    fixture.begin_by_card();
    fixture.open("扫码缴水费");
    assert_eq!(fixture.shown_outcome().headline, TextId::ScanOff.into());
    fixture.touch(Intent::Primary);
    assert!(matches!(fixture.view().body, Body::Entry(_)));
}

#[test]
fn scanned_text_is_in_no_record_and_no_debug_text() {
    let mut fixture = at_bill(BILL);
    scan(&mut fixture, &format!("WB{NUMBER}"));
    let mut printed = format!("{:?}", fixture.view());
    fixture.touch(Intent::Primary);
    let (ticket, _) = call(&mut fixture);
    answer(&mut fixture, ticket, refused("账单已缴清"));
    assert_eq!(fixture.shown_outcome().pairs.len(), 1, "what was scanned is shown with the refusal");
    printed += &format!("{:?}", fixture.view());
    fixture.touch(Intent::Secondary);
    assert_eq!(title(&fixture), data("请扫账单上的码"), "a second paper can be scanned");
    fixture.touch(Intent::EndVisit);
    printed += &format!("{:?} {:?} {:?}", fixture.log, fixture.folded, fixture.view());
    for part in [NUMBER, "202611", "2026 1104", "5113"] {
        assert!(!printed.contains(part), "{part}");
    }
}

#[test]
fn timeout_wipes_what_was_scanned() {
    let mut fixture = at_bill(BILL);
    scan(&mut fixture, &format!("WB{NUMBER}"));
    fixture.wait(61_000);
    assert_eq!(fixture.title(), TextId::TakeCardTitle);
    fixture.event(Event::Card(session::CardEvent::Removed));
    fixture.begin_by_card();
    fixture.open("扫码缴水费");
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Awaiting);
    fixture.touch(Intent::Secondary);
    assert_eq!(pad(&fixture).entered.as_str(), "");
}

#[test]
fn scan_in_the_menu_or_at_a_question_means_nothing() {
    let mut fixture = Fixture::new();
    offer(&mut fixture, &[BILL]);
    fixture.begin_by_card();
    let menu = fixture.view();
    scan(&mut fixture, &format!("WB{NUMBER}"));
    assert_eq!(fixture.view(), menu);
}
