//! Effects: what one request changes and another sees.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::fixture::{DAY, Fixture, MORNING, WANG, ZHANG, id, seal};

const FILE: &str = r#"
[[query]]
operation = "loans"
fields = ["book", "due", "renewed"]
[[query.row]]
resident = "any"
values = { book = "b-1", due = "2026-12-01", renewed = 0 }
[[query.row]]
resident = "any"
values = { book = "b-2", due = "2026-12-02", renewed = 0 }

[[submission]]
operation = "renew"
number = "1"
[[submission.effect]]
set = "loans"
values = { due = "$today+30d" }
where = { book = "$input.book" }
[[submission.effect]]
raise = "loans"
field = "renewed"
by = 1
where = { book = "$input.book", due = "$today+30d" }

[[submission]]
operation = "return"
number = "1"
[[submission.effect]]
remove = "loans"
where = { book = "$input.book" }

[[submission]]
operation = "apply"
number = "$number(C)"
[[submission.effect]]
add = "fees"
when = { case = "$case" }
values = { bill = "$number(F)", amount = 500, of = "$case" }

[[query]]
operation = "fees"
fields = ["bill", "amount", "of"]
key = "bill"
amount = "amount"
[[query.row]]
resident = "zhang"
values = { bill = "f-1", amount = 200, of = "tuition" }
[[query.paid]]
add = "receipts"
values = { date = "$today", number = "$reference", fen = "$amount", of = "$row.of" }

[[submission]]
operation = "late"
number = "1"
[[submission.effect]]
raise = "fees"
field = "amount"
by = 50
[[submission.effect]]
raise = "receipts"
field = "fen"
by = -1

[[query]]
operation = "receipts"
fields = ["date", "number", "fen", "of"]
"#;

fn none() -> Value {
    json!({})
}

fn book(book: &str) -> String {
    seal(&json!({ "book": book }))
}

#[test]
fn row_of_any_person_changes_for_one_person_alone() {
    let mut all = Fixture::new(FILE);
    for number in [1, 2] {
        assert_eq!(all.submit(number, "renew", ZHANG, &book("b-2")).0, 200);
    }
    assert_eq!(all.column("loans", Some(ZHANG), &none(), "due"), ["2026-12-01", "2026-12-30"]);
    assert_eq!(all.column("loans", Some(ZHANG), &none(), "renewed"), ["0", "2"]);
    assert_eq!(all.column("loans", Some(WANG), &none(), "due"), ["2026-12-01", "2026-12-02"]);
}

#[test]
fn removed_row_stays_removed_for_its_person_when_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.db");
    let mut all = Fixture::open(Connection::open(&path).unwrap(), FILE);
    assert_eq!(all.submit(1, "return", ZHANG, &book("b-1")).0, 200);
    assert_eq!(all.submit(2, "renew", ZHANG, &book("b-1")).0, 200);
    drop(all);
    let mut all = Fixture::open(Connection::open(&path).unwrap(), FILE);
    assert_eq!(all.column("loans", Some(ZHANG), &none(), "book"), ["b-2"]);
    assert_eq!(all.column("loans", Some(WANG), &none(), "book"), ["b-1", "b-2"]);
}

#[test]
fn fee_of_an_application_is_a_bill_of_its_input() {
    let mut all = Fixture::new(FILE);
    let case = all.submit(1, "apply", ZHANG, "").1["number"].as_str().unwrap().to_owned();
    assert_eq!(all.column("fees", Some(ZHANG), &none(), "bill"), ["f-1"]);
    let input = json!({ "case": case });
    let fees = all.column("fees", Some(ZHANG), &input, "bill");
    assert_eq!((fees.len(), fees[1].as_str()), (2, "f-1"));
    assert_eq!(all.pay(1, &[(&fees[0], 500), ("f-1", 200)]), 204);
    assert!(all.column("fees", Some(ZHANG), &input, "bill").is_empty());
    assert_eq!(all.column("receipts", Some(ZHANG), &none(), "of"), ["tuition", &case]);
    assert_eq!(all.column("receipts", Some(ZHANG), &none(), "number"), ["A01", "A01"]);
}

#[test]
fn fee_that_was_never_listed_is_paid() {
    let mut all = Fixture::new(FILE);
    let number = all.submit(1, "apply", ZHANG, "").1["number"].as_str().unwrap().to_owned();
    let fee = all.departments.open_bills("zhang", MORNING).unwrap()[0].key.clone();
    assert_ne!(fee, number);
    let mut other = Fixture::new(FILE);
    other.submit(1, "apply", ZHANG, "");
    assert_eq!(other.pay(1, &[(&fee, 500)]), 204);
}

#[test]
fn payment_of_an_amount_that_was_raised_since_is_a_conflict() {
    let mut all = Fixture::new(FILE);
    assert_eq!(all.column("fees", Some(ZHANG), &none(), "amount"), ["200"]);
    assert_eq!(all.submit(1, "late", ZHANG, "").0, 200);
    assert_eq!(all.pay(1, &[("f-1", 200)]), 409);
    assert_eq!(all.pay(2, &[("f-1", 250)]), 204);
}

#[test]
fn number_that_an_effect_added_is_raised() {
    let mut all = Fixture::new(FILE);
    assert_eq!(all.pay(1, &[("f-1", 200)]), 204);
    assert_eq!(all.submit(1, "late", ZHANG, "").0, 200);
    assert_eq!(all.column("receipts", Some(ZHANG), &none(), "fen"), ["199"]);
}

#[test]
fn date_in_a_history_is_that_of_the_payment() {
    let mut all = Fixture::new(FILE);
    let bills = json!([{ "key": "f-1", "amount": 200 }]);
    let body = json!({ "order": id(1), "reference": "A1", "paid_ms": MORNING - 2 * DAY, "bills": bills });
    assert_eq!(all.send("POST", "/payments", &body).0, 204);
    assert_eq!(all.column("receipts", Some(ZHANG), &none(), "date"), ["2026-11-28"]);
}

#[test]
fn row_that_was_taken_out_of_its_file_goes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.db");
    let mut all = Fixture::open(Connection::open(&path).unwrap(), FILE);
    assert_eq!(all.submit(1, "renew", ZHANG, &book("b-1")).0, 200);
    assert_eq!(all.pay(1, &[("f-1", 200)]), 204);
    drop(all);
    let first =
        "[[query.row]]\nresident = \"any\"\nvalues = { book = \"b-1\", due = \"2026-12-01\", renewed = 0 }\n";
    assert!(FILE.contains(first));
    let mut all = Fixture::open(Connection::open(&path).unwrap(), &FILE.replace(first, ""));
    assert_eq!(all.column("loans", Some(ZHANG), &none(), "book"), ["b-2"]);
    assert_eq!(all.column("receipts", Some(ZHANG), &none(), "of"), ["tuition"]);
}
