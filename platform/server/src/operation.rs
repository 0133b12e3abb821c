//! The operations that services may call, and what each needs.

/// An operation of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// 医保个人账户余额.
    MedicalBalance,
    /// 参保证明.
    InsuranceProof,
    /// 待缴水费.
    WaterBills,
}

impl Operation {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "medical.balance" => Some(Self::MedicalBalance),
            "insurance.proof" => Some(Self::InsuranceProof),
            "water.bills" => Some(Self::WaterBills),
            _ => None,
        }
    }

    /// A personal record is given under a consent only (I4), whatever the service document says.
    pub(crate) const fn is_personal_record(self) -> bool {
        match self {
            Self::InsuranceProof => true,
            Self::MedicalBalance | Self::WaterBills => false,
        }
    }
}
