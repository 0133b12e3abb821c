//! Reads hexadecimal digits.

use contract::HexBytes;

/// Bytes from exactly `2 * N` hexadecimal digits.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    text.parse::<HexBytes<N>>().ok().map(|bytes| bytes.0)
}
