//! The signature of requests: header names, and the bytes that the sender's SM2 key signs. Kiosks, relying parties and
//! service desks sign alike.

use sm_crypto::{sm3, to_hex};

use crate::routes::HttpMethod;

/// Header with the sender's id.
pub const DEVICE_HEADER: &str = "x-device";
/// Header with the sender's time: milliseconds since 1970, decimal.
pub const TIME_HEADER: &str = "x-time";
/// Header with the signature: 128 hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "x-signature";

/// The bytes that the signature covers: `method ‖ "\n" ‖ path and query ‖ "\n" ‖ time ‖ "\n" ‖ SM3(body as sent)`, the
/// hash in hexadecimal. `time` is the text of [`TIME_HEADER`].
#[must_use]
pub fn request_bytes_to_sign(method: HttpMethod, target: &str, time: &str, body: &[u8]) -> Vec<u8> {
    format!("{}\n{target}\n{time}\n{}", method.name(), to_hex(&sm3(&[body]))).into_bytes()
}

/// The bytes that the signature of an answer covers: `ANSWER ‖ "\n" ‖ signature of the request ‖ "\n" ‖ status ‖ "\n" ‖ time ‖ "\n" ‖
/// SM3(body as sent)`, the hash in hexadecimal. An answer so belongs to one request.
#[must_use]
pub fn answer_bytes_to_sign(request_signature: &str, status: u16, time: &str, body: &[u8]) -> Vec<u8> {
    format!("ANSWER\n{request_signature}\n{status}\n{time}\n{}", to_hex(&sm3(&[body]))).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If this fails, do not change the test: every deployed kiosk signs these bytes and sends these headers.
    #[test]
    fn signed_bytes_and_headers_of_version_1_are_stable() {
        assert_eq!(
            String::from_utf8(request_bytes_to_sign(HttpMethod::Post, "/v1/calls", "17", b"abc")).unwrap(),
            "POST\n/v1/calls\n17\n66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
        );
        assert_eq!([DEVICE_HEADER, TIME_HEADER, SIGNATURE_HEADER], ["x-device", "x-time", "x-signature"]);
    }
}
