//! Parses YUV4MPEG2, the raw video format of `mjpegtools` (yuv4mpeg(5)), into luma planes.
//!
//! A header line `YUV4MPEG2 W1280 H720 F30:1 C420jpeg …`, then for each frame a line `FRAME …` and the planes Y, U,
//! V, 8 bits per sample. U and V are skipped. Sizes are bounded: lines by [`LINE_MAX`], planes by the frame size.

use crate::frame::{LumaFrame, SIDE_MAX};

/// Longest header or frame line, in bytes.
const LINE_MAX: usize = 512;

/// Why a stream is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Y4mError {
    /// The first word is not `YUV4MPEG2`.
    #[error("the stream does not begin with YUV4MPEG2")]
    NotY4m,
    /// A line is longer than `LINE_MAX` (512 bytes).
    #[error("a header or frame line is longer than 512 bytes")]
    LineTooLong,
    /// Width or height is missing or out of range.
    #[error("width or height is missing, zero or above 4096")]
    Size,
    /// The chroma format is not supported.
    #[error("the chroma format is not one of C420, C422, C444, Cmono with 8 bits")]
    Chroma,
    /// A frame line does not begin with `FRAME`.
    #[error("a frame does not begin with FRAME")]
    NotFrame,
}

/// Size of a frame and of its planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Format {
    width: u32,
    height: u32,
    luma_bytes: usize,
    chroma_bytes: usize,
}

/// Push parser: takes a stream in pieces of any length.
pub struct Y4mParser {
    state: Y4mState,
}

enum Y4mState {
    Header { line: Vec<u8> },
    FrameLine { format: Format, line: Vec<u8> },
    Luma { format: Format, plane: Vec<u8> },
    Chroma { format: Format, left: usize },
    Broken(Y4mError),
}

impl Default for Y4mParser {
    fn default() -> Self {
        Self::new()
    }
}

impl Y4mParser {
    /// Creates a parser at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Y4mState::Header { line: Vec::new() } }
    }

    /// Consumes bytes from the front of `input` until a frame is complete, or all bytes are consumed (`None`). An
    /// error is permanent.
    ///
    /// # Errors
    /// If the stream is malformed.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<LumaFrame>, Y4mError> {
        loop {
            let state = std::mem::replace(&mut self.state, Y4mState::Broken(Y4mError::NotFrame));
            let (next, frame) = step(state, input);
            self.state = next;
            if let Y4mState::Broken(error) = self.state {
                return Err(error);
            }
            if frame.is_some() {
                return Ok(frame);
            }
            // A frame without chroma ends without further bytes, so the state decides.
            if input.is_empty() && !matches!(self.state, Y4mState::Chroma { left: 0, .. }) {
                return Ok(None);
            }
        }
    }
}

/// One step of the parser: returns the next state and the frame that the step completes.
fn step(state: Y4mState, input: &mut &[u8]) -> (Y4mState, Option<LumaFrame>) {
    match state {
        Y4mState::Header { mut line } => match take_line(&mut line, input) {
            Ok(false) => (Y4mState::Header { line }, None),
            Ok(true) => match parse_header(&line) {
                Ok(format) => (Y4mState::FrameLine { format, line: Vec::new() }, None),
                Err(error) => (Y4mState::Broken(error), None),
            },
            Err(error) => (Y4mState::Broken(error), None),
        },
        Y4mState::FrameLine { format, mut line } => match take_line(&mut line, input) {
            Ok(false) => (Y4mState::FrameLine { format, line }, None),
            Ok(true) if line == b"FRAME" || line.starts_with(b"FRAME ") => {
                (Y4mState::Luma { format, plane: Vec::with_capacity(format.luma_bytes) }, None)
            }
            Ok(true) => (Y4mState::Broken(Y4mError::NotFrame), None),
            Err(error) => (Y4mState::Broken(error), None),
        },
        Y4mState::Luma { format, mut plane } => {
            plane.extend_from_slice(split_front(input, format.luma_bytes - plane.len()));
            if plane.len() < format.luma_bytes {
                return (Y4mState::Luma { format, plane }, None);
            }
            let frame = LumaFrame::new(format.width, format.height, plane);
            (Y4mState::Chroma { format, left: format.chroma_bytes }, frame)
        }
        Y4mState::Chroma { format, left } => {
            let left = left - split_front(input, left).len();
            if left > 0 {
                return (Y4mState::Chroma { format, left }, None);
            }
            (Y4mState::FrameLine { format, line: Vec::new() }, None)
        }
        Y4mState::Broken(error) => (Y4mState::Broken(error), None),
    }
}

/// Removes at most `count` bytes from the front.
fn split_front<'a>(input: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(count.min(input.len()));
    *input = rest;
    taken
}

/// Appends to `line` up to the line feed, which is consumed but not stored. Returns whether the line is complete.
fn take_line(line: &mut Vec<u8>, input: &mut &[u8]) -> Result<bool, Y4mError> {
    let end = input.iter().position(|&byte| byte == b'\n');
    let part = split_front(input, end.unwrap_or(input.len()));
    if line.len() + part.len() > LINE_MAX {
        return Err(Y4mError::LineTooLong);
    }
    line.extend_from_slice(part);
    if end.is_some() {
        split_front(input, 1);
    }
    Ok(end.is_some())
}

fn parse_header(line: &[u8]) -> Result<Format, Y4mError> {
    let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    if words.next() != Some(b"YUV4MPEG2") {
        return Err(Y4mError::NotY4m);
    }
    let (mut width, mut height, mut chroma) = (None, None, b"420".as_slice());
    for word in words {
        match word.split_first() {
            Some((b'W', value)) => width = Some(value),
            Some((b'H', value)) => height = Some(value),
            Some((b'C', value)) => chroma = value,
            // Frame rate, interlacing, aspect and comments do not matter to a decoder.
            Some(_) | None => {}
        }
    }
    let (width, height) = (side(width)?, side(height)?);
    let pixels = |width: u32, height: u32| width as usize * height as usize;
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let chroma_bytes = match chroma {
        b"420" | b"420jpeg" | b"420mpeg2" | b"420paldv" => 2 * pixels(half_width, half_height),
        b"422" => 2 * pixels(half_width, height),
        b"444" => 2 * pixels(width, height),
        b"mono" => 0,
        _ => return Err(Y4mError::Chroma),
    };
    Ok(Format { width, height, luma_bytes: pixels(width, height), chroma_bytes })
}

fn side(value: Option<&[u8]>) -> Result<u32, Y4mError> {
    value
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|text| text.parse().ok())
        .filter(|side| (1..=SIDE_MAX).contains(side))
        .ok_or(Y4mError::Size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(chroma: &str, chroma_bytes: usize, frames: u8) -> Vec<u8> {
        let mut bytes = format!("YUV4MPEG2 W3 H2 F30:1 Ip A1:1 C{chroma}\n").into_bytes();
        for n in 0..frames {
            bytes.extend_from_slice(b"FRAME\n");
            bytes.extend([n; 6]);
            bytes.extend(vec![0x80; chroma_bytes]);
        }
        bytes
    }

    fn parse(bytes: &[u8], piece: usize) -> Result<Vec<LumaFrame>, Y4mError> {
        let mut parser = Y4mParser::new();
        let mut frames = Vec::new();
        for mut input in bytes.chunks(piece) {
            while let Some(frame) = parser.feed(&mut input)? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn chroma_formats_yield_luma_for_any_chunk_size() {
        let expected: Vec<LumaFrame> = (0..3).map(|n| LumaFrame::new(3, 2, vec![n; 6]).unwrap()).collect();
        for (chroma, chroma_bytes) in [("420", 4), ("420jpeg", 4), ("422", 8), ("444", 12), ("mono", 0)] {
            let bytes = stream(chroma, chroma_bytes, 3);
            for piece in [1, 2, 7, 1000] {
                assert_eq!(parse(&bytes, piece).unwrap(), expected, "C{chroma} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn header_without_chroma_format_is_420() {
        let mut bytes = b"YUV4MPEG2 W2 H2\n".to_vec();
        bytes.extend(b"FRAME\n\x01\x02\x03\x04\x80\x80FRAME\n\x05\x06\x07\x08\x80\x80");

        assert_eq!(parse(&bytes, 5).unwrap().len(), 2);
    }

    #[test]
    fn truncated_stream_yields_whole_frames_without_error() {
        let bytes = stream("420", 4, 2);
        for end in 0..bytes.len() {
            let frames = parse(&bytes[..end], 64).unwrap();
            assert!(frames.len() <= 2);
        }
    }

    #[test]
    fn malformed_y4m_stream_is_refused() {
        for (bytes, error) in [
            (b"RIFF....AVI \n".as_slice(), Y4mError::NotY4m),
            (b"YUV4MPEG2 W3\n", Y4mError::Size),
            (b"YUV4MPEG2 W0 H2\n", Y4mError::Size),
            (b"YUV4MPEG2 W4097 H2\n", Y4mError::Size),
            (b"YUV4MPEG2 W99999999999999999999 H2\n", Y4mError::Size),
            (b"YUV4MPEG2 W-3 H2\n", Y4mError::Size),
            (b"YUV4MPEG2 W3 H2 C420p10\n", Y4mError::Chroma),
            (b"YUV4MPEG2 W3 H2 Cmono\nFROME\n", Y4mError::NotFrame),
            (&[b'Y'; LINE_MAX + 1], Y4mError::LineTooLong),
        ] {
            assert_eq!(parse(bytes, 100_000).err(), Some(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn y4m_parser_error_is_permanent() {
        let mut parser = Y4mParser::new();
        assert!(parser.feed(&mut b"no\n".as_slice()).is_err());

        assert_eq!(parser.feed(&mut stream("mono", 0, 1).as_slice()).err(), Some(Y4mError::NotY4m));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes, 64);
        }

        #[test]
        fn any_header_is_parsed_without_panic(tail in "[ WHCF0-9a-z:\n]{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let stream = [b"YUV4MPEG2 ".as_slice(), tail.as_bytes(), b"\n", &bytes].concat();
            let _ = parse(&stream, 17);
        }
    }
}
