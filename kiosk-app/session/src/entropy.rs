//! Ids and random values expanded from the entropy of an input.

use contract::sm3;

/// Expands the 128 bits of entropy (熵) of one input to as many values as it needs, with SM3 over a counter.
pub(crate) struct EntropySource {
    entropy: u128,
    counter: u32,
}

impl EntropySource {
    pub(crate) const fn new(entropy: u128) -> Self {
        Self { entropy, counter: 0 }
    }

    /// The next 128 bits.
    pub(crate) fn next_u128(&mut self) -> u128 {
        self.counter += 1;
        leading_u128(sm3(&[b"draw", &self.entropy.to_be_bytes(), &self.counter.to_be_bytes()]))
    }

    /// The ten digits in random order (Fisher–Yates; the bias of `% n` over 128 bits is below 2⁻¹²⁴).
    pub(crate) fn shuffled_digits(&mut self) -> [u8; 10] {
        let mut digits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        let mut bits = self.next_u128();
        for left in (2..=10_u8).rev() {
            let at = usize::try_from(bits % u128::from(left)).unwrap_or(0);
            digits.swap(at, usize::from(left - 1));
            bits /= u128::from(left);
        }
        digits
    }
}

/// An id derived from another id: the receipt of an order has one number from the start.
pub(crate) fn derived_id(label: &str, from: [u8; 16]) -> u128 {
    leading_u128(sm3(&[label.as_bytes(), &from]))
}

fn leading_u128(hash: [u8; 32]) -> u128 {
    hash.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_u128_differs_per_call_and_repeats_per_entropy() {
        let (mut a, mut b) = (EntropySource::new(7), EntropySource::new(7));
        let first = a.next_u128();
        assert_ne!(first, a.next_u128());
        assert_eq!(first, b.next_u128());
        assert_ne!(first, EntropySource::new(8).next_u128());
    }

    #[test]
    fn shuffled_digits_are_a_permutation_of_ten() {
        let mut seen = std::collections::BTreeSet::new();
        for entropy in 0..50 {
            let keys = EntropySource::new(entropy).shuffled_digits();
            let mut sorted = keys;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
            seen.insert(keys);
        }
        assert!(seen.len() > 45);
    }
}
