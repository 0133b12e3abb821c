//! SM2 keys and signatures with SM3 under the default signer identity.

use std::fmt;

use serde::{Deserialize, Serialize};
use sm2::dsa::signature::{Signer as _, Verifier as _};
use sm2::elliptic_curve::sec1::ToSec1Point as _;

use crate::hex::{from_hex, to_hex};

/// The default distinguishing identifier of GM/T 0009-2012, clause 10.
const DISTID: &str = "1234567812345678";
/// Length of a signature in bytes: `r ‖ s`, big endian.
pub const SIGNATURE_LEN: usize = 64;
/// Length of a compressed public key in bytes (SEC1): `02` or `03`, then `x`.
pub const COMPRESSED_LEN: usize = 33;

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

/// A secret SM2 key. No `Debug`, no `Serialize`; overwritten on drop.
pub struct SecretKey(
    /// On the heap, so that moving the key leaves no copy behind.
    Box<sm2::dsa::SigningKey>,
);

impl SecretKey {
    /// Creates a key from 32 bytes, which must be random.
    ///
    /// # Errors
    /// [`SignError::BadSecret`] when the scalar is 0 or not below the group order.
    pub fn from_bytes(scalar: &[u8; 32]) -> Result<Self, SignError> {
        let key = sm2::dsa::SigningKey::from_slice(DISTID, scalar).map_err(|_| SignError::BadSecret)?;
        Ok(Self(Box::new(key)))
    }

    /// Signs SM3 of the signer's identity and the message. Deterministic: no randomness that could fail.
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

impl Drop for SecretKey {
    fn drop(&mut self) {
        // The curve library wipes its `SecretKey`, but neither its `SigningKey` nor the scalar in it.
        if let Ok(harmless) = sm2::dsa::SigningKey::from_slice(DISTID, &[1; 32]) {
            *self.0 = harmless;
            std::hint::black_box(&self.0);
        }
    }
}

/// A public SM2 key; as text 130 hexadecimal digits (SEC1, uncompressed), in resident codes 33 bytes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(sm2::dsa::VerifyingKey);

impl PublicKey {
    /// Checks the signature over the message. `r` and `s` outside 1..n−1 are refused (GB/T 32918.2, 7.1).
    ///
    /// # Errors
    /// [`SignError::Mismatch`].
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignError> {
        let parsed = sm2::dsa::Signature::from_slice(&signature.0).map_err(|_| SignError::Mismatch)?;
        self.0.verify(message, &parsed).map_err(|_| SignError::Mismatch)
    }

    /// Parses a compressed point (SEC1).
    ///
    /// # Errors
    /// [`SignError::BadPublic`] when it is not on the curve.
    pub fn from_compressed(bytes: &[u8; COMPRESSED_LEN]) -> Result<Self, SignError> {
        Self::from_sec1(bytes)
    }

    /// The point, compressed to 33 bytes (SEC1), as in resident codes.
    #[must_use]
    pub fn to_compressed(&self) -> [u8; COMPRESSED_LEN] {
        let point = self.0.as_affine().to_sec1_point(true);
        let mut bytes = [0; 33];
        for (to, from) in bytes.iter_mut().zip(point.as_bytes()) {
            *to = *from;
        }
        bytes
    }

    /// Parses a point in any form of SEC1.
    ///
    /// # Errors
    /// [`SignError::BadPublic`] when it is not on the curve.
    pub fn from_sec1(bytes: &[u8]) -> Result<Self, SignError> {
        sm2::dsa::VerifyingKey::from_sec1_bytes(DISTID, bytes).map(Self).map_err(|_| SignError::BadPublic)
    }

    /// The key as the curve library has it, for encryption.
    ///
    /// # Panics
    /// Never: no parser accepts the point at infinity.
    #[must_use]
    pub fn to_curve_key(&self) -> sm2::PublicKey {
        sm2::PublicKey::from_affine(*self.0.as_affine()).expect("a key is never the point at infinity")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0.to_sec1_bytes()))
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
        let bytes: [u8; 65] = from_hex(text).ok_or(SignError::NotHex(65))?;
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
pub struct Signature(pub [u8; SIGNATURE_LEN]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl std::str::FromStr for Signature {
    type Err = SignError;
    fn from_str(text: &str) -> Result<Self, SignError> {
        from_hex(text).map(Self).ok_or(SignError::NotHex(SIGNATURE_LEN))
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(PublicKey::from_compressed(&compressed), Ok(public));
    }

    #[test]
    fn secret_key_refuses_zero() {
        assert_eq!(SecretKey::from_bytes(&[0; 32]).err(), Some(SignError::BadSecret));
    }
}
