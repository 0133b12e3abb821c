//! What kiosks send: authentication of their requests, and their records.

pub(crate) mod audit;
pub(crate) mod authenticator;
pub(crate) mod records;
