//! Keys and signatures of the department contract: SM2 over SM3, over requests and answers with their times.

use sm2::dsa::signature::{Signer as _, Verifier as _};
use sm2::dsa::{Signature, SigningKey, VerifyingKey};
use sm2::pke::DecryptingKey;
use sm3::{Digest as _, Sm3};

/// The default distinguishing identifier of GM/T 0009-2012, clause 10.
const DISTID: &str = "1234567812345678";
/// How far the time of a message may be from one's own, in milliseconds.
pub(crate) const TIME_TOLERANCE_MS: u64 = 5 * 60 * 1000;
/// Length of a public key as text: SEC1, uncompressed, in hexadecimal.
const PUBLIC_KEY_DIGITS: usize = 130;

/// Why the text of a key is refused. The error holds nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hexadecimal digits, or not a scalar of SM2.
    #[error("a department's secret key is 64 hexadecimal digits, and a number in 1..n-1 of SM2")]
    Secret,
    /// Not 130 hexadecimal digits, or not a point of the curve.
    #[error("a public SM2 key is 130 hexadecimal digits (SEC1, uncompressed) and begins with 04")]
    Public,
}

/// The key of a department: it signs answers, and opens what is sealed to the department. No `Debug`.
pub struct DepartmentKey {
    signing: SigningKey,
    pub(crate) decrypting: DecryptingKey,
}

/// The public key of a department or of the platform.
#[derive(Clone, Debug)]
pub struct PublicKey(VerifyingKey);

/// The platform, as departments know it.
#[derive(Clone, Debug)]
pub struct PlatformIdentity {
    /// What it names itself in `X-Device`.
    pub id: String,
    /// What its requests are verified with.
    pub key: PublicKey,
}

impl DepartmentKey {
    /// The key with this secret scalar.
    ///
    /// # Errors
    /// [`KeyError::Secret`] when the scalar is 0 or not below the group order.
    pub fn from_bytes(scalar: &[u8; 32]) -> Result<Self, KeyError> {
        let signing = SigningKey::from_slice(DISTID, scalar).map_err(|_| KeyError::Secret)?;
        let decrypting = DecryptingKey::from_slice(scalar).map_err(|_| KeyError::Secret)?;
        Ok(Self { signing, decrypting })
    }

    /// Parses the key file: 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`KeyError::Secret`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut scalar = [0; 32];
        match base16ct::mixed::decode(text.trim(), &mut scalar) {
            Ok(bytes) if bytes.len() == 32 => Self::from_bytes(&scalar),
            Ok(_) | Err(_) => Err(KeyError::Secret),
        }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.signing.verifying_key().clone())
    }

    /// Signs a message: `r ‖ s` in hexadecimal.
    #[must_use]
    pub fn sign(&self, message: &str) -> String {
        let signature: Signature = self.signing.sign(message.as_bytes());
        to_hex(&signature.to_bytes())
    }
}

impl PublicKey {
    /// Parses 130 hexadecimal digits.
    ///
    /// # Errors
    /// [`KeyError::Public`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut point = [0; PUBLIC_KEY_DIGITS / 2];
        let bytes = base16ct::mixed::decode(text.trim(), &mut point).map_err(|_| KeyError::Public)?;
        if bytes.len() != PUBLIC_KEY_DIGITS / 2 {
            return Err(KeyError::Public);
        }
        VerifyingKey::from_sec1_bytes(DISTID, bytes).map(Self).map_err(|_| KeyError::Public)
    }

    /// 130 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        to_hex(&self.0.to_sec1_bytes())
    }

    /// Whether the signature, in hexadecimal, belongs to this message and key.
    #[must_use]
    pub fn verifies(&self, message: &str, signature: &str) -> bool {
        let mut bytes = [0; 64];
        let Ok(decoded) = base16ct::mixed::decode(signature, &mut bytes) else { return false };
        let Ok(signature) = Signature::from_slice(decoded) else { return false };
        self.0.verify(message.as_bytes(), &signature).is_ok()
    }
}

/// What the signature of a request covers.
#[must_use]
pub fn request_message(method: &str, department: &str, target: &str, time_ms: u64, body: &[u8]) -> String {
    format!("{method}\n{department}{target}\n{time_ms}\n{}", to_hex(&sm3(&[body])))
}

/// What the signature of an answer covers. `request_signature` is as received.
#[must_use]
pub fn answer_message(request_signature: &str, status: u16, time_ms: u64, body: &[u8]) -> String {
    format!("ANSWER\n{request_signature}\n{status}\n{time_ms}\n{}", to_hex(&sm3(&[body])))
}

/// Lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// SM3 over the parts, one after the other.
pub(crate) fn sm3(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sm3::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_verifies_only_with_its_message_and_key() {
        let key = DepartmentKey::from_bytes(&[7; 32]).unwrap();
        let public = PublicKey::from_hex(&key.public().to_hex()).unwrap();
        let message = request_message("POST", "water", "/query/water.bills", 1_795_000_000_000, b"{}");
        let signature = key.sign(&message);
        assert!(public.verifies(&message, &signature));
        assert!(public.verifies(&message, &signature.to_uppercase()));
        assert!(!public.verifies(&message.replace("bills", "paid"), &signature));
        assert!(!DepartmentKey::from_bytes(&[8; 32]).unwrap().public().verifies(&message, &signature));
        for broken in ["", "00", &signature[2..], &format!("{signature}00"), &"0".repeat(128), "签"] {
            assert!(!public.verifies(&message, broken), "{broken}");
        }
    }

    #[test]
    fn signature_made_by_openssl_verifies() {
        // `openssl pkeyutl -sign -rawin -digest sm3 -pkeyopt distid:1234567812345678` with the key `[7; 32]`.
        let signature = concat!(
            "fd9ca35ecbe20d16dfd731fa9f1f6513385bab54c7df68b65b06b8054b629cca",
            "7e669cab3f52e40af42cc2a27eddd2daca766a7ada116ed506c900600c79ace3",
        );
        let public = DepartmentKey::from_bytes(&[7; 32]).unwrap().public();
        assert!(public.verifies("POST\n/query/water.bills\n1795000000000\nab", signature));
    }

    #[test]
    fn messages_are_the_lines_of_the_contract() {
        // SM3 of the empty message, GB/T 32905.
        let empty = "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b";
        assert_eq!(
            request_message("POST", "water", "/submissions/state", 5, b""),
            format!("POST\nwater/submissions/state\n5\n{empty}")
        );
        assert_eq!(answer_message("ab", 204, 6, b""), format!("ANSWER\nab\n204\n6\n{empty}"));
    }

    #[test]
    fn key_texts_of_wrong_length_or_value_are_refused() {
        for text in ["", "00", &"0".repeat(64), &"f".repeat(64), &"1".repeat(66), "密"] {
            assert_eq!(DepartmentKey::from_hex(text).err(), Some(KeyError::Secret), "{text}");
        }
        for text in ["", "04", &"0".repeat(130), &format!("04{}", "1".repeat(128))] {
            assert_eq!(PublicKey::from_hex(text).err(), Some(KeyError::Public), "{text}");
        }
        DepartmentKey::from_hex(&format!("{}\n", "1".repeat(64))).unwrap();
    }
}
