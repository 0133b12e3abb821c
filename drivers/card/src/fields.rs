//! Decoding of record values: text, digits, dates.

use encoding_rs::GB18030;
use zeroize::Zeroizing;

use crate::CardReadRefusal;
use crate::application::ReadFault;

pub(crate) fn to_hex(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(base16ct::upper::encode_string(bytes))
}

/// Removes the padding of an `an` field (GB18030): zeros, or spaces or FF of some issuers.
pub(crate) fn trim_padding(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let end = bytes.iter().rposition(|b| !matches!(b, 0x00 | 0x20 | 0xFF)).map_or(0, |last| last + 1);
    Zeroizing::new(bytes.get(..end).unwrap_or_default().to_vec())
}

pub(crate) fn decode_padded_text(bytes: &[u8]) -> Result<Zeroizing<String>, ReadFault> {
    decode_text(&trim_padding(bytes))
}

pub(crate) fn decode_text(bytes: &[u8]) -> Result<Zeroizing<String>, ReadFault> {
    let text = GB18030.decode_without_bom_handling_and_without_replacement(bytes);
    let text = text.filter(|text| !text.chars().any(char::is_control));
    text.map(|text| Zeroizing::new(text.into_owned())).ok_or(ReadFault::Refused(CardReadRefusal::InvalidData))
}

/// Parses a `cn` date: packed `YYYYMMDD`; all zeros or all F means *not set*.
pub(crate) fn parse_packed_date(bytes: &[u8]) -> Result<Option<String>, ReadFault> {
    if bytes.iter().all(|b| *b == 0xFF) || bytes.iter().all(|b| *b == 0) {
        return Ok(None);
    }
    let digits = to_hex(bytes);
    if citizen_number::is_date(&digits) {
        Ok(Some(digits.to_string()))
    } else {
        Err(ReadFault::Refused(CardReadRefusal::InvalidData))
    }
}
