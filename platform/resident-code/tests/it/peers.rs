//! Interoperability with independent implementations: OpenSSL, the npm package `sm-crypto`, the Python packages
//! `gmssl` and `tongsuopy`. The packages are installed once under `target/`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use resident_code::{Capabilities, PaperCode, PaperTerms, PublicKey, Signature};
use sm2::elliptic_curve::sec1::ToSec1Point as _;

use crate::fixture::{ALIAS, NOW, code, from_hex, issuer, key, to_hex};
use crate::vectors::{ANNEX_MESSAGE, ANNEX_PUBLIC, ANNEX_SIGNATURE, GCM};

/// SubjectPublicKeyInfo of an uncompressed point on the SM2 curve (RFC 5480; 1.2.156.10197.1.301).
const SPKI: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d\x03\x42\x00";

fn point(public: &PublicKey) -> Vec<u8> {
    let key = sm2::PublicKey::from_sec1_bytes(&public.to_compressed()).unwrap();
    key.as_affine().to_sec1_point(false).as_bytes().to_vec()
}

/// A signed message: public key, message, `r ‖ s`.
struct SignedMessage {
    public: PublicKey,
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// Every signature of every code and that of the standard, each with its message and with a truncated one. The flag
/// is true for genuine pairs.
fn signed() -> Vec<(SignedMessage, bool)> {
    let shown = code().to_bytes();
    let terms = PaperTerms { capabilities: Capabilities(1), alias: ALIAS, issued_at: NOW, lifetime_days: 90 };
    let paper = PaperCode::issue(&terms, &issuer()).unwrap().to_bytes();
    let annex = PublicKey::from_compressed(&from_hex(ANNEX_PUBLIC).try_into().unwrap()).unwrap();
    let (issuer, session) = (key(0x51).public(), key(0x22).public());
    [
        (issuer.clone(), &shown[..50], &shown[50..114]),
        (session, &shown[..116], &shown[116..]),
        (issuer, &paper[..17], &paper[17..]),
        (annex, ANNEX_MESSAGE, &from_hex(ANNEX_SIGNATURE)),
    ]
    .into_iter()
    .flat_map(|(public, message, signature)| {
        [(message, true), (&message[..message.len() - 1], false)].map(|(message, genuine)| {
            let (public, message) = (public.clone(), message.to_vec());
            (SignedMessage { public, message, signature: signature.to_vec() }, genuine)
        })
    })
    .collect()
}

#[test]
fn openssl_verifies_every_signature_and_no_other_message() {
    let directory = tempfile::tempdir().unwrap();
    for (SignedMessage { public, message, signature }, genuine) in signed() {
        let signature = sm2::dsa::Signature::from_slice(&signature).unwrap().to_der();
        fs::write(directory.path().join("key"), [SPKI, &point(&public)].concat()).unwrap();
        fs::write(directory.path().join("message"), message).unwrap();
        fs::write(directory.path().join("signature"), signature.as_bytes()).unwrap();
        let output = Command::new("openssl")
            .current_dir(directory.path())
            .args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key"])
            .args(["-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678"])
            .args(["-in", "message", "-sigfile", "signature"])
            .output()
            .unwrap();
        assert_eq!(output.status.success(), genuine);
    }
}

/// Installs the packages of a peer into a separate directory, unless they are installed; a lock serialises the tests.
fn installed(name: &str, installer: &[&str]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).unwrap();
    let lock = File::create(directory.join("lock")).unwrap();
    lock.lock().unwrap();
    let wanted = installer.join(" ");
    if fs::read_to_string(directory.join("installed")).ok().as_ref() != Some(&wanted) {
        let (program, arguments) = installer.split_first().unwrap();
        let output = Command::new(program).args(arguments).current_dir(&directory).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        fs::write(directory.join("installed"), wanted).unwrap();
    }
    directory
}

/// Sends lines to a peer's script and returns its answers, one for each line.
fn ask(mut command: Command, lines: &[String]) -> Vec<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), lines.len());
    answers
}

fn node(lines: &[String]) -> Vec<String> {
    let packages = installed(
        "peers-npm",
        &[
            "npm",
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
            ".",
            "sm-crypto@0.3.13",
        ],
    );
    let mut command = Command::new("node");
    command.arg(script("sm_crypto.js")).env("NODE_PATH", packages.join("node_modules"));
    ask(command, lines)
}

fn python(lines: &[String]) -> Vec<String> {
    let packages = installed(
        "peers-python",
        &[
            "python3",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--upgrade",
            "--target",
            "packages",
            "gmssl==3.2.2",
            "tongsuopy-crayon==1.0.2b6",
        ],
    );
    let mut command = Command::new("python3");
    command.arg(script("gmssl_tongsuo.py")).env("PYTHONPATH", packages.join("packages"));
    ask(command, lines)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

/// Checks that the peer accepts exactly the genuine signatures of this crate, that this crate accepts exactly the
/// peer's signature, and that both give the same SM3 digest.
fn agrees(peer: fn(&[String]) -> Vec<String>) {
    let signed = signed();
    let message = code().to_bytes();
    let mut lines: Vec<String> = signed
        .iter()
        .map(|(SignedMessage { public, message, signature }, _)| {
            format!("verify {} {} {}", to_hex(&point(public)), to_hex(message), to_hex(signature))
        })
        .collect();
    lines.push(format!("sign {} {}", to_hex(&[0x22; 32]), to_hex(&message)));
    lines.push(format!("sm3 {}", to_hex(&message)));
    let answers = peer(&lines);
    for ((_, genuine), answer) in signed.iter().zip(&answers) {
        assert_eq!(answer, if *genuine { "yes" } else { "no" });
    }
    let signature = Signature(from_hex(&answers[signed.len()]).try_into().unwrap());
    key(0x22).public().verify(&message, &signature).unwrap();
    key(0x22).public().verify(&message[1..], &signature).unwrap_err();
    let digest = <sm3::Sm3 as sm3::Digest>::digest(message);
    assert_eq!(answers[signed.len() + 1], to_hex(&digest));
}

#[test]
fn sm_crypto_javascript_interoperates_both_ways() {
    agrees(node);
}

#[test]
fn gmssl_python_interoperates_both_ways() {
    agrees(python);
}

#[test]
fn tongsuo_sm4_gcm_matches_rfc_8998() {
    let [key, nonce, aad, plain, sealed] = GCM;
    assert_eq!(python(&[format!("seal {key} {nonce} {aad} {plain}")]), [sealed]);
}
