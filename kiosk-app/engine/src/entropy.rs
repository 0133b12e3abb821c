//! Expands the entropy of one input to all random bits of its turn, so that a run can be replayed.

use contract::sm3;

/// Deterministic source of random values (熵), seeded with 128 bits of entropy.
pub(crate) struct EntropySource {
    entropy: u128,
    count: u32,
}

impl EntropySource {
    pub(crate) const fn new(entropy: u128) -> Self {
        Self { entropy, count: 0 }
    }

    /// The next 16 bytes. No value can be computed from another one.
    pub(crate) fn next_bytes(&mut self) -> [u8; 16] {
        self.count = self.count.wrapping_add(1);
        let hash = sm3(&[b"engine-turn", &self.entropy.to_be_bytes(), &self.count.to_be_bytes()]);
        hash.first_chunk().copied().unwrap_or_default()
    }

    /// The next 128 bits.
    pub(crate) fn next_u128(&mut self) -> u128 {
        u128::from_be_bytes(self.next_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn values_are_distinct_and_reproducible() {
        let draw = |entropy| {
            let mut source = EntropySource::new(entropy);
            (0..1000).map(|_| source.next_u128()).collect::<Vec<_>>()
        };
        let values: BTreeSet<u128> = draw(1).into_iter().chain(draw(2)).collect();
        assert_eq!(values.len(), 2000);
        assert_eq!(draw(1), draw(1));
    }
}
