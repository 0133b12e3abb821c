//! Breaks text into lines of a given number of columns. Text that does not fit is wrapped, never truncated.

use crate::receipt::TextAlign;

/// Columns of a character: 1 (12 dots) for what GB 18030 encodes in one byte, 2 (24 dots) for all others.
pub(crate) fn width(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

/// Columns that a text takes on one line.
pub(crate) fn text_width(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Breaks a text into lines of at most `columns` (≥ 2) columns. Latin words and numbers stay whole if a line can
/// hold them, a line does not begin with closing punctuation, and spaces at a break are removed. Returns at least
/// one line.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    wrap_measured(text, columns, &width)
}

/// Like [`wrap`], with a width for each character. `width` and `limit` share a unit; no character may exceed `limit`.
pub(crate) fn wrap_measured(text: &str, limit: usize, width: &dyn Fn(char) -> usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for piece in unbreakable_pieces(text, limit, width) {
        let piece_width: usize = piece.chars().map(width).sum();
        if used + piece_width > limit && !line.is_empty() {
            lines.push(line.trim_end().to_owned());
            line = String::new();
            used = 0;
        }
        // A space at the start of a wrapped line is dropped: it is the break itself.
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

/// Sets a label at the left edge and a value at the right edge; below each other if one line cannot hold both.
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

/// Sets cells side by side. Each has a text, a width in columns (0 shares the rest) and an alignment. `None` if
/// they do not fit.
pub(crate) fn row(cells: &[(String, usize, TextAlign)], columns: usize) -> Option<Vec<String>> {
    let gaps = cells.len().checked_sub(1)?;
    let fixed: usize = cells.iter().map(|(_, wanted, _)| wanted).sum();
    let rest = columns.checked_sub(fixed + gaps)?;
    let sharing = cells.iter().filter(|(_, wanted, _)| *wanted == 0).count();
    let share = rest.checked_div(sharing).unwrap_or(0);
    // The last sharing cell takes the remainder of the division.
    let mut spare = rest.checked_rem(sharing).unwrap_or(0);
    let mut laid = Vec::new();
    for (text, wanted, align) in cells.iter().rev() {
        let width = if *wanted == 0 { share + std::mem::take(&mut spare) } else { *wanted };
        if width < 2 {
            return None;
        }
        laid.push((wrap(text, width), width, *align));
    }
    laid.reverse();
    let height = laid.iter().map(|(lines, _, _)| lines.len()).max()?;
    let line = |at: usize| {
        let cells = laid.iter().map(|(lines, width, align)| {
            align_text(lines.get(at).map_or("", String::as_str), *width, *align)
        });
        cells.collect::<Vec<_>>().join(" ").trim_end().to_owned()
    };
    Some((0..height).map(line).collect())
}

/// Pads a text of at most `columns` columns with spaces, according to its alignment.
fn align_text(text: &str, columns: usize, align: TextAlign) -> String {
    let spare = columns.saturating_sub(text_width(text));
    let before = match align {
        TextAlign::Left => 0,
        TextAlign::Center => spare / 2,
        TextAlign::Right => spare,
    };
    format!("{}{text}{}", " ".repeat(before), " ".repeat(spare - before))
}

/// Splits a text into units that must not be broken: a Latin word, or one other character with the closing
/// punctuation that follows it. No unit is wider than `limit`.
fn unbreakable_pieces(text: &str, limit: usize, width: &dyn Fn(char) -> usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut before = None;
    for c in text.chars() {
        let joins = match before {
            Some(previous) => {
                (is_word(previous) && is_word(c)) || (is_closing_punctuation(c) && previous != ' ')
            }
            None => false,
        };
        match pieces.last_mut() {
            Some(piece) if joins && piece.chars().map(width).sum::<usize>() + width(c) <= limit => {
                piece.push(c)
            }
            _ => pieces.push(c.to_string()),
        }
        before = Some(c);
    }
    pieces
}

fn is_word(c: char) -> bool {
    c.is_ascii_graphic()
}

fn is_closing_punctuation(c: char) -> bool {
    matches!(c, '，' | '。' | '、' | '；' | '：' | '！' | '？' | '）' | '》' | '」' | '』' | '】' | '”' | '’')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pair_is_set_at_both_edges() {
        assert_eq!(pair("户号", "10023345", 16), ["户号    10023345"]);
    }

    #[test]
    fn pair_too_wide_for_one_line_is_stacked() {
        assert_eq!(pair("地址", "渝中区人民路一号", 12), ["地址", "渝中区人民路", "        一号"]);
    }

    #[test]
    fn wrap_keeps_words_and_numbers_whole() {
        assert_eq!(wrap("Water bill 2026-10 paid", 12), ["Water bill", "2026-10 paid"]);
    }

    #[test]
    fn number_wider_than_line_is_broken_not_cut() {
        assert_eq!(wrap("1234567890", 4), ["1234", "5678", "90"]);
    }

    #[test]
    fn wrapped_line_never_begins_with_closing_punctuation() {
        assert_eq!(wrap("请取走凭条。", 10), ["请取走凭", "条。"]);
    }

    #[test]
    fn empty_text_is_one_empty_line() {
        assert_eq!(wrap("", 32), [""]);
    }

    fn cell(text: &str, columns: usize, align: TextAlign) -> (String, usize, TextAlign) {
        (text.to_owned(), columns, align)
    }

    #[test]
    fn row_sets_cells_side_by_side_with_wide_chinese() {
        let cells = [
            cell("合川水费", 0, TextAlign::Left),
            cell("2", 3, TextAlign::Right),
            cell("86.40", 7, TextAlign::Right),
        ];

        assert_eq!(row(&cells, 24).unwrap(), ["合川水费       2   86.40"]);
    }

    #[test]
    fn long_cell_is_wrapped_in_its_own_columns() {
        let cells = [cell("城镇居民生活用水", 8, TextAlign::Left), cell("86.40", 6, TextAlign::Right)];

        assert_eq!(row(&cells, 15).unwrap(), ["城镇居民  86.40", "生活用水"]);
    }

    #[test]
    fn row_wider_than_paper_does_not_fit() {
        assert_eq!(row(&[cell("a", 10, TextAlign::Left), cell("b", 6, TextAlign::Left)], 16), None);
        assert_eq!(row(&[], 16), None);
    }

    fn visible(lines: &[String]) -> String {
        lines.concat().chars().filter(|c| *c != ' ').collect()
    }

    proptest! {
        #[test]
        fn wrap_keeps_visible_characters_and_limit(text in "[ a-z0-9，。一-龥𠮷]{0,80}", columns in 2usize..50) {
            let lines = wrap(&text, columns);

            prop_assert!(lines.iter().all(|line| text_width(line) <= columns));
            prop_assert_eq!(visible(&lines), visible(&[text]));
        }

        #[test]
        fn pair_keeps_visible_characters_and_limit(label in "[a-z一-龥]{0,20}", value in "[ a-z0-9一-龥]{0,60}", columns in 2usize..50) {
            let lines = pair(&label, &value, columns);

            prop_assert!(lines.iter().all(|line| text_width(line) <= columns));
            prop_assert_eq!(visible(&lines), visible(&[label, value]));
        }

        #[test]
        fn row_keeps_visible_characters_and_limit(
            texts in proptest::collection::vec(("[a-z0-9一-龥]{0,30}", 0usize..12, 0u8..3), 1..5),
            columns in 2usize..50,
        ) {
            let aligns = [TextAlign::Left, TextAlign::Center, TextAlign::Right];
            let cells: Vec<_> = texts.iter().map(|(text, wanted, align)| cell(text, *wanted, aligns[usize::from(*align)])).collect();

            if let Some(lines) = row(&cells, columns) {
                prop_assert!(lines.iter().all(|line| text_width(line) <= columns));
                let sorted = |text: String| { let mut all: Vec<char> = text.chars().filter(|c| *c != ' ').collect(); all.sort_unstable(); all };
                prop_assert_eq!(sorted(lines.concat()), sorted(texts.into_iter().map(|(text, _, _)| text).collect()));
            }
        }
    }
}
