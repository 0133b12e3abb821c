//! Service documents: the queries, views, charges and prints of a service, as data.
//!
//! A document is a list of steps. References name *earlier* steps; there are no expressions, no
//! arithmetic (the platform signs amounts) and no conditions: the only branches are the platform's, an
//! empty answer ([`Step::Query`]'s `none`) or an answer that names the next service. A document is checked when
//! it is signed and again when it is loaded, so that the interpreter only runs valid documents.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::answer_schema::{AnswerField, AnswerFieldType, AnswerSchema};
use crate::bilingual::Bilingual;
use crate::evidence::Level;
use crate::step::Step;

/// Maximum size in bytes of a document that is parsed.
const TEXT_MAX: usize = 64 * 1024;
/// Maximum number of steps of a service, so that the step bar stays readable.
const STEPS_MAX: usize = 12;

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
    /// The level that the service needs.
    pub level: Level,
    /// Behaviour when the platform cannot be reached.
    pub offline: OfflinePolicy,
    /// The steps, in order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

/// Why a service document is neither signed nor loaded.
#[derive(Debug, thiserror::Error)]
pub enum ServiceDocumentError {
    /// Longer than the limit.
    #[error("the service document has {0} bytes, at most {TEXT_MAX} are accepted")]
    TooLong(usize),
    /// Not the TOML of a service document.
    #[error("the service document is not valid TOML of a service")]
    Syntax(#[source] Box<toml::de::Error>),
    /// An identifier has other characters than `a–z 0–9 . -`.
    #[error("`{0}` is not a name: use a-z, 0-9, `.` and `-`")]
    Name(String),
    /// No step, or more than the step bar can show.
    #[error("a service has 1 to {STEPS_MAX} steps, this one has {0}")]
    Steps(usize),
    /// Two steps have the same name.
    #[error("step `{0}` is defined twice")]
    Twice(String),
    /// A reference to a step that is not earlier or not of the right kind.
    #[error("step `{step}` refers to `{to}`, which is not an earlier step of the right kind")]
    Reference {
        /// The step.
        step: String,
        /// The name to which it refers.
        to: String,
    },
    /// A shown field is not declared with a label.
    #[error("step `{step}` shows `{field}`, which its query does not declare with a label")]
    Field {
        /// The step.
        step: String,
        /// The field.
        field: String,
    },
    /// The field that is shown as a code is not of type `key` in its query.
    #[error("step `{step}` shows `{field}` as a code, which its query does not declare as a key")]
    NotAKey {
        /// The step.
        step: String,
        /// The field.
        field: String,
    },
    /// The rows to pay lack a key, a payee or an amount.
    #[error("step `{0}` pays rows that need exactly one key, one money field and a text field `payee`")]
    Unpayable(String),
    /// A personal record is fetched without consent.
    #[error("step `{0}` fetches a personal record without an earlier consent")]
    NoConsent(String),
    /// A list that must not be empty is empty.
    #[error("step `{0}` has an empty list")]
    Empty(String),
}

impl ServiceDocument {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// When the text is not the TOML of a service document, or a check fails.
    pub fn parse(text: &str) -> Result<Self, ServiceDocumentError> {
        if text.len() > TEXT_MAX {
            return Err(ServiceDocumentError::TooLong(text.len()));
        }
        let document: Self = toml::from_str(text).map_err(|e| ServiceDocumentError::Syntax(Box::new(e)))?;
        document.check()?;
        Ok(document)
    }

    /// The declared answer of the query behind a step: the step itself, or the query that it shows, chooses from or
    /// charges.
    #[must_use]
    pub fn answer_schema(&self, step: &str) -> Option<&AnswerSchema> {
        self.steps.iter().find(|s| s.id() == step).and_then(|found| match found {
            Step::Query { answer, .. } => Some(answer),
            Step::Show { from, .. } | Step::Choose { from, .. } => self.answer_schema(from),
            Step::Pay { items, .. } => self.answer_schema(items),
            Step::Consent { .. } | Step::ShowCode { .. } | Step::ChangePin { .. } | Step::Print { .. } => {
                None
            }
        })
    }

    fn check(&self) -> Result<(), ServiceDocumentError> {
        check_name(&self.id)?;
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            return Err(ServiceDocumentError::Steps(self.steps.len()));
        }
        let mut earlier: BTreeMap<&str, &Step> = BTreeMap::new();
        for step in &self.steps {
            check_name(step.id())?;
            self.check_step(step, &earlier)?;
            if earlier.insert(step.id(), step).is_some() {
                return Err(ServiceDocumentError::Twice(step.id().to_owned()));
            }
        }
        Ok(())
    }

    fn check_step(&self, step: &Step, earlier: &BTreeMap<&str, &Step>) -> Result<(), ServiceDocumentError> {
        let own = step.id().to_owned();
        let reference = |to: &str| ServiceDocumentError::Reference { step: own.clone(), to: to.to_owned() };
        let query = |to: &str| match earlier.get(to) {
            Some(Step::Query { answer, .. }) => Ok(answer),
            _ => Err(reference(to)),
        };
        match step {
            Step::Consent { items, .. } => check_non_empty(items, &own),
            Step::ChangePin { .. } => Ok(()),
            Step::Query { call, consent, personal, answer, .. } => {
                check_name(call)?;
                match consent {
                    Some(to) if !matches!(earlier.get(to.as_str()), Some(Step::Consent { .. })) => {
                        return Err(reference(to));
                    }
                    None if *personal => return Err(ServiceDocumentError::NoConsent(own)),
                    Some(_) | None => {}
                }
                answer.keys().try_for_each(|field| check_name(field))
            }
            Step::Show { from, show, .. } => check_shown_fields(&own, query(from)?, show),
            Step::ShowCode { from, field, steps, .. } => {
                if query(from)?.get(field).map(AnswerField::kind) != Some(AnswerFieldType::Key) {
                    return Err(ServiceDocumentError::NotAKey { step: own, field: field.clone() });
                }
                check_non_empty(steps, &own)
            }
            Step::Choose { from, show, max, .. } => {
                if *max == 0 {
                    return Err(ServiceDocumentError::Empty(own));
                }
                check_shown_fields(&own, query(from)?, show)
            }
            Step::Pay { items, methods, .. } => {
                let Some(Step::Choose { from, .. }) = earlier.get(items.as_str()) else {
                    return Err(reference(items));
                };
                if !is_payable(query(from)?) {
                    return Err(ServiceDocumentError::Unpayable(own));
                }
                check_non_empty(methods, &own)
            }
            Step::Print { with, show, .. } => {
                check_non_empty(with, &own)?;
                let mut fields = BTreeSet::new();
                for to in with {
                    match earlier.get(to.as_str()) {
                        Some(Step::Pay { .. }) => {}
                        Some(Step::Query { answer, .. }) => {
                            fields.extend(labelled_fields(answer));
                        }
                        _ => return Err(reference(to)),
                    }
                }
                match show.iter().find(|field| !fields.contains(field.as_str())) {
                    Some(field) => Err(ServiceDocumentError::Field { step: own, field: field.clone() }),
                    None => Ok(()),
                }
            }
        }
    }
}

fn labelled_fields(answer: &AnswerSchema) -> impl Iterator<Item = &str> {
    answer
        .iter()
        .filter(|(_, field)| matches!(field, AnswerField::Labelled(_)))
        .map(|(name, _)| name.as_str())
}

fn check_shown_fields(
    step: &str,
    answer: &AnswerSchema,
    show: &[String],
) -> Result<(), ServiceDocumentError> {
    check_non_empty(show, step)?;
    match show.iter().find(|field| !matches!(answer.get(*field), Some(AnswerField::Labelled(_)))) {
        Some(field) => Err(ServiceDocumentError::Field { step: step.to_owned(), field: field.clone() }),
        None => Ok(()),
    }
}

fn is_payable(answer: &AnswerSchema) -> bool {
    let count = |kind| answer.values().filter(|field| field.kind() == kind).count();
    let payee = answer.get("payee").map(AnswerField::kind);
    count(AnswerFieldType::Key) == 1
        && count(AnswerFieldType::Money) == 1
        && payee == Some(AnswerFieldType::Text)
}

fn check_non_empty<T>(list: &[T], step: &str) -> Result<(), ServiceDocumentError> {
    if list.is_empty() { Err(ServiceDocumentError::Empty(step.to_owned())) } else { Ok(()) }
}

fn check_name(text: &str) -> Result<(), ServiceDocumentError> {
    let allowed = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'));
    if text.is_empty() || text.len() > 64 || !allowed {
        return Err(ServiceDocumentError::Name(text.to_owned()));
    }
    Ok(())
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

    #[test]
    fn invalid_document_is_refused_with_its_reason() {
        let cases = [
            ("from = \"bills\"", "from = \"paid\"", "Reference"),
            ("items = \"picked\"", "items = \"bills\"", "Reference"),
            ("with = [\"paid\"]", "with = [\"receipt\"]", "Reference"),
            ("show = [\"period\", \"amount\"]", "show = [\"address\"]", "Field"),
            ("show = [\"period\", \"amount\"]", "show = []", "Empty"),
            ("bill = \"key\"", "bill = \"text\"", "Unpayable"),
            ("payee = \"text\"", "payer = \"text\"", "Unpayable"),
            ("id = \"picked\"", "id = \"bills\"", "Twice"),
            ("many = true", "personal = true", "NoConsent"),
            ("many = true", "many = true\nurl = \"http\"", "Syntax"),
            ("call = \"water.bills\"", "call = \"Water Bills\"", "Name"),
        ];
        for (from, to, expected) in cases {
            let text = WATER.replacen(from, to, 1);
            assert_ne!(text, WATER, "{from}");
            let error = format!("{:?}", ServiceDocument::parse(&text).unwrap_err());
            assert!(error.starts_with(expected), "{from} → {to}: {error}");
        }
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
