//! The card-holder base: cards issued, reported lost and restored, codes that follow the card, import of tables.

use std::collections::BTreeSet;

use contract::{
    CardName, Evidence, HexBytes, IdentifyRequest, Level, PresentedCredential, ProblemCode, VisitId,
};
use contract::{HttpMethod, routes};
use serde_json::{Value, json};
use server::{
    CardRootKeys, PeerAnswer, PeerUnreachable, PlatformReply, PlatformRequest, PlatformSetup, RelyingParty,
};

use crate::codes::{TestPhone, authority, identify, secret};
use crate::feed::FeedReader;
use crate::fixture::{
    CityFixture, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING, answer_or_problem, card_evidence, setup,
};

const DESK_KEY: u8 = 0x71;

pub(crate) fn city() -> CityFixture {
    city_with(None)
}

fn city_with(cards: Option<CardRootKeys>) -> CityFixture {
    let desk = |id: &str, key, cards| RelyingParty {
        id: id.parse().unwrap(),
        key: secret(key).public(),
        name: "制卡中心".into(),
        purposes: Default::default(),
        capability: "identify".into(),
        per_minute: 1,
        cards,
        facts: Default::default(),
        licences: Default::default(),
        consent_days: 0,
    };
    let clients = vec![desk("DESK", DESK_KEY, true), desk("LIBRARY", 0x72, false)];
    CityFixture::with(PlatformSetup {
        code_authority: Some(authority()),
        relying_parties: clients,
        card_root_keys: cards,
        ..setup()
    })
}

fn request(city: &CityFixture, id: &str, key: u8, name: &str, body: Vec<u8>) -> PlatformRequest {
    PlatformRequest::signed(HttpMethod::Post, format!("/base/v1/{name}"), body, id, &secret(key), city.now)
}

pub(crate) fn service_desk_request(
    city: &mut CityFixture,
    name: &str,
    body: &Value,
) -> Result<Value, ProblemCode> {
    let request = request(city, "DESK", DESK_KEY, name, body.to_string().into_bytes());
    let reply = city.handle(&request);
    answer_or_problem(&city.complete(reply))
}

/// Status and body of the trusted identity service's answer, or no answer.
type IdentityAnswer = Result<(u16, Value), PeerUnreachable>;

fn issue(city: &mut CityFixture, body: &Value, answer: IdentityAnswer) -> Result<Value, ProblemCode> {
    with_identity(city, "issue", body, "/names", answer)
}

/// Sends a request for which the platform first calls the trusted identity service at `target`.
fn with_identity(
    city: &mut CityFixture,
    name: &str,
    body: &Value,
    target: &str,
    answer: IdentityAnswer,
) -> Result<Value, ProblemCode> {
    let request = request(city, "DESK", DESK_KEY, name, body.to_string().into_bytes());
    let reply = match city.handle(&request) {
        PlatformReply::CallPeer(call) => {
            assert_eq!(call.target, target);
            let answer =
                answer.map(|(status, body)| PeerAnswer::unsigned(status, body.to_string().into_bytes()));
            city.resume(&call, answer)
        }
        done @ PlatformReply::Answer(_) => done,
    };
    answer_or_problem(&city.complete(reply))
}

fn by_card(city: &mut CityFixture, number: &str) -> Option<ProblemCode> {
    let visit = VisitId::from_entropy(city.next_entropy());
    let mut evidence = card_evidence(ZHANG_GUIYING);
    if evidence.number != number {
        evidence.number = number.into();
        evidence.identification = "AB".repeat(16);
    }
    city.request::<_, Value>(
        TestKiosk::One,
        routes::IDENTIFY.path,
        &IdentifyRequest { visit, presented: PresentedCredential::Card(evidence) },
    )
    .err()
}

fn new_card(number: &str) -> Value {
    json!({ "number": number, "identification": "AB".repeat(16), "version": "2.00" })
}

const OLD: &str = "A10000013";

#[test]
fn card_issue_checks_the_name_and_needs_activation() {
    let mut city = city();
    let person = json!({ "name": "赵六", "id_number": "11010519491231002X", "card": new_card("B20000001") });
    assert_eq!(
        issue(&mut city, &person, Ok((200, json!({ "match": false })))),
        Err(ProblemCode::CardMismatch)
    );
    for none in [Err(PeerUnreachable), Ok((500, json!({}))), Ok((200, json!({})))] {
        assert_eq!(issue(&mut city, &person, none), Err(ProblemCode::Unavailable));
    }
    assert_eq!(
        service_desk_request(&mut city, "activate", &json!({ "number": "B20000001" })),
        Err(ProblemCode::CardUnknown)
    );
    let yes = || Ok((200, json!({ "match": true })));
    assert!(issue(&mut city, &person, yes()).is_ok());
    assert!(issue(&mut city, &person, yes()).is_ok());
    let mut bad = person.clone();
    bad["id_number"] = "110105194912310021".into();
    assert_eq!(issue(&mut city, &bad, yes()), Err(ProblemCode::Malformed));
    let other = json!({ "name": "赵柳", "id_number": "11010519491231002X", "card": new_card("B20000002") });
    assert_eq!(issue(&mut city, &other, yes()), Err(ProblemCode::CardMismatch));
    assert_eq!(
        service_desk_request(&mut city, "restore", &json!({ "number": "B20000001" })),
        Err(ProblemCode::CardStopped)
    );
    assert!(service_desk_request(&mut city, "activate", &json!({ "number": "B20000001" })).is_ok());
}

#[test]
fn lost_card_revokes_codes_until_it_is_restored() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let certificate = phone.certificate(&mut city);
    service_desk_request(&mut city, "lose", &json!({ "number": OLD })).unwrap();
    assert_eq!(by_card(&mut city, OLD), Some(ProblemCode::CardStopped));
    let code = phone.show(&mut city, &certificate).to_text();
    assert_eq!(identify(&mut city, TestKiosk::One, &code).err(), Some(ProblemCode::CodeRevoked));
    assert_eq!(phone.certificate_problem(&mut city), "card-not-in-force");

    service_desk_request(&mut city, "restore", &json!({ "number": OLD })).unwrap();
    assert_eq!(by_card(&mut city, OLD), None);
    // The old certificate stays revoked; the phone, still bound, has a new one.
    assert!(!phone.is_accepted(&mut city, &certificate));
    let certificate = phone.certificate(&mut city);
    assert!(phone.is_accepted(&mut city, &certificate));
    let code = phone.show(&mut city, &certificate).to_text();
    assert!(identify(&mut city, TestKiosk::One, &code).is_ok());
}

#[test]
fn reissued_card_replaces_the_old_one_once_activated() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let both = json!({ "number": OLD, "card": new_card("A10000999") });
    for _ in 0..2 {
        service_desk_request(&mut city, "reissue", &both).unwrap();
        assert_eq!(by_card(&mut city, OLD), Some(ProblemCode::CardStopped));
        assert_eq!(by_card(&mut city, "A10000999"), Some(ProblemCode::CardStopped));
    }
    assert_eq!(phone.certificate_problem(&mut city), "card-not-in-force");
    for _ in 0..2 {
        service_desk_request(&mut city, "activate", &json!({ "number": "A10000999" })).unwrap();
    }
    assert_eq!(by_card(&mut city, "A10000999"), None);
    phone.certificate(&mut city);
    for step in ["activate", "lose", "restore"] {
        assert_eq!(
            service_desk_request(&mut city, step, &json!({ "number": OLD })),
            Err(ProblemCode::CardStopped),
            "{step}"
        );
    }
}

#[test]
fn card_revocations_reach_kiosks_at_once() {
    let mut city = city();
    let number = card_evidence(WANG_JIANGUO).number.clone();
    let (old, new) = (
        card_evidence(WANG_JIANGUO).card_name().unwrap(),
        CardName::from_identification(&HexBytes([0xAB; 16])),
    );
    let mut kiosk = FeedReader::default();
    let mut stopped = |city: &mut CityFixture| {
        kiosk.read(city);
        // A kiosk that starts to read the feed now gets the same list.
        let mut fresh = FeedReader::default();
        fresh.read(city);
        let now = city.now;
        let mut both = [&kiosk, &fresh].map(|reader| {
            assert!(reader.cards.expires > now.plus_ms(70 * 60 * 60 * 1000));
            let live = reader.cards.names.iter().filter(|(_, ends)| **ends > now);
            live.map(|(card, _)| *card).collect::<BTreeSet<CardName>>()
        });
        assert_eq!(both[0], both[1]);
        std::mem::take(&mut both[0])
    };
    let before = stopped(&mut city);
    assert!(!before.contains(&old));
    for _ in 0..2 {
        service_desk_request(&mut city, "lose", &json!({ "number": number })).unwrap();
        assert!(stopped(&mut city).contains(&old));
    }
    service_desk_request(&mut city, "restore", &json!({ "number": number })).unwrap();
    assert_eq!(stopped(&mut city), before);
    let third = json!({ "number": "A10000999", "identification": "ab".repeat(16), "version": "3.00" });
    service_desk_request(&mut city, "reissue", &json!({ "number": number, "card": third })).unwrap();
    assert!([old, new].iter().all(|card| stopped(&mut city).contains(card)), "it is not activated yet");
    service_desk_request(&mut city, "activate", &json!({ "number": "A10000999" })).unwrap();
    assert!(!stopped(&mut city).contains(&new));
    // The revocation lasts for years; the list holds each card once, however often it was lost and restored.
    for _ in 0..8 {
        city.advance(365 * 24 * 60 * 60 * 1000);
        assert!(stopped(&mut city).contains(&old));
    }
}

#[test]
fn card_without_authentication_is_on_no_revocation_list() {
    let mut city = city();
    let (yes, card) = (Ok((200, json!({ "match": true }))), new_card("B20000001"));
    let person = json!({ "name": "赵六", "id_number": "11010519491231002X", "card": card });
    issue(&mut city, &person, yes).unwrap();
    let mut kiosk = FeedReader::default();
    kiosk.read(&mut city);
    assert!(!kiosk.cards.names.contains_key(&CardName::from_identification(&HexBytes([0xAB; 16]))));
}

/// A service desk asks to reset a card's PIN; `answer` is the identity service's answer about the ticket.
fn reset_pin(
    city: &mut CityFixture,
    (number, identification): (&str, &str),
    answer: IdentityAnswer,
) -> Result<Value, ProblemCode> {
    let body = json!({
        "number": number,
        "ticket": "t",
        "card": {
            "area": identification.get(..6), "identification": identification, "version": "3.00", "algorithm": 3,
            "atr_history": "", "challenge": "01".repeat(8), "internal_factor": "02".repeat(8),
            "internal_source": "03".repeat(8), "external_factor": "04".repeat(8),
        },
    });
    with_identity(city, "pin-reset", &body, "/tickets/redeem", answer)
}

#[test]
fn pin_reset_needs_in_person_check_of_the_holder() {
    let mut city = city_with(Some(CardRootKeys::new(&[7; 32])));
    let own = card_evidence(ZHANG_GUIYING);
    let its = (own.number.as_str(), own.identification.as_str());
    let seen = |name: &str, id_number: &str, assurance: &str| {
        Ok((200, json!({ "assurance": assurance, "name": name, "id_number": id_number })))
    };
    let holder = || seen("张桂英", "500112194803150422", "in-person");

    let opens = reset_pin(&mut city, its, holder()).unwrap();
    let external = opens["external"].as_str().unwrap();
    assert!(external.len() == 32 && external.ends_with(&"04".repeat(8)), "a cryptogram and its factor");

    let no = ProblemCode::CardMismatch;
    assert_eq!(reset_pin(&mut city, its, seen("王建国", "500103197510023312", "in-person")), Err(no));
    assert_eq!(
        reset_pin(&mut city, (its.0, &"AB".repeat(16)), holder()),
        Err(no),
        "another card in the reader"
    );
    let no = ProblemCode::LevelTooLow;
    assert_eq!(reset_pin(&mut city, its, seen("张桂英", "500112194803150422", "names")), Err(no));
    assert_eq!(reset_pin(&mut city, its, Ok((410, json!({})))), Err(no), "the ticket was used");
    assert_eq!(reset_pin(&mut city, its, Err(PeerUnreachable)), Err(ProblemCode::Unavailable));
    let lost = json!({ "number": its.0 });
    service_desk_request(&mut city, "lose", &lost).unwrap();
    assert_eq!(reset_pin(&mut city, its, holder()), Err(ProblemCode::CardStopped));
}

#[test]
fn card_base_refuses_all_but_service_desks() {
    let mut city = city();
    for (id, key, expected) in
        [("LIBRARY", 0x72, ProblemCode::NotOffered), ("DESK", 0x72, ProblemCode::DeviceUnknown)]
    {
        let request = request(&city, id, key, "lose", json!({ "number": OLD }).to_string().into_bytes());
        let reply = city.handle(&request);
        assert_eq!(answer_or_problem::<Value>(&city.complete(reply)), Err(expected));
    }
    assert_eq!(by_card(&mut city, OLD), None);
}

#[test]
fn import_reports_bad_rows_by_line_without_their_data() {
    let mut city = city();
    let id = "ab".repeat(16);
    let table = format!(
        "姓名,身份证号,卡号,卡识别码,版本\r\n\
         赵六,11010519491231002x,C1,{id},3.00\r\n\
         \r\n\
         钱七,110105194912310021,C2,{id},3.00\r\n\
         孙八,500103197510023312,C3,{id},3.00\r\n\
         李九,110105194912310038,C1,{id},3.00\r\n\
         ,110105194912310038,C4,{id},3.00\r\n\
         周十,11010519491231002X,C5,{id}\r\n\
         王建国,500103197510023312,C6,{id},9.00\r\n\
         王建国,500103197510023312,C7,{id},3.00\r\n"
    );
    let mut send = |bytes: Vec<u8>| -> Value {
        let request = request(&city, "DESK", DESK_KEY, "import", bytes);
        let reply = city.handle(&request);
        answer_or_problem(&city.complete(reply)).unwrap()
    };
    let report = send(table.clone().into_bytes());
    let bad: Vec<(u64, &str)> = report["bad"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bad| (bad["line"].as_u64().unwrap(), bad["why"].as_str().unwrap()))
        .collect();
    assert_eq!(
        bad,
        [
            (4, "id-number"),
            (5, "other-name"),
            (6, "twice"),
            (7, "name"),
            (8, "fields"),
            (9, "card"),
            (10, "twice"),
        ]
    );
    assert_eq!((report["entered"].as_u64(), report["known"].as_u64()), (Some(1), Some(0)));
    for person in ["赵六", "钱七", "11010519491231002", "C1"] {
        assert!(!report.to_string().contains(person));
    }
    // The same table in GB 18030, as older office programs save it, changes nothing.
    let report = send(encoding_rs::GB18030.encode(&table).0.into_owned());
    assert_eq!((report["entered"].as_u64(), report["known"].as_u64()), (Some(0), Some(1)));
    let second = send(format!("王建国,500103197510023312,C7,{id},3.00\n").into_bytes());
    assert_eq!(second["bad"][0]["why"], "second-card");
}

#[test]
fn paper_code_is_reusable_until_lost_or_replaced() {
    let mut city = city();
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let certificate = phone.certificate(&mut city);
    let of_card = json!({ "number": OLD });
    let print = |city: &mut CityFixture| {
        service_desk_request(city, "paper-code", &of_card).unwrap()["text"].as_str().unwrap().to_owned()
    };
    let first = print(&mut city);
    for kiosk in [TestKiosk::One, TestKiosk::One, TestKiosk::Two] {
        let holder = identify(&mut city, kiosk, &first).unwrap();
        assert_eq!((holder.evidence, holder.level), (Evidence::PaperCode, Level::Recognised));
    }
    let second = print(&mut city);
    assert_eq!(identify(&mut city, TestKiosk::One, &first).err(), Some(ProblemCode::CodeRevoked));
    assert!(identify(&mut city, TestKiosk::One, &second).is_ok());
    service_desk_request(&mut city, "paper-lost", &of_card).unwrap();
    assert_eq!(identify(&mut city, TestKiosk::One, &second).err(), Some(ProblemCode::CodeRevoked));
    // The phone is another credential medium.
    let code = phone.show(&mut city, &certificate).to_text();
    assert!(identify(&mut city, TestKiosk::One, &code).is_ok());
    let third = print(&mut city);
    phone.report_lost(&mut city);
    assert!(identify(&mut city, TestKiosk::One, &third).is_ok());
    service_desk_request(&mut city, "lose", &of_card).unwrap();
    assert_eq!(identify(&mut city, TestKiosk::One, &third).err(), Some(ProblemCode::CodeRevoked));
    assert_eq!(service_desk_request(&mut city, "paper-code", &of_card), Err(ProblemCode::CardStopped));
    service_desk_request(&mut city, "restore", &of_card).unwrap();
    let fourth = print(&mut city);
    city.advance(60 * 24 * 60 * 60 * 1000 + 15_000);
    assert_eq!(identify(&mut city, TestKiosk::One, &fourth).err(), Some(ProblemCode::CodeExpired));
    // No issuer key is valid for another sixty days, so no paper code is issued that would be refused before its end.
    assert_eq!(service_desk_request(&mut city, "paper-code", &of_card), Err(ProblemCode::NotOffered));
}
