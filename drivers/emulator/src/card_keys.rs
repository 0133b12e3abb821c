//! The city's card keys, as in its PSAMs and emulated cards. These are test keys, which no real card has.
//!
//! All steps are SM4 encryptions. A card's key is its card identification (卡识别码) under the root key; the session key is
//! the process factor (过程因子) ‖ its complement under the card's key; the cryptogram is the source data (原始信息), padded
//! with zeros, under the session key, its two halves XORed. ASSUMED, as `drivers/card/README.md` says.

use std::path::Path;

use anyhow::{Context as _, Result};
use contract::SecretKey;
use sm4::Sm4;
use sm4::cipher::{BlockCipherEncrypt as _, KeyInit as _};

/// The two root keys of a city.
#[derive(Clone)]
pub struct CityCardKeys {
    internal: [u8; 16],
    external: [u8; 16],
}

impl CityCardKeys {
    /// The root keys of cards without other keys.
    pub const TEST_BYTES: [u8; 32] = *b"virtual cards only, never a city";

    /// From the bytes of `card.key`: the root key for internal authentication, then that for external authentication.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        let (internal, external) = bytes.split_at(16);
        let whole = |half: &[u8]| half.try_into().unwrap_or_default();
        Self { internal: whole(internal), external: whole(external) }
    }

    /// Reads the keys from a file of 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the file cannot be read or does not hold 64 hexadecimal digits.
    pub fn read_key_file(path: &Path) -> Result<Self> {
        Ok(Self::new(&read_key_file(path)?))
    }

    /// The keys of [`Self::TEST_BYTES`].
    #[must_use]
    pub fn for_tests() -> Self {
        Self::new(&Self::TEST_BYTES)
    }

    /// Derives the keys of the card with this card identification.
    pub(crate) fn derive_for_card(&self, identification: &[u8; 16]) -> DerivedCardKeys {
        DerivedCardKeys {
            internal: sm4_encrypt_block(&self.internal, identification),
            external: sm4_encrypt_block(&self.external, identification),
            pin: sm4_encrypt_block(&sm4_encrypt_block(&self.external, &[0x06; 16]), identification),
        }
    }

    pub(crate) const fn root_key(&self, external: bool) -> &[u8; 16] {
        if external { &self.external } else { &self.internal }
    }
}

/// Reads the private key of a staff card from a file of 64 hexadecimal digits.
///
/// # Errors
/// When the file cannot be read, does not hold 64 hexadecimal digits, or they are not a valid SM2 key.
pub fn read_staff_key(path: &Path) -> Result<SecretKey> {
    SecretKey::from_bytes(&read_key_file(path)?)
        .with_context(|| format!("{} does not hold a valid SM2 private key", path.display()))
}

fn read_key_file(path: &Path) -> Result<[u8; 32]> {
    let wrong = || format!("{} does not hold 64 hexadecimal digits", path.display());
    let text = std::fs::read_to_string(path).with_context(wrong)?;
    contract::from_hex(text.trim()).with_context(wrong)
}

/// The keys of one card.
#[derive(Clone)]
pub(crate) struct DerivedCardKeys {
    pub(crate) internal: [u8; 16],
    pub(crate) external: [u8; 16],
    /// Key 06: authorises setting a new PIN.
    pub(crate) pin: [u8; 16],
}

/// Encrypts one block with SM4.
pub(crate) fn sm4_encrypt_block(key: &[u8; 16], block: &[u8; 16]) -> [u8; 16] {
    let mut block = (*block).into();
    Sm4::new(&(*key).into()).encrypt_block(&mut block);
    block.into()
}

/// Cryptogram of a card with key `card` for a process factor and source data.
pub(crate) fn authentication_cryptogram(card: &[u8; 16], factor: &[u8; 8], source: &[u8; 8]) -> [u8; 8] {
    let mut both = [0; 16];
    for (place, byte) in both.iter_mut().zip(factor.iter().copied().chain(factor.iter().map(|byte| !byte))) {
        *place = byte;
    }
    let session = sm4_encrypt_block(card, &both);
    let mut filled = [0; 16];
    for (place, byte) in filled.iter_mut().zip(source) {
        *place = *byte;
    }
    let block = sm4_encrypt_block(&session, &filled);
    let mut folded = [0; 8];
    for (at, byte) in block.iter().enumerate() {
        if let Some(place) = folded.get_mut(at % 8) {
            *place ^= byte;
        }
    }
    folded
}

/// Fresh random bytes.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel's random generator is seeded once the system is up");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cryptogram_depends_on_card_factor_and_source() {
        let city = CityCardKeys::for_tests();
        let [one, other] = [[1; 16], [2; 16]].map(|card| city.derive_for_card(&card));
        assert!(one.internal != one.external && one.internal != other.internal);
        let cryptogram = authentication_cryptogram(&one.internal, &[1; 8], &[2; 8]);
        assert_eq!(cryptogram, authentication_cryptogram(&one.internal, &[1; 8], &[2; 8]));
        assert_ne!(cryptogram, authentication_cryptogram(&other.internal, &[1; 8], &[2; 8]));
        assert_ne!(cryptogram, authentication_cryptogram(&one.internal, &[3; 8], &[2; 8]));
        assert_ne!(cryptogram, authentication_cryptogram(&one.internal, &[1; 8], &[3; 8]));
    }

    #[test]
    fn sm4_block_matches_gb_t_32907_example() {
        let key =
            [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10];
        let block =
            [0x68, 0x1E, 0xDF, 0x34, 0xD2, 0x06, 0x96, 0x5E, 0x86, 0xB3, 0xE9, 0x4F, 0x53, 0x6E, 0x42, 0x46];
        assert_eq!(sm4_encrypt_block(&key, &key), block);
    }
}
