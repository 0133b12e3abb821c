//! Tickets: numbers, waiting times, appointments.

use serde_json::json;

use super::fixture::{DAY, Fixture, MINUTE, WANG, ZHANG};

const FILE: &str = r#"
[[ticket]]
operation = "number"
fields = ["number", "window", "ahead", "minutes"]
[[ticket.row]]
when = { matter = "pension" }
prefix = "A"
minutes = 6
values = { number = "$ticket", window = "2 号窗口", ahead = "$ahead", minutes = "$minutes" }
effect = [{ add = "mine", values = { what = "$ticket", on = "$today" } }]
[[ticket.row]]
when = { matter = "card" }
prefix = "B"
minutes = 3
values = { number = "$ticket", window = "3 号窗口", ahead = "$ahead", minutes = "$minutes" }
[[ticket.refuse]]
resident = "wang"
when = { matter = "card" }
zh = "请先补卡"
en = "Please replace your card first"

[[ticket]]
operation = "appointment"
fields = ["date", "place", "number"]
[[ticket.row]]
resident = "any"
values = { date = "$input.date", place = "政务大厅", number = "$number(Y)" }
effect = [{ add = "mine", values = { what = "$number(Y)", on = "$input.date" } }]

[[query]]
operation = "mine"
fields = ["what", "on"]

[[query]]
operation = "queues"
fields = ["name", "waiting"]
[[query.row]]
values = { name = "养老", waiting = "$waiting(A)" }
"#;

#[test]
fn numbers_count_by_prefix_and_day_with_waiting_time() {
    let mut all = Fixture::new(FILE);
    let matter = json!({ "matter": "pension" });
    let take = |all: &mut Fixture, ticket| {
        let row = all.ticket(ticket, "number", ZHANG, &matter).1["rows"][0].clone();
        ["number", "ahead", "minutes"].map(|field| row[field].as_str().unwrap().to_owned())
    };
    assert_eq!(take(&mut all, 1), ["A001", "0", "0"]);
    assert_eq!(take(&mut all, 2), ["A002", "1", "6"]);
    assert_eq!(take(&mut all, 3), ["A003", "2", "12"]);
    assert_eq!(all.ticket(9, "number", ZHANG, &json!({ "matter": "card" })).1["rows"][0]["number"], "B001");
    assert_eq!(all.column("queues", None, &json!({}), "waiting"), ["3"]);
    all.now_ms += 7 * MINUTE;
    assert_eq!(all.column("queues", None, &json!({}), "waiting"), ["2"]);
    assert_eq!(take(&mut all, 4), ["A004", "2", "12"]);
    all.now_ms += DAY;
    assert_eq!(take(&mut all, 5), ["A001", "0", "0"]);
}

#[test]
fn same_ticket_is_the_same_row_and_other_content_a_conflict() {
    let mut all = Fixture::new(FILE);
    let matter = json!({ "matter": "pension" });
    let first = all.ticket(1, "number", ZHANG, &matter);
    all.ticket(2, "number", ZHANG, &matter);
    all.now_ms += DAY;
    assert_eq!(all.ticket(1, "number", ZHANG, &matter), first);
    assert_eq!(all.ticket(1, "number", WANG, &matter).0, 409);
    assert_eq!(all.ticket(1, "number", ZHANG, &json!({ "matter": "card" })).0, 409);
    assert_eq!(all.column("mine", Some(ZHANG), &json!({}), "what"), ["A002", "A001"]);
}

#[test]
fn ticket_is_refused_by_person_and_by_input() {
    let mut all = Fixture::new(FILE);
    let (status, answer) = all.ticket(1, "number", WANG, &json!({ "matter": "card" }));
    assert_eq!((status, &answer["refused"]["zh"]), (422, &json!("请先补卡")));
    let (status, answer) = all.ticket(1, "number", WANG, &json!({ "matter": "other" }));
    assert!(status == 422 && answer["refused"]["en"].is_string());
    assert_eq!(all.ticket(1, "number", WANG, &json!({ "matter": "pension" })).0, 200);
}

#[test]
fn appointment_has_the_input_and_is_shown_to_its_person() {
    let mut all = Fixture::new(FILE);
    let row = all.ticket(1, "appointment", ZHANG, &json!({ "date": "2026-12-03" })).1["rows"][0].clone();
    assert_eq!((&row["date"], &row["place"]), (&json!("2026-12-03"), &json!("政务大厅")));
    assert_eq!(all.column("mine", Some(ZHANG), &json!({}), "what"), [row["number"].as_str().unwrap()]);
    assert_eq!(all.column("mine", Some(ZHANG), &json!({}), "on"), ["2026-12-03"]);
    assert!(all.column("mine", Some(WANG), &json!({}), "on").is_empty());
}
