//! Paper codes.

use resident_code::{Capabilities, CodeIssuer, CodeRefusal, PAPER_LEN, PaperCode, PaperTerms};

use crate::fixture::{ALIAS, ISSUER, NOW, ORDER, code, issuer, issuers, key, negated, text, to_hex};

const DAY: u32 = 86_400;
const SKEW: u32 = 60;

fn terms() -> PaperTerms {
    PaperTerms { capabilities: Capabilities(1), alias: ALIAS, issued_at: NOW - DAY, lifetime_days: 90 }
}

fn paper() -> PaperCode {
    PaperCode::issue(&terms(), &issuer()).unwrap()
}

fn verify(bytes: &[u8], now: u32) -> Result<PaperTerms, CodeRefusal> {
    PaperCode::parse(&text(bytes))?.verify(&issuers(), now, SKEW)
}

#[test]
fn verified_paper_code_returns_issued_terms() {
    let read = PaperCode::parse(&paper().to_text()).unwrap();
    assert_eq!(read.verify(&issuers(), NOW, SKEW), Ok(terms()));
    assert_eq!(paper().to_text().len(), 126);
}

#[test]
fn paper_code_is_accepted_only_within_its_lifetime() {
    let bytes = paper().to_bytes();
    let (begins, ends) = (NOW - DAY, NOW + 89 * DAY);
    for now in [begins - SKEW, begins, NOW, ends, ends + SKEW - 1] {
        assert!(verify(&bytes, now).is_ok(), "{now}");
    }
    assert_eq!(verify(&bytes, begins - SKEW - 1), Err(CodeRefusal::Early));
    assert_eq!(verify(&bytes, ends + SKEW), Err(CodeRefusal::Expired));
    let none = PaperTerms { lifetime_days: 0, ..terms() };
    assert_eq!(PaperCode::issue(&none, &issuer()).unwrap_err(), CodeRefusal::Lifetime(0));
}

#[test]
fn every_flipped_bit_is_refused() {
    for bit in 0..PAPER_LEN * 8 {
        let mut bytes = paper().to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&bytes, NOW).is_err(), "bit {bit}");
    }
}

#[test]
fn paper_code_of_other_issuer_or_mode_is_refused() {
    let forged = PaperCode::issue(&terms(), &CodeIssuer::new(ISSUER, key(0x66))).unwrap();
    assert_eq!(verify(&forged.to_bytes(), NOW), Err(CodeRefusal::IssuerSignature));
    assert_eq!(PaperCode::parse(&code().to_text()), Err(CodeRefusal::Mode(2)));
    assert_eq!(resident_code::OfflineCode::parse(&paper().to_text()), Err(CodeRefusal::Mode(3)));
    assert_eq!(resident_code::parse_online(&paper().to_text()), Err(CodeRefusal::Mode(3)));
}

/// Version 1 of the format. If this fails, do not change the test: the format changed.
#[test]
fn version_1_bytes_are_unchanged() {
    let bytes = paper().to_bytes();
    assert_eq!(to_hex(&bytes[..17]), "130300010123456789abcdef6afb99005a");
    assert_eq!(
        to_hex(&bytes[17..]),
        "9c8ea57edd5aecba27ca6f6f6ef63e2b81a128efb174b3a9708b894fa68402ec\
         d0c49b2bfd17c2c7c6e7b5485737eaf0f8d54cab8860f90b3504ee0c4c74082c"
    );
}

#[test]
fn every_truncation_and_appended_byte_is_refused() {
    let bytes = paper().to_bytes();
    for length in 1..PAPER_LEN {
        assert_eq!(
            verify(&bytes[..length], NOW),
            Err(CodeRefusal::Length { expected: PAPER_LEN, got: length })
        );
    }
    let padded = [bytes.as_slice(), &[0]].concat();
    assert_eq!(verify(&padded, NOW), Err(CodeRefusal::Length { expected: PAPER_LEN, got: PAPER_LEN + 1 }));
}

#[test]
fn malleated_signature_is_refused() {
    for half in [17, 49] {
        let genuine = paper().to_bytes();
        for number in [negated(&genuine[half..half + 32]), [0; 32], ORDER, [0xff; 32]] {
            let mut bytes = genuine;
            bytes[half..half + 32].copy_from_slice(&number);
            assert_eq!(verify(&bytes, NOW), Err(CodeRefusal::IssuerSignature), "at {half}");
        }
    }
}
