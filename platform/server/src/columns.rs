//! How values stand in columns: contract values as JSON text, times and numbers as integers.

use contract::UnixMs;
use rusqlite::types::Type;
use serde::{Serialize, de::DeserializeOwned};

/// A contract value as text.
pub(crate) fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("stored values have string keys and no floats")
}

/// A contract value from text that [`text`] wrote.
pub(crate) fn value<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}

/// A time; beyond the year 292 million it stops.
pub(crate) fn ms(time: UnixMs) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// The time so much earlier, as it stands in a column.
pub(crate) fn before(now: UnixMs, by_ms: u64) -> i64 {
    ms(UnixMs(now.0.saturating_sub(by_ms)))
}

/// A time from [`ms`].
pub(crate) fn unix_ms(stored: i64) -> UnixMs {
    UnixMs(u64::try_from(stored).unwrap_or(0))
}

/// An epoch uses all 64 bits, more than an SQL integer has: 16 hexadecimal digits.
pub(crate) fn epoch(epoch: u64) -> String {
    format!("{epoch:016x}")
}

/// An epoch from [`epoch`].
pub(crate) fn epoch_of(stored: &str) -> rusqlite::Result<u64> {
    u64::from_str_radix(stored, 16)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}

/// Bytes as a card writes its identification.
pub(crate) fn hex_capitals(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
