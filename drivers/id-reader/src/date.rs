//! Dates and validity periods as written on cards.

use zeroize::Zeroize;

/// An existing day in the Gregorian calendar.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Zeroize)]
#[zeroize(drop)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Parses `YYYYMMDD`, in the years 1800 to 2199; no other form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !citizen_number::is_date(text) {
            return None;
        }
        Some(Self {
            year: text.get(..4)?.parse().ok()?,
            month: text.get(4..6)?.parse().ok()?,
            day: text.get(6..)?.parse().ok()?,
        })
    }

    /// The date as `YYYYMMDD`.
    #[must_use]
    pub fn to_yyyymmdd(&self) -> String {
        format!("{:04}{:02}{:02}", self.year, self.month, self.day)
    }
}

/// End of a card's validity (有效期限).
#[derive(Clone, PartialEq, Eq)]
pub enum Validity {
    /// The last day of validity.
    Until(Date),
    /// Valid without limit (长期).
    LongTerm,
}

impl Validity {
    /// Parses `YYYYMMDD` or 长期.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "长期" { Some(Self::LongTerm) } else { Date::parse(text).map(Self::Until) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn date_parse_rejects_days_that_do_not_exist() {
        assert!(Date::parse("20240229").is_some());
        for wrong in ["20230229", "20241301", "2024022", ""] {
            assert!(Date::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn validity_parse_accepts_date_or_long_term() {
        assert!(Validity::parse("长期") == Some(Validity::LongTerm));
        assert!(Validity::parse("20360601").is_some());
        for wrong in ["长", "长期 ", "long", ""] {
            assert!(Validity::parse(wrong).is_none(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn date_round_trips(text in "(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])") {
            prop_assert_eq!(Date::parse(&text).unwrap().to_yyyymmdd(), text);
        }

        #[test]
        fn date_parse_arbitrary_text_never_panics(text: String) {
            let _ = Date::parse(&text);
            let _ = Validity::parse(&text);
        }
    }
}
