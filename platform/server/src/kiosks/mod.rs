//! Kiosks at the platform: authentication of their requests, storage of their records, and the export of these records.

pub(crate) mod audit;
pub(crate) mod authenticator;
mod log_ends;
pub(crate) mod records;
mod stored_chain;
