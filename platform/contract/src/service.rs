//! Service documents: the queries, views, charges and prints of a service, as data.
//!
//! A document is a list of steps. References name *earlier* steps; there are no expressions, no
//! arithmetic (the platform signs amounts) and no conditions: the only branches are the platform's, an
//! empty answer ([`Step::Query`]'s `none`) or an answer that names the next service. A document is checked when
//! it is signed and again when it is loaded, so that the interpreter only runs valid documents.

use serde::{Deserialize, Serialize};

use crate::answer_schema::AnswerSchema;
use crate::bilingual::Bilingual;
use crate::evidence::Level;
use crate::id::KioskId;
use crate::offer::{EffectiveDate, OpeningHours};
use crate::operation::Operations;
use crate::service_check::{ServiceDocumentError, ServiceProblem, check_document};
use crate::service_texts::wrong_text;
use crate::step::Step;
use crate::toml_place::{Place, TomlError, TomlProblem, parse_toml};

/// Maximum size in bytes of a document that is parsed.
const TEXT_MAX: usize = 64 * 1024;

/// 网点类型: the kind of site where a kiosk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteProfile {
    /// A district service hall.
    DistrictHall,
    /// A township centre.
    TownshipCenter,
    /// A village point.
    VillagePoint,
    /// A gate that only verifies.
    Gate,
}

/// 场景: the category of a service; groups the menu and selects the icon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scene {
    /// 医疗保障.
    Medical,
    /// 社会保险.
    SocialInsurance,
    /// 生活缴费.
    Living,
    /// 税费.
    Tax,
    /// 罚没.
    Fines,
    /// 电子证照.
    Certificates,
    /// 交通出行.
    Transport,
    /// 文化旅游.
    Culture,
    /// 政务服务大厅.
    Hall,
    /// 身份凭证.
    Identity,
    /// 社会保障卡.
    Card,
    /// 社区服务.
    Community,
}

/// What happens when the platform cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfflinePolicy {
    /// The service is disabled, with the reason on its tile.
    Refuse,
    /// The request is recorded and sent later.
    Queue,
    /// The last answer to this resident at this kiosk is shown with its age.
    AnswerFromCache,
}

/// 事项文件: the description of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceDocument {
    /// Id of the service, for example `water.pay`.
    pub id: String,
    /// Incremented with every change.
    pub version: u32,
    /// Name of the service.
    pub title: Bilingual,
    /// A short explanation: examples, the result.
    pub hint: Bilingual,
    /// Category of the service.
    pub scene: Scene,
    /// The kinds of site where the service is offered.
    pub profiles: Vec<SiteProfile>,
    /// The kiosks where it is offered, if not at all of these profiles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<KioskId>,
    /// The first day on which it is offered, if it is not offered at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<EffectiveDate>,
    /// When it can be opened; empty: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<OpeningHours>,
    /// The level that the service needs.
    pub level: Level,
    /// Behaviour when the platform cannot be reached.
    pub offline: OfflinePolicy,
    /// The steps, in order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

impl ServiceDocument {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// When the text is not the TOML of a service document, or a check fails: with line and column.
    pub fn parse(text: &str) -> Result<Self, ServiceDocumentError> {
        let document: Self = parse_toml(text, TEXT_MAX).map_err(|error| in_its_step(text, error))?;
        if let Err((step, key, problem)) = check_document(&document) {
            return Err(document.fault(text, step, key, problem));
        }
        match wrong_text(text) {
            None => Ok(document),
            Some((offset, problem)) => Err(TomlError::at_offset(text, offset, problem)),
        }
    }

    /// An error at a key of a step, or of the document where `step` is `None`.
    fn fault(
        &self,
        text: &str,
        step: Option<&str>,
        key: &str,
        problem: ServiceProblem,
    ) -> ServiceDocumentError {
        let index = step.and_then(|step| self.steps.iter().rposition(|other| other.id() == step));
        let place = index.map_or_else(|| Place::top(key), |index| Place::item("step", index, key));
        TomlError::problem(text, &place, problem)
    }

    /// Whether a kiosk offers the service; `today`: the date at its site, `2026-12-01`. The hours are another matter: outside of them
    /// residents see the service, and when it opens.
    #[must_use]
    pub fn is_offered(&self, kiosk: KioskId, profile: SiteProfile, today: &str) -> bool {
        self.profiles.contains(&profile)
            && (self.sites.is_empty() || self.sites.contains(&kiosk))
            && self.from.as_ref().is_none_or(|from| from.has_come(today))
    }

    /// Whether the service works without a link: it hands something in, and asks nobody.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        let submits = self.steps.iter().any(|step| matches!(step, Step::Submit { .. }));
        let asks = self.steps.iter().any(|step| {
            matches!(
                step,
                Step::Query { .. } | Step::Ticket { .. } | Step::Pay { .. } | Step::ShowCode { .. }
            )
        });
        self.offline == OfflinePolicy::Queue && submits && !asks
    }

    /// Checks what the document calls against the operations of the city.
    ///
    /// # Errors
    /// With line and column in `text`, from which this document was read.
    pub fn check_calls(&self, text: &str, operations: &Operations) -> Result<(), ServiceDocumentError> {
        operations.check(self).map_err(|(step, mismatch)| {
            self.fault(text, Some(&step), "call", ServiceProblem::Operation(mismatch))
        })
    }

    /// The declared answer of the query or ticket behind a step: the step itself, or what it shows, chooses from or
    /// charges.
    #[must_use]
    pub fn answer_schema(&self, step: &str) -> Option<&AnswerSchema> {
        self.steps.iter().find(|s| s.id() == step).and_then(|found| match found {
            Step::Query { answer, .. } | Step::Ticket { answer, .. } => Some(answer),
            Step::Show { from, .. } | Step::Choose { from, .. } => self.answer_schema(from),
            Step::Pay { items, .. } => self.answer_schema(items),
            Step::Consent { .. }
            | Step::Ask { .. }
            | Step::Scan { .. }
            | Step::Submit { .. }
            | Step::ShowCode { .. }
            | Step::ChangePin { .. }
            | Step::Print { .. } => None,
        })
    }
}

/// The error with the place of the step that it is about: the reader of the whole file knows only the first step's.
fn in_its_step(text: &str, error: ServiceDocumentError) -> ServiceDocumentError {
    if !matches!(error.problem, TomlProblem::Syntax(_)) {
        return error;
    }
    let Ok(file) = toml::from_str::<toml::Table>(text) else { return error };
    let steps = file.get("step").and_then(toml::Value::as_array).map_or(&[][..], Vec::as_slice);
    let wrong = steps.iter().enumerate().find_map(|(index, step)| {
        let wrong = Step::deserialize(step.clone()).err()?;
        Some((index, wrong.message().to_owned()))
    });
    match wrong {
        Some((index, message)) => TomlError::syntax_in(text, "step", index, message),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WATER: &str = r#"
id = "water.pay"
version = 3
title = { zh = "水费缴纳", en = "Water bill" }
hint = { zh = "查询并缴纳自来水费", en = "See and pay" }
scene = "living"
profiles = ["district-hall", "village-point"]
level = "recognised"
offline = "refuse"

[[step]]
do = "query"
id = "bills"
call = "water.bills"
many = true
answer = { bill = "key", address = "text", period = { type = "text", zh = "账期", en = "Period" }, amount = { type = "money", zh = "金额", en = "Amount" }, payee = "text" }
none = { zh = "没有待缴的水费", en = "Nothing to pay" }

[[step]]
do = "choose"
id = "picked"
from = "bills"
title = { zh = "请选择要缴的水费", en = "Choose the bills to pay" }
show = ["period", "amount"]
max = 3

[[step]]
do = "pay"
id = "paid"
items = "picked"
methods = ["card-account", "resident-code"]

[[step]]
do = "print"
id = "receipt"
title = { zh = "缴费凭条", en = "Payment receipt" }
with = ["paid"]
"#;

    #[test]
    fn water_bill_document_is_valid() {
        let document = ServiceDocument::parse(WATER).unwrap();
        assert_eq!(document.steps.len(), 4);
        assert!(document.answer_schema("paid").unwrap().contains_key("payee"));
    }

    /// The line of the first difference.
    fn changed_line(text: &str) -> usize {
        WATER.lines().zip(text.lines()).position(|(old, new)| old != new).map_or(0, |at| at + 1)
    }

    #[test]
    fn invalid_document_is_refused_with_line_and_reason() {
        let cases = [
            (
                "from = \"bills\"",
                "from = \"paid\"",
                "refers to `paid`, which is not an earlier step of the kind query",
            ),
            ("items = \"picked\"", "items = \"bills\"", "not an earlier step of the kind choose"),
            (
                "with = [\"paid\"]",
                "with = [\"receipt\"]",
                "not an earlier step of the kind query, ticket, pay or submit",
            ),
            ("show = [\"period\", \"amount\"]", "show = [\"address\"]", "it declares: amount, period"),
            ("show = [\"period\", \"amount\"]", "show = []", "an empty list"),
            ("max = 3", "max = 0", "where at least 1 is needed"),
            ("id = \"picked\"", "id = \"bills\"", "`bills` is defined twice"),
            ("many = true", "personal = true", "needs `consent` with the id of an earlier consent step"),
            ("many = true", "many = true\nurl = \"http\"", "unknown field `url`, expected one of"),
            ("do = \"pay\"", "do = \"charge\"", "unknown variant `charge`, expected one of"),
            ("call = \"water.bills\"", "call = \"Water Bills\"", "use a-z, 0-9, `.` and `-`"),
            (
                "call = \"water.bills\"",
                "call = \"water.bills\"\nwith = { x = \"bills\" }",
                "of the kind ask, scan or choose",
            ),
            ("level = \"recognised\"", "level = \"high\"", "unknown variant `high`"),
            ("version = 3", "version = three", "invalid"),
            ("offline = \"refuse\"", "offline = \"queue\"", "needs a submit step, and none of query"),
        ];
        for (from, to, expected) in cases {
            let text = WATER.replacen(from, to, 1);
            let error = ServiceDocument::parse(&text).unwrap_err();
            assert_eq!(
                error.position.map(|(line, _)| line),
                Some(changed_line(&text)),
                "{from} → {to}: {error}"
            );
            assert!(error.to_string().contains(expected), "{from} → {to}: {error}");
        }
    }

    #[test]
    fn bills_without_key_amount_or_payee_are_not_paid() {
        for (from, to) in [("bill = \"key\"", "bill = \"text\""), ("payee = \"text\"", "payer = \"text\"")] {
            let error = ServiceDocument::parse(&WATER.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains("one of type money and a text field `payee`"), "{error}");
        }
    }

    const TICKET: &str = r#"
id = "hall.ticket"
version = 1
title = { zh = "取号", en = "Take a number" }
hint = { zh = "在大厅排队", en = "Queue in the hall" }
scene = "hall"
profiles = ["district-hall"]
level = "recognised"
offline = "refuse"

[[step]]
do = "ask"
id = "matter"
title = { zh = "您要办什么？", en = "What is it about?" }
answer = { kind = "choice", options = [
  { value = "A", zh = "社保", en = "Social insurance" },
  { value = "B", zh = "医保", en = "Medical insurance" },
] }

[[step]]
do = "ticket"
id = "ticket"
call = "hall.ticket"
with = { matter = "matter" }
answer = { number = { type = "text", zh = "号码", en = "Number" } }
none = { zh = "今天的号已经取完", en = "No numbers are left today" }

[[step]]
do = "show"
id = "shown"
from = "ticket"
title = { zh = "您的号码", en = "Your number" }
show = ["number"]
"#;

    const OPERATIONS: &str = r#"
[[department]]
id = "hall"
name = { zh = "政务服务中心", en = "Service hall" }

[[operation]]
name = "hall.ticket"
department = "hall"
kind = "ticket"
input = ["matter"]
answer = { number = "text", window = "text" }
"#;

    #[test]
    fn questions_that_nobody_can_answer_are_refused() {
        assert_eq!(ServiceDocument::parse(TICKET).unwrap().steps.len(), 3);
        for answer in [
            r#"{ kind = "choice", options = [{ value = "A", zh = "一", en = "One" }] }"#,
            r#"{ kind = "choice", options = [{ value = "A", zh = "一", en = "One" }, { value = "A", zh = "二", en = "Two" }] }"#,
            r#"{ kind = "digits", min = 0, max = 4 }"#,
            r#"{ kind = "digits", min = 5, max = 4 }"#,
            r#"{ kind = "digits", min = 5, max = 99 }"#,
            r#"{ kind = "yuan", min = 9, max = 8 }"#,
            r#"{ kind = "date", earliest = 1, latest = 0 }"#,
        ] {
            let (head, rest) = TICKET.split_once("answer = {").unwrap();
            let text = format!("{head}answer = {answer}{}", rest.split_once("] }").unwrap().1);
            let error = ServiceDocument::parse(&text).unwrap_err();
            assert!(error.to_string().contains("that nobody can enter"), "{answer}: {error}");
        }
    }

    const SCAN: &str = r#"
id = "water.pay-paper"
version = 1
title = { zh = "扫码缴水费", en = "Water bill by code" }
hint = { zh = "有账单", en = "With the bill" }
scene = "living"
profiles = ["district-hall"]
level = "recognised"
offline = "refuse"

[[step]]
do = "scan"
id = "bill"
title = { zh = "请扫账单上的码", en = "Scan the code on the bill" }
code = { kind = "digits", min = 8, max = 24 }
prefix = "BILL"
typed = true

[[step]]
do = "query"
id = "found"
call = "water.found"
with = { bill = "bill" }
answer = { state = { type = "text", zh = "状态", en = "State" } }
none = { zh = "没有查到", en = "Not found" }
"#;

    #[test]
    fn scan_step_is_an_input_and_keeps_its_defaults() {
        let document = ServiceDocument::parse(SCAN).unwrap();
        assert_eq!(document.steps.len(), 2);
        let plain = SCAN.replace("prefix = \"BILL\"\ntyped = true\n", "");
        let Some(Step::Scan { prefix: None, typed: false, lead: None, .. }) =
            ServiceDocument::parse(&plain).unwrap().steps.into_iter().next()
        else {
            panic!("neither prefix nor lead, and nothing to type");
        };
    }

    #[test]
    fn scan_step_with_a_mistake_names_place_and_reason() {
        let digits = "{ kind = \"digits\", min = 8, max = 24 }";
        for (from, to, place, expected) in [
            (digits, "{ kind = \"digits\", min = 0, max = 9 }", (15, 8), "1 to 24 digits"),
            (digits, "{ kind = \"digits\", min = 9, max = 8 }", (15, 8), "minimum not above the maximum"),
            (digits, "{ kind = \"digits\", min = 9, max = 25 }", (15, 8), "1 to 24 digits"),
            (digits, "{ kind = \"text\", max = 0 }", (15, 8), "a text of 1 to 200 characters"),
            (digits, "{ kind = \"text\", max = 201 }", (15, 8), "a text of 1 to 200 characters"),
            (digits, "{ kind = \"text\", max = 200 }", (17, 9), "needs a code of kind `digits`"),
            ("\"BILL\"", "\"\"", (16, 10), "1 to 64 characters"),
            ("\"BILL\"", "\"A\\u0007\"", (16, 10), "without control characters"),
            ("\"BILL\"", "\" A\"", (16, 10), "no space in front"),
            ("\"BILL\"", "\"YK1:\"", (16, 10), "with which resident codes begin"),
        ] {
            let text = SCAN.replacen(from, to, 1);
            let error = ServiceDocument::parse(&text).unwrap_err();
            assert_eq!(error.position, Some(place), "{to}: {error}");
            assert!(error.to_string().contains(expected), "{to}: {error}");
        }
        let unknown = SCAN.replacen("kind = \"digits\"", "kind = \"number\"", 1);
        let error = ServiceDocument::parse(&unknown).unwrap_err();
        assert!(error.position.is_some() && error.to_string().contains("`digits`"), "{error}");
    }

    #[test]
    fn call_that_does_not_fit_its_operation_is_refused() {
        let operations = Operations::parse(OPERATIONS).unwrap();
        assert_eq!(ServiceDocument::parse(TICKET).unwrap().check_calls(TICKET, &operations), Ok(()));
        for (of_document, from, to, expected) in [
            (
                true,
                "call = \"hall.ticket\"",
                "call = \"hall.tickets\"",
                "there is no operation `hall.tickets`",
            ),
            (true, "number = { type = \"text\"", "number = { type = \"date\"", "it has: number, window"),
            (true, "with = { matter = \"matter\" }", "", "needs as `with` exactly: matter"),
            (
                false,
                "kind = \"ticket\"",
                "kind = \"query\"",
                "is of kind `query`, which a step `ticket` cannot call",
            ),
            (false, "input = [", "level = \"proven\"\ninput = [", "needs a higher `level`"),
        ] {
            let change =
                |text: &str, is_it: bool| if is_it { text.replacen(from, to, 1) } else { text.to_owned() };
            let (document, operations) = (change(TICKET, of_document), change(OPERATIONS, !of_document));
            let operations = Operations::parse(&operations).unwrap();
            let error =
                ServiceDocument::parse(&document).unwrap().check_calls(&document, &operations).unwrap_err();
            assert_eq!(error.position.map(|(line, _)| line), Some(23), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn operations_file_with_a_mistake_names_line_and_reason() {
        let cases = [
            ("department = \"hall\"", "department = \"hal\"", "there is no department `hal`"),
            ("name = \"hall.ticket\"", "name = \"Hall\"", "is not a name"),
            ("kind = \"ticket\"", "kind = \"bills\"", "needs exactly one field of type key"),
            ("kind = \"ticket\"", "kind = \"pay\"", "expected one of"),
            ("input = [\"matter\"]", "timeout-ms = 60000", "a kiosk does not wait longer"),
            ("id = \"hall\"", "id = \"Hall\"", "a department's name is"),
            ("answer = { number = \"text\", window = \"text\" }", "answer = {}", "at least one field"),
        ];
        for (from, to, expected) in cases {
            let text = OPERATIONS.replacen(from, to, 1);
            let error = Operations::parse(&text).unwrap_err();
            assert!(error.to_string().contains(expected), "{from} → {to}: {error}");
            assert!(error.position.is_some(), "{from} → {to}: {error}");
        }
        let twice = format!("{OPERATIONS}{}", OPERATIONS.split_once("\n\n").unwrap().1);
        assert!(Operations::parse(&twice).unwrap_err().to_string().contains("defined twice"));
    }

    proptest! {
        #[test]
        fn mangled_document_does_not_panic(at in 0usize..WATER.len(), with in "\\PC{0,8}") {
            if let (Some(head), Some(tail)) = (WATER.get(..at), WATER.get(at..)) {
                let _ = ServiceDocument::parse(&format!("{head}{with}{tail}"));
            }
        }
    }
}
