//! Fixture: an issuer, a phone, and the current time.

use resident_code::{
    Alias, Capabilities, CodeIssuer, CodeIssuers, OfflineCode, SecretKey, SessionCertificate, SessionTerms,
};

/// 2026-11-18 08:00 in Chongqing.
pub(crate) const NOW: u32 = 1_794_960_000;
pub(crate) const ISSUER: u8 = 3;
pub(crate) const ALIAS: Alias = Alias(*b"\x01\x23\x45\x67\x89\xab\xcd\xef");

pub(crate) fn key(filler: u8) -> SecretKey {
    SecretKey::from_bytes(&[filler; 32]).unwrap()
}

pub(crate) fn issuer() -> CodeIssuer {
    CodeIssuer::new(ISSUER, key(0x51))
}

pub(crate) fn issuers() -> CodeIssuers {
    [(ISSUER, key(0x51).public())].into_iter().collect()
}

pub(crate) fn terms() -> SessionTerms {
    SessionTerms {
        capabilities: Capabilities(0x0203),
        alias: ALIAS,
        issued_at: NOW - 3600,
        lifetime_quarters: 96,
        session_key: key(0x22).public(),
    }
}

pub(crate) fn certificate() -> SessionCertificate {
    SessionCertificate::issue(&terms(), &issuer()).unwrap()
}

/// The offline code that the phone shows at [`NOW`].
pub(crate) fn code() -> OfflineCode {
    certificate().present(&key(0x22), NOW).unwrap()
}

/// The text form of arbitrary bytes, as an attacker would write it.
pub(crate) fn text(bytes: &[u8]) -> String {
    format!("YK1:{}", base45::encode(bytes))
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    base16ct::mixed::decode_vec(text).unwrap()
}

/// The order of the curve's group, big endian (GB/T 32918.5).
pub(crate) const ORDER: [u8; 32] = *b"\xff\xff\xff\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
    \x72\x03\xdf\x6b\x21\xc6\x05\x2b\x53\xbb\xf4\x09\x39\xd5\x41\x23";

/// `ORDER - number`.
pub(crate) fn negated(number: &[u8]) -> [u8; 32] {
    let mut difference = [0; 32];
    let mut borrow = 0;
    for at in (0..32).rev() {
        let (digit, under) = ORDER[at].overflowing_sub(number[at]);
        let (digit, also) = digit.overflowing_sub(borrow);
        difference[at] = digit;
        borrow = u8::from(under || also);
    }
    difference
}
