//! The check against the sandbox's departments, which keep the contract, and against adapters with one deviation each.

mod deviating;
mod vectors;

use std::path::{Path, PathBuf};

use contract::{PublicKey, SecretKey, sm3};

use self::deviating::{DeviatingAdapter, Flaw};
use super::report::{Outcome, Report};
use super::{CheckArguments, check};

const PLATFORM: &str = "PLATFORM";
const PLATFORM_KEY: [u8; 32] = [8; 32];
const ID_NUMBER: &str = "500112194803150422";

const PERSON: &str = "[person]\nid_number = \"500112194803150422\"\nname = \"张桂英\"\n";
const WATER: &str = r#"
[[call]]
operation = "water.account-bills"
input = { account = "04510013" }
expect = "rows"
[[call]]
operation = "water.account-bills"
input = { account = "04510099" }
expect = "refused"
[[call]]
operation = "water.account-bills"
input = { account = "00000000" }
expect = "nothing"
"#;
const HALL: &str = r#"
[[call]]
operation = "hall.number"
input = { matter = "pension" }
expect = "rows"
[[call]]
operation = "hall.number"
input = { matter = "estate" }
expect = "refused"
[[call]]
operation = "hall.eligibility"
input = { matter = "care" }
[[call]]
operation = "hall.apply"
input = { matter = "care", account = "card", result = "sms", phone = "13800000000" }
"#;
const SOCIAL: &str = r#"
[[call]]
operation = "pension.certification"
input = { residence = "here" }
[[call]]
operation = "pension.certify"
input = { residence = "here", phone = "13800000000" }
expect = "rows"
[[call]]
operation = "benefit.claim"
input = { item = "", phone = "13800000000" }
expect = "refused"
"#;

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets")
}

fn department_key(department: &str) -> SecretKey {
    SecretKey::from_bytes(&sm3(&[department.as_bytes()])).unwrap()
}

/// The report of a check of the sandbox's department, with this flaw.
async fn report_of(department: &str, inputs: &str, flaw: Flaw, allow_writes: bool) -> Report {
    let adapter = DeviatingAdapter::start(department, flaw).await;
    check_adapter(&adapter, department, inputs, allow_writes).await
}

async fn check_adapter(
    adapter: &DeviatingAdapter,
    department: &str,
    inputs: &str,
    allow_writes: bool,
) -> Report {
    let (_files, arguments) = arguments_for(adapter, department, inputs);
    check(&CheckArguments { allow_writes, ..arguments }).await.unwrap()
}

/// The arguments of a check without writes, and the directory of their files.
fn arguments_for(
    adapter: &DeviatingAdapter,
    department: &str,
    inputs: &str,
) -> (tempfile::TempDir, CheckArguments) {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let operations = directory.path().join("operations");
    std::fs::create_dir(&operations).unwrap();
    let name = format!("{department}.toml");
    let text = std::fs::read_to_string(assets().join("operations").join(&name)).unwrap();
    let text = text.replace("name = \"water.payments\"", "name = \"water.payments\"\ntimeout-ms = 2000");
    std::fs::write(operations.join(name), text).unwrap();
    let key: PublicKey = department_key(department).public();
    let arguments = CheckArguments {
        url: adapter.url(),
        department: department.parse().unwrap(),
        operations,
        platform_key: file("platform.key", &contract::to_hex(&PLATFORM_KEY)),
        platform: PLATFORM.parse().unwrap(),
        key,
        sealing: None,
        inputs: file("inputs.toml", &format!("{PERSON}{inputs}")),
        allow_writes: false,
    };
    (directory, arguments)
}

/// Names of the checks that failed.
fn failed(report: &Report) -> Vec<&str> {
    let is_failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
    report.lines().iter().filter(|line| is_failed(&line.outcome)).map(|line| line.name.as_str()).collect()
}

fn names(report: &Report) -> Vec<&str> {
    let is_ok = |outcome: &Outcome| matches!(outcome, Outcome::Ok);
    report.lines().iter().filter(|line| is_ok(&line.outcome)).map(|line| line.name.as_str()).collect()
}

#[tokio::test]
async fn departments_of_the_demo_pass_all_checks() {
    for (department, inputs, checked) in [
        (
            "water",
            WATER,
            &["water.bills: paid bill is gone", "water.account-bills: refusal has both languages"][..],
        ),
        (
            "hall",
            HALL,
            &[
                "hall.number: same ticket with other content is 409",
                "hall.apply: hash of something else is 400",
            ],
        ),
        (
            "social-insurance",
            SOCIAL,
            &[
                "pension.certify: same submission again is one",
                "benefit.claim: refused submission stays refused",
                "insurance.proof: repeated request has the same answer",
            ],
        ),
    ] {
        let report = report_of(department, inputs, Flaw::None, true).await;
        assert_eq!(report.failed(), 0, "{report}");
        for name in checked {
            assert!(names(&report).contains(name), "{name} is not ok\n{report}");
        }
    }
}

#[tokio::test]
async fn without_writes_nothing_is_changed() {
    for (department, inputs) in [("water", WATER), ("hall", HALL), ("social-insurance", SOCIAL)] {
        let adapter = DeviatingAdapter::start(department, Flaw::None).await;
        let report = check_adapter(&adapter, department, inputs, false).await;
        assert_eq!((report.failed(), adapter.changes()), (0, Vec::new()), "{report}");
    }
}

/// Each flaw of an adapter without writes, and the checks that name it.
#[tokio::test]
async fn deviation_of_requests_and_answers_is_named_by_its_check() {
    for (flaw, expected) in [
        (
            Flaw::AcceptsNoSignature,
            &["request without a signature is 401", "unsigned request of an unknown operation is 401"][..],
        ),
        (Flaw::AcceptsWrongSignature, &["request with a wrong signature is 401"]),
        (Flaw::AcceptsOldTime, &["request with an old time is 401"]),
        (Flaw::AcceptsTimeAhead, &["request with a time ahead is 401"]),
        (Flaw::AcceptsChangedBody, &["request with a changed body is 401"]),
        (Flaw::AcceptsOtherDepartment, &["request for another department is 401"]),
        (Flaw::AcceptsOtherPath, &["request for another path is 401"]),
        (Flaw::AcceptsOtherSender, &["request of another sender is 401"]),
        (Flaw::MalformedIs500, &["malformed JSON is 400"]),
        (Flaw::UnknownOperationIsEmpty, &["unknown operation is 404"]),
        (Flaw::UnknownStateIsAccepted, &["state of an unknown submission is 404"]),
        (Flaw::LooksForOperationFirst, &["unsigned request of an unknown operation is 401"]),
        (Flaw::UnknownFieldIs400, &["unknown field is ignored"]),
        (Flaw::ReadsAnyLength, &["body above 1 MiB is refused"]),
        (Flaw::UnsignedAnswers, &["every answer is signed for its request"]),
        (Flaw::UnsignedErrors, &["every answer is signed for its request"]),
        (Flaw::SignsForAnotherRequest, &["every answer is signed for its request"]),
        (Flaw::OldAnswers, &["every answer is dated now"]),
        (Flaw::NamesPersonInHeader, &["no header of an answer has an ID number"]),
        (
            Flaw::NeverAnswersPayments,
            &["water.payments: answer has the declared fields", "every answer comes within the time-out"],
        ),
        (Flaw::DropsAddress, &["water.payments: answer has the declared fields"]),
        (Flaw::AmountInYuan, &["water.payments: answer has the declared fields"]),
        (Flaw::KeysChange, &["water.account-bills: bill keeps its key", "water.bills: bill keeps its key"]),
        (Flaw::LongRefusal, &["water.account-bills: refusal has both languages"]),
        (Flaw::RefusalWithoutEnglish, &["water.account-bills: refusal has both languages"]),
    ] {
        let report = report_of("water", WATER, flaw, false).await;
        assert_eq!(failed(&report), expected, "{flaw:?}\n{report}");
        let shown = report.to_string();
        assert!(!shown.contains(ID_NUMBER) && !shown.contains("张桂英"), "{flaw:?}\n{shown}");
    }
}

#[tokio::test]
async fn deviation_of_payments_is_named_by_its_check() {
    for (flaw, expected) in [
        (Flaw::ChargesTwice, "bill paid by another order is 409"),
        (Flaw::RepeatedPaymentIs409, "same payment again is 204"),
        (Flaw::PaidBillStays, "paid bill is gone"),
        (Flaw::BooksUnknownBill, "payment of an unknown bill is 409"),
        (Flaw::BillTwiceIsBooked, "bill twice in one order is refused"),
    ] {
        let report = report_of("water", WATER, flaw, true).await;
        // The first bills of both operations are the same ones; the checks are made for each.
        let expected = ["water.account-bills", "water.bills"].map(|name| format!("{name}: {expected}"));
        assert_eq!(failed(&report), expected, "{flaw:?}\n{report}");
    }
    let report = report_of("water", WATER, Flaw::TicketsAreNowhere, true).await;
    assert_eq!(failed(&report), ["ticket of an unknown operation is 404"], "{report}");
    let report = report_of("water", WATER, Flaw::BooksPartly, true).await;
    assert_eq!(
        failed(&report).first(),
        Some(&"water.account-bills: refused payment books nothing"),
        "{report}"
    );
}

#[tokio::test]
async fn adapter_that_is_not_there_or_refuses_all_ends_the_check() {
    let adapter = DeviatingAdapter::start("water", Flaw::None).await;
    let mut arguments = arguments_for(&adapter, "water", WATER);
    arguments.1.platform = "ANOTHER".parse().unwrap();
    let report = check(&arguments.1).await.unwrap();
    assert_eq!((report.lines().len(), failed(&report)), (1, vec!["rightly signed request is not 401"]));
    let shown = report.to_string();
    assert!(shown.contains("over POST⏎water/query/water.account-bills⏎X-Time⏎"), "{shown}");
    arguments.1.url = "http://127.0.0.1:1/water".to_owned();
    let Err(error) = check(&arguments.1).await else { panic!("nothing listens there") };
    assert!(error.to_string().starts_with("no adapter answers at http://127.0.0.1:1/water"), "{error}");
}

#[tokio::test]
async fn deviation_of_tickets_is_named_by_its_check() {
    let number = |check: &str| format!("hall.number: {check}");
    for (flaw, expected) in [
        (
            Flaw::TicketEachTime,
            vec![
                number("same ticket again is the same ticket"),
                number("same ticket with other content is 409"),
            ],
        ),
        (Flaw::TwoRows, vec![number("answer has the declared fields")]),
        (Flaw::TicketConflictIsIgnored, vec![number("same ticket with other content is 409")]),
    ] {
        let report = report_of("hall", HALL, flaw, true).await;
        assert_eq!(failed(&report), expected, "{flaw:?}\n{report}");
    }
}

#[tokio::test]
async fn deviation_of_submissions_is_named_by_its_check() {
    let both = |check: &str| vec![format!("benefit.claim: {check}"), format!("pension.certify: {check}")];
    let one = |check: &str| vec![format!("pension.certify: {check}")];
    for (flaw, expected) in [
        (Flaw::CaseEachTime, one("same submission again is one")),
        (Flaw::SubmissionConflictIsIgnored, both("same submission with other content is 409")),
        (Flaw::StateIsForgotten, both("state of the submission is answered")),
        (Flaw::RefusedIsAcceptedLater, vec!["benefit.claim: refused submission stays refused".to_owned()]),
        (
            Flaw::BelievesSealedPerson,
            vec!["benefit.claim: another person in the sealed object is 400".to_owned()],
        ),
        (Flaw::NeedsPerson, both("person of the sealed object alone is enough")),
    ] {
        let report = report_of("social-insurance", SOCIAL, flaw, true).await;
        assert_eq!(failed(&report), expected, "{flaw:?}\n{report}");
    }
    let report = report_of("social-insurance", SOCIAL, Flaw::OpensAnything, true).await;
    // Both operations with inputs, each with the checks of what is sealed.
    let checks = [
        "sealed content that does not open is 400",
        "hash of something else is 400",
        "another person in the sealed object is 400",
    ];
    let expected: Vec<String> = ["benefit.claim", "pension.certify"]
        .iter()
        .flat_map(|name| checks.map(|check| format!("{name}: {check}")))
        .collect();
    assert_eq!(failed(&report), expected, "{report}");
}
