//! SM2 signatures with SM3 (GB/T 32918.2, GB/T 32905) under the default identity.

use std::fmt;

use serde::{Deserialize, Serialize};
use sm2::dsa::signature::{Signer as _, Verifier as _};
use sm2::elliptic_curve::sec1::ToSec1Point as _;
use sm3::{Digest as _, Sm3};

/// The default distinguishing identifier of GM/T 0009-2012, clause 10.
const DISTID: &str = "1234567812345678";

/// Why a key or a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not a secret scalar in 1..n.
    #[error("the bytes are not an SM2 secret key")]
    BadSecret,
    /// Not a point on the curve.
    #[error("the bytes are not an SM2 public key")]
    BadPublic,
    /// The signature does not belong to this message and key.
    #[error("the signature does not verify")]
    Mismatch,
    /// Not hexadecimal, or of the wrong length.
    #[error("expected {0} bytes in hexadecimal")]
    NotHex(usize),
}

/// SM3 over the parts, one after the other.
#[must_use]
pub fn sm3(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sm3::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// A secret SM2 key. No `Debug`, no `Serialize`; wiped on drop by the curve library.
pub struct SecretKey(sm2::dsa::SigningKey);

impl SecretKey {
    /// # Errors
    /// [`SignError::BadSecret`] when the scalar is 0 or not below the group order.
    pub fn from_bytes(scalar: &[u8; 32]) -> Result<Self, SignError> {
        sm2::dsa::SigningKey::from_slice(DISTID, scalar).map(Self).map_err(|_| SignError::BadSecret)
    }

    /// Signs the message. Deterministic: no randomness that could fail.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature: sm2::dsa::Signature = self.0.sign(message);
        Signature(signature.to_bytes().into())
    }

    /// The public key that verifies what this key signs.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().clone())
    }
}

/// A public SM2 key; as text 130 hexadecimal digits (SEC1, uncompressed).
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(sm2::dsa::VerifyingKey);

impl PublicKey {
    /// Checks the signature over the message.
    ///
    /// # Errors
    /// [`SignError::Mismatch`].
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignError> {
        let parsed = sm2::dsa::Signature::from_slice(&signature.0).map_err(|_| SignError::Mismatch)?;
        self.0.verify(message, &parsed).map_err(|_| SignError::Mismatch)
    }

    /// The point, compressed to 33 bytes (SEC1), as in resident codes.
    #[must_use]
    pub fn to_compressed(&self) -> [u8; 33] {
        let point = self.0.as_affine().to_sec1_point(true);
        let mut bytes = [0; 33];
        for (to, from) in bytes.iter_mut().zip(point.as_bytes()) {
            *to = *from;
        }
        bytes
    }

    pub(crate) fn from_sec1(bytes: &[u8]) -> Result<Self, SignError> {
        sm2::dsa::VerifyingKey::from_sec1_bytes(DISTID, bytes).map(Self).map_err(|_| SignError::BadPublic)
    }

    pub(crate) fn point(&self) -> sm2::PublicKey {
        sm2::PublicKey::from_affine(*self.0.as_affine()).expect("a key is never the point at infinity")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_sec1_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for PublicKey {}

impl std::str::FromStr for PublicKey {
    type Err = SignError;
    fn from_str(text: &str) -> Result<Self, SignError> {
        let bytes: [u8; 65] = from_hex(text)?;
        Self::from_sec1(&bytes)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = SignError;
    fn try_from(text: String) -> Result<Self, SignError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// An SM2 signature: `r ‖ s`, 64 bytes; as text 128 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature(pub [u8; 64]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Signature {
    type Err = SignError;
    fn from_str(text: &str) -> Result<Self, SignError> {
        from_hex(text).map(Self)
    }
}

impl TryFrom<String> for Signature {
    type Error = SignError;
    fn try_from(text: String) -> Result<Self, SignError> {
        text.parse()
    }
}

impl From<Signature> for String {
    fn from(signature: Signature) -> Self {
        signature.to_string()
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 0x0F] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

pub(crate) fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], SignError> {
    let wrong = SignError::NotHex(N);
    if text.len() != N * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong);
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let pair = text.get(at * 2..at * 2 + 2).ok_or(wrong)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GB/T 32905-2016, annex A.1.
    #[test]
    fn sm3_matches_the_standard() {
        let expected: [u8; 32] =
            from_hex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0").unwrap();
        assert_eq!(sm3(&[b"a", b"bc"]), expected);
    }

    #[test]
    fn signature_verifies_only_with_its_message_and_key() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let other = SecretKey::from_bytes(&[8; 32]).unwrap();
        let signature = key.sign(b"order 1");
        let public: PublicKey = key.public().to_string().parse().unwrap();
        assert_eq!(public.verify(b"order 1", &signature), Ok(()));
        assert_eq!(public.verify(b"order 2", &signature), Err(SignError::Mismatch));
        assert_eq!(other.public().verify(b"order 1", &signature), Err(SignError::Mismatch));
        let mut changed = signature;
        changed.0[5] ^= 1;
        assert_eq!(public.verify(b"order 1", &changed), Err(SignError::Mismatch));
    }

    #[test]
    fn compressed_point_is_the_same_key() {
        let public = SecretKey::from_bytes(&[7; 32]).unwrap().public();
        let compressed = public.to_compressed();
        let uncompressed = public.to_string();
        assert_eq!(compressed[1..], from_hex::<65>(&uncompressed).unwrap()[1..33]);
        assert!(matches!(compressed[0], 2 | 3));
        let read = sm2::dsa::VerifyingKey::from_sec1_bytes(DISTID, &compressed).unwrap();
        assert_eq!(PublicKey(read), public);
    }

    #[test]
    fn secret_key_refuses_zero() {
        assert!(SecretKey::from_bytes(&[0; 32]).is_err());
    }
}
