//! Frames: `AA AA AA 96 69 ‖ length u16 big-endian ‖ SW1 SW2 SW3 ‖ data ‖ checksum`.
//!
//! The length counts all that follows it, the checksum too; the checksum is the exclusive or of everything
//! from the length to the data. What a line adds in front of a frame is skipped, and what only looked like
//! the beginning of one is given up.

/// Begins every frame, both ways.
pub(crate) const PREAMBLE: [u8; 5] = [0xAA, 0xAA, 0xAA, 0x96, 0x69];
/// Preamble and length.
const HEAD_LEN: usize = 7;
/// The shortest length: a status and the checksum.
const LENGTH_MIN: usize = 4;
/// The longest: status, header of three lengths, text, photo, fingerprints, checksum. No answer that is
/// understood here is longer, so that a length of noise is not waited for.
const LENGTH_MAX: usize = 3 + 6 + 256 + 1024 + 1024 + 1;
/// The longest frame in bytes.
pub const FRAME_MAX: usize = HEAD_LEN + LENGTH_MAX;

/// What stands at the front of bytes that came from a reader.
#[derive(PartialEq, Eq)]
pub enum Scan<'a> {
    /// The first `skip` bytes are no part of a frame; the rest may become one.
    Incomplete {
        /// May be dropped.
        skip: usize,
    },
    /// Something with the form of a frame and a wrong checksum. A true frame may begin inside it.
    Garbled {
        /// To be dropped: all that cannot belong to a later frame.
        skip: usize,
    },
    /// A whole frame.
    Frame {
        /// Status and data, without the checksum.
        body: &'a [u8],
        /// Bytes up to its end.
        used: usize,
    },
}

/// Looks for one frame. Reads each byte a bounded number of times and allocates nothing.
#[must_use]
pub fn scan(bytes: &[u8]) -> Scan<'_> {
    let mut from = 0;
    loop {
        let rest = bytes.get(from..).unwrap_or_default();
        let begin = from + begins_at(rest);
        let frame = bytes.get(begin..).unwrap_or_default();
        let Some([high, low]) = frame.get(PREAMBLE.len()..HEAD_LEN) else {
            return Scan::Incomplete { skip: begin };
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if !(LENGTH_MIN..=LENGTH_MAX).contains(&length) {
            from = begin + 1;
            continue;
        }
        let Some(summed) = frame.get(PREAMBLE.len()..HEAD_LEN + length) else {
            return Scan::Incomplete { skip: begin };
        };
        if summed.iter().fold(0, |sum, byte| sum ^ byte) != 0 {
            return Scan::Garbled { skip: begin + 1 };
        }
        let body = frame.get(HEAD_LEN..HEAD_LEN + length - 1).unwrap_or_default();
        return Scan::Frame { body, used: begin + HEAD_LEN + length };
    }
}

/// Where a preamble begins, or what may yet become one, or the end.
fn begins_at(bytes: &[u8]) -> usize {
    (0..bytes.len())
        .find(|&at| {
            let front = bytes.get(at..).unwrap_or_default();
            front.starts_with(&PREAMBLE) || PREAMBLE.starts_with(front)
        })
        .unwrap_or(bytes.len())
}

#[cfg(test)]
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 1).unwrap().to_be_bytes();
    let summed = [length.as_slice(), body].concat();
    let sum = summed.iter().fold(0, |sum, byte| sum ^ byte);
    [PREAMBLE.as_slice(), &summed, &[sum]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bodies of the frames in these bytes, as they are found when the bytes come all at once.
    fn bodies(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        loop {
            match scan(bytes) {
                Scan::Incomplete { skip } => {
                    assert!(skip <= bytes.len());
                    return bodies;
                }
                Scan::Garbled { skip } => bytes = &bytes[skip..],
                Scan::Frame { body, used } => {
                    bodies.push(body.to_vec());
                    bytes = &bytes[used..];
                }
            }
        }
    }

    #[test]
    fn the_published_answers_are_frames() {
        for (published, body) in [
            ("AAAAAA9669000400009094", "000090"),
            ("AAAAAA9669000800009F0000000097", "00009F00000000"),
            ("AAAAAA9669000C00009000000000000000009C", "0000900000000000000000"),
            ("AAAAAA9669000400008084", "000080"),
            ("AAAAAA9669000400008185", "000081"),
            ("AAAAAA9669000400004145", "000041"),
        ] {
            assert!(bodies(&hex(published)) == [hex(body)], "{published}");
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn noise_and_half_a_preamble_before_a_frame_are_skipped() {
        for noise in [
            "00",
            "AA",
            "AAAAAA",
            "AAAAAA96",
            "AAAAAA96FFAAAA",
            "AAAAAA9669",
            "AAAAAA96690003",
            "AAAAAA96690FFF",
        ] {
            let bytes = [hex(noise), framed(&[0, 0, 0x90])].concat();
            assert!(bodies(&bytes) == [vec![0, 0, 0x90]], "{noise}");
        }
    }

    #[test]
    fn a_frame_inside_a_garbled_one_is_found() {
        // A preamble of noise, whose length reaches into the true frame.
        let bytes = [hex("AAAAAA96690008"), framed(&[0, 0, 0x80])].concat();
        assert!(bodies(&bytes) == [vec![0, 0, 0x80]]);
    }

    #[test]
    fn the_longest_answer_fits_and_a_longer_length_is_noise() {
        let longest = framed(&vec![0x55; LENGTH_MAX - 1]);
        assert_eq!(longest.len(), FRAME_MAX);
        assert!(matches!(scan(&longest), Scan::Frame { used: FRAME_MAX, .. }));
        assert!(bodies(&framed(&vec![0x55; LENGTH_MAX])).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_scanned_to_an_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            bodies(&bytes);
        }

        #[test]
        fn preambles_without_end_are_scanned_to_an_end(lengths in proptest::collection::vec(any::<u16>(), 0..100)) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|n| [PREAMBLE.as_slice(), &n.to_be_bytes()].concat()).collect();
            bodies(&bytes);
        }

        #[test]
        fn every_body_comes_out_as_it_went_in(body in proptest::collection::vec(any::<u8>(), 3..LENGTH_MAX)) {
            prop_assert!(bodies(&framed(&body)) == [body]);
        }

        #[test]
        fn a_frame_that_is_cut_anywhere_is_not_whole(body in proptest::collection::vec(any::<u8>(), 3..40), keep: prop::sample::Index) {
            let frame = framed(&body);
            let cut = &frame[..keep.index(frame.len())];
            let whole = !matches!(scan(cut), Scan::Incomplete { .. });
            prop_assert!(!whole);
        }

        #[test]
        fn one_changed_byte_is_noticed(body in proptest::collection::vec(any::<u8>(), 3..40), at: prop::sample::Index, by in 1..=255_u8) {
            let mut frame = framed(&body);
            let at = at.index(frame.len());
            frame[at] ^= by;
            prop_assert!(bodies(&frame).is_empty() || at < PREAMBLE.len());
        }
    }
}
