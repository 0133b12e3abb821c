//! `docs/department-api.json` describes what the platform really sends to departments, and what the sandbox's departments answer.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Bilingual, DepartmentKey, Entry, Level, SubmissionId, TicketId, VisitId, routes};
use serde_json::Value;
use server::{Peer, PeerCall, PlatformReply, PlatformSetup};
use zeroize::Zeroizing;

use crate::fixture::{CityFixture, DOCUMENTS, TestKiosk, ZHANG_GUIYING, call_request, setup};
use crate::publications::publication;
use crate::records::{KioskLog, send};

const DOCUMENT: &str = include_str!("../../../../docs/department-api.json");

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// What a reference leads to.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(path) => document.pointer(path.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{path}")),
        None => value,
    }
}

/// What is wrong with a value; only keywords that the document uses. Properties that are not in the document are wrong if `known_only`.
fn faults(document: &Value, schema: &Value, value: &Value, known_only: bool, at: &str) -> Vec<String> {
    let schema = resolve(document, schema);
    let mut found = Vec::new();
    for (keyword, rule) in schema.as_object().unwrap() {
        let is_right = match keyword.as_str() {
            "description" | "properties" | "items" | "additionalProperties" => true,
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "boolean" => value.is_boolean(),
                "null" => value.is_null(),
                other => panic!("type {other} is not checked"),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "required" => {
                rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "oneOf" => {
                let fits = |one: &&Value| faults(document, one, value, known_only, at).is_empty();
                rule.as_array().unwrap().iter().filter(fits).count() == 1
            }
            "minLength" => {
                value.as_str().is_some_and(|text| text.chars().count() as u64 >= rule.as_u64().unwrap())
            }
            "maxLength" => {
                value.as_str().is_some_and(|text| text.chars().count() as u64 <= rule.as_u64().unwrap())
            }
            "minItems" => value.as_array().is_some_and(|all| all.len() as u64 >= rule.as_u64().unwrap()),
            "maxItems" => value.as_array().is_some_and(|all| all.len() as u64 <= rule.as_u64().unwrap()),
            "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
            "pattern" => value.as_str().is_some_and(|text| matches_pattern(rule.as_str().unwrap(), text)),
            other => panic!("keyword {other} is not checked"),
        };
        if !is_right {
            found.push(format!("{at}: {keyword} {rule}"));
        }
    }
    for (name, part) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => found.extend(faults(document, schema, part, known_only, &at)),
            (None, Value::Object(_)) => {
                found.extend(faults(document, &schema["additionalProperties"], part, known_only, &at));
            }
            (None, further) if known_only || *further == Value::Bool(false) => {
                found.push(format!("{at}: not in the document"));
            }
            (None, _) => {}
        }
    }
    if let Some(items) = schema.get("items") {
        for (number, part) in value.as_array().into_iter().flatten().enumerate() {
            found.extend(faults(document, items, part, known_only, &format!("{at}/{number}")));
        }
    }
    found
}

/// The patterns of the document, each by hand: there is no parser of patterns here.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_hex = || bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match pattern {
        "^[0-9a-f]{32}$" => bytes.len() == 32 && is_hex(),
        "^[0-9a-f]{64}$" => bytes.len() == 64 && is_hex(),
        "^[0-9a-f]{128}$" => bytes.len() == 128 && is_hex(),
        "^[0-9a-fA-F]{128}$" => bytes.len() == 128 && bytes.iter().all(u8::is_ascii_hexdigit),
        "^([0-9a-f]{2})+$" => !bytes.is_empty() && bytes.len().is_multiple_of(2) && is_hex(),
        "^[0-9]+$" => !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit),
        "^[0-9]{17}[0-9X]$" => {
            bytes.len() == 18
                && bytes[..17].iter().all(u8::is_ascii_digit)
                && matches!(bytes[17], b'0'..=b'9' | b'X')
        }
        "^[a-z0-9.-]{1,64}$" => {
            (1..=64).contains(&bytes.len())
                && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
        }
        "^[A-Z0-9-]{1,16}$" => {
            (1..=16).contains(&bytes.len())
                && bytes.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'-'))
        }
        other => panic!("pattern {other} is not checked"),
    }
}

/// The platform's calls to departments, each compared with the document.
struct Compared {
    document: Value,
    city: CityFixture,
    seen: BTreeSet<(String, u16)>,
}

impl Compared {
    fn complete(&mut self, mut reply: PlatformReply) {
        while let PlatformReply::CallPeer(call) = reply {
            let answer = self.city.serve(&call);
            if matches!(call.peer, Peer::Department(_)) {
                self.compare(&call, &answer);
            }
            reply = self.city.resume(&call, Ok(answer));
        }
    }

    fn compare(&mut self, call: &PeerCall, answer: &server::PeerAnswer) {
        let document = &self.document;
        let path = if call.target.starts_with("/query/") { "/query/{operation}" } else { &call.target };
        let described = &document["paths"][path]["post"];
        assert!(described.is_object(), "{} is not in the document", call.target);
        let schema = &described["requestBody"]["content"]["application/json"]["schema"];
        let sent = serde_json::from_slice(&call.body).unwrap();
        let wrong = faults(document, schema, &sent, true, path);
        assert!(wrong.is_empty(), "request: {wrong:?}");

        let response = resolve(document, &described["responses"][answer.status.to_string()]);
        assert!(response.is_object(), "{path}: status {} is not in the document", answer.status);
        let content = &response["content"]["application/json"]["schema"];
        if content.is_object() {
            let body = serde_json::from_slice(&answer.body).unwrap();
            let wrong = faults(document, content, &body, false, path);
            assert!(wrong.is_empty(), "answer {}: {wrong:?}", answer.status);
        } else if answer.status == 204 {
            assert!(answer.body.is_empty(), "{path}");
        }
        let headers = call.headers.as_ref().unwrap();
        let given = [headers.device.to_string(), headers.time.clone(), headers.signature.to_string()];
        for (name, text) in ["Device", "Time", "Signature"].iter().zip(given) {
            let schema = &document["components"]["parameters"][name]["schema"];
            assert_eq!(faults(document, schema, &Value::String(text), true, name), Vec::<String>::new());
        }
        self.seen.insert((path.to_owned(), answer.status));
    }

    fn call(&mut self, service: &str, input: &[(&str, &str)], ticket: Option<TicketId>) {
        let key = self.city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).key.clone();
        let mut request = call_request(&key, service, service, None);
        if service == "water.pay" {
            request.operation = "water.bills".into();
        }
        request.input = input.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        request.ticket = ticket;
        let request = self.city.signed_post(TestKiosk::One, routes::CALLS.path, &request);
        let reply = self.city.handle(&request);
        self.complete(reply);
    }

    fn run_due(&mut self) {
        self.city.advance(3_600_000);
        for call in self.city.platform.due_calls(self.city.now) {
            self.complete(PlatformReply::CallPeer(call));
        }
    }
}

fn submitted(city: &mut CityFixture) {
    let resident = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING).resident;
    let name = Bilingual { zh: "社保".into(), en: "Social insurance".into() };
    let secret = contract::SecretKey::from_bytes(&contract::sm3(&[b"social-insurance"])).unwrap();
    let key = DepartmentKey { id: "social-insurance".parse().unwrap(), name, key: secret.public() };
    let text = |text: &str| Zeroizing::new(text.to_owned());
    let input =
        BTreeMap::from([("phone".to_owned(), text("13800000000")), ("residence".to_owned(), text("here"))]);
    let sealed = key.seal(None, &input, &Zeroizing::new([1; 32]));
    let mut log = KioskLog::new(TestKiosk::One, 1);
    log.append_entry(&Entry::Submitted {
        submission: SubmissionId::from_entropy(1),
        visit: VisitId::from_entropy(9),
        resident,
        service: "pension.certify".into(),
        version: 1,
        call: "unemployment.apply".into(),
        sealed: sealed.sealed,
        hash: sealed.hash,
        level: Level::Recognised,
        offline: false,
    });
    send(city, TestKiosk::One, &log.batch(0, 1)).unwrap();
}

#[test]
fn document_describes_what_is_sent_and_answered() {
    let mut documents: Vec<String> = DOCUMENTS.map(str::to_owned).into();
    documents.push(include_str!("../../../../assets/services/hall-number.toml").to_owned());
    let city = CityFixture::with(PlatformSetup { publication: publication(documents), ..setup() });
    let mut compared = Compared { document: document(), city, seen: BTreeSet::new() };
    compared.call("water.pay", &[], None);
    compared.call("medical.balance", &[], None);
    for (number, matter) in [(1, "pension"), (2, "estate")] {
        compared.call("hall.number", &[("matter", matter)], Some(TicketId::from_entropy(number)));
    }
    let charge = compared.city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
    compared.city.charge(TestKiosk::One, &charge).unwrap();
    submitted(&mut compared.city);
    compared.run_due();
    let seen: Vec<(&str, u16)> =
        compared.seen.iter().map(|(path, status)| (path.as_str(), *status)).collect();
    for expected in [("/query/{operation}", 200), ("/tickets", 200), ("/tickets", 422), ("/payments", 204)] {
        assert!(seen.contains(&expected), "{expected:?} was not seen: {seen:?}");
    }
    assert!(seen.iter().any(|(path, _)| *path == "/submissions"), "{seen:?}");
}

#[test]
fn examples_of_the_document_are_valid() {
    let document = document();
    let mut examples = 0;
    let bodies = document["paths"].as_object().unwrap().values().flat_map(|path| {
        let post = &path["post"];
        let answers = post["responses"].as_object().unwrap().values().map(|one| resolve(&document, one));
        std::iter::once(&post["requestBody"]).chain(answers)
    });
    for content in
        bodies.map(|body| &body["content"]["application/json"]).filter(|content| content.is_object())
    {
        examples += 1;
        let wrong = faults(&document, &content["schema"], &content["example"], true, "example");
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    assert!(examples >= 9, "{examples}");
}

#[test]
fn value_that_breaks_a_schema_is_found() {
    let document = document();
    let schema = &document["components"]["schemas"]["Payment"];
    let good =
        document["paths"]["/payments"]["post"]["requestBody"]["content"]["application/json"]["example"]
            .clone();
    assert!(faults(&document, schema, &good, true, "").is_empty());
    type Change = fn(&mut Value);
    let changes: [Change; 5] = [
        |value| value["order"] = "77".into(),
        |value| value["paid_ms"] = "1".into(),
        |value| value["bills"] = serde_json::json!([]),
        |value| value["bills"][0]["amount"] = 0.into(),
        |value| value["person"] = "Zhang".into(),
    ];
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(faults(&document, schema, &bad, true, "").len(), 1, "{bad}");
    }
}
