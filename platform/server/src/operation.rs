//! The operations that services may call, and what each needs.

use contract::Level;

/// An operation of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// 医保个人账户余额.
    MedicalBalance,
    /// 参保证明.
    InsuranceProof,
    /// 老年人优待证.
    SeniorCard,
    /// 待缴水费.
    WaterBills,
    /// 开通渝快码 on a phone.
    PhonePairing,
}

impl Operation {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "medical.balance" => Some(Self::MedicalBalance),
            "insurance.proof" => Some(Self::InsuranceProof),
            "licence.senior-card" => Some(Self::SeniorCard),
            "water.bills" => Some(Self::WaterBills),
            "phone.pairing" => Some(Self::PhonePairing),
            _ => None,
        }
    }

    /// A personal record is given under a consent only (I4), whatever the service document says.
    pub(crate) const fn is_personal_record(self) -> bool {
        match self {
            Self::InsuranceProof | Self::SeniorCard => true,
            Self::MedicalBalance | Self::WaterBills | Self::PhonePairing => false,
        }
    }

    /// The level below which it is never done, whatever the service document says: who has a picture of a code, or a
    /// found card, must not come by a phone of somebody's.
    pub(crate) const fn least(self) -> Level {
        match self {
            Self::PhonePairing => Level::Proven,
            Self::InsuranceProof | Self::SeniorCard | Self::MedicalBalance | Self::WaterBills => {
                Level::Recognised
            }
        }
    }
}
