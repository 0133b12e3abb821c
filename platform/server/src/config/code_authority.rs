//! The keys that sign codes: the issuers' secret keys, and the list of issuer keys that the city's offline root has signed.

use std::fmt;

use contract::{IssuerKeys, PublicKey, SecretKey, SignError, SignedStatement, StatementError, UnixMs};
use resident_code::{CodeIssuer, CodeIssuers};

use super::issuing_rules::IssuingRules;

/// Keys and rules with which a platform issues signed codes.
pub struct CodeAuthority {
    pub(crate) rules: IssuingRules,
    pub(crate) signed_issuer_keys: SignedStatement<IssuerKeys>,
    pub(crate) issuer_keys: IssuerKeys,
    /// The listed issuers whose secret keys the platform holds.
    issuers: Vec<CodeIssuer>,
    pub(crate) revoker: SecretKey,
}

/// Why keys and rules do not form a code authority.
#[derive(Debug, thiserror::Error)]
pub enum CodeAuthorityError {
    /// The list's signature does not verify under the root key.
    #[error("the list of issuer keys is not signed by this root key")]
    UnverifiedList(#[from] StatementError),
    /// A secret key is not a valid SM2 scalar.
    #[error("a secret key is invalid")]
    InvalidSecret(#[from] SignError),
    /// The public key of a secret key is not in the list under its id.
    #[error("the secret key of issuer {0} does not match the list of issuer keys")]
    IssuerMismatch(u8),
    /// The list has another revoker key.
    #[error("the revoker's secret key does not match the list of issuer keys")]
    RevokerMismatch,
    /// No secret key of an issuer is given, so no code could be issued.
    #[error("no secret key of any listed issuer is given")]
    NoIssuer,
}

impl CodeAuthority {
    /// Checks and combines keys and rules. `issuers`: secret keys with their ids.
    ///
    /// # Errors
    /// [`CodeAuthorityError`].
    pub fn new(
        rules: IssuingRules,
        signed: SignedStatement<IssuerKeys>,
        root: &PublicKey,
        issuers: &[(u8, [u8; 32])],
        revoker: &[u8; 32],
    ) -> Result<Self, CodeAuthorityError> {
        let list = signed.open(root)?;
        let mut held = Vec::new();
        for (id, secret) in issuers {
            let key = SecretKey::from_bytes(secret)?;
            if !list.issuers.iter().any(|listed| listed.id == *id && listed.key == key.public()) {
                return Err(CodeAuthorityError::IssuerMismatch(*id));
            }
            held.push(CodeIssuer::new(*id, key));
        }
        if held.is_empty() {
            return Err(CodeAuthorityError::NoIssuer);
        }
        let revoker = SecretKey::from_bytes(revoker)?;
        if revoker.public() != list.revoker {
            return Err(CodeAuthorityError::RevokerMismatch);
        }
        Ok(Self { rules, signed_issuer_keys: signed, issuer_keys: list, issuers: held, revoker })
    }

    /// The issuer for a code that is valid from `now` to `ends`: the newest one that may sign now and is accepted until
    /// `ends`.
    pub(crate) fn issuer_for(&self, now: UnixMs, ends: UnixMs) -> Option<&CodeIssuer> {
        let fits = |listed: &&contract::IssuerKey| {
            listed.not_before <= now
                && ends <= listed.not_after
                && self.issuers.iter().any(|held| held.id() == listed.id)
        };
        let newest = self.issuer_keys.issuers.iter().filter(fits).max_by_key(|listed| listed.not_before)?;
        self.issuers.iter().find(|held| held.id() == newest.id)
    }

    /// The issuer keys whose codes are accepted now.
    pub(crate) fn accepted_issuers(&self, now: UnixMs) -> CodeIssuers {
        self.issuer_keys
            .issuers
            .iter()
            .filter(|listed| listed.not_before <= now && now < listed.not_after)
            .map(|listed| (listed.id, listed.key.clone()))
            .collect()
    }
}

impl fmt::Debug for CodeAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeAuthority").field("version", &self.issuer_keys.version).finish_non_exhaustive()
    }
}
