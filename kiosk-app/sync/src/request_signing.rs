//! Signature of requests: the bytes that a kiosk signs. See the API in the `contract` crate.

use contract::{UnixMs, sm3};

/// Names of the HTTP headers: kiosk, time, signature.
pub const SIGNATURE_HEADERS: [&str; 3] = ["x-device", "x-time", "x-signature"];

/// The bytes that the kiosk's key signs: `method ‖ "\n" ‖ path and query ‖ "\n" ‖ time ‖ "\n" ‖
/// SM3(body as sent)` in hexadecimal.
#[must_use]
pub fn signed_text(method: &str, path_and_query: &str, time: UnixMs, body: &[u8]) -> Vec<u8> {
    let hash: String = sm3(&[body]).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{method}\n{path_and_query}\n{}\n{hash}", time.0).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If this fails, do not change the test: every deployed kiosk signs these bytes.
    #[test]
    fn signed_text_of_version_1_is_stable() {
        assert_eq!(
            String::from_utf8(signed_text("POST", "/v1/calls", UnixMs(17), b"abc")).unwrap(),
            "POST\n/v1/calls\n17\n66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
        );
    }
}
