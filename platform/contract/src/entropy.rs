//! Random values (熵) expanded from the entropy of one input, so that a run can be replayed.

use sm_crypto::sm3;

/// Expands the 128 bits of entropy of one input to as many values as it needs: SM3 over a label, the entropy and a
/// counter, truncated.
///
/// The label separates users that get the same entropy. It must never change: ids of orders, receipts and visits are
/// such values, and a replay must derive them again.
pub struct EntropySource {
    label: &'static str,
    entropy: u128,
    count: u32,
}

impl EntropySource {
    /// A source for one input. `entropy` must be fresh and random.
    #[must_use]
    pub const fn new(label: &'static str, entropy: u128) -> Self {
        Self { label, entropy, count: 0 }
    }

    /// The next 16 bytes. No value can be computed from another one.
    pub fn next_bytes(&mut self) -> [u8; 16] {
        self.count = self.count.wrapping_add(1);
        leading_bytes(sm3(&[self.label.as_bytes(), &self.entropy.to_be_bytes(), &self.count.to_be_bytes()]))
    }

    /// The next 128 bits.
    pub fn next_u128(&mut self) -> u128 {
        u128::from_be_bytes(self.next_bytes())
    }
}

/// An id derived from another id, so that both are known from the start: the receipt of an order has one number.
#[must_use]
pub fn derived_id(label: &str, from: [u8; 16]) -> u128 {
    u128::from_be_bytes(leading_bytes(sm3(&[label.as_bytes(), &from])))
}

fn leading_bytes(hash: [u8; 32]) -> [u8; 16] {
    hash.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Computed by OpenSSL. If this fails, do not change the test: recorded ids would not be derived again.
    #[test]
    fn values_of_each_label_are_stable() {
        let golden = [
            ("draw", 0x256a_5c68_d24c_9499_2388_4a93_5c60_3a32, 0x3daf_d3b6_1457_bf24_1fd9_ec73_880c_444c),
            (
                "engine-turn",
                0xe60f_87e2_9796_a47f_f606_fafa_a96b_ed43,
                0xf875_090d_ba2f_b669_4748_1d4f_0d6f_4adf,
            ),
            (
                "platform-draw/1",
                0x84b9_7d47_4fdd_3d42_7260_a1f0_a268_f75f,
                0x9b41_c03b_a0ed_be78_e558_df93_297d_e09d,
            ),
        ];
        for (label, first, second) in golden {
            let mut source = EntropySource::new(label, 7);
            assert_eq!((source.next_u128(), source.next_u128()), (first, second), "{label}");
        }
        let order = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        assert_eq!(derived_id("receipt", order), 0xb329_4f87_2fd8_fb6c_c73e_1322_e8ea_619c);
    }

    #[test]
    fn values_are_distinct_and_repeat_with_same_entropy() {
        let values = |label, entropy| {
            let mut source = EntropySource::new(label, entropy);
            (0..1000).map(|_| source.next_u128()).collect::<Vec<_>>()
        };
        let distinct: BTreeSet<u128> =
            [values("a", 1), values("a", 2), values("b", 1)].into_iter().flatten().collect();
        assert_eq!(distinct.len(), 3000);
        assert_eq!(values("a", 1), values("a", 1));
    }

    #[test]
    fn next_bytes_and_next_u128_are_the_same_values() {
        let (mut bytes, mut number) = (EntropySource::new("a", 1), EntropySource::new("a", 1));
        assert_eq!(u128::from_be_bytes(bytes.next_bytes()), number.next_u128());
    }
}
