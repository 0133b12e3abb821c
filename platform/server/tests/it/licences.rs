//! Licences at a kiosk: listed, shown masked under the holder's consent, and of kinds that are data alone.

use std::fs;

use contract::{AnswerRow, CallAnswer, ConsentId, ProblemCode, SecretKey, SourceFile, routes, sm3};
use sandbox::department::Answering;
use serde_json::{Value, json};
use server::{PeerAnswer, PeerCall, PeerUnreachable, PlatformReply, PlatformSetup, RelyingParty};

use crate::claims::{PHARMACY, consents_in_state, give_consent, relying_party_request, verify_code_of};
use crate::codes::{TestPhone, ask, authority, relying_party};
use crate::departments::{Departments, assets};
use crate::fixture::{
    CityFixture, FixtureResident, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING, answer_or_problem, call_request,
    setup,
};
use crate::publications::{publication, published_as, sources};

const MINE: &str = include_str!("../../../../assets/services/licence-mine.toml");
const SENIOR: &str = include_str!("../../../../assets/services/senior-card.toml");

fn city() -> CityFixture {
    CityFixture::with(PlatformSetup {
        publication: publication([MINE, SENIOR].map(str::to_owned)),
        ..setup()
    })
}

/// A call of `licence.mine` or `senior.card` by a visit of this person, under consent 7.
fn request(
    city: &mut CityFixture,
    person: FixtureResident,
    operation: &str,
    input: &[(&str, &str)],
) -> server::PlatformRequest {
    let key = city.visit_by_card(TestKiosk::One, person).key.clone();
    let service = if operation.starts_with("licences.") { "licence.mine" } else { "senior.card" };
    let consent = ConsentId::from_entropy(u128::from(sm3(&[person.slug.as_bytes(), service.as_bytes()])[0]));
    let mut call = call_request(&key, service, operation, Some(consent));
    call.input = input.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    city.signed_post(TestKiosk::One, routes::CALLS.path, &call)
}

fn call(
    city: &mut CityFixture,
    person: FixtureResident,
    operation: &str,
    input: &[(&str, &str)],
) -> Result<CallAnswer, ProblemCode> {
    let request = request(city, person, operation, input);
    let reply = city.handle(&request);
    answer_or_problem(&city.complete(reply))
}

/// The same, when the library answers like this.
fn call_answered(
    operation: &str,
    input: &[(&str, &str)],
    answer: impl FnOnce(&CityFixture, &PeerCall) -> Result<PeerAnswer, PeerUnreachable>,
) -> (CityFixture, Result<CallAnswer, ProblemCode>) {
    let mut city = city();
    let request = request(&mut city, ZHANG_GUIYING, operation, input);
    let PlatformReply::CallPeer(call) = city.handle(&request) else { panic!("the library must be asked") };
    let result = answer(&city, &call);
    let reply = city.resume(&call, result);
    let answer = answer_or_problem(&city.complete(reply));
    (city, answer)
}

fn signed(city: &CityFixture, call: &PeerCall, status: u16, body: &str) -> PeerAnswer {
    let time = city.now.0.to_string();
    let request = call.headers.as_ref().unwrap().signature.to_string();
    let key = SecretKey::from_bytes(&sm3(&[b"licence-library"])).unwrap();
    let bytes = contract::answer_bytes_to_sign(&request, status, &time, body.as_bytes());
    let signature = Some(key.sign(&bytes).to_string());
    PeerAnswer { status, body: body.into(), time: Some(time), signature }
}

fn texts<'a>(rows: &'a [AnswerRow], field: &str) -> Vec<&'a str> {
    rows.iter().map(|row| row[field].as_str()).collect()
}

#[test]
fn licences_are_listed_and_one_is_shown_with_its_watermark() {
    let mut city = city();
    let listed = call(&mut city, ZHANG_GUIYING, "licences.mine", &[]).unwrap().rows;
    let titles = ["居民身份证", "居民服务卡", "医疗保险参保凭证", "老年人优待证", "不动产权证书"];
    assert_eq!(texts(&listed, "title"), titles);
    assert_eq!(listed[3]["licence"], "senior-card");
    assert_eq!(listed[1]["validity"], "2021-06-01 至 2036-06-01");
    let shown =
        call(&mut city, ZHANG_GUIYING, "licences.show", &[("licence", "identity-card")]).unwrap().rows;
    let expected = [
        "居民身份证",
        "仅用于：查看您的电子证照；使用人：本人；有效期至2026-11-24",
        "姓名：张*英",
        "公民身份号码：5001**********0422",
        "性别：女",
        "民族：汉",
        "住址：******",
        "有效期：2010-03-18 起长期有效",
        "发证单位：重庆市公安局",
        "有效，2026-11-24 查询",
    ];
    assert_eq!(texts(&shown, "entry"), expected);
    let none = call(&mut city, WANG_JIANGUO, "licences.show", &[("licence", "senior-card")]).unwrap();
    assert_eq!((none.rows, none.refused), (vec![], None));
}

#[test]
fn licences_need_a_consent_and_their_own_inputs() {
    let mut city = city();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    for (service, operation, input) in [
        ("licence.mine", "licences.mine", vec![]),
        ("licence.mine", "licences.show", vec![("licence", "identity-card")]),
        ("senior.card", "licence.senior-card", vec![]),
    ] {
        let refused = city.call_with(&key, service, operation, &input, None);
        assert_eq!(refused.err(), Some(ProblemCode::ConsentMissing), "{operation}");
    }
    for (operation, input, expected) in [
        ("licences.mine", vec![("licence", "identity-card")], ProblemCode::Malformed),
        ("licences.show", vec![], ProblemCode::Malformed),
        ("licences.show", vec![("licence", "identity-card"), ("more", "1")], ProblemCode::Malformed),
        ("licences.show", vec![("licence", "fishing-permit")], ProblemCode::NotOffered),
        ("licences.show", vec![("licence", "list")], ProblemCode::NotOffered),
        ("licence.senior-card", vec![("licence", "identity-card")], ProblemCode::Malformed),
        // No document calls the library's own operations.
        ("licence.list", vec![], ProblemCode::NotOffered),
        ("licence.identity-card", vec![], ProblemCode::NotOffered),
    ] {
        let answer = call(&mut city, ZHANG_GUIYING, operation, &input);
        assert_eq!(answer.err(), Some(expected), "{operation} {input:?}");
    }
}

#[test]
fn licence_that_is_not_in_force_is_refused_in_words() {
    for (status, since, until, expected) in [
        ("revoked", "2021-06-01", "2036-06-01", "您的居民服务卡已注销，不能出示"),
        ("suspended", "2021-06-01", "2036-06-01", "您的居民服务卡已暂停使用，不能出示"),
        ("in-force", "2021-06-01", "2026-11-23", "您的居民服务卡已过期，不能出示"),
        ("in-force", "2026-11-25", "2036-06-01", "您的居民服务卡尚未生效，不能出示"),
    ] {
        let row = json!({
            "name": "张桂英", "id-number": "500112194803150422", "card-number": "A10000013",
            "status": status, "since": since, "until": until,
        });
        let body = json!({ "rows": [row] }).to_string();
        let input = [("licence", "service-card")];
        let (_, answer) =
            call_answered("licences.show", &input, |city, call| Ok(signed(city, call, 200, &body)));
        let answer = answer.unwrap();
        assert_eq!(answer.refused.map(|words| words.zh).as_deref(), Some(expected));
        assert!(answer.rows.is_empty());
    }
}

#[test]
fn library_that_is_silent_refuses_or_makes_no_sense_is_said() {
    let calls = [
        ("licences.mine", vec![]),
        ("licences.show", vec![("licence", "senior-card")]),
        ("licence.senior-card", vec![]),
    ];
    for (operation, input) in calls {
        let (_, silent) = call_answered(operation, &input, |_, _| Err(PeerUnreachable));
        assert_eq!(silent.err(), Some(ProblemCode::Unavailable), "{operation}");
        let refusal = r#"{"refused":{"zh":"请先到窗口核对","en":"Please come to the counter"}}"#;
        let (_, refused) =
            call_answered(operation, &input, |city, call| Ok(signed(city, call, 422, refusal)));
        assert_eq!(refused.unwrap().refused.unwrap().zh, "请先到窗口核对", "{operation}");
        let row = json!({
            "licence": "senior-card", "name": "张桂英", "id-number": "500112194803150422", "over60": "是",
            "status": "in-force", "since": "2008-03-15", "until": "2008-03-14",
        });
        for body in [json!({ "rows": [row] }).to_string(), r#"{"rows":[{}]}"#.to_owned()] {
            let (mut city, nonsense) =
                call_answered(operation, &input, |city, call| Ok(signed(city, call, 200, &body)));
            assert_eq!(nonsense.err(), Some(ProblemCode::Unavailable), "{operation} {body}");
            assert!(city.page("/admin").1.contains("nothing of it is used"), "{operation} {body}");
        }
    }
    let mut city = city();
    city.departments.answering = Answering::Nonsense;
    let nonsense = call(&mut city, ZHANG_GUIYING, "licences.mine", &[]);
    assert_eq!(nonsense.err(), Some(ProblemCode::Unavailable));
}

#[test]
fn licence_of_an_unregistered_kind_is_not_listed() {
    let rows = json!({ "rows": [
        { "licence": "fishing-permit", "status": "in-force", "since": "2020-01-01", "until": "2030-01-01" },
        { "licence": "senior-card", "status": "in-force", "since": "2008-03-15", "until": "long-term" },
    ] });
    let body = rows.to_string();
    let (_, listed) = call_answered("licences.mine", &[], |city, call| Ok(signed(city, call, 200, &body)));
    assert_eq!(texts(&listed.unwrap().rows, "licence"), ["senior-card"]);
}

const PERMIT: &str = r#"id = "fishing-permit"
title = { zh = "捕捞许可证", en = "Fishing permit" }
issuer = { zh = "重庆市农业农村委员会", en = "Agriculture Commission" }
trust = "C"
validity = "dated"
watermark = ["purpose"]
[[item]]
name = "name"
title = { zh = "姓名", en = "Name" }
mask = "name"
[[item]]
name = "boat"
title = { zh = "船号", en = "Boat" }
mask = "number"
"#;

const PERMIT_OPERATION: &str = r#"
[[operation]]
name = "licence.fishing-permit"
department = "licence-library"
kind = "query"
personal = true
answer = { name = "text", boat = "text", status = "text", since = "date", until = "text" }
"#;

const PERMIT_DATA: &str = r#"
[[query]]
operation = "licence.fishing-permit"
fields = ["name", "boat", "status", "since", "until"]

[[query.row]]
resident = "zhang-guiying"
values = { name = "$name", boat = "渝渔20260318", status = "in-force", since = "2025-01-01", until = "$today+9d" }
"#;

const PERMIT_LISTED: &str = r#"fields = ["licence", "status", "since", "until"]

[[query.row]]
resident = "zhang-guiying"
values = { licence = "fishing-permit", status = "in-force", since = "2025-01-01", until = "$today+9d" }
"#;

/// A city in which somebody has added a kind of licence to the files, and to nothing else.
fn city_with_permit() -> CityFixture {
    let mut sources = sources([MINE.to_owned()]);
    sources.licences = vec![SourceFile { name: "fishing-permit.toml".into(), text: PERMIT.into() }];
    for file in sources.operations.iter_mut().filter(|file| file.name == "licence-library.toml") {
        file.text.push_str(PERMIT_OPERATION);
    }
    let directory = tempfile::tempdir().unwrap();
    let data = fs::read_to_string(assets().join("departments/licence-library.toml")).unwrap();
    let listed = PERMIT_LISTED.split_once('\n').unwrap().0;
    let data = data.replacen(listed, PERMIT_LISTED, 1) + PERMIT_DATA;
    fs::write(directory.path().join("licence-library.toml"), data).unwrap();
    let party = RelyingParty {
        purposes: ["医保购药".to_owned()].into(),
        licences: [("fishing-permit".to_owned(), ["boat".to_owned()].into())].into(),
        ..relying_party("PHARMACY", PHARMACY, "medical", 50)
    };
    let mut city = CityFixture::with(PlatformSetup {
        publication: published_as(1, sources),
        code_authority: Some(authority()),
        relying_parties: vec![party],
        ..setup()
    });
    city.departments = Departments::with_data(directory.path());
    city
}

#[test]
fn new_kind_of_licence_works_as_data_alone() {
    let mut city = city_with_permit();
    let listed = call(&mut city, ZHANG_GUIYING, "licences.mine", &[]).unwrap().rows;
    assert_eq!(texts(&listed, "title"), ["捕捞许可证"], "no other kind has a file in this city");
    let shown = call(&mut city, ZHANG_GUIYING, "licences.show", &[("licence", "fishing-permit")]).unwrap();
    let entries = texts(&shown.rows, "entry");
    assert!(entries.contains(&"姓名：张*英") && entries.contains(&"船号：渝渔******18"), "{entries:?}");
    assert!(entries.contains(&"有效期：2025-01-01 至 2026-12-03"), "{entries:?}");
    assert_eq!(entries.get(1), Some(&"仅用于：查看您的电子证照"));

    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let wallet = ask(&mut city, "licences", &json!({ "phone": phone.secret })).unwrap();
    assert_eq!(wallet["licences"][0]["licence"], "fishing-permit");
    assert!(wallet.to_string().contains("渝渔******18"), "{wallet}");

    let certificate = phone.certificate(&mut city);
    verify_code_of(&mut city, &phone, &certificate, 1);
    let body = json!({ "request": format!("{:032x}", 1), "licence": "fishing-permit", "items": ["boat"] });
    let asks = |city: &mut CityFixture| relying_party_request(city, "licence", "PHARMACY", PHARMACY, &body);
    assert_eq!(asks(&mut city), Ok(json!({ "state": "waiting" })));
    let (consent, text) = consents_in_state(&mut city, &phone, "asked").remove(0);
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&read["licence"], &read["items"]), (&json!("捕捞许可证"), &json!(["船号"])));
    give_consent(&mut city, &phone, &certificate, &consent, &text).unwrap();
    let answer = asks(&mut city).unwrap().to_string();
    assert!(answer.contains("渝渔20260318") && answer.contains("2026-12-03"), "{answer}");
    assert!(!answer.contains("张桂英"), "{answer}");
}

#[test]
fn demo_city_has_its_kinds_and_their_library_fits_them() {
    let operations = crate::departments::operations();
    assert!(operations.licences().count() >= 12);
    let mut city = city();
    for person in [ZHANG_GUIYING, WANG_JIANGUO, crate::fixture::RAN_GUANGMING] {
        let listed = call(&mut city, person, "licences.mine", &[]).unwrap().rows;
        assert!(listed.len() >= 4);
        for kind in texts(&listed, "licence") {
            let shown = call(&mut city, person, "licences.show", &[("licence", kind)]).unwrap();
            assert!(!shown.rows.is_empty(), "{kind} of {}", person.slug);
        }
    }
}
