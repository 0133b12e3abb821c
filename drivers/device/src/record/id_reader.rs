//! Redaction of an ID reader's line for recordings: commands, statuses, lengths and the number of the security module
//! are kept.
//!
//! A card's text that is valid is replaced by that of an invented resident, with the validity period of the card that was
//! read. Of an invalid text each character is replaced by one of the same class, so that a driver in a test comes to the
//! same result. Photo and all unknown data become zeros. A valid checksum stays valid, an invalid one
//! stays invalid.
//!
//! A frame arrives in pieces, and its personal data can be located only once the frame is complete. So pieces are held
//! back until the next event, and are recorded with the times at which they arrived.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::time::Instant;

use ::id_reader::{FRAME_MAX, IdCard, TEXT_LEN, parse_text};
use serde::{Deserialize, Serialize};

use super::link::LinkTape;
use super::{Hex, Recorder, TransferFault, WireEvent};

const PREAMBLE: [u8; 5] = [0xAA, 0xAA, 0xAA, 0x96, 0x69];
/// Bytes of preamble, length and status.
const HEAD_LEN: usize = 10;
/// Bytes of the length field, and the bytes that it counts besides the data: status and checksum.
const LENGTH_LEN: usize = 2;
const LENGTH_OVERHEAD: usize = 4;
/// Bytes of the security module's number.
const SAM_ID_LEN: usize = 16;
/// Beginning of an answer with a card: lengths of text and photo.
const CARD_LENGTHS: [u8; 4] = [0x01, 0x00, 0x04, 0x00];
const PHOTO_LEN: usize = 1024;
/// Bytes of a resident's text that hold the first and last day of validity.
const VALIDITY: std::ops::Range<usize> = 188..220;
/// Greatest number of pieces that are held back.
const PIECES_MAX: usize = 64;

/// A request to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdReaderRequest {
    /// To give the security module's number.
    SamId,
    /// To find a card.
    Find,
    /// To read the card.
    Read,
}

/// Received bytes and faults that are not recorded yet.
struct PendingBytes {
    recorder: Recorder,
    pieces: Vec<(Instant, Result<Vec<u8>, TransferFault>)>,
}

impl PendingBytes {
    /// Redacts the pieces and records them.
    fn flush(&mut self) {
        let pieces = mem::take(&mut self.pieces);
        let received = pieces.iter().filter_map(|(_, piece)| piece.as_ref().ok());
        let mut redacted = redact_answers(&received.flatten().copied().collect::<Vec<u8>>()).into_iter();
        for (at, piece) in pieces {
            let what = match piece {
                Ok(bytes) => WireEvent::In(Hex(redacted.by_ref().take(bytes.len()).collect())),
                Err(reason) => WireEvent::InFailed(reason),
            };
            self.recorder.record_at(at, what);
        }
    }

    fn push(&mut self, at: Instant, piece: Result<Vec<u8>, TransferFault>) {
        self.pieces.push((at, piece));
        let bytes: usize =
            self.pieces.iter().filter_map(|(_, piece)| piece.as_ref().ok()).map(Vec::len).sum();
        if self.pieces.len() >= PIECES_MAX || bytes >= 2 * FRAME_MAX {
            self.flush();
        }
    }

    fn record(&mut self, what: WireEvent) {
        self.flush();
        self.recorder.record(what);
    }
}

/// Records the bytes on an ID reader's link, and the requests of the device process to the driver: each between the bytes of
/// one answer and the next command. All clones write the same recording.
#[derive(Clone)]
pub struct IdReaderTape(Rc<RefCell<PendingBytes>>);

impl IdReaderTape {
    /// The tape of a link that was opened now.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        recorder.record_opened();
        Self(Rc::new(RefCell::new(PendingBytes { recorder, pieces: Vec::new() })))
    }

    /// Records a request.
    pub fn record_request(&self, asked: IdReaderRequest) {
        let mut held = self.0.borrow_mut();
        if held.recorder.is_on() {
            // An enum without data is always JSON.
            held.record(WireEvent::Request(serde_json::to_value(asked).unwrap_or_default()));
        }
    }
}

impl LinkTape for IdReaderTape {
    fn record_sent(&mut self, sent: Result<&[u8], TransferFault>) {
        let mut held = self.0.borrow_mut();
        if held.recorder.is_on() {
            held.record(match sent {
                // A command holds no personal data.
                Ok(bytes) => WireEvent::Out(Hex(bytes.to_vec())),
                Err(fault) => WireEvent::OutFailed(fault),
            });
        }
    }

    fn record_received(&mut self, at: Instant, received: Result<&[u8], TransferFault>) {
        let mut held = self.0.borrow_mut();
        if held.recorder.is_on() {
            held.push(at, received.map(<[u8]>::to_vec));
        }
    }
}

/// Redacts the bytes received after a command; their number stays.
#[must_use]
pub fn redact_answers(bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let begin = rest.windows(PREAMBLE.len()).position(|window| window == PREAMBLE);
        let (noise, frame) = rest.split_at(begin.unwrap_or(rest.len()));
        // Noise may be the rest of a frame whose beginning was lost.
        kept.extend(noise.iter().map(|byte| if PREAMBLE.contains(byte) { *byte } else { 0 }));
        let used = redact_frame(frame, &mut kept);
        rest = frame.get(used..).unwrap_or_default();
    }
    kept
}

/// Redacts one frame, complete or not; returns its length in bytes.
fn redact_frame(frame: &[u8], kept: &mut Vec<u8>) -> usize {
    let Some((head, after)) = frame.split_at_checked(HEAD_LEN) else {
        kept.extend_from_slice(frame);
        return frame.len();
    };
    let length = match head.get(PREAMBLE.len()..PREAMBLE.len() + LENGTH_LEN) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    kept.extend_from_slice(head);
    let Some((data, checksum)) = length
        .checked_sub(LENGTH_OVERHEAD)
        .and_then(|data| after.split_at_checked(data))
        .and_then(|(data, after)| Some((data, *after.first()?)))
    else {
        // Truncated, or of an invalid length: the meaning of the following bytes is unknown.
        kept.extend(after.iter().map(|_| 0));
        return frame.len();
    };
    let redacted = redact_data(data);
    let sum = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum ^ byte);
    kept.extend_from_slice(&redacted);
    kept.push(checksum ^ sum(data) ^ sum(&redacted));
    HEAD_LEN + data.len() + 1
}

fn redact_data(data: &[u8]) -> Vec<u8> {
    if data.len() == SAM_ID_LEN {
        return data.to_vec();
    }
    let card = data.strip_prefix(&CARD_LENGTHS).and_then(|card| card.split_at_checked(TEXT_LEN));
    let Some((text, photo)) = card.filter(|(_, photo)| photo.len() == PHOTO_LEN) else {
        return vec![0; data.len()];
    };
    [&CARD_LENGTHS[..], &redact_text(text), &vec![0; photo.len()]].concat()
}

fn redact_text(text: &[u8]) -> Vec<u8> {
    match parse_text(text) {
        Ok(card) => {
            let mut invented = invented_text();
            if let (IdCard::Resident(_), Some(place), Some(validity)) =
                (&card, invented.get_mut(VALIDITY), text.get(VALIDITY))
            {
                place.copy_from_slice(validity);
            }
            invented
        }
        Err(_) => text
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|unit| mask_unit(u16::from_le_bytes(*unit)).to_le_bytes())
            .collect(),
    }
}

/// Replaces a UTF-16 unit by one of its class.
fn mask_unit(unit: u16) -> u16 {
    match unit {
        0x20 => unit,
        0x30..=0x39 => 0x30,
        0x21..=0x7E => 0x78,
        0x4E00..=0x9FFF => 0x67D0,
        // Control characters, surrogates, and characters that no card holds.
        _ => 0x01,
    }
}

/// The text block of an invented resident; the number is the example of GB 11643.
fn invented_text() -> Vec<u8> {
    let fields = [
        ("某某", 15),
        ("2", 1),
        ("01", 2),
        ("19491231", 8),
        ("某地", 35),
        ("11010519491231002X", 18),
        ("某公安局", 15),
        ("20200101", 8),
        ("长期", 8),
        ("", 18),
    ];
    let units = fields.iter().flat_map(|(words, characters)| {
        words.encode_utf16().chain(std::iter::repeat(0x20)).take(*characters)
    });
    units.flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(status: [u8; 3], data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len() + LENGTH_OVERHEAD).unwrap().to_be_bytes();
        let summed = [&length[..], &status, data].concat();
        let sum = summed.iter().fold(0, |sum, byte| sum ^ byte);
        [&PREAMBLE[..], &summed, &[sum]].concat()
    }

    fn card(text: &[u8]) -> Vec<u8> {
        framed([0, 0, 0x90], &[&CARD_LENGTHS[..], text, &[0x5A; PHOTO_LEN]].concat())
    }

    fn number(text: &str) -> Vec<u8> {
        let mut block = invented_text();
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        block[122..122 + units.len()].copy_from_slice(&units);
        block
    }

    #[test]
    fn invented_text_is_a_valid_resident() {
        assert_eq!(invented_text().len(), TEXT_LEN);
        assert!(matches!(parse_text(&invented_text()), Ok(IdCard::Resident(_))));
    }

    #[test]
    fn redacted_card_keeps_only_its_validity_period() {
        let mut own = invented_text();
        own[..4].copy_from_slice(&[0x20, 0x5F, 0x09, 0x4E]);
        own[VALIDITY.start..VALIDITY.start + 16]
            .copy_from_slice(&"20210203".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
        let frame = card(&own);
        let kept = redact_answers(&frame);
        assert_eq!(kept.len(), frame.len());
        let text = &kept[HEAD_LEN + CARD_LENGTHS.len()..][..TEXT_LEN];
        assert_eq!(text[..VALIDITY.start], invented_text()[..VALIDITY.start]);
        assert_eq!(text[VALIDITY], own[VALIDITY]);
        assert!(kept[HEAD_LEN + CARD_LENGTHS.len() + TEXT_LEN..kept.len() - 1].iter().all(|byte| *byte == 0));
        assert!(
            matches!(::id_reader::scan_frame(&kept), ::id_reader::FrameScan::Frame { .. }),
            "checksum adapted to the redacted text"
        );
    }

    #[test]
    fn invalid_text_and_checksum_stay_invalid() {
        let wrong = number("110105194912310021");
        assert!(parse_text(&wrong).is_err());
        let kept = redact_answers(&card(&wrong));
        assert!(parse_text(&kept[HEAD_LEN + CARD_LENGTHS.len()..][..TEXT_LEN]).is_err());
        let mut corrupted = card(&invented_text());
        *corrupted.last_mut().unwrap() ^= 0x40;
        assert!(matches!(
            ::id_reader::scan_frame(&redact_answers(&corrupted)),
            ::id_reader::FrameScan::Garbled { .. }
        ));
    }

    #[test]
    fn truncated_frame_noise_and_unknown_data_become_zeros() {
        let frame = card(&invented_text());
        for cut in 0..frame.len() {
            let kept = redact_answers(&frame[..cut]);
            assert_eq!(kept.len(), cut);
            assert!(kept.iter().skip(HEAD_LEN).all(|byte| *byte == 0), "{cut}");
        }
        let address = framed([0, 0, 0x90], &[0x31; 70]);
        assert!(redact_answers(&address)[HEAD_LEN..].iter().take(70).all(|byte| *byte == 0));
        assert_eq!(redact_answers(b"1101051949"), [0; 10]);
        let id = framed([0, 0, 0x90], &[7; SAM_ID_LEN]);
        assert_eq!(redact_answers(&id), id);
    }
}
