//! Issuers of codes, and the fields that signed codes share.

use std::collections::BTreeMap;
use std::fmt;

use sm_crypto::{PublicKey, SecretKey};

/// Length of an alias, in bytes.
pub const ALIAS_LEN: usize = 8;

/// Seconds since 1970-01-01 UTC, without leap seconds.
pub type UnixSeconds = u32;

/// Capabilities (用途) of a code: one bit for each use, set by the platform's issuing rules. The format does not
/// define the bits; they are signed with the code and read by the verifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u16);

/// Pseudonym of the holder in a code: random for each certificate, so that codes of two days cannot be linked to
/// one person. Only the platform knows the holder. `Debug` is redacted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(pub [u8; ALIAS_LEN]);

impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alias(…)")
    }
}

/// An issuer's secret key and its id in codes.
pub struct CodeIssuer {
    pub(crate) id: u8,
    pub(crate) key: SecretKey,
}

impl CodeIssuer {
    /// Creates an issuer. Two keys of a city never share an id while unexpired codes of either exist.
    #[must_use]
    pub const fn new(id: u8, key: SecretKey) -> Self {
        Self { id, key }
    }

    /// The id of the key, as it is written in codes.
    #[must_use]
    pub const fn id(&self) -> u8 {
        self.id
    }
}

/// The issuers whose codes are accepted, by id.
#[derive(Clone, Debug, Default)]
pub struct CodeIssuers(BTreeMap<u8, PublicKey>);

impl CodeIssuers {
    /// The public key with this id.
    pub(crate) fn get(&self, id: u8) -> Option<&PublicKey> {
        self.0.get(&id)
    }
}

impl FromIterator<(u8, PublicKey)> for CodeIssuers {
    fn from_iter<I: IntoIterator<Item = (u8, PublicKey)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}
