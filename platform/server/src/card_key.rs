//! The root key of the city's cards, in the place of the city's HSM: what a card has to answer, and what opens it.
//!
//! How the bytes are made is ASSUMED, since the text of the standard was not available: a card's key is SM4(root, 卡识别码),
//! a session's SM4(card's, 过程因子 ‖ its complement), an answer SM4(session's, 原始信息 ‖ zeros) with its halves added
//! to each other. What sets a PIN anew has a key of its own (06), SM4(root, sixteen times 06). A real HSM takes this
//! file's place behind the same functions.

use contract::{CardAuthAnswer, CardChallenge, HexBytes};
use sm4::Sm4;
use sm4::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use zeroize::Zeroizing;

type Key = Zeroizing<[u8; 16]>;

/// The two root keys. No `Debug`; wiped on drop.
pub struct CardKey {
    internal: Key,
    external: Key,
}

impl CardKey {
    /// From the 32 bytes of `card.key`: what cards prove themselves with, and what opens them.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        let half = |half: Option<&[u8; 16]>| Key::new(half.copied().unwrap_or_default());
        Self { internal: half(bytes.first_chunk()), external: half(bytes.last_chunk()) }
    }

    /// What a card of this city has to answer to these numbers, and what opens it.
    #[must_use]
    pub fn answer(&self, card: &CardChallenge) -> CardAuthAnswer {
        let internal =
            answer(&self.internal, &card.identification, &card.internal_factor, &card.internal_source);
        CardAuthAnswer { internal, external: opens(&self.external, card) }
    }

    /// What opens a card of this city for a new PIN.
    #[must_use]
    pub fn opens_for_pin(&self, card: &CardChallenge) -> HexBytes<16> {
        opens(&encrypted(&self.external, &[KEY_PIN; 16]), card)
    }
}

/// Number of the key that a card is opened with for a new PIN.
const KEY_PIN: u8 = 0x06;

/// Data of EXTERNAL AUTHENTICATE: the cryptogram of the card's random number, and the factor.
fn opens(root: &Key, card: &CardChallenge) -> HexBytes<16> {
    let cryptogram = answer(root, &card.identification, &card.external_factor, &card.challenge);
    let mut external = HexBytes([0; 16]);
    for (place, byte) in external.0.iter_mut().zip(cryptogram.0.iter().chain(&card.external_factor.0)) {
        *place = *byte;
    }
    external
}

fn answer(root: &Key, card: &HexBytes<16>, factor: &HexBytes<8>, source: &HexBytes<8>) -> HexBytes<8> {
    let card = encrypted(root, &card.0);
    let complement = factor.0.iter().map(|byte| !byte);
    let session = encrypted(&card, &block(factor.0.iter().copied().chain(complement)));
    let said = encrypted(&session, &block(source.0.iter().copied()));
    let mut folded = HexBytes([0; 8]);
    for half in said.as_chunks::<8>().0 {
        folded.0.iter_mut().zip(half).for_each(|(place, byte)| *place ^= byte);
    }
    folded
}

/// Sixteen bytes, filled with zeros.
fn block(bytes: impl Iterator<Item = u8>) -> [u8; 16] {
    let mut block = [0; 16];
    block.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    block
}

fn encrypted(key: &Key, block: &[u8; 16]) -> Key {
    let mut block = (*block).into();
    Sm4::new(&(**key).into()).encrypt_block(&mut block);
    Key::new(block.into())
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
    fn each_number_and_each_root_makes_another_answer() {
        let key = CardKey::new(&[7; 32]);
        let said = key.answer(&challenge());
        assert!(said == key.answer(&challenge()));
        assert_eq!(said.external.0[8..], [4; 8]);
        assert!(said.internal.0 != said.external.0[..8]);
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
            assert!(key.answer(&other).internal != said.internal);
        }
        for change in of_external {
            let mut other = challenge();
            change(&mut other);
            assert!(key.answer(&other).external.0[..8] != said.external.0[..8]);
        }
        let mut halves = [7; 32];
        halves[31] = 8;
        let other = CardKey::new(&halves).answer(&challenge());
        assert!(other.internal == said.internal && other.external != said.external);
    }
}
