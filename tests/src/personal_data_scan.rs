//! Scans all files of a state directory for residents' data, of which there must be none (I3).
//!
//! The scan searches bytes, not text: a name in UTF-8 and GB18030, a number in ASCII, UTF-16 and packed BCD in both
//! alignments, a PIN in ASCII and as the VERIFY command contains it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A value that must not be found, in all its encodings.
pub struct Needle {
    /// Description that does not contain the value, such as `name of resident 2`.
    pub description: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

/// A place where a needle was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// Description of the needle.
    pub description: String,
    /// Encoding in which it was found.
    pub form: &'static str,
    /// File in which it was found.
    pub file: PathBuf,
    /// Offset of the first byte in the file.
    pub offset: usize,
}

impl Needle {
    /// A name or other text.
    #[must_use]
    pub fn text(what: &str, text: &str) -> Self {
        let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let gb18030 = encoding_rs::GB18030.encode(text).0.into_owned();
        let mut forms = vec![("UTF-8", text.as_bytes().to_vec()), ("GB18030", gb18030), ("UTF-16", utf16)];
        // A text of ASCII letters is the same in the first two.
        forms.dedup_by(|later, earlier| later.1 == earlier.1);
        Self { description: what.to_owned(), forms }
    }

    /// An ID number, card number or other long number; a number with letters is searched as text only.
    #[must_use]
    pub fn number(what: &str, number: &str) -> Self {
        let mut needle = Self::text(what, number);
        // The check character X has no packed form: only the digits before it are searched.
        let digits: Vec<u8> = number.bytes().take_while(u8::is_ascii_digit).map(|b| b - b'0').collect();
        if digits.len() >= 8 {
            needle.forms.push(("BCD", packed_bcd(&digits)));
            needle.forms.push(("BCD, shifted", packed_bcd(digits.get(1..).unwrap_or_default())));
        }
        needle
    }

    /// A PIN: in ASCII between other characters, and packed after the VERIFY header (ISO 7816-4).
    #[must_use]
    pub fn pin(what: &str, pin: &str) -> Self {
        let digits: Vec<u8> = pin.bytes().map(|b| b.wrapping_sub(b'0')).collect();
        let packed = packed_bcd(&digits);
        let mut command = vec![0x00, 0x20, 0x00, 0x00];
        command.push(u8::try_from(packed.len()).unwrap_or(0));
        command.extend(packed);
        let forms = vec![("ASCII", pin.as_bytes().to_vec()), ("VERIFY command", command)];
        Self { description: what.to_owned(), forms }
    }
}

/// Packs two digits per byte; omits an odd last digit, so that any padding matches.
fn packed_bcd(digits: &[u8]) -> Vec<u8> {
    digits
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => high << 4 | low,
            _ => 0,
        })
        .collect()
}

/// Scans these directories recursively and returns all places where a needle is found.
///
/// # Errors
/// When a directory or file cannot be read, since an unread file cannot count as clean.
pub fn scan_directories(directories: &[&Path], needles: &[Needle]) -> io::Result<Vec<Finding>> {
    let mut found = Vec::new();
    let mut todo: Vec<PathBuf> = directories.iter().map(|dir| dir.to_path_buf()).collect();
    while let Some(path) = todo.pop() {
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            for entry in fs::read_dir(&path)? {
                todo.push(entry?.path());
            }
        } else if kind.is_file() {
            search_file(&path, &fs::read(&path)?, needles, &mut found);
        }
    }
    Ok(found)
}

fn search_file(file: &Path, bytes: &[u8], needles: &[Needle], found: &mut Vec<Finding>) {
    for needle in needles {
        for (form, pattern) in &needle.forms {
            if pattern.len() < 4 {
                continue;
            }
            if let Some(at) = find_pattern(bytes, pattern, *form == "ASCII") {
                found.push(Finding {
                    description: needle.description.clone(),
                    form,
                    file: file.to_owned(),
                    offset: at,
                });
            }
        }
    }
}

/// Offset of the first match; `whole` requires that it is not part of a longer number or hexadecimal text.
fn find_pattern(bytes: &[u8], pattern: &[u8], whole: bool) -> Option<usize> {
    let edge = |byte: Option<&u8>| byte.is_none_or(|b| !b.is_ascii_hexdigit());
    bytes.windows(pattern.len()).enumerate().find_map(|(at, window)| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let fits = window == pattern && (!whole || (edge(before) && edge(bytes.get(at + pattern.len()))));
        fits.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needles() -> Vec<Needle> {
        vec![
            Needle::text("the name", "张三丰"),
            Needle::number("the ID number", "500101199001011239"),
            Needle::pin("the PIN", "730914"),
        ]
    }

    #[test]
    fn planted_value_is_found_in_every_encoding() {
        let planted: [(&str, Vec<u8>); 8] = [
            ("name, UTF-8", "x张三丰y".as_bytes().to_vec()),
            ("name, GB18030", encoding_rs::GB18030.encode("姓名张三丰").0.into_owned()),
            ("number, ASCII", b"id=500101199001011239;".to_vec()),
            ("number, BCD", vec![0xAA, 0x50, 0x01, 0x01, 0x19, 0x90, 0x01, 0x01, 0x12, 0x39]),
            ("number, BCD shifted", vec![0x05, 0x00, 0x10, 0x11, 0x99, 0x00, 0x10, 0x11, 0x23, 0x9F]),
            ("number, UTF-16", "500101199001011239".encode_utf16().flat_map(u16::to_le_bytes).collect()),
            ("PIN, ASCII", b"pin: 730914\n".to_vec()),
            ("PIN, VERIFY", vec![0x00, 0x20, 0x00, 0x00, 0x03, 0x73, 0x09, 0x14]),
        ];
        let dir = tempfile::tempdir().unwrap();
        for (what, bytes) in planted {
            let deep = dir.path().join("a/b");
            fs::create_dir_all(&deep).unwrap();
            fs::write(deep.join("file"), bytes).unwrap();
            assert_eq!(scan_directories(&[dir.path()], &needles()).unwrap().len(), 1, "{what}");
        }
    }

    #[test]
    fn clean_files_and_longer_numbers_give_no_finding() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("log"), "张*丰 5001**********1239 order 9973091488").unwrap();
        assert_eq!(scan_directories(&[dir.path()], &needles()).unwrap(), []);
    }
}
