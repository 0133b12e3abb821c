//! Conversion of values to and from database columns: contract values as JSON text, times and numbers as integers.

use std::error::Error;
use std::str::FromStr;

use contract::UnixMs;
use rusqlite::types::Type;
use serde::{Serialize, de::DeserializeOwned};

/// Converts a contract value to JSON text.
pub(crate) fn to_json_column<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("stored values have string keys and no floats")
}

/// Parses a contract value from text that [`to_json_column`] wrote.
pub(crate) fn from_json_column<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}

/// Converts a time to milliseconds; saturates in the year 292 million.
pub(crate) fn to_ms_column(time: UnixMs) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// Parses an id from its text.
pub(crate) fn from_id_column<T: FromStr<Err: Error + Send + Sync + 'static>>(
    text: &str,
) -> rusqlite::Result<T> {
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}

/// The time `by_ms` before `now`, in milliseconds as stored.
pub(crate) fn ms_column_before(now: UnixMs, by_ms: u64) -> i64 {
    to_ms_column(UnixMs(now.0.saturating_sub(by_ms)))
}

/// Converts stored milliseconds back to a time; negative values become 0.
pub(crate) fn from_ms_column(stored: i64) -> UnixMs {
    UnixMs(u64::try_from(stored).unwrap_or(0))
}

/// Converts an epoch to 16 hexadecimal digits: it uses all 64 bits, more than an SQL integer has.
pub(crate) fn to_epoch_column(epoch: u64) -> String {
    format!("{epoch:016x}")
}

/// Parses an epoch that [`to_epoch_column`] wrote.
pub(crate) fn from_epoch_column(stored: &str) -> rusqlite::Result<u64> {
    u64::from_str_radix(stored, 16)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}
