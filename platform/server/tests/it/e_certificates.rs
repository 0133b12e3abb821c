//! E-certificates: shown to their holder, and given to relying parties as signed extracts, item by item, with the
//! holder's consent.

use contract::{
    ECertificateExtract, ECertificateExtractError, HttpMethod, ProblemCode, SecretKey, TrustLevel, UnixMs,
    sm3,
};
use resident_code::SessionCertificate;
use rusqlite::Connection;
use serde_json::{Value, json};
use server::{
    PeerAnswer, PeerCall, PeerUnreachable, Platform, PlatformReply, PlatformRequest, PlatformResponse,
    PlatformSetup, RelyingParty,
};

use crate::claims::{PHARMACY, consents_in_state, give_consent, relying_party_request, verify_code_of};
use crate::codes::{TestPhone, ask, authority, relying_party, root, secret};
use crate::fixture::{CityFixture, answer_or_problem, setup};

fn city() -> CityFixture {
    let pharmacy = RelyingParty {
        name: "解放碑药房".into(),
        purposes: ["医保购药".to_owned()].into(),
        licences: [
            ("medical-insurance".to_owned(), ["insured".to_owned(), "insurance".to_owned()].into()),
            ("senior-card".to_owned(), ["over60".to_owned()].into()),
        ]
        .into(),
        ..relying_party("PHARMACY", PHARMACY, "medical", 50)
    };
    CityFixture::with(PlatformSetup {
        code_authority: Some(authority()),
        relying_parties: vec![pharmacy],
        ..setup()
    })
}

/// A city in which the pharmacy has verified a code, with request 1.
fn city_with_verified_code() -> (CityFixture, TestPhone, SessionCertificate) {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let certificate = phone.certificate(&mut city);
    verify_code_of(&mut city, &phone, &certificate, 1);
    (city, phone, certificate)
}

fn request_extract(
    city: &mut CityFixture,
    number: u128,
    licence: &str,
    items: &Value,
) -> Result<Value, ProblemCode> {
    let body = json!({ "request": format!("{number:032x}"), "licence": licence, "items": items });
    relying_party_request(city, "licence", "PHARMACY", PHARMACY, &body)
}

fn open_extract(
    answer: &Value,
    recipient: &str,
    now: UnixMs,
) -> Result<ECertificateExtract, ECertificateExtractError> {
    let extract = serde_json::from_value(answer["extract"].clone()).unwrap();
    let keys = serde_json::from_value(answer["keys"].clone()).unwrap();
    ECertificateExtract::open(&extract, &keys, &root(), recipient.parse().unwrap(), now)
}

#[test]
fn relying_party_gets_a_signed_extract_after_consent() {
    let (mut city, phone, certificate) = city_with_verified_code();
    let asks = |city: &mut CityFixture| request_extract(city, 1, "medical-insurance", &json!(["insured"]));
    for _ in 0..2 {
        assert_eq!(asks(&mut city), Ok(json!({ "state": "waiting" })));
    }
    let asked = consents_in_state(&mut city, &phone, "asked");
    let [(consent, text)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(
        serde_json::from_str::<Value>(text).unwrap(),
        json!({
            "consent": consent, "recipient": "解放碑药房", "purpose": "医保购药",
            "licence": "医疗保险参保凭证", "items": ["是否正常参加医保"], "days": 0,
        })
    );
    give_consent(&mut city, &phone, &certificate, consent, text).unwrap();
    let answer = asks(&mut city).unwrap();
    let extract = open_extract(&answer, "PHARMACY", city.now).unwrap();
    assert_eq!(extract.items, [("insured".to_owned(), "是".to_owned())].into());
    assert_eq!((&extract.consent, extract.purpose.as_str()), (consent, "医保购药"));
    assert_eq!((extract.trust, extract.last_day), (Some(TrustLevel::A), None));
    assert_eq!(
        extract.watermark.as_deref(),
        Some("仅用于：医保购药；使用人：解放碑药房；有效期至2026-11-24")
    );
    assert!(!answer.to_string().contains("张桂英") && !answer.to_string().contains("500112"), "{answer}");
    assert_eq!(open_extract(&answer, "LIBRARY", city.now), Err(ECertificateExtractError::Recipient));
    let later = city.now.plus_ms(11 * 60_000);
    assert_eq!(open_extract(&answer, "PHARMACY", later), Err(ECertificateExtractError::Time));
    assert_eq!(phone.uses(&mut city)[0], "按您的授权核验医疗保险参保凭证");
    // The consent was for one item, not for another of the same e-certificate.
    let more = request_extract(&mut city, 1, "medical-insurance", &json!(["insured", "insurance"]));
    assert_eq!(more, Ok(json!({ "state": "waiting" })));
}

#[test]
fn extract_is_limited_to_registered_items() {
    let (mut city, phone, _) = city_with_verified_code();
    for (kind, items) in [
        ("medical-insurance", json!(["id-number"])),
        ("medical-insurance", json!(["insured", "name"])),
        ("medical-insurance", json!([])),
        ("service-card", json!(["card-number"])),
    ] {
        assert_eq!(
            request_extract(&mut city, 1, kind, &items),
            Err(ProblemCode::NotOffered),
            "{kind} {items}"
        );
    }
    let without_code = request_extract(&mut city, 2, "medical-insurance", &json!(["insured"]));
    assert_eq!(without_code, Err(ProblemCode::NotOffered), "that request verified no code");
    assert!(consents_in_state(&mut city, &phone, "asked").is_empty());
}

#[test]
fn missing_e_certificate_is_revealed_only_after_consent() {
    let mut city = city();
    let phone = TestPhone::bind_for(&mut city, "王建国", "500103197510023312");
    let certificate = phone.certificate(&mut city);
    verify_code_of(&mut city, &phone, &certificate, 1);
    let asks = |city: &mut CityFixture| request_extract(city, 1, "senior-card", &json!(["over60"]));
    assert_eq!(asks(&mut city), Ok(json!({ "state": "waiting" })));
    let (consent, text) = consents_in_state(&mut city, &phone, "asked").remove(0);
    give_consent(&mut city, &phone, &certificate, &consent, &text).unwrap();
    let answer = asks(&mut city).unwrap();
    assert_eq!((&answer["state"], &answer["extract"]), (&json!("agreed"), &Value::Null));
}

#[test]
fn holder_sees_own_e_certificates_masked() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let wallet = ask(&mut city, "licences", &json!({ "phone": phone.secret })).unwrap();
    let titles: Vec<&str> =
        wallet["licences"].as_array().unwrap().iter().map(|held| held["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["居民身份证", "居民服务卡", "医疗保险参保凭证", "老年人优待证", "不动产权证书"]);
    let text = wallet.to_string();
    assert!(text.contains("张*英") && !text.contains("张桂英") && !text.contains("19480315"), "{text}");
    assert!(text.contains("******") && !text.contains("花卉园东路"), "hidden items: {text}");
    assert!(ask(&mut city, "licences", &json!({ "phone": "00".repeat(16) })).is_err());
}

/// The reply of the library's next call, answered by `answer`; all calls before it are answered by the library itself.
fn reply_to(
    city: &mut CityFixture,
    reply: PlatformReply,
    answer: impl FnOnce(&mut CityFixture, &PeerCall) -> Result<PeerAnswer, PeerUnreachable>,
) -> PlatformResponse {
    let PlatformReply::CallPeer(call) = reply else { panic!("the library must be asked") };
    let result = answer(city, &call);
    let reply = city.resume(&call, result);
    city.complete(reply)
}

/// The library's answer with this status and body, signed by it.
fn signed_by_library(city: &CityFixture, call: &PeerCall, status: u16, body: &str) -> PeerAnswer {
    let time = city.now.0.to_string();
    let request = call.headers.as_ref().unwrap().signature.to_string();
    let key = SecretKey::from_bytes(&sm3(&[b"licence-library"])).unwrap();
    let bytes = contract::answer_bytes_to_sign(&request, status, &time, body.as_bytes());
    let signature = Some(key.sign(&bytes).to_string());
    PeerAnswer { status, body: body.into(), time: Some(time), signature }
}

fn row_of_senior_card(status: &str, since: &str, until: &str) -> String {
    json!({ "rows": [{
        "name": "张桂英", "id-number": "500112194803150422", "over60": "是",
        "status": status, "since": since, "until": until,
    }] })
    .to_string()
}

/// A city in which the holder has agreed that the pharmacy gets `over60` of the senior citizen card.
fn city_with_consent() -> (CityFixture, TestPhone, String) {
    let (mut city, phone, certificate) = city_with_verified_code();
    request_extract(&mut city, 1, "senior-card", &json!(["over60"])).unwrap();
    let (consent, text) = consents_in_state(&mut city, &phone, "asked").remove(0);
    give_consent(&mut city, &phone, &certificate, &consent, &text).unwrap();
    (city, phone, consent)
}

/// The pharmacy's request for `over60`, when the library is played by `answer`.
fn request_over60(
    city: &mut CityFixture,
    answer: impl FnOnce(&mut CityFixture, &PeerCall) -> Result<PeerAnswer, PeerUnreachable>,
) -> Result<Value, ProblemCode> {
    let body = json!({ "request": format!("{:032x}", 1), "licence": "senior-card", "items": ["over60"] });
    let body = body.to_string().into_bytes();
    let request = PlatformRequest::signed(
        HttpMethod::Post,
        "/code/v1/licence",
        body,
        "PHARMACY",
        &secret(PHARMACY),
        city.now,
    );
    let reply = city.handle(&request);
    answer_or_problem(&reply_to(city, reply, answer))
}

#[test]
fn library_is_asked_for_one_kind_under_the_consent() {
    let (mut city, _, consent) = city_with_consent();
    let answer = request_over60(&mut city, |city, call| {
        assert_eq!(call.target, "/query/licence.senior-card");
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!((&body["consent"], &body["level"]), (&json!(consent), &json!("recognised")));
        assert_eq!((body.get("kiosk"), body.get("service")), (None, None));
        Ok(city.serve(call))
    });
    let extract = open_extract(&answer.unwrap(), "PHARMACY", city.now).unwrap();
    assert_eq!(extract.items, [("over60".to_owned(), "是".to_owned())].into());
}

#[test]
fn licence_that_is_not_in_force_is_not_given() {
    for (status, since, until) in [
        ("revoked", "2008-03-15", "long-term"),
        ("suspended", "2008-03-15", "long-term"),
        ("in-force", "2026-11-25", "long-term"),
    ] {
        let (mut city, _, _) = city_with_consent();
        let body = row_of_senior_card(status, since, until);
        let answer =
            request_over60(&mut city, |city, call| Ok(signed_by_library(city, call, 200, &body))).unwrap();
        assert_eq!((&answer["state"], &answer["extract"]), (&json!("agreed"), &Value::Null), "{status}");
        assert!(!answer.to_string().contains(status), "which of the reasons is not disclosed");
    }
    let (mut city, _, _) = city_with_consent();
    let body = row_of_senior_card("in-force", "2008-03-15", "long-term");
    let answer = request_over60(&mut city, |city, call| Ok(signed_by_library(city, call, 200, &body)));
    assert!(open_extract(&answer.unwrap(), "PHARMACY", city.now).is_ok());
}

#[test]
fn library_without_a_usable_answer_discloses_nothing() {
    let nonsense = [
        row_of_senior_card("valid", "2008-03-15", "long-term"),
        row_of_senior_card("in-force", "2008-03-15", "2036-01-01"),
        row_of_senior_card("in-force", "2008-03-15", ""),
        r#"{"rows":[{"over60":"是"}]}"#.to_owned(),
        "<html>".to_owned(),
    ];
    for body in nonsense {
        let (mut city, phone, _) = city_with_consent();
        let uses = phone.uses(&mut city);
        let answer = request_over60(&mut city, |city, call| Ok(signed_by_library(city, call, 200, &body)));
        assert_eq!(answer, Err(ProblemCode::Unavailable), "{body}");
        let incidents = city.page("/admin").1;
        let named = incidents.contains("licence.senior-card");
        assert!(named && incidents.contains("nothing of it is used"), "{body}");
        assert_eq!(phone.uses(&mut city), uses, "nothing was disclosed");
    }
    let (mut city, _, _) = city_with_consent();
    assert_eq!(request_over60(&mut city, |_, _| Err(PeerUnreachable)), Err(ProblemCode::Unavailable));
    let refusal = r#"{"refused":{"zh":"证照被冻结","en":"Frozen"}}"#;
    let refused = request_over60(&mut city, |city, call| Ok(signed_by_library(city, call, 422, refusal)));
    let refused = refused.unwrap();
    assert_eq!(refused["extract"], Value::Null);
    assert!(!refused.to_string().contains("冻结"), "the words are for the holder");
    // A later request gets the extract: the consent is still there.
    assert_ne!(request_over60(&mut city, |city, call| Ok(city.serve(call))).unwrap()["extract"], Value::Null);
}

#[test]
fn consent_withdrawn_while_the_library_is_asked_stops_it() {
    let (mut city, phone, consent) = city_with_consent();
    let uses = phone.uses(&mut city);
    let answer = request_over60(&mut city, |city, call| {
        let answer = city.serve(call);
        let withdrawal = json!({ "phone": phone.secret, "consent": consent });
        ask(city, "withdrawals", &withdrawal).unwrap();
        Ok(answer)
    });
    assert_eq!(answer, Ok(json!({ "state": "declined" })));
    assert_eq!(phone.uses(&mut city), uses);
}

#[test]
fn extract_ends_with_its_licence() {
    let pharmacy = RelyingParty {
        purposes: ["医保购药".to_owned()].into(),
        licences: [("vehicle-licence".to_owned(), ["plate".to_owned()].into())].into(),
        ..relying_party("PHARMACY", PHARMACY, "medical", 50)
    };
    let mut city = CityFixture::with(PlatformSetup {
        code_authority: Some(authority()),
        relying_parties: vec![pharmacy],
        ..setup()
    });
    // Four minutes before midnight in the city.
    city.now = UnixMs(1_795_536_000_000 - 240_000);
    let phone = TestPhone::bind_for(&mut city, "王建国", "500103197510023312");
    let certificate = phone.certificate(&mut city);
    verify_code_of(&mut city, &phone, &certificate, 1);
    let asks = |city: &mut CityFixture| request_extract(city, 1, "vehicle-licence", &json!(["plate"]));
    asks(&mut city).unwrap();
    let (consent, text) = consents_in_state(&mut city, &phone, "asked").remove(0);
    give_consent(&mut city, &phone, &certificate, &consent, &text).unwrap();
    let request = {
        let body =
            json!({ "request": format!("{:032x}", 1), "licence": "vehicle-licence", "items": ["plate"] });
        let body = body.to_string().into_bytes();
        let key = secret(PHARMACY);
        PlatformRequest::signed(HttpMethod::Post, "/code/v1/licence", body, "PHARMACY", &key, city.now)
    };
    let with_end = |city: &mut CityFixture, until: &str| {
        let row = json!({
            "owner": "王建国", "plate": "渝A·7B326", "vehicle": "小型轿车", "vin": "LSVAA49J132047371",
            "status": "in-force", "since": "2017-11-20", "until": until,
        });
        let body = json!({ "rows": [row] }).to_string();
        let reply = city.handle(&request);
        let response = reply_to(city, reply, |city, call| Ok(signed_by_library(city, call, 200, &body)));
        answer_or_problem::<Value>(&response).unwrap()
    };
    let last_day = with_end(&mut city, "2026-11-24");
    let extract = open_extract(&last_day, "PHARMACY", city.now).unwrap();
    assert_eq!(extract.last_day.as_deref(), Some("2026-11-24"));
    assert_eq!(extract.until, UnixMs(1_795_536_000_000), "midnight in the city");
    let ended = with_end(&mut city, "2026-11-23");
    assert_eq!((&ended["state"], &ended["extract"]), (&json!("agreed"), &Value::Null));
}

#[test]
fn wallet_shows_the_state_where_the_items_are_not_given() {
    let mut city = city();
    let phone = TestPhone::bind_for(&mut city, "欧阳雪梅", "500108199007262245");
    let wallet = ask(&mut city, "licences", &json!({ "phone": phone.secret })).unwrap();
    let entry = |title: &str| {
        let all = wallet["licences"].as_array().unwrap();
        all.iter().find(|held| held["title"] == title).unwrap()["items"].to_string()
    };
    let revoked = entry("结婚证");
    assert!(revoked.contains("已注销") && !revoked.contains("立"), "{revoked}");
    assert!(entry("机动车行驶证").contains("已过期") && !entry("机动车行驶证").contains("渝D"));
    assert!(entry("机动车驾驶证").contains("C2"));
}

#[test]
fn wallet_without_library_says_so_and_without_one_kind_goes_on() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let body = json!({ "phone": phone.secret }).to_string().into_bytes();
    let request = || PlatformRequest {
        method: HttpMethod::Post,
        target: "/code/v1/licences".into(),
        body: body.clone(),
        device: None,
        time: None,
        signature: None,
    };
    let reply = city.handle(&request());
    let response = reply_to(&mut city, reply, |_, _| Err(PeerUnreachable));
    assert_eq!((response.status, response.body.as_slice()), (503, br#"{"code":"unavailable"}"#.as_slice()));

    let PlatformReply::CallPeer(list) = city.handle(&request()) else { panic!("the library must be asked") };
    let listed = city.serve(&list);
    let first = city.resume(&list, Ok(listed));
    let response = reply_to(&mut city, first, |_, call| {
        assert_eq!(call.target, "/query/licence.identity-card");
        Err(PeerUnreachable)
    });
    let wallet: Value = serde_json::from_slice(&response.body).unwrap();
    let names = |at: usize| wallet["licences"][at]["items"].to_string();
    assert!(names(0).contains("有效") && !names(0).contains("姓名"), "{}", names(0));
    assert!(names(1).contains("张*英"), "{}", names(1));

    // A phone whose loss is reported while the library is asked gets nothing.
    let PlatformReply::CallPeer(list) = city.handle(&request()) else { panic!("the library must be asked") };
    let listed = city.serve(&list);
    ask(&mut city, "losses", &json!({ "phone": phone.secret })).unwrap();
    let PlatformReply::Answer(response) = city.resume(&list, Ok(listed)) else { panic!("nobody is asked") };
    assert_eq!(response.status, 401);
}

#[test]
fn relying_party_with_unknown_licence_or_item_stops_the_start() {
    for (licence, item, expected) in [
        ("senior", "over60", "licence `senior`, of which there is no file; there are: birth-certificate"),
        (
            "senior-card",
            "salary",
            "item `salary` of licence `senior-card`; its file has: name, id-number, over60",
        ),
    ] {
        let party = RelyingParty {
            licences: [(licence.to_owned(), [item.to_owned()].into())].into(),
            ..relying_party("PHARMACY", PHARMACY, "medical", 50)
        };
        let setup = PlatformSetup { relying_parties: vec![party], ..setup() };
        let Err(error) = Platform::open(Connection::open_in_memory().unwrap(), setup) else {
            panic!("{licence}.{item} was accepted")
        };
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(expected), "{cause}");
    }
}
