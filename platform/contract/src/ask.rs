//! What a resident can be asked for.

use serde::{Deserialize, Serialize};

/// Most options of one question: all are on one view.
pub(crate) const OPTIONS_MAX: usize = 8;
/// Most digits of a number that a resident types.
pub(crate) const DIGITS_MAX: u8 = 24;

/// The form of an answer (填写项). What is not of this form cannot be entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum AskedAnswer {
    /// One of some options.
    Choice {
        /// The options, in order.
        options: Vec<AskedOption>,
    },
    /// A number of this many digits, as an account number.
    Digits {
        /// Fewest digits.
        min: u8,
        /// Most digits.
        max: u8,
    },
    /// An amount of money: whole yuan are entered, and the value is in fen, as all money on the wire.
    Yuan {
        /// Least amount in yuan.
        min: u32,
        /// Highest amount in yuan.
        max: u32,
    },
    /// A date.
    Date {
        /// The earliest date, in days from today.
        #[serde(default = "long_ago")]
        earliest: i32,
        /// The latest date, in days from today.
        latest: i32,
    },
    /// 公民身份号码 (GB 11643), its check digit verified at once.
    IdNumber,
    /// A mobile phone number of mainland China: 11 digits that begin with 1.
    PhoneNumber,
}

/// 120 years, in days.
const fn long_ago() -> i32 {
    -43_830
}

/// One option of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedOption {
    /// What the department gets.
    pub value: String,
    /// The option in Chinese.
    pub zh: String,
    /// The option in English.
    pub en: String,
}
