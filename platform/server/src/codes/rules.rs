//! 发码规则: what the city's codes may be used for and how long they live, as configuration.

use std::collections::BTreeMap;

use resident_code::{Capabilities, LIFETIME_MAX};
use serde::Deserialize;

/// Quarters of an hour in an hour: the unit of a certificate's life.
const QUARTERS: u8 = 4;
/// Longest address of a page: with what follows it, a kiosk's screen still shows it as a code of large squares.
const ADDRESS_MAX: usize = 120;

/// Issuing rules, read from TOML; `provisioning/codes.toml` is a set of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuingRules {
    /// Where a phone sends its owner for 实人核验: an address of the trusted identity service.
    pub identity_page: String,
    /// Where a phone opens the page of the code, when it scans what a kiosk shows.
    pub code_page: String,
    /// Names of the capability bits, 0 to 15.
    pub capabilities: BTreeMap<String, u8>,
    /// Codes that a phone shows.
    pub phone: PhoneRules,
    /// Codes on paper.
    pub paper: PaperRules,
    /// The list of those that are no longer accepted.
    pub revocation: RevocationRules,
}

/// Codes that a phone shows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneRules {
    /// Life of a session certificate in hours, at most a day.
    pub certificate_hours: u8,
    /// What the codes of a phone's page may be used for. A page keeps its key less well than a phone's own secure
    /// element, so it is given less.
    pub page_capabilities: Vec<String>,
    /// Most certificates of a phone in a day.
    pub certificates_per_day: u16,
    /// Most online codes of a phone in a minute.
    pub tokens_per_minute: u16,
}

/// Codes on paper.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperRules {
    /// Life in days.
    pub days: u8,
    /// What they may be used for.
    pub capabilities: Vec<String>,
}

/// The list of those that are no longer accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationRules {
    /// A kiosk without a link goes on accepting codes for this long after its last news, in hours.
    pub trusted_hours: u16,
}

/// Why issuing rules are not used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Not TOML of issuing rules.
    #[error("the issuing rules cannot be read")]
    Syntax(#[source] Box<toml::de::Error>),
    /// A bit that a code has no room for, or one with two names.
    #[error("capability `{0}` needs a bit of its own, 0 to 15")]
    Bit(String),
    /// A capability that is not named.
    #[error("capability `{0}` is used and not named under [capabilities]")]
    Unnamed(String),
    /// Lives or limits that would let nobody in, or everybody.
    #[error(
        "a certificate lives 1 to 24 hours, a paper code at least a day, news 1 to 720 hours; limits are not 0"
    )]
    Bounds,
    /// An address that is none, or too long for a code on a screen.
    #[error("`{0}` is not an http or https address of at most {ADDRESS_MAX} characters, without a fragment")]
    Address(&'static str),
}

impl IssuingRules {
    /// Reads and checks issuing rules.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let rules: Self = toml::from_str(text).map_err(|error| RulesError::Syntax(Box::new(error)))?;
        let mut bits = 0_u16;
        for (name, bit) in &rules.capabilities {
            let mask = 1_u16.checked_shl(u32::from(*bit)).filter(|mask| bits & mask == 0);
            bits |= mask.ok_or_else(|| RulesError::Bit(name.clone()))?;
        }
        for name in rules.phone.page_capabilities.iter().chain(&rules.paper.capabilities) {
            if !rules.capabilities.contains_key(name) {
                return Err(RulesError::Unnamed(name.clone()));
            }
        }
        let PhoneRules { certificate_hours, certificates_per_day, tokens_per_minute, .. } = rules.phone;
        let hours_max = LIFETIME_MAX / QUARTERS;
        if !(1..=hours_max).contains(&certificate_hours)
            || certificates_per_day == 0
            || tokens_per_minute == 0
            || rules.paper.days == 0
            || !(1..=720).contains(&rules.revocation.trusted_hours)
        {
            return Err(RulesError::Bounds);
        }
        for (name, page) in [("identity_page", &rules.identity_page), ("code_page", &rules.code_page)] {
            let rest = page.strip_prefix("http://").or_else(|| page.strip_prefix("https://"));
            let is_other = |c: char| c.is_whitespace() || c == '#';
            if page.len() > ADDRESS_MAX || rest.is_none_or(|rest| rest.is_empty() || rest.contains(is_other))
            {
                return Err(RulesError::Address(name));
            }
        }
        Ok(rules)
    }

    /// The bits of these capabilities.
    pub(super) fn bits(&self, names: &[String]) -> Capabilities {
        let bit = |name: &String| self.capabilities.get(name).map_or(0, |bit| 1 << bit);
        Capabilities(names.iter().map(bit).fold(0, |bits, bit| bits | bit))
    }

    /// Life of a session certificate in quarters of an hour.
    pub(super) const fn lifetime(&self) -> u8 {
        self.phone.certificate_hours.saturating_mul(QUARTERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = include_str!("../../../../provisioning/codes.toml");

    #[test]
    fn the_rules_that_come_with_the_platform_are_sound() {
        let rules = IssuingRules::parse(RULES).unwrap();
        assert_eq!(rules.lifetime(), 96);
        assert_eq!(rules.bits(&["identify".into(), "transport".into()]), Capabilities(0b101));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        for (from, to, expected) in [
            ("certificate_hours = 24", "certificate_hours = 25", "Bounds"),
            ("certificate_hours = 24", "certificate_hours = 0", "Bounds"),
            ("days = 60", "days = 0", "Bounds"),
            ("trusted_hours = 72", "trusted_hours = 721", "Bounds"),
            ("medical = 1", "medical = 0", "Bit"),
            ("medical = 1", "medical = 16", "Bit"),
            ("medical = 1", "medicine = 1", "Unnamed"),
            ("http://", "ftp://", "Address"),
            ("/code/", "/code/#a", "Address"),
            ("days = 60", "days = 60\nlevel = 3", "Syntax"),
        ] {
            let text = RULES.replacen(from, to, 1);
            assert_ne!(text, RULES, "{from}");
            let error = format!("{:?}", IssuingRules::parse(&text).unwrap_err());
            assert!(error.starts_with(expected), "{from}: {error}");
        }
    }
}
