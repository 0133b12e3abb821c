//! Who signs codes: the issuers' secret keys, under a list that the city's offline root has signed.

use std::fmt;

use contract::{IssuerKeys, PublicKey, SecretKey, SignError, Signed, StatementError, UnixMs};
use resident_code::{Issuer, Issuers, SigningKey};

use super::rules::IssuingRules;

/// What a platform needs to issue signed codes.
pub struct CodeAuthority {
    pub(super) rules: IssuingRules,
    pub(super) signed: Signed<IssuerKeys>,
    pub(super) list: IssuerKeys,
    /// Those of the listed issuers whose secret is here.
    issuers: Vec<Issuer>,
    pub(super) revoker: SecretKey,
}

/// Why the keys do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The list is not the root's.
    #[error("the list of issuer keys is not signed by this root")]
    List(#[from] StatementError),
    /// A secret that is none.
    #[error("a secret key cannot be used")]
    Secret(#[from] SignError),
    /// A secret whose public half is not in the list under this id.
    #[error("the secret of issuer {0} is not that of the list")]
    Foreign(u8),
    /// The list names another revoker.
    #[error("the revoker's secret is not that of the list")]
    Revoker,
    /// Nothing could be issued.
    #[error("there is no secret of any issuer of the list")]
    None,
}

impl CodeAuthority {
    /// Puts keys and rules together. Secrets of issuers are kept with their ids.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn new(
        rules: IssuingRules,
        signed: Signed<IssuerKeys>,
        root: &PublicKey,
        issuers: &[(u8, [u8; 32])],
        revoker: &[u8; 32],
    ) -> Result<Self, AuthorityError> {
        let list = signed.open(root)?;
        let mut held = Vec::new();
        for (id, secret) in issuers {
            let public = SecretKey::from_bytes(secret)?.public();
            if !list.issuers.iter().any(|listed| listed.id == *id && listed.key == public) {
                return Err(AuthorityError::Foreign(*id));
            }
            let key = SigningKey::from_bytes(secret).map_err(|_| SignError::BadSecret)?;
            held.push(Issuer::new(*id, key));
        }
        if held.is_empty() {
            return Err(AuthorityError::None);
        }
        let revoker = SecretKey::from_bytes(revoker)?;
        if revoker.public() != list.revoker {
            return Err(AuthorityError::Revoker);
        }
        Ok(Self { rules, signed, list, issuers: held, revoker })
    }

    /// The issuer of a code that begins now and ends then: the newest that may sign now and is accepted to its end.
    pub(super) fn issuer(&self, now: UnixMs, ends: UnixMs) -> Option<&Issuer> {
        let fits = |listed: &&contract::IssuerKey| {
            listed.not_before <= now
                && ends <= listed.not_after
                && self.issuers.iter().any(|held| held.id() == listed.id)
        };
        let newest = self.list.issuers.iter().filter(fits).max_by_key(|listed| listed.not_before)?;
        self.issuers.iter().find(|held| held.id() == newest.id)
    }

    /// The keys whose codes are accepted now.
    pub(super) fn accepted(&self, now: UnixMs) -> Issuers {
        self.list
            .issuers
            .iter()
            .filter(|listed| listed.not_before <= now && now < listed.not_after)
            .filter_map(|listed| {
                let key = resident_code::PublicKey::from_bytes(&listed.key.to_compressed()).ok()?;
                Some((listed.id, key))
            })
            .collect()
    }
}

impl fmt::Debug for CodeAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeAuthority").field("version", &self.list.version).finish_non_exhaustive()
    }
}
