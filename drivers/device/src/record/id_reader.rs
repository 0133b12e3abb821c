//! What of an ID reader's line may be recorded: commands, statuses and lengths, and the security module's own number.
//!
//! In the place of a card's text that is sound stands an invented resident's, with the validity of the card that was
//! read; of one that is not, a character of the same class for each of its characters, so that a driver in a test comes
//! to the same end. Photo, fingerprints and whatever is not known here become zeros. The checksum is as right or as
//! wrong as it was.
//!
//! A frame comes in pieces, and what is personal in it shows only when it is whole: pieces are held back until then,
//! and recorded with the times at which they came.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ::id_reader::{FRAME_MAX, IdCard, Link, LinkFault, TEXT_LEN, parse_text};
use serde::{Deserialize, Serialize};

use super::replay::OPENED;
use super::{Hex, Reason, Recorder, What};

const PREAMBLE: [u8; 5] = [0xAA, 0xAA, 0xAA, 0x96, 0x69];
/// Preamble, length, status.
const HEAD_LEN: usize = 10;
/// Length field, and what it counts besides the data: status and checksum.
const LENGTH_LEN: usize = 2;
const COUNTED: usize = 4;
/// The security module's number.
const SAM_ID_LEN: usize = 16;
/// What an answer with a card begins with: lengths of text, photo and, with six bytes, fingerprints.
const CARD: [u8; 4] = [0x01, 0x00, 0x04, 0x00];
const PHOTO_LEN: usize = 1024;
/// Where a resident's text has the first and last day of validity, in bytes.
const VALIDITY: std::ops::Range<usize> = 188..220;
/// Pieces that are held back at most.
const HELD_MAX: usize = 64;

/// What the driver was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// The security module's number.
    SamId,
    /// Whether a card lies there.
    Find,
    /// The card.
    Read,
}

/// What was heard and is not recorded yet.
struct Held {
    recorder: Recorder,
    pieces: Vec<(Instant, Result<Vec<u8>, Reason>)>,
}

impl Held {
    /// It is recorded, harmless.
    fn release(&mut self) {
        let pieces = mem::take(&mut self.pieces);
        let heard = pieces.iter().filter_map(|(_, piece)| piece.as_ref().ok());
        let mut harmless = answer(&heard.flatten().copied().collect::<Vec<u8>>()).into_iter();
        for (at, piece) in pieces {
            let what = match piece {
                Ok(bytes) => What::In(Hex(harmless.by_ref().take(bytes.len()).collect())),
                Err(reason) => What::InFailed(reason),
            };
            self.recorder.note_at(at, what);
        }
    }

    fn hold(&mut self, at: Instant, piece: Result<Vec<u8>, Reason>) {
        self.pieces.push((at, piece));
        let bytes: usize =
            self.pieces.iter().filter_map(|(_, piece)| piece.as_ref().ok()).map(Vec::len).sum();
        if self.pieces.len() >= HELD_MAX || bytes >= 2 * FRAME_MAX {
            self.release();
        }
    }

    fn note(&mut self, what: What) {
        self.release();
        self.recorder.note(what);
    }
}

/// Where the device process says what it asks of the driver: between the bytes of one answer and the next command.
pub struct Orders(Rc<RefCell<Held>>);

impl Orders {
    /// Records it.
    pub fn note(&self, asked: Asked) {
        let mut held = self.0.borrow_mut();
        if held.recorder.is_on() {
            // An enum without data is always JSON.
            held.note(What::Order(serde_json::to_value(asked).unwrap_or_default()));
        }
    }
}

/// A line whose bytes are recorded.
pub struct RecordedLink<L> {
    link: L,
    held: Rc<RefCell<Held>>,
}

impl<L: Link> RecordedLink<L> {
    /// Records what passes over this line.
    pub fn new(link: L, recorder: Recorder) -> Self {
        recorder.note(What::Note(OPENED.into()));
        Self { link, held: Rc::new(RefCell::new(Held { recorder, pieces: Vec::new() })) }
    }

    /// For what is asked of the driver that takes the line.
    #[must_use]
    pub fn orders(&self) -> Orders {
        Orders(Rc::clone(&self.held))
    }
}

impl<L: Link> Link for RecordedLink<L> {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        let written = self.link.write_some(bytes, timeout);
        let mut held = self.held.borrow_mut();
        if held.recorder.is_on() {
            held.note(match written {
                // A command names nobody.
                Ok(count) => What::Out(Hex(bytes.get(..count).unwrap_or(bytes).to_vec())),
                Err(fault) => What::OutFailed(reason(fault)),
            });
        }
        written
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        let read = self.link.read_some(buffer, timeout);
        let mut held = self.held.borrow_mut();
        if held.recorder.is_on() {
            let piece = read.map(|count| buffer.get(..count).unwrap_or_default().to_vec());
            held.hold(self.link.now(), piece.map_err(reason));
        }
        read
    }

    fn now(&self) -> Instant {
        self.link.now()
    }
}

fn reason(fault: LinkFault) -> Reason {
    match fault {
        LinkFault::TimedOut => Reason::TimedOut,
        LinkFault::Gone | LinkFault::Absent => Reason::Gone,
        LinkFault::Busy | LinkFault::Failed(_) => Reason::Failed,
    }
}

/// What came after a command, without what is personal in it: as many bytes.
#[must_use]
pub fn answer(bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let begin = rest.windows(PREAMBLE.len()).position(|window| window == PREAMBLE);
        let (noise, frame) = rest.split_at(begin.unwrap_or(rest.len()));
        // Noise may be the rest of a frame whose head was lost.
        kept.extend(noise.iter().map(|byte| if PREAMBLE.contains(byte) { *byte } else { 0 }));
        let used = frame_of(frame, &mut kept);
        rest = frame.get(used..).unwrap_or_default();
    }
    kept
}

/// One frame, whole or not; gives its length in bytes.
fn frame_of(frame: &[u8], kept: &mut Vec<u8>) -> usize {
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
        .checked_sub(COUNTED)
        .and_then(|data| after.split_at_checked(data))
        .and_then(|(data, after)| Some((data, *after.first()?)))
    else {
        // Cut off, or of a length that no frame has: nothing is known of what follows.
        kept.extend(after.iter().map(|_| 0));
        return frame.len();
    };
    let harmless = data_of(data);
    let sum = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum ^ byte);
    kept.extend_from_slice(&harmless);
    kept.push(checksum ^ sum(data) ^ sum(&harmless));
    HEAD_LEN + data.len() + 1
}

fn data_of(data: &[u8]) -> Vec<u8> {
    if data.len() == SAM_ID_LEN {
        return data.to_vec();
    }
    let header = if data.len() == CARD.len() + TEXT_LEN + PHOTO_LEN { CARD.len() } else { CARD.len() + 2 };
    let (Some(lengths), Some(text)) = (data.get(..header), data.get(header..header + TEXT_LEN)) else {
        return vec![0; data.len()];
    };
    if !lengths.starts_with(&CARD) {
        return vec![0; data.len()];
    }
    let mut kept = [lengths, &text_of(text)].concat();
    kept.resize(data.len(), 0);
    kept
}

fn text_of(text: &[u8]) -> Vec<u8> {
    match parse_text(text) {
        Ok(card) => {
            let mut invented = invented();
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
            .flat_map(|unit| class(u16::from_le_bytes(*unit)).to_le_bytes())
            .collect(),
    }
}

/// A character of the same class.
fn class(unit: u16) -> u16 {
    match unit {
        0x20 => unit,
        0x30..=0x39 => 0x30,
        0x21..=0x7E => 0x78,
        0x4E00..=0x9FFF => 0x67D0,
        // Controls, surrogates, what no card holds.
        _ => 0x01,
    }
}

/// The text of somebody who does not exist; the number is the sample of GB 11643.
fn invented() -> Vec<u8> {
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
        let length = u16::try_from(data.len() + COUNTED).unwrap().to_be_bytes();
        let summed = [&length[..], &status, data].concat();
        let sum = summed.iter().fold(0, |sum, byte| sum ^ byte);
        [&PREAMBLE[..], &summed, &[sum]].concat()
    }

    fn card(text: &[u8]) -> Vec<u8> {
        framed([0, 0, 0x90], &[&CARD[..], text, &[0x5A; PHOTO_LEN]].concat())
    }

    fn number(text: &str) -> Vec<u8> {
        let mut block = invented();
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        block[122..122 + units.len()].copy_from_slice(&units);
        block
    }

    #[test]
    fn an_invented_resident_is_one() {
        assert_eq!(invented().len(), TEXT_LEN);
        assert!(matches!(parse_text(&invented()), Ok(IdCard::Resident(_))));
    }

    #[test]
    fn nothing_of_a_card_is_left_but_its_validity() {
        let mut own = invented();
        own[..4].copy_from_slice(&[0x20, 0x5F, 0x09, 0x4E]);
        own[VALIDITY.start..VALIDITY.start + 16]
            .copy_from_slice(&"20210203".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
        let frame = card(&own);
        let kept = answer(&frame);
        assert_eq!(kept.len(), frame.len());
        let text = &kept[HEAD_LEN + CARD.len()..][..TEXT_LEN];
        assert_eq!(text[..VALIDITY.start], invented()[..VALIDITY.start]);
        assert_eq!(text[VALIDITY], own[VALIDITY]);
        assert!(kept[HEAD_LEN + CARD.len() + TEXT_LEN..kept.len() - 1].iter().all(|byte| *byte == 0));
        assert!(
            matches!(::id_reader::scan(&kept), ::id_reader::Scan::Frame { .. }),
            "its checksum is right again"
        );
    }

    #[test]
    fn what_was_wrong_stays_wrong() {
        let wrong = number("110105194912310021");
        assert!(parse_text(&wrong).is_err());
        let kept = answer(&card(&wrong));
        assert!(parse_text(&kept[HEAD_LEN + CARD.len()..][..TEXT_LEN]).is_err());
        let mut bent = card(&invented());
        *bent.last_mut().unwrap() ^= 0x40;
        assert!(matches!(::id_reader::scan(&answer(&bent)), ::id_reader::Scan::Garbled { .. }));
    }

    #[test]
    fn half_a_frame_noise_and_what_is_not_known_are_as_long_and_say_nothing() {
        let frame = card(&invented());
        for half in 0..frame.len() {
            let kept = answer(&frame[..half]);
            assert_eq!(kept.len(), half);
            assert!(kept.iter().skip(HEAD_LEN).all(|byte| *byte == 0), "{half}");
        }
        let address = framed([0, 0, 0x90], &[0x31; 70]);
        assert!(answer(&address)[HEAD_LEN..].iter().take(70).all(|byte| *byte == 0));
        assert_eq!(answer(b"1101051949"), [0; 10]);
        let id = framed([0, 0, 0x90], &[7; SAM_ID_LEN]);
        assert_eq!(answer(&id), id);
    }
}
