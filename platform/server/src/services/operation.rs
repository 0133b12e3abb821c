//! The operations that services may call, with the consent and level that each requires.

use contract::Level;

/// An operation of the platform (接口).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Balance of the personal medical insurance account (医保个人账户余额).
    MedicalBalance,
    /// Certificate of insurance (参保证明).
    InsuranceProof,
    /// Senior citizen card (老年人优待证).
    SeniorCard,
    /// Unpaid water bills (待缴水费).
    WaterBills,
    /// Pairing a phone for resident codes (开通渝快码).
    PhonePairing,
}

impl Operation {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "medical.balance" => Some(Self::MedicalBalance),
            "insurance.proof" => Some(Self::InsuranceProof),
            "licence.senior-card" => Some(Self::SeniorCard),
            "water.bills" => Some(Self::WaterBills),
            "phone.pairing" => Some(Self::PhonePairing),
            _ => None,
        }
    }

    /// Whether the answer is a personal record, which needs a consent (I4) even if the service document asks for none.
    pub(crate) const fn is_personal_record(self) -> bool {
        match self {
            Self::InsuranceProof | Self::SeniorCard => true,
            Self::MedicalBalance | Self::WaterBills | Self::PhonePairing => false,
        }
    }

    /// Minimum level of the visit, which a service document cannot lower. Pairing needs a proven identity, so that a
    /// photographed code or a found card cannot bind a phone to another person.
    pub(crate) const fn min_level(self) -> Level {
        match self {
            Self::PhonePairing => Level::Proven,
            Self::InsuranceProof | Self::SeniorCard | Self::MedicalBalance | Self::WaterBills => {
                Level::Recognised
            }
        }
    }
}
