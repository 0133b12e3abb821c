//! Submissions: opened, checked, effective, and going on by themselves.

use serde_json::{Value, json};

use super::fixture::{DAY, Fixture, MINUTE, WANG, ZHANG, seal};

const FILE: &str = r#"
[[submission]]
operation = "lose-card"
required = { phone = { zh = "请填写手机号", en = "Please enter a phone number" } }
number = "渝人社受$year-$number(N)"
text = { zh = "已受理", en = "Received" }
once = { per = "year", zh = "您今年已经办理过", en = "You have already done this year" }
[[submission.then]]
after = "10m"
state = "working"
[[submission.then]]
after = "3d"
state = "done"
text = { zh = "请领取新卡", en = "Please fetch your card" }
[[submission.effect]]
set = "card"
values = { state = "挂失", phone = "$input.phone" }
where = { kind = "social" }
[[submission.effect]]
add = "matters"
values = { number = "$case", state = "$state", note = "$input.phone" }
[[submission.refuse]]
if = { operation = "card", field = "state", is = "注销" }
zh = "卡已注销"
en = "The card is cancelled"

[[submission]]
operation = "cancel"
number = "C"
[[submission.effect]]
remove = "card"
where = { kind = "library" }
[[submission.effect]]
set = "card"
values = { state = "注销" }

[[submission]]
operation = "reading"
number = "R"
[[submission.effect]]
raise = "meter"
field = "used"
by = "$input.tonnes"
[[submission.effect]]
raise = "meter"
field = "left"
by = "-$input.tonnes"

[[query]]
operation = "card"
fields = ["kind", "state", "phone"]
[[query.row]]
resident = "any"
values = { kind = "social", state = "正常", phone = "" }
[[query.row]]
resident = "zhang"
values = { kind = "library", state = "正常", phone = "" }

[[query]]
operation = "matters"
fields = ["number", "state", "note"]

[[query]]
operation = "meter"
fields = ["used", "left"]
[[query.row]]
when = { account = "1" }
values = { used = 10, left = 10 }
[[query.row]]
when = { account = "2" }
values = { used = 20, left = 20 }
"#;

fn none() -> Value {
    json!({})
}

fn phone() -> String {
    seal(&json!({ "phone": "138$name" }))
}

#[test]
fn second_visit_sees_what_the_first_changed() {
    let mut all = Fixture::new(FILE);
    let (status, answer) = all.submit(1, "lose-card", ZHANG, &phone());
    assert_eq!(
        (status, &answer["state"], &answer["text"]["en"]),
        (200, &json!("accepted"), &json!("Received"))
    );
    let number = answer["number"].as_str().unwrap();
    assert!(number.starts_with("渝人社受2026-N"), "{number}");
    assert_eq!(all.column("card", Some(ZHANG), &none(), "state"), ["挂失", "正常"]);
    assert_eq!(all.column("card", Some(ZHANG), &none(), "phone")[0], "138$name");
    assert_eq!(all.column("card", Some(WANG), &none(), "state"), ["正常"]);
    assert_eq!(all.column("matters", Some(ZHANG), &none(), "number"), [number]);
    assert_eq!(all.column("matters", Some(ZHANG), &none(), "note"), ["138$name"]);
    assert!(all.column("matters", Some(WANG), &none(), "number").is_empty());
}

#[test]
fn state_goes_on_with_time() {
    let mut all = Fixture::new(FILE);
    all.submit(1, "lose-card", ZHANG, &phone());
    for (later, state, words) in
        [(0, "accepted", "已受理"), (10 * MINUTE, "working", "办理中"), (3 * DAY, "done", "已办结")]
    {
        all.now_ms += later;
        assert_eq!(all.state(1).1["state"], state);
        assert_eq!(all.column("matters", Some(ZHANG), &none(), "state"), [words]);
    }
    assert_eq!(all.state(1).1["text"]["en"], "Please fetch your card");
    assert_eq!(all.state(2).0, 404);
}

#[test]
fn repeated_submission_is_one_and_other_content_a_conflict() {
    let mut all = Fixture::new(FILE);
    let sealed = phone();
    let first = all.submit(1, "lose-card", ZHANG, &sealed);
    assert_eq!(all.submit(1, "lose-card", ZHANG, &sealed), first);
    assert_eq!(all.submit(1, "lose-card", ZHANG, &phone()).0, 409);
    assert_eq!(all.submit(1, "lose-card", WANG, &sealed).0, 409);
    assert_eq!(all.submit(1, "cancel", ZHANG, &sealed).0, 409);
    assert_eq!(all.column("matters", Some(ZHANG), &none(), "number").len(), 1);
}

#[test]
fn submission_without_a_name_is_of_the_sealed_person() {
    let mut all = Fixture::new(FILE);
    let sealed =
        seal(&json!({ "phone": "138", "person.id-number": ZHANG, "person.name": "张桂英", "salt": "00" }));
    let unnamed = |all: &mut Fixture, submission: u32| {
        let body = json!({ "submission": super::fixture::id(submission), "operation": "lose-card", "sealed": sealed });
        all.send("POST", "/submissions", &body)
    };
    let first = unnamed(&mut all, 1);
    assert_eq!(first.0, 200);
    assert_eq!(all.column("card", Some(ZHANG), &none(), "state"), ["挂失", "正常"]);
    // A platform that knows the person again, and one that names another.
    assert_eq!(all.submit(1, "lose-card", ZHANG, &sealed), first);
    assert_eq!(all.submit(1, "lose-card", WANG, &sealed).0, 409);
    assert_eq!(all.submit(2, "lose-card", WANG, &sealed).0, 400);
}

#[test]
fn submission_twice_a_year_is_refused_and_possible_next_year() {
    let mut all = Fixture::new(FILE);
    assert_eq!(all.submit(1, "lose-card", ZHANG, &phone()).0, 200);
    let sealed = phone();
    let refused = all.submit(2, "lose-card", ZHANG, &sealed);
    assert_eq!((refused.0, &refused.1["refused"]["zh"]), (422, &json!("您今年已经办理过")));
    assert_eq!(all.submit(3, "lose-card", WANG, &phone()).0, 200);
    all.now_ms += 40 * DAY;
    assert_eq!(all.submit(2, "lose-card", ZHANG, &sealed), refused, "the same submission stays refused");
    assert_eq!(all.state(2).1["state"], "refused");
    assert_eq!(all.submit(4, "lose-card", ZHANG, &phone()).0, 200);
}

#[test]
fn submission_without_a_required_field_changes_nothing() {
    let mut all = Fixture::new(FILE);
    for (number, input) in (1..).zip([json!({}), json!({ "phone": " " }), json!({ "fax": "1" })]) {
        let (status, answer) = all.submit(number, "lose-card", ZHANG, &seal(&input));
        assert_eq!((status, &answer["refused"]["zh"]), (422, &json!("请填写手机号")));
    }
    assert_eq!(all.column("card", Some(ZHANG), &none(), "state"), ["正常", "正常"]);
    assert!(all.column("matters", Some(ZHANG), &none(), "number").is_empty());
}

#[test]
fn submission_that_does_not_open_is_400() {
    let mut all = Fixture::new(FILE);
    for sealed in ["00", "zz", &seal(&json!({ "phone": 5 })), &seal(&json!(["phone"]))] {
        assert_eq!(all.submit(1, "lose-card", ZHANG, sealed).0, 400);
    }
    assert_eq!(all.state(1).0, 404);
}

#[test]
fn refusal_follows_the_state_that_another_submission_set() {
    let mut all = Fixture::new(FILE);
    assert_eq!(all.submit(1, "cancel", ZHANG, "").0, 200);
    assert_eq!(all.column("card", Some(ZHANG), &none(), "state"), ["注销"]);
    let (status, answer) = all.submit(2, "lose-card", ZHANG, &phone());
    assert_eq!((status, &answer["refused"]["zh"]), (422, &json!("卡已注销")));
    assert_eq!(all.submit(3, "lose-card", WANG, &phone()).0, 200);
}

#[test]
fn row_of_an_input_changes_for_everybody_who_enters_it() {
    let mut all = Fixture::new(FILE);
    assert_eq!(all.submit(1, "reading", ZHANG, &seal(&json!({ "account": "1", "tonnes": "4" }))).0, 200);
    for (account, used, left) in [("1", "14", "6"), ("2", "20", "20")] {
        let input = json!({ "account": account });
        assert_eq!(all.column("meter", Some(WANG), &input, "used"), [used]);
        assert_eq!(all.column("meter", None, &input, "left"), [left]);
    }
}
