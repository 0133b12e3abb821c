//! Text into lines of so many columns. Nothing is ever cut: what does not fit is wrapped.

/// Columns that a character takes: what GB 18030 encodes in one byte is 12 dots wide, all else 24.
pub(crate) fn width(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

/// Columns of a text on one line.
pub(crate) fn text_width(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Breaks a text into lines of at most `columns` (≥ 2) columns. Latin words and numbers stay whole if a line can
/// hold them, a line does not begin with closing punctuation, spaces at a break go. At least one line.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for piece in pieces(text, columns) {
        let piece_width = text_width(&piece);
        if used + piece_width > columns && !line.is_empty() {
            lines.push(line.trim_end().to_owned());
            line = String::new();
            used = 0;
        }
        // A space that would begin a wrapped line is the break itself.
        if line.is_empty() && !lines.is_empty() && piece.trim().is_empty() {
            continue;
        }
        line.push_str(&piece);
        used += piece_width;
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// A label at the left edge and a value at the right one; below each other if one line cannot hold both.
pub(crate) fn pair(label: &str, value: &str, columns: usize) -> Vec<String> {
    let (label_width, value_width) = (text_width(label), text_width(value));
    if label_width + 1 + value_width <= columns {
        let gap = columns - label_width - value_width;
        return vec![format!("{label}{}{value}", " ".repeat(gap))];
    }
    let values = wrap(value, columns);
    let right = values.iter().map(|line| format!("{}{line}", " ".repeat(columns - text_width(line))));
    wrap(label, columns).into_iter().chain(right).collect()
}

/// What must not be torn apart, in order: a Latin word, or one other character with the closing punctuation
/// that follows it. None is wider than `columns`.
fn pieces(text: &str, columns: usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut before = None;
    for c in text.chars() {
        let joins = match before {
            Some(previous) => (is_word(previous) && is_word(c)) || (closes(c) && previous != ' '),
            None => false,
        };
        match pieces.last_mut() {
            Some(piece) if joins && text_width(piece) + width(c) <= columns => piece.push(c),
            _ => pieces.push(c.to_string()),
        }
        before = Some(c);
    }
    pieces
}

fn is_word(c: char) -> bool {
    c.is_ascii_graphic()
}

fn closes(c: char) -> bool {
    matches!(c, '，' | '。' | '、' | '；' | '：' | '！' | '？' | '）' | '》' | '」' | '』' | '】' | '”' | '’')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pair_stands_at_both_edges() {
        assert_eq!(pair("户号", "10023345", 16), ["户号    10023345"]);
    }

    #[test]
    fn a_pair_too_wide_for_one_line_is_set_below_each_other() {
        assert_eq!(pair("地址", "渝中区人民路一号", 12), ["地址", "渝中区人民路", "        一号"]);
    }

    #[test]
    fn words_and_numbers_stay_whole() {
        assert_eq!(wrap("Water bill 2026-10 paid", 12), ["Water bill", "2026-10 paid"]);
    }

    #[test]
    fn a_number_wider_than_the_line_is_broken_rather_than_cut() {
        assert_eq!(wrap("1234567890", 4), ["1234", "5678", "90"]);
    }

    #[test]
    fn a_line_does_not_begin_with_closing_punctuation() {
        assert_eq!(wrap("请取走凭条。", 10), ["请取走凭", "条。"]);
    }

    #[test]
    fn an_empty_text_is_one_empty_line() {
        assert_eq!(wrap("", 32), [""]);
    }

    fn visible(lines: &[String]) -> String {
        lines.concat().chars().filter(|c| *c != ' ').collect()
    }

    proptest! {
        #[test]
        fn wrapping_keeps_every_visible_character_and_every_limit(text in "[ a-z0-9，。一-龥𠮷]{0,80}", columns in 2usize..50) {
            let lines = wrap(&text, columns);

            prop_assert!(lines.iter().all(|line| text_width(line) <= columns));
            prop_assert_eq!(visible(&lines), visible(&[text]));
        }

        #[test]
        fn a_pair_keeps_every_visible_character_and_every_limit(label in "[a-z一-龥]{0,20}", value in "[ a-z0-9一-龥]{0,60}", columns in 2usize..50) {
            let lines = pair(&label, &value, columns);

            prop_assert!(lines.iter().all(|line| text_width(line) <= columns));
            prop_assert_eq!(visible(&lines), visible(&[label, value]));
        }
    }
}
