//! The operations that the platform answers itself: what it knows of a resident's card, codes, consents and uses, and the lists that
//! it makes of departments' answers.
//!
//! This is the one place that declares them. Documents that call them are checked like those that call a department
//! ([`Operations::check`](crate::Operations::check)), and the platform checks each call against the same declaration.

use crate::answer_schema::AnswerFieldType;
use crate::evidence::Level;
use crate::operation::OperationKind;

use AnswerFieldType::{Date, Key, Text};

/// An operation of the platform itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformOperation {
    /// The licences that the resident holds (我的证照).
    MyLicences,
    /// One kind of licence that was chosen from them.
    ChosenLicence,
    /// Pairing a phone for resident codes (开通渝快码).
    PhonePairing,
    /// What the resident has submitted to departments, and its state (我的办件).
    MySubmissions,
    /// Who the resident is, masked, with the state of card and codes (我的身份信息).
    MyIdentity,
    /// The state of each card and code, and since when (卡与码状态).
    CredentialStates,
    /// The codes that can be stopped: of the bound phone, and on paper.
    StoppableCodes,
    /// Stops one of them (停用渝快码).
    StopCode,
    /// The consents that are in effect (我的授权).
    ConsentsInEffect,
    /// Withdraws one of them (撤回授权).
    WithdrawConsent,
    /// Where the resident's code was used (渝快码使用记录).
    CodeUses,
    /// Reports a use that the resident does not know (不是我用的).
    ReportUse,
    /// Leads on to stopping the code after such a report, if the resident wants it.
    AfterReport,
}

/// What an operation of the platform needs and gives.
#[derive(Clone, Copy, Debug)]
pub struct PlatformOperationDeclaration {
    /// The name that service documents call.
    pub name: &'static str,
    /// What it does: gives rows (`query`), or does something once (`ticket`).
    pub kind: OperationKind,
    /// Minimum level of the visit, which a service document cannot lower.
    pub level: Level,
    /// The answer is another organisation's record about the resident, which needs a consent (I4).
    ///
    /// What the platform itself keeps needs none: nothing is fetched or passed on, its holder reads it, and a consent to read
    /// one's own consents would be one more consent to list.
    pub personal: bool,
    /// Names of what the resident must have entered or chosen.
    pub input: &'static [&'static str],
    /// The fields of each row.
    pub answer: &'static [(&'static str, AnswerFieldType)],
}

const fn query(
    name: &'static str,
    level: Level,
    input: &'static [&'static str],
    answer: &'static [(&'static str, AnswerFieldType)],
) -> PlatformOperationDeclaration {
    PlatformOperationDeclaration { name, kind: OperationKind::Query, level, personal: false, input, answer }
}

const fn act(
    name: &'static str,
    input: &'static [&'static str],
    answer: &'static [(&'static str, AnswerFieldType)],
) -> PlatformOperationDeclaration {
    // A stranger with a found card must neither stop the codes of its holder nor end a consent.
    let level = Level::Proven;
    PlatformOperationDeclaration { name, kind: OperationKind::Ticket, level, personal: false, input, answer }
}

impl PlatformOperation {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::MyLicences,
        Self::ChosenLicence,
        Self::PhonePairing,
        Self::MySubmissions,
        Self::MyIdentity,
        Self::CredentialStates,
        Self::StoppableCodes,
        Self::StopCode,
        Self::ConsentsInEffect,
        Self::WithdrawConsent,
        Self::CodeUses,
        Self::ReportUse,
        Self::AfterReport,
    ];

    /// The operation with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.declaration().name == name)
    }

    /// What it needs and gives.
    ///
    /// Level: what is masked and harmless in the hands of who found a card is given to a recognised visit. Where a resident has
    /// been, whom they gave their data, and every act need a proven one: so does binding a phone, lest a photographed code or a found
    /// card bind a phone to another person.
    #[must_use]
    pub const fn declaration(self) -> PlatformOperationDeclaration {
        use Level::{Proven, Recognised};
        match self {
            Self::MyLicences => PlatformOperationDeclaration {
                personal: true,
                ..query(
                    "licences.mine",
                    Recognised,
                    &[],
                    &[
                        ("licence", Key),
                        ("title", Text),
                        ("issuer", Text),
                        ("standing", Text),
                        ("validity", Text),
                    ],
                )
            },
            Self::ChosenLicence => PlatformOperationDeclaration {
                personal: true,
                ..query("licences.show", Recognised, &["licence"], &[("entry", Text)])
            },
            Self::PhonePairing => query("phone.pairing", Proven, &[], &[("code", Key)]),
            Self::MySubmissions => query(
                "submissions.mine",
                Recognised,
                &[],
                &[
                    ("matter", Text),
                    ("number", Text),
                    ("case", Text),
                    ("state", Text),
                    ("words", Text),
                    ("date", Date),
                ],
            ),
            Self::MyIdentity => query(
                "identity.mine",
                Recognised,
                &[],
                &[
                    ("name", Text),
                    ("number", Text),
                    ("card", Text),
                    ("card-state", Text),
                    ("phone-state", Text),
                    ("paper-state", Text),
                ],
            ),
            Self::CredentialStates => query(
                "identity.states",
                Recognised,
                &[],
                &[("what", Text), ("state", Text), ("since", Text), ("remark", Text)],
            ),
            Self::StoppableCodes => query(
                "identity.codes",
                Proven,
                &[],
                &[("medium", Key), ("what", Text), ("since", Text), ("effect", Text)],
            ),
            Self::StopCode => act(
                "identity.stop-code",
                &["medium", "decision"],
                &[("what", Text), ("state", Text), ("date", Date), ("remark", Text)],
            ),
            Self::ConsentsInEffect => query(
                "identity.consents",
                Proven,
                &[],
                &[("consent", Key), ("recipient", Text), ("what", Text), ("purpose", Text), ("until", Date)],
            ),
            Self::WithdrawConsent => act(
                "identity.withdraw-consent",
                &["consent", "decision"],
                &[("recipient", Text), ("what", Text), ("state", Text), ("date", Date)],
            ),
            Self::CodeUses => query(
                "identity.uses",
                Proven,
                &[],
                &[
                    ("use", Key),
                    ("place", Text),
                    ("purpose", Text),
                    ("date", Date),
                    ("time", Text),
                    ("remark", Text),
                ],
            ),
            Self::ReportUse => act(
                "identity.report-use",
                &["use"],
                &[("number", Text), ("place", Text), ("date", Date), ("remark", Text)],
            ),
            Self::AfterReport => query("identity.after-report", Proven, &["decision"], &[("remark", Text)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::operation::{Operations, is_name};
    use crate::service::ServiceDocument;

    const WITHDRAW: &str = include_str!("../../../assets/services/identity-consent-withdraw.toml");

    #[test]
    fn declarations_have_names_of_their_own_and_answers() {
        let names: BTreeSet<&str> = PlatformOperation::ALL.iter().map(|one| one.declaration().name).collect();
        assert_eq!(names.len(), PlatformOperation::ALL.len());
        for operation in PlatformOperation::ALL {
            let PlatformOperationDeclaration { name, input, answer, .. } = operation.declaration();
            assert_eq!(PlatformOperation::from_name(name), Some(operation));
            let mut texts = input.iter().chain(answer.iter().map(|(field, _)| field)).chain([&name]);
            assert!(!answer.is_empty() && texts.all(|text| is_name(text)), "{name}");
        }
    }

    #[test]
    fn call_of_the_platform_that_does_not_fit_is_refused() {
        let none = Operations::default();
        assert_eq!(ServiceDocument::parse(WITHDRAW).unwrap().check_calls(WITHDRAW, &none), Ok(()));
        for (from, to, expected) in [
            ("identity.withdraw-consent", "identity.withdraw", "there is no operation `identity.withdraw`"),
            (
                "identity.withdraw-consent",
                "identity.uses",
                "is of kind `query`, which a step `ticket` cannot call",
            ),
            (", decision = \"decided\" }", " }", "needs as `with` exactly: consent, decision"),
            ("level = \"proven\"", "level = \"recognised\"", "needs a higher `level`"),
            ("until = { type = \"date\"", "until = { type = \"text\"", "has no field `until` of this type"),
        ] {
            assert!(WITHDRAW.contains(from), "{from}");
            let text = WITHDRAW.replacen(from, to, 1);
            let error = ServiceDocument::parse(&text).unwrap().check_calls(&text, &none).unwrap_err();
            assert!(error.position.is_some() && error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn department_cannot_take_an_operation_of_the_platform() {
        let text = r#"
[[department]]
id = "hall"
name = { zh = "政务服务中心", en = "Service hall" }

[[operation]]
name = "identity.uses"
department = "hall"
kind = "query"
answer = { place = "text" }
"#;
        let error = Operations::parse(text).unwrap_err();
        assert!(error.to_string().contains("the platform itself answers `identity.uses`"), "{error}");
    }
}
