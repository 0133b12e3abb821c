//! Consents (授权同意): given at a kiosk for its services, and on a phone for relying parties.

pub(crate) mod in_effect;
pub(crate) mod kiosk;
pub(crate) mod phone;
