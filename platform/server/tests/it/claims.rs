//! Claims about a holder for a relying party: consent is asked, signed and withdrawn on the phone.

use contract::{HttpMethod, ProblemCode, sm3};
use resident_code::SessionCertificate;
use serde_json::{Value, json};
use server::{Claim, PlatformRequest, PlatformSetup, RelyingParty};

use crate::codes::{TestPhone, ask, authority, relying_party, secret, verify};
use crate::fixture::{CityFixture, setup};

pub(crate) const PHARMACY: u8 = 0x61;

fn city(days: u16) -> CityFixture {
    let pharmacy = RelyingParty {
        name: "解放碑药房".into(),
        purposes: ["医保购药".to_owned()].into(),
        facts: [Claim::Insured].into(),
        consent_days: days,
        ..relying_party("PHARMACY", PHARMACY, "medical", 50)
    };
    let other = relying_party("TILL", 0x62, "medical", 50);
    CityFixture::with(PlatformSetup {
        code_authority: Some(authority()),
        relying_parties: vec![pharmacy, other],
        ..setup()
    })
}

/// The answer to a relying party's request, or the problem code.
pub(crate) fn relying_party_request(
    city: &mut CityFixture,
    name: &str,
    id: &str,
    key: u8,
    body: &Value,
) -> Result<Value, ProblemCode> {
    let (target, body) = (format!("/code/v1/{name}"), body.to_string().into_bytes());
    let request = PlatformRequest::signed(HttpMethod::Post, target, body, id, &secret(key), city.now);
    let reply = city.handle(&request);
    crate::fixture::answer_or_problem(&city.complete(reply))
}

/// The pharmacy verifies a code of the phone with request `number`.
pub(crate) fn verify_code_of(
    city: &mut CityFixture,
    phone: &TestPhone,
    certificate: &SessionCertificate,
    number: u128,
) {
    city.advance(4_000);
    let code = phone.show(city, certificate).to_text();
    let about = json!({ "request": format!("{number:032x}"), "code": code, "purpose": "医保购药" });
    assert_eq!(verify(city, "PHARMACY", PHARMACY, &about).unwrap()["verdict"], "good");
}

/// A city in which the pharmacy has verified a code, with request 1.
fn city_with_verified_code(days: u16) -> (CityFixture, TestPhone, SessionCertificate) {
    let mut city = city(days);
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let certificate = phone.certificate(&mut city);
    verify_code_of(&mut city, &phone, &certificate, 1);
    (city, phone, certificate)
}

fn request_claims(city: &mut CityFixture, number: u128, facts: &Value) -> Result<Value, ProblemCode> {
    request_claims_as(city, "PHARMACY", PHARMACY, number, facts)
}

fn request_claims_as(
    city: &mut CityFixture,
    id: &str,
    key: u8,
    number: u128,
    facts: &Value,
) -> Result<Value, ProblemCode> {
    let body = json!({ "request": format!("{number:032x}"), "facts": facts });
    relying_party_request(city, "facts", id, key, &body)
}

pub(crate) fn consents_in_state(
    city: &mut CityFixture,
    phone: &TestPhone,
    which: &str,
) -> Vec<(String, String)> {
    let all = ask(city, "consents", &json!({ "phone": phone.secret })).unwrap();
    let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    all[which].as_array().unwrap().iter().map(|one| (text(one, "consent"), text(one, "text"))).collect()
}

/// The holder consents to this text.
pub(crate) fn give_consent(
    city: &mut CityFixture,
    phone: &TestPhone,
    certificate: &SessionCertificate,
    consent: &str,
    text: &str,
) -> Result<Value, (u16, String)> {
    let signed = [b"consent/1\0".as_slice(), &sm3(&[text.as_bytes()])].concat();
    let now = u32::try_from(city.now.0 / 1000).unwrap();
    let answer = certificate.answer(&phone.key, &signed, now).unwrap().to_text();
    ask(city, "consent", &json!({ "phone": phone.secret, "consent": consent, "answer": answer }))
}

#[test]
fn relying_party_gets_only_the_claim_after_consent() {
    let (mut city, phone, certificate) = city_with_verified_code(0);
    for _ in 0..2 {
        assert_eq!(request_claims(&mut city, 1, &json!(["insured"])), Ok(json!({ "state": "waiting" })));
    }
    let asked = consents_in_state(&mut city, &phone, "asked");
    let [(consent, text)] = asked.as_slice() else { panic!("{asked:?}") };
    let consent_text: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        consent_text,
        json!({
            "consent": consent, "recipient": "解放碑药房", "purpose": "医保购药",
            "items": ["是否正常参加医保"], "days": 0,
        })
    );
    give_consent(&mut city, &phone, &certificate, consent, text).unwrap();
    let answer = request_claims(&mut city, 1, &json!(["insured"])).unwrap();
    assert_eq!((&answer["state"], &answer["facts"]), (&json!("agreed"), &json!({ "insured": true })));
    assert_eq!(answer.as_object().unwrap().len(), 3, "{answer}");
    assert_eq!(request_claims(&mut city, 1, &json!(["insured"])).unwrap(), answer);
    assert_eq!(
        phone.uses(&mut city),
        ["按您的授权查询", "医保购药"],
        "one use, however often the claim was requested"
    );
    // The consent was for one time: for a later request the holder is asked again.
    city.advance(11 * 60_000);
    verify_code_of(&mut city, &phone, &certificate, 2);
    assert_eq!(request_claims(&mut city, 2, &json!(["insured"])), Ok(json!({ "state": "waiting" })));
}

#[test]
fn claims_need_consent_and_end_with_its_withdrawal() {
    let (mut city, phone, certificate) = city_with_verified_code(30);
    request_claims(&mut city, 1, &json!(["insured"])).unwrap();
    let (consent, _) = consents_in_state(&mut city, &phone, "asked").remove(0);
    ask(&mut city, "consent", &json!({ "phone": phone.secret, "consent": consent, "answer": null })).unwrap();
    assert_eq!(request_claims(&mut city, 1, &json!(["insured"])), Ok(json!({ "state": "declined" })));
    assert!(consents_in_state(&mut city, &phone, "asked").is_empty());

    verify_code_of(&mut city, &phone, &certificate, 2);
    request_claims(&mut city, 2, &json!(["insured"])).unwrap();
    let (consent, text) = consents_in_state(&mut city, &phone, "asked").remove(0);
    give_consent(&mut city, &phone, &certificate, &consent, &text).unwrap();
    city.advance(3 * 60 * 60 * 1000);
    verify_code_of(&mut city, &phone, &certificate, 3);
    assert_eq!(
        request_claims(&mut city, 3, &json!(["insured"])).unwrap()["state"],
        "agreed",
        "the consent is valid for thirty days"
    );
    assert_eq!(consents_in_state(&mut city, &phone, "agreed").len(), 1);
    ask(&mut city, "withdrawals", &json!({ "phone": phone.secret, "consent": consent })).unwrap();
    assert!(consents_in_state(&mut city, &phone, "agreed").is_empty());
    assert_eq!(
        request_claims(&mut city, 3, &json!(["insured"])),
        Ok(json!({ "state": "waiting" })),
        "consent is asked for again"
    );
}

#[test]
fn consent_is_bound_to_text_phone_and_time() {
    let (mut city, phone, certificate) = city_with_verified_code(0);
    request_claims(&mut city, 1, &json!(["insured"])).unwrap();
    let (consent, text) = consents_in_state(&mut city, &phone, "asked").remove(0);
    let other = text.replace("解放碑药房", "观音桥药房");
    assert!(give_consent(&mut city, &phone, &certificate, &consent, &other).is_err(), "another text");
    let stranger = TestPhone::bind_for(&mut city, "王建国", "500103197510023312");
    let theirs = stranger.certificate(&mut city);
    assert!(give_consent(&mut city, &stranger, &theirs, &consent, &text).is_err(), "another phone");
    assert!(give_consent(&mut city, &phone, &theirs, &consent, &text).is_err(), "another's key");
    assert!(consents_in_state(&mut city, &stranger, "asked").is_empty());
    assert_eq!(request_claims(&mut city, 1, &json!(["insured"])), Ok(json!({ "state": "waiting" })));
    city.advance(10 * 60_000);
    assert_eq!(
        give_consent(&mut city, &phone, &certificate, &consent, &text),
        Err((403, "consent-over".into()))
    );
}

#[test]
fn claims_are_limited_to_registration_and_own_requests() {
    let mut city = city(0);
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let certificate = phone.certificate(&mut city);
    let no = Err(ProblemCode::NotOffered);
    assert_eq!(request_claims(&mut city, 1, &json!(["insured"])), no, "no code was shown");
    verify_code_of(&mut city, &phone, &certificate, 1);
    assert_eq!(request_claims(&mut city, 1, &json!(["over60"])), no);
    assert_eq!(request_claims(&mut city, 1, &json!([])), no);
    assert_eq!(request_claims_as(&mut city, "TILL", 0x62, 1, &json!(["insured"])), no);
    assert_eq!(request_claims(&mut city, 1, &json!(["salary"])), Err(ProblemCode::Malformed));
    city.advance(10 * 60_000 + 1);
    assert_eq!(request_claims(&mut city, 1, &json!(["insured"])), no, "the customer has left");
    assert!(consents_in_state(&mut city, &phone, "asked").is_empty());
}
