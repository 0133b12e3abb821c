//! Amounts of money in whole fen.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of renminbi in fen (1 yuan = 100 fen). Never negative, never a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Money {
    fen: i64,
}

/// Why a number is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Amounts are never negative.
    #[error("an amount of {0} fen is negative")]
    Negative(i64),
    /// Larger than [`Money::MAX`].
    #[error("an amount of {0} fen is above the limit")]
    TooLarge(i64),
}

impl Money {
    /// Largest amount: 100 million yuan. Keeps every sum of a receipt inside `i64`.
    pub const MAX: Self = Self { fen: 10_000_000_000 };
    /// Nothing.
    pub const ZERO: Self = Self { fen: 0 };

    /// # Errors
    /// When the number is negative or above [`Money::MAX`].
    pub const fn from_fen(fen: i64) -> Result<Self, MoneyError> {
        if fen < 0 {
            Err(MoneyError::Negative(fen))
        } else if fen > Self::MAX.fen {
            Err(MoneyError::TooLarge(fen))
        } else {
            Ok(Self { fen })
        }
    }

    /// The amount in fen.
    #[must_use]
    pub const fn fen(self) -> i64 {
        self.fen
    }

    /// Reads an amount as answers write it: whole fen, decimal digits only.
    #[must_use]
    pub fn from_wire(text: &str) -> Option<Self> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten().and_then(|fen| Self::from_fen(fen).ok())
    }

    /// Sum of amounts; `None` above [`Money::MAX`].
    pub fn sum<I: IntoIterator<Item = Self>>(amounts: I) -> Option<Self> {
        amounts
            .into_iter()
            .try_fold(Self::ZERO, |total, amount| Self::from_fen(total.fen.checked_add(amount.fen)?).ok())
    }
}

impl TryFrom<i64> for Money {
    type Error = MoneyError;
    fn try_from(fen: i64) -> Result<Self, MoneyError> {
        Self::from_fen(fen)
    }
}

impl From<Money> for i64 {
    fn from(money: Money) -> Self {
        money.fen
    }
}

/// `¥1,234.56`, as every screen and receipt shows it.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yuan = (self.fen / 100).to_string();
        f.write_str("¥")?;
        for (at, digit) in yuan.chars().enumerate() {
            if at > 0 && (yuan.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        write!(f, ".{:02}", self.fen % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_with_thousands_and_two_decimals() {
        for (fen, shown) in [
            (0, "¥0.00"),
            (5, "¥0.05"),
            (8640, "¥86.40"),
            (123_456, "¥1,234.56"),
            (100_000_000, "¥1,000,000.00"),
        ] {
            assert_eq!(Money::from_fen(fen).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn negative_and_overlarge_amounts_are_refused() {
        assert_eq!(Money::from_fen(-1), Err(MoneyError::Negative(-1)));
        assert!(Money::from_fen(Money::MAX.fen() + 1).is_err());
        assert!(serde_json::from_str::<Money>("-1").is_err());
        assert!(serde_json::from_str::<Money>("1.5").is_err());
    }

    #[test]
    fn a_sum_above_the_limit_is_none_instead_of_wrapping() {
        assert_eq!(Money::sum([Money::MAX, Money::from_fen(1).unwrap()]), None);
        assert_eq!(Money::sum([]), Some(Money::ZERO));
    }
}
