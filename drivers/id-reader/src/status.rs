//! The status that begins every answer: SW1, SW2, SW3.

/// What the reader's security module says to a command. SW1 and SW2 are zero in all that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 90: done.
    Done,
    /// 9F: there is a card.
    CardFound,
    /// 10: the command arrived with a wrong checksum.
    CommandChecksum,
    /// 11: the command arrived with a wrong length.
    CommandLength,
    /// 21: no such command, or not with these values.
    CommandUnknown,
    /// 23: a command that this module may not carry out.
    NotPermitted,
    /// 24: an error that the module cannot name.
    Unnamed,
    /// 31: the card does not accept this reader.
    ReaderRejected,
    /// 32: this reader does not accept the card.
    CardRejected,
    /// 33: what the card gave fails its verification.
    InformationWrong,
    /// 40: a kind of card that the module does not know.
    CardKindUnknown,
    /// 41: the reading failed; the card was lifted, or lies badly.
    ReadFailed,
    /// 47: no random number was to be had.
    NoRandom,
    /// 60: the module failed its self-test and accepts no commands.
    SelfTestFailed,
    /// 66: the module was never authorised.
    NotAuthorised,
    /// 80: no card, or one that was read already and has not been lifted since.
    NoCard,
    /// 81: the card could not be selected.
    SelectFailed,
    /// 91: the card has nothing there.
    NothingThere,
    /// Any other SW1, SW2, SW3.
    Other([u8; 3]),
}

impl Status {
    /// Those that have a name here, with their SW3.
    pub const NAMED: [(Self, u8); 18] = [
        (Self::Done, 0x90),
        (Self::CardFound, 0x9F),
        (Self::CommandChecksum, 0x10),
        (Self::CommandLength, 0x11),
        (Self::CommandUnknown, 0x21),
        (Self::NotPermitted, 0x23),
        (Self::Unnamed, 0x24),
        (Self::ReaderRejected, 0x31),
        (Self::CardRejected, 0x32),
        (Self::InformationWrong, 0x33),
        (Self::CardKindUnknown, 0x40),
        (Self::ReadFailed, 0x41),
        (Self::NoRandom, 0x47),
        (Self::SelfTestFailed, 0x60),
        (Self::NotAuthorised, 0x66),
        (Self::NoCard, 0x80),
        (Self::SelectFailed, 0x81),
        (Self::NothingThere, 0x91),
    ];

    /// As it came.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 3]) -> Self {
        Self::NAMED
            .into_iter()
            .find(|(_, sw3)| bytes == [0, 0, *sw3])
            .map_or(Self::Other(bytes), |(status, _)| status)
    }

    /// SW1, SW2, SW3.
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
    fn every_named_status_is_told_from_every_other() {
        for (status, sw3) in Status::NAMED {
            assert_eq!(status.to_bytes(), [0, 0, sw3]);
            assert_eq!(Status::from_bytes([0, 0, sw3]), status);
            assert_eq!(Status::from_bytes([1, 0, sw3]), Status::Other([1, 0, sw3]));
        }
    }

    proptest! {
        #[test]
        fn every_status_is_kept_as_it_came(bytes: [u8; 3]) {
            prop_assert_eq!(Status::from_bytes(bytes).to_bytes(), bytes);
        }
    }
}
