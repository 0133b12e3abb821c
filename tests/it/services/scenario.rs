//! Scenario files: what a resident does with a service, and what they see.

use std::collections::BTreeSet;

use serde::Deserialize;

/// The scenario of one service.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) service: String,
    #[serde(rename = "visit")]
    pub(crate) visits: Vec<Visit>,
}

/// One visit of one resident.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Visit {
    /// Id in `assets/residents.toml`.
    pub(crate) resident: String,
    pub(crate) sign_in: SignIn,
    /// Another service than that of the file: it shows what was changed.
    pub(crate) service: Option<String>,
    /// What the resident did with a phone just before.
    pub(crate) phone: Option<PhoneUse>,
    steps: Vec<String>,
}

/// How the resident signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SignIn {
    /// By a card, without its PIN.
    Card,
    /// By a card, and its PIN where the service asks for it.
    CardPin,
    /// By the code on a phone.
    Code,
}

/// What a resident did with a phone before a visit. Each also does what those above it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PhoneUse {
    /// Bound a phone, in the place of one that was bound before.
    Bound,
    /// Showed its code to the pharmacy, a relying party, which verified it.
    Verified,
    /// Agreed that the pharmacy may ask for 30 days whether the resident is insured.
    Agreed,
}

/// One step of a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// This text is to be on the view.
    See(String),
    /// Touches the row, option or tile with this number, from 1.
    Row(usize),
    /// Touches the primary action.
    Go,
    /// Touches the other action.
    Other,
    /// Types this, key by key.
    Type(String),
    /// Holds a code with this text to the code reader.
    Scan(String),
    /// Holds the own resident code to the code reader.
    ScanResidentCode,
    /// A paper with this text has been printed in this visit.
    Paper(String),
    Back,
    Home,
}

impl Scenario {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        scenario.visits.iter().try_for_each(|visit| visit.acts().map(drop))?;
        Ok(scenario)
    }

    pub(crate) fn service_of<'a>(&'a self, visit: &'a Visit) -> &'a str {
        visit.service.as_deref().unwrap_or(&self.service)
    }

    /// All services of the scenario.
    pub(crate) fn services(&self) -> BTreeSet<&str> {
        self.visits.iter().map(|visit| self.service_of(visit)).collect()
    }
}

impl Visit {
    pub(crate) fn acts(&self) -> Result<Vec<Act>, String> {
        self.steps.iter().map(|step| act(step)).collect()
    }
}

fn act(step: &str) -> Result<Act, String> {
    let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
    let text = || Ok(with_dates(rest, false));
    match (word, rest) {
        ("go", "") => Ok(Act::Go),
        ("other", "") => Ok(Act::Other),
        ("back", "") => Ok(Act::Back),
        ("home", "") => Ok(Act::Home),
        (_, "") => Err(format!("`{step}` is no step: it needs a text or a number")),
        ("see", _) => text().map(Act::See),
        ("see-date", _) => Ok(Act::See(with_dates(rest, true))),
        ("scan", "$resident-code") => Ok(Act::ScanResidentCode),
        ("scan", _) => text().map(Act::Scan),
        ("paper", _) => text().map(Act::Paper),
        ("type", _) => Ok(Act::Type(with_dates(rest, false).replace('-', ""))),
        ("row", number) => match number.parse() {
            Ok(number @ 1..) => Ok(Act::Row(number)),
            _ => Err(format!("`{step}` needs the number of a row, from 1")),
        },
        _ => {
            Err(format!("`{step}` is no step: see, see-date, row, go, other, type, scan, paper, back, home"))
        }
    }
}

/// Replaces `$today` and `$today±Nd` by the date of the scenario's world, as a department writes it or as a view shows it.
fn with_dates(text: &str, is_shown: bool) -> String {
    let Some((before, rest)) = text.split_once("$today") else { return text.to_owned() };
    let length = rest.strip_prefix(['+', '-']).and_then(|days| days.find('d')).map_or(0, |at| at + 2);
    let (offset, after) = rest.split_at(length);
    let days: i64 = offset.trim_end_matches('d').parse().unwrap_or(0);
    let date = super::player::TODAY.checked_add(jiff::Span::new().days(days)).unwrap();
    let date = if is_shown {
        format!("{}年{}月{}日", date.year(), date.month(), date.day())
    } else {
        date.to_string()
    };
    format!("{before}{date}{}", with_dates(after, is_shown))
}

#[test]
fn steps_are_read_and_others_refused() {
    assert_eq!(act("see 已付款"), Ok(Act::See("已付款".into())));
    assert_eq!(act("row 2"), Ok(Act::Row(2)));
    assert_eq!(act("see-date $today+1d 上午"), Ok(Act::See("2026年12月2日 上午".into())));
    assert_eq!(act("type $today-1d"), Ok(Act::Type("20261130".into())));
    assert_eq!(act("scan RQ2088"), Ok(Act::Scan("RQ2088".into())));
    assert_eq!(act("scan $resident-code"), Ok(Act::ScanResidentCode));
    for step in ["touch", "see", "scan", "other one", "row 0", "row x", "go on", "wait 3"] {
        assert!(act(step).is_err(), "{step}");
    }
}
