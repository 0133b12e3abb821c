//! The vectors that department engineers test their SM2 and SM3 with (`docs/department-vectors.json`).

use std::io::Write as _;
use std::process::Command;

use contract::{
    PublicKey, SecretKey, Signature, answer_bytes_to_sign, department_bytes_to_sign, from_hex, sm3, to_hex,
};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../../../docs/department-vectors.json");

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {vector}"))
}

fn key_pair(vectors: &Value, name: &str) -> (SecretKey, PublicKey) {
    let scalar: [u8; 32] = from_hex(text(&vectors["keys"][name], "secret")).unwrap();
    let (secret, public) = (SecretKey::from_bytes(&scalar).unwrap(), text(&vectors["keys"][name], "public"));
    assert_eq!(secret.public().to_string(), public, "{name}");
    (secret, public.parse().unwrap())
}

#[test]
fn vectors_are_what_platform_and_department_sign() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let (_, platform) = key_pair(&vectors, "platform");
    let (_, department) = key_pair(&vectors, "department");
    let (request, answer) = (&vectors["request"], &vectors["answer"]);
    let verifies = |key: &PublicKey, vector: &Value, signed: &[u8]| {
        assert_eq!(text(vector, "sm3"), to_hex(&sm3(&[text(vector, "body").as_bytes()])));
        assert_eq!(text(vector, "lines"), String::from_utf8_lossy(signed));
        let signature: Signature = text(vector, "signature").parse().unwrap();
        assert!(key.verify(signed, &signature).is_ok(), "{vector}");
    };
    let id = text(request, "department").parse().unwrap();
    let (time, body) = (text(request, "x_time"), text(request, "body").as_bytes());
    verifies(&platform, request, &department_bytes_to_sign(&id, text(request, "path"), time, body));
    let status = u16::try_from(answer["status"].as_u64().unwrap()).unwrap();
    let (time, body) = (text(answer, "x_time"), text(answer, "body").as_bytes());
    verifies(&department, answer, &answer_bytes_to_sign(text(request, "signature"), status, time, body));
    assert_eq!(text(&vectors, "sm3_of_nothing"), to_hex(&sm3(&[])));
}

/// The command line of the guide, by which OpenSSL opens what a kiosk sealed.
#[test]
fn openssl_opens_the_sealed_vector() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let keys = &vectors["keys"]["department"];
    let directory = tempfile::tempdir().unwrap();
    let der = format!(
        "30770201010420{}a00a06082a811ccf5501822da144034200{}",
        text(keys, "secret"),
        text(keys, "public")
    );
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    };
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let key = file("key.der", &bytes(&der));
    let sealed = file("sealed", &bytes(text(&vectors["sealed"], "sealed")));
    let opened = Command::new("openssl")
        .args(["pkeyutl", "-decrypt", "-keyform", "DER", "-inkey"])
        .arg(&key)
        .arg("-in")
        .arg(&sealed)
        .output()
        .unwrap();
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    assert_eq!(String::from_utf8(opened.stdout.clone()).unwrap(), text(&vectors["sealed"], "json"));
    assert_eq!(to_hex(&sm3(&[&opened.stdout])), text(&vectors["sealed"], "hash"));
}
