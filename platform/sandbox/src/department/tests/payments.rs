//! Bills and payments.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::fixture::{Fixture, MORNING, WANG, ZHANG};
use crate::department::{Booking, OpenBill};

const FILE: &str = r#"
[[query]]
operation = "bills"
fields = ["bill", "period", "amount"]
key = "bill"
amount = "amount"
[[query.row]]
resident = "zhang"
values = { bill = "w-1", period = "2026-09", amount = 8640 }
[[query.row]]
resident = "zhang"
values = { bill = "w-2", period = "2026-10", amount = 8160 }
[[query.row]]
when = { code = "77" }
values = { bill = "w-3", period = "2026-10", amount = 300 }
[[query.paid]]
add = "history"
values = { date = "$today", period = "$row.period", amount = "$amount", order = "$order", name = "$name" }

# The same bill by its printed code, also for somebody else.
[[query]]
operation = "bill-by-code"
fields = ["bill", "amount"]
key = "bill"
amount = "amount"
[[query.row]]
when = { code = "w1" }
values = { bill = "w-1", amount = 8640 }

[[query]]
operation = "history"
fields = ["date", "period", "amount", "order", "name"]
[[query.row]]
resident = "zhang"
values = { date = "2026-01-02", period = "2025-12", amount = 1, order = "", name = "" }

[[query]]
operation = "top-up"
fields = ["bill", "amount"]
key = "bill"
amount = "amount"
[[query.row]]
resident = "any"
again = true
values = { bill = "t-$input.fen", amount = "$input.fen" }
[[query.paid]]
raise = "card"
field = "balance"
by = "$amount"

[[query]]
operation = "card"
fields = ["balance"]
[[query.row]]
resident = "any"
values = { balance = 1000 }
"#;

fn none() -> Value {
    json!({})
}

fn open(all: &mut Fixture) -> Vec<String> {
    all.column("bills", Some(ZHANG), &none(), "bill")
}

#[test]
fn bill_is_listed_until_it_is_paid() {
    let mut all = Fixture::new(FILE);
    assert_eq!(open(&mut all), ["w-1", "w-2"]);
    assert!(all.column("bills", Some(WANG), &none(), "bill").is_empty());
    assert_eq!(all.pay(1, &[("w-1", 8640)]), 204);
    assert_eq!(open(&mut all), ["w-2"]);
    assert_eq!(all.column("history", Some(ZHANG), &none(), "date"), ["2026-11-30", "2026-01-02"]);
    assert_eq!(all.column("history", Some(ZHANG), &none(), "period")[0], "2026-09");
    assert_eq!(all.column("history", Some(ZHANG), &none(), "amount")[0], "8640");
    assert_eq!(all.column("history", Some(ZHANG), &none(), "name")[0], "张桂英");
}

#[test]
fn repeated_payment_is_booked_once() {
    let mut all = Fixture::new(FILE);
    for _ in 0..3 {
        assert_eq!(all.pay(1, &[("w-1", 8640)]), 204);
    }
    let order = format!("{:032x}", 1);
    let booking = Booking { department: "d".into(), key: "w-1".into(), order, amount: 8640 };
    assert_eq!(all.departments.bookings().unwrap(), [booking]);
    assert_eq!(all.column("history", Some(ZHANG), &none(), "date").len(), 2);
}

#[test]
fn contradicting_payment_books_nothing() {
    let mut all = Fixture::new(FILE);
    assert_eq!(all.pay(1, &[("w-1", 8640)]), 204);
    for (order, bills) in [
        (2, &[("w-2", 8160), ("w-1", 8640)][..]),
        (2, &[("w-2", 8160), ("w-9", 8640)]),
        (2, &[("w-2", 8160), ("w-2", 8160)]),
        (2, &[("w-2", 1)]),
        (1, &[("w-2", 8160)]),
    ] {
        assert_eq!(all.pay(order, bills), 409, "{bills:?}");
        assert_eq!(open(&mut all), ["w-2"]);
        assert_eq!(all.departments.bookings().unwrap().len(), 1);
        assert_eq!(all.column("history", Some(ZHANG), &none(), "date").len(), 2);
    }
    assert_eq!(all.pay(2, &[]), 400);
    assert_eq!(all.pay(2, &[("w-2", 8160)]), 204);
    assert!(open(&mut all).is_empty());
}

#[test]
fn bill_paid_by_code_is_gone_from_the_list_of_its_person() {
    let mut all = Fixture::new(FILE);
    let code = json!({ "code": "w1" });
    assert_eq!(all.column("bill-by-code", Some(WANG), &code, "bill"), ["w-1"]);
    assert_eq!(all.pay(1, &[("w-1", 8640)]), 204);
    assert_eq!(open(&mut all), ["w-2"]);
    assert!(all.column("bill-by-code", None, &code, "bill").is_empty());
    // The history is of the person whose bill it was.
    assert_eq!(all.column("history", Some(ZHANG), &none(), "date").len(), 2);
    assert!(all.column("history", Some(WANG), &none(), "date").is_empty());
}

#[test]
fn bill_of_an_input_is_paid_without_having_been_listed() {
    let mut all = Fixture::new(FILE);
    assert_eq!(all.pay(1, &[("w-3", 300)]), 204);
    assert!(all.column("bills", None, &json!({ "code": "77" }), "bill").is_empty());
}

#[test]
fn top_up_keeps_its_key_until_paid_and_raises_one_balance() {
    let mut all = Fixture::new(FILE);
    let input = json!({ "fen": "5000" });
    let first = all.column("top-up", Some(ZHANG), &input, "bill");
    assert_eq!(all.column("top-up", Some(ZHANG), &input, "bill"), first);
    assert_ne!(all.column("top-up", Some(WANG), &input, "bill"), first);
    assert_eq!(all.pay(1, &[(&first[0], 5000)]), 204);
    assert_eq!(all.pay(1, &[(&first[0], 5000)]), 204);
    assert_eq!(all.pay(2, &[(&first[0], 5000)]), 409);
    let second = all.column("top-up", Some(ZHANG), &input, "bill");
    assert_ne!(second, first);
    assert_eq!(all.pay(2, &[(&second[0], 5000)]), 204);
    assert_eq!(all.column("card", Some(ZHANG), &none(), "balance"), ["11000"]);
    assert_eq!(all.column("card", Some(WANG), &none(), "balance"), ["1000"]);
}

#[test]
fn amount_that_is_not_whole_fen_above_zero_makes_no_bill() {
    let mut all = Fixture::new(FILE);
    for fen in ["", "0", "-5", "5.0", "五"] {
        assert!(all.column("top-up", Some(ZHANG), &json!({ "fen": fen }), "bill").is_empty(), "{fen}");
    }
}

#[test]
fn bill_that_was_never_given_cannot_be_paid() {
    let mut all = Fixture::new(FILE);
    assert_eq!(all.pay(1, &[("t-5000", 5000)]), 409);
    assert!(all.departments.bookings().unwrap().is_empty());
}

#[test]
fn open_bills_of_a_resident_are_listed() {
    let mut all = Fixture::new(FILE);
    let bill = |key: &str, amount| OpenBill {
        department: "d".into(),
        operation: "bills".into(),
        key: key.into(),
        amount,
    };
    let listed = all.departments.open_bills("zhang", MORNING).unwrap();
    assert_eq!(listed, [bill("w-1", 8640), bill("w-2", 8160)]);
    assert_eq!(all.pay(1, &[("w-1", 8640)]), 204);
    assert_eq!(all.departments.open_bills("zhang", MORNING).unwrap(), [bill("w-2", 8160)]);
    assert!(all.departments.open_bills("nobody", MORNING).unwrap().is_empty());
}

#[test]
fn paid_bill_stays_paid_when_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.db");
    let mut all = Fixture::open(Connection::open(&path).unwrap(), FILE);
    assert_eq!(all.pay(1, &[("w-1", 8640)]), 204);
    drop(all);
    let mut all = Fixture::open(Connection::open(&path).unwrap(), FILE);
    assert_eq!(open(&mut all), ["w-2"]);
    assert_eq!(all.column("history", Some(ZHANG), &none(), "date").len(), 2);
    assert_eq!(all.pay(1, &[("w-1", 8640)]), 204);
}
