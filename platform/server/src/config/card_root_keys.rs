//! The root keys of the city's cards, in the place of the city's HSM: computes the expected answer of INTERNAL
//! AUTHENTICATE and the data of EXTERNAL AUTHENTICATE.
//!
//! The derivation is ASSUMED, since the text of the standard was not available: a card key is SM4(root, 卡识别码),
//! a session key SM4(card key, 过程因子 ‖ its complement), an answer SM4(session key, 原始信息 ‖ zeros) with its two
//! halves XORed. A PIN reset has a key of its own (06), with the root SM4(root, sixteen times 06). A real HSM
//! replaces this module behind the same functions.

use contract::{CardAuthAnswer, CardChallenge, HexBytes};
use sm4::Sm4;
use sm4::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use zeroize::Zeroizing;

type Sm4Key = Zeroizing<[u8; 16]>;

/// The two root keys of the city's cards. No `Debug`; zeroized on drop.
pub struct CardRootKeys {
    internal: Sm4Key,
    external: Sm4Key,
}

impl CardRootKeys {
    /// Takes the 32 bytes of `card.key`: root key of INTERNAL AUTHENTICATE, then root key of EXTERNAL AUTHENTICATE.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        let half = |half: Option<&[u8; 16]>| Sm4Key::new(half.copied().unwrap_or_default());
        Self { internal: half(bytes.first_chunk()), external: half(bytes.last_chunk()) }
    }

    /// Computes the answer of a genuine card to this challenge, and the data that authenticates the reader to the card.
    #[must_use]
    pub fn card_cryptogram(&self, card: &CardChallenge) -> CardAuthAnswer {
        let internal = card_cryptogram(
            &self.internal,
            &card.identification,
            &card.internal_factor,
            &card.internal_source,
        );
        CardAuthAnswer { internal, external: external_auth_data(&self.external, card) }
    }

    /// Computes the data of EXTERNAL AUTHENTICATE with key 06, which allows a PIN reset.
    #[must_use]
    pub fn external_auth_for_pin_reset(&self, card: &CardChallenge) -> HexBytes<16> {
        external_auth_data(&sm4_encrypt_block(&self.external, &[PIN_RESET_KEY_NUMBER; 16]), card)
    }
}

/// Number of the card key that authenticates a PIN reset.
const PIN_RESET_KEY_NUMBER: u8 = 0x06;

/// Data of EXTERNAL AUTHENTICATE: the cryptogram of the card's random number (8 bytes), then the factor (8 bytes).
fn external_auth_data(root: &Sm4Key, card: &CardChallenge) -> HexBytes<16> {
    let cryptogram = card_cryptogram(root, &card.identification, &card.external_factor, &card.challenge);
    let mut external = HexBytes([0; 16]);
    for (place, byte) in external.0.iter_mut().zip(cryptogram.0.iter().chain(&card.external_factor.0)) {
        *place = *byte;
    }
    external
}

fn card_cryptogram(
    root: &Sm4Key,
    card: &HexBytes<16>,
    factor: &HexBytes<8>,
    source: &HexBytes<8>,
) -> HexBytes<8> {
    let card = sm4_encrypt_block(root, &card.0);
    let complement = factor.0.iter().map(|byte| !byte);
    let session = sm4_encrypt_block(&card, &zero_padded_block(factor.0.iter().copied().chain(complement)));
    let output = sm4_encrypt_block(&session, &zero_padded_block(source.0.iter().copied()));
    let mut folded = HexBytes([0; 8]);
    for half in output.as_chunks::<8>().0 {
        folded.0.iter_mut().zip(half).for_each(|(place, byte)| *place ^= byte);
    }
    folded
}

/// A block of 16 bytes, padded with zeros.
fn zero_padded_block(bytes: impl Iterator<Item = u8>) -> [u8; 16] {
    let mut block = [0; 16];
    block.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    block
}

fn sm4_encrypt_block(key: &Sm4Key, block: &[u8; 16]) -> Sm4Key {
    let mut block = (*block).into();
    Sm4::new(&(**key).into()).encrypt_block(&mut block);
    Sm4Key::new(block.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge() -> CardChallenge {
        CardChallenge {
            area: "500103".into(),
            identification: HexBytes([0x50; 16]),
            version: "3.00".into(),
            algorithm: 3,
            atr_history: String::new(),
            challenge: HexBytes([1; 8]),
            internal_factor: HexBytes([2; 8]),
            internal_source: HexBytes([3; 8]),
            external_factor: HexBytes([4; 8]),
        }
    }

    #[test]
    fn answer_changes_with_each_input_and_each_root_key() {
        let key = CardRootKeys::new(&[7; 32]);
        let expected = key.card_cryptogram(&challenge());
        assert!(expected == key.card_cryptogram(&challenge()));
        assert_eq!(expected.external.0[8..], [4; 8]);
        assert!(expected.internal.0 != expected.external.0[..8]);
        type Change = fn(&mut CardChallenge);
        let of_internal: [Change; 3] = [
            |c| c.internal_factor = HexBytes([9; 8]),
            |c| c.internal_source = HexBytes([9; 8]),
            |c| c.identification = HexBytes([9; 16]),
        ];
        let of_external: [Change; 3] = [
            |c| c.external_factor = HexBytes([9; 8]),
            |c| c.challenge = HexBytes([9; 8]),
            |c| c.identification = HexBytes([9; 16]),
        ];
        for change in of_internal {
            let mut other = challenge();
            change(&mut other);
            assert!(key.card_cryptogram(&other).internal != expected.internal);
        }
        for change in of_external {
            let mut other = challenge();
            change(&mut other);
            assert!(key.card_cryptogram(&other).external.0[..8] != expected.external.0[..8]);
        }
        let mut halves = [7; 32];
        halves[31] = 8;
        let other = CardRootKeys::new(&halves).card_cryptogram(&challenge());
        assert!(other.internal == expected.internal && other.external != expected.external);
    }
}
