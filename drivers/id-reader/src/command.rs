//! Commands to the security module. None of them carries data.

use crate::frame::PREAMBLE;

/// Length of every command frame in bytes.
const FRAME_LEN: usize = 10;

/// A command: CMD and PARA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamCommand {
    /// Reset the SAM (复位 SAM), `10 FF`.
    Reset,
    /// Status of the SAM (SAM 状态检测), `11 FF`.
    SamStatus,
    /// Read the number of the SAM (读 SAM 管理信息), `12 FF`.
    SamId,
    /// Find a card (寻找证/卡), `20 01`.
    Find,
    /// Select the card (选取证/卡), `20 02`.
    Select,
    /// Read text and photo (读证/卡固定信息), `30 01`.
    Read,
    /// Read the address that was added later (读追加住址), `30 03`.
    NewAddress,
}

impl SamCommand {
    /// Every command.
    pub const ALL: [Self; 7] =
        [Self::Reset, Self::SamStatus, Self::SamId, Self::Find, Self::Select, Self::Read, Self::NewAddress];

    /// The bytes CMD and PARA.
    #[must_use]
    pub const fn code(self) -> [u8; 2] {
        match self {
            Self::Reset => [0x10, 0xFF],
            Self::SamStatus => [0x11, 0xFF],
            Self::SamId => [0x12, 0xFF],
            Self::Find => [0x20, 0x01],
            Self::Select => [0x20, 0x02],
            Self::Read => [0x30, 0x01],
            Self::NewAddress => [0x30, 0x03],
        }
    }

    /// `AA AA AA 96 69 ‖ 00 03 ‖ CMD PARA ‖ checksum`: the length counts what follows it, the checksum is the
    /// exclusive or of length and command.
    #[must_use]
    pub const fn frame(self) -> [u8; FRAME_LEN] {
        let [a, b, c, d, e] = PREAMBLE;
        let [cmd, para] = self.code();
        [a, b, c, d, e, 0x00, 0x03, cmd, para, 0x03 ^ cmd ^ para]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_frames_match_the_published_table() {
        for (command, published) in [
            (SamCommand::SamStatus, "AAAAAA9669000311FFED"),
            (SamCommand::SamId, "AAAAAA9669000312FFEE"),
            (SamCommand::Find, "AAAAAA96690003200122"),
            (SamCommand::Select, "AAAAAA96690003200221"),
            (SamCommand::Read, "AAAAAA96690003300132"),
            (SamCommand::NewAddress, "AAAAAA96690003300330"),
            (SamCommand::Reset, "AAAAAA9669000310FFEC"),
        ] {
            assert_eq!(base16ct::upper::encode_string(&command.frame()), published);
        }
    }
}
