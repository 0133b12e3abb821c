//! Data files of departments: each mistake has a message with file, line and what is allowed; no text makes the parser panic.

use std::path::Path;

use proptest::prelude::*;
use sandbox::department::{DepartmentData, Resident, read_departments};

/// The line of the first text that follows in the table below.
const HEAD: &str = "name = { zh = \"部门\", en = \"Department\" }\n";

fn parse(text: &str) -> Result<DepartmentData, String> {
    let resident = Resident { id: "zhang".into(), id_number: "person-1".into(), name: "张三".into() };
    DepartmentData::parse([("water.toml", text)], vec![resident]).map_err(|error| error.to_string())
}

fn query(rest: &str) -> String {
    format!("[[query]]\noperation = \"q\"\nfields = [\"a\", \"b\"]\n{rest}")
}

fn bills(rest: &str) -> String {
    query(&format!("key = \"a\"\namount = \"b\"\n{rest}"))
}

fn row(values: &str) -> String {
    format!("[[query.row]]\nvalues = {{ {values} }}\n")
}

fn ticket(row: &str) -> String {
    format!("[[ticket]]\noperation = \"t\"\nfields = [\"n\"]\n[[ticket.row]]\n{row}")
}

fn submission(rest: &str) -> String {
    let rest = format!("[[submission]]\noperation = \"s\"\nnumber = \"1\"\n{rest}\n");
    rest + &query(&row("a = \"1\", b = 2"))
}

#[test]
fn each_mistake_names_file_line_and_what_is_allowed() {
    let effect = |effect: &str| submission(&format!("[[submission.effect]]\n{effect}"));
    for (text, line, part) in [
        ("a b".to_owned(), 2, "="),
        ("[[querry]]".to_owned(), 2, "unknown field `querry`, expected one of `name`, `query`"),
        ("[[query]]\noperation = \"q\"".to_owned(), 2, "missing field `fields`"),
        ("[[query]]\noperation = \"q w\"\nfields = [\"a\"]".to_owned(), 3, "write for example water.bills"),
        ("[[query]]\noperation = \"q\"\nfields = []".to_owned(), 4, "`fields` has each field once"),
        (
            "[[query]]\noperation = \"q\"\nfields = [\"a\", \"a\"]".to_owned(),
            4,
            "`fields` has each field once",
        ),
        (query("") + &query(""), 6, "the operation q stands twice in this file"),
        (query("key = \"a\""), 5, "both: `key` and `amount`"),
        (query("amount = \"a\""), 5, "both: `key` and `amount`"),
        (query("key = \"c\"\namount = \"b\""), 5, "`c` is not a field; the fields are a, b"),
        (query("paid = [{ remove = \"q\" }]"), 3, "`paid` stands only at bills"),
        (query(&row("a = \"1\"")), 5, "`values` lacks the field `b`"),
        (query(&row("a = \"1\", b = \"\", c = \"\"")), 6, "`c` is not a field; the fields are a, b"),
        (query(&row("a = 1.5, b = \"\"")), 6, "a text in quotes or a whole number"),
        (query(&row("a = true, b = \"\"")), 6, "a text in quotes or a whole number"),
        (query(&row("a = \"$tomorrow\", b = 1")), 6, "$tomorrow is not a derived value; write one of $today"),
        (query(&row("a = \"$ticket\", b = 1")), 6, "$ticket is not known here; known are $today"),
        (
            query("[[query.row]]\nresident = \"li\"\nvalues = { a = \"\", b = \"\" }"),
            6,
            "there is no resident `li`; write \"any\", or one of zhang, or leave it out",
        ),
        (query("[[query.row]]\nwhen = { a = 5 }\nvalues = { a = \"\", b = \"\" }"), 6, "expected a string"),
        (
            query("[[query.row]]\nagain = true\nvalues = { a = \"\", b = \"\" }"),
            5,
            "`again` stands only at bills",
        ),
        (bills(&row("a = \"1\", b = -5")), 8, "whole number of fen, or $input.FIELD"),
        (bills(&row("a = \"1\", b = \"86.40\"")), 8, "whole number of fen, or $input.FIELD"),
        (bills(&row("a = \"$number(W)\", b = 5")), 8, "keeps its key"),
        (bills(&row("a = \"1\", b = \"$input.fen\"")), 8, "needs the same $input.FIELD"),
        (bills(&(row("a = \"1\", b = 5") + &row("a = \"1\", b = 5"))), 10, "the bill 1 stands twice in q"),
        (
            bills(&row("a = \"1\", b = 5")) + &bills(&row("a = \"1\", b = 6")).replace("\"q\"", "\"q2\""),
            15,
            "the bill 1 has another amount in q",
        ),
        (bills("paid = [{ add = \"q\", values = { a = \"$row.c\", b = 1 } }]"), 7, "`c` is not a field"),
        (query("[[query.refuse]]\nzh = \"不\""), 5, "missing field `en`"),
        (query("[[query.refuse]]\nzh = \"\"\nen = \"No\""), 5, "1 to 100 characters"),
        (
            query(
                "[[query.refuse]]\nif = { operation = \"x\", field = \"a\", is = \"\" }\nzh = \"不\"\nen = \"No\"",
            ),
            6,
            "this file has no query x; it has q",
        ),
        (
            query(
                "[[query.refuse]]\nif = { operation = \"q\", field = \"c\", is = \"\" }\nzh = \"不\"\nen = \"No\"",
            ),
            6,
            "`c` is not a field",
        ),
        (query("[[query.next]]\nresident = \"li\"\nservice = \"s\""), 6, "there is no resident `li`"),
        ("[[ticket]]\noperation = \"t\"\nfields = [\"n\"]".to_owned(), 3, "at least one [[ticket.row]]"),
        (ticket("values = {}"), 5, "`values` lacks the field `n`"),
        (ticket("prefix = \"A-\"\nvalues = { n = \"\" }"), 6, "a prefix is at least one letter or digit"),
        (ticket("values = { n = \"$ticket\" }"), 6, "`n` uses a number, but the row has no `prefix`"),
        (ticket("minutes = -1\nvalues = { n = \"\" }"), 6, "invalid value"),
        (
            submission("state = \"finished\""),
            5,
            "expected one of `accepted`, `working`, `done`, `returned`, `refused`",
        ),
        (
            submission("then = [{ after = \"2 days\", state = \"done\" }]"),
            5,
            "write for example 30s, 10m, 2h or 3d",
        ),
        (
            submission("then = [{ after = \"2d\", state = \"done\" }, { after = \"1d\", state = \"done\" }]"),
            5,
            "in the order of `after`",
        ),
        (
            submission("once = { per = \"week\", zh = \"不\", en = \"No\" }"),
            5,
            "expected one of `day`, `month`, `year`, `ever`",
        ),
        (submission("required = [\"a\"]"), 5, "expected a map"),
        (submission("").replacen("\"1\"", "\"$case\"", 1), 4, "$case is not known here"),
        (effect("where = { a = \"\" }"), 5, "exactly one of `add`, `set`, `raise`, `remove`"),
        (effect("add = \"q\"\nremove = \"q\""), 5, "exactly one of `add`, `set`, `raise`, `remove`"),
        (effect("add = \"q\"\nvalues = { a = \"\" }"), 6, "`values` lacks the field `b`"),
        (
            effect("add = \"q\"\nwhere = { a = \"\" }"),
            5,
            "`where` does not belong to this effect; allowed are values, when",
        ),
        (effect("add = \"x\"\nvalues = { a = \"\" }"), 6, "this file has no query x; it has q"),
        (effect("set = \"q\""), 5, "`set` needs `values`"),
        (effect("set = \"q\"\nvalues = { c = \"\" }"), 7, "`c` is not a field"),
        (effect("remove = \"q\"\nwhere = { c = \"\" }"), 7, "`c` is not a field"),
        (effect("raise = \"q\"\nfield = \"b\""), 5, "`raise` needs `field` and `by`"),
        (
            effect("raise = \"q\"\nfield = \"b\"\nby = \"5\""),
            8,
            "`by` is a whole number, $amount, $input.FIELD",
        ),
        (effect("raise = \"q\"\nfield = \"b\"\nby = \"$amount\""), 8, "$amount is not known here"),
        (
            effect("raise = \"q\"\nfield = \"a\"\nby = 5"),
            13,
            "`a` is raised, so it is a whole number, without quotes",
        ),
    ] {
        let error = parse(&format!("{HEAD}{text}")).err().unwrap_or_else(|| panic!("accepted: {text}"));
        let place = format!("water.toml:{line}: ");
        assert!(
            error.starts_with(&place) && error.contains(part),
            "{text}\nexpected {place}{part}\nfound {error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn file_without_a_name_or_with_a_wrong_file_name_is_refused() {
    assert!(parse("").unwrap_err().starts_with("water.toml:1: missing field `name`"));
    for name in ["Water.toml", ".toml", "water/bills.toml", "水.toml"] {
        let error = DepartmentData::parse([(name, HEAD)], Vec::new()).unwrap_err().to_string();
        assert!(
            error.ends_with("a data file is named DEPARTMENT.toml, of lower-case letters, digits and -"),
            "{error}"
        );
    }
    for name in ["bills.toml", "payments.toml"] {
        let error = DepartmentData::parse([(name, HEAD)], Vec::new()).unwrap_err().to_string();
        assert!(error.contains("give the department another name"), "{error}");
    }
}

#[test]
fn data_files_of_the_demo_are_read() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    let data = read_departments(&assets.join("departments"), &assets.join("residents.toml")).unwrap();
    for id in ["medical", "social-insurance", "water"] {
        assert!(data.ids().any(|one| one == id), "{id}");
    }
}

/// Queries that the examples of the document name.
const QUERIES_OF_EXAMPLES: &str = r#"
[[query]]
operation = "water.payments"
fields = ["date", "period", "amount", "number"]
[[query]]
operation = "card.state"
fields = ["state"]
[[query]]
operation = "hall.mine"
fields = ["number", "date"]
[[query]]
operation = "pension.account"
fields = ["certified"]
[[query]]
operation = "pension.matters"
fields = ["number", "state"]
"#;

#[test]
fn examples_of_the_document_are_one_valid_file() {
    let document = include_str!("../../../../docs/departments.md");
    let document = document.split_once("## The departments of the demo").unwrap().1;
    let examples: Vec<&str> =
        document.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 5, "{}", examples.len());
    let text = examples.join("\n") + QUERIES_OF_EXAMPLES;
    let residents = ["zhang-guiying", "wang-jianguo"];
    let residents = residents.map(|id| Resident { id: id.into(), id_number: id.into(), name: id.into() });
    DepartmentData::parse([("water.toml", text.as_str())], residents.into()).unwrap();
}

#[test]
fn directory_without_data_files_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let residents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/residents.toml");
    let error = read_departments(directory.path(), &residents).unwrap_err();
    assert!(error.to_string().contains("has no data file"), "{error}");
    std::fs::write(directory.path().join("water.toml"), "name = 5").unwrap();
    let error = read_departments(directory.path(), &residents).unwrap_err();
    assert!(error.to_string().starts_with("water.toml:1: "), "{error}");
}

const WATER: &str = include_str!("../../../../assets/departments/water.toml");

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_value_is_read_or_refused(value in "[$]?[{]?[a-z_]{0,8}[-+.(]?[0-9A-Za-z水]{0,12}[)}d]?[$]{0,2}.{0,5}") {
        let quoted = toml::Value::String(value).to_string();
        let _ = parse(&(HEAD.to_owned() + &query(&row(&format!("a = {quoted}, b = 1")))));
    }

    #[test]
    fn changed_file_is_read_or_refused(at in 0..WATER.len(), len in 0_usize..40, with in ".{0,6}") {
        let start = WATER.floor_char_boundary(at);
        let end = WATER.floor_char_boundary((start + len).min(WATER.len())).max(start);
        if let Err(error) = parse(&format!("{}{with}{}", &WATER[..start], &WATER[end..])) {
            prop_assert!(error.starts_with("water.toml:"));
        }
    }
}
