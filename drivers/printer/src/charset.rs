//! Which characters the font ROM of a printer has, and how a text is sanitised for printing.
//!
//! All text is sent in GB 18030; models differ in which of its characters they can draw. The areas are those of
//! GB/T 2312-1980 and of GBK 1.0 (areas 2, 3 and 4: Chinese characters). User-defined areas, and characters that
//! later editions added to the two-byte area, count as missing: most ROMs lack them. A line that is rasterised
//! without need only prints more slowly; a wrong character falsifies a name.

use encoding_rs::{EncoderResult, GB18030};

use crate::profile::Charset;

/// Assigned cells of the non-Chinese rows of GB/T 2312-1980: lead byte, first and last trail byte.
const GB2312_SYMBOLS: [(u8, u8, u8); 15] = [
    (0xA1, 0xA1, 0xFE),
    (0xA2, 0xB1, 0xE2),
    (0xA2, 0xE5, 0xEE),
    (0xA2, 0xF1, 0xFC),
    (0xA3, 0xA1, 0xFE),
    (0xA4, 0xA1, 0xF3),
    (0xA5, 0xA1, 0xF6),
    (0xA6, 0xA1, 0xB8),
    (0xA6, 0xC1, 0xD8),
    (0xA7, 0xA1, 0xC1),
    (0xA7, 0xD1, 0xF1),
    (0xA8, 0xA1, 0xBA),
    (0xA8, 0xC5, 0xE9),
    (0xA9, 0xA4, 0xEF),
    (0xB0, 0xA1, 0xFE),
];

impl Charset {
    /// Whether the printer's own font has this character.
    pub(crate) fn covers(self, c: char) -> bool {
        if c.is_ascii() {
            return !c.is_ascii_control();
        }
        let mut bytes = [0; 8];
        let mut utf8 = [0; 4];
        let (result, _, written) = GB18030.new_encoder().encode_from_utf8_without_replacement(
            c.encode_utf8(&mut utf8),
            &mut bytes,
            true,
        );
        match (result, bytes.get(..written)) {
            (EncoderResult::InputEmpty, Some(&[lead, trail])) => match self {
                Self::Gb2312 => in_gb2312(lead, trail),
                Self::Gbk | Self::Gb18030 => in_gb2312(lead, trail) || in_gbk(lead, trail),
            },
            // CJK extension A: the four-byte part that GB 18030-2005 makes mandatory.
            (EncoderResult::InputEmpty, Some([_, _, _, _])) => {
                self == Self::Gb18030 && ('\u{3400}'..='\u{4DB5}').contains(&c)
            }
            _ => false,
        }
    }
}

fn in_gb2312(lead: u8, trail: u8) -> bool {
    let chinese = match lead {
        0xB0..=0xD6 | 0xD8..=0xF7 => (0xA1..=0xFE).contains(&trail),
        // Row 55 ends five cells early.
        0xD7 => (0xA1..=0xF9).contains(&trail),
        _ => false,
    };
    chinese || GB2312_SYMBOLS.iter().any(|&(row, first, last)| row == lead && (first..=last).contains(&trail))
}

fn in_gbk(lead: u8, trail: u8) -> bool {
    match lead {
        // GBK/3
        0x81..=0xA0 => (0x40..=0xFE).contains(&trail),
        // GBK/4, without the 80 characters FE50..FEA0 whose meaning changed between editions.
        0xAA..=0xFD => (0x40..=0xA0).contains(&trail),
        0xFE => (0x40..=0x4F).contains(&trail),
        _ => false,
    }
}

/// Makes a text safe to print. Control characters become spaces (a text must not contain a printer command),
/// zero-width characters are removed, and the yen sign becomes its full-width form: every Chinese ROM has `A3A4`,
/// while `U+00A5` is a four-byte code that no ROM has.
pub(crate) fn sanitize(text: &str) -> String {
    text.chars()
        .filter(|&c| !is_zero_width(c))
        .map(|c| match c {
            '\u{A5}' => '\u{FFE5}',
            '\u{A0}' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

/// Whether a character has no glyph: zero-width characters, direction marks, variation selectors, byte order mark.
fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_chinese_and_signs_are_in_gb2312() {
        for c in "参保证明水费缴纳凭条渝中区\u{FFE5}。、（）—…·①Ａα".chars() {
            assert!(Charset::Gb2312.covers(c), "{c}");
        }
    }

    #[test]
    fn rare_characters_are_covered_as_each_standard_says() {
        // 镕 and 喆 are in GBK and not in GB 2312; 㛃 is in extension A, 𠮷 in extension B.
        for (c, gb2312, gbk, gb18030) in [
            ('镕', false, true, true),
            ('喆', false, true, true),
            ('㛃', false, false, true),
            ('𠮷', false, false, false),
            ('䶮', false, false, false),
            ('é', true, true, true),
            ('☺', false, false, false),
        ] {
            assert_eq!(Charset::Gb2312.covers(c), gb2312, "{c}");
            assert_eq!(Charset::Gbk.covers(c), gbk, "{c}");
            assert_eq!(Charset::Gb18030.covers(c), gb18030, "{c}");
        }
    }

    #[test]
    fn gb2312_covers_exactly_6763_chinese_characters() {
        let chinese = ('\u{4E00}'..='\u{9FFF}').filter(|&c| Charset::Gb2312.covers(c)).count();

        assert_eq!(chinese, 6763);
    }

    #[test]
    fn gbk_covers_exactly_20902_unified_characters() {
        let chinese = ('\u{4E00}'..='\u{9FA5}').filter(|&c| Charset::Gbk.covers(c)).count();

        assert_eq!(chinese, 20_902);
    }

    #[test]
    fn control_characters_in_text_become_spaces() {
        let fitted = sanitize("a\u{1B}@b\u{10}\u{04}\u{1}c\nd\u{202E}");

        assert_eq!(fitted, "a @b   c d");
    }

    #[test]
    fn yen_sign_becomes_full_width() {
        assert_eq!(sanitize("\u{A5}86.40"), "\u{FFE5}86.40");
    }
}
