//! Values of a data file: texts with derived parts (`$today`, `$input.account`), and whole numbers.
//!
//! A text is parsed when the file is read, so that a mistake is found there, and evaluated when a request is answered.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::signatures::sm3;

/// Derived parts that may stand in any value.
const ANYWHERE: &str = "$today, $today-30d, $today+90d, $month, $month-1, $year, $year-1, $number(PREFIX), $name, $id_number, \
                        $input.FIELD, and $$ for one $";
/// Digits of a `$number(PREFIX)`.
const NUMBER_DIGITS: usize = 8;

/// What a place of a data file knows beside what is known anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A row of a query.
    Row,
    /// The row of a ticket, and its effects.
    Ticket,
    /// The number of a submission.
    CaseNumber,
    /// Effects of a submission.
    Submission,
    /// Effects of a payment.
    Paid,
}

impl Place {
    /// Derived parts of this place alone, as a person writes them.
    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Row | Self::CaseNumber => &[],
            Self::Ticket => &["ticket", "ahead", "minutes"],
            Self::Submission => &["case", "state"],
            Self::Paid => &["amount", "order", "reference"],
        }
    }

    fn allowed(self) -> String {
        let mut text = ANYWHERE.to_owned();
        for word in self.words() {
            let _ = write!(text, ", ${word}");
        }
        match self {
            Self::Paid => text.push_str(", $row.FIELD (a field of the paid bill)"),
            Self::Row => text.push_str(", $waiting(PREFIX)"),
            Self::Ticket | Self::CaseNumber | Self::Submission => {}
        }
        text
    }
}

/// A derived part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Derived {
    /// The date, some days before or after.
    Today(i32),
    /// The month, some months before or after.
    Month(i32),
    /// The year, some years before or after.
    Year(i32),
    /// A number that is fresh for each request.
    Number(String),
    /// How many people wait for the numbers with this prefix.
    Waiting(String),
    /// The name of the person.
    Name,
    /// 公民身份号码 of the person.
    IdNumber,
    /// A field that the resident entered.
    Input(String),
    /// A field of the paid bill.
    Row(String),
    /// One of [`Place::words`].
    Word(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Derived(Derived),
}

/// A text with derived parts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Template {
    source: String,
    parts: Vec<Part>,
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text.
    Text(Template),
    /// A whole number; of money, in fen.
    Number(i64),
}

/// What derived parts are evaluated with.
#[derive(Clone, Debug)]
pub(crate) struct Context<'a> {
    /// The date in China.
    pub(crate) today: Date,
    /// The id of the request, from which fresh numbers follow.
    pub(crate) id: &'a str,
    /// Name of the person, or empty.
    pub(crate) name: &'a str,
    /// 公民身份号码 of the person, or empty.
    pub(crate) id_number: &'a str,
    /// What the resident entered.
    pub(crate) input: &'a BTreeMap<String, String>,
    /// Values of the words of this place; fields of the paid bill as `row.FIELD`, people who wait as `waiting.PREFIX`.
    pub(crate) words: BTreeMap<String, String>,
}

/// The date in China (UTC+8, without summer time) at a time in milliseconds since 1970.
pub(crate) fn china_date(at_ms: u64) -> Date {
    let at = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    TimeZone::fixed(Offset::constant(8)).to_datetime(at.unwrap_or(Timestamp::UNIX_EPOCH)).date()
}

impl Template {
    /// The text as written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether nothing of it is derived.
    pub(crate) fn is_literal(&self) -> bool {
        self.derived().next().is_none()
    }

    /// The derived parts.
    pub(crate) fn derived(&self) -> impl Iterator<Item = &Derived> {
        self.parts.iter().filter_map(|part| match part {
            Part::Derived(derived) => Some(derived),
            Part::Text(_) => None,
        })
    }

    /// The fields of the input that it needs.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &str> {
        self.derived()
            .filter_map(|one| if let Derived::Input(field) = one { Some(field.as_str()) } else { None })
    }

    /// Whether it is another text for each request.
    pub(crate) fn is_fresh(&self) -> bool {
        self.derived().any(|one| matches!(one, Derived::Number(_)))
    }

    /// Checks that each derived part is known at this place.
    pub(crate) fn check(&self, place: Place) -> Result<(), String> {
        for derived in self.derived() {
            let fits = match derived {
                Derived::Word(word) => place.words().contains(&word.as_str()),
                Derived::Row(_) => place == Place::Paid,
                Derived::Waiting(_) => place == Place::Row,
                Derived::Today(_)
                | Derived::Month(_)
                | Derived::Year(_)
                | Derived::Number(_)
                | Derived::Name
                | Derived::IdNumber
                | Derived::Input(_) => true,
            };
            if !fits {
                return Err(format!("{} is not known here; known are {}", self.source, place.allowed()));
            }
        }
        Ok(())
    }

    /// The text with its derived parts filled in. What is not known is empty.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Derived(derived) => text.push_str(&derived.evaluate(context)),
            }
        }
        text
    }
}

impl Derived {
    fn evaluate(&self, context: &Context<'_>) -> String {
        let word = |name: &str| context.words.get(name).cloned().unwrap_or_default();
        match self {
            Self::Today(days) => {
                let day = context.today.checked_add(Span::new().days(*days)).unwrap_or(context.today);
                format!("{:04}-{:02}-{:02}", day.year(), day.month(), day.day())
            }
            Self::Month(months) => {
                let first = context.today.first_of_month();
                let month = first.checked_add(Span::new().months(*months)).unwrap_or(first);
                format!("{:04}-{:02}", month.year(), month.month())
            }
            Self::Year(years) => format!("{:04}", i32::from(context.today.year()) + years),
            Self::Number(prefix) => fresh_number(prefix, context.id),
            Self::Waiting(prefix) => word(&format!("waiting.{prefix}")),
            Self::Name => context.name.to_owned(),
            Self::IdNumber => context.id_number.to_owned(),
            Self::Input(field) => context.input.get(field).cloned().unwrap_or_default(),
            Self::Row(field) => word(&format!("row.{field}")),
            Self::Word(name) => word(name),
        }
    }
}

/// A number that is the same whenever this request is repeated, and another for each other request.
fn fresh_number(prefix: &str, id: &str) -> String {
    let hash = sm3(&[b"number\n", prefix.as_bytes(), b"\n", id.as_bytes()]);
    let digits = hash.iter().take(NUMBER_DIGITS).map(|byte| char::from(b'0' + byte % 10));
    prefix.chars().chain(digits).collect()
}

/// A text that evaluates to itself: what residents entered is never evaluated.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = source.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                literal.push('$');
                rest = after;
                continue;
            }
            let (derived, after) = match after.strip_prefix('{') {
                Some(inner) => {
                    let (expression, after) = inner
                        .split_once('}')
                        .ok_or_else(|| format!("`{source}`: }} is missing after ${{"))?;
                    let (derived, left) = parse_derived(expression)?;
                    if !left.is_empty() {
                        return Err(unknown(expression));
                    }
                    (derived, after)
                }
                None => parse_derived(after)?,
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Derived(derived));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { source, parts })
    }
}

fn unknown(text: &str) -> String {
    let shown: String = text.chars().take(20).collect();
    format!("${shown} is not a derived value; write one of {ANYWHERE}")
}

/// The derived part at the start of a text that follows a `$`, and what follows it.
fn parse_derived(text: &str) -> Result<(Derived, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    Ok(match name {
        "today" => {
            let (days, rest) = parse_offset(rest, "d");
            (Derived::Today(days), rest)
        }
        "month" => {
            let (months, rest) = parse_offset(rest, "");
            (Derived::Month(months), rest)
        }
        "year" => {
            let (years, rest) = parse_offset(rest, "");
            (Derived::Year(years), rest)
        }
        "number" | "waiting" => {
            let inner = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
            let (prefix, rest) = inner.ok_or_else(|| format!("${name} needs a prefix: ${name}(PREFIX)"))?;
            let prefix = prefix.to_owned();
            (if name == "number" { Derived::Number(prefix) } else { Derived::Waiting(prefix) }, rest)
        }
        "input" | "row" => {
            let field = rest.strip_prefix('.').unwrap_or_default();
            let end = field.find(|c: char| !is_field_character(c)).unwrap_or(field.len());
            let (field, rest) = field.split_at_checked(end).unwrap_or((field, ""));
            if field.is_empty() {
                return Err(format!("${name} needs the name of a field: ${name}.FIELD"));
            }
            let field = field.to_owned();
            (if name == "input" { Derived::Input(field) } else { Derived::Row(field) }, rest)
        }
        "name" => (Derived::Name, rest),
        "id_number" => (Derived::IdNumber, rest),
        "ticket" | "ahead" | "minutes" | "case" | "state" | "amount" | "order" | "reference" => {
            (Derived::Word(name.to_owned()), rest)
        }
        _ => return Err(unknown(text)),
    })
}

/// Whether a field's name may have this character.
pub(crate) fn is_field_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// `+3` or `-3` with this unit after it, of at most four digits; without one, 0 and the whole text.
fn parse_offset<'a>(text: &'a str, unit: &str) -> (i32, &'a str) {
    let parse = || {
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let digits = text.get(1..)?;
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let (digits, rest) = digits.split_at_checked(end.min(4))?;
        let number: i32 = digits.parse().ok()?;
        Some((sign * number, rest.strip_prefix(unit)?))
    };
    parse().unwrap_or((0, text))
}

impl Value {
    /// The value as it is stored: evaluated later.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(template) => template.source().into(),
            Self::Number(number) => (*number).into(),
        }
    }

    /// The value that was stored. What is not a template was not stored by this program, and is taken literally.
    pub(crate) fn from_json(value: &serde_json::Value) -> Self {
        if let Some(number) = value.as_i64() {
            return Self::Number(number);
        }
        let text = value.as_str().unwrap_or_default();
        let template = Template::try_from(text.to_owned());
        Self::Text(template.unwrap_or_else(|_| Template::literal(text)))
    }

    /// The text, where it is not a number.
    pub(crate) const fn template(&self) -> Option<&Template> {
        match self {
            Self::Text(template) => Some(template),
            Self::Number(_) => None,
        }
    }

    /// The value as the text of an answer.
    pub(crate) fn evaluate(&self, context: &Context<'_>) -> String {
        match self {
            Self::Text(template) => template.evaluate(context),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Template {
    fn literal(text: &str) -> Self {
        Self { source: escaped(text), parts: vec![Part::Text(text.to_owned())] }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl Visitor<'_> for ValueVisitor {
            type Value = Value;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text in quotes or a whole number (money in fen)")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
                Ok(Value::Number(number))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
                Template::try_from(text.to_owned()).map(Value::Text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluate(text: &str) -> String {
        let input = BTreeMap::from([("account".to_owned(), "0451-$year".to_owned())]);
        let words = BTreeMap::from([
            ("ticket".to_owned(), "A007".to_owned()),
            ("row.period".to_owned(), "2026-10".to_owned()),
            ("waiting.A".to_owned(), "3".to_owned()),
        ]);
        // 2026-11-30 23:30 in China, still 15:30 by UTC.
        let today = china_date(1_796_052_600_000);
        let context =
            Context { today, id: "r-1", name: "张三", id_number: "person-1", input: &input, words };
        Template::try_from(text.to_owned()).unwrap().evaluate(&context)
    }

    #[test]
    fn derived_parts_are_filled_in() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$today", "2026-11-30"),
            ("$today-30d 起", "2026-10-31 起"),
            ("$today+90d", "2027-02-28"),
            ("$today-A", "2026-11-30-A"),
            ("$month", "2026-11"),
            ("$month-1", "2026-10"),
            ("$month+2", "2027-01"),
            ("w-${month}-1", "w-2026-11-1"),
            ("w-${month-11}", "w-2025-12"),
            ("$year", "2026"),
            ("$year-1 年", "2025 年"),
            ("$name，$id_number", "张三，person-1"),
            ("$input.account", "0451-$year"),
            ("$input.no-such", ""),
            ("$ticket 号", "A007 号"),
            ("$row.period", "2026-10"),
            ("$waiting(A)", "3"),
            ("5 $$", "5 $"),
        ] {
            assert_eq!(evaluate(text), expected, "{text}");
        }
    }

    #[test]
    fn fresh_number_follows_from_request_and_prefix() {
        let number = evaluate("$number(渝-)");
        assert_eq!(number, evaluate("$number(渝-)"));
        let digits = number.strip_prefix("渝-").unwrap();
        assert!(
            digits.len() == NUMBER_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()),
            "{number}"
        );
        assert_ne!(evaluate("$number(A)")[1..], evaluate("$number(B)")[1..]);
        assert_ne!(fresh_number("A", "r-1"), fresh_number("A", "r-2"));
    }

    #[test]
    fn wrong_derived_part_is_refused_with_what_is_allowed() {
        for (text, part) in [
            ("$tomorrow", "$tomorrow is not a derived value; write one of $today"),
            ("$", "$ is not a derived value"),
            ("${today", "} is missing"),
            ("${today x}", "$today x is not a derived value"),
            ("$number", "$number(PREFIX)"),
            ("$number(A", "$number(PREFIX)"),
            ("$input", "$input.FIELD"),
            ("$input.。", "$input.FIELD"),
        ] {
            let error = Template::try_from(text.to_owned()).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn word_of_another_place_is_refused() {
        for (text, place) in [
            ("$ticket", Place::Row),
            ("$state", Place::Row),
            ("$row.x", Place::Submission),
            ("$amount", Place::Ticket),
            ("$case", Place::CaseNumber),
            ("$waiting(A)", Place::Paid),
        ] {
            let error = Template::try_from(text.to_owned()).unwrap().check(place).unwrap_err();
            assert!(error.contains("is not known here; known are $today"), "{text}: {error}");
        }
        for (text, place) in
            [("$ticket", Place::Ticket), ("$case", Place::Submission), ("$row.x", Place::Paid)]
        {
            Template::try_from(text.to_owned()).unwrap().check(place).unwrap();
        }
    }

    #[test]
    fn escaped_text_evaluates_to_itself() {
        for text in ["$name", "a$", "$$", "${today}", "5"] {
            assert_eq!(evaluate(&escaped(text)), text);
        }
    }
}
