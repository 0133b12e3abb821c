//! The data that a reader returns for one card.

use zeroize::Zeroizing;

use crate::date::{Date, Validity};

/// The text of one card, parsed. No `Debug` and no `Serialize`: all of it is personal. Wiped on drop.
#[derive(PartialEq, Eq)]
pub enum IdCard {
    /// Resident identity card (居民身份证).
    Resident(CitizenIdCard),
    /// Residence permit for residents of Hong Kong, Macau and Taiwan (港澳台居民居住证).
    Permit(ResidencePermit),
    /// Foreigner's permanent residence card (外国人永久居留身份证), issued from 2017.
    Foreigner2017(Foreigner2017),
    /// Foreigner's permanent residence card, issued from December 2023.
    Foreigner2023(Foreigner2023),
}

impl IdCard {
    /// The holder's number.
    #[must_use]
    pub fn number(&self) -> &str {
        match self {
            Self::Resident(card) => &card.number,
            Self::Permit(card) => &card.number,
            Self::Foreigner2017(card) => &card.number,
            Self::Foreigner2023(card) => &card.number,
        }
    }

    /// The holder's name: the Chinese name if the card has one, else the English name.
    #[must_use]
    pub fn name(&self) -> &str {
        let (chinese, english) = match self {
            Self::Resident(card) => return &card.name,
            Self::Permit(card) => return &card.name,
            Self::Foreigner2017(card) => (&card.chinese_name, &card.english_name),
            Self::Foreigner2023(card) => (&card.chinese_name, &card.english_name),
        };
        if chinese.is_empty() { english } else { chinese }
    }

    /// The end of the card's validity.
    #[must_use]
    pub const fn valid_to(&self) -> &Validity {
        match self {
            Self::Resident(card) => &card.valid_to,
            Self::Permit(card) => &card.valid_to,
            Self::Foreigner2017(card) => &card.valid_to,
            Self::Foreigner2023(card) => &card.valid_to,
        }
    }
}

/// Text of a resident identity card (居民身份证).
#[derive(PartialEq, Eq)]
pub struct CitizenIdCard {
    /// 姓名.
    pub name: Zeroizing<String>,
    /// 性别.
    pub sex: Sex,
    /// Ethnic group (民族), two digits of GB/T 3304.
    pub nation: String,
    /// 出生日期.
    pub birth: Date,
    /// 住址.
    pub address: Zeroizing<String>,
    /// Citizen number (公民身份号码).
    pub number: Zeroizing<String>,
    /// 签发机关.
    pub issuer: String,
    /// 有效期限, its first day.
    pub valid_from: Date,
    /// 有效期限, its end.
    pub valid_to: Validity,
}

/// Text of a residence permit for residents of Hong Kong, Macau and Taiwan (港澳台居民居住证).
#[derive(PartialEq, Eq)]
pub struct ResidencePermit {
    /// 姓名.
    pub name: Zeroizing<String>,
    /// 性别.
    pub sex: Sex,
    /// 出生日期.
    pub birth: Date,
    /// 住址.
    pub address: Zeroizing<String>,
    /// Citizen number (公民身份号码); its region code is 810000, 820000 or 830000.
    pub number: Zeroizing<String>,
    /// 签发机关.
    pub issuer: String,
    /// 有效期限, its first day.
    pub valid_from: Date,
    /// 有效期限, its end.
    pub valid_to: Validity,
    /// Number of the travel permit (通行证号码).
    pub pass_number: Zeroizing<String>,
    /// Number of issues (签发次数), two digits.
    pub issues: String,
}

/// Text of a foreigner's permanent residence card (外国人永久居留身份证) of 2017.
#[derive(PartialEq, Eq)]
pub struct Foreigner2017 {
    /// English name (英文姓名).
    pub english_name: Zeroizing<String>,
    /// 性别.
    pub sex: Sex,
    /// Number of the card (永久居留证号码): three letters and twelve digits.
    pub number: Zeroizing<String>,
    /// 国籍, three letters (ISO 3166-1).
    pub country: String,
    /// 中文姓名; may be empty.
    pub chinese_name: Zeroizing<String>,
    /// First day of validity (签发日期).
    pub valid_from: Date,
    /// End of validity (终止日期).
    pub valid_to: Validity,
    /// 出生日期.
    pub birth: Date,
    /// Version of the card (证件版本号).
    pub version: String,
    /// Code of the accepting authority (受理机关代码).
    pub authority: String,
}

/// Text of a foreigner's permanent residence card of 2023.
#[derive(PartialEq, Eq)]
pub struct Foreigner2023 {
    /// 中文姓名; may be empty.
    pub chinese_name: Zeroizing<String>,
    /// 性别.
    pub sex: Sex,
    /// Number of renewals (换证次数), two digits.
    pub renewals: String,
    /// 出生日期.
    pub birth: Date,
    /// English name (英文姓名), joined from its two fields.
    pub english_name: Zeroizing<String>,
    /// Number of the card (证件号码): 9 and seventeen more characters, with a check character as in GB 11643.
    pub number: Zeroizing<String>,
    /// 有效期限, its first day.
    pub valid_from: Date,
    /// 有效期限, its end.
    pub valid_to: Validity,
    /// 国籍, three letters (ISO 3166-1).
    pub country: String,
    /// Reference to the number of a previous card (既往版本证件号码关联项), three characters; may be empty.
    pub related: String,
}

/// Sex (性别, GB/T 2261.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sex {
    /// `0`, 未知.
    Unknown,
    /// `1`, 男.
    Male,
    /// `2`, 女.
    Female,
    /// `9`, 未说明.
    Unspecified,
}

/// The result of reading one card completely. Wiped on drop.
pub struct IdCardReading {
    /// The text, validated.
    pub card: IdCard,
    /// The photo (照片) as stored on the card (WLT, 1,024 bytes), undecoded.
    pub photo: Zeroizing<Vec<u8>>,
}
