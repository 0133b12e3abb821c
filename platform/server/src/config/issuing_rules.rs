//! Issuing rules (发码规则): capabilities and lifetimes of the city's codes, as configuration.

use std::collections::BTreeMap;

use resident_code::{Capabilities, LIFETIME_QUARTERS_MAX};
use serde::Deserialize;

/// Quarters of an hour in an hour; a certificate's lifetime is counted in quarters.
const QUARTERS_PER_HOUR: u8 = 4;
/// Longest URL of a page in bytes: with the pairing secret appended, its QR code still has large modules on a kiosk's
/// screen.
const ADDRESS_MAX: usize = 120;

/// Issuing rules, read from TOML; `provisioning/codes.toml` is an example.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuingRules {
    /// URL of the trusted identity service to which a phone sends its owner for verification (实人核验).
    pub identity_page: String,
    /// URL of the web app, which a phone opens from a pairing code.
    pub code_page: String,
    /// Names of the capability bits, 0 to 15.
    pub capabilities: BTreeMap<String, u8>,
    /// Rules of codes on phones.
    pub phone: PhoneCodeRules,
    /// Rules of paper codes.
    pub paper: PaperCodeRules,
    /// Rules of revocation lists.
    pub revocation: RevocationRules,
}

/// Rules of codes on phones.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneCodeRules {
    /// Lifetime of a session certificate in hours, 1 to 24.
    pub certificate_hours: u8,
    /// Capabilities of codes of the web app. The web app protects its key less well than a phone's secure element, so its
    /// codes get fewer capabilities.
    pub page_capabilities: Vec<String>,
    /// Most session certificates per phone and day.
    pub certificates_per_day: u16,
    /// Most online tokens per phone and minute.
    pub tokens_per_minute: u16,
}

/// Rules of paper codes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperCodeRules {
    /// Lifetime of a paper code in days, at least 1.
    pub days: u8,
    /// Capabilities of paper codes.
    pub capabilities: Vec<String>,
}

/// Rules of revocation lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationRules {
    /// Hours for which a kiosk without a link accepts codes after its last revocation list, 1 to 720.
    pub trusted_hours: u16,
}

/// Why issuing rules are invalid.
#[derive(Debug, thiserror::Error)]
pub enum IssuingRulesError {
    /// The text is not the TOML of issuing rules.
    #[error("cannot parse the issuing rules")]
    Syntax(#[source] Box<toml::de::Error>),
    /// A capability has a bit above 15, or a bit that another capability has.
    #[error("capability `{0}` needs a bit of its own, 0 to 15")]
    Bit(String),
    /// A capability is used but not defined.
    #[error("capability `{0}` is used but not defined under [capabilities]")]
    Unnamed(String),
    /// A lifetime or limit is out of range.
    #[error(
        "certificate_hours must be 1 to 24, days at least 1, trusted_hours 1 to 720, and rate limits above 0"
    )]
    Bounds,
    /// A page's URL is invalid, or too long for a QR code on a screen.
    #[error("`{0}` is not an http or https URL of at most {ADDRESS_MAX} characters without a fragment")]
    Address(&'static str),
}

impl IssuingRules {
    /// Parses and checks issuing rules.
    ///
    /// # Errors
    /// [`IssuingRulesError`].
    pub fn parse(text: &str) -> Result<Self, IssuingRulesError> {
        let rules: Self = toml::from_str(text).map_err(|error| IssuingRulesError::Syntax(Box::new(error)))?;
        let mut bits = 0_u16;
        for (name, bit) in &rules.capabilities {
            let mask = 1_u16.checked_shl(u32::from(*bit)).filter(|mask| bits & mask == 0);
            bits |= mask.ok_or_else(|| IssuingRulesError::Bit(name.clone()))?;
        }
        for name in rules.phone.page_capabilities.iter().chain(&rules.paper.capabilities) {
            if !rules.capabilities.contains_key(name) {
                return Err(IssuingRulesError::Unnamed(name.clone()));
            }
        }
        let PhoneCodeRules { certificate_hours, certificates_per_day, tokens_per_minute, .. } = rules.phone;
        let hours_max = LIFETIME_QUARTERS_MAX / QUARTERS_PER_HOUR;
        if !(1..=hours_max).contains(&certificate_hours)
            || certificates_per_day == 0
            || tokens_per_minute == 0
            || rules.paper.days == 0
            || !(1..=720).contains(&rules.revocation.trusted_hours)
        {
            return Err(IssuingRulesError::Bounds);
        }
        for (name, page) in [("identity_page", &rules.identity_page), ("code_page", &rules.code_page)] {
            let rest = page.strip_prefix("http://").or_else(|| page.strip_prefix("https://"));
            let is_other = |c: char| c.is_whitespace() || c == '#';
            if page.len() > ADDRESS_MAX || rest.is_none_or(|rest| rest.is_empty() || rest.contains(is_other))
            {
                return Err(IssuingRulesError::Address(name));
            }
        }
        Ok(rules)
    }

    /// Capability bits of these names.
    pub(crate) fn capability_bits(&self, names: &[String]) -> Capabilities {
        let bit = |name: &String| self.capabilities.get(name).map_or(0, |bit| 1 << bit);
        Capabilities(names.iter().map(bit).fold(0, |bits, bit| bits | bit))
    }

    /// Lifetime of a session certificate in quarters of an hour.
    pub(crate) const fn certificate_lifetime(&self) -> u8 {
        self.phone.certificate_hours.saturating_mul(QUARTERS_PER_HOUR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = include_str!("../../../../provisioning/codes.toml");

    #[test]
    fn provisioned_issuing_rules_are_valid() {
        let rules = IssuingRules::parse(RULES).unwrap();
        assert_eq!(rules.certificate_lifetime(), 96);
        assert_eq!(rules.capability_bits(&["identify".into(), "transport".into()]), Capabilities(0b101));
    }

    #[test]
    fn issuing_rules_out_of_range_are_refused() {
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
