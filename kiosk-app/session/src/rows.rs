//! Rows of a platform's answer, validated against the declarations of the service document.
//!
//! The platform is outside the trust boundary: an answer that lacks a field, has a wrong type or is too long is invalid
//! as a whole, and nothing of it is shown.

use std::collections::BTreeMap;

use contract::{AnswerField, AnswerFieldType, AnswerSchema, CallAnswer, Money};
use view::Lang;
use zeroize::Zeroizing;

use crate::wording::label_of;

/// Limit of rows in one answer.
const ROWS_MAX: usize = 200;
/// Limit of the text of a field, in characters.
const TEXT_MAX: usize = 200;

/// One validated row; wiped on drop.
pub(crate) type CheckedRow = BTreeMap<String, Zeroizing<String>>;

/// The rows with exactly the declared fields; `None` when the answer does not match the declaration.
pub(crate) fn validate_rows(
    answer: CallAnswer,
    declared: &AnswerSchema,
    many: bool,
) -> Option<Vec<CheckedRow>> {
    let most = if many { ROWS_MAX } else { 1 };
    if answer.rows.len() > most {
        return None;
    }
    answer.rows.into_iter().map(|row| validate_row(row, declared)).collect()
}

fn validate_row(mut row: contract::AnswerRow, declared: &AnswerSchema) -> Option<CheckedRow> {
    declared
        .iter()
        .map(|(name, field)| {
            let value = Zeroizing::new(row.remove(name)?);
            is_valid_value(field.kind(), &value).then(|| (name.clone(), value))
        })
        .collect()
}

fn is_valid_value(kind: AnswerFieldType, value: &str) -> bool {
    is_clean_text(value)
        && match kind {
            AnswerFieldType::Text => true,
            AnswerFieldType::Key => !value.is_empty(),
            AnswerFieldType::Money => parse_money(value).is_some(),
            AnswerFieldType::Date => is_date(value),
        }
}

/// Whether a text can be shown: not too long, and without control characters.
pub(crate) fn is_clean_text(value: &str) -> bool {
    !value.chars().any(char::is_control) && value.chars().count() <= TEXT_MAX
}

/// Parses an amount as written on the wire: whole fen, digits only.
pub(crate) fn parse_money(value: &str) -> Option<Money> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse::<i64>().ok().and_then(|fen| Money::from_fen(fen).ok())).flatten()
}

/// True for `YYYY-MM-DD` or `YYYY-MM` with an existing month and day.
fn is_date(value: &str) -> bool {
    let full = if value.len() == 7 { format!("{value}-01") } else { value.to_owned() };
    full.len() == 10 && full.parse::<jiff::civil::Date>().is_ok()
}

/// A value formatted for display to a resident.
pub(crate) fn display_value(kind: AnswerFieldType, value: &str, lang: Lang) -> String {
    match (kind, lang) {
        (AnswerFieldType::Money, _) => {
            parse_money(value).map_or_else(String::new, |amount| amount.to_string())
        }
        (AnswerFieldType::Date, Lang::Zh) => chinese_date(value),
        (AnswerFieldType::Date, Lang::En) | (AnswerFieldType::Text | AnswerFieldType::Key, _) => {
            value.to_owned()
        }
    }
}

/// `2026-10` as 2026年10月, `2026-10-31` as 2026年10月31日.
fn chinese_date(value: &str) -> String {
    let mut parts = value.split('-').map(|part| part.trim_start_matches('0'));
    match (parts.next(), parts.next(), parts.next()) {
        (Some(year), Some(month), Some(day)) => format!("{year}年{month}月{day}日"),
        (Some(year), Some(month), None) => format!("{year}年{month}月"),
        (Some(_), None, _) | (None, _, _) => value.to_owned(),
    }
}

/// The labelled fields of a row in the order of `show`.
pub(crate) fn labelled_fields<'a>(
    row: &'a CheckedRow,
    show: &'a [String],
    declared: &'a AnswerSchema,
    lang: Lang,
) -> impl Iterator<Item = (&'a str, AnswerFieldType, String)> {
    show.iter().filter_map(move |name| {
        let AnswerField::Labelled(label) = declared.get(name)? else { return None };
        let value = row.get(name)?;
        Some((label_of(label, lang), label.kind, display_value(label.kind, value, lang)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> AnswerSchema {
        [("bill", AnswerFieldType::Key), ("amount", AnswerFieldType::Money), ("day", AnswerFieldType::Date)]
            .map(|(name, kind)| (name.to_owned(), AnswerField::Plain(kind)))
            .into()
    }

    fn answer(rows: &[&[(&str, &str)]]) -> CallAnswer {
        let rows = rows
            .iter()
            .map(|row| row.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
            .collect();
        CallAnswer { rows, next: None, refused: None }
    }

    const GOOD: [(&str, &str); 3] = [("bill", "b1"), ("amount", "8640"), ("day", "2026-10-31")];

    #[test]
    fn valid_row_keeps_only_declared_fields() {
        let mut wide = GOOD.to_vec();
        wide.push(("id_number", "500101199001011234"));
        let rows = validate_rows(answer(&[&wide]), &declared(), false).unwrap();
        assert_eq!(rows[0].keys().collect::<Vec<_>>(), ["amount", "bill", "day"]);
    }

    #[test]
    fn display_value_formats_by_kind_and_language() {
        for (kind, value, zh, en) in [
            (AnswerFieldType::Money, "123456", "¥1,234.56", "¥1,234.56"),
            (AnswerFieldType::Date, "2026-10", "2026年10月", "2026-10"),
            (AnswerFieldType::Date, "2026-09-05", "2026年9月5日", "2026-09-05"),
            (AnswerFieldType::Text, "18 吨", "18 吨", "18 吨"),
        ] {
            assert_eq!(display_value(kind, value, Lang::Zh), zh);
            assert_eq!(display_value(kind, value, Lang::En), en);
        }
    }

    #[test]
    fn answer_not_matching_declaration_is_rejected_whole() {
        for (at, value) in [
            (1, "-1"),
            (1, "86.40"),
            (1, "+5"),
            (1, "99999999999999999999"),
            (2, "2026-13-01"),
            (2, "20261031"),
            (0, ""),
            (0, "a\nb"),
        ] {
            let mut bad = GOOD;
            bad[at].1 = value;
            assert!(validate_rows(answer(&[&bad]), &declared(), true).is_none(), "{value}");
        }
        assert!(validate_rows(answer(&[&GOOD[..2]]), &declared(), true).is_none());
        assert!(validate_rows(answer(&[&GOOD, &GOOD]), &declared(), false).is_none());
        let flood: Vec<&[(&str, &str)]> = vec![&GOOD; ROWS_MAX + 1];
        assert!(validate_rows(answer(&flood), &declared(), true).is_none());
    }
}
