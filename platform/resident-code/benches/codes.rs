//! Benchmark of the codes on one core, compared with OpenSSL's signatures, and size of their QR codes.
//!
//! `cargo bench -p resident-code`. Rounds of all operations alternate, so that a busy machine slows all of them;
//! times are CPU times of the thread, as `openssl speed` measures them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]

use std::fs;
use std::hint::black_box;
use std::process::Command;

use qrcode::{EcLevel, QrCode, Version};
use resident_code::{
    Alias, Capabilities, CodeIssuer, CodeIssuers, FormatKey, OfflineCode, OnlineToken, PaperCode, PaperTerms,
    SecretKey, SessionCertificate, SessionTerms, TimeWindow,
};

const ROUNDS: usize = 5;
const NOW: u32 = 1_794_960_000;
/// CPU time of a round, in nanoseconds.
const ROUND_NS: u64 = 400_000_000;
/// Length of the transit code of the Ministry of Transport, in bytes: three keys, three signatures, binary.
const TRANSIT_LEN: usize = 364;

/// CPU time of this thread, in nanoseconds.
fn on_processor() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Executions of `work` per second of CPU time.
fn rate(mut work: impl FnMut()) -> f64 {
    let (begin, mut count) = (on_processor(), 0_u32);
    loop {
        for _ in 0..50 {
            work();
        }
        count += 50;
        let spent = on_processor() - begin;
        if spent > ROUND_NS {
            return f64::from(count) * 1e9 / spent as f64;
        }
    }
}

/// Operations of OpenSSL per second: SM2 sign, SM2 verify, P-256 sign, P-256 verify.
fn openssl() -> [f64; 4] {
    let output =
        Command::new("openssl").args(["speed", "-seconds", "1", "-mr", "sm2", "ecdsap256"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = |beginning: &str| {
        let line = text.lines().find(|line| line.starts_with(beginning)).unwrap();
        let numbers: Vec<f64> = line.rsplit(':').take(2).map(|number| number.parse().unwrap()).collect();
        // The last two fields are the rates of signing and verifying.
        [numbers[1], numbers[0]]
    };
    let (sm2, p256) = (last("+F7:"), last("+F4:"));
    [sm2[0], sm2[1], p256[0], p256[1]]
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    // `cargo test --benches` and nextest start it only to check that it starts.
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    let phone = SecretKey::from_bytes(&[0x22; 32]).unwrap();
    let issuer = CodeIssuer::new(3, SecretKey::from_bytes(&[0x51; 32]).unwrap());
    let issuers: CodeIssuers =
        [(3, SecretKey::from_bytes(&[0x51; 32]).unwrap().public())].into_iter().collect();
    let alias = Alias([7; 8]);
    let session = SessionTerms {
        capabilities: Capabilities(1),
        alias,
        issued_at: NOW,
        lifetime_quarters: 96,
        session_key: phone.public(),
    };
    let certificate = SessionCertificate::issue(&session, &issuer).unwrap();
    let offline = certificate.present(&phone, NOW).unwrap();
    let paper = PaperTerms { capabilities: Capabilities(1), alias, issued_at: NOW, lifetime_days: 90 };
    let printed = PaperCode::issue(&paper, &issuer).unwrap();
    let format = FormatKey::new(1, [5; 32]);
    let token = OnlineToken::issue([9; 16], &format);
    let (offline_text, paper_text, online_text) = (offline.to_text(), printed.to_text(), token.to_text());

    let mut rates = vec![Vec::new(); 10];
    for _ in 0..ROUNDS {
        let ours = [
            rate(|| {
                let code = OfflineCode::parse(black_box(&offline_text)).unwrap();
                black_box(code.verify(&issuers, NOW, TimeWindow::default()).unwrap());
            }),
            rate(|| {
                let code = PaperCode::parse(black_box(&paper_text)).unwrap();
                black_box(code.verify(&issuers, NOW, 0).unwrap());
            }),
            rate(|| {
                let code = resident_code::parse_online(black_box(&online_text)).unwrap();
                code.check(black_box(&format)).unwrap();
            }),
            rate(|| {
                black_box(SessionCertificate::issue(black_box(&session), &issuer).unwrap());
            }),
            rate(|| {
                black_box(certificate.present(black_box(&phone), NOW).unwrap().to_text());
            }),
            rate(|| {
                black_box(PaperCode::issue(black_box(&paper), &issuer).unwrap().to_text());
            }),
        ];
        for (rates, rate) in rates.iter_mut().zip(ours.into_iter().chain(openssl())) {
            rates.push(rate);
        }
    }
    let rates: Vec<f64> = rates.into_iter().map(median).collect();
    let [sm2_sign, sm2_verify, p256_sign, p256_verify] = rates[6..10] else { unreachable!() };

    let version = Command::new("openssl").arg("version").output().unwrap().stdout;
    println!("one core, medians of {ROUNDS} rounds; {}", String::from_utf8_lossy(&version).trim());
    println!("{:44} {:>9} {:>9} {:>9}", "", "a second", "× its SM2", "× its P-256");
    let line = |what: &str, rate: f64, sm2: f64, p256: f64| {
        println!("{what:44} {rate:9.0} {:9.2} {:9.2}", rate / sm2, rate / p256);
    };
    line("offline code: read and verify, 2 signatures", rates[0], sm2_verify / 2.0, p256_verify / 2.0);
    line("paper code: read and verify, 1 signature", rates[1], sm2_verify, p256_verify);
    println!("{:44} {:9.0}", "online token: read and check, HMAC", rates[2]);
    line("session certificate: issue", rates[3], sm2_sign, p256_sign);
    line("offline code: show", rates[4], sm2_sign, p256_sign);
    line("paper code: issue", rates[5], sm2_sign, p256_sign);
    println!(
        "OpenSSL: SM2 {sm2_sign:.0} signed, {sm2_verify:.0} verified; P-256 {p256_sign:.0}, {p256_verify:.0}\n"
    );

    println!(
        "{:34} {:>5} {:>10} {:>8} {:>7}",
        "QR code, level M", "bytes", "characters", "version", "modules"
    );
    for (what, bytes, text) in [
        ("online token", token.to_bytes().len(), online_text.as_bytes()),
        ("paper code", printed.to_bytes().len(), paper_text.as_bytes()),
        ("offline code", offline.to_bytes().len(), offline_text.as_bytes()),
        ("transit code, for comparison", TRANSIT_LEN, &[0x80; TRANSIT_LEN]),
    ] {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let Version::Normal(version) = code.version() else { unreachable!() };
        println!("{what:34} {bytes:5} {:10} {version:8} {:7}", text.len(), code.width());
    }
}
