//! Resident codes at the platform: phones bound, codes issued, shown, accepted once, revoked.

use contract::{
    Challenge, CodeHolder, Evidence, IdentifyAnswer, IdentifyRequest, IssuerKey, IssuerKeys,
    PresentedCredential, ProblemCode, PublicKey, SecretKey, SignedStatement, UnixMs, VisitId, from_hex, sm3,
    to_hex,
};
use contract::{HttpMethod, routes};
use resident_code::{AnswerCode, CodeIssuers, OfflineCode, SessionCertificate};
use serde_json::{Value, json};
use server::{
    CodeAuthority, IssuingRules, PeerAnswer, PeerUnreachable, PlatformReply, PlatformRequest, PlatformSetup,
    RelyingParty,
};

use crate::feed::FeedReader;
use crate::fixture::{CityFixture, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING, setup};

const HOUR_MS: u64 = 60 * 60 * 1000;
const RULES: &str = include_str!("../../../../provisioning/codes.toml");

pub(crate) fn secret(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap()
}

pub(crate) fn root() -> PublicKey {
    secret(0x0e).public()
}

fn list() -> IssuerKeys {
    let begins = UnixMs(1_795_000_000_000);
    let issuer = |id, byte, days: u64| IssuerKey {
        id,
        key: secret(byte).public(),
        not_before: UnixMs(begins.0 + u64::from(id)),
        not_after: begins.plus_ms(days * 24 * HOUR_MS),
    };
    IssuerKeys {
        city: "YK".into(),
        version: 1,
        not_before: begins,
        not_after: begins.plus_ms(90 * 24 * HOUR_MS),
        revoker: secret(0x0f).public(),
        // The newer key ends before a certificate issued now would end.
        issuers: vec![issuer(1, 0x51, 90), issuer(2, 0x52, 6)],
    }
}

pub(crate) fn authority() -> CodeAuthority {
    let rules = IssuingRules::parse(RULES).unwrap();
    let signed = SignedStatement::sign(&list(), &secret(0x0e));
    CodeAuthority::new(rules, signed, &root(), &[(1, [0x51; 32]), (2, [0x52; 32])], &[0x0f; 32]).unwrap()
}

/// An authority whose keys are in force at the machine's time, and the issuer keys of a verifier.
pub(crate) fn authority_at(identity_page: &str, now_ms: u64) -> (CodeAuthority, CodeIssuers) {
    let begins = UnixMs(now_ms - HOUR_MS);
    let ends = begins.plus_ms(90 * 24 * HOUR_MS);
    let issuers = vec![IssuerKey { id: 1, key: secret(0x51).public(), not_before: begins, not_after: ends }];
    let list = IssuerKeys { not_before: begins, not_after: ends, issuers, ..list() };
    let rules = IssuingRules::parse(&RULES.replace("http://127.0.0.1:8084/check", identity_page)).unwrap();
    let signed = SignedStatement::sign(&list, &secret(0x0e));
    let authority = CodeAuthority::new(rules, signed, &root(), &[(1, [0x51; 32])], &[0x0f; 32]).unwrap();
    let issuer = SecretKey::from_bytes(&[0x51; 32]).unwrap().public();
    (authority, [(1, issuer)].into_iter().collect())
}

pub(crate) fn city() -> CityFixture {
    CityFixture::with(PlatformSetup { code_authority: Some(authority()), ..setup() })
}

fn post(city: &mut CityFixture, name: &str, body: &Value) -> PlatformReply {
    let body = body.to_string().into_bytes();
    let request = PlatformRequest {
        method: HttpMethod::Post,
        body,
        ..PlatformRequest::get(format!("/code/v1/{name}"))
    };
    city.handle(&request)
}

fn json_or_problem(city: &mut CityFixture, reply: PlatformReply) -> Result<Value, (u16, String)> {
    let response = city.complete(reply);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    if response.status == 200 {
        Ok(body)
    } else {
        Err((response.status, body["code"].as_str().unwrap().into()))
    }
}

pub(crate) fn ask(city: &mut CityFixture, name: &str, body: &Value) -> Result<Value, (u16, String)> {
    let reply = post(city, name, body);
    json_or_problem(city, reply)
}

/// Binds a phone; `seen` is the identity service's answer about the ticket.
fn bind(
    city: &mut CityFixture,
    seen: &Result<(u16, Value), PeerUnreachable>,
) -> Result<Value, (u16, String)> {
    let PlatformReply::CallPeer(call) = post(city, "bindings", &json!({ "ticket": "t" })) else {
        panic!("the platform did not call the identity service")
    };
    let answer =
        seen.clone().map(|(status, body)| PeerAnswer::unsigned(status, body.to_string().into_bytes()));
    let reply = city.resume(&call, answer);
    json_or_problem(city, reply)
}

fn verified_person(name: &str, id_number: &str) -> Result<(u16, Value), PeerUnreachable> {
    Ok((200, json!({ "assurance": "in-person", "name": name, "id_number": id_number })))
}

#[test]
fn phone_is_unbound_only_when_its_credential_has_ended() {
    let mut city = city();
    let seen = json!({
        "assurance": "in-person", "name": "张桂英", "id_number": "500112194803150422", "credential": "c1",
    });
    let bound = bind(&mut city, &Ok((200, seen))).unwrap();
    let secret = bound["phone"].as_str().unwrap().to_owned();
    let phone = TestPhone { secret, key: SecretKey::from_bytes(&[0x22; 32]).unwrap() };
    let certify = |city: &mut CityFixture, answer: Result<(u16, Value), PeerUnreachable>| {
        let PlatformReply::CallPeer(call) = post(city, "certificates", &phone.request()) else {
            panic!("the platform did not call the identity service")
        };
        assert_eq!(
            (call.target.as_str(), call.body.as_slice()),
            ("/credentials", &br#"{"credential":"c1"}"#[..])
        );
        let answer = answer.map(|(status, body)| PeerAnswer::unsigned(status, body.to_string().into_bytes()));
        let reply = city.resume(&call, answer);
        json_or_problem(city, reply)
    };
    for keeps_the_phone in [
        Ok((200, json!({ "standing": "valid" }))),
        Ok((200, json!({ "standing": "unknown" }))),
        Ok((500, json!({}))),
        Ok((200, json!("?"))),
        Err(PeerUnreachable),
    ] {
        assert!(certify(&mut city, keeps_the_phone).is_ok());
    }
    let ended = certify(&mut city, Ok((200, json!({ "standing": "ended" }))));
    assert_eq!(ended, Err((401, "not-bound".into())));
    assert_eq!(ask(&mut city, "certificates", &phone.request()), Err((401, "not-bound".into())));
    let mut reader = FeedReader::default();
    reader.read(&mut city);
    assert_eq!(
        reader.codes.names.len(),
        5,
        "kiosks get a revocation for each certificate that has not expired"
    );
}

/// A phone of Zhang Guiying, or of another resident.
pub(crate) struct TestPhone {
    pub(crate) secret: String,
    pub(crate) key: SecretKey,
}

impl TestPhone {
    pub(crate) fn bind_zhang_guiying(city: &mut CityFixture) -> Self {
        Self::bind_for(city, "张桂英", "500112194803150422")
    }

    /// Binds a phone of this resident.
    pub(crate) fn bind_for(city: &mut CityFixture, name: &str, id_number: &str) -> Self {
        let bound = bind(city, &verified_person(name, id_number)).unwrap();
        assert_ne!(bound["name"], name, "the name is masked");
        let secret = bound["phone"].as_str().unwrap().to_owned();
        Self { secret, key: SecretKey::from_bytes(&[0x22; 32]).unwrap() }
    }

    fn request(&self) -> Value {
        let hash = sm3(&[&from_hex::<16>(&self.secret).unwrap()]);
        let proof = self.key.sign(&[b"session-key/1\0".as_slice(), &hash].concat());
        json!({ "phone": self.secret, "session_key": to_hex(&self.key.public().to_compressed()), "proof": to_hex(&proof.0) })
    }

    pub(crate) fn certificate(&self, city: &mut CityFixture) -> SessionCertificate {
        let certified = ask(city, "certificates", &self.request()).unwrap();
        SessionCertificate::from_bytes(&from_hex::<114>(certified["certificate"].as_str().unwrap()).unwrap())
            .unwrap()
    }

    /// Whether the platform issues a certificate to the phone.
    pub(crate) fn certificate_is_issued(&self, city: &mut CityFixture) -> bool {
        ask(city, "certificates", &self.request()).is_ok()
    }

    /// The problem code with which the platform refuses a certificate.
    pub(crate) fn certificate_problem(&self, city: &mut CityFixture) -> String {
        ask(city, "certificates", &self.request()).unwrap_err().1
    }

    pub(crate) fn report_lost(&self, city: &mut CityFixture) {
        ask(city, "losses", &json!({ "phone": self.secret })).unwrap();
    }

    /// Whether the platform reports that codes under this certificate are accepted.
    pub(crate) fn is_accepted(&self, city: &mut CityFixture, certificate: &SessionCertificate) -> bool {
        let alias = to_hex(&certificate.to_bytes()[4..12]);
        let answer = ask(city, "standing", &json!({ "phone": self.secret, "alias": alias })).unwrap();
        answer["accepted"].as_bool().unwrap()
    }

    pub(crate) fn show(&self, city: &mut CityFixture, certificate: &SessionCertificate) -> OfflineCode {
        certificate.present(&self.key, u32::try_from(city.now.0 / 1000).unwrap()).unwrap()
    }
}

impl TestPhone {
    /// The answer code that the phone shows after its owner agreed to a kiosk's challenge.
    pub(crate) fn answer(
        &self,
        city: &CityFixture,
        certificate: &SessionCertificate,
        challenge: &Challenge,
    ) -> AnswerCode {
        let now = u32::try_from(city.now.0 / 1000).unwrap();
        certificate.answer(&self.key, &challenge.to_be_signed(), now).unwrap()
    }

    /// The purposes for which the code was used, newest first, as the phone lists them.
    pub(crate) fn uses(&self, city: &mut CityFixture) -> Vec<String> {
        let answer = ask(city, "uses", &json!({ "phone": self.secret })).unwrap();
        let uses = answer["uses"].as_array().unwrap().iter();
        uses.map(|one| one["purpose"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) fn identify(
    city: &mut CityFixture,
    kiosk: TestKiosk,
    text: &str,
) -> Result<IdentifyAnswer, ProblemCode> {
    let visit = VisitId::from_entropy(city.next_entropy());
    let presented = PresentedCredential::Code { text: text.to_owned() };
    city.request(kiosk, routes::IDENTIFY.path, &IdentifyRequest { visit, presented })
}

#[test]
fn name_and_id_number_alone_do_not_bind_a_phone() {
    let mut city = city();
    let alone = json!({ "name": "张桂英", "id_number": "500112194803150422" });
    assert_eq!(ask(&mut city, "bindings", &alone), Err((403, "not-in-person".into())));
    let named_only = json!({ "assurance": "named", "name": "张桂英", "id_number": "500112194803150422" });
    for (answer, expected) in [
        (Ok((200, named_only)), "not-in-person"),
        (Ok((410, json!({}))), "not-in-person"),
        (Ok((200, json!("nonsense"))), "not-in-person"),
        (verified_person("张桂英", "500103197510023312"), "not-in-base"),
        (verified_person("李四", "500112194803150422"), "not-in-base"),
        (Ok((500, json!({}))), "unavailable"),
        (Err(PeerUnreachable), "unavailable"),
    ] {
        assert_eq!(bind(&mut city, &answer).unwrap_err().1, expected);
    }
}

#[test]
fn code_of_a_bound_phone_is_accepted_once() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let certificate = phone.certificate(&mut city);
    let code = phone.show(&mut city, &certificate).to_text();
    let holder = identify(&mut city, TestKiosk::One, &code).unwrap();
    assert_eq!((holder.name.as_str(), holder.evidence), ("张桂英", Evidence::OfflineCode));
    for kiosk in [TestKiosk::One, TestKiosk::Two] {
        assert_eq!(identify(&mut city, kiosk, &code).err(), Some(ProblemCode::CodeUsed));
    }
    city.advance(4_000);
    let next = phone.show(&mut city, &certificate).to_text();
    assert_ne!(next, code);
    assert!(identify(&mut city, TestKiosk::Two, &next).is_ok());
    city.advance(60_000);
    let stale = certificate.present(&phone.key, u32::try_from(city.now.0 / 1000 - 40).unwrap()).unwrap();
    assert_eq!(identify(&mut city, TestKiosk::One, &stale.to_text()).err(), Some(ProblemCode::CodeExpired));
}

#[test]
fn certificate_lasts_a_day_and_has_its_own_alias() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let (one, two) = (phone.certificate(&mut city).to_bytes(), phone.certificate(&mut city).to_bytes());
    // Issuer 2 is newer, but its key ends before a certificate issued now would end.
    assert_eq!((one[1], one[16]), (1, 96));
    assert_eq!(one[2..4], [0, 0b1111]);
    assert_ne!(one[4..12], two[4..12]);
}

#[test]
fn session_key_without_proof_is_not_certified() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let good = phone.request();
    let other = SecretKey::from_bytes(&[0x33; 32]).unwrap();
    for (field, value, expected) in [
        ("session_key", to_hex(&other.public().to_compressed()), "malformed"),
        ("session_key", "02".repeat(33), "malformed"),
        ("proof", "00".repeat(64), "malformed"),
        ("phone", "00".repeat(16), "not-bound"),
        ("phone", String::new(), "not-bound"),
    ] {
        let mut bent = good.clone();
        bent[field] = value.into();
        assert_eq!(ask(&mut city, "certificates", &bent).unwrap_err().1, expected, "{field}");
    }
}

#[test]
fn certificates_and_tokens_are_limited() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    for _ in 0..12 {
        phone.certificate(&mut city);
    }
    assert_eq!(ask(&mut city, "certificates", &phone.request()).unwrap_err(), (429, "too-many".into()));
    let of_phone = json!({ "phone": phone.secret });
    for _ in 0..20 {
        ask(&mut city, "tokens", &of_phone).unwrap();
    }
    assert_eq!(ask(&mut city, "tokens", &of_phone).unwrap_err().1, "too-many");
    city.advance(24 * HOUR_MS);
    assert!(ask(&mut city, "certificates", &phone.request()).is_ok());
    assert!(ask(&mut city, "tokens", &of_phone).is_ok());
}

#[test]
fn online_token_of_the_phone_opens_a_visit() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let shown = ask(&mut city, "tokens", &json!({ "phone": phone.secret })).unwrap();
    let holder = identify(&mut city, TestKiosk::One, shown["text"].as_str().unwrap()).unwrap();
    assert_eq!((holder.name.as_str(), holder.evidence), ("张桂英", Evidence::TokenConsumed));
}

#[test]
fn lost_phone_revokes_its_codes_at_every_kiosk() {
    let mut city = city();
    let mut reader = FeedReader::default();
    reader.read(&mut city);
    assert_eq!((reader.codes.at, reader.codes.names.len()), (0, 0));
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let certificate = phone.certificate(&mut city);
    let of_phone = json!({ "phone": phone.secret });
    let token = ask(&mut city, "tokens", &of_phone).unwrap()["text"].as_str().unwrap().to_owned();

    ask(&mut city, "losses", &of_phone).unwrap();
    let code = phone.show(&mut city, &certificate).to_text();
    assert_eq!(identify(&mut city, TestKiosk::One, &code).err(), Some(ProblemCode::CodeRevoked));
    assert_eq!(identify(&mut city, TestKiosk::One, &token).err(), Some(ProblemCode::CodeUnknown));
    for name in ["certificates", "tokens", "uses", "losses"] {
        let body = if name == "certificates" { phone.request() } else { of_phone.clone() };
        assert_eq!(ask(&mut city, name, &body).unwrap_err(), (401, "not-bound".into()), "{name}");
    }
    reader.read(&mut city);
    let alias: [u8; 8] = certificate.to_bytes()[4..12].try_into().unwrap();
    assert_eq!(
        (reader.codes.at, reader.codes.names.keys().copied().collect::<Vec<_>>()),
        (1, vec![CodeHolder::from_alias(&alias)])
    );
}

#[test]
fn new_phone_replaces_the_old_one() {
    let mut city = city();
    let old = TestPhone::bind_zhang_guiying(&mut city);
    let certificate = old.certificate(&mut city);
    let new = TestPhone::bind_zhang_guiying(&mut city);
    let code = old.show(&mut city, &certificate).to_text();
    assert_eq!(identify(&mut city, TestKiosk::One, &code).err(), Some(ProblemCode::CodeRevoked));
    new.certificate(&mut city);
}

#[test]
fn all_feed_readers_get_the_same_revocations() {
    let mut city = city();
    let (mut continuous, mut occasional) = (FeedReader::default(), FeedReader::default());
    let mut ended = Vec::new();
    for round in 0..60_u64 {
        let phone = TestPhone::bind_zhang_guiying(&mut city);
        let certificate = phone.certificate(&mut city).to_bytes();
        ended.push((city.now, CodeHolder::from_alias(&certificate[4..12].try_into().unwrap())));
        city.advance(47 * 60_000);
        continuous.read(&mut city);
        if round % 17 == 0 {
            occasional.read(&mut city);
        }
    }
    // The last phone is still bound; each earlier one was replaced by the next.
    ended.pop();
    let mut fresh = FeedReader::default();
    for reader in [&mut continuous, &mut occasional, &mut fresh] {
        reader.read(&mut city);
        assert_eq!(reader.codes.at, 59);
        assert!(reader.codes.expires > city.now.plus_ms(70 * HOUR_MS));
        // Every certificate that has not expired is on the list.
        for (at, holder) in &ended {
            let over = at.plus_ms(24 * HOUR_MS) <= city.now;
            assert!(over || reader.codes.names.contains_key(holder));
        }
    }
    // Expired certificates are dropped from the next full list, so the list does not grow without limit.
    assert!(fresh.codes.names.len() < 59);
    city.advance(25 * HOUR_MS);
    let mut later = FeedReader::default();
    later.read(&mut city);
    assert_eq!((later.codes.at, later.codes.names.len()), (59, 0));
}

#[test]
fn resident_sees_only_the_uses_of_own_codes() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let certificate = phone.certificate(&mut city);
    let others = city.online_token(WANG_JIANGUO);
    identify(&mut city, TestKiosk::Two, &others).unwrap();
    for _ in 0..2 {
        let code = phone.show(&mut city, &certificate).to_text();
        identify(&mut city, TestKiosk::One, &code).unwrap();
        city.advance(60_000);
    }
    city.visit_by_card(TestKiosk::One, ZHANG_GUIYING);
    let uses = ask(&mut city, "uses", &json!({ "phone": phone.secret })).unwrap();
    let uses = uses["uses"].as_array().unwrap();
    assert_eq!(uses.len(), 2);
    assert!(uses[0]["at_ms"].as_u64() > uses[1]["at_ms"].as_u64());
    assert_eq!(
        (uses[0]["place"].as_str(), uses[0]["purpose"].as_str()),
        (Some("大厅"), Some("自助终端办事"))
    );
}

#[test]
fn code_authority_refuses_keys_that_do_not_match() {
    let rules = || IssuingRules::parse(RULES).unwrap();
    let signed = SignedStatement::sign(&list(), &secret(0x0e));
    let make = |root: &PublicKey, issuers: &[(u8, [u8; 32])], revoker| {
        CodeAuthority::new(rules(), signed.clone(), root, issuers, &[revoker; 32])
    };
    assert!(make(&root(), &[(1, [0x51; 32])], 0x0f).is_ok());
    for (wrong, expected) in [
        (make(&secret(1).public(), &[(1, [0x51; 32])], 0x0f), "UnverifiedList"),
        (make(&root(), &[(1, [0x52; 32])], 0x0f), "IssuerMismatch"),
        (make(&root(), &[(3, [0x51; 32])], 0x0f), "IssuerMismatch"),
        (make(&root(), &[], 0x0f), "NoIssuer"),
        (make(&root(), &[(1, [0x51; 32])], 0x10), "Revoker"),
    ] {
        assert!(format!("{:?}", wrong.unwrap_err()).starts_with(expected));
    }
}

#[test]
fn without_code_authority_only_online_tokens_exist() {
    let mut city = CityFixture::new();
    assert_eq!(
        ask(&mut city, "bindings", &json!({ "ticket": "t" })).unwrap_err(),
        (404, "not-offered".into())
    );
    let mut other = self::city();
    let phone = TestPhone::bind_zhang_guiying(&mut other);
    let certificate = phone.certificate(&mut other);
    let code = phone.show(&mut other, &certificate).to_text();
    assert_eq!(identify(&mut city, TestKiosk::One, &code).err(), Some(ProblemCode::CodeUnknown));
}

const LIBRARY: u8 = 0x61;
const TILL: u8 = 0x62;

pub(crate) fn relying_party(id: &str, key: u8, capability: &str, per_minute: u32) -> RelyingParty {
    RelyingParty {
        id: id.parse().unwrap(),
        key: secret(key).public(),
        name: format!("{id} 馆"),
        purposes: ["入馆".to_owned()].into(),
        capability: capability.into(),
        per_minute,
        cards: false,
        facts: Default::default(),
        licences: Default::default(),
        consent_days: 0,
    }
}

fn city_with_clients() -> CityFixture {
    let clients = vec![
        relying_party("LIBRARY", LIBRARY, "culture", 5),
        relying_party("TILL", TILL, "small-payment", 5),
    ];
    CityFixture::with(PlatformSetup {
        code_authority: Some(authority()),
        relying_parties: clients,
        ..setup()
    })
}

pub(crate) fn verify(city: &mut CityFixture, id: &str, key: u8, body: &Value) -> Result<Value, u16> {
    let body = body.to_string().into_bytes();
    let request =
        PlatformRequest::signed(HttpMethod::Post, "/code/v1/verify", body, id, &secret(key), city.now);
    let reply = city.handle(&request);
    let response = city.complete(reply);
    if response.status == 200 {
        Ok(serde_json::from_slice(&response.body).unwrap())
    } else {
        Err(response.status)
    }
}

fn verify_request(number: u128, code: &str) -> Value {
    json!({ "request": format!("{number:032x}"), "code": code, "purpose": "入馆" })
}

#[test]
fn relying_party_gets_a_verdict_and_a_pairwise_subject() {
    let mut city = city_with_clients();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let mut subjects = Vec::new();
    for number in 0..2 {
        let certificate = phone.certificate(&mut city);
        let code = phone.show(&mut city, &certificate).to_text();
        let verdict = verify(&mut city, "LIBRARY", LIBRARY, &verify_request(number, &code)).unwrap();
        assert_eq!((verdict["verdict"].as_str(), verdict.as_object().unwrap().len()), (Some("good"), 2));
        assert!(!verdict.to_string().contains(&to_hex(&certificate.to_bytes()[4..12])));
        subjects.push(verdict["subject"].as_str().unwrap().to_owned());
        // A repeated request gets the same answer; another request finds the code used.
        assert_eq!(verify(&mut city, "LIBRARY", LIBRARY, &verify_request(number, &code)), Ok(verdict));
        let again = verify(&mut city, "LIBRARY", LIBRARY, &verify_request(number + 10, &code)).unwrap();
        assert_eq!(again, json!({ "verdict": "refused", "code": "used" }));
    }
    assert_eq!(subjects[0], subjects[1]);
    let uses = ask(&mut city, "uses", &json!({ "phone": phone.secret })).unwrap();
    assert_eq!(uses["uses"][0]["place"], "LIBRARY 馆");
    assert_eq!(uses["uses"][0]["purpose"], "入馆");
}

#[test]
fn code_without_the_capability_is_refused_but_not_used() {
    let mut city = city_with_clients();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let token = ask(&mut city, "tokens", &json!({ "phone": phone.secret })).unwrap();
    let token = token["text"].as_str().unwrap();
    let refused = verify(&mut city, "TILL", TILL, &verify_request(1, token)).unwrap();
    assert_eq!(refused, json!({ "verdict": "refused", "code": "capability-missing" }));
    assert_eq!(verify(&mut city, "LIBRARY", LIBRARY, &verify_request(1, token)).unwrap()["verdict"], "good");
    let unknown = verify(&mut city, "LIBRARY", LIBRARY, &verify_request(2, "https://example.com")).unwrap();
    assert_eq!(unknown["code"], "unknown");
}

#[test]
fn verify_checks_signature_purpose_time_and_rate_limit() {
    let mut city = city_with_clients();
    let code = verify_request(1, "YK1:");
    assert_eq!(verify(&mut city, "LIBRARY", TILL, &code), Err(401));
    assert_eq!(verify(&mut city, "NOBODY", LIBRARY, &code), Err(401));
    let body = json!({ "request": "0".repeat(32), "code": "YK1:", "purpose": "好奇" });
    assert_eq!(verify(&mut city, "LIBRARY", LIBRARY, &body), Err(404));
    let old = code.to_string().into_bytes();
    let old = PlatformRequest::signed(
        HttpMethod::Post,
        "/code/v1/verify",
        old,
        "LIBRARY",
        &secret(LIBRARY),
        city.now,
    );
    city.advance(5 * 60_000 + 1);
    let reply = city.handle(&old);
    assert_eq!(city.complete(reply).status, 400);
    for number in 0..5 {
        assert!(verify(&mut city, "LIBRARY", LIBRARY, &verify_request(number, "YK1:")).is_ok());
    }
    assert_eq!(verify(&mut city, "LIBRARY", LIBRARY, &verify_request(9, "YK1:")), Err(429));
    city.advance(60_000);
    assert!(verify(&mut city, "LIBRARY", LIBRARY, &verify_request(9, "YK1:")).is_ok());
    assert_eq!(verify(&mut city, "LIBRARY", LIBRARY, &verify_request(9, "YK1:X")), Err(400));
}
