//! Draws as many random values as a request needs from the entropy that came with it.

use contract::sm3;

/// One request's source of random values.
pub(crate) struct Draw {
    entropy: u128,
    drawn: u32,
}

impl Draw {
    pub(crate) const fn new(entropy: u128) -> Self {
        Self { entropy, drawn: 0 }
    }

    /// The next 16 bytes: SM3 over entropy and count, cut.
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
    fn draws_differ_from_each_other_and_between_requests_and_repeat_with_their_entropy() {
        let mut one = Draw::new(1);
        let (first, second) = (one.next(), one.next());
        assert_ne!(first, second);
        assert_ne!(first, Draw::new(2).next());
        assert_eq!(first, Draw::new(1).next());
    }
}
