//! A licence as the library gives it: its state today, and its items.

use std::collections::BTreeMap;

use contract::{AnswerFieldType, AnswerRow, LicenceKind, LicenceValidity};

/// What the library writes as the end of a licence that does not end.
const LONG_TERM: &str = "long-term";

/// State of a licence today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is valid, and may be given and shown.
    InForce,
    /// Its first day is yet to come.
    NotYet,
    /// Its last day is over.
    Ended,
    /// The authority has suspended it.
    Suspended,
    /// The authority has revoked it.
    Revoked,
}

impl Standing {
    /// The state as its holder reads it, in Chinese and in English.
    pub(crate) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::InForce => ("有效", "valid"),
            Self::NotYet => ("尚未生效", "not valid yet"),
            Self::Ended => ("已过期", "expired"),
            Self::Suspended => ("已暂停使用", "suspended"),
            Self::Revoked => ("已注销", "revoked"),
        }
    }
}

/// State and period of a licence.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct LicenceState {
    pub(crate) standing: Standing,
    /// First day, `YYYY-MM-DD`.
    pub(crate) since: String,
    /// Last day, `YYYY-MM-DD`; `None`: it does not end.
    pub(crate) last_day: Option<String>,
}

impl LicenceState {
    /// Reads the fields `status`, `since` and `until`; `None` when they contradict each other or the kind.
    fn from_row(kind: &LicenceKind, row: &AnswerRow, today: &str) -> Option<Self> {
        let since = row.get("since").filter(|day| is_day(day))?.clone();
        let last_day = match row.get("until")?.as_str() {
            LONG_TERM => None,
            day if is_day(day) && *day >= *since => Some(day.to_owned()),
            _ => return None,
        };
        let fits = match kind.validity {
            LicenceValidity::Dated => last_day.is_some(),
            LicenceValidity::LongTerm => last_day.is_none(),
            LicenceValidity::Either => true,
        };
        if !fits {
            return None;
        }
        let standing = match row.get("status")?.as_str() {
            "revoked" => Standing::Revoked,
            "suspended" => Standing::Suspended,
            "in-force" if today < since.as_str() => Standing::NotYet,
            "in-force" if last_day.as_deref().is_some_and(|day| day < today) => Standing::Ended,
            "in-force" => Standing::InForce,
            _ => return None,
        };
        Some(Self { standing, since, last_day })
    }

    /// The period as its holder reads it.
    pub(crate) fn period(&self) -> String {
        match &self.last_day {
            Some(day) => format!("{} 至 {day}", self.since),
            None => format!("{} 起长期有效", self.since),
        }
    }
}

/// `YYYY-MM-DD` of a day that exists: such texts are in the order of their days.
fn is_day(text: &str) -> bool {
    text.len() == 10 && AnswerFieldType::Date.accepts(text)
}

/// A licence with its items. No `Debug`: personal data.
pub(crate) struct HeldLicence {
    pub(crate) state: LicenceState,
    /// Value by name of item.
    pub(crate) items: BTreeMap<String, String>,
}

impl HeldLicence {
    /// A row of the answer of the kind's operation; `None` when it is not one of this kind.
    pub(crate) fn from_row(kind: &LicenceKind, mut row: AnswerRow, today: &str) -> Option<Self> {
        let state = LicenceState::from_row(kind, &row, today)?;
        let items = kind.items.iter().map(|item| row.remove_entry(&item.name)).collect::<Option<_>>()?;
        Some(Self { state, items })
    }
}

/// A licence in the list of those that a resident holds.
#[derive(Clone)]
pub(crate) struct ListedLicence {
    /// Id of its kind.
    pub(crate) kind: String,
    pub(crate) state: LicenceState,
}

impl ListedLicence {
    /// A row of the list; `None` when it contradicts the kind.
    pub(crate) fn from_row(kind: &LicenceKind, row: &AnswerRow, today: &str) -> Option<Self> {
        Some(Self { kind: kind.id.clone(), state: LicenceState::from_row(kind, row, today)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: &str = "2026-11-24";

    fn kind(validity: &str) -> LicenceKind {
        LicenceKind::parse(&format!(
            "id = \"permit\"\ntitle = {{ zh = \"证\", en = \"P\" }}\nissuer = {{ zh = \"局\", en = \"B\" }}\n\
             trust = \"A\"\nvalidity = \"{validity}\"\nwatermark = [\"purpose\"]\n\
             [[item]]\nname = \"boat\"\ntitle = {{ zh = \"船号\", en = \"Boat\" }}\nmask = \"none\"\n"
        ))
        .unwrap()
    }

    fn row(status: &str, since: &str, until: &str) -> AnswerRow {
        [("status", status), ("since", since), ("until", until), ("boat", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn standing_follows_status_and_period() {
        for (status, since, until, expected) in [
            ("in-force", "2020-01-01", "2026-11-24", Standing::InForce),
            ("in-force", "2026-11-24", "2026-11-24", Standing::InForce),
            ("in-force", "2020-01-01", "2026-11-23", Standing::Ended),
            ("in-force", "2026-11-25", "2027-11-24", Standing::NotYet),
            ("in-force", "2020-01-01", "long-term", Standing::InForce),
            ("revoked", "2020-01-01", "long-term", Standing::Revoked),
            ("revoked", "2020-01-01", "2021-01-01", Standing::Revoked),
            ("suspended", "2020-01-01", "2036-01-01", Standing::Suspended),
        ] {
            let held = HeldLicence::from_row(&kind("either"), row(status, since, until), TODAY);
            assert_eq!(held.map(|held| held.state.standing), Some(expected), "{status} {since} {until}");
        }
    }

    #[test]
    fn row_that_contradicts_itself_or_its_kind_is_no_licence() {
        for (validity, status, since, until) in [
            ("either", "valid", "2020-01-01", "long-term"),
            ("either", "in-force", "2020-01", "long-term"),
            ("either", "in-force", "2020-01-01", ""),
            ("either", "in-force", "2020-01-01", "2019-12-31"),
            ("either", "in-force", "2020-01-01", "2026-02-30"),
            ("dated", "in-force", "2020-01-01", "long-term"),
            ("long-term", "in-force", "2020-01-01", "2036-01-01"),
        ] {
            let held = HeldLicence::from_row(&kind(validity), row(status, since, until), TODAY);
            assert!(held.is_none(), "{validity} {status} {since} {until}");
        }
        let mut without = row("in-force", "2020-01-01", "long-term");
        without.remove("boat");
        assert!(HeldLicence::from_row(&kind("either"), without, TODAY).is_none());
    }
}
