//! An issuer, a phone, and the moment they live in.

use resident_code::{
    Alias, Capabilities, Issuer, Issuers, OfflineCode, SessionCertificate, SessionTerms, SigningKey,
};

/// 2026-11-18 08:00 in Chongqing.
pub(crate) const NOW: u32 = 1_794_960_000;
pub(crate) const ISSUER: u8 = 3;
pub(crate) const ALIAS: Alias = Alias(*b"\x01\x23\x45\x67\x89\xab\xcd\xef");

pub(crate) fn key(filler: u8) -> SigningKey {
    SigningKey::from_bytes(&[filler; 32]).unwrap()
}

pub(crate) fn issuer() -> Issuer {
    Issuer::new(ISSUER, key(0x51))
}

pub(crate) fn issuers() -> Issuers {
    [(ISSUER, key(0x51).public())].into_iter().collect()
}

pub(crate) fn terms() -> SessionTerms {
    SessionTerms {
        capabilities: Capabilities(0x0203),
        alias: ALIAS,
        issued_at: NOW - 3600,
        lifetime: 96,
        session_key: key(0x22).public(),
    }
}

pub(crate) fn certificate() -> SessionCertificate {
    SessionCertificate::issue(&terms(), &issuer()).unwrap()
}

/// The code that the phone shows at this moment.
pub(crate) fn code() -> OfflineCode {
    certificate().present(&key(0x22), NOW).unwrap()
}

/// The text of any bytes, as an attacker would write it.
pub(crate) fn text(bytes: &[u8]) -> String {
    format!("YK1:{}", base45::encode(bytes))
}
