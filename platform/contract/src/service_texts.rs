//! The texts of a service document: both languages are there, in their own script, and fit their place on the screen.

use toml::de::{DeTable, DeValue};

use crate::service_check::ServiceProblem;

/// Most characters of a text by its place: Chinese, English.
const TILE_TITLE: (usize, usize) = (8, 28);
const TILE_HINT: (usize, usize) = (16, 40);
const STEP_TITLE: (usize, usize) = (20, 56);
const LABEL: (usize, usize) = (12, 40);
const OPTION: (usize, usize) = (24, 56);
const SENTENCE: (usize, usize) = (60, 160);

/// The first text of a document that is wrong, by its offset.
pub(crate) fn wrong_text(text: &str) -> Option<(usize, ServiceProblem)> {
    let document = DeTable::parse(text).ok()?;
    let mut found = Vec::new();
    for (key, value) in document.get_ref() {
        let most = match key.get_ref().as_ref() {
            "title" => TILE_TITLE,
            "hint" => TILE_HINT,
            _ => SENTENCE,
        };
        check_value(value.get_ref(), most, &mut found);
    }
    found.into_iter().min_by_key(|(offset, _)| *offset)
}

fn check_value(value: &DeValue<'_>, most: (usize, usize), found: &mut Vec<(usize, ServiceProblem)>) {
    match value {
        DeValue::Array(items) => items.iter().for_each(|item| check_value(item.get_ref(), most, found)),
        DeValue::Table(table) => {
            for (language, most) in [("zh", most.0), ("en", most.1)] {
                let Some(text) = table.get(language) else { continue };
                let DeValue::String(words) = text.get_ref() else { continue };
                let problem = problem_of(language, words.as_ref(), most);
                found.extend(problem.map(|problem| (text.span().start, problem)));
            }
            for (key, value) in table {
                let below = match key.get_ref().as_ref() {
                    "title" => STEP_TITLE,
                    "options" => OPTION,
                    // The fields of an answer, each with its label.
                    "answer" => LABEL,
                    _ => most,
                };
                check_value(value.get_ref(), below, found);
            }
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

fn problem_of(language: &'static str, words: &str, most: usize) -> Option<ServiceProblem> {
    let length = words.chars().count();
    if words.trim().is_empty() || words.chars().any(char::is_control) {
        Some(ServiceProblem::NoText(language))
    } else if length > most {
        Some(ServiceProblem::LongText { language, length, most })
    } else if language == "en" && words.chars().any(is_chinese) {
        Some(ServiceProblem::ChineseInEnglish)
    } else {
        None
    }
}

/// Whether a character is Chinese: an ideograph, or the punctuation beside them.
const fn is_chinese(letter: char) -> bool {
    matches!(letter, '\u{3000}'..='\u{303f}' | '\u{3400}'..='\u{9fff}' | '\u{ff00}'..='\u{ff60}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_text_is_found_with_its_place() {
        let document = include_str!("../../../assets/services/water-pay.toml");
        assert_eq!(wrong_text(document), None);
        let title = document.lines().find(|line| line.starts_with("title")).unwrap();
        for (to, at, expected) in [
            ("title = { zh = \"一二三四五六七八九\", en = \"Bill\" }", 15, "has 9 characters, at most 8 fit"),
            ("title = { zh = \"水费\", en = \" \" }", 26, "`en` is empty"),
            ("title = { zh = \"水\\n费\", en = \"Bill\" }", 15, "`zh` is empty"),
            ("title = { zh = \"水费\", en = \"水费\" }", 26, "`en` has Chinese characters"),
        ] {
            let changed = document.replacen(title, to, 1);
            let (offset, problem) = wrong_text(&changed).unwrap();
            let line = changed.find(to).unwrap();
            assert_eq!(changed.get(line..offset).unwrap().chars().count(), at, "{to}");
            assert!(problem.to_string().contains(expected), "{problem}");
        }
    }
    #[test]
    fn mistake_in_a_later_step_has_the_place_of_that_step() {
        let document = include_str!("../../../assets/services/water-phone.toml");
        let steps: Vec<usize> = document
            .lines()
            .enumerate()
            .filter(|(_, line)| line.starts_with("[[step]]"))
            .map(|(at, _)| at + 1)
            .collect();
        let last = document.rfind("[[step]]").unwrap();
        let (before, of_step) = document.split_at(last);
        for (from, to) in
            [("\ntitle = ", "\ntitles = "), ("\nid = ", "\nidea = "), ("do = \"print\"", "do = \"send\"")]
        {
            let changed = format!("{before}{}", of_step.replacen(from, to, 1));
            assert_ne!(changed, document, "{from}");
            let error = crate::ServiceDocument::parse(&changed).unwrap_err();
            assert!(error.position.is_some_and(|(line, _)| line >= *steps.last().unwrap()), "{to}: {error}");
        }
    }
}
