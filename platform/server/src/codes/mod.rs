//! Resident codes (渝快码): issuing of online tokens and paper codes, verification, used-code records, and revocation.
//!
//! The table `code_aliases` maps an alias to its resident; this mapping never leaves the platform. Relying parties and
//! the kiosks' records know a resident by a pseudonym, or by a [`CodeHolder`](contract::CodeHolder) that changes with
//! each certificate.

pub(crate) mod code_uses;
pub(crate) mod online_tokens;
pub(crate) mod paper_codes;
pub(crate) mod revocations;
pub(crate) mod use_reports;
pub(crate) mod used_codes;
pub(crate) mod verification;
