//! Dates in the city's time zone.

use contract::UnixMs;

/// The city's time zone: hours east of UTC.
const CITY_OFFSET_HOURS: i8 = 8;

fn city_zone() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::fixed(jiff::tz::offset(CITY_OFFSET_HOURS))
}

/// The date in the city, `YYYY-MM-DD`.
pub(crate) fn city_date(now: UnixMs) -> String {
    let at = i64::try_from(now.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.unwrap_or(jiff::Timestamp::MAX).to_zoned(city_zone()).date().to_string()
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
}
