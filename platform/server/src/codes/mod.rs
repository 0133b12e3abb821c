//! Resident codes (渝快码) at the platform: binding of phones, issuing, verification, consents, and revocation.
//!
//! The table `code_aliases` maps an alias to its resident; this mapping never leaves the platform. Relying parties and
//! the kiosks' records know a resident by a pseudonym, or by a [`CodeHolder`](contract::CodeHolder) that changes with
//! each certificate.

use contract::from_hex;

mod claims;
mod code_authority;
mod consent_requests;
mod e_certificates;
mod issuing_rules;
pub(crate) mod pairings;
pub(crate) mod paper_codes;
mod phone_refusal;
mod phones;
mod relying_parties;
pub(crate) mod revocations;
mod step_up;
mod verification;
mod web_app;

pub use claims::Claim;
pub(crate) use claims::request_claims;
pub use code_authority::{CodeAuthority, CodeAuthorityError};
pub use e_certificates::{ECertificateItem, ECertificateKind};
pub(crate) use e_certificates::{e_certificate_at_kiosk as licence_at_kiosk, request_e_certificate};
pub use issuing_rules::{IssuingRules, IssuingRulesError, PaperCodeRules, PhoneCodeRules, RevocationRules};
pub(crate) use phone_refusal::PhoneRefusal;
pub(crate) use phones::{
    CertifyRequest, TOKEN_TTL_MS, VerifiedPerson, issue_token, on_binding_reply, on_credential_reply,
    revoke_all_codes, route_phone_request,
};
pub use relying_parties::{RelyingPartiesError, RelyingParty, parse_relying_parties};
pub(crate) use relying_parties::{check_request_time, relying_parties_by_id, verify_code};
pub(crate) use step_up::step_up;
pub(crate) use verification::{consume_code, log_use, refusal_problem, validate_code};
pub(crate) use web_app::serve_file;
