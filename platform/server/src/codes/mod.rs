//! Resident codes (渝快码) at the platform: binding of phones, issuing, verification, consents, and revocation.
//!
//! The table `code_aliases` maps an alias to its resident; this mapping never leaves the platform. Relying parties and
//! the kiosks' records know a resident by a pseudonym, or by a [`CodeHolder`](contract::CodeHolder) that changes with
//! each certificate.

use contract::HexBytes;

mod agreements;
mod answers;
mod facts;
mod judge;
mod keys;
mod licences;
mod page;
pub(crate) mod pairings;
pub(crate) mod paper;
mod phones;
mod refusal;
pub(crate) mod revocations;
mod rules;
mod verify;

pub(crate) use answers::prove;
pub use facts::Fact;
pub(crate) use facts::facts;
pub(crate) use judge::{look, note_use, refused, take};
pub use keys::{AuthorityError, CodeAuthority};
pub use licences::{Item, Licence};
pub(crate) use licences::{at_kiosk as licence_at_kiosk, licence};
pub(crate) use page::page;
pub(crate) use phones::{
    CertifyRequest, Seen, TOKEN_MS, bound, credential_told, fresh_token, route, suspend,
};
pub(crate) use refusal::PhoneRefusal;
pub use rules::{IssuingRules, PaperRules, PhoneRules, RevocationRules, RulesError};
pub use verify::{Client, ClientsError, clients_of};
pub(crate) use verify::{by_id, fresh, verify};

/// Bytes from exactly `2 * N` hexadecimal digits.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    text.parse::<HexBytes<N>>().ok().map(|bytes| bytes.0)
}
