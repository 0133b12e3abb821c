//! The database: its tables, and how values are written into their columns.

pub(crate) mod columns;
pub(crate) mod schema;
pub(crate) mod serialized_name;
