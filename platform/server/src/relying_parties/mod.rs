//! What relying parties ask the platform for: verification of codes, claims, and extracts of e-certificates.

pub(crate) mod claims;
pub(crate) mod e_certificates;
pub(crate) mod verify_code;
