//! Step-up: a phone that answers a kiosk's challenge raises the level of a visit; other texts do not.

use contract::routes;
use contract::{
    Challenge, ChargeRequest, ChargeState, Evidence, EvidenceAnswer, EvidenceRequest, IdentifyRequest, Level,
    OrderId, PaymentMethod, PresentedCredential, ProblemCode, Settlement, StepUpProof, VisitId, VisitKey,
};
use proptest::prelude::*;
use resident_code::{AnswerCode, SessionCertificate};
use server::PlatformSetup;

use crate::codes::{TestPhone, authority, identify};
use crate::fixture::{CityFixture, DOCUMENTS, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING, order_for, setup};
use crate::publications::publication;

/// The balance service with level `proven`, so that a copied code alone does not open it.
fn proven_only() -> String {
    DOCUMENTS[1]
        .replace("id = \"medical.balance\"", "id = \"medical.proven\"")
        .replace("level = \"recognised\"", "level = \"proven\"")
}

fn city() -> CityFixture {
    let documents = DOCUMENTS.map(str::to_owned).into_iter().chain([proven_only()]);
    CityFixture::with(PlatformSetup {
        code_authority: Some(authority()),
        publication: publication(documents),
        ..setup()
    })
}

/// A visit by offline code at the first kiosk, and the phone that showed the code.
struct StepUpFixture {
    city: CityFixture,
    phone: TestPhone,
    certificate: SessionCertificate,
    key: VisitKey,
}

impl StepUpFixture {
    fn new() -> Self {
        let mut city = city();
        let phone = TestPhone::bind_zhang_guiying(&mut city);
        let certificate = phone.certificate(&mut city);
        let code = phone.show(&mut city, &certificate).to_text();
        let key = identify(&mut city, TestKiosk::One, &code).unwrap().key.clone();
        Self { city, phone, certificate, key }
    }

    fn answer(&self, kiosk: TestKiosk, nonce: u8) -> AnswerCode {
        let challenge = Challenge { device: kiosk.id(), nonce: [nonce; 16] };
        self.phone.answer(&self.city, &self.certificate, &challenge)
    }

    fn prove(&mut self, kiosk: TestKiosk, nonce: u8, answer: &str) -> Result<EvidenceAnswer, ProblemCode> {
        let nonce = format!("{nonce:02x}").repeat(16);
        let given = StepUpProof::ChallengeAnswer { nonce, answer: answer.to_owned() };
        let request = EvidenceRequest { key: self.key.clone(), given };
        self.city.request(kiosk, routes::EVIDENCE.path, &request)
    }

    fn balance(&mut self) -> Result<usize, ProblemCode> {
        let key = self.key.clone();
        self.city.call(TestKiosk::One, &key, "medical.proven", "medical.balance", None).map(|rows| rows.len())
    }
}

#[test]
fn phone_answer_raises_the_level_and_opens_services() {
    let mut fixture = StepUpFixture::new();
    assert_eq!(fixture.balance(), Err(ProblemCode::LevelTooLow));
    let answer = fixture.answer(TestKiosk::One, 1).to_text();
    let proven = EvidenceAnswer { evidence: Evidence::ChallengeAnswered, level: Level::Proven };
    assert_eq!(fixture.prove(TestKiosk::One, 1, &answer), Ok(proven));
    assert_eq!(fixture.balance(), Ok(1));
    // The answer of the platform was lost: the same request is sent again.
    assert_eq!(fixture.prove(TestKiosk::One, 1, &answer), Ok(proven));
}

/// A phone may renew its certificate during the visit.
#[test]
fn phone_with_renewed_certificate_proves_the_visit() {
    let mut fixture = StepUpFixture::new();
    let renewed = fixture.phone.certificate(&mut fixture.city);
    assert_ne!(renewed.to_bytes(), fixture.certificate.to_bytes());
    fixture.certificate = renewed;
    let answer = fixture.answer(TestKiosk::One, 1).to_text();
    assert!(fixture.prove(TestKiosk::One, 1, &answer).is_ok());
    assert_eq!(fixture.balance(), Ok(1));
}

#[test]
fn answer_is_bound_to_kiosk_challenge_and_visit() {
    let mut fixture = StepUpFixture::new();
    let answer = fixture.answer(TestKiosk::One, 1).to_text();
    assert_eq!(fixture.prove(TestKiosk::One, 2, &answer), Err(ProblemCode::CodeUnknown), "another nonce");
    let elsewhere = fixture.answer(TestKiosk::Two, 1).to_text();
    assert_eq!(
        fixture.prove(TestKiosk::One, 1, &elsewhere),
        Err(ProblemCode::CodeUnknown),
        "another kiosk's"
    );
    assert_eq!(
        fixture.prove(TestKiosk::Two, 1, &elsewhere),
        Err(ProblemCode::VisitExpired),
        "no visit there"
    );
    assert!(fixture.prove(TestKiosk::One, 1, &answer).is_ok());
    fixture.city.advance(4_000);
    let later = fixture.answer(TestKiosk::One, 1).to_text();
    assert_ne!(later, answer);
    assert_eq!(fixture.prove(TestKiosk::One, 1, &later), Err(ProblemCode::ChallengeFailed), "met already");
    let code = fixture.phone.show(&mut fixture.city, &fixture.certificate).to_text();
    fixture.key = identify(&mut fixture.city, TestKiosk::One, &code).unwrap().key.clone();
    assert_eq!(fixture.prove(TestKiosk::One, 1, &answer), Err(ProblemCode::ChallengeFailed), "another visit");
    assert_eq!(fixture.balance(), Err(ProblemCode::LevelTooLow));
}

#[test]
fn answer_of_another_residents_phone_is_refused() {
    let mut fixture = StepUpFixture::new();
    let own = fixture.key.clone();
    let others = fixture.city.online_token(WANG_JIANGUO);
    fixture.key = identify(&mut fixture.city, TestKiosk::One, &others).unwrap().key.clone();
    let answer = fixture.answer(TestKiosk::One, 1).to_text();
    assert_eq!(fixture.prove(TestKiosk::One, 1, &answer), Err(ProblemCode::ChallengeFailed));
    assert_eq!(fixture.balance(), Err(ProblemCode::LevelTooLow));
    fixture.key = own;
    assert!(fixture.prove(TestKiosk::One, 1, &answer).is_ok(), "the refusal did not consume the challenge");
}

#[test]
fn visit_by_card_is_not_raised_by_a_phone() {
    let mut fixture = StepUpFixture::new();
    fixture.key = fixture.city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let answer = fixture.answer(TestKiosk::One, 1).to_text();
    assert_eq!(fixture.prove(TestKiosk::One, 1, &answer), Err(ProblemCode::NotOffered));
}

/// An offline code alone does not pay; it pays after its phone answered the challenge.
#[test]
fn offline_code_pays_only_after_the_phone_answered() {
    let mut fixture = StepUpFixture::new();
    let key = fixture.key.clone();
    let rows = fixture.city.bills(TestKiosk::One, &key);
    let order = OrderId::from_entropy(77);
    let request = ChargeRequest { method: PaymentMethod::ResidentCode, ..order_for(order, key, &rows[..1]) };
    assert_eq!(fixture.city.charge(TestKiosk::One, &request).err(), Some(ProblemCode::NotOffered));
    let answer = fixture.answer(TestKiosk::One, 1).to_text();
    fixture.prove(TestKiosk::One, 1, &answer).unwrap();
    let order = OrderId::from_entropy(78);
    let request = ChargeRequest { order, ..request };
    let paid = fixture.city.charge(TestKiosk::One, &request).unwrap();
    assert!(matches!(paid, ChargeState::Settled { settlement: Settlement::Paid { .. } }), "{paid:?}");
}

#[test]
fn copied_old_and_revoked_answers_are_refused() {
    let mut fixture = StepUpFixture::new();
    let picture = fixture.phone.show(&mut fixture.city, &fixture.certificate).to_text();
    assert_eq!(fixture.prove(TestKiosk::One, 1, &picture), Err(ProblemCode::CodeUnknown));
    assert_eq!(fixture.prove(TestKiosk::One, 1, "https://example"), Err(ProblemCode::CodeUnknown));
    let given = StepUpProof::ChallengeAnswer { nonce: "12".into(), answer: picture };
    let request = EvidenceRequest { key: fixture.key.clone(), given };
    let malformed: Result<EvidenceAnswer, _> =
        fixture.city.request(TestKiosk::One, routes::EVIDENCE.path, &request);
    assert_eq!(malformed, Err(ProblemCode::Malformed));
    let answer = fixture.answer(TestKiosk::One, 1).to_text();
    fixture.city.advance(60_000);
    assert_eq!(fixture.prove(TestKiosk::One, 1, &answer), Err(ProblemCode::CodeExpired));
    let answer = fixture.answer(TestKiosk::One, 1).to_text();
    fixture.phone.report_lost(&mut fixture.city);
    assert_eq!(fixture.prove(TestKiosk::One, 1, &answer), Err(ProblemCode::CodeRevoked));
    assert_eq!(fixture.balance(), Err(ProblemCode::LevelTooLow));
}

#[test]
fn phone_lists_the_step_up_as_a_use() {
    let mut fixture = StepUpFixture::new();
    let answer = fixture.answer(TestKiosk::One, 1).to_text();
    fixture.prove(TestKiosk::One, 1, &answer).unwrap();
    let uses = fixture.phone.uses(&mut fixture.city);
    assert!(uses.iter().any(|purpose| purpose == "在自助终端确认本人"), "{uses:?}");
}

#[test]
fn without_code_authority_answers_are_refused() {
    let mut fixture = StepUpFixture::new();
    let answer = fixture.answer(TestKiosk::One, 1).to_text();
    fixture.city = CityFixture::new();
    let visit = VisitId::from_entropy(fixture.city.next_entropy());
    let presented = PresentedCredential::Code { text: fixture.city.online_token(ZHANG_GUIYING) };
    let opened: contract::IdentifyAnswer = fixture
        .city
        .request(TestKiosk::One, routes::IDENTIFY.path, &IdentifyRequest { visit, presented })
        .unwrap();
    fixture.key = opened.key.clone();
    assert_eq!(fixture.prove(TestKiosk::One, 1, &answer), Err(ProblemCode::CodeUnknown));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn answer_with_a_flipped_bit_is_refused(bit in 0_usize..180 * 8) {
        let mut fixture = StepUpFixture::new();
        let mut bytes = fixture.answer(TestKiosk::One, 1).to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let text = format!("YK1:{}", base45::encode(bytes));
        prop_assert!(fixture.prove(TestKiosk::One, 1, &text).is_err());
        prop_assert_eq!(fixture.balance(), Err(ProblemCode::LevelTooLow));
    }
}
