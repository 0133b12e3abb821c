//! Splits the bytes of a serial or USB-CDC code scanner into codes.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The suffix that a scanner is configured to send after each code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineEnd {
    /// CR, LF, both, or nothing: the first of them or a pause ends a code. Covers the factory settings of scanners.
    #[default]
    Any,
    /// CR. Bytes before a pause without CR are dropped: the code has lost its end.
    Cr,
    /// LF. A pause drops an incomplete code, as for [`LineEnd::Cr`].
    Lf,
    /// CR LF. A single CR or LF belongs to the code. A pause drops an incomplete code, as for [`LineEnd::Cr`].
    CrLf,
    /// TAB. A pause drops an incomplete code, as for [`LineEnd::Cr`].
    Tab,
    /// ETX (0x03). A pause drops an incomplete code, as for [`LineEnd::Cr`].
    Etx,
    /// No suffix: only a pause ends a code, and every byte belongs to a code.
    Pause,
}

impl LineEnd {
    /// The length of the suffix, if these bytes end with it.
    fn length_at_end_of(self, bytes: &[u8]) -> Option<usize> {
        let ends: &[&[u8]] = match self {
            Self::Any => &[b"\r", b"\n"],
            Self::Cr => &[b"\r"],
            Self::Lf => &[b"\n"],
            Self::CrLf => &[b"\r\n"],
            Self::Tab => &[b"\t"],
            Self::Etx => &[b"\x03"],
            Self::Pause => &[],
        };
        ends.iter().find(|end| bytes.ends_with(end)).map(|end| end.len())
    }

    const fn pause_ends_a_code(self) -> bool {
        matches!(self, Self::Any | Self::Pause)
    }
}

/// Splits the byte stream of a scanner into codes. Buffers the incomplete code; wiped on drop.
pub struct CodeSplitter {
    end: LineEnd,
    bytes_max: usize,
    partial: Zeroizing<Vec<u8>>,
    /// Whether the incomplete code is too long: then its bytes are dropped up to its end.
    overlong: bool,
}

impl CodeSplitter {
    /// Creates a splitter for codes that end in `end` and have at most `longest` bytes; longer ones are dropped
    /// whole.
    #[must_use]
    pub fn new(end: LineEnd, bytes_max: usize) -> Self {
        Self { end, bytes_max, partial: Self::buffer_for(bytes_max), overlong: false }
    }

    /// A buffer for the longest code and its suffix: growing would leave copies in freed memory.
    fn buffer_for(longest: usize) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(Vec::with_capacity(longest + 2))
    }

    /// Takes received bytes and returns the codes that they complete.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
        let mut codes = Vec::new();
        for byte in bytes {
            if self.partial.len() == self.bytes_max + 2 {
                self.overlong = true;
                // Its last byte may be the first of a suffix.
                self.partial.drain(..self.bytes_max + 1);
            }
            self.partial.push(*byte);
            if let Some(length) = self.end.length_at_end_of(&self.partial) {
                let text = self.partial.len() - length;
                self.partial.truncate(text);
                codes.extend(self.finish_code());
            }
        }
        codes
    }

    /// Call this when no byte has come for longer than the scanner pauses within a code. Returns the buffered code,
    /// if a pause ends one.
    pub fn on_pause(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let code = self.finish_code();
        code.filter(|_| self.end.pause_ends_a_code())
    }

    fn finish_code(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let overlong = std::mem::take(&mut self.overlong) || self.partial.len() > self.bytes_max;
        if self.partial.is_empty() {
            return None;
        }
        let code = std::mem::replace(&mut self.partial, Self::buffer_for(self.bytes_max));
        (!overlong).then_some(code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONGEST: usize = 16;

    fn texts(codes: impl IntoIterator<Item = Zeroizing<Vec<u8>>>) -> Vec<String> {
        codes.into_iter().map(|code| String::from_utf8(code.to_vec()).unwrap()).collect()
    }

    #[test]
    fn line_end_any_accepts_cr_lf_and_pause() {
        let mut lines = CodeSplitter::new(LineEnd::Any, LONGEST);
        assert_eq!(texts(lines.push_bytes(b"A1\rB2\nC3\r\nD")), ["A1", "B2", "C3"]);
        assert_eq!(texts(lines.on_pause()), ["D"]);
        assert!(lines.on_pause().is_none());
    }

    #[test]
    fn configured_end_ends_code_and_pause_discards_partial() {
        for (end, bytes) in [
            (LineEnd::Cr, "\r"),
            (LineEnd::Lf, "\n"),
            (LineEnd::CrLf, "\r\n"),
            (LineEnd::Tab, "\t"),
            (LineEnd::Etx, "\x03"),
        ] {
            let mut lines = CodeSplitter::new(end, LONGEST);
            let sent = format!("A1{bytes}{bytes}B2{bytes}cut o");
            assert_eq!(texts(lines.push_bytes(sent.as_bytes())), ["A1", "B2"], "{end:?}");
            assert!(lines.on_pause().is_none(), "{end:?}");
            assert_eq!(texts(lines.push_bytes(format!("C3{bytes}").as_bytes())), ["C3"], "{end:?}");
        }
    }

    #[test]
    fn bytes_of_other_line_ends_belong_to_the_code() {
        let mut lines = CodeSplitter::new(LineEnd::CrLf, LONGEST);
        assert_eq!(texts(lines.push_bytes(b"A\rB\nC\r\n")), ["A\rB\nC"]);
        let mut lines = CodeSplitter::new(LineEnd::Pause, LONGEST);
        assert!(lines.push_bytes(b"A\r\nB\t").is_empty());
        assert_eq!(texts(lines.on_pause()), ["A\r\nB\t"]);
    }

    #[test]
    fn code_over_length_limit_is_dropped() {
        for (length, fits) in [(LONGEST, true), (LONGEST + 1, false), (LONGEST + 2, false), (1000, false)] {
            for (end, bytes) in
                [(LineEnd::Cr, b"\r".as_slice()), (LineEnd::CrLf, b"\r\n"), (LineEnd::Any, b"")]
            {
                let mut lines = CodeSplitter::new(end, LONGEST);
                let sent = [vec![b'x'; length].as_slice(), bytes].concat();
                let mut codes = lines.push_bytes(&sent);
                codes.extend(lines.on_pause());
                assert_eq!(codes.len(), usize::from(fits), "{length} {end:?}");
                codes = lines.push_bytes(b"next\r\n");
                assert_eq!(texts(codes)[0].trim_end(), "next", "{length} {end:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_bounded_codes_and_next_is_read(
            chunks in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), any::<bool>()), 0..20),
        ) {
            let mut lines = CodeSplitter::new(LineEnd::Any, LONGEST);
            let mut codes = Vec::new();
            for (chunk, pause) in chunks {
                codes.extend(lines.push_bytes(&chunk));
                if pause {
                    codes.extend(lines.on_pause());
                }
            }
            prop_assert!(codes.iter().all(|code| (1..=LONGEST).contains(&code.len())));
            lines.push_bytes(b"\r");
            prop_assert_eq!(texts(lines.push_bytes(b"next\r")), ["next"]);
        }
    }
}
