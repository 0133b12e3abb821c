//! Operations of services: their answers, consents, and departments that do not respond.

use std::collections::BTreeSet;

use contract::{ChangesAnswer, ConsentId, FeedItem, ProblemCode, SecretKey, ServiceDocument, Step};
use contract::{HttpMethod, routes};
use rusqlite::Connection;
use server::{PeerAnswer, PeerUnreachable, Platform, PlatformReply, PlatformRequest, PlatformSetup};

use crate::fixture::{
    CityFixture, DOCUMENTS, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING, answer_or_problem, call_request, setup,
};
use crate::publications::{publication, published_as, sources};

#[test]
fn operation_answers_with_the_declared_fields() {
    let mut city = CityFixture::new();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    for text in DOCUMENTS {
        let document = ServiceDocument::parse(text).unwrap();
        let consent = Some(ConsentId::from_entropy(city.next_entropy()));
        for step in &document.steps {
            let Step::Query { call, answer, .. } = step else { continue };
            let rows = city.call(TestKiosk::One, &key, &document.id, call, consent).unwrap();
            assert!(!rows.is_empty(), "{call}");
            for row in rows {
                let declared: BTreeSet<_> = answer.keys().collect();
                assert_eq!(row.keys().collect::<BTreeSet<_>>(), declared, "{call}");
            }
        }
    }
}

#[test]
fn personal_record_needs_a_consent() {
    let mut city = CityFixture::new();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let without = city.call(TestKiosk::One, &key, "insurance.proof", "insurance.proof", None);
    assert_eq!(without, Err(ProblemCode::ConsentMissing));
}

#[test]
fn consent_is_bound_to_its_resident_and_gives_one_proof() {
    let mut city = CityFixture::new();
    let consent = Some(ConsentId::from_entropy(77));
    let zhang = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let wang = city.visit_by_card(TestKiosk::One, WANG_JIANGUO).key.clone();
    let first = city.call(TestKiosk::One, &zhang, "insurance.proof", "insurance.proof", consent).unwrap();
    assert_eq!(first[0]["issued"], "2026-11-24");
    let again = city.call(TestKiosk::One, &zhang, "insurance.proof", "insurance.proof", consent).unwrap();
    assert_eq!(again, first);
    let other = city.call(TestKiosk::One, &wang, "insurance.proof", "insurance.proof", consent);
    assert_eq!(other, Err(ProblemCode::ConsentMissing));
}

#[test]
fn e_certificate_needs_consent_and_is_masked() {
    let document = include_str!("../../../../assets/services/senior-card.toml");
    let documents = DOCUMENTS.into_iter().chain([document]).map(str::to_owned);
    let mut city = CityFixture::with(PlatformSetup { publication: publication(documents), ..setup() });
    let ask = |city: &mut CityFixture, person, consent: Option<u128>| {
        let key = city.visit_by_card(TestKiosk::One, person).key.clone();
        let consent = consent.map(ConsentId::from_entropy);
        city.call(TestKiosk::One, &key, "senior.card", "licence.senior-card", consent)
    };
    assert_eq!(ask(&mut city, ZHANG_GUIYING, None), Err(ProblemCode::ConsentMissing));
    let rows = ask(&mut city, ZHANG_GUIYING, Some(77)).unwrap();
    let declared = ["as-of", "id-number", "issuer", "name", "standing", "validity", "watermark"];
    assert_eq!(rows[0].keys().collect::<Vec<_>>(), declared);
    assert_eq!((rows[0]["name"].as_str(), rows[0]["id-number"].as_str()), ("张*英", "5001**********0422"));
    assert_eq!((rows[0]["standing"].as_str(), rows[0]["as-of"].as_str()), ("有效", "2026-11-24"));
    assert!(rows[0]["watermark"].starts_with("仅用于：查看您的电子老年人优待证；"), "{:?}", rows[0]);
    assert_eq!(ask(&mut city, WANG_JIANGUO, Some(78)), Ok(vec![]), "he is not sixty");
}

#[test]
fn operation_needs_a_service_offered_at_the_kiosk() {
    let mut city = CityFixture::new();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    for (service, operation) in
        [("medical.balance", "water.bills"), ("no.such", "medical.balance"), ("medical.balance", "no.such")]
    {
        let refused = city.call(TestKiosk::One, &key, service, operation, None);
        assert_eq!(refused, Err(ProblemCode::NotOffered), "{service} {operation}");
    }
    let gate = city.visit_by_card(TestKiosk::Gate, ZHANG_GUIYING).key.clone();
    let refused = city.call(TestKiosk::Gate, &gate, "medical.balance", "medical.balance", None);
    assert_eq!(refused, Err(ProblemCode::NotOffered));
}

#[test]
fn service_above_the_level_of_the_visit_is_refused() {
    let documents = DOCUMENTS.map(|text| text.replace("level = \"recognised\"", "level = \"proven\""));
    let mut city = CityFixture::with(PlatformSetup { publication: publication(documents), ..setup() });
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let refused = city.call(TestKiosk::One, &key, "medical.balance", "medical.balance", None);
    assert_eq!(refused, Err(ProblemCode::LevelTooLow));
}

#[test]
fn department_without_valid_response_is_unavailable() {
    let mut city = CityFixture::new();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let request = call_request(&key, "water.pay", "water.bills", None);
    let answer = |status, body: &str| Ok(PeerAnswer::unsigned(status, body.into()));
    let negative = r#"[{"key":"w","address":"","period":"","usage":"","amount":-1,"payee":""}]"#;
    for result in [
        Err(PeerUnreachable),
        answer(500, "[]"),
        answer(200, "<html>"),
        answer(200, "{}"),
        answer(200, negative),
    ] {
        let request = city.signed_post(TestKiosk::One, routes::CALLS.path, &request);
        let PlatformReply::CallPeer(call) = city.handle(&request) else {
            panic!("the department must be asked")
        };
        let PlatformReply::Answer(response) = city.resume(&call, result) else { panic!("it was asked once") };
        assert_eq!(answer_or_problem::<serde_json::Value>(&response), Err(ProblemCode::Unavailable));
    }
    assert_eq!(city.bills(TestKiosk::One, &key).len(), 3);
}

#[test]
fn id_number_is_sent_in_the_body_not_in_the_path() {
    let mut city = CityFixture::new();
    let identified = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING);
    let request = call_request(&identified.key, "water.pay", "water.bills", None);
    let request = city.signed_post(TestKiosk::One, routes::CALLS.path, &request);
    let PlatformReply::CallPeer(call) = city.handle(&request) else { panic!("the department must be asked") };
    assert!(!call.target.contains(&identified.id_number));
    assert!(String::from_utf8(call.body).unwrap().contains(&identified.id_number));
}

fn changes(platform: &mut Platform, since: u64) -> Result<ChangesAnswer, ProblemCode> {
    let target = routes::changes_target(since, None);
    let now = contract::UnixMs(1);
    let request =
        PlatformRequest::signed(HttpMethod::Get, target, Vec::new(), "K-1", &TestKiosk::One.key(), now);
    let PlatformReply::Answer(response) = platform.handle(&request, now, 1) else {
        panic!("nobody is asked")
    };
    answer_or_problem(&response)
}

fn ids(answer: &ChangesAnswer) -> Vec<String> {
    let id = |item: &FeedItem| match item {
        FeedItem::Service { document } => ServiceDocument::parse(&document.text).unwrap().id,
        FeedItem::ServiceWithdrawn { id } => format!("-{id}"),
        FeedItem::DepartmentKeys { .. } => "departments".to_owned(),
        FeedItem::IssuerKeys { .. } | FeedItem::Revocations { .. } | FeedItem::CardRevocations { .. } => {
            "codes".to_owned()
        }
    };
    answer.items.iter().map(id).collect()
}

#[test]
fn feed_has_signed_documents_changes_and_withdrawals() {
    let path = "file:feed?mode=memory&cache=shared";
    let _keeps_the_database = Connection::open(path).unwrap();
    let open = |number, documents: &[String]| {
        let publication = published_as(number, sources(documents.iter().cloned()));
        let setup = PlatformSetup { publication, ..setup() };
        Platform::open(Connection::open(path).unwrap(), setup).unwrap()
    };
    let [proof, balance, water] = DOCUMENTS.map(str::to_owned);

    let all = changes(&mut open(1, &[proof.clone(), balance.clone(), water.clone()]), 0).unwrap();
    assert_eq!(ids(&all), ["insurance.proof", "medical.balance", "water.pay", "departments"]);
    let public = SecretKey::from_bytes(&[9; 32]).unwrap().public();
    for item in &all.items {
        match item {
            FeedItem::Service { document } => assert_eq!(document.verify(&public), Ok(())),
            FeedItem::DepartmentKeys { list } => {
                let keys = list.open(&public).unwrap();
                assert!(keys.departments.iter().any(|department| department.id.to_string() == "water"));
            }
            FeedItem::ServiceWithdrawn { .. }
            | FeedItem::IssuerKeys { .. }
            | FeedItem::Revocations { .. }
            | FeedItem::CardRevocations { .. } => panic!("nothing is withdrawn, and there are no codes"),
        }
    }

    let same = changes(&mut open(1, &[proof.clone(), balance.clone(), water.clone()]), all.cursor).unwrap();
    assert_eq!((ids(&same), same.cursor), (vec![], all.cursor));

    let newer = water.replace("version = 1", "version = 2");
    let mut changed = open(2, &[proof, newer]);
    let changed_items = changes(&mut changed, all.cursor).unwrap();
    assert_eq!(ids(&changed_items), ["water.pay", "-medical.balance"]);
    assert_eq!(ids(&changes(&mut changed, 0).unwrap()).len(), 4);
    // A cursor that is ahead because the platform was restored from a backup.
    assert_eq!(ids(&changes(&mut changed, changed_items.cursor + 9).unwrap()).len(), 4);
}

#[test]
fn publication_is_taken_while_the_platform_runs() {
    let [proof, balance, water] = DOCUMENTS.map(str::to_owned);
    let mut city = CityFixture::with(PlatformSetup {
        publication: publication([proof.clone(), balance.clone()]),
        ..setup()
    });
    let before = changes(&mut city.platform, 0).unwrap();
    let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
    let bills = |city: &mut CityFixture| city.call(TestKiosk::One, &key, "water.pay", "water.bills", None);
    assert_eq!(bills(&mut city), Err(ProblemCode::NotOffered));

    city.platform.publish(published_as(2, sources([proof, water]))).unwrap();
    assert!(!bills(&mut city).unwrap().is_empty());
    let refused = city.call(TestKiosk::One, &key, "medical.balance", "medical.balance", None);
    assert_eq!(refused, Err(ProblemCode::NotOffered));
    assert_eq!(ids(&changes(&mut city.platform, before.cursor).unwrap()), ["water.pay", "-medical.balance"]);
}

#[test]
fn publication_that_does_not_follow_leaves_the_one_before() {
    let [proof, balance, water] = DOCUMENTS.map(str::to_owned);
    let all = [proof.clone(), balance.clone(), water.clone()];
    let path = "file:published?mode=memory&cache=shared";
    let _keeps_the_database = Connection::open(path).unwrap();
    let open = |publication| {
        Platform::open(Connection::open(path).unwrap(), PlatformSetup { publication, ..setup() })
    };
    let mut platform = open(published_as(5, sources(all.clone()))).unwrap();
    let before = changes(&mut platform, 0).unwrap();
    let changed = [proof, balance, water.replace("水费", "自来水费")];
    assert_ne!(changed, all);
    for (publication, expected) in [
        (published_as(4, sources(all.clone())), "older than 5"),
        (published_as(5, sources(all[..2].iter().cloned())), "with other content"),
        (published_as(6, sources(changed)), "`water.pay` was changed, but its version is still 1"),
    ] {
        let error = platform.publish(publication.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let Err(at_start) = open(publication) else { panic!("{expected}: the platform was started") };
        let cause = std::error::Error::source(&at_start).unwrap().to_string();
        assert!(cause.contains(expected), "{cause}");
        let after = changes(&mut platform, before.cursor).unwrap();
        assert_eq!((after.items.len(), after.cursor), (0, before.cursor));
    }
    drop(open(published_as(5, sources(all))).unwrap());
}

#[test]
fn service_of_other_sites_or_of_tomorrow_is_not_offered() {
    for (head, expected) in [
        ("sites = [\"K-1\"]", None),
        ("sites = [\"K-2\"]", Some(ProblemCode::NotOffered)),
        ("from = \"2026-11-24\"", None),
        ("from = \"2026-11-25\"", Some(ProblemCode::NotOffered)),
    ] {
        let document = DOCUMENTS[1].replacen("\nscene = ", &format!("\n{head}\nscene = "), 1);
        let mut city = CityFixture::with(PlatformSetup { publication: publication([document]), ..setup() });
        let key = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
        let answer = city.call(TestKiosk::One, &key, "medical.balance", "medical.balance", None);
        assert_eq!(answer.err(), expected, "{head}");
    }
}
