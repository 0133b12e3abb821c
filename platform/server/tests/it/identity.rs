//! The resident's own card, codes, consents and uses at a kiosk: what is shown, and acts that are done once and only for their owner.

use contract::{CallAnswer, ConsentId, Entry, Level, ProblemCode, TicketId, UnixMs, VisitId, VisitKey};
use serde_json::{Value, json};
use server::{Claim, PlatformSetup, RelyingParty};

use crate::claims::{PHARMACY, consents_in_state, give_consent, relying_party_request, verify_code_of};
use crate::codes::{TestPhone, authority, relying_party};
use crate::fixture::{
    CityFixture, DOCUMENTS, FixtureResident, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING, setup,
};
use crate::pairing::{enter_pin, visit};
use crate::publications::publication;
use crate::records::{self, KioskLog};
use crate::restore::RestorableCity;

const SERVICES: [&str; 7] = [
    include_str!("../../../../assets/services/identity-mine.toml"),
    include_str!("../../../../assets/services/identity-state.toml"),
    include_str!("../../../../assets/services/identity-code-lost.toml"),
    include_str!("../../../../assets/services/identity-consents.toml"),
    include_str!("../../../../assets/services/identity-consent-withdraw.toml"),
    include_str!("../../../../assets/services/identity-uses.toml"),
    include_str!("../../../../assets/services/identity-use-report.toml"),
];

fn city() -> CityFixture {
    CityFixture::with(city_setup())
}

fn city_setup() -> PlatformSetup {
    let pharmacy = RelyingParty {
        name: "解放碑药房".into(),
        purposes: ["医保购药".to_owned()].into(),
        facts: [Claim::Insured].into(),
        consent_days: 30,
        ..relying_party("PHARMACY", PHARMACY, "medical", 50)
    };
    PlatformSetup {
        code_authority: Some(authority()),
        relying_parties: vec![pharmacy],
        publication: publication(DOCUMENTS.into_iter().chain(SERVICES).map(str::to_owned)),
        ..setup()
    }
}

/// A visit by authenticated card and PIN.
fn proven(city: &mut CityFixture, person: FixtureResident) -> VisitKey {
    let key = visit(city, person, true);
    assert_eq!(enter_pin(city, TestKiosk::One, &key).unwrap().level, Level::Proven);
    key
}

const fn ticket(number: u128) -> Option<TicketId> {
    Some(TicketId::from_entropy(number))
}

/// The words of a refusal.
fn refusal(answer: &CallAnswer) -> &str {
    assert!(answer.rows.is_empty());
    &answer.refused.as_ref().expect("a refusal").zh
}

fn row<'a>(answer: &'a CallAnswer, field: &str) -> &'a str {
    &answer.rows[0][field]
}

fn facts(city: &mut CityFixture, number: u128) -> Value {
    let body = json!({ "request": format!("{number:032x}"), "facts": ["insured"] });
    relying_party_request(city, "facts", "PHARMACY", PHARMACY, &body).unwrap()
}

/// A city in which Zhang Guiying agreed on her phone, for request 1 of the pharmacy.
fn city_with_consent() -> (CityFixture, TestPhone) {
    let mut city = city();
    let phone = agree_on_phone(&mut city);
    (city, phone)
}

fn agree_on_phone(city: &mut CityFixture) -> TestPhone {
    let phone = TestPhone::bind_zhang_guiying(city);
    let certificate = phone.certificate(city);
    verify_code_of(city, &phone, &certificate, 1);
    assert_eq!(facts(city, 1)["state"], "waiting");
    let (consent, text) = consents_in_state(city, &phone, "asked").remove(0);
    give_consent(city, &phone, &certificate, &consent, &text).unwrap();
    phone
}

fn consents(city: &mut CityFixture, key: &VisitKey) -> CallAnswer {
    city.call_with(key, "identity.consent-withdraw", "identity.consents", &[], None).unwrap()
}

fn withdraw(
    city: &mut CityFixture,
    key: &VisitKey,
    consent: &str,
    number: u128,
) -> Result<CallAnswer, ProblemCode> {
    let input = [("consent", consent), ("decision", "withdraw")];
    city.call_with(key, "identity.consent-withdraw", "identity.withdraw-consent", &input, ticket(number))
}

#[test]
fn withdrawn_consent_discloses_nothing_more() {
    let (mut city, _) = city_with_consent();
    assert_eq!(facts(&mut city, 1)["facts"], json!({ "insured": true }));
    let key = proven(&mut city, ZHANG_GUIYING);
    let listed = consents(&mut city, &key);
    assert_eq!((row(&listed, "recipient"), row(&listed, "what")), ("解放碑药房", "是否正常参加医保"));
    let consent = row(&listed, "consent").to_owned();

    let done = withdraw(&mut city, &key, &consent, 7).unwrap();
    assert_eq!(row(&done, "recipient"), "解放碑药房");
    assert_eq!(facts(&mut city, 1), json!({ "state": "declined" }));
    assert!(consents(&mut city, &key).rows.is_empty());
    // The answer was lost: the same request gives it again. Another one finds nothing to withdraw.
    city.advance(60_000);
    assert_eq!(withdraw(&mut city, &key, &consent, 7).unwrap().rows, done.rows);
    assert!(refusal(&withdraw(&mut city, &key, &consent, 8).unwrap()).contains("不再有效"));
}

#[test]
fn act_on_what_is_anothers_changes_nothing() {
    let (mut city, phone) = city_with_consent();
    let own = proven(&mut city, ZHANG_GUIYING);
    let consent = row(&consents(&mut city, &own), "consent").to_owned();
    let codes = city.call_with(&own, "identity.code-lost", "identity.codes", &[], None).unwrap();
    let medium = row(&codes, "medium").to_owned();
    let uses = city.call_with(&own, "identity.use-report", "identity.uses", &[], None).unwrap();
    let of_use = row(&uses, "use").to_owned();

    let other = proven(&mut city, WANG_JIANGUO);
    assert!(consents(&mut city, &other).rows.is_empty());
    refusal(&withdraw(&mut city, &other, &consent, 1).unwrap());
    let stop = [("medium", medium.as_str()), ("decision", "stop")];
    let stopped =
        city.call_with(&other, "identity.code-lost", "identity.stop-code", &stop, ticket(2)).unwrap();
    refusal(&stopped);
    let report = [("use", of_use.as_str())];
    let reported =
        city.call_with(&other, "identity.use-report", "identity.report-use", &report, ticket(3)).unwrap();
    refusal(&reported);

    assert_eq!(facts(&mut city, 1)["state"], "agreed");
    assert!(phone.certificate_is_issued(&mut city));
    assert!(!city.page("/admin").1.contains("does not know this use"));
    // A ticket belongs to one request of one resident.
    withdraw(&mut city, &own, &consent, 9).unwrap();
    assert_eq!(withdraw(&mut city, &other, &consent, 9).err(), Some(ProblemCode::Malformed));
}

#[test]
fn stopped_phone_gets_no_codes_and_its_codes_are_refused() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let certificate = phone.certificate(&mut city);
    let key = proven(&mut city, ZHANG_GUIYING);
    let codes = city.call_with(&key, "identity.code-lost", "identity.codes", &[], None).unwrap();
    assert_eq!((codes.rows.len(), row(&codes, "what")), (1, "手机渝快码"));
    let medium = row(&codes, "medium").to_owned();
    let decide = |city: &mut CityFixture, decision, number| {
        let input = [("medium", medium.as_str()), ("decision", decision)];
        city.call_with(&key, "identity.code-lost", "identity.stop-code", &input, ticket(number))
    };
    assert!(refusal(&decide(&mut city, "keep", 1).unwrap()).contains("没有停用"));
    assert!(phone.is_accepted(&mut city, &certificate));
    assert_eq!(decide(&mut city, "perhaps", 2).err(), Some(ProblemCode::Malformed));

    let code = phone.show(&mut city, &certificate).to_text();
    let done = decide(&mut city, "stop", 3).unwrap();
    assert_eq!(row(&done, "state"), "已停用");
    assert_eq!(phone.certificate_problem(&mut city), "not-bound");
    let refused = crate::codes::identify(&mut city, TestKiosk::One, &code);
    assert_eq!(refused.err(), Some(ProblemCode::CodeRevoked));
    // A phone that is bound meanwhile is another one: neither the repeated request nor a new one stops it.
    let new_phone = TestPhone::bind_zhang_guiying(&mut city);
    assert_eq!(decide(&mut city, "stop", 3).unwrap().rows, done.rows);
    assert!(refusal(&decide(&mut city, "stop", 4).unwrap()).contains("已经停用"));
    assert!(new_phone.certificate_is_issued(&mut city));
    assert_eq!(
        city.call_with(&key, "identity.state", "identity.states", &[], None).unwrap().rows[1]["state"],
        "正常"
    );
}

#[test]
fn acts_and_lists_need_a_proven_visit() {
    let (mut city, _) = city_with_consent();
    let key = visit(&mut city, ZHANG_GUIYING, true);
    let low = Some(ProblemCode::LevelTooLow);
    for (service, operation) in [
        ("identity.code-lost", "identity.codes"),
        ("identity.consents", "identity.consents"),
        ("identity.uses", "identity.uses"),
    ] {
        assert_eq!(city.call_with(&key, service, operation, &[], None).err(), low, "{operation}");
    }
    assert_eq!(withdraw(&mut city, &key, "phone.00", 1).err(), low);
    let mine = city.call_with(&key, "identity.mine", "identity.mine", &[], None).unwrap();
    assert_eq!((row(&mine, "name"), row(&mine, "number")), ("张*英", "5001**********0422"));
    assert_eq!(
        (row(&mine, "card-state"), row(&mine, "phone-state"), row(&mine, "paper-state")),
        ("正常", "正常", "没有")
    );
}

#[test]
fn act_without_ticket_and_query_with_one_are_malformed() {
    let (mut city, _) = city_with_consent();
    let key = proven(&mut city, ZHANG_GUIYING);
    let malformed = Some(ProblemCode::Malformed);
    let input = [("consent", "phone.00"), ("decision", "withdraw")];
    let act = |city: &mut CityFixture, input: &[(&str, &str)], ticket| {
        city.call_with(&key, "identity.consent-withdraw", "identity.withdraw-consent", input, ticket)
    };
    assert_eq!(act(&mut city, &input, None).err(), malformed);
    assert_eq!(act(&mut city, &input[..1], ticket(1)).err(), malformed);
    assert_eq!(city.call_with(&key, "identity.uses", "identity.uses", &[], ticket(2)).err(), malformed);
}

#[test]
fn reported_use_is_one_incident_and_offers_to_stop() {
    let (mut city, _) = city_with_consent();
    let key = proven(&mut city, ZHANG_GUIYING);
    let uses = city.call_with(&key, "identity.use-report", "identity.uses", &[], None).unwrap();
    assert_eq!(
        (row(&uses, "place"), row(&uses, "purpose"), row(&uses, "remark")),
        ("解放碑药房", "医保购药", "")
    );
    let input = [("use", row(&uses, "use"))];
    let report = |city: &mut CityFixture, number| {
        city.call_with(&key, "identity.use-report", "identity.report-use", &input, ticket(number)).unwrap()
    };
    let done = report(&mut city, 1);
    let number = row(&done, "number").to_owned();
    assert_eq!(report(&mut city, 1).rows, done.rows);
    assert!(refusal(&report(&mut city, 2)).contains(&number));
    let admin = city.page("/admin").1;
    assert_eq!(admin.matches(&format!("use {number}")).count(), 1, "one incident");
    assert!(!admin.contains("张桂英") && !admin.contains("500112194803150422"));
    let again = city.call_with(&key, "identity.use-report", "identity.uses", &[], None).unwrap();
    assert_eq!(row(&again, "remark"), "您说不是您用的，正在核查");
    for (decision, next) in [("stop", Some("identity.code-lost")), ("keep", None)] {
        let after = [("decision", decision)];
        let answer =
            city.call_with(&key, "identity.use-report", "identity.after-report", &after, None).unwrap();
        assert_eq!((answer.rows.len(), answer.next.as_deref()), (0, next));
    }
}

#[test]
fn kiosk_consent_is_listed_and_refused_after_withdrawal() {
    let mut city = city();
    let key = proven(&mut city, ZHANG_GUIYING);
    let pseudonym = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).resident;
    let consent = ConsentId::from_entropy(77);
    let service = "insurance.proof".to_owned();
    let mut log = KioskLog::new(TestKiosk::One, 1);
    log.append_entry(&Entry::Consented {
        consent,
        visit: VisitId::from_entropy(1),
        resident: pseudonym,
        service: service.clone(),
        version: 1,
        purpose: String::new(),
        items: Vec::new(),
        recipient: String::new(),
        until: UnixMs(city.now.0 + 86_400_000),
    });
    records::send(&mut city, TestKiosk::One, &log.batch(0, 1)).unwrap();
    let operation = "insurance.proof";
    let fetch = |city: &mut CityFixture| city.call(TestKiosk::One, &key, &service, operation, Some(consent));
    fetch(&mut city).unwrap();
    let listed = consents(&mut city, &key);
    assert_eq!(row(&listed, "consent"), format!("kiosk.K-1.{consent}"));
    withdraw(&mut city, &key, &format!("kiosk.K-1.{consent}"), 1).unwrap();
    assert!(consents(&mut city, &key).rows.is_empty());
    assert_eq!(fetch(&mut city).err(), Some(ProblemCode::ConsentMissing));
}

#[test]
fn recorded_act_that_the_database_lacks_is_an_incident() {
    let (mut city, _) = city_with_consent();
    let key = proven(&mut city, ZHANG_GUIYING);
    let consent = row(&consents(&mut city, &key), "consent").to_owned();
    withdraw(&mut city, &key, &consent, 1).unwrap();
    let taken = |number: u128, call: &str| Entry::TicketTaken {
        visit: VisitId::from_entropy(1),
        service: "identity.consent-withdraw".into(),
        call: call.into(),
        ticket: TicketId::from_entropy(number),
    };
    let mut log = KioskLog::new(TestKiosk::One, 1);
    // The second is of a department: the platform keeps no tickets of those.
    for entry in [taken(1, "identity.withdraw-consent"), taken(2, "hall.number")] {
        log.append_entry(&entry);
    }
    records::send(&mut city, TestKiosk::One, &log.batch(0, 2)).unwrap();
    assert!(!city.page("/admin").1.contains("it is not in effect"));
    log.append_entry(&taken(3, "identity.withdraw-consent"));
    records::send(&mut city, TestKiosk::One, &log.batch(2, 3)).unwrap();
    let admin = city.page("/admin").1;
    assert!(
        admin.contains(&format!("act {}", TicketId::from_entropy(3)))
            && admin.contains("it is not in effect")
    );
}

#[test]
fn restore_that_undoes_a_withdrawal_is_an_incident() {
    let mut restorable = RestorableCity::with(city_setup);
    agree_on_phone(&mut restorable.city);
    restorable.back_up();
    let key = proven(&mut restorable.city, ZHANG_GUIYING);
    let consent = row(&consents(&mut restorable.city, &key), "consent").to_owned();
    withdraw(&mut restorable.city, &key, &consent, 1).unwrap();
    assert_eq!(facts(&mut restorable.city, 1)["state"], "declined");

    restorable.restore();
    // The database has the consent again. Nothing is disclosed before the kiosks' records are there.
    let body = json!({ "request": format!("{:032x}", 1), "facts": ["insured"] });
    let refused = relying_party_request(&mut restorable.city, "facts", "PHARMACY", PHARMACY, &body);
    assert_eq!(refused, Err(ProblemCode::Unavailable));
    let taken = Entry::TicketTaken {
        visit: VisitId::from_entropy(1),
        service: "identity.consent-withdraw".into(),
        call: "identity.withdraw-consent".into(),
        ticket: TicketId::from_entropy(1),
    };
    restorable.run_due_calls();
    restorable.send_log(TestKiosk::One, &[taken]);
    assert!(restorable.is_recovering(), "the incident is there before disclosures are");
    assert!(restorable.city.page("/admin").1.contains(&format!("act {}", TicketId::from_entropy(1))));
    // An act only takes away, and is done also now.
    let key = proven(&mut restorable.city, ZHANG_GUIYING);
    withdraw(&mut restorable.city, &key, &consent, 2).unwrap();
    for kiosk in [TestKiosk::Two, TestKiosk::Gate] {
        restorable.send_log(kiosk, &[]);
    }
    restorable.run_due_calls();
    assert!(!restorable.is_recovering());
    assert_eq!(facts(&mut restorable.city, 1)["state"], "declined");
}
