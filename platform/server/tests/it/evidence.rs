//! A phone that answers a kiosk's challenge raises the visit, and nothing else does.

use contract::{
    Challenge, ChargeRequest, ChargeState, Evidence, EvidenceAnswer, EvidenceRequest, Given, IdentifyRequest,
    Level, Method, OrderId, Presented, ProblemCode, Settlement, VisitId, VisitKey,
};
use proptest::prelude::*;
use resident_code::{AnswerCode, SessionCertificate};
use server::Setup;

use crate::city::{City, DOCUMENTS, Kiosk, WANG, ZHANG, order_for, setup};
use crate::codes::{Phone, authority, identify};

/// A service that a code's picture alone does not open: the balance, raised.
fn proven_only() -> String {
    DOCUMENTS[1]
        .replace("id = \"medical.balance\"", "id = \"medical.proven\"")
        .replace("level = \"recognised\"", "level = \"proven\"")
}

fn city() -> City {
    let setup = setup();
    let documents = setup.documents.iter().cloned().chain([proven_only()]).collect();
    City::with(Setup { codes: Some(authority()), documents, ..setup })
}

/// A resident who showed an offline code at the first kiosk, and the phone that showed it.
struct Scene {
    city: City,
    phone: Phone,
    certificate: SessionCertificate,
    key: VisitKey,
}

impl Scene {
    fn new() -> Self {
        let mut city = city();
        let phone = Phone::bound(&mut city);
        let certificate = phone.certificate(&mut city);
        let code = phone.show(&mut city, &certificate).to_text();
        let key = identify(&mut city, Kiosk::One, &code).unwrap().key.clone();
        Self { city, phone, certificate, key }
    }

    fn answer(&self, kiosk: Kiosk, nonce: u8) -> AnswerCode {
        let challenge = Challenge { device: kiosk.id(), nonce: [nonce; 16] };
        self.phone.answer(&self.city, &self.certificate, &challenge)
    }

    fn prove(&mut self, kiosk: Kiosk, nonce: u8, answer: &str) -> Result<EvidenceAnswer, ProblemCode> {
        let nonce = format!("{nonce:02x}").repeat(16);
        let given = Given::ChallengeAnswer { nonce, answer: answer.to_owned() };
        let request = EvidenceRequest { key: self.key.clone(), given };
        self.city.ask(kiosk, "/v1/evidence", &request)
    }

    fn balance(&mut self) -> Result<usize, ProblemCode> {
        let key = self.key.clone();
        self.city.call(Kiosk::One, &key, "medical.proven", "medical.balance", None).map(|rows| rows.len())
    }
}

#[test]
fn the_residents_phone_proves_the_visit_and_what_needs_it_opens() {
    let mut scene = Scene::new();
    assert_eq!(scene.balance(), Err(ProblemCode::LevelTooLow));
    let answer = scene.answer(Kiosk::One, 1).to_text();
    let proven = EvidenceAnswer { evidence: Evidence::ChallengeAnswered, level: Level::Proven };
    assert_eq!(scene.prove(Kiosk::One, 1, &answer), Ok(proven));
    assert_eq!(scene.balance(), Ok(1));
    // The answer was lost on its way: the same request again.
    assert_eq!(scene.prove(Kiosk::One, 1, &answer), Ok(proven));
}

/// Phones renew their certificates while their owners stand at kiosks.
#[test]
fn a_phone_whose_certificate_was_renewed_meanwhile_is_still_the_residents() {
    let mut scene = Scene::new();
    let renewed = scene.phone.certificate(&mut scene.city);
    assert_ne!(renewed.to_bytes(), scene.certificate.to_bytes());
    scene.certificate = renewed;
    let answer = scene.answer(Kiosk::One, 1).to_text();
    assert!(scene.prove(Kiosk::One, 1, &answer).is_ok());
    assert_eq!(scene.balance(), Ok(1));
}

#[test]
fn an_answer_is_for_one_kiosk_one_challenge_and_one_visit() {
    let mut scene = Scene::new();
    let answer = scene.answer(Kiosk::One, 1).to_text();
    assert_eq!(scene.prove(Kiosk::One, 2, &answer), Err(ProblemCode::CodeUnknown), "another nonce");
    let elsewhere = scene.answer(Kiosk::Two, 1).to_text();
    assert_eq!(scene.prove(Kiosk::One, 1, &elsewhere), Err(ProblemCode::CodeUnknown), "another kiosk's");
    assert_eq!(scene.prove(Kiosk::Two, 1, &elsewhere), Err(ProblemCode::VisitExpired), "no visit there");
    assert!(scene.prove(Kiosk::One, 1, &answer).is_ok());
    scene.city.pass(4_000);
    let later = scene.answer(Kiosk::One, 1).to_text();
    assert_ne!(later, answer);
    assert_eq!(scene.prove(Kiosk::One, 1, &later), Err(ProblemCode::ChallengeFailed), "met already");
    let code = scene.phone.show(&mut scene.city, &scene.certificate).to_text();
    scene.key = identify(&mut scene.city, Kiosk::One, &code).unwrap().key.clone();
    assert_eq!(scene.prove(Kiosk::One, 1, &answer), Err(ProblemCode::ChallengeFailed), "another visit");
    assert_eq!(scene.balance(), Err(ProblemCode::LevelTooLow));
}

#[test]
fn another_residents_phone_proves_nothing() {
    let mut scene = Scene::new();
    let own = scene.key.clone();
    let others = scene.city.code(WANG);
    scene.key = identify(&mut scene.city, Kiosk::One, &others).unwrap().key.clone();
    let answer = scene.answer(Kiosk::One, 1).to_text();
    assert_eq!(scene.prove(Kiosk::One, 1, &answer), Err(ProblemCode::ChallengeFailed));
    assert_eq!(scene.balance(), Err(ProblemCode::LevelTooLow));
    scene.key = own;
    assert!(scene.prove(Kiosk::One, 1, &answer).is_ok(), "the refusal used nothing up");
}

#[test]
fn a_visit_by_card_stays_one() {
    let mut scene = Scene::new();
    scene.key = scene.city.visit_by_card(Kiosk::One, ZHANG).key.clone();
    let answer = scene.answer(Kiosk::One, 1).to_text();
    assert_eq!(scene.prove(Kiosk::One, 1, &answer), Err(ProblemCode::NotOffered));
}

/// Money: not by an offline code alone, however good; by one whose phone was there.
#[test]
fn a_bill_is_paid_by_an_offline_code_only_once_the_phone_has_answered() {
    let mut scene = Scene::new();
    let key = scene.key.clone();
    let rows = scene.city.bills(Kiosk::One, &key);
    let order = OrderId::from_entropy(77);
    let request = ChargeRequest { method: Method::ResidentCode, ..order_for(order, key, &rows[..1]) };
    assert_eq!(scene.city.charge(Kiosk::One, &request).err(), Some(ProblemCode::NotOffered));
    let answer = scene.answer(Kiosk::One, 1).to_text();
    scene.prove(Kiosk::One, 1, &answer).unwrap();
    let order = OrderId::from_entropy(78);
    let request = ChargeRequest { order, ..request };
    let paid = scene.city.charge(Kiosk::One, &request).unwrap();
    assert!(matches!(paid, ChargeState::Settled { settlement: Settlement::Paid { .. } }), "{paid:?}");
}

#[test]
fn a_picture_an_old_answer_and_a_lost_phone_prove_nothing() {
    let mut scene = Scene::new();
    let picture = scene.phone.show(&mut scene.city, &scene.certificate).to_text();
    assert_eq!(scene.prove(Kiosk::One, 1, &picture), Err(ProblemCode::CodeUnknown));
    assert_eq!(scene.prove(Kiosk::One, 1, "https://example"), Err(ProblemCode::CodeUnknown));
    let given = Given::ChallengeAnswer { nonce: "12".into(), answer: picture };
    let request = EvidenceRequest { key: scene.key.clone(), given };
    let malformed: Result<EvidenceAnswer, _> = scene.city.ask(Kiosk::One, "/v1/evidence", &request);
    assert_eq!(malformed, Err(ProblemCode::Malformed));
    let answer = scene.answer(Kiosk::One, 1).to_text();
    scene.city.pass(60_000);
    assert_eq!(scene.prove(Kiosk::One, 1, &answer), Err(ProblemCode::CodeExpired));
    let answer = scene.answer(Kiosk::One, 1).to_text();
    scene.phone.lose(&mut scene.city);
    assert_eq!(scene.prove(Kiosk::One, 1, &answer), Err(ProblemCode::CodeRevoked));
    assert_eq!(scene.balance(), Err(ProblemCode::LevelTooLow));
}

#[test]
fn the_resident_sees_that_the_phone_was_asked() {
    let mut scene = Scene::new();
    let answer = scene.answer(Kiosk::One, 1).to_text();
    scene.prove(Kiosk::One, 1, &answer).unwrap();
    let uses = scene.phone.uses(&mut scene.city);
    assert!(uses.iter().any(|purpose| purpose == "在自助终端确认本人"), "{uses:?}");
}

#[test]
fn without_an_authority_no_answer_is_taken() {
    let mut scene = Scene::new();
    let answer = scene.answer(Kiosk::One, 1).to_text();
    scene.city = City::new();
    let visit = VisitId::from_entropy(scene.city.draw());
    let presented = Presented::Code { text: scene.city.code(ZHANG) };
    let opened: contract::Identified =
        scene.city.ask(Kiosk::One, "/v1/identify", &IdentifyRequest { visit, presented }).unwrap();
    scene.key = opened.key.clone();
    assert_eq!(scene.prove(Kiosk::One, 1, &answer), Err(ProblemCode::CodeUnknown));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_changed_bit_of_an_answer_proves_anything(bit in 0_usize..180 * 8) {
        let mut scene = Scene::new();
        let mut bytes = scene.answer(Kiosk::One, 1).to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let text = format!("YK1:{}", base45::encode(bytes));
        prop_assert!(scene.prove(Kiosk::One, 1, &text).is_err());
        prop_assert_eq!(scene.balance(), Err(ProblemCode::LevelTooLow));
    }
}
