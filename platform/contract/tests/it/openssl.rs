//! Interoperability with OpenSSL, an independent SM2 implementation: it wraps and unwraps the key of an envelope.

use std::fs;
use std::path::Path;
use std::process::Command;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload, consts::U12};
use aes_gcm::{AesGcm, Nonce};
use contract::EnvelopeSecret;
use sm2::pke::{Cipher, Mode};
use sm4::Sm4;

use crate::envelope::{CALL, sealed, secret};

/// ECPrivateKey (RFC 5915) of the scalar 07 … 07 on the SM2 curve.
fn private_key() -> Vec<u8> {
    let point = sm2::SecretKey::from_slice(&[7; 32]).unwrap().public_key().to_sec1_bytes();
    let curve = b"\xa0\x0a\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d";
    [b"\x30\x77\x02\x01\x01\x04\x20".as_slice(), &[7; 32], curve, b"\xa1\x44\x03\x42\x00", &point].concat()
}

fn pkeyutl(directory: &Path, operation: &str, input: &[u8]) -> Vec<u8> {
    fs::write(directory.join("key"), private_key()).unwrap();
    fs::write(directory.join("in"), input).unwrap();
    let output = Command::new("openssl")
        .current_dir(directory)
        .args(["pkeyutl", operation, "-keyform", "DER", "-inkey", "key", "-in", "in", "-out", "out"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(directory.join("out")).unwrap()
}

/// The cipher of the body, built from the table in the module documentation of `envelope` alone.
fn gcm(key: &[u8]) -> (AesGcm<Sm4, U12>, Nonce<U12>) {
    let key: [u8; 16] = key.try_into().unwrap();
    (AesGcm::new(&key.into()), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].into())
}

fn covered(head: &[u8]) -> Vec<u8> {
    [b"kiosk envelope: request\n", head, b"POST\n/v1/calls\nK-DH-0001\n1795500000000"].concat()
}

#[test]
fn openssl_unwraps_the_key_of_our_envelope() {
    let directory = tempfile::tempdir().unwrap();
    let (bytes, _) = sealed(b"body", 1);
    let (head, inner) = bytes.split_at(115);
    let wrapped: Cipher<'_> = Cipher::from_slice(&head[2..], Mode::C1C3C2).unwrap();
    let der = sm2::pkcs8::der::Encode::to_der(&wrapped).unwrap();
    let key = pkeyutl(directory.path(), "-decrypt", &der);
    let (cipher, nonce) = gcm(&key);
    let body = cipher.decrypt(&nonce, Payload { msg: inner, aad: &covered(head) }).unwrap();
    assert_eq!(body, b"body");
}

#[test]
fn envelope_with_key_wrapped_by_openssl_opens() {
    let directory = tempfile::tempdir().unwrap();
    let der = pkeyutl(directory.path(), "-encrypt", &[0x5c; 16]);
    let wrapped: Cipher<'_> = sm2::pkcs8::der::Decode::from_der(&der).unwrap();
    let mut bytes = [&[1, 7][..], &wrapped.to_vec(Mode::C1C3C2, false).unwrap()].concat();
    let (cipher, nonce) = gcm(&[0x5c; 16]);
    let inner = cipher.encrypt(&nonce, Payload { msg: b"body", aad: &covered(&bytes) }).unwrap();
    bytes.extend(inner);
    let (body, _) = EnvelopeSecret::open(&[secret(7)], &bytes, CALL).unwrap();
    assert_eq!(*body, b"body");
}
