//! SM2 signatures with SM3 (GB/T 32918.2, GB/T 32905) as encoded in codes: 64 bytes `r ‖ s`, public keys compressed
//! to 33 bytes.

use std::fmt;

use sm2::dsa::signature::{Signer as _, Verifier as _};
use sm2::elliptic_curve::sec1::ToSec1Point as _;

/// Length of a signature in bytes: `r ‖ s`, big endian.
pub const SIGNATURE_LEN: usize = 64;
/// Length of a public key in bytes: SEC1, compressed.
pub const PUBLIC_KEY_LEN: usize = 33;
/// The default signer identity of GM/T 0009 (clause 10).
const DISTID: &str = "1234567812345678";

/// The bytes are not a valid key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the bytes are not an SM2 key: a secret key is in 1..n-1, a public key is a point of the curve, compressed to 33 bytes"
)]
pub struct KeyError;

/// A secret SM2 key. No `Debug`; wiped on drop by the curve library.
pub struct SigningKey(sm2::dsa::SigningKey);

impl SigningKey {
    /// Creates a key from 32 bytes, which must be random.
    ///
    /// # Errors
    /// [`KeyError`] if they are 0 or not below the group order.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, KeyError> {
        sm2::dsa::SigningKey::from_slice(DISTID, secret).map(Self).map_err(|_| KeyError)
    }

    /// The public key of this secret key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().clone())
    }

    /// Signs SM3 of the signer's identity and the message. Deterministic: does not depend on a random number
    /// generator.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        let signature: sm2::dsa::Signature = self.0.sign(message);
        signature.to_bytes().into()
    }
}

/// A public SM2 key.
#[derive(Clone)]
pub struct PublicKey(sm2::dsa::VerifyingKey);

impl PublicKey {
    /// Parses a compressed point: `02` or `03`, then the 32 bytes of `x`.
    ///
    /// # Errors
    /// [`KeyError`] if the point is not on the curve.
    pub fn from_bytes(bytes: &[u8; PUBLIC_KEY_LEN]) -> Result<Self, KeyError> {
        sm2::dsa::VerifyingKey::from_sec1_bytes(DISTID, bytes).map(Self).map_err(|_| KeyError)
    }

    /// The compressed point.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PUBLIC_KEY_LEN] {
        let point = self.0.as_affine().to_sec1_point(true);
        let mut bytes = [0; PUBLIC_KEY_LEN];
        for (to, from) in bytes.iter_mut().zip(point.as_bytes()) {
            *to = *from;
        }
        bytes
    }

    /// Whether the signature of the message verifies with this key. `r` and `s` outside 1..n−1 are refused (GB/T
    /// 32918.2, 7.1).
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        sm2::dsa::Signature::from_slice(signature).is_ok_and(|read| self.0.verify(message, &read).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}
