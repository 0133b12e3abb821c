//! What another house may learn of a holder: asked on the phone, signed there, taken back there.

use contract::{ProblemCode, sm3};
use resident_code::SessionCertificate;
use serde_json::{Value, json};
use server::{Client, Fact, Request, Setup, Verb};

use crate::city::{City, setup};
use crate::codes::{Phone, ask, authority, client, secret, verify};

pub(crate) const PHARMACY: u8 = 0x61;

fn city(days: u16) -> City {
    let pharmacy = Client {
        name: "解放碑药房".into(),
        purposes: ["医保购药".to_owned()].into(),
        facts: [Fact::Insured].into(),
        consent_days: days,
        ..client("PHARMACY", PHARMACY, "medical", 50)
    };
    let other = client("TILL", 0x62, "medical", 50);
    City::with(Setup { codes: Some(authority()), clients: vec![pharmacy, other], ..setup() })
}

/// What a client is told, or why not.
pub(crate) fn client_asks(
    city: &mut City,
    name: &str,
    id: &str,
    key: u8,
    body: &Value,
) -> Result<Value, ProblemCode> {
    let (target, body) = (format!("/code/v1/{name}"), body.to_string().into_bytes());
    let request = Request::signed(Verb::Post, target, body, id, &secret(key), city.now);
    let reply = city.handle(&request);
    crate::city::outcome(&city.conclude(reply))
}

/// A code was found good by this request.
pub(crate) fn verified(city: &mut City, phone: &Phone, certificate: &SessionCertificate, number: u128) {
    city.pass(4_000);
    let code = phone.show(city, certificate).to_text();
    let about = json!({ "request": format!("{number:032x}"), "code": code, "purpose": "医保购药" });
    assert_eq!(verify(city, "PHARMACY", PHARMACY, &about).unwrap()["verdict"], "good");
}

/// A city where a customer has shown a good code to the pharmacy, by request 1.
fn at_the_counter(days: u16) -> (City, Phone, SessionCertificate) {
    let mut city = city(days);
    let phone = Phone::bound(&mut city);
    let certificate = phone.certificate(&mut city);
    verified(&mut city, &phone, &certificate, 1);
    (city, phone, certificate)
}

fn facts(city: &mut City, number: u128, facts: &Value) -> Result<Value, ProblemCode> {
    facts_as(city, "PHARMACY", PHARMACY, number, facts)
}

fn facts_as(city: &mut City, id: &str, key: u8, number: u128, facts: &Value) -> Result<Value, ProblemCode> {
    let body = json!({ "request": format!("{number:032x}"), "facts": facts });
    client_asks(city, "facts", id, key, &body)
}

pub(crate) fn shown(city: &mut City, phone: &Phone, which: &str) -> Vec<(String, String)> {
    let all = ask(city, "consents", &json!({ "phone": phone.secret })).unwrap();
    let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    all[which].as_array().unwrap().iter().map(|one| (text(one, "consent"), text(one, "text"))).collect()
}

/// The holder says yes to this text.
pub(crate) fn agrees(
    city: &mut City,
    phone: &Phone,
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
fn a_pharmacy_learns_yes_or_no_and_nothing_else_once_its_customer_agreed() {
    let (mut city, phone, certificate) = at_the_counter(0);
    for _ in 0..2 {
        assert_eq!(facts(&mut city, 1, &json!(["insured"])), Ok(json!({ "state": "waiting" })));
    }
    let asked = shown(&mut city, &phone, "asked");
    let [(consent, text)] = asked.as_slice() else { panic!("{asked:?}") };
    let said: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        said,
        json!({
            "consent": consent, "recipient": "解放碑药房", "purpose": "医保购药",
            "items": ["是否正常参加医保"], "days": 0,
        })
    );
    agrees(&mut city, &phone, &certificate, consent, text).unwrap();
    let told = facts(&mut city, 1, &json!(["insured"])).unwrap();
    assert_eq!((&told["state"], &told["facts"]), (&json!("agreed"), &json!({ "insured": true })));
    assert_eq!(told.as_object().unwrap().len(), 3, "{told}");
    assert_eq!(facts(&mut city, 1, &json!(["insured"])).unwrap(), told);
    assert_eq!(phone.uses(&mut city), ["按您的授权查询", "医保购药"], "once, however often it was asked");
    // It was for this once: tomorrow the customer is asked again.
    city.pass(11 * 60_000);
    verified(&mut city, &phone, &certificate, 2);
    assert_eq!(facts(&mut city, 2, &json!(["insured"])), Ok(json!({ "state": "waiting" })));
}

#[test]
fn nothing_is_told_without_a_yes_and_no_longer_once_it_is_taken_back() {
    let (mut city, phone, certificate) = at_the_counter(30);
    facts(&mut city, 1, &json!(["insured"])).unwrap();
    let (consent, _) = shown(&mut city, &phone, "asked").remove(0);
    ask(&mut city, "consent", &json!({ "phone": phone.secret, "consent": consent, "answer": null })).unwrap();
    assert_eq!(facts(&mut city, 1, &json!(["insured"])), Ok(json!({ "state": "declined" })));
    assert!(shown(&mut city, &phone, "asked").is_empty());

    verified(&mut city, &phone, &certificate, 2);
    facts(&mut city, 2, &json!(["insured"])).unwrap();
    let (consent, text) = shown(&mut city, &phone, "asked").remove(0);
    agrees(&mut city, &phone, &certificate, &consent, &text).unwrap();
    city.pass(3 * 60 * 60 * 1000);
    verified(&mut city, &phone, &certificate, 3);
    assert_eq!(
        facts(&mut city, 3, &json!(["insured"])).unwrap()["state"],
        "agreed",
        "it holds for thirty days"
    );
    assert_eq!(shown(&mut city, &phone, "agreed").len(), 1);
    ask(&mut city, "withdrawals", &json!({ "phone": phone.secret, "consent": consent })).unwrap();
    assert!(shown(&mut city, &phone, "agreed").is_empty());
    assert_eq!(
        facts(&mut city, 3, &json!(["insured"])),
        Ok(json!({ "state": "waiting" })),
        "it is asked anew"
    );
}

#[test]
fn a_yes_is_to_the_text_that_was_shown_by_the_holders_own_phone_and_in_time() {
    let (mut city, phone, certificate) = at_the_counter(0);
    facts(&mut city, 1, &json!(["insured"])).unwrap();
    let (consent, text) = shown(&mut city, &phone, "asked").remove(0);
    let other = text.replace("解放碑药房", "观音桥药房");
    assert!(agrees(&mut city, &phone, &certificate, &consent, &other).is_err(), "another text");
    let stranger = Phone::of(&mut city, "王建国", "500103197510023312");
    let theirs = stranger.certificate(&mut city);
    assert!(agrees(&mut city, &stranger, &theirs, &consent, &text).is_err(), "another phone");
    assert!(agrees(&mut city, &phone, &theirs, &consent, &text).is_err(), "another's key");
    assert!(shown(&mut city, &stranger, "asked").is_empty());
    assert_eq!(facts(&mut city, 1, &json!(["insured"])), Ok(json!({ "state": "waiting" })));
    city.pass(10 * 60_000);
    assert_eq!(agrees(&mut city, &phone, &certificate, &consent, &text), Err((403, "consent-over".into())));
}

#[test]
fn a_client_asks_only_what_it_is_registered_for_and_about_its_own_customers() {
    let mut city = city(0);
    let phone = Phone::bound(&mut city);
    let certificate = phone.certificate(&mut city);
    let no = Err(ProblemCode::NotOffered);
    assert_eq!(facts(&mut city, 1, &json!(["insured"])), no, "no code was shown");
    verified(&mut city, &phone, &certificate, 1);
    assert_eq!(facts(&mut city, 1, &json!(["over60"])), no);
    assert_eq!(facts(&mut city, 1, &json!([])), no);
    assert_eq!(facts_as(&mut city, "TILL", 0x62, 1, &json!(["insured"])), no);
    assert_eq!(facts(&mut city, 1, &json!(["salary"])), Err(ProblemCode::Malformed));
    city.pass(10 * 60_000 + 1);
    assert_eq!(facts(&mut city, 1, &json!(["insured"])), no, "the customer has left");
    assert!(shown(&mut city, &phone, "asked").is_empty());
}
