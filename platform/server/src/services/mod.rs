//! What services at kiosks ask the platform for.

pub(crate) mod operation_calls;
mod platform_operation;

use contract::UnixMs;

/// The city's time zone: hours east of UTC.
const CITY_OFFSET_HOURS: i8 = 8;

/// The date in the city, `YYYY-MM-DD`.
pub(crate) fn city_date(now: UnixMs) -> String {
    let at = i64::try_from(now.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(CITY_OFFSET_HOURS));
    at.unwrap_or(jiff::Timestamp::MAX).to_zoned(zone).date().to_string()
}
