//! Opens what a resident's kiosk sealed to the department: SM2Cipher of GM/T 0009-2012, 7.2, in DER.
//!
//! The DER is read here, and strictly: the parser of the curve library panics on a hash of another length than 32 bytes.

use std::collections::BTreeMap;

use super::signatures::{DepartmentKey, sm3, to_hex};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const HASH_LEN: usize = 32;
const COORDINATE_LEN: usize = 32;

/// What was sealed.
pub(crate) struct Opened {
    pub(crate) fields: BTreeMap<String, String>,
    /// SM3 of the JSON, in hexadecimal.
    pub(crate) hash: String,
}

/// The fields in a sealed text (hexadecimal); `None` when it does not open with this key, or is not a JSON object of
/// texts.
pub(crate) fn open(key: &DepartmentKey, sealed: &str) -> Option<Opened> {
    let der = base16ct::mixed::decode_vec(sealed).ok()?;
    let plain = key.decrypting.decrypt(&to_raw(&der)?).ok()?;
    let fields = serde_json::from_slice(&plain).ok()?;
    Some(Opened { fields, hash: to_hex(&sm3(&[&plain])) })
}

/// `C1 ‖ C3 ‖ C2` from `SEQUENCE { x INTEGER, y INTEGER, hash OCTET STRING, cipher OCTET STRING }`.
fn to_raw(der: &[u8]) -> Option<Vec<u8>> {
    let (content, after) = take(der, SEQUENCE)?;
    let (x, rest) = take(content, INTEGER)?;
    let (y, rest) = take(rest, INTEGER)?;
    let (hash, rest) = take(rest, OCTET_STRING)?;
    let (cipher, rest) = take(rest, OCTET_STRING)?;
    if !after.is_empty() || !rest.is_empty() || hash.len() != HASH_LEN || cipher.is_empty() {
        return None;
    }
    let mut raw = vec![0x04];
    for coordinate in [x, y] {
        let digits = match coordinate {
            [0, digits @ ..] => digits,
            [first, ..] if *first >= 0x80 => return None,
            digits => digits,
        };
        raw.extend(std::iter::repeat_n(0, COORDINATE_LEN.checked_sub(digits.len())?));
        raw.extend(digits);
    }
    raw.extend(hash);
    raw.extend(cipher);
    Some(raw)
}

/// The content of the DER element at the start, and what follows it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, first, rest @ ..] = der else { return None };
    if *found != tag {
        return None;
    }
    let (len, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let len = bytes
                .iter()
                .try_fold(0_usize, |len, byte| len.checked_mul(256)?.checked_add((*byte).into()))?;
            (len, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by OpenSSL: `openssl pkeyutl -encrypt` to the public half of the key `[7; 32]`.
    const BY_OPENSSL: &str = concat!(
        "307f02204b0dc4f2f34f99c0000b55c50ee7f192fd0f0f019b4d652c571609683d38435702205c7ee6af918f",
        "41b48d8aa940b547e8ad3e27ce1bae98a9180528bf2f4620a1900420dd811c261febcf3fc80f9ca1e7b22c16",
        "15b86a151208ad76e5b54c1f968363f00417ff45189b093bcfe740addbd33c747e93cf31687e30c761",
    );

    fn fields(key: &DepartmentKey, sealed: &str) -> Option<BTreeMap<String, String>> {
        open(key, sealed).map(|opened| opened.fields)
    }

    fn key() -> DepartmentKey {
        DepartmentKey::from_bytes(&[7; 32]).unwrap()
    }

    #[test]
    fn cipher_made_by_openssl_opens() {
        let input = fields(&key(), BY_OPENSSL).unwrap();
        assert_eq!(input, BTreeMap::from([("phone".to_owned(), "13800000000".to_owned())]));
        assert_eq!(fields(&key(), &BY_OPENSSL.to_uppercase()), Some(input));
    }

    #[test]
    fn other_key_and_changed_bytes_do_not_open() {
        assert_eq!(fields(&DepartmentKey::from_bytes(&[8; 32]).unwrap(), BY_OPENSSL), None);
        let der = base16ct::mixed::decode_vec(BY_OPENSSL).unwrap();
        for at in 0..der.len() {
            let mut changed = der.clone();
            changed[at] ^= 1;
            assert_eq!(fields(&key(), &base16ct::lower::encode_string(&changed)), None, "byte {at}");
            assert_eq!(fields(&key(), &base16ct::lower::encode_string(&der[..at])), None, "length {at}");
        }
        for text in ["", "30", "zz", "3000", "密"] {
            assert_eq!(fields(&key(), text), None, "{text}");
        }
    }
}
