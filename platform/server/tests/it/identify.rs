//! Identification by card, code and ID card: what is accepted and what is refused.

use std::collections::BTreeSet;

use contract::routes;
use contract::{
    AdmissionSubject, CardEvidence, CodeHolder, Evidence, IdCardEvidence, IdentifyAnswer, IdentifyRequest,
    InquiryRequest, Level, OrderId, PresentedCredential, ProblemCode, VisitId,
};
use resident_code::{FormatKey, OnlineToken};
use serde_json::json;
use server::{PlatformRequest, parse_demo_residents};

use crate::codes::{self, TestPhone};
use crate::fixture::{
    CityFixture, RESIDENTS, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING, answer_or_problem, card_evidence,
    order_for, setup,
};

fn identify(
    city: &mut CityFixture,
    kiosk: TestKiosk,
    visit: u128,
    presented: PresentedCredential,
) -> Result<IdentifyAnswer, ProblemCode> {
    let visit = VisitId::from_entropy(visit);
    city.request(kiosk, routes::IDENTIFY.path, &IdentifyRequest { visit, presented })
}

fn code(text: &str) -> PresentedCredential {
    PresentedCredential::Code { text: text.to_owned() }
}

#[test]
fn card_with_or_without_holder_data_is_recognised() {
    let mut city = CityFixture::new();
    let whole = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING);
    assert_eq!((whole.name.as_str(), whole.level), ("张桂英", Level::Recognised));
    assert_eq!(whole.evidence, Evidence::CardRead);
    let partly = city.visit_by_card(TestKiosk::One, WANG_JIANGUO);
    assert_eq!((partly.name.as_str(), partly.level), ("王建国", Level::Recognised));
}

#[test]
fn card_that_contradicts_the_base_is_refused() {
    let mut city = CityFixture::new();
    let mut bent: Vec<(CardEvidence, ProblemCode)> = Vec::new();
    for (change, expected) in [
        ((|card| card.number.push('1')) as fn(&mut CardEvidence), ProblemCode::CardUnknown),
        (
            |card| card.identification = self::card_evidence(WANG_JIANGUO).identification.clone(),
            ProblemCode::CardMismatch,
        ),
        (|card| card.id_number = Some("50010319751002331X".into()), ProblemCode::CardMismatch),
        (|card| card.name = Some("张贵英".into()), ProblemCode::CardMismatch),
        (|card| card.name = None, ProblemCode::CardMismatch),
        (|card| card.version = "3.00".into(), ProblemCode::CardMismatch),
    ] {
        let mut card = card_evidence(ZHANG_GUIYING);
        change(&mut card);
        bent.push((card, expected));
    }
    for (at, (card, expected)) in bent.into_iter().enumerate() {
        let refused = identify(&mut city, TestKiosk::One, at as u128, PresentedCredential::Card(card));
        assert_eq!(refused.err(), Some(expected), "case {at}");
    }
}

#[test]
fn lost_or_replaced_card_is_refused() {
    for standing in ["lost", "cancelled"] {
        let text = RESIDENTS
            .replace("number = \"A10000013\"", &format!("number = \"A10000013\"\nstanding = \"{standing}\""));
        let mut city = CityFixture::with(server::PlatformSetup {
            residents: parse_demo_residents(&text).unwrap(),
            ..setup()
        });
        let refused =
            identify(&mut city, TestKiosk::One, 1, PresentedCredential::Card(card_evidence(ZHANG_GUIYING)));
        assert_eq!(refused.err(), Some(ProblemCode::CardStopped));
    }
}

fn id_card(id_number: &str, name: &str) -> PresentedCredential {
    PresentedCredential::IdCard(IdCardEvidence { id_number: id_number.into(), name: name.into() })
}

#[test]
fn id_card_recognises_its_holder() {
    let mut city = CityFixture::new();
    let zhang = identify(&mut city, TestKiosk::One, 901, id_card("500112194803150422", "张桂英")).unwrap();
    assert_eq!((zhang.name.as_str(), zhang.level), ("张桂英", Level::Recognised));
    assert_eq!(zhang.evidence, Evidence::IdCardRead);
    assert_eq!(
        zhang.resident,
        city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).resident,
        "one person, one pseudonym"
    );
    let wang = identify(&mut city, TestKiosk::One, 902, id_card("500103197510023312", "王建国")).unwrap();
    assert_eq!(wang.name, "王建国");
}

#[test]
fn id_card_unknown_or_with_other_name_gets_one_problem() {
    let mut city = CityFixture::new();
    for (at, (id_number, name)) in [
        ("500103199003070017", "张三丰"),
        ("500112194803150422", "王建国"),
        ("500112194803150422", "张桂英 "),
        ("500112194803150422", ""),
        ("", "张桂英"),
        ("' OR 1 = 1 --", "张桂英"),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = identify(&mut city, TestKiosk::One, at as u128, id_card(id_number, name));
        assert_eq!(refused.err(), Some(ProblemCode::ResidentUnknown), "case {at}");
    }
}

#[test]
fn visit_by_id_card_cannot_pay_from_the_card_account() {
    let mut city = CityFixture::new();
    let visit = identify(&mut city, TestKiosk::One, 1, id_card("500112194803150422", "张桂英")).unwrap();
    let rows = city.call(TestKiosk::One, &visit.key, "water.pay", "water.bills", None).unwrap();
    let request = order_for(OrderId::from_entropy(1), visit.key.clone(), &rows[..1]);
    assert_eq!(city.charge(TestKiosk::One, &request), Err(ProblemCode::NotOffered));
}

#[test]
fn repeated_identify_gets_the_same_answer() {
    let mut city = CityFixture::new();
    let first =
        identify(&mut city, TestKiosk::One, 1, PresentedCredential::Card(card_evidence(ZHANG_GUIYING)))
            .unwrap();
    let again =
        identify(&mut city, TestKiosk::One, 1, PresentedCredential::Card(card_evidence(ZHANG_GUIYING)))
            .unwrap();
    assert!(first.key == again.key);
    assert_eq!(first.resident, again.resident);
    let other =
        identify(&mut city, TestKiosk::One, 1, PresentedCredential::Card(card_evidence(WANG_JIANGUO)));
    assert_eq!(other.err(), Some(ProblemCode::Malformed));
    let elsewhere =
        identify(&mut city, TestKiosk::Two, 1, PresentedCredential::Card(card_evidence(ZHANG_GUIYING)))
            .unwrap();
    assert!(first.key != elsewhere.key);
}

#[test]
fn pseudonym_is_stable_per_kiosk_and_differs_between() {
    let mut city = CityFixture::new();
    let first = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).resident;
    assert_eq!(city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).resident, first);
    assert_ne!(city.visit_by_card(TestKiosk::One, WANG_JIANGUO).resident, first);
    assert_ne!(city.visit_by_card(TestKiosk::Two, ZHANG_GUIYING).resident, first);
}

#[test]
fn code_is_accepted_once_in_the_city() {
    let mut city = CityFixture::new();
    let text = city.online_token(ZHANG_GUIYING);
    let holder = identify(&mut city, TestKiosk::One, 1, code(&text)).unwrap();
    assert_eq!((holder.name.as_str(), holder.evidence), ("张桂英", Evidence::TokenConsumed));
    // The same visit may repeat the request, because its answer may have been lost.
    assert!(identify(&mut city, TestKiosk::One, 1, code(&text)).unwrap().key == holder.key);
    for (kiosk, visit) in [(TestKiosk::One, 2), (TestKiosk::Two, 1), (TestKiosk::Two, 3)] {
        let refused = identify(&mut city, kiosk, visit, code(&text));
        assert_eq!(refused.err(), Some(ProblemCode::CodeUsed));
    }
}

#[test]
fn code_is_accepted_until_its_last_millisecond() {
    let mut city = CityFixture::new();
    let (first, second) = (city.online_token(ZHANG_GUIYING), city.online_token(ZHANG_GUIYING));
    city.advance(59_999);
    assert!(identify(&mut city, TestKiosk::One, 1, code(&first)).is_ok());
    city.advance(1);
    let late = identify(&mut city, TestKiosk::One, 2, code(&second));
    assert_eq!(late.err(), Some(ProblemCode::CodeExpired));
}

#[test]
fn forged_codes_and_other_texts_are_unknown() {
    let mut city = CityFixture::new();
    let never_issued = OnlineToken::issue([3; 16], &FormatKey::new(1, [5; 32])).to_text();
    let wrong_key = OnlineToken::issue([3; 16], &FormatKey::new(1, [6; 32])).to_text();
    let wrong_id = OnlineToken::issue([3; 16], &FormatKey::new(2, [5; 32])).to_text();
    for (at, text) in [&never_issued, &wrong_key, &wrong_id, "https://example.com", ""].iter().enumerate() {
        let refused = identify(&mut city, TestKiosk::One, at as u128, code(text));
        assert_eq!(refused.err(), Some(ProblemCode::CodeUnknown), "{text}");
    }
}

#[test]
fn visit_key_expires_after_fifteen_minutes() {
    let mut city = CityFixture::new();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    city.advance(15 * 60_000 - 1);
    assert!(city.call(TestKiosk::One, &key, "medical.balance", "medical.balance", None).is_ok());
    city.advance(1);
    let late = city.call(TestKiosk::One, &key, "medical.balance", "medical.balance", None);
    assert_eq!(late, Err(ProblemCode::VisitExpired));
}

#[test]
fn visit_key_is_refused_at_another_kiosk() {
    let mut city = CityFixture::new();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let elsewhere = city.call(TestKiosk::Two, &key, "medical.balance", "medical.balance", None);
    assert_eq!(elsewhere, Err(ProblemCode::VisitExpired));
}

#[test]
fn request_without_the_kiosks_signature_is_refused() {
    let mut city = CityFixture::new();
    let order = OrderId::from_entropy(1);
    let good = city.signed_post(TestKiosk::One, routes::INQUIRIES.path, &InquiryRequest { order });
    let bend: [fn(&mut PlatformRequest); 9] = [
        |request| request.device = None,
        |request| request.time = None,
        |request| request.signature = None,
        |request| request.device = Some("K-2".into()),
        |request| request.device = Some("K-9".into()),
        |request| request.time = Some("1".into()),
        |request| request.signature = Some("00".repeat(64)),
        |request| request.target = routes::CHARGES.path.into(),
        |request| request.body.push(b' '),
    ];
    for (at, bend) in bend.iter().enumerate() {
        let mut bent = good.clone();
        bend(&mut bent);
        let reply = city.handle(&bent);
        let refused = answer_or_problem::<serde_json::Value>(&city.complete(reply));
        assert_eq!(refused, Err(ProblemCode::DeviceUnknown), "case {at}");
    }
    let reply = city.handle(&good);
    assert!(answer_or_problem::<serde_json::Value>(&city.complete(reply)).is_ok());
}

#[test]
fn gate_is_given_the_names_of_one_person() {
    let mut city = codes::city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let certificates = [phone.certificate(&mut city), phone.certificate(&mut city)];
    let alias = |at: usize| -> [u8; 8] { certificates[at].to_bytes()[4..12].try_into().unwrap() };
    let holders = [0, 1].map(|at| AdmissionSubject::Holder(CodeHolder::from_alias(&alias(at))));
    let card = AdmissionSubject::Card(card_evidence(ZHANG_GUIYING).card_name().unwrap());
    for by_card in [true, false] {
        let answer = if by_card {
            city.visit_by_card(TestKiosk::Gate, ZHANG_GUIYING)
        } else {
            city.advance(4_000);
            let code = phone.show(&mut city, &certificates[0]).to_text();
            codes::identify(&mut city, TestKiosk::Gate, &code).unwrap()
        };
        let names: BTreeSet<_> = answer.names.iter().copied().collect();
        assert_eq!(names, BTreeSet::from([card, holders[0], holders[1]]), "by card: {by_card}");
    }
    let at_a_kiosk = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING);
    assert_eq!(at_a_kiosk.names, [], "a kiosk needs no other names");
    codes::ask(&mut city, "losses", &json!({ "phone": phone.secret })).unwrap();
    assert_eq!(city.visit_by_card(TestKiosk::Gate, ZHANG_GUIYING).names, [card], "the codes were revoked");
}
