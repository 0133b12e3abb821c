//! Width of texts, so that they fit into their place on every panel.

/// Ends a text that was shortened.
const ELLIPSIS: char = '…';

/// Width in half widths of a Chinese character: Latin letters take one, Chinese characters two.
pub(crate) fn half_widths(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

const fn width_of(character: char) -> usize {
    if character.is_ascii() { 1 } else { 2 }
}

/// The text, or its beginning with an ellipsis, in at most so many half widths.
pub(crate) fn shortened(text: &str, half_widths_max: usize) -> String {
    if half_widths(text) <= half_widths_max {
        return text.to_owned();
    }
    let mut left = half_widths_max.saturating_sub(width_of(ELLIPSIS));
    let fits = text.chars().take_while(|character| match left.checked_sub(width_of(*character)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    });
    let mut short: String = fits.collect();
    short.truncate(short.trim_end().len());
    short.push(ELLIPSIS);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shortened_only_when_it_is_too_wide() {
        for (text, max, short) in [
            ("水费缴纳", 8, "水费缴纳"),
            ("水费缴纳", 7, "水费…"),
            ("Water bill", 10, "Water bill"),
            ("Water bill", 9, "Water b…"),
            ("Water bill", 8, "Water…"),
            ("12 元", 4, "12…"),
            ("", 0, ""),
        ] {
            assert_eq!(shortened(text, max), short);
            assert!(half_widths(short) <= max);
        }
    }
}
