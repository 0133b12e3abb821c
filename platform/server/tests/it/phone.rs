//! The phone's page in Chromium: after it was bound through the identity service, the page shows a code that a decoder
//! reads and `resident-code` accepts, and answers a kiosk's challenge, also without the platform. Chromium is driven
//! by `playwright-core`, which is installed under `target/`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use contract::{Challenge, ECertificateExtract, HttpMethod, PublicationSources, UnixMs};
use resident_code::{AnswerCode, Code, CodeIssuers, TimeWindow, VerifiedCode};
use rusqlite::Connection;
use sandbox::identity::Register;
use serde_json::{Value, json};
use server::shell::tls::KioskListener;
use server::shell::{self, KioskEndpoint, PeerUrls};
use server::{Claim, Platform, PlatformRequest, PlatformSetup, RelyingParty};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::codes::{authority_at, relying_party, root, secret};
use crate::departments::{department_list, sandbox_departments};
use crate::fixture::{DOCUMENTS, RESIDENTS, setup};
use crate::kiosk_client::{TestCertificateAuthority, envelope};
use crate::publications::{published_as, sources};

/// The browser, and the script that drives it.
struct Browser {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    pictures: PathBuf,
    camera: PathBuf,
}

impl Browser {
    fn start(address: &str) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let packages = install_playwright(&target.join("playwright"));
        let pictures = target.join("phone");
        fs::create_dir_all(&pictures).unwrap();
        let camera = pictures.join("camera.y4m");
        fs::write(&camera, y4m_of_code("")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/phone.js");
        let mut child = Command::new("node")
            .arg(script)
            .args([address, pictures.to_str().unwrap(), camera.to_str().unwrap()])
            .env("NODE_PATH", packages.join("node_modules"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output, pictures, camera }
    }

    /// Sets the picture of the fake camera to a screen with this code, from the next opening of the camera on.
    fn set_camera_code(&self, code: &str) {
        fs::write(&self.camera, y4m_of_code(code)).unwrap();
    }

    /// Sends a command to the script, waits until it is done, and returns the script's answer.
    fn run(&mut self, what: &str) -> String {
        writeln!(self.child.stdin.as_mut().unwrap(), "{what}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let line = line.trim_end();
        line.strip_prefix("done")
            .unwrap_or_else(|| panic!("{what}: the browser's script answers `{line}`"))
            .trim()
            .to_owned()
    }

    /// Takes a screenshot of the page and decodes the code on it.
    fn code(&mut self, name: &str) -> Code {
        self.run(&format!("picture {name}"));
        let picture = image::open(self.pictures.join(format!("{name}.png"))).unwrap();
        assert!(picture.width() > 700);
        let mut grey = rqrr::PreparedImage::prepare(picture.to_luma8());
        let grids = grey.detect_grids();
        assert_eq!(grids.len(), 1, "{name}: one code is on the page");
        let (_, text) = grids[0].decode().unwrap();
        Code::parse(&text).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The script closes the browser at the end of its input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn install_playwright(directory: &Path) -> PathBuf {
    // The last version that runs on Node.js 18, which Debian 12 has.
    const PACKAGE: &str = "playwright-core@1.60.0";
    fs::create_dir_all(directory).unwrap();
    let lock = File::create(directory.join("lock")).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(directory.join("installed")).ok().as_deref() != Some(PACKAGE) {
        let output = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".", PACKAGE])
            .current_dir(directory)
            .output()
            .unwrap();
        assert!(output.status.success(), "npm: {}", String::from_utf8_lossy(&output.stderr));
        fs::write(directory.join("installed"), PACKAGE).unwrap();
    }
    directory.to_owned()
}

/// A video (YUV4MPEG2) of a screen with this code.
fn y4m_of_code(code: &str) -> Vec<u8> {
    const SIDE: usize = 480;
    let code = qrcode::QrCode::new(code).unwrap();
    let module = SIDE / (code.width() + 8);
    let edge = (SIDE - module * code.width()) / 2;
    let mut luma = vec![235_u8; SIDE * SIDE];
    for (at, _) in code.to_colors().iter().enumerate().filter(|(_, color)| **color == qrcode::Color::Dark) {
        let (left, top) = (edge + at % code.width() * module, edge + at / code.width() * module);
        for y in top..top + module {
            luma[y * SIDE + left..][..module].fill(16);
        }
    }
    let mut film = format!("YUV4MPEG2 W{SIDE} H{SIDE} F10:1 Ip A1:1 C420jpeg\n").into_bytes();
    for _ in 0..4 {
        film.extend_from_slice(b"FRAME\n");
        film.extend_from_slice(&luma);
        film.resize(film.len() + SIDE * SIDE / 2, 128);
    }
    film
}

fn answer_on(code: Code) -> AnswerCode {
    let Code::Answer(answer) = code else { panic!("not an answer: {:?}", code.mode()) };
    answer
}

fn accepted(code: &Code, issuers: &CodeIssuers) -> VerifiedCode {
    let Code::Offline(code) = code else { panic!("not an offline code: {:?}", code.mode()) };
    code.verify(issuers, seconds(), TimeWindow::default()).unwrap()
}

fn seconds() -> u32 {
    u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[test]
fn phone_page_binds_shows_codes_and_works_offline() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listen = || runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let (at_platform, at_identity, at_departments) = (listen(), listen(), listen());
    let [platform, identity, departments] = [&at_platform, &at_identity, &at_departments]
        .map(|at| format!("http://{}", at.local_addr().unwrap()));
    let (stop, stopped) = watch::channel(());
    let until_stopped = || {
        let mut stopped = stopped.clone();
        async move {
            let _ = stopped.changed().await;
        }
    };
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let (authority, issuers) = authority_at(&format!("{identity}/check"), now);
    let pharmacy = RelyingParty {
        name: "解放碑药房".into(),
        purposes: ["医保购药".to_owned()].into(),
        facts: [Claim::Insured].into(),
        licences: [("medical-insurance".to_owned(), ["insurance".to_owned()].into())].into(),
        consent_days: 30,
        ..relying_party("PHARMACY", 0x61, "medical", 50)
    };
    let sources = PublicationSources {
        departments: department_list(&departments),
        ..sources(DOCUMENTS.map(str::to_owned))
    };
    let setup = PlatformSetup {
        code_authority: Some(authority),
        relying_parties: vec![pharmacy],
        publication: published_as(1, sources),
        ..setup()
    };
    let city = Platform::open(Connection::open_in_memory().unwrap(), setup).unwrap();
    let peers = PeerUrls { acquirer: String::new(), identity: identity.clone() };
    let at_kiosks = listen();
    let kiosks = runtime.block_on(async {
        KioskListener::new(at_kiosks, TestCertificateAuthority::new().platform()).unwrap()
    });
    let side = KioskEndpoint { listener: kiosks, envelope_keys: vec![envelope()] };
    runtime.spawn(shell::serve(at_platform, side, city, peers, None, stopped.clone()));
    let register = Register::from_toml(RESIDENTS).unwrap();
    let router = sandbox::identity::router(register, &format!("{platform}/"));
    runtime.spawn(sandbox::shell::serve(at_identity, router, until_stopped()));
    let library = sandbox::department::router(sandbox_departments());
    runtime.spawn(sandbox::shell::serve(at_departments, library, until_stopped()));

    let challenge = Challenge { device: "K-DH-0001".parse().unwrap(), nonce: *b"0123456789abcdef" };
    let mut browser = Browser::start(&format!("{platform}/code/"));
    browser.run("open");
    browser.run("picture 1-unbound");
    browser.run("check 李四 500112194803150422");
    browser.run("picture 2-identity-refused");
    browser.run("bind 张桂英 500112194803150422");
    let first = accepted(&browser.code("3-code"), &issuers);
    browser.run("next");
    let second = accepted(&browser.code("4-next-code"), &issuers);
    assert_eq!(second.alias, first.alias);
    assert!(second.time_step > first.time_step);
    assert!(browser.run("secrets").contains("extractable=false"));

    browser.set_camera_code("https://receipts.example/0000-0000-0000-0042");
    browser.run("strange");
    browser.run("picture 15-not-a-challenge");
    browser.run("leave");
    browser.run("strange");
    browser.run("hide");
    browser.run("hasty");
    browser.run("refused");
    browser.run("picture 16-no-camera");
    browser.run("leave");
    browser.set_camera_code(&challenge.to_string());
    assert_eq!(browser.run("scan"), "K-DH-0001");
    browser.run("picture 10-confirm");
    browser.run("confirm");
    let answer = answer_on(browser.code("11-answer"));
    let answers = |answer: &AnswerCode, nonce| {
        let signed = Challenge { nonce, ..challenge }.to_be_signed();
        answer.verify(&issuers, &signed, seconds(), TimeWindow::default()).map(|shown| shown.alias)
    };
    assert_eq!(answers(&answer, challenge.nonce), Ok(first.alias));
    assert!(answers(&answer, [7; 16]).is_err(), "an answer to another challenge");
    browser.run("answered");
    accepted(&browser.code("12-code-again"), &issuers);

    browser.run("elder");
    browser.run("refused");
    browser.run("picture 17-no-camera-elder");
    browser.run("leave");
    assert_eq!(browser.run("scan"), "K-DH-0001");
    browser.run("picture 13-confirm-elder");
    browser.run("confirm");
    let answer = answer_on(browser.code("14-answer-elder"));
    browser.run("next");
    let redrawn = answer_on(browser.code("18-next-answer-elder"));
    assert_ne!(redrawn.to_text(), answer.to_text());
    assert_eq!(answers(&redrawn, challenge.nonce), Ok(first.alias));
    browser.run("minute");
    accepted(&browser.code("5-elder"), &issuers);
    browser.run("large");
    assert!(matches!(browser.code("6-large-modules"), Code::Online(_)));
    browser.run("uses");
    browser.run("picture 7-uses");
    browser.run("standard");

    // A pharmacy verifies the code and requests the claim whether its customer is insured.
    let ask = |name: &str, body: Value| -> Value {
        let (now, body) = (UnixMs(u64::from(seconds()) * 1000), body.to_string().into_bytes());
        let target = format!("/code/v1/{name}");
        let request =
            PlatformRequest::signed(HttpMethod::Post, &*target, body, "PHARMACY", &secret(0x61), now);
        let sent = reqwest::Client::builder().no_proxy().build().unwrap().post(format!("{platform}{target}"));
        let sent = sent.header("X-Device", request.device.unwrap()).header("X-Time", request.time.unwrap());
        let sent = sent.header("X-Signature", request.signature.unwrap()).body(request.body);
        let answer = runtime.block_on(async { sent.send().await.unwrap().bytes().await.unwrap() });
        serde_json::from_slice(&answer).unwrap()
    };
    browser.run("next");
    let code = browser.code("20-code-at-a-pharmacy").to_text();
    let request = "7".repeat(32);
    let good = ask("verify", json!({ "request": request, "code": code, "purpose": "医保购药" }));
    assert_eq!(good["verdict"], "good", "{good}");
    let facts = || ask("facts", json!({ "request": request, "facts": ["insured"] }));
    assert_eq!(facts(), json!({ "state": "waiting" }));
    assert_eq!(browser.run("asked"), "解放碑药房是否正常参加医保");
    assert_eq!(browser.run("askedOf"), "只回答“是”或“否”");
    browser.run("picture 21-consent");
    browser.run("agree");
    let answer = facts();
    assert_eq!((&answer["state"], &answer["facts"]), (&json!("agreed"), &json!({ "insured": true })));
    browser.run("consents");
    browser.run("picture 22-consents");
    browser.run("withdraw");
    assert_eq!(facts(), json!({ "state": "declined" }));

    // The holder lists their e-certificates; the pharmacy requests one item and gets a signed extract.
    let held = browser.run("licences");
    assert!(held.contains("医疗保险参保凭证") && !held.contains("张桂英"), "{held}");
    browser.run("picture 23-licences");
    browser.run("licencesElder");
    browser.run("picture 24-licences-elder");
    browser.run("leaveLicences");
    let item = json!({ "request": request, "licence": "medical-insurance", "items": ["insurance"] });
    assert_eq!(ask("licence", item.clone()), json!({ "state": "waiting" }));
    assert_eq!(browser.run("asked"), "解放碑药房参保类型");
    assert_eq!(browser.run("askedOf"), "只给《医疗保险参保凭证》上的");
    browser.run("picture 25-consent-to-a-licence");
    browser.run("agree");
    let given = ask("licence", item);
    let extract = serde_json::from_value(given["extract"].clone()).unwrap();
    let keys = serde_json::from_value(given["keys"].clone()).unwrap();
    let now = UnixMs(u64::from(seconds()) * 1000 + 999);
    let extract =
        ECertificateExtract::open(&extract, &keys, &root(), "PHARMACY".parse().unwrap(), now).unwrap();
    assert_eq!(extract.items, [("insurance".to_owned(), "城镇职工基本医疗保险".to_owned())].into());

    // The platform has stopped and all sockets are closed; the browser's page cache is not used either.
    drop(stop);
    runtime.shutdown_background();
    browser.run("offline");
    let third = accepted(&browser.code("8-without-network"), &issuers);
    assert_eq!(third.alias, first.alias);
    assert!(third.time_step > second.time_step);
    assert_eq!(browser.run("scan"), "K-DH-0001");
    browser.run("confirm");
    assert_eq!(
        answers(&answer_on(browser.code("19-answer-without-network")), challenge.nonce),
        Ok(first.alias)
    );
    browser.run("answered");
    browser.run("loss");
    browser.run("picture 9-loss-without-network");
}
