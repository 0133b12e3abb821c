//! The status at the beginning of every answer: SW1, SW2, SW3.

/// Status of the reader's security module after a command. SW1 and SW2 are zero in all known statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamStatus {
    /// 90: done.
    Done,
    /// 9F: a card was found.
    CardFound,
    /// 10: wrong checksum of the command.
    CommandChecksum,
    /// 11: wrong length of the command.
    CommandLength,
    /// 21: unknown command or parameter.
    CommandUnknown,
    /// 23: the module is not permitted to execute the command.
    NotPermitted,
    /// 24: unspecified error of the module.
    UnspecifiedError,
    /// 31: the card does not accept this reader.
    ReaderRejected,
    /// 32: this reader does not accept the card.
    CardRejected,
    /// 33: the verification of the card's data failed.
    VerificationFailed,
    /// 40: unknown kind of card.
    CardKindUnknown,
    /// 41: reading failed; the card was lifted, or is badly placed.
    ReadFailed,
    /// 47: no random number available.
    NoRandom,
    /// 60: self-test failed; the module accepts no commands.
    SelfTestFailed,
    /// 66: the module was never authorised.
    NotAuthorised,
    /// 80: no card, or a card that was already read and has not been lifted since.
    NoCard,
    /// 81: the card could not be selected.
    SelectFailed,
    /// 91: the card does not hold the requested data.
    NoData,
    /// Any other SW1, SW2, SW3.
    Other([u8; 3]),
}

impl SamStatus {
    /// All named statuses, with their SW3.
    pub const NAMED: [(Self, u8); 18] = [
        (Self::Done, 0x90),
        (Self::CardFound, 0x9F),
        (Self::CommandChecksum, 0x10),
        (Self::CommandLength, 0x11),
        (Self::CommandUnknown, 0x21),
        (Self::NotPermitted, 0x23),
        (Self::UnspecifiedError, 0x24),
        (Self::ReaderRejected, 0x31),
        (Self::CardRejected, 0x32),
        (Self::VerificationFailed, 0x33),
        (Self::CardKindUnknown, 0x40),
        (Self::ReadFailed, 0x41),
        (Self::NoRandom, 0x47),
        (Self::SelfTestFailed, 0x60),
        (Self::NotAuthorised, 0x66),
        (Self::NoCard, 0x80),
        (Self::SelectFailed, 0x81),
        (Self::NoData, 0x91),
    ];

    /// The status with these bytes SW1, SW2, SW3.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 3]) -> Self {
        Self::NAMED
            .into_iter()
            .find(|(_, sw3)| bytes == [0, 0, *sw3])
            .map_or(Self::Other(bytes), |(status, _)| status)
    }

    /// The bytes SW1, SW2, SW3.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 3] {
        if let Self::Other(bytes) = self {
            return bytes;
        }
        Self::NAMED.into_iter().find(|(named, _)| *named == self).map_or([0; 3], |(_, sw3)| [0, 0, sw3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn named_statuses_are_distinct() {
        for (status, sw3) in SamStatus::NAMED {
            assert_eq!(status.to_bytes(), [0, 0, sw3]);
            assert_eq!(SamStatus::from_bytes([0, 0, sw3]), status);
            assert_eq!(SamStatus::from_bytes([1, 0, sw3]), SamStatus::Other([1, 0, sw3]));
        }
    }

    proptest! {
        #[test]
        fn status_round_trips(bytes: [u8; 3]) {
            prop_assert_eq!(SamStatus::from_bytes(bytes).to_bytes(), bytes);
        }
    }
}
