//! The part of the resident code (渝快码) that kiosk and platform must agree on: who may issue codes, and how a phone
//! answers a kiosk. The codes themselves are in the `resident-code` crate.
//!
//! Trust chain: the city's offline root key, which a site file names, signs the [`IssuerKeys`]; these name the keys
//! that sign codes and the one that signs [`Revocations`](crate::Revocations). The signature of a statement covers the
//! text as sent, so no canonical form of JSON is needed.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::id::KioskId;
use crate::time::UnixMs;
use sm_crypto::{PublicKey, SecretKey, SignError, Signature, from_hex, to_hex_upper};

/// Maximum number of issuer keys of a city: a code names its key by one byte.
const KEYS_MAX: usize = 256;

/// A statement that the city signs about its codes.
pub trait Statement: Serialize + DeserializeOwned {
    /// Prefix of the signed bytes, so that a signature over one kind of statement is never valid for another kind.
    const DOMAIN: &'static [u8];
    /// Maximum size in bytes of a statement that is parsed.
    const TEXT_MAX: usize = 256 * 1024;

    /// Checks that the content is consistent.
    ///
    /// # Errors
    /// [`StatementError::Invalid`].
    fn check(&self) -> Result<(), StatementError>;
}

/// Why a statement is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The signature is not by the required key.
    #[error(
        "the statement's signature does not verify: it was not signed by the city, or it was changed in transit"
    )]
    Signature(#[from] SignError),
    /// Longer than the limit.
    #[error("the statement has {length} bytes, at most {most} are accepted")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        most: usize,
    },
    /// Signed, but with invalid content: the platform runs another version, or has a defect.
    #[error("the statement is signed but its content is invalid: {0}")]
    Invalid(&'static str),
}

/// A signed statement as it is sent. Its content can only be read by verifying the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedStatement<T> {
    /// JSON of the statement, as signed.
    text: String,
    /// Signature over [`Statement::DOMAIN`], a zero byte and the bytes of `text`.
    signature: Signature,
    #[serde(skip)]
    statement_type: PhantomData<fn() -> T>,
}

impl<T: Statement> SignedStatement<T> {
    /// Signs a statement.
    #[must_use]
    pub fn sign(statement: &T, key: &SecretKey) -> Self {
        let text = serde_json::to_string(statement)
            .expect("statements have string keys and no floats, so they are always JSON");
        let signature = key.sign(&to_be_signed::<T>(&text));
        Self { text, signature, statement_type: PhantomData }
    }

    /// The text that is signed, not verified.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the statement if `key` signed it.
    ///
    /// # Errors
    /// When the signature does not verify, or when the signed content is invalid.
    pub fn open(&self, key: &PublicKey) -> Result<T, StatementError> {
        if self.text.len() > T::TEXT_MAX {
            return Err(StatementError::TooLong { length: self.text.len(), most: T::TEXT_MAX });
        }
        key.verify(&to_be_signed::<T>(&self.text), &self.signature)?;
        let statement: T = serde_json::from_str(&self.text)
            .map_err(|_| StatementError::Invalid("it has unknown or missing fields"))?;
        statement.check()?;
        Ok(statement)
    }
}

fn to_be_signed<T: Statement>(text: &str) -> Vec<u8> {
    [T::DOMAIN, b"\0", text.as_bytes()].concat()
}

/// 发码密钥表: the keys of a city's codes. Signed by its offline root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerKeys {
    /// The city: the letters that its codes begin with, `YK` for Chongqing. Another city's list is refused
    /// even under the same root.
    pub city: String,
    /// Incremented with every list; a kiosk never returns to an earlier version.
    pub version: u32,
    /// The list is in force from this time on.
    pub not_before: UnixMs,
    /// The list is in force until this time. After it no code that needs the list is accepted.
    pub not_after: UnixMs,
    /// The key that signs the statements between two lists: [`Revocations`](crate::Revocations) and
    /// [`ECertificateExtract`](crate::ECertificateExtract)s.
    pub revoker: PublicKey,
    /// The keys that sign codes; each id once.
    pub issuers: Vec<IssuerKey>,
}

/// A key that signs codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerKey {
    /// The number by which codes name this key.
    pub id: u8,
    /// The public key that verifies the codes.
    pub key: PublicKey,
    /// Codes signed with this key are accepted from this time on.
    pub not_before: UnixMs,
    /// Codes signed with this key are accepted until this time: the end of the last code that it signed.
    pub not_after: UnixMs,
}

impl Statement for IssuerKeys {
    const DOMAIN: &'static [u8] = b"issuer-keys/1";

    fn check(&self) -> Result<(), StatementError> {
        let letters = self.city.len() == 2 && self.city.bytes().all(|b| b.is_ascii_uppercase());
        if !letters {
            return Err(StatementError::Invalid("a city is two capital letters"));
        }
        if self.issuers.len() > KEYS_MAX {
            return Err(StatementError::Invalid("a city has at most 256 issuer keys"));
        }
        let ordered = |from: UnixMs, to: UnixMs| from < to;
        if !ordered(self.not_before, self.not_after)
            || !self.issuers.iter().all(|issuer| ordered(issuer.not_before, issuer.not_after))
        {
            return Err(StatementError::Invalid("a validity period ends before it begins"));
        }
        let mut ids: Vec<u8> = self.issuers.iter().map(|issuer| issuer.id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != self.issuers.len() {
            return Err(StatementError::Invalid("two issuer keys have the same id"));
        }
        Ok(())
    }
}

/// Prefix of a challenge's text: the city's letters, `C` for challenge, the version.
const CHALLENGE_PREFIX: &str = "YKC1:";

/// 质询码: the code that a kiosk shows to a phone; the phone's answer proves that the phone is present and that its
/// owner agrees. Drawn at random for one visit; the kiosk deletes it with the visit.
///
/// The text of a challenge, `YKC1:`, the kiosk's name, a colon and 32 hexadecimal digits, uses only the alphanumeric
/// set of a QR code: at most 54 characters, version 3-M. The phone shows at which kiosk it is about to sign in, and
/// answers with the answer code of `resident-code`, whose signature covers [`Challenge::to_be_signed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The kiosk that shows the challenge.
    pub device: KioskId,
    /// Fresh random bits.
    pub nonce: [u8; 16],
}

impl Challenge {
    /// The bytes that an answer's signature covers: `code-challenge/1`, a zero byte, the kiosk's name as in a record's
    /// header, the nonce.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        [b"code-challenge/1\0".as_slice(), &self.device.to_bytes(), &self.nonce].concat()
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CHALLENGE_PREFIX}{}:{}", self.device, to_hex_upper(&self.nonce))
    }
}

impl FromStr for Challenge {
    type Err = ChallengeError;
    fn from_str(text: &str) -> Result<Self, ChallengeError> {
        let rest = text.trim().strip_prefix(CHALLENGE_PREFIX).ok_or(ChallengeError)?;
        let (device, nonce) = rest.split_once(':').ok_or(ChallengeError)?;
        let device = device.parse().map_err(|_| ChallengeError)?;
        let nonce = from_hex(nonce).ok_or(ChallengeError)?;
        Ok(Self { device, nonce })
    }
}

/// The text is not a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the text is not a kiosk's challenge: it must be `YKC1:`, a kiosk id, a colon and 32 hexadecimal digits"
)]
pub struct ChallengeError;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{CardName, CodeHolder};
    use crate::revocations::{Revocations, Revoked};

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes(&[byte; 32]).unwrap()
    }

    fn list() -> IssuerKeys {
        let issuer =
            |id| IssuerKey { id, key: key(8).public(), not_before: UnixMs(1_000), not_after: UnixMs(5_000) };
        IssuerKeys {
            city: "YK".into(),
            version: 3,
            not_before: UnixMs(1_000),
            not_after: UnixMs(9_000),
            revoker: key(9).public(),
            issuers: vec![issuer(1), issuer(2)],
        }
    }

    fn delta() -> Revocations {
        let revoked = vec![Revoked { who: CodeHolder::from_alias(b"12345678"), ends: UnixMs(7_000) }];
        Revocations { city: "YK".into(), since: 4, until: 5, expires: UnixMs(8_000), revoked }
    }

    /// Version 1 of the wire format. If this test fails, do not change the test: kiosks in the field read these texts.
    #[test]
    fn statement_texts_of_version_1_are_stable() {
        let signed = SignedStatement::sign(&delta(), &key(9));
        assert_eq!(
            serde_json::to_string(&signed).unwrap(),
            r#"{"text":"{\"city\":\"YK\",\"since\":4,\"until\":5,\"expires\":8000,\"revoked\":[{\"holder\":\"d971e0b38bbf443d\",\"ends\":7000}]}","signature":"bb124c5a0ab723a35a9b016bcd579d54de7b54c30de3603b661f3e10922bb3e1980d93aa8e5501f8bf265c41974380eb3227ffd1309ef8d776d303aead5da3e2"}"#,
        );
        let challenge = Challenge { device: "K-DH-0001".parse().unwrap(), nonce: [0xab; 16] };
        assert_eq!(challenge.to_string(), "YKC1:K-DH-0001:ABABABABABABABABABABABABABABABAB");
        assert_eq!(challenge.to_be_signed().len(), 49);
        let text = serde_json::to_string(&IssuerKeys { issuers: Vec::new(), ..list() }).unwrap();
        let revoker = key(9).public();
        let golden = format!(
            r#"{{"city":"YK","version":3,"not_before":1000,"not_after":9000,"revoker":"{revoker}","issuers":[]}}"#
        );
        assert_eq!(text, golden);
    }

    #[test]
    fn statement_opens_only_with_its_key_and_domain() {
        let signed = SignedStatement::sign(&delta(), &key(9));
        assert_eq!(signed.open(&key(9).public()), Ok(delta()));
        assert!(matches!(signed.open(&key(8).public()), Err(StatementError::Signature(_))));
        let mut changed = signed.clone();
        changed.text = changed.text.replace("\"until\":5", "\"until\":6");
        assert!(matches!(changed.open(&key(9).public()), Err(StatementError::Signature(_))));
        let other: SignedStatement<IssuerKeys> = SignedStatement {
            text: signed.text.clone(),
            signature: signed.signature,
            statement_type: PhantomData,
        };
        assert!(matches!(other.open(&key(9).public()), Err(StatementError::Signature(_))));
        let of_cards: SignedStatement<Revocations<CardName>> = SignedStatement {
            text: signed.text.clone(),
            signature: signed.signature,
            statement_type: PhantomData,
        };
        assert!(matches!(of_cards.open(&key(9).public()), Err(StatementError::Signature(_))));
        let parsed: SignedStatement<Revocations> =
            serde_json::from_str(&serde_json::to_string(&signed).unwrap()).unwrap();
        assert_eq!(parsed, signed);
    }

    #[test]
    fn signed_statement_with_invalid_content_is_refused() {
        let mut twice = list();
        twice.issuers[1].id = 1;
        let mut ended = list();
        ended.issuers[0].not_after = UnixMs(1_000);
        let elsewhere = IssuerKeys { city: "yk".into(), ..list() };
        for invalid in [twice, ended, elsewhere, IssuerKeys { not_after: UnixMs(0), ..list() }] {
            let signed = SignedStatement::sign(&invalid, &key(7));
            assert!(matches!(signed.open(&key(7).public()), Err(StatementError::Invalid(_))), "{invalid:?}");
        }
        let short = Revocations { until: 6, ..delta() };
        let back = Revocations { until: 3, revoked: Vec::new(), ..delta() };
        let many = Revocations {
            until: 4 + 2049,
            revoked: vec![Revoked { who: CodeHolder::from_alias(b"12345678"), ends: UnixMs(1) }; 2049],
            ..delta()
        };
        for invalid in [short, back, many] {
            let signed = SignedStatement::sign(&invalid, &key(9));
            assert!(matches!(signed.open(&key(9).public()), Err(StatementError::Invalid(_))));
        }
        let restart = Revocations { since: 0, until: 9, ..delta() };
        assert_eq!(SignedStatement::sign(&restart, &key(9)).open(&key(9).public()), Ok(restart));
    }

    #[test]
    fn statement_above_the_size_limit_is_refused() {
        let most = Revocations::<CodeHolder>::TEXT_MAX;
        let text = " ".repeat(most + 1);
        let signature = key(9).sign(&to_be_signed::<Revocations>(&text));
        let signed: SignedStatement<Revocations> =
            SignedStatement { text, signature, statement_type: PhantomData };
        assert_eq!(signed.open(&key(9).public()), Err(StatementError::TooLong { length: most + 1, most }));
    }

    #[test]
    fn challenge_round_trips_and_other_texts_are_refused() {
        let challenge = Challenge { device: "K-VP-0001".parse().unwrap(), nonce: *b"0123456789abcdef" };
        assert_eq!(challenge.to_string().parse(), Ok(challenge));
        let text = challenge.to_string();
        for bad in
            ["", "YK1:ABC", &text[..text.len() - 1], &text.replace("YKC1", "YKC2"), &format!("{text}0")]
        {
            assert_eq!(bad.parse::<Challenge>(), Err(ChallengeError), "{bad}");
        }
    }
}
