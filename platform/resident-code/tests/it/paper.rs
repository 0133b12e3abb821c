//! The paper code.

use resident_code::{Capabilities, Issuer, PAPER_LEN, PaperCode, PaperTerms, Refusal};

use crate::bench::{ALIAS, ISSUER, NOW, code, issuer, issuers, key, text};

const DAY: u32 = 86_400;
const SKEW: u32 = 60;

fn terms() -> PaperTerms {
    PaperTerms { capabilities: Capabilities(1), alias: ALIAS, issued_at: NOW - DAY, days: 90 }
}

fn paper() -> PaperCode {
    PaperCode::issue(&terms(), &issuer()).unwrap()
}

fn verify(bytes: &[u8], now: u32) -> Result<PaperTerms, Refusal> {
    PaperCode::parse(&text(bytes))?.verify(&issuers(), now, SKEW)
}

#[test]
fn what_is_printed_is_what_was_issued() {
    let read = PaperCode::parse(&paper().to_text()).unwrap();
    assert_eq!(read.verify(&issuers(), NOW, SKEW), Ok(terms()));
    assert_eq!(paper().to_text().len(), 126);
}

#[test]
fn it_lives_as_long_as_it_says() {
    let bytes = paper().to_bytes();
    let (begins, ends) = (NOW - DAY, NOW + 89 * DAY);
    for now in [begins - SKEW, begins, NOW, ends, ends + SKEW - 1] {
        assert!(verify(&bytes, now).is_ok(), "{now}");
    }
    assert_eq!(verify(&bytes, begins - SKEW - 1), Err(Refusal::Early));
    assert_eq!(verify(&bytes, ends + SKEW), Err(Refusal::Expired));
    let none = PaperTerms { days: 0, ..terms() };
    assert_eq!(PaperCode::issue(&none, &issuer()).unwrap_err(), Refusal::Lifetime(0));
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
fn other_issuers_and_other_modes_are_refused() {
    let forged = PaperCode::issue(&terms(), &Issuer::new(ISSUER, key(0x66))).unwrap();
    assert_eq!(verify(&forged.to_bytes(), NOW), Err(Refusal::IssuerSignature));
    assert_eq!(PaperCode::parse(&code().to_text()), Err(Refusal::Mode(2)));
    assert_eq!(resident_code::OfflineCode::parse(&paper().to_text()), Err(Refusal::Mode(3)));
    assert_eq!(resident_code::parse(&paper().to_text()), Err(Refusal::Mode(3)));
}
