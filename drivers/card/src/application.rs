//! The social security application (SSSE): its commands and the meaning of their responses.

use zeroize::Zeroizing;

use crate::CardReadRefusal;
use crate::apdu::{CardTransport, ResponseApdu, StatusWord, TransportFault, exchange};
use crate::holder::Algorithm;
use crate::tlv;

/// AID of the application: `sx1.sh.` and 社会保障 in GBK.
pub(crate) const SSSE_AID: [u8; 15] =
    [0x73, 0x78, 0x31, 0x2E, 0x73, 0x68, 0x2E, 0xC9, 0xE7, 0xBB, 0xE1, 0xB1, 0xA3, 0xD5, 0xCF];

/// File identifiers of EF05, the issuer's file, and EF06, the holder's file.
pub(crate) const EF05: [u8; 2] = [0xEF, 0x05];
pub(crate) const EF06: [u8; 2] = [0xEF, 0x06];

/// Key reference of RKSSSE, the key that opens EF06 of a third-generation card.
const KEY_READ: u8 = 0x0A;

/// Why a card was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFault {
    /// The card was removed or the reader disconnected.
    #[error("card reading interrupted")]
    Transport(#[from] TransportFault),
    /// The card cannot be used.
    #[error("card cannot be used: {0:?}")]
    Refused(CardReadRefusal),
}

/// SELECTs the application; its FCI holds the algorithm.
pub(crate) fn select_application(
    card: &mut dyn CardTransport,
) -> Result<Result<Algorithm, CardReadRefusal>, TransportFault> {
    let command = [&[0x00, 0xA4, 0x04, 0x00, 0x0F], SSSE_AID.as_slice()].concat();
    let ResponseApdu { data, status } = exchange(card, &command, false)?;
    Ok(match status {
        StatusWord::DONE => {
            let proprietary = tlv::find_ber_tlv(&data, 0x9F0C).unwrap_or_default();
            // 9F0C holds `86 01 xx` among other objects; if it is absent, the algorithm is 01.
            let number = proprietary.windows(3).find(|w| matches!(w, [0x86, 0x01, _]));
            Ok(number.and_then(<[u8]>::last).copied().map_or(Algorithm::Des, Algorithm::from))
        }
        StatusWord::LOCKED => Err(CardReadRefusal::Blocked),
        StatusWord { .. } => Err(CardReadRefusal::NotSocialSecurity),
    })
}

pub(crate) fn select_file(
    card: &mut dyn CardTransport,
    [high, low]: [u8; 2],
) -> Result<StatusWord, TransportFault> {
    Ok(exchange(card, &[0x00, 0xA4, 0x00, 0x00, 0x02, high, low], false)?.status)
}

/// READ RECORD by tag (P2 = 00): a third-generation card has a record (tag 4E) that shifts the record numbers. The
/// response is the complete record, whose value has `length` bytes; an Le that is correct at once avoids a 6Cxx repeat
/// over T=0.
pub(crate) fn read_record(
    card: &mut dyn CardTransport,
    tag: u8,
    length: u8,
) -> Result<Zeroizing<Vec<u8>>, ReadFault> {
    match try_read_record(card, tag, length)? {
        Ok(value) => Ok(value),
        Err(StatusWord { .. }) => Err(ReadFault::Refused(CardReadRefusal::Incomplete)),
    }
}

/// The record's value, or the status word with which the card refuses it.
pub(crate) type RecordAnswer = Result<Zeroizing<Vec<u8>>, StatusWord>;

pub(crate) fn try_read_record(
    card: &mut dyn CardTransport,
    tag: u8,
    length: u8,
) -> Result<RecordAnswer, ReadFault> {
    let le = length.saturating_add(2);
    let ResponseApdu { data, status } = exchange(card, &[0x00, 0xB2, tag, 0x00, le], true)?;
    if status != StatusWord::DONE {
        return Ok(Err(status));
    }
    match tlv::parse_simple_tlv(&data) {
        Some((found, value)) if found == tag && value.len() == usize::from(length) => {
            Ok(Ok(Zeroizing::new(value.to_vec())))
        }
        Some((found, _)) if found == tag => Err(ReadFault::Refused(CardReadRefusal::Incomplete)),
        Some(_) | None => Err(ReadFault::Refused(CardReadRefusal::InvalidData)),
    }
}

/// GET CHALLENGE: eight random bytes from the card; `None` when the card refuses.
pub(crate) fn get_challenge(card: &mut dyn CardTransport) -> Result<Option<[u8; 8]>, TransportFault> {
    let ResponseApdu { data, status } = exchange(card, &[0x00, 0x84, 0x00, 0x00, 0x08], true)?;
    Ok(if status == StatusWord::DONE { data.as_slice().try_into().ok() } else { None })
}

/// INTERNAL AUTHENTICATE: the card's cryptogram over `factor` (过程因子) and `source` (原始信息); `None` when the card
/// refuses.
pub(crate) fn internal_authenticate(
    card: &mut dyn CardTransport,
    factor: &[u8; 8],
    source: &[u8; 8],
) -> Result<Option<Zeroizing<Vec<u8>>>, TransportFault> {
    let command = [&[0x00, 0x88, 0x00, 0x00, 0x10], factor.as_slice(), source.as_slice()].concat();
    let ResponseApdu { data, status } = exchange(card, &command, false)?;
    Ok((status == StatusWord::DONE).then_some(data))
}

/// EXTERNAL AUTHENTICATE with [`KEY_READ`]: returns whether the card accepts the cryptogram.
pub(crate) fn external_authenticate(
    card: &mut dyn CardTransport,
    cryptogram: &[u8; 16],
) -> Result<bool, TransportFault> {
    let head = [0x00, 0x82, 0x00, KEY_READ, 0x10];
    let command = Zeroizing::new([head.as_slice(), cryptogram.as_slice()].concat());
    Ok(exchange(card, &command, false)?.status == StatusWord::DONE)
}
