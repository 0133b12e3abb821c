//! Dates in the city's time zone.

use contract::UnixMs;

/// The city's time zone: hours east of UTC.
const CITY_OFFSET_HOURS: i8 = 8;

fn city_zone() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::fixed(jiff::tz::offset(CITY_OFFSET_HOURS))
}

fn city_moment(at: UnixMs) -> jiff::Zoned {
    let at = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.unwrap_or(jiff::Timestamp::MAX).to_zoned(city_zone())
}

/// The date in the city, `YYYY-MM-DD`.
pub(crate) fn city_date(now: UnixMs) -> String {
    city_moment(now).date().to_string()
}

/// The date in the city as residents read it, `2026年12月1日`.
pub(crate) fn city_date_words(at: UnixMs) -> String {
    let date = city_moment(at).date();
    format!("{}年{}月{}日", date.year(), date.month(), date.day())
}

/// The time of day in the city, `09:05`.
pub(crate) fn city_time_of_day(at: UnixMs) -> String {
    let at = city_moment(at);
    format!("{:02}:{:02}", at.hour(), at.minute())
}

/// The first moment after a day in the city, `YYYY-MM-DD`; `None` if there is no such day.
pub(crate) fn end_of_day(date: &str) -> Option<UnixMs> {
    let next: jiff::civil::Date = date.parse::<jiff::civil::Date>().ok()?.tomorrow().ok()?;
    let moment = next.to_zoned(city_zone()).ok()?.timestamp().as_millisecond();
    u64::try_from(moment).ok().map(UnixMs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_ends_at_midnight_in_the_city() {
        let midnight = UnixMs(1_795_449_600_000);
        assert_eq!(end_of_day("2026-11-23"), Some(midnight));
        assert_eq!(city_date(midnight), "2026-11-24");
        assert_eq!(city_date(UnixMs(midnight.0 - 1)), "2026-11-23");
        assert_eq!(end_of_day("2026-02-30"), None);
    }

    #[test]
    fn moment_is_written_by_the_city_clock() {
        let at = UnixMs(1_795_449_600_000 + 65 * 60_000);
        assert_eq!((city_date_words(at), city_time_of_day(at)), ("2026年11月24日".into(), "01:05".into()));
    }
}
