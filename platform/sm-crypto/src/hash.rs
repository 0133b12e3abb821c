//! The hash function SM3 (GM/T 0004, GB/T 32905).

use sm3::{Digest as _, Sm3};

/// SM3 over the parts, one after the other.
#[must_use]
pub fn sm3(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sm3::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_hex;

    /// GB/T 32905-2016, annex A.1.
    #[test]
    fn sm3_matches_the_standard() {
        let expected = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
        assert_eq!(to_hex(&sm3(&[b"a", b"bc"])), expected);
    }
}
