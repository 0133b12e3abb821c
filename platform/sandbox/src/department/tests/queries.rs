//! Queries: whose rows, to which input, with which values.

use rusqlite::Connection;
use serde_json::json;

use super::fixture::{Fixture, WANG, ZHANG};

const FILE: &str = r#"
[[query]]
operation = "d.rows"
fields = ["text", "number"]
[[query.row]]
resident = "zhang"
values = { text = "her", number = 5 }
[[query.row]]
resident = "any"
values = { text = "$name $today", number = 6 }
[[query.row]]
values = { text = "all", number = "$number(N)" }
[[query.row]]
when = { account = "1", month = "10" }
values = { text = "account $input.account", number = 7 }
[[query.refuse]]
resident = "wang"
when = { account = "9" }
zh = "请到柜台"
en = "Please ask at the desk"
[[query.next]]
when = { account = "1" }
service = "d.pay"
[[query.refuse]]
when = { account = "8" }
if = { operation = "d.rows", field = "text", is = "her" }
zh = "不能"
en = "Not possible"
"#;

#[test]
fn rows_are_of_the_person_of_anybody_and_of_nobody() {
    let mut all = Fixture::new(FILE);
    let none = json!({});
    assert_eq!(all.column("d.rows", Some(ZHANG), &none, "text"), ["her", "张桂英 2026-11-30", "all"]);
    assert_eq!(all.column("d.rows", Some(WANG), &none, "text"), ["王建国 2026-11-30", "all"]);
    assert_eq!(all.column("d.rows", Some("unknown"), &none, "text").len(), 2);
    assert_eq!(all.column("d.rows", None, &none, "text"), ["all"]);
    assert_eq!(all.column("d.rows", Some(ZHANG), &none, "number")[..2], ["5", "6"]);
}

#[test]
fn rows_with_input_need_each_of_its_fields() {
    let mut all = Fixture::new(FILE);
    for (input, rows) in [
        (json!({ "account": "1", "month": "10" }), 2),
        (json!({ "account": "1", "month": "11" }), 1),
        (json!({ "account": "1" }), 1),
        (json!({ "account": "2", "month": "10" }), 1),
    ] {
        assert_eq!(all.column("d.rows", None, &input, "text").len(), rows, "{input}");
    }
    let input = json!({ "account": "1", "month": "10" });
    assert_eq!(all.column("d.rows", None, &input, "text")[1], "account 1");
}

#[test]
fn fresh_number_is_the_same_for_a_repeated_request() {
    let mut all = Fixture::new(FILE);
    let body = json!({ "request": "0".repeat(32) });
    let first = all.send("POST", "/query/d.rows", &body);
    assert_eq!(all.send("POST", "/query/d.rows", &body), first);
    let other = all.send("POST", "/query/d.rows", &json!({ "request": "1".repeat(32) }));
    assert_ne!(other, first);
}

#[test]
fn next_and_refusal_are_for_their_person_and_input() {
    let mut all = Fixture::new(FILE);
    assert_eq!(all.query("d.rows", None, &json!({ "account": "1" })).1["next"], "d.pay");
    assert!(all.query("d.rows", None, &json!({})).1.get("next").is_none());
    let refused = json!({ "refused": { "zh": "请到柜台", "en": "Please ask at the desk" } });
    assert_eq!(all.query("d.rows", Some(WANG), &json!({ "account": "9" })), (422, refused));
    assert_eq!(all.query("d.rows", Some(ZHANG), &json!({ "account": "9" })).0, 200);
}

#[test]
fn refusal_with_if_needs_the_row() {
    let mut all = Fixture::new(FILE);
    assert_eq!(all.query("d.rows", Some(ZHANG), &json!({ "account": "8" })).0, 422);
    assert_eq!(all.query("d.rows", Some(WANG), &json!({ "account": "8" })).0, 200);
}

#[test]
fn entered_derived_value_is_not_evaluated() {
    let mut all = Fixture::new(
        "[[query]]\noperation = \"q\"\nfields = [\"a\"]\n[[query.row]]\nvalues = { a = \"$input.a\" }",
    );
    assert_eq!(all.column("q", Some(ZHANG), &json!({ "a": "$id_number" }), "a"), ["$id_number"]);
}

#[test]
fn changed_file_replaces_only_the_rows_that_changed() {
    const BALANCES: &str = r#"
        [[query]]
        operation = "balance"
        fields = ["of", "fen"]
        [[query.row]]
        resident = "zhang"
        values = { of = "her", fen = 100 }
        [[query.row]]
        resident = "wang"
        values = { of = "him", fen = 100 }
        [[submission]]
        operation = "raise"
        number = "1"
        [[submission.effect]]
        raise = "balance"
        field = "fen"
        by = 11
    "#;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.db");
    let mut all = Fixture::open(Connection::open(&path).unwrap(), BALANCES);
    for (number, id_number) in [(1, ZHANG), (2, WANG)] {
        assert_eq!(all.submit(number, "raise", id_number, "").0, 200);
    }
    drop(all);
    let mut all = Fixture::open(Connection::open(&path).unwrap(), BALANCES);
    for id_number in [ZHANG, WANG] {
        assert_eq!(all.column("balance", Some(id_number), &json!({}), "fen"), ["111"]);
    }
    drop(all);
    let changed = BALANCES.replace(r#"of = "her", fen = 100"#, r#"of = "her", fen = 500"#);
    let mut all = Fixture::open(Connection::open(&path).unwrap(), &changed);
    assert_eq!(all.column("balance", Some(ZHANG), &json!({}), "fen"), ["500"]);
    assert_eq!(all.column("balance", Some(WANG), &json!({}), "fen"), ["111"]);
}

#[test]
fn equal_rows_of_a_file_are_each_given() {
    let row = "[[query.row]]\nvalues = { a = \"1\" }\n";
    let mut all = Fixture::new(&format!("[[query]]\noperation = \"q\"\nfields = [\"a\"]\n{row}{row}"));
    assert_eq!(all.column("q", None, &json!({}), "a"), ["1", "1"]);
}
