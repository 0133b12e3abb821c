//! The stable names of enum values.

use serde::Serialize;

use super::columns::to_json_column;

/// Name of an enum value without fields, as serde writes it; unlike `Debug`, it may be stored and shown.
pub(crate) fn serialized_name<T: Serialize>(of: &T) -> String {
    to_json_column(of).trim_matches('"').to_owned()
}
