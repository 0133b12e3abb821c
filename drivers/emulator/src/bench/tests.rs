//! The bench's routes, served as in the product: the real router, real emulated devices, an X server (Xvfb); and a
//! scripted rig.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use super::*;
use crate::roll::WIDTH_80_MM_DOTS;

struct BenchFixture {
    base: String,
    http: reqwest::Client,
    requests: mpsc::Receiver<String>,
    xvfb: Child,
    _place: tempfile::TempDir,
}

impl Drop for BenchFixture {
    fn drop(&mut self) {
        self.xvfb.kill().unwrap();
        self.xvfb.wait().unwrap();
    }
}

/// Starts Xvfb on a free display.
fn start_display() -> (Child, String) {
    let mut xvfb = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "90x160x24", "-nolisten", "tcp"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvfb, from Debian's xvfb");
    let mut number = String::new();
    BufReader::new(xvfb.stdout.as_mut().unwrap()).read_line(&mut number).unwrap();
    (xvfb, format!(":{}", number.trim()))
}

/// A rig that answers `status` with a value, refuses `ledgers`, and grants everything else.
fn scripted_rig(socket: PathBuf) -> mpsc::Receiver<String> {
    let listener = UnixListener::bind(socket).unwrap();
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for bench in listener.incoming().flatten() {
            let mut line = String::new();
            BufReader::new(&bench).read_line(&mut line).unwrap();
            let answer = match line.trim() {
                "{\"do\":\"status\"}" => "{\"ok\":{\"running\":true}}\n",
                "{\"do\":\"ledgers\"}" => "{\"error\":\"the platform is away\"}\n",
                _ => "{\"ok\":null}\n",
            };
            (&bench).write_all(answer.as_bytes()).unwrap();
            if !line.contains("status") {
                sender.send(line.trim().to_owned()).ok();
            }
        }
    });
    requests
}

impl BenchFixture {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let (xvfb, display) = start_display();
        let requests = scripted_rig(place.path().join("rig"));
        let faults = FaultSwitches::default();
        let printer = place.path().join("printer");
        let bench = Bench {
            residents: Vec::new(),
            card_keys: CityCardKeys::for_tests(),
            card_slot: Mutex::new(EmulatedCardSlot::new(9)),
            psam_slot: None,
            relay_board: None,
            staff_key: None,
            printer: EmulatedPrinter::open_pty_with_faults(&printer, WIDTH_80_MM_DOTS, faults.clone())
                .unwrap(),
            camera: EmulatedCamera::open(&place.path().join("camera")).unwrap(),
            scanner: None,
            id_reader: None,
            document_tray: None,
            faults,
            display: Mutex::new(XDisplay::open(&display).unwrap()),
            platform: "http://127.0.0.1:9".to_owned(),
            frames: FrameSource::start(XDisplay::open(&display).unwrap()),
            rig: Some(RigClient::new(place.path().join("rig"))),
            presented: Mutex::default(),
            pages: AtomicUsize::new(0),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router(Arc::new(bench))).into_future());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base, http, requests, xvfb, _place: place }
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}/{path}", self.base)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> reqwest::Response {
        self.http.post(format!("{}/{path}", self.base)).json(&body).send().await.unwrap()
    }

    /// Reads a stream until `enough` accepts what came.
    async fn read_stream(&self, path: &str, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let (mut answer, mut read) = (self.get(path).await, Vec::new());
        while !enough(&read) {
            read.extend(answer.chunk().await.unwrap().expect("the stream has not ended"));
        }
        read
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_its_parts_and_the_missing_progress_are_served() {
    let bench = BenchFixture::new().await;
    for (path, kind) in [("", "text/html"), ("bench.css", "text/css"), ("bench.js", "text/javascript")] {
        let answer = bench.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(kind), "{path}");
    }
    // The first page of `cargo xtask demo` takes this as the sign that the bench has taken its address over.
    assert_eq!(bench.get("progress").await.status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_are_pushed_and_screen_is_still_served() {
    let bench = BenchFixture::new().await;
    let head = b"--next-frame-of-the-screen\r\ncontent-type: image/png\r\n\r\n";
    let ends = |read: &[u8]| read.len() > head.len() && read.ends_with(head);
    let stream = tokio::time::timeout(std::time::Duration::from_secs(10), bench.read_stream("frames", ends));
    let stream = stream.await.unwrap();
    let png = stream.strip_prefix(head).unwrap().strip_suffix(head).unwrap();
    let frame = image::load_from_memory(png).unwrap();
    let screen = bench.get("screen.png").await.bytes().await.unwrap();
    assert_eq!(frame.to_rgb8(), image::load_from_memory(&screen).unwrap().to_rgb8());
    assert_eq!((frame.width(), frame.height()), (90, 160));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_of_state_is_an_event() {
    let bench = BenchFixture::new().await;
    let has = |text: &'static str| move |read: &[u8]| String::from_utf8_lossy(read).contains(text);
    let first = bench.read_stream("events", has("\n\n")).await;
    let event = String::from_utf8(first).unwrap();
    let event: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap().trim()).unwrap();
    assert_eq!(event["rig"], json!({ "running": true }));
    assert_eq!((&event["card"], &event["receipts"], &event["pages"]), (&Value::Null, &json!(0), &json!(1)));
    bench.post("fault", json!({ "name": "paper-out", "on": true })).await;
    bench.post("camera/show", json!({ "text": "YK1:00" })).await;
    bench
        .read_stream(
            "events",
            has("\"phone\":true,\"receipts\":0,\"documents\":0,\"faults\":[\"paper-out\"]"),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rig_requests_are_passed_on_and_refusals_come_back() {
    let bench = BenchFixture::new().await;
    let answer = bench.post("rig", json!({ "do": "link", "link": "platform", "cut": true })).await;
    assert_eq!((answer.status().as_u16(), answer.json::<Value>().await.unwrap()), (200, Value::Null));
    assert_eq!(bench.requests.recv().unwrap(), "{\"do\":\"link\",\"link\":\"platform\",\"cut\":true}");
    let refused = bench.post("rig", json!({ "do": "ledgers" })).await;
    assert_eq!(refused.status(), 409);
    assert_eq!(refused.text().await.unwrap(), "the platform is away");
    assert_eq!(bench.post("rig", json!({ "do": "explode" })).await.status(), 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn card_reader_fault_asks_the_rig_to_disconnect_and_connect() {
    let bench = BenchFixture::new().await;
    assert_eq!(bench.post("fault", json!({ "name": "reader-gone", "on": true })).await.status(), 204);
    assert_eq!(bench.post("fault/clear", json!({})).await.status(), 204);
    let asked: Vec<String> = bench.requests.try_iter().filter(|line| line.contains("readers")).collect();
    assert_eq!(
        asked,
        ["{\"do\":\"readers\",\"connected\":false}", "{\"do\":\"readers\",\"connected\":true}"]
    );
}
