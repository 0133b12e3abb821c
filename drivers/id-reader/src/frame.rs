//! Frames: `AA AA AA 96 69 ‖ length u16 big-endian ‖ SW1 SW2 SW3 ‖ data ‖ checksum`.
//!
//! The length counts all bytes after it, including the checksum. The checksum is the exclusive or of all bytes from the
//! length to the data. Noise before a frame is skipped, and so is a false beginning of a frame.

/// The beginning of every frame, in both directions.
pub(crate) const PREAMBLE: [u8; 5] = [0xAA, 0xAA, 0xAA, 0x96, 0x69];
/// Bytes of preamble and length.
const HEAD_LEN: usize = 7;
/// The smallest length field: a status and the checksum.
const LENGTH_MIN: usize = 4;
/// The greatest length field: status, header of three lengths, text, photo, fingerprints, checksum. The driver asks for no
/// fingerprints; an answer that has them is received whole and refused as unexpected. A greater length is noise, and the
/// driver does not wait for it.
const LENGTH_MAX: usize = 3 + 6 + 256 + 1024 + 1024 + 1;
/// The longest frame in bytes.
pub const FRAME_MAX: usize = HEAD_LEN + LENGTH_MAX;

/// Result of scanning the bytes received from a reader.
#[derive(PartialEq, Eq)]
pub enum FrameScan<'a> {
    /// No complete frame. The first `skip` bytes belong to no frame; the rest may be the beginning of one.
    Incomplete {
        /// Number of bytes that may be dropped.
        skip: usize,
    },
    /// Bytes in the form of a frame with a wrong checksum. A valid frame may begin inside them.
    Garbled {
        /// Number of bytes to drop: those that cannot belong to a later frame.
        skip: usize,
    },
    /// A complete frame.
    Frame {
        /// Status and data, without the checksum.
        body: &'a [u8],
        /// Number of bytes up to the end of the frame.
        used: usize,
    },
}

/// Finds one frame. Reads each byte a bounded number of times and allocates nothing.
#[must_use]
pub fn scan_frame(bytes: &[u8]) -> FrameScan<'_> {
    let mut from = 0;
    loop {
        let rest = bytes.get(from..).unwrap_or_default();
        let begin = from + find_preamble(rest);
        let frame = bytes.get(begin..).unwrap_or_default();
        let Some([high, low]) = frame.get(PREAMBLE.len()..HEAD_LEN) else {
            return FrameScan::Incomplete { skip: begin };
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if !(LENGTH_MIN..=LENGTH_MAX).contains(&length) {
            from = begin + 1;
            continue;
        }
        let Some(summed) = frame.get(PREAMBLE.len()..HEAD_LEN + length) else {
            return FrameScan::Incomplete { skip: begin };
        };
        if summed.iter().fold(0, |sum, byte| sum ^ byte) != 0 {
            return FrameScan::Garbled { skip: begin + 1 };
        }
        let body = frame.get(HEAD_LEN..HEAD_LEN + length - 1).unwrap_or_default();
        return FrameScan::Frame { body, used: begin + HEAD_LEN + length };
    }
}

/// Index of the first complete or incomplete preamble, or the number of bytes if there is none.
fn find_preamble(bytes: &[u8]) -> usize {
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

    /// The bodies of all frames in the bytes.
    fn bodies(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        loop {
            match scan_frame(bytes) {
                FrameScan::Incomplete { skip } => {
                    assert!(skip <= bytes.len());
                    return bodies;
                }
                FrameScan::Garbled { skip } => bytes = &bytes[skip..],
                FrameScan::Frame { body, used } => {
                    bodies.push(body.to_vec());
                    bytes = &bytes[used..];
                }
            }
        }
    }

    #[test]
    fn scan_finds_the_published_answers() {
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
        base16ct::mixed::decode_vec(text).unwrap()
    }

    #[test]
    fn scan_skips_noise_and_partial_preamble() {
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
    fn scan_finds_a_frame_inside_a_garbled_one() {
        // A false preamble, whose length reaches into the valid frame.
        let bytes = [hex("AAAAAA96690008"), framed(&[0, 0, 0x80])].concat();
        assert!(bodies(&bytes) == [vec![0, 0, 0x80]]);
    }

    #[test]
    fn scan_accepts_frame_max_and_skips_longer_lengths() {
        let longest = framed(&vec![0x55; LENGTH_MAX - 1]);
        assert_eq!(longest.len(), FRAME_MAX);
        assert!(matches!(scan_frame(&longest), FrameScan::Frame { used: FRAME_MAX, .. }));
        assert!(bodies(&framed(&vec![0x55; LENGTH_MAX])).is_empty());
    }

    proptest! {
        #[test]
        fn scan_arbitrary_bytes_terminates(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            bodies(&bytes);
        }

        #[test]
        fn scan_repeated_preambles_terminates(lengths in proptest::collection::vec(any::<u16>(), 0..100)) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|n| [PREAMBLE.as_slice(), &n.to_be_bytes()].concat()).collect();
            bodies(&bytes);
        }

        #[test]
        fn frame_round_trips(body in proptest::collection::vec(any::<u8>(), 3..LENGTH_MAX)) {
            prop_assert!(bodies(&framed(&body)) == [body]);
        }

        #[test]
        fn truncated_frame_is_incomplete(body in proptest::collection::vec(any::<u8>(), 3..40), keep: prop::sample::Index) {
            let frame = framed(&body);
            let cut = &frame[..keep.index(frame.len())];
            let complete = !matches!(scan_frame(cut), FrameScan::Incomplete { .. });
            prop_assert!(!complete);
        }

        #[test]
        fn one_changed_byte_is_detected(body in proptest::collection::vec(any::<u8>(), 3..40), at: prop::sample::Index, by in 1..=255_u8) {
            let mut frame = framed(&body);
            let at = at.index(frame.len());
            frame[at] ^= by;
            prop_assert!(bodies(&frame).is_empty() || at < PREAMBLE.len());
        }
    }
}
