//! Submissions: recorded before they are shown, sealed, made once, and possible without a link.

use std::sync::Arc;

use contract::{Bilingual, DepartmentKey, DepartmentKeys, Entry, SecretKey, ServiceDocument};
use session::{Catalogue, Event};
use view::{Body, Intent, Text, TextId};

use crate::fixture::Fixture;
use crate::services::{data, title, type_keys};

const PHONE: &str = r#"
id = "water.phone"
version = 3
title = { zh = "更改联系电话", en = "Change your phone number" }
hint = { zh = "水费通知发到新的手机", en = "Where notices are sent" }
scene = "living"
profiles = ["village-point"]
level = "recognised"
offline = "queue"
[[step]]
do = "ask"
id = "phone"
title = { zh = "请输入新的手机号", en = "Enter your new phone number" }
answer = { kind = "phone-number" }
[[step]]
do = "submit"
id = "submitted"
call = "water.phone"
department = "water"
title = { zh = "请核对后提交", en = "Please check, then submit" }
with = { phone = "phone" }
done = { zh = "两个工作日内更改", en = "Changed within two working days" }
[[step]]
do = "print"
id = "receipt"
title = { zh = "提交凭条", en = "Receipt of your request" }
with = ["submitted"]
"#;

const NUMBER: &str = "13800001234";

/// Offers the service; with the key of its department or without.
fn offer(fixture: &mut Fixture, has_key: bool) {
    let document = ServiceDocument::parse(PHONE).unwrap();
    let name = Bilingual { zh: "供水公司".into(), en: "Water".into() };
    let key = SecretKey::from_bytes(&[7; 32]).unwrap().public();
    let key = DepartmentKey { id: "water".parse().unwrap(), name, key };
    let departments = if has_key { vec![key] } else { Vec::new() };
    fixture.event(Event::CatalogueChanged(Catalogue {
        cursor: 9,
        services: [(document.id.clone(), Arc::new(document))].into(),
        departments: Arc::new(DepartmentKeys { departments }),
    }));
}

/// A resident who has entered the number and stands before *submit*.
fn before_submitting() -> Fixture {
    let mut fixture = Fixture::new();
    offer(&mut fixture, true);
    fixture.begin_by_card();
    enter_number(&mut fixture);
    fixture
}

fn enter_number(fixture: &mut Fixture) {
    fixture.open("更改联系电话");
    type_keys(fixture, NUMBER);
    fixture.touch(Intent::Primary);
    assert_eq!(title(fixture), data("请核对后提交"));
}

fn submissions(fixture: &Fixture) -> usize {
    fixture.count(|entry| matches!(entry, Entry::Submitted { .. }))
}

#[test]
fn submission_is_recorded_sealed_and_shown_with_its_number() {
    let mut fixture = before_submitting();
    assert_eq!(submissions(&fixture), 0, "nothing is recorded before the touch");
    fixture.touch(Intent::Primary);
    let entry = fixture.log.iter().find(|entry| matches!(entry, Entry::Submitted { .. })).unwrap();
    let Entry::Submitted { submission, service, version, call, level: _, offline, .. } = entry else {
        unreachable!()
    };
    assert_eq!(
        (service.as_str(), *version, call.as_str(), *offline),
        ("water.phone", 3, "water.phone", false)
    );
    let text = String::from_utf8(entry.encode()).unwrap();
    assert!(!text.contains(NUMBER) && !format!("{entry:?}").contains(NUMBER));

    let number = submission.number(crate::fixture::setup().kiosk);
    let outcome = fixture.shown_outcome();
    assert_eq!(outcome.headline, Text::Id(TextId::Submitted));
    assert_eq!(outcome.pairs[0].value, Text::Data(number.clone()));
    fixture.touch(Intent::Primary);
    let (_, paper, _) = fixture.prints().pop().unwrap();
    let paper = format!("{paper:?}");
    assert!(paper.contains(&number) && !paper.contains(NUMBER), "{paper}");
}

#[test]
fn going_back_or_touching_twice_submits_once() {
    let mut fixture = before_submitting();
    let view = fixture.view().id;
    fixture.touch(Intent::Primary);
    fixture.event(Event::Touch { view, intent: Intent::Primary });
    fixture.touch(Intent::Back);
    assert_eq!(fixture.shown_outcome().headline, Text::Id(TextId::Submitted), "there is no way back");
    assert_eq!(submissions(&fixture), 1);

    let mut other = before_submitting();
    other.touch(Intent::Back);
    assert!(matches!(other.view().body, Body::Entry(_)), "before it, back leads to the question");
    assert_eq!(submissions(&other), 0);
}

#[test]
fn what_is_queued_can_be_submitted_without_a_link() {
    let mut fixture = Fixture::new();
    offer(&mut fixture, true);
    fixture.begin_by_card();
    fixture.event(Event::LinkChanged(false));
    enter_number(&mut fixture);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.count(|entry| matches!(entry, Entry::Submitted { offline: true, .. })), 1);
    assert_eq!(fixture.view().banners[0].title, Text::Id(TextId::SubmittedOffline));
}

#[test]
fn without_the_departments_key_nothing_is_submitted() {
    let mut fixture = Fixture::new();
    offer(&mut fixture, false);
    fixture.begin_by_card();
    fixture.open("更改联系电话");
    type_keys(&mut fixture, NUMBER);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.shown_outcome().headline, Text::Id(TextId::SubmitImpossible));
    assert_eq!(submissions(&fixture), 0);
}
