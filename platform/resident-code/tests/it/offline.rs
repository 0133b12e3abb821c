//! Offline codes.

use proptest::prelude::*;
use resident_code::{
    CodeIssuer, CodeIssuers, CodeRefusal, LIFETIME_QUARTERS_MAX, OFFLINE_LEN, OfflineCode, PublicKey,
    SessionCertificate, SessionTerms, TimeWindow,
};

use crate::fixture::{
    ALIAS, ISSUER, NOW, ORDER, certificate, code, issuer, issuers, key, negated, terms, text, to_hex,
};

fn verify(bytes: &[u8], now: u32) -> Result<resident_code::VerifiedCode, CodeRefusal> {
    OfflineCode::parse(&text(bytes))?.verify(&issuers(), now, TimeWindow::default())
}

/// Version 1 of the format; OpenSSL accepts both signatures (`peers.rs`). If this fails, do not change the test:
/// the format changed.
#[test]
fn version_1_bytes_are_unchanged() {
    let bytes = code().to_bytes();
    assert_eq!(
        to_hex(&bytes[..50]),
        "120302030123456789abcdef6afcdc7060\
         024467e6043f38645e740050f3d6c9d6a0bf6b13d3b57892842be9b75cca3ce884"
    );
    assert_eq!(
        to_hex(&bytes[50..114]),
        "cada51adcb0eafb553be80ed93dcd2c43816eb72aca6fc2209f99ad8a4ea4351\
         25464f536d6085a500d35103bdb32c6cf6367027eb9d7c049c8292e39584e4f4"
    );
    assert_eq!(to_hex(&bytes[114..116]), "0384");
    assert_eq!(
        to_hex(&bytes[116..]),
        "eef1bdfd907963f79e7bc1d43fe781411f03966eef52df05dcae83ad851205d6\
         1088bee7c286ddbbcc8a9b189d93b1b40e680c556d56c7ab953cb1d9438e9347"
    );
    assert_eq!(code().to_text().len(), 274);
}

#[test]
fn verified_offline_code_returns_issued_terms() {
    let read = OfflineCode::parse(&code().to_text()).unwrap();
    let presented = read.verify(&issuers(), NOW, TimeWindow::default()).unwrap();
    assert_eq!((presented.alias, presented.capabilities), (ALIAS, terms().capabilities));
    assert_eq!((presented.time_step, presented.shown_at), (900, NOW));
    assert_eq!(presented.expires_at, NOW - 3600 + 24 * 3600);
}

#[test]
fn offline_code_is_accepted_only_within_its_window() {
    let bytes = code().to_bytes();
    for now in [NOW - 15, NOW, NOW + 15] {
        assert!(verify(&bytes, now).is_ok(), "{now}");
    }
    assert_eq!(verify(&bytes, NOW + 16), Err(CodeRefusal::Stale));
    assert_eq!(verify(&bytes, NOW - 16), Err(CodeRefusal::Early));
    assert_eq!(verify(&bytes, NOW + 86_400), Err(CodeRefusal::Expired));
    assert_eq!(verify(&bytes, u32::MAX), Err(CodeRefusal::Expired));
    assert_eq!(verify(&bytes, 0), Err(CodeRefusal::Early));
}

#[test]
fn offline_code_outside_certificate_time_is_refused() {
    let phone = key(0x22);
    let begins = terms().issued_at;
    assert_eq!(certificate().present(&phone, begins - 1).unwrap_err(), CodeRefusal::Early);
    assert!(certificate().present(&phone, begins).is_ok());
    assert!(certificate().present(&phone, begins + 86_399).is_ok());
    assert_eq!(certificate().present(&phone, begins + 86_400).unwrap_err(), CodeRefusal::Expired);
}

#[test]
fn certificate_lifetime_of_zero_or_over_a_day_is_refused() {
    for lifetime in [0, LIFETIME_QUARTERS_MAX + 1, 255] {
        let terms = SessionTerms { lifetime_quarters: lifetime, ..terms() };
        assert!(matches!(SessionCertificate::issue(&terms, &issuer()), Err(CodeRefusal::Lifetime(_))));
        // A certificate with such a lifetime is refused too: the byte is checked before any signature.
        let mut bytes = code().to_bytes();
        bytes[16] = lifetime;
        assert_eq!(verify(&bytes, NOW), Err(CodeRefusal::Lifetime(lifetime)));
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let genuine = code().to_bytes();
    for bit in 0..OFFLINE_LEN * 8 {
        let mut bytes = genuine;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let refusal = verify(&bytes, NOW).unwrap_err();
        let fits = match bit / 8 {
            0 => {
                matches!(refusal, CodeRefusal::Version(_) | CodeRefusal::Mode(_) | CodeRefusal::Length { .. })
            }
            1 => matches!(refusal, CodeRefusal::Key(_)),
            // A changed time may also miss the window.
            12..16 | 114..116 => matches!(
                refusal,
                CodeRefusal::IssuerSignature
                    | CodeRefusal::SessionSignature
                    | CodeRefusal::Early
                    | CodeRefusal::Stale
                    | CodeRefusal::Expired
            ),
            16 => matches!(
                refusal,
                CodeRefusal::Lifetime(_) | CodeRefusal::IssuerSignature | CodeRefusal::Expired
            ),
            2..114 => refusal == CodeRefusal::IssuerSignature,
            _ => refusal == CodeRefusal::SessionSignature,
        };
        assert!(fits, "bit {bit}: {refusal:?}");
    }
}

#[test]
fn every_truncation_and_appended_byte_is_refused() {
    let bytes = code().to_bytes();
    for length in 1..OFFLINE_LEN {
        assert_eq!(
            verify(&bytes[..length], NOW),
            Err(CodeRefusal::Length { expected: OFFLINE_LEN, got: length })
        );
    }
    assert!(verify(&[bytes.as_slice(), &[0]].concat(), NOW).is_err());
}

#[test]
fn other_issuer_with_same_id_is_refused() {
    let forger = CodeIssuer::new(ISSUER, key(0x66));
    let forged = SessionCertificate::issue(&terms(), &forger).unwrap().present(&key(0x22), NOW).unwrap();
    assert_eq!(verify(&forged.to_bytes(), NOW), Err(CodeRefusal::IssuerSignature));

    let unknown = CodeIssuer::new(ISSUER + 1, key(0x51));
    let unknown = SessionCertificate::issue(&terms(), &unknown).unwrap().present(&key(0x22), NOW).unwrap();
    assert_eq!(verify(&unknown.to_bytes(), NOW), Err(CodeRefusal::Key(ISSUER + 1)));
    assert_eq!(
        code().verify(&CodeIssuers::default(), NOW, TimeWindow::default()),
        Err(CodeRefusal::Key(ISSUER))
    );
}

#[test]
fn certificate_without_its_session_key_is_refused() {
    // A stolen certificate with the attacker's key.
    let stolen = certificate().present(&key(0x77), NOW).unwrap();
    assert_eq!(verify(&stolen.to_bytes(), NOW), Err(CodeRefusal::SessionSignature));

    // The attacker's key inserted into the certificate as well.
    let mut swapped = stolen.to_bytes();
    swapped[17..50].copy_from_slice(&key(0x77).public().to_compressed());
    assert_eq!(verify(&swapped, NOW), Err(CodeRefusal::IssuerSignature));

    // A genuine certificate with the time step and signature of another code.
    let other = SessionTerms { session_key: key(0x77).public(), ..terms() };
    let other = SessionCertificate::issue(&other, &issuer()).unwrap().present(&key(0x77), NOW).unwrap();
    let mut grafted = code().to_bytes();
    grafted[114..].copy_from_slice(&other.to_bytes()[114..]);
    assert_eq!(verify(&grafted, NOW), Err(CodeRefusal::SessionSignature));
}

#[test]
fn changed_time_step_of_an_old_code_is_refused() {
    let old = certificate().present(&key(0x22), NOW - 600).unwrap();
    assert_eq!(verify(&old.to_bytes(), NOW), Err(CodeRefusal::Stale));
    let mut moved = old.to_bytes();
    moved[114..116].copy_from_slice(&900_u16.to_be_bytes());
    assert_eq!(verify(&moved, NOW), Err(CodeRefusal::SessionSignature));
}

#[test]
fn malleated_signature_is_refused() {
    for (at, refusal) in [(50, CodeRefusal::IssuerSignature), (116, CodeRefusal::SessionSignature)] {
        for half in [at, at + 32] {
            let genuine = code().to_bytes();
            let mirrored = negated(&genuine[half..half + 32]);
            for number in [mirrored, [0; 32], ORDER, [0xff; 32]] {
                let mut bytes = genuine;
                bytes[half..half + 32].copy_from_slice(&number);
                assert_eq!(verify(&bytes, NOW), Err(refusal), "at {half}");
            }
        }
    }
}

#[test]
fn invalid_sm2_keys_are_refused() {
    let mut off = key(0x22).public().to_compressed();
    off[0] = 0x04;
    assert!(PublicKey::from_compressed(&off).is_err());
    // x is not below p, so it is not a field element.
    let beyond = [&[2][..], &[0xff; 32]].concat();
    assert!(PublicKey::from_compressed(&beyond.try_into().unwrap()).is_err());
    assert!(resident_code::SecretKey::from_bytes(&[0; 32]).is_err());
    assert!(resident_code::SecretKey::from_bytes(&ORDER).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), OFFLINE_LEN), now: u32) {
        let mut bytes = bytes;
        bytes[0] = 0x12;
        bytes[1] = ISSUER;
        prop_assert!(verify(&bytes, now).is_err());
    }

    #[test]
    fn offline_code_within_lifetime_and_skew_is_accepted(age in 0_u32..86_400, skew in -15_i64..=11, lifetime in 1_u8..=LIFETIME_QUARTERS_MAX) {
        let terms = SessionTerms { lifetime_quarters: lifetime, ..terms() };
        let certificate = SessionCertificate::issue(&terms, &issuer()).unwrap();
        let shown = terms.issued_at + age % (u32::from(lifetime) * 900);
        let code = certificate.present(&key(0x22), shown).unwrap();
        // The time step may have begun up to three seconds earlier.
        let now = u32::try_from(i64::from(shown / 4 * 4) + skew).unwrap();
        prop_assert!(verify(&code.to_bytes(), now).is_ok());
    }
}
