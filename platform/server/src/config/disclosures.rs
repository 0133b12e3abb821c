//! What a relying party can be registered for: claims, and items of e-certificates.

use serde::{Deserialize, Serialize};

/// A claim (声明) about a resident: yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Insured and paying or retired (正常参加医保), according to the base of insured persons.
    Insured,
    /// At least sixty years old (年满六十周岁).
    Over60,
}

impl Claim {
    /// Text of the claim, as the holder reads it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Insured => "是否正常参加医保",
            Self::Over60 => "是否年满六十周岁",
        }
    }
}

/// Kind of e-certificate (电子证照).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ECertificateKind {
    /// Resident service card (居民服务卡), the third-generation social security card.
    ServiceCard,
    /// Certificate of medical insurance (医疗保险参保凭证).
    MedicalInsurance,
    /// Senior citizen card (老年人优待证).
    SeniorCard,
}

/// Item of an e-certificate, or a claim that follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ECertificateItem {
    /// Name (姓名).
    Name,
    /// Citizen ID number (公民身份号码, GB 11643).
    IdNumber,
    /// Number of the social security card (社会保障卡卡号).
    CardNumber,
    /// Type of insurance (参保类型).
    Insurance,
    /// The claim [`Claim::Insured`]: 是 or 否.
    Insured,
    /// The claim [`Claim::Over60`]: 是 or 否.
    Over60,
}

impl ECertificateItem {
    /// Title of the item, as the holder reads it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Name => "姓名",
            Self::IdNumber => "公民身份号码",
            Self::CardNumber => "卡号",
            Self::Insurance => "参保类型",
            Self::Insured => Claim::Insured.title(),
            Self::Over60 => Claim::Over60.title(),
        }
    }
}

impl ECertificateKind {
    /// Every kind, in the order in which a phone lists them.
    pub(crate) const ALL: [Self; 3] = [Self::ServiceCard, Self::MedicalInsurance, Self::SeniorCard];

    /// Title of the e-certificate, as the holder reads it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::ServiceCard => "居民服务卡",
            Self::MedicalInsurance => "医疗保险参保凭证",
            Self::SeniorCard => "老年人优待证",
        }
    }

    /// Authority that issues the e-certificate.
    pub(crate) const fn issuer(self) -> &'static str {
        match self {
            Self::ServiceCard => "重庆市人力资源和社会保障局",
            Self::MedicalInsurance => "重庆市医疗保障局",
            Self::SeniorCard => "重庆市卫生健康委员会",
        }
    }
}
