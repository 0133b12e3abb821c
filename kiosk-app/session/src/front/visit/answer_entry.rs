//! What a resident types as the answer to a question: which characters it can have, how people read it, and whether it is complete.
//!
//! Nothing here is stored but the characters; they are wiped on drop. Whether they are right is decided anew from them each time, so
//! that a problem is shown as long as it exists.

use contract::{AskedAnswer, Money, ScannedCode};
use jiff::Span;
use jiff::civil::Date;
use view::{EnteredText, EntryPad, Intent, Lang, Text, TextId};
use zeroize::Zeroizing;

use crate::mask;
use crate::rows::display_value;

/// More characters than any answer has: growing would leave copies in freed memory.
const CHARACTERS_MAX: usize = 32;
/// Stands for a place that is still to be filled.
const BLANK: char = '_';
/// Characters of a date, and of an ID number (公民身份号码) and a mobile phone number.
const DATE_LENGTH: usize = 8;
const ID_LENGTH: usize = 18;
const PHONE_LENGTH: usize = 11;
/// Turns a whole number of yuan, in decimal digits, into fen.
const NO_FEN: &str = "00";
/// Where an ID number has the date of birth.
const BIRTH: std::ops::Range<usize> = 6..14;

/// Characters that were typed; wiped on drop.
pub(crate) struct TypedAnswer(Zeroizing<String>);

/// Whether what was typed is an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AnswerState {
    /// More is to be typed: what the button says.
    Incomplete(Text),
    /// It cannot be right.
    Wrong(Text),
    /// The value, as the platform gets it.
    Complete(Zeroizing<String>),
}

impl TypedAnswer {
    /// Nothing typed yet.
    pub(crate) fn empty() -> Self {
        Self(Zeroizing::new(String::with_capacity(CHARACTERS_MAX)))
    }

    /// The characters of an answer that was given before.
    pub(crate) fn of_value(form: &AskedAnswer, value: &str) -> Self {
        let mut typed = Self::empty();
        let characters = match form {
            AskedAnswer::Yuan { .. } => value.strip_suffix(NO_FEN).unwrap_or_default(),
            AskedAnswer::Choice { .. }
            | AskedAnswer::Digits { .. }
            | AskedAnswer::Date { .. }
            | AskedAnswer::IdNumber
            | AskedAnswer::PhoneNumber => value,
        };
        typed.0.extend(characters.chars().filter(char::is_ascii_alphanumeric).take(CHARACTERS_MAX));
        typed
    }

    /// Handles a touch on the keys; false when it is no key.
    pub(crate) fn on_touch(&mut self, form: &AskedAnswer, intent: Intent) -> bool {
        if let Intent::EntryDigit(digit @ 0..=9) = intent {
            let is_leading_zero = digit == 0 && self.0.is_empty() && matches!(form, AskedAnswer::Yuan { .. });
            if !is_leading_zero && self.0.len() < longest(form) {
                self.0.push(char::from(b'0' + digit));
            }
        } else if intent == Intent::EntryX {
            if can_be_x(form, &self.0) {
                self.0.push('X');
            }
        } else if intent == Intent::EntryErase {
            self.0.pop();
        } else {
            return false;
        }
        true
    }

    /// Whether this is an answer; `today` is the city's date.
    pub(crate) fn state(&self, form: &AskedAnswer, today: Date, lang: Lang) -> AnswerState {
        let typed = self.0.as_str();
        match form {
            AskedAnswer::Choice { .. } => AnswerState::Incomplete(TextId::AskNext.into()),
            AskedAnswer::Digits { min, .. } => state_of_length(typed, usize::from(*min)),
            AskedAnswer::Yuan { min, max } => state_of_amount(typed, *min, *max),
            AskedAnswer::Date { earliest, latest } => {
                state_of_date(typed, (day(today, *earliest), day(today, *latest)), lang)
            }
            AskedAnswer::IdNumber => match id_problem(typed, today) {
                Some(problem) => AnswerState::Wrong(problem.into()),
                None => state_of_length(typed, ID_LENGTH),
            },
            AskedAnswer::PhoneNumber if !typed.is_empty() && !typed.starts_with('1') => {
                AnswerState::Wrong(TextId::AskPhoneStart.into())
            }
            AskedAnswer::PhoneNumber => state_of_length(typed, PHONE_LENGTH),
        }
    }

    /// The pad with what was typed.
    pub(crate) fn pad(&self, form: &AskedAnswer, problem: Option<Text>, lang: Lang) -> EntryPad {
        let (entered, missing, columns) = layout(form, &self.0, lang);
        let x_key = matches!(form, AskedAnswer::IdNumber).then(|| can_be_x(form, &self.0));
        let columns = u8::try_from(columns).unwrap_or(u8::MAX);
        EntryPad { entered: entered.into(), missing, columns, x_key, problem }
    }
}

/// An answer as it is shown again after it was given. Numbers that name a person are masked.
pub(crate) fn display_answer(form: &AskedAnswer, value: &str, lang: Lang) -> String {
    match form {
        AskedAnswer::Choice { options } => {
            let option = options.iter().find(|option| option.value == value);
            option.map_or_else(String::new, |option| match lang {
                Lang::Zh => option.zh.clone(),
                Lang::En => option.en.clone(),
            })
        }
        AskedAnswer::Date { .. } => display_value(contract::AnswerFieldType::Date, value, lang),
        AskedAnswer::IdNumber => mask::id_number(value),
        AskedAnswer::PhoneNumber => mask::phone_number(value),
        AskedAnswer::Digits { .. } | AskedAnswer::Yuan { .. } => {
            let typed = TypedAnswer::of_value(form, value);
            layout(form, &typed.0, lang).0.trim_end().to_owned()
        }
    }
}

/// A scanned code as it is shown: a number in the same groups as one that is typed.
pub(crate) fn display_scanned(code: &ScannedCode, value: &str) -> EnteredText {
    match code.as_question() {
        Some(form) => layout(&form, value, Lang::Zh).0.into(),
        None => Zeroizing::new(value.to_owned()).into(),
    }
}

/// Most characters of an answer.
fn longest(form: &AskedAnswer) -> usize {
    match form {
        AskedAnswer::Choice { .. } => 0,
        AskedAnswer::Digits { max, .. } => usize::from(*max).min(CHARACTERS_MAX),
        AskedAnswer::Yuan { max, .. } => max.to_string().len(),
        AskedAnswer::Date { .. } => DATE_LENGTH,
        AskedAnswer::IdNumber => ID_LENGTH,
        AskedAnswer::PhoneNumber => PHONE_LENGTH,
    }
}

fn can_be_x(form: &AskedAnswer, typed: &str) -> bool {
    matches!(form, AskedAnswer::IdNumber) && typed.len() == ID_LENGTH - 1
}

fn state_of_length(typed: &str, least: usize) -> AnswerState {
    match least.checked_sub(typed.len()) {
        None | Some(0) => AnswerState::Complete(Zeroizing::new(typed.to_owned())),
        Some(missing) => AnswerState::Incomplete(Text::With(TextId::AskMissing, vec![missing.to_string()])),
    }
}

fn state_of_amount(typed: &str, min: u32, max: u32) -> AnswerState {
    let with = |id, limit: u32| Text::With(id, vec![yuan(u64::from(limit))]);
    // At most as many digits as `max` has, so it is a number unless nothing was typed.
    let amount = typed.parse::<u64>().unwrap_or(0);
    if amount > u64::from(max) {
        AnswerState::Wrong(with(TextId::AskAtMost, max))
    } else if amount < u64::from(min) {
        AnswerState::Incomplete(with(TextId::AskAtLeast, min))
    } else {
        // An amount on the wire is in fen. The capacity is for the whole text: growing would leave copies.
        let mut fen = Zeroizing::new(String::with_capacity(typed.len() + NO_FEN.len()));
        fen.push_str(typed);
        fen.push_str(NO_FEN);
        AnswerState::Complete(fen)
    }
}

/// `¥1,234`, without fen: only whole yuan can be entered.
fn yuan(amount: u64) -> String {
    let fen = i64::try_from(amount).ok().and_then(|yuan| yuan.checked_mul(100));
    match fen.and_then(|fen| Money::from_fen(fen).ok()) {
        Some(money) => money.to_string().trim_end_matches(".00").to_owned(),
        None => format!("¥{amount}"),
    }
}

/// The day that is so many days from another; none when it is outside the calendar.
fn day(from: Date, days: i32) -> Option<Date> {
    let span = Span::new().try_days(i64::from(days)).ok()?;
    from.checked_add(span).ok()
}

fn state_of_date(typed: &str, (earliest, latest): (Option<Date>, Option<Date>), lang: Lang) -> AnswerState {
    let number = |range: std::ops::Range<usize>| typed.get(range).and_then(|part| part.parse::<i16>().ok());
    let (Some(year), month, day) = (number(0..4), number(4..6), number(6..8)) else {
        return state_of_length(typed, DATE_LENGTH);
    };
    let limit = |id, date: Date| {
        let shown = display_value(contract::AnswerFieldType::Date, &date.to_string(), lang);
        AnswerState::Wrong(Text::With(id, vec![shown]))
    };
    // What is typed so far stands for a span of days: it is wrong as soon as no day of it is possible.
    let first = date_of(year, month.unwrap_or(1), day.unwrap_or(1));
    let last = match (month, day) {
        (None, _) => date_of(year, 12, 31),
        (Some(month), None) => date_of(year, month, 1).map(Date::last_of_month),
        (Some(_), Some(_)) => first,
    };
    let (Some(first), Some(last)) = (first, last) else {
        return AnswerState::Wrong(TextId::AskNoSuchDate.into());
    };
    if let Some(earliest) = earliest.filter(|earliest| last < *earliest) {
        limit(TextId::AskTooEarly, earliest)
    } else if let Some(latest) = latest.filter(|latest| first > *latest) {
        limit(TextId::AskTooLate, latest)
    } else if typed.len() < DATE_LENGTH {
        state_of_length(typed, DATE_LENGTH)
    } else {
        AnswerState::Complete(Zeroizing::new(first.to_string()))
    }
}

fn date_of(year: i16, month: i16, day: i16) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// What cannot be right in an ID number, as soon as it is known.
fn id_problem(typed: &str, today: Date) -> Option<TextId> {
    let birth = typed.get(BIRTH)?;
    let today = today.strftime("%Y%m%d").to_string();
    // Both are of eight digits, so that the later one is the greater text.
    if !citizen_number::is_date(birth) || birth > today.as_str() {
        Some(TextId::AskIdBirth)
    } else if typed.len() == ID_LENGTH && !citizen_number::is_valid(typed) {
        Some(TextId::AskIdCheck)
    } else {
        None
    }
}

/// What was typed and what is missing, in groups, and the room for a complete answer in half widths of a Chinese character.
fn layout(form: &AskedAnswer, typed: &str, lang: Lang) -> (Zeroizing<String>, String, usize) {
    let groups_of_four = |places: usize| (0..places.div_ceil(4)).map(|_| (4, " ")).collect::<Vec<_>>();
    match (form, lang) {
        (AskedAnswer::Choice { .. }, _) => (Zeroizing::default(), String::new(), 0),
        (AskedAnswer::Digits { min, max }, _) => {
            let (min, max) = (usize::from(*min), usize::from(*max));
            let (entered, missing) = grouped(typed, min, &groups_of_four(max), "");
            (entered, missing, max + max / 4)
        }
        (AskedAnswer::Yuan { max, .. }, _) => {
            let amount = typed.parse().ok().map(|amount| Zeroizing::new(yuan(amount)));
            let entered = amount.unwrap_or_else(|| Zeroizing::new("¥".to_owned()));
            (entered, String::new(), yuan(u64::from(*max)).chars().count())
        }
        (AskedAnswer::Date { .. }, Lang::Zh) => {
            let (entered, missing) = grouped(typed, DATE_LENGTH, &[(4, "年"), (2, "月"), (2, "日")], "");
            (entered, missing, DATE_LENGTH + 6)
        }
        (AskedAnswer::Date { .. }, Lang::En) => {
            let (entered, missing) = grouped(typed, DATE_LENGTH, &[(4, "-"), (2, "-"), (2, "")], "YYYYMMDD");
            (entered, missing, DATE_LENGTH + 4)
        }
        (AskedAnswer::IdNumber, _) => {
            let (entered, missing) = grouped(typed, ID_LENGTH, &[(6, " "), (8, " "), (4, "")], "");
            (entered, missing, ID_LENGTH + 2)
        }
        (AskedAnswer::PhoneNumber, _) => {
            let (entered, missing) = grouped(typed, PHONE_LENGTH, &[(3, " "), (4, " "), (4, "")], "");
            (entered, missing, PHONE_LENGTH + 2)
        }
    }
}

/// Divides `places` places, or as many as were typed, into groups that each have a text behind them: what was typed, and what is
/// missing. A missing place is shown as in `hint`, or as a blank.
fn grouped(typed: &str, places: usize, groups: &[(usize, &str)], hint: &str) -> (Zeroizing<String>, String) {
    let mut entered = Zeroizing::new(String::with_capacity(4 * CHARACTERS_MAX));
    let mut missing = String::new();
    let (mut characters, mut hints) = (typed.chars(), hint.chars());
    let mut left = places.max(typed.len());
    for (length, behind) in groups {
        for _ in 0..(*length).min(left) {
            let hint = hints.next().unwrap_or(BLANK);
            match characters.next() {
                Some(character) => entered.push(character),
                None => missing.push(hint),
            }
        }
        left = left.saturating_sub(*length);
        // A space behind the last group would shift it.
        if left > 0 || !behind.trim().is_empty() {
            if missing.is_empty() { entered.push_str(behind) } else { missing.push_str(behind) }
        }
    }
    (entered, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = jiff::civil::date(2026, 11, 30);
    const ACCOUNT: AskedAnswer = AskedAnswer::Digits { min: 10, max: 10 };
    const PAST: AskedAnswer = AskedAnswer::Date { earliest: -43_830, latest: 0 };

    fn typed(form: &AskedAnswer, keys: &str) -> TypedAnswer {
        let mut typed = TypedAnswer::empty();
        for key in keys.chars() {
            let digit = key.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
            typed.on_touch(form, digit.map_or(Intent::EntryX, Intent::EntryDigit));
        }
        typed
    }

    fn state(form: &AskedAnswer, keys: &str) -> AnswerState {
        typed(form, keys).state(form, TODAY, Lang::Zh)
    }

    fn shown(form: &AskedAnswer, keys: &str, lang: Lang) -> String {
        let pad = typed(form, keys).pad(form, None, lang);
        format!("{}|{}", pad.entered.as_str(), pad.missing)
    }

    fn complete(value: &str) -> AnswerState {
        AnswerState::Complete(Zeroizing::new(value.to_owned()))
    }

    fn missing(count: usize) -> AnswerState {
        AnswerState::Incomplete(Text::With(TextId::AskMissing, vec![count.to_string()]))
    }

    fn wrong(id: TextId) -> AnswerState {
        AnswerState::Wrong(Text::Id(id))
    }

    #[test]
    fn typed_answer_is_shown_in_the_groups_people_read() {
        let amount = AskedAnswer::Yuan { min: 10, max: 20_000 };
        let (id, phone) = (AskedAnswer::IdNumber, AskedAnswer::PhoneNumber);
        for (form, keys, zh) in [
            (&ACCOUNT, "", "|____ ____ __"),
            (&ACCOUNT, "04510", "0451 0|___ __"),
            (&ACCOUNT, "0451001300", "0451 0013 00|"),
            (&AskedAnswer::Digits { min: 2, max: 8 }, "12345", "1234 5|"),
            (&AskedAnswer::Digits { min: 2, max: 8 }, "1234", "1234|"),
            (&phone, "1380000", "138 0000 |____"),
            (&id, "11010519491231002X", "110105 19491231 002X|"),
            (&PAST, "2026113", "2026年11月3|_日"),
            (&PAST, "2026", "2026年|__月__日"),
            (&PAST, "20261130", "2026年11月30日|"),
            (&amount, "", "¥|"),
            (&amount, "12345", "¥12,345|"),
        ] {
            assert_eq!(shown(form, keys, Lang::Zh), zh, "{keys}");
        }
        let any = AskedAnswer::Yuan { min: 1, max: u32::MAX };
        assert!(shown(&any, "9999999999", Lang::Zh).replace(',', "").starts_with("¥9999999999"));
        assert_eq!(shown(&PAST, "202611", Lang::En), "2026-11-|DD");
        assert_eq!(shown(&PAST, "", Lang::En), "|YYYY-MM-DD");
    }

    #[test]
    fn what_is_not_of_the_form_cannot_be_typed() {
        let amount = AskedAnswer::Yuan { min: 1, max: 500 };
        assert_eq!(&*typed(&ACCOUNT, "0123456789X77").0, "0123456789");
        assert_eq!(&*typed(&amount, "0012345").0, "123");
        assert_eq!(&*typed(&AskedAnswer::IdNumber, "X1X1010519491231002XX1").0, "11010519491231002X");
        let mut account = typed(&ACCOUNT, "12");
        assert!(account.on_touch(&ACCOUNT, Intent::EntryErase));
        assert_eq!(&*account.0, "1");
        assert!(!account.on_touch(&ACCOUNT, Intent::Primary));
    }

    #[test]
    fn number_is_complete_from_its_least_length_on() {
        assert_eq!(state(&ACCOUNT, "045100"), missing(4));
        assert_eq!(state(&ACCOUNT, "0451001300"), complete("0451001300"));
        assert_eq!(state(&AskedAnswer::Digits { min: 2, max: 8 }, "12"), complete("12"));
        assert_eq!(state(&AskedAnswer::PhoneNumber, "1380000"), missing(4));
        assert_eq!(state(&AskedAnswer::PhoneNumber, "13800000000"), complete("13800000000"));
        assert_eq!(state(&AskedAnswer::PhoneNumber, "2"), wrong(TextId::AskPhoneStart));
    }

    #[test]
    fn amount_outside_its_limits_is_named() {
        let amount = AskedAnswer::Yuan { min: 50, max: 5_000 };
        let with = |id, limit: &str| Text::With(id, vec![limit.into()]);
        assert_eq!(state(&amount, ""), AnswerState::Incomplete(with(TextId::AskAtLeast, "¥50")));
        assert_eq!(state(&amount, "49"), AnswerState::Incomplete(with(TextId::AskAtLeast, "¥50")));
        assert_eq!(state(&amount, "50"), complete("5000"), "the value is in fen");
        assert_eq!(state(&amount, "5000"), complete("500000"));
        assert_eq!(state(&amount, "5001"), AnswerState::Wrong(with(TextId::AskAtMost, "¥5,000")));
    }

    #[test]
    fn date_is_wrong_as_soon_as_no_day_is_possible() {
        let late = || AnswerState::Wrong(Text::With(TextId::AskTooLate, vec!["2026年11月30日".into()]));
        for keys in ["2027", "202612", "20261201"] {
            assert_eq!(state(&PAST, keys), late(), "{keys}");
        }
        for (keys, left) in [("202", 5), ("2026", 4), ("202611", 2), ("2026113", 1)] {
            assert_eq!(state(&PAST, keys), missing(left), "{keys}");
        }
        for keys in ["202600", "202613", "20260230", "20260200", "202602310"] {
            assert_eq!(state(&PAST, keys), wrong(TextId::AskNoSuchDate), "{keys}");
        }
        assert_eq!(state(&PAST, "20261130"), complete("2026-11-30"));
        assert_eq!(state(&PAST, "20240229"), complete("2024-02-29"));
        let soon = AskedAnswer::Date { earliest: 1, latest: 14 };
        let early = || AnswerState::Wrong(Text::With(TextId::AskTooEarly, vec!["2026年12月1日".into()]));
        assert_eq!(state(&soon, "20261130"), early());
        assert_eq!(state(&soon, "202610"), early());
        assert_eq!(state(&soon, "20261214"), complete("2026-12-14"));
        let any = AskedAnswer::Date { earliest: i32::MIN, latest: i32::MAX };
        assert_eq!(state(&any, "00010101"), complete("0001-01-01"));
    }

    #[test]
    fn id_number_is_checked_at_birth_date_and_end() {
        let id = AskedAnswer::IdNumber;
        assert_eq!(state(&id, "1101051949123"), missing(5));
        assert_eq!(state(&id, "11010519491331"), wrong(TextId::AskIdBirth));
        assert_eq!(state(&id, "11010520270101"), wrong(TextId::AskIdBirth), "nobody is born after today");
        assert_eq!(state(&id, "11010519491231002X"), complete("11010519491231002X"));
        assert_eq!(state(&id, "110105194912310021"), wrong(TextId::AskIdCheck));
    }

    #[test]
    fn answer_given_before_is_typed_again() {
        let state_of =
            |form: &AskedAnswer, value| TypedAnswer::of_value(form, value).state(form, TODAY, Lang::Zh);
        assert_eq!(state_of(&PAST, "2024-02-29"), complete("2024-02-29"));
        assert_eq!(state_of(&AskedAnswer::Yuan { min: 1, max: 500 }, "12000"), complete("12000"));
        assert_eq!(state_of(&AskedAnswer::IdNumber, "11010519491231002X"), complete("11010519491231002X"));
    }

    #[test]
    fn answer_shown_later_is_masked_where_it_names_a_person() {
        for (form, value, zh) in [
            (&AskedAnswer::IdNumber, "11010519491231002X", "1101**********002X"),
            (&AskedAnswer::PhoneNumber, "13812345678", "138****5678"),
            (&ACCOUNT, "0451001300", "0451 0013 00"),
            (&AskedAnswer::Yuan { min: 1, max: 9_999 }, "120000", "¥1,200"),
            (&PAST, "2024-02-29", "2024年2月29日"),
        ] {
            assert_eq!(display_answer(form, value, Lang::Zh), zh);
        }
    }
}
