//! Questions to the resident: what can be typed, and that it is wiped.

use session::{CardEvent, Event};
use view::{Intent, TextId};

use crate::fixture::Fixture;
use crate::services::{HALL, answer, call, data, input, offer, pad, refused, title, type_keys};

const ID_NUMBER_TYPED: &str = "11010519491231002X";

/// Asks for the ID number of another person.
const RELATIVE: &str = r#"
id = "family.bind"
version = 1
title = { zh = "亲情账户", en = "Family account" }
hint = { zh = "为家人办理", en = "For a relative" }
scene = "medical"
profiles = ["village-point"]
level = "recognised"
offline = "refuse"
[[step]]
do = "ask"
id = "relative"
title = { zh = "请输入家人的身份证号码", en = "Enter the ID number" }
answer = { kind = "id-number" }
[[step]]
do = "query"
id = "found"
call = "family.find"
with = { person = "relative" }
answer = { state = { type = "text", zh = "状态", en = "State" } }
none = { zh = "没有查到", en = "Not found" }
[[step]]
do = "show"
id = "seen"
from = "found"
title = { zh = "查询结果", en = "Result" }
show = ["state"]
"#;

/// A kiosk at the question for an ID number, in a visit by card.
fn at_relative() -> Fixture {
    let mut fixture = Fixture::new();
    offer(&mut fixture, &[RELATIVE]);
    fixture.begin_by_card();
    fixture.open("亲情账户");
    fixture
}

#[test]
fn id_number_with_wrong_check_digit_goes_nowhere() {
    let mut fixture = at_relative();
    assert_eq!(pad(&fixture).x_key, Some(false));
    type_keys(&mut fixture, "11010519491231002");
    assert_eq!((pad(&fixture).x_key, pad(&fixture).problem), (Some(true), None));
    type_keys(&mut fixture, "1");
    assert_eq!(pad(&fixture).problem, Some(TextId::AskIdCheck.into()));
    assert!(!fixture.view().actions[0].enabled);
    fixture.touch(Intent::Primary);
    assert_eq!(title(&fixture), data("请输入家人的身份证号码"));
    fixture.touch(Intent::EntryErase);
    type_keys(&mut fixture, "X");
    fixture.touch(Intent::Primary);
    assert_eq!(input(&call(&mut fixture).1), [("person", ID_NUMBER_TYPED)]);
}

#[test]
fn typing_keeps_the_identity_of_the_view() {
    let mut fixture = at_relative();
    let id = fixture.view().id;
    for key in ID_NUMBER_TYPED.chars() {
        type_keys(&mut fixture, &key.to_string());
        assert_eq!(fixture.view().id, id);
    }
    fixture.touch(Intent::Primary);
    assert_ne!(fixture.view().id, id);
}

#[test]
fn typed_number_is_in_no_record_and_no_debug_text() {
    let mut fixture = at_relative();
    type_keys(&mut fixture, ID_NUMBER_TYPED);
    let mut printed = format!("{:?}", fixture.view());
    fixture.touch(Intent::Primary);
    let (ticket, _) = call(&mut fixture);
    answer(&mut fixture, ticket, refused("没有这个人"));
    printed += &format!("{:?}", fixture.view());
    let masked = fixture.shown_outcome().pairs[0].value.clone();
    assert_eq!(masked, data("1101**********002X"));
    fixture.touch(Intent::EndVisit);
    printed += &format!("{:?} {:?} {:?}", fixture.log, fixture.folded, fixture.view());
    for part in [ID_NUMBER_TYPED, "110105", "19491231", "002X"] {
        assert!(!printed.contains(part), "{part}");
    }
}

#[test]
fn timeout_wipes_what_was_typed() {
    let mut fixture = at_relative();
    type_keys(&mut fixture, "110105");
    fixture.wait(61_000);
    assert_eq!(fixture.title(), TextId::TakeCardTitle);
    fixture.event(Event::Card(CardEvent::Removed));
    fixture.begin_by_card();
    fixture.open("亲情账户");
    assert_eq!(pad(&fixture).entered.as_str(), "");
}

#[test]
fn date_limits_follow_the_platforms_date() {
    let dated = HALL.replace(
        r#"answer = { kind = "digits", min = 6, max = 6 }"#,
        r#"answer = { kind = "date", earliest = 0, latest = 0 }"#,
    );
    let mut fixture = Fixture::new();
    offer(&mut fixture, &[&dated]);
    fixture.begin_by_code(1);
    // The kiosk's own clock says 2026-11-18 in the city; the platform's is ten days ahead.
    fixture.event(Event::ClockSynchronised(10 * 86_400_000));
    fixture.open("大厅取号");
    fixture.touch(Intent::ChooseOption(0));
    type_keys(&mut fixture, "20261128");
    assert_eq!((pad(&fixture).entered.as_str(), pad(&fixture).problem), ("2026年11月28日", None));
    fixture.touch(Intent::Primary);
    assert_eq!(input(&call(&mut fixture).1), [("account", "2026-11-28")]);
}
