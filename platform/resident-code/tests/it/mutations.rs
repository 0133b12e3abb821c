//! Mutated genuine codes: every change that a forger can make to the bytes must be refused.
//!
//! `MUTATIONS=10000000 cargo test --release -p resident-code mutated` tries that many mutations of each mode, in
//! about an hour.

use std::sync::LazyLock;

use proptest::prelude::*;
use resident_code::{
    Capabilities, Code, OFFLINE_LEN, PAPER_LEN, PaperCode, PaperTerms, SessionCertificate, SessionTerms,
    TimeWindow,
};

use crate::fixture::{ALIAS, NOW, ORDER, certificate, code, issuer, issuers, key, negated, terms, text};

/// Genuine offline codes: the current one, one of the same phone a minute ago, and a current one of another phone.
static OFFLINE: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let earlier = certificate().present(&key(0x22), NOW - 60).unwrap();
    let other = SessionTerms { session_key: key(0x33).public(), ..terms() };
    let other = SessionCertificate::issue(&other, &issuer()).unwrap().present(&key(0x33), NOW).unwrap();
    [code(), earlier, other].map(|code| code.to_bytes().to_vec())
});
static PAPER: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    [90, 91, 180].map(|days| {
        let terms = PaperTerms {
            capabilities: Capabilities(1),
            alias: ALIAS,
            issued_at: NOW - 3600,
            lifetime_days: days,
        };
        PaperCode::issue(&terms, &issuer()).unwrap().to_bytes().to_vec()
    })
});

#[derive(Clone, Debug)]
enum Mutation {
    /// Flips bits in some bytes.
    Bits(Vec<(usize, u8)>),
    /// Overwrites a run with one byte value.
    Run { at: usize, length: usize, byte: u8 },
    /// Overwrites a run with bytes of another genuine code.
    Splice { from: usize, at: usize, length: usize },
    /// Replaces a 32-byte number of a signature by its negative, or by one out of range.
    Number { half: usize, by: usize },
    /// Truncates or extends the bytes.
    Length(usize),
    /// Replaces one character of the text.
    Character { at: usize, with: char },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => prop::collection::vec((0..OFFLINE_LEN, 1_u8..), 1..6).prop_map(Mutation::Bits),
        1 => (0..OFFLINE_LEN, 1..40_usize, any::<u8>())
            .prop_map(|(at, length, byte)| Mutation::Run { at, length, byte }),
        2 => (1..3_usize, 0..OFFLINE_LEN, 1..OFFLINE_LEN)
            .prop_map(|(from, at, length)| Mutation::Splice { from, at, length }),
        1 => (0..4_usize, 0..4_usize).prop_map(|(half, by)| Mutation::Number { half, by }),
        1 => (0..200_usize).prop_map(Mutation::Length),
        1 => (4..274_usize, "[0-9A-Z $%*+./:-]".prop_map(|one| one.chars().next().unwrap()))
            .prop_map(|(at, with)| Mutation::Character { at, with }),
    ]
}

/// The text of the first of these codes after a mutation.
fn changed(genuine: &[Vec<u8>; 3], mutation: &Mutation) -> String {
    let mut bytes = genuine[0].clone();
    let size = bytes.len();
    match mutation {
        Mutation::Bits(changes) => changes.iter().for_each(|(at, change)| bytes[at % size] ^= change),
        Mutation::Run { at, length, byte } => {
            bytes.iter_mut().skip(at % size).take(*length).for_each(|b| *b = *byte)
        }
        Mutation::Splice { from, at, length } => {
            let (at, end) = (at % size, (at % size + length).min(size));
            bytes[at..end].copy_from_slice(&genuine[*from][at..end]);
        }
        Mutation::Number { half, by } => {
            let starts: &[usize] = if size == OFFLINE_LEN { &[50, 82, 116, 148] } else { &[17, 49] };
            let at = starts[half % starts.len()];
            let number = [negated(&bytes[at..at + 32]), [0; 32], ORDER, [0xff; 32]][*by];
            bytes[at..at + 32].copy_from_slice(&number);
        }
        Mutation::Length(length) => bytes.resize(*length, 0),
        Mutation::Character { at, with } => {
            let mut characters: Vec<char> = text(&bytes).chars().collect();
            let at = at % characters.len();
            characters[at] = *with;
            return characters.into_iter().collect();
        }
    }
    text(&bytes)
}

fn accepted(text: &str) -> bool {
    match Code::parse(text) {
        Ok(Code::Offline(code)) => code.verify(&issuers(), NOW, TimeWindow::default()).is_ok(),
        Ok(Code::Paper(code)) => code.verify(&issuers(), NOW, 0).is_ok(),
        Ok(Code::Answer(answer)) => answer.verify(&issuers(), b"", NOW, TimeWindow::default()).is_ok(),
        Ok(Code::Online(_)) | Err(_) => false,
    }
}

/// 500 cases, or the number in the environment variable `MUTATIONS`.
fn cases() -> ProptestConfig {
    let asked = std::env::var("MUTATIONS").ok().and_then(|count| count.parse().ok());
    ProptestConfig { max_global_rejects: u32::MAX, ..ProptestConfig::with_cases(asked.unwrap_or(500)) }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn mutated_offline_codes_are_refused(mutation in mutation()) {
        let text = changed(&OFFLINE, &mutation);
        prop_assume!(OFFLINE.iter().all(|genuine| crate::fixture::text(genuine) != text));
        prop_assert!(!accepted(&text));
    }

    #[test]
    fn mutated_paper_codes_are_refused(mutation in mutation()) {
        let text = changed(&PAPER, &mutation);
        prop_assume!(PAPER.iter().all(|genuine| crate::fixture::text(genuine) != text));
        prop_assert!(!accepted(&text));
    }
}

#[test]
fn unmutated_codes_are_accepted() {
    assert!(accepted(&text(&OFFLINE[0])) && accepted(&text(&OFFLINE[2])));
    assert!(PAPER.iter().all(|paper| paper.len() == PAPER_LEN && accepted(&text(paper))));
}
