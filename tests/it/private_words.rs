//! Architecture test: words of this repository's past that nobody else uses do not come back. `docs/glossary.md` has
//! the terms that replace them.

use std::fs;

use system_tests::repository::repository;

use crate::architecture::files;

/// Words and phrases, in lower case. A word matches alone and as a part of an identifier.
const PRIVATE_WORDS: &[&str] = &[
    "cabinet",
    "cabinets",
    "drill",
    "drills",
    "errand",
    "errands",
    "eyes",
    "far side",
    "finger",
    "fingers",
    "fittings",
    "for ever",
    "forever",
    "heard",
    "in vain",
    "keeper",
    "keepers",
    "last words",
    "lettering",
    "lobby",
    "mend",
    "mended",
    "mends",
    "other house",
    "other houses",
    "rules of the house",
    "scribe",
    "shelf",
    "shelves",
    "told",
    "unburied",
    "unhex",
    "unhurt",
    "vouch",
    "vouched",
    "vouches",
    "whoever",
    "workshop",
];

/// Names on the wire and on disk that hold such a word and do not change, and code that only looks like one.
const ALLOWED: &[&str] =
    &["\"shelf\"", "\"shelf/\"", "clock-heard", "clock_heard", "facts_told", "far = side"];

/// Files that list the words.
const LISTS: &[&str] = &["docs/glossary.md", "tests/it/private_words.rs"];

/// The words of a line in lower case, each between spaces. Identifiers are split into their words.
fn words(line: &str) -> String {
    let mut words = String::from(" ");
    let mut previous_is_lower = false;
    for c in line.chars() {
        if c.is_ascii_alphabetic() {
            if c.is_ascii_uppercase() && previous_is_lower {
                words.push(' ');
            }
            words.push(c.to_ascii_lowercase());
        } else if !words.ends_with(' ') {
            words.push(' ');
        }
        previous_is_lower = c.is_ascii_lowercase();
    }
    words.push(' ');
    words
}

fn private_words(line: &str) -> Vec<&'static str> {
    let line = ALLOWED.iter().fold(line.to_owned(), |line, allowed| line.replace(allowed, ""));
    let words = words(&line);
    PRIVATE_WORDS.iter().copied().filter(|word| words.contains(&format!(" {word} "))).collect()
}

#[test]
fn private_words_are_found_in_prose_and_identifiers() {
    assert_eq!(private_words("/// The kiosk was told."), ["told"]);
    assert_eq!(private_words("let FarSide = is_told(DeviceKeeper)"), ["far side", "keeper", "told"]);
    assert_eq!(private_words("fingerprint, shelfful, Self::Feed => \"shelf\","), [""; 0]);
}

#[test]
fn private_words_do_not_come_back() {
    let scanned = |file: &&String| {
        [".rs", ".slint", ".toml", ".md"].iter().any(|ending| file.ends_with(ending))
            && !file.starts_with("assets/lang/")
            && !LISTS.contains(&file.as_str())
    };
    let mut found = Vec::new();
    for file in files().iter().filter(scanned) {
        let Ok(text) = fs::read_to_string(repository().join(file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            found
                .extend(private_words(line).into_iter().map(|word| format!("{file}:{}: {word}", number + 1)));
        }
    }
    assert!(found.is_empty(), "use the words of docs/glossary.md:\n{}", found.join("\n"));
}
