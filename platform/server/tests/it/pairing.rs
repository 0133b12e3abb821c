//! An authenticated card and its PIN raise a visit to level 2 and bind a phone; weaker evidence does not.

use contract::routes;
use contract::{
    Evidence, EvidenceAnswer, EvidenceRequest, IdentifyRequest, Level, OrderId, PaymentMethod,
    PresentedCredential, ProblemCode, Publication, StepUpProof, UnixMs, VisitId, VisitKey,
};
use serde_json::{Value, json};
use server::PlatformSetup;

use crate::codes::{ask, authority};
use crate::fixture::{
    CityFixture, DOCUMENTS, FixtureResident, RAN_GUANGMING, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING,
    card_evidence, order_for, setup,
};
use crate::publications::{catalogue_key, publication, sources};

const SERVICE: &str = include_str!("../../../../assets/services/phone-pairing.toml");
/// The last six characters of Wang Jianguo's ID number.
const END: &str = "023312";
const PAGE: &str = "http://127.0.0.1:8081/code/#pair=";

fn city() -> CityFixture {
    let documents = DOCUMENTS.into_iter().chain([SERVICE]).map(str::to_owned);
    CityFixture::with(PlatformSetup {
        code_authority: Some(authority()),
        publication: publication(documents),
        ..setup()
    })
}

pub(crate) fn visit(city: &mut CityFixture, person: FixtureResident, authenticated: bool) -> VisitKey {
    let mut presented = card_evidence(person);
    presented.authenticated = authenticated;
    let request = IdentifyRequest {
        visit: VisitId::from_entropy(city.next_entropy()),
        presented: PresentedCredential::Card(presented),
    };
    let identified: contract::IdentifyAnswer =
        city.request(TestKiosk::One, routes::IDENTIFY.path, &request).unwrap();
    identified.key.clone()
}

pub(crate) fn enter_pin(
    city: &mut CityFixture,
    kiosk: TestKiosk,
    key: &VisitKey,
) -> Result<EvidenceAnswer, ProblemCode> {
    city.request(
        kiosk,
        routes::EVIDENCE.path,
        &EvidenceRequest { key: key.clone(), given: StepUpProof::CardPin },
    )
}

fn offer(city: &mut CityFixture, key: &VisitKey) -> Result<String, ProblemCode> {
    let rows = city.call(TestKiosk::One, key, "phone.pairing", "phone.pairing", None)?;
    Ok(rows[0]["code"].strip_prefix(PAGE).expect("an address of the page").to_owned())
}

/// A pairing code for Wang Jianguo on the screen of the first kiosk.
fn offered(city: &mut CityFixture) -> String {
    let key = visit(city, WANG_JIANGUO, true);
    enter_pin(city, TestKiosk::One, &key).unwrap();
    offer(city, &key).unwrap()
}

fn pair(city: &mut CityFixture, code: &str, id_end: &str) -> Result<Value, (u16, String)> {
    ask(city, "bindings", &json!({ "pairing": { "code": code, "id_end": id_end } }))
}

fn refused(status: u16, code: &str) -> Result<Value, (u16, String)> {
    Err((status, code.to_owned()))
}

#[test]
fn pin_of_an_authenticated_card_gives_level_2() {
    let mut city = city();
    let key = visit(&mut city, WANG_JIANGUO, true);
    assert_eq!(offer(&mut city, &key), Err(ProblemCode::LevelTooLow));
    let proven = EvidenceAnswer { evidence: Evidence::AuthenticatedCardPin, level: Level::Proven };
    assert_eq!(enter_pin(&mut city, TestKiosk::Two, &key), Err(ProblemCode::VisitExpired), "not its visit");
    for _ in 0..2 {
        assert_eq!(enter_pin(&mut city, TestKiosk::One, &key), Ok(proven));
    }
    assert!(offer(&mut city, &key).is_ok());
}

#[test]
fn pin_without_card_authentication_raises_nothing() {
    let mut city = city();
    let code = city.online_token(ZHANG_GUIYING);
    let by_code = crate::codes::identify(&mut city, TestKiosk::One, &code).unwrap().key.clone();
    for key in [visit(&mut city, ZHANG_GUIYING, false), by_code] {
        assert_eq!(enter_pin(&mut city, TestKiosk::One, &key), Err(ProblemCode::NotOffered));
        assert_eq!(offer(&mut city, &key), Err(ProblemCode::LevelTooLow));
    }
}

#[test]
fn visit_proven_by_pin_pays_from_the_card_account() {
    let mut city = city();
    let key = visit(&mut city, WANG_JIANGUO, true);
    enter_pin(&mut city, TestKiosk::One, &key).unwrap();
    let rows = city.bills(TestKiosk::One, &key);
    let order = order_for(OrderId::from_entropy(5), key, &rows[..1]);
    assert_eq!(order.method, PaymentMethod::CardAccount);
    assert!(city.charge(TestKiosk::One, &order).is_ok());
}

#[test]
fn phone_is_bound_once_by_code_and_end_of_id_number() {
    let mut city = city();
    let code = offered(&mut city);
    let bound = pair(&mut city, &code, END).unwrap();
    assert_eq!(bound["name"], "王*国");
    assert_eq!(pair(&mut city, &code, END), refused(403, "pairing-over"));
    let phone = json!({ "phone": bound["phone"] });
    let uses = ask(&mut city, "uses", &phone).unwrap();
    assert_eq!(uses["uses"][0]["purpose"], "在自助终端开通手机");
    // A second phone replaces the first.
    let code = offered(&mut city);
    pair(&mut city, &code, END).unwrap();
    assert_eq!(ask(&mut city, "uses", &phone), refused(401, "not-bound"));
}

#[test]
fn pairing_code_alone_is_refused_and_guesses_are_limited() {
    let mut city = city();
    let code = offered(&mut city);
    for wrong in ["000000", "", "500103197510023312"] {
        assert_eq!(pair(&mut city, &code, wrong), refused(403, "other-number"));
    }
    assert_eq!(pair(&mut city, &code, END), refused(403, "pairing-over"));
}

#[test]
fn lower_case_x_of_an_id_number_is_accepted() {
    let mut city = city();
    let key = visit(&mut city, RAN_GUANGMING, true);
    enter_pin(&mut city, TestKiosk::One, &key).unwrap();
    let code = offer(&mut city, &key).unwrap();
    assert!(pair(&mut city, &code, "11553x").is_ok());
}

#[test]
fn pairing_code_expires_or_is_replaced() {
    let mut city = city();
    let first = offered(&mut city);
    let second = offered(&mut city);
    assert_eq!(pair(&mut city, &first, END), refused(403, "pairing-over"));
    city.advance(5 * 60_000);
    assert_eq!(pair(&mut city, &second, END), refused(403, "pairing-over"));
    assert_eq!(pair(&mut city, "zz", END), refused(400, "malformed"));
}

/// Whatever level the signed service document has, and whatever other evidence the visit has: a bound phone cannot bind
/// another phone.
#[test]
fn service_document_cannot_lower_the_pairing_evidence() {
    let lowered = SERVICE.replace("level = \"proven\"", "level = \"recognised\"");
    assert_ne!(lowered, SERVICE);
    let signed = Publication::sign(1, UnixMs(0), sources([lowered]), &catalogue_key());
    let error = signed.unwrap_err().to_string();
    assert!(error.contains("level"), "{error}");
}
