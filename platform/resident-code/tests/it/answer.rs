//! Answer codes.

use resident_code::{AnswerCode, Code, CodeRefusal, OFFLINE_LEN, OfflineCode, TimeWindow};

use crate::fixture::{ALIAS, NOW, certificate, code, issuers, key, text};

const CHALLENGE: &[u8] = b"code-challenge/1\0K-DH-0001 and a nonce";

fn answer() -> AnswerCode {
    certificate().answer(&key(0x22), CHALLENGE, NOW).unwrap()
}

fn verify(bytes: &[u8], challenge: &[u8]) -> Result<resident_code::VerifiedCode, CodeRefusal> {
    AnswerCode::parse(&text(bytes))?.verify(&issuers(), challenge, NOW, TimeWindow::default())
}

#[test]
fn answer_code_round_trips_and_names_its_holder() {
    let presented = verify(&answer().to_bytes(), CHALLENGE).unwrap();
    assert_eq!((presented.alias, presented.time_step, presented.shown_at), (ALIAS, 900, NOW));
    assert_eq!(Code::parse(&answer().to_text()), Ok(Code::Answer(answer())));
    assert_eq!(answer().to_text().len(), 274);
}

#[test]
fn answer_code_verifies_for_its_challenge_only() {
    let bytes = answer().to_bytes();
    for other in [b"".as_slice(), b"code-challenge/1\0K-DH-0002 and a nonce", &CHALLENGE[1..]] {
        assert_eq!(verify(&bytes, other), Err(CodeRefusal::SessionSignature));
    }
}

#[test]
fn offline_and_answer_codes_are_not_interchangeable() {
    let mut relayed = code().to_bytes();
    assert_eq!(verify(&relayed, CHALLENGE), Err(CodeRefusal::Mode(2)));
    relayed[0] = 0x14;
    assert_eq!(verify(&relayed, CHALLENGE), Err(CodeRefusal::SessionSignature));
    assert_eq!(
        verify(&relayed, b""),
        Err(CodeRefusal::SessionSignature),
        "an empty challenge must not verify either"
    );
    let mut turned = answer().to_bytes();
    assert_eq!(OfflineCode::parse(&text(&turned)), Err(CodeRefusal::Mode(4)));
    turned[0] = 0x12;
    let turned = OfflineCode::parse(&text(&turned)).unwrap();
    assert_eq!(turned.verify(&issuers(), NOW, TimeWindow::default()), Err(CodeRefusal::SessionSignature));
}

#[test]
fn answer_code_of_other_key_or_after_window_is_refused() {
    let stranger = certificate().answer(&key(0x23), CHALLENGE, NOW).unwrap();
    assert_eq!(verify(&stranger.to_bytes(), CHALLENGE), Err(CodeRefusal::SessionSignature));
    let late = answer().verify(&issuers(), CHALLENGE, NOW + 16, TimeWindow::default());
    assert_eq!(late, Err(CodeRefusal::Stale));
    let ended = certificate().answer(&key(0x22), CHALLENGE, NOW + 86_400);
    assert_eq!(ended, Err(CodeRefusal::Expired));
}

#[test]
fn every_flipped_bit_of_an_answer_code_is_refused() {
    for bit in 0..OFFLINE_LEN * 8 {
        let mut bytes = answer().to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&bytes, CHALLENGE).is_err(), "bit {bit}");
    }
}

#[test]
fn answer_code_debug_is_redacted() {
    assert_eq!(format!("{:?}", answer()), "AnswerCode(…)");
}
