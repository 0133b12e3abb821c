//! Who may issue codes, and what every signed code says about itself.

use std::collections::BTreeMap;
use std::fmt;

use crate::signature::{PublicKey, SigningKey};

/// Bytes of an alias.
pub const ALIAS_LEN: usize = 8;

/// Seconds since 1970-01-01 UTC, without leap seconds.
pub type UnixSeconds = u32;

/// What a code may be used for: one bit each, given by the platform's issuing rules. The format does not
/// say which bit is which: it is signed with the code and read by whoever offers a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u16);

/// By what a code names its holder: random for each certificate, so that two days' codes of one person do not
/// show that they are one person's. Only the platform knows whose it is. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(pub [u8; ALIAS_LEN]);

impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alias(…)")
    }
}

/// An issuer's secret key, and the id by which codes name it.
pub struct Issuer {
    pub(crate) id: u8,
    pub(crate) key: SigningKey,
}

impl Issuer {
    /// A key under its id. Two keys of a city never share an id while codes of either are about.
    #[must_use]
    pub const fn new(id: u8, key: SigningKey) -> Self {
        Self { id, key }
    }

    /// The id by which codes name the key.
    #[must_use]
    pub const fn id(&self) -> u8 {
        self.id
    }
}

/// The issuers whose codes are accepted, by id.
#[derive(Clone, Debug, Default)]
pub struct Issuers(BTreeMap<u8, PublicKey>);

impl Issuers {
    /// The key of this id.
    pub(crate) fn get(&self, id: u8) -> Option<&PublicKey> {
        self.0.get(&id)
    }
}

impl FromIterator<(u8, PublicKey)> for Issuers {
    fn from_iter<I: IntoIterator<Item = (u8, PublicKey)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}
