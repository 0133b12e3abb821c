//! E-certificates: shown to their holder, and given to relying parties as signed extracts, item by item, with the
//! holder's consent.

use contract::{ECertificateExtract, ECertificateExtractError, ProblemCode, UnixMs};
use resident_code::SessionCertificate;
use serde_json::{Value, json};
use server::{ECertificateItem, ECertificateKind, PlatformSetup, RelyingParty};

use crate::claims::{PHARMACY, consents_in_state, give_consent, relying_party_request, verify_code_of};
use crate::codes::{TestPhone, ask, authority, relying_party, root};
use crate::fixture::{CityFixture, setup};

fn city() -> CityFixture {
    let pharmacy = RelyingParty {
        name: "解放碑药房".into(),
        purposes: ["医保购药".to_owned()].into(),
        licences: [
            (
                ECertificateKind::MedicalInsurance,
                [ECertificateItem::Insured, ECertificateItem::Insurance].into(),
            ),
            (ECertificateKind::SeniorCard, [ECertificateItem::Over60].into()),
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
    assert_eq!(titles, ["居民服务卡", "医疗保险参保凭证", "老年人优待证"]);
    let text = wallet.to_string();
    assert!(text.contains("张*英") && !text.contains("张桂英") && !text.contains("19480315"), "{text}");
    assert!(ask(&mut city, "licences", &json!({ "phone": "00".repeat(16) })).is_err());
}
