//! Expands the 128 bits of entropy of one request into as many random values as the request needs.

use contract::sm3;

/// Source of random values of one request (熵).
pub(crate) struct Draw {
    entropy: u128,
    drawn: u32,
}

impl Draw {
    pub(crate) const fn new(entropy: u128) -> Self {
        Self { entropy, drawn: 0 }
    }

    /// Returns the next 16 bytes: SM3 over a domain, the entropy and a counter, truncated.
    pub(crate) fn next(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let digest = sm3(&[b"platform-draw/1", &self.entropy.to_be_bytes(), &self.drawn.to_be_bytes()]);
        *digest.first_chunk().expect("SM3 gives 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_source_values_differ_and_repeat_with_same_entropy() {
        let mut one = Draw::new(1);
        let (first, second) = (one.next(), one.next());
        assert_ne!(first, second);
        assert_ne!(first, Draw::new(2).next());
        assert_eq!(first, Draw::new(1).next());
    }
}
