//! When a service is offered: from which date on, and at which hours.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::answer_schema::AnswerFieldType;

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum WeekDay {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl WeekDay {
    const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// The day with this offset from Monday; of 7 and more the remainder.
    #[must_use]
    pub fn from_monday(offset: usize) -> Self {
        Self::ALL.get(offset % 7).copied().unwrap_or(Self::Mon)
    }

    /// How many days after Monday it is.
    #[must_use]
    pub const fn to_monday(self) -> usize {
        self as usize
    }
}

/// A time of day in minutes, written `09:00`; the end of the day is `24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DayMinute(u16);

/// The text is no time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time of day is written 09:00, from 00:00 to 24:00")]
pub struct DayMinuteError;

impl DayMinute {
    /// The time this many minutes after midnight, at most the end of the day.
    #[must_use]
    pub fn from_minutes(minutes: u16) -> Self {
        Self(minutes.min(DAY_MINUTES))
    }
}

impl FromStr for DayMinute {
    type Err = DayMinuteError;
    fn from_str(text: &str) -> Result<Self, DayMinuteError> {
        let (hours, minutes) = text.split_once(':').ok_or(DayMinuteError)?;
        let number = |text: &str| {
            let is_two_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            if is_two_digits { text.parse::<u16>().map_err(|_| DayMinuteError) } else { Err(DayMinuteError) }
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let whole = hours * 60 + minutes;
        if minutes < 60 && whole <= DAY_MINUTES { Ok(Self(whole)) } else { Err(DayMinuteError) }
    }
}

impl fmt::Display for DayMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl TryFrom<String> for DayMinute {
    type Error = DayMinuteError;
    fn try_from(text: String) -> Result<Self, DayMinuteError> {
        text.parse()
    }
}

impl From<DayMinute> for String {
    fn from(time: DayMinute) -> Self {
        time.to_string()
    }
}

/// 生效日期: the first day of a service, written `2026-12-01`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EffectiveDate(String);

/// The text is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a date is written 2026-12-01 and must exist")]
pub struct EffectiveDateError;

impl TryFrom<String> for EffectiveDate {
    type Error = EffectiveDateError;
    fn try_from(text: String) -> Result<Self, EffectiveDateError> {
        let is_day = text.len() == 10 && AnswerFieldType::Date.accepts(&text);
        if is_day { Ok(Self(text)) } else { Err(EffectiveDateError) }
    }
}

impl From<EffectiveDate> for String {
    fn from(date: EffectiveDate) -> Self {
        date.0
    }
}

impl EffectiveDate {
    /// Whether the day has come; `today` is written like it.
    #[must_use]
    pub fn has_come(&self, today: &str) -> bool {
        self.0.as_str() <= today
    }
}

/// 办理时间: hours of some days of the week, in the time zone of the site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpeningHours {
    /// The days.
    pub days: Vec<WeekDay>,
    /// The first minute.
    pub from: DayMinute,
    /// The minute after the last one.
    pub to: DayMinute,
}

/// Whether it is open now, and if not, when next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is open.
    Open,
    /// Later today.
    Today(DayMinute),
    /// On another day, within a week.
    On(WeekDay, DayMinute),
}

impl OpeningHours {
    /// Whether the hours make sense: some day, and an end after the beginning.
    pub(crate) fn is_valid(&self) -> bool {
        !self.days.is_empty() && self.from < self.to
    }
}

/// The state of these hours at this time; without hours it is always open.
#[must_use]
pub fn opening_at(hours: &[OpeningHours], day: WeekDay, minute: DayMinute) -> Opening {
    let of_day = |day: WeekDay| hours.iter().filter(move |hours| hours.days.contains(&day));
    if hours.is_empty() || of_day(day).any(|hours| hours.from <= minute && minute < hours.to) {
        return Opening::Open;
    }
    if let Some(today) = of_day(day).map(|hours| hours.from).filter(|from| *from > minute).min() {
        return Opening::Today(today);
    }
    let next = (1..=7).find_map(|after| {
        let day = WeekDay::from_monday(day.to_monday() + after);
        Some(Opening::On(day, of_day(day).map(|hours| hours.from).min()?))
    });
    // Hours name at least one day.
    next.unwrap_or(Opening::Open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(text: &str) -> DayMinute {
        text.parse().unwrap()
    }

    #[test]
    fn time_of_day_is_read_and_written() {
        for text in ["00:00", "09:05", "23:59", "24:00"] {
            assert_eq!(minute(text).to_string(), text);
        }
        for text in ["", "9:00", "09:60", "24:01", "25:00", "09:0x", "+9:00", "09:00:00", "0900"] {
            assert_eq!(text.parse::<DayMinute>(), Err(DayMinuteError), "{text}");
        }
        assert_eq!(DayMinute::from_minutes(9999), minute("24:00"));
    }

    #[test]
    fn effective_date_must_exist_and_comes_at_its_day() {
        let date = |text: &str| EffectiveDate::try_from(text.to_owned());
        for text in ["2026-02-30", "2026-12", "26-12-01", "2026-12-01 "] {
            assert!(date(text).is_err(), "{text}");
        }
        let first = date("2026-12-01").unwrap();
        assert_eq!(
            ["2026-11-30", "2026-12-01", "2027-01-01"].map(|day| first.has_come(day)),
            [false, true, true]
        );
    }

    #[test]
    fn opening_is_now_later_today_or_on_the_next_day() {
        let hours = |days: &[WeekDay], from: &str, to: &str| OpeningHours {
            days: days.to_vec(),
            from: minute(from),
            to: minute(to),
        };
        let office = [
            hours(&WeekDay::ALL[..5], "09:00", "12:00"),
            hours(&WeekDay::ALL[..5], "14:00", "17:30"),
            hours(&[WeekDay::Sat], "10:00", "24:00"),
        ];
        for (day, at, expected) in [
            (WeekDay::Mon, "08:59", Opening::Today(minute("09:00"))),
            (WeekDay::Mon, "09:00", Opening::Open),
            (WeekDay::Mon, "12:00", Opening::Today(minute("14:00"))),
            (WeekDay::Mon, "17:30", Opening::On(WeekDay::Tue, minute("09:00"))),
            (WeekDay::Fri, "18:00", Opening::On(WeekDay::Sat, minute("10:00"))),
            (WeekDay::Sat, "23:59", Opening::Open),
            (WeekDay::Sun, "12:00", Opening::On(WeekDay::Mon, minute("09:00"))),
        ] {
            assert_eq!(opening_at(&office, day, minute(at)), expected, "{day:?} {at}");
        }
        assert_eq!(opening_at(&[], WeekDay::Sun, minute("03:00")), Opening::Open);
        let once = [hours(&[WeekDay::Wed], "09:00", "10:00")];
        assert_eq!(
            opening_at(&once, WeekDay::Wed, minute("10:00")),
            Opening::On(WeekDay::Wed, minute("09:00"))
        );
    }
}
