//! A relying party of the city, a pharmacy: verifies the code on a resident's phone, and asks for a claim.

use contract::{HttpMethod, SecretKey, UnixMs};
use serde_json::{Value, json};
use server::{Claim, PlatformReply, PlatformRequest, RelyingParty};

use super::peers::SimCity;
use super::phone::SimPhone;

const ID: &str = "PHARMACY";
const PURPOSE: &str = "医保购药";

fn key() -> SecretKey {
    SecretKey::from_bytes(&[0x61; 32]).unwrap()
}

/// The pharmacy, as the platform knows it.
pub(crate) fn pharmacy() -> RelyingParty {
    RelyingParty {
        id: ID.parse().unwrap(),
        key: key().public(),
        name: "解放碑药房".into(),
        purposes: [PURPOSE.to_owned()].into(),
        capability: "medical".into(),
        per_minute: 50,
        cards: false,
        facts: [Claim::Insured].into(),
        licences: [].into(),
        consent_days: 30,
    }
}

/// The pharmacy verifies the code that the phone shows, by the request with this number.
pub(crate) fn verify_code(city: &mut SimCity, phone: &SimPhone, number: u128, now: UnixMs) {
    let code = phone.offline_code(now).unwrap();
    let body = json!({ "request": format!("{number:032x}"), "code": code, "purpose": PURPOSE });
    assert_eq!(post(city, "verify", &body, number, now)["verdict"], "good");
}

/// The pharmacy asks whether the holder of the code that it verified by this request is insured, and the holder agrees.
pub(crate) fn ask_and_agree(city: &mut SimCity, phone: &SimPhone, number: u128, now: UnixMs) {
    let body = json!({ "request": format!("{number:032x}"), "facts": ["insured"] });
    assert_eq!(post(city, "facts", &body, number ^ 1, now)["state"], "waiting");
    phone.agree_to_all(city, now);
    assert_eq!(post(city, "facts", &body, number ^ 2, now)["state"], "agreed");
}

fn post(city: &mut SimCity, name: &str, body: &Value, entropy: u128, now: UnixMs) -> Value {
    let (target, body) = (format!("/code/v1/{name}"), body.to_string().into_bytes());
    let request = PlatformRequest::signed(HttpMethod::Post, target, body, ID, &key(), now);
    match city.platform.handle(&request, now, entropy) {
        PlatformReply::Answer(response) => serde_json::from_slice(&response.body).unwrap(),
        PlatformReply::CallPeer(_) => panic!("{name} must not call a peer"),
    }
}
