//! OpenSSL, which shares no line with the curve library here, agrees about every signature.

use std::fs;
use std::path::Path;
use std::process::Command;

use resident_code::PublicKey;
use sm2::elliptic_curve::sec1::ToSec1Point as _;

use crate::bench::{code, key};

/// SubjectPublicKeyInfo of an uncompressed point on the SM2 curve (RFC 5480; 1.2.156.10197.1.301).
const SPKI: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d\x03\x42\x00";

fn verifies(directory: &Path, public: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let point = sm2::PublicKey::from_sec1_bytes(&public.to_bytes()).unwrap();
    let point = point.as_affine().to_sec1_point(false);
    let signature = sm2::dsa::Signature::from_slice(signature).unwrap().to_der();
    fs::write(directory.join("key"), [SPKI, point.as_bytes()].concat()).unwrap();
    fs::write(directory.join("message"), message).unwrap();
    fs::write(directory.join("signature"), signature.as_bytes()).unwrap();
    let output = Command::new("openssl")
        .current_dir(directory)
        .args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key"])
        .args(["-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678"])
        .args(["-in", "message", "-sigfile", "signature"])
        .output()
        .unwrap();
    output.status.success()
}

#[test]
fn openssl_accepts_both_signatures_of_a_code_and_no_other_message() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = code().to_bytes();
    let (issuer, session) = (key(0x51).public(), key(0x22).public());
    assert!(verifies(directory.path(), &issuer, &bytes[..50], &bytes[50..114]));
    assert!(verifies(directory.path(), &session, &bytes[..116], &bytes[116..]));
    assert!(!verifies(directory.path(), &issuer, &bytes[..49], &bytes[50..114]));
    assert!(!verifies(directory.path(), &issuer, &bytes[..116], &bytes[116..]));
}
