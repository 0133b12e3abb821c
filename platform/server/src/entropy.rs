//! Expands the 128 bits of entropy of one request into as many random values as the request needs.

use contract::sm3;

/// Source of random values of one request (熵).
pub(crate) struct EntropySource {
    entropy: u128,
    count: u32,
}

impl EntropySource {
    pub(crate) const fn new(entropy: u128) -> Self {
        Self { entropy, count: 0 }
    }

    /// Returns the next 16 bytes: SM3 over a domain, the entropy and a counter, truncated.
    pub(crate) fn next_bytes(&mut self) -> [u8; 16] {
        self.count += 1;
        let digest = sm3(&[b"platform-draw/1", &self.entropy.to_be_bytes(), &self.count.to_be_bytes()]);
        *digest.first_chunk().expect("SM3 gives 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_source_values_differ_and_repeat_with_same_entropy() {
        let mut one = EntropySource::new(1);
        let (first, second) = (one.next_bytes(), one.next_bytes());
        assert_ne!(first, second);
        assert_ne!(first, EntropySource::new(2).next_bytes());
        assert_eq!(first, EntropySource::new(1).next_bytes());
    }
}
