//! The net thread against a loopback server that has a valid certificate and sends faulty bytes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use contract::{
    AnswerKey, ChargeState, DEVICE_HEADER, EnvelopeSecret, KioskId, OrderId, ProblemCode, RequestBinding,
    SEALED_TYPE, SIGNATURE_HEADER, SecretKey, TIME_HEADER, request_bytes_to_sign,
};
use engine::InputEvent;
use engine::platform_api::{OutgoingRequest, RequestLimits};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use session::{Event, Failure, PlatformWork, Ticket, WorkAnswer};

use super::client::PlatformClient;
use super::test_authority::TestAuthority;
use super::{Net, NetCommand, REQUESTS_MAX};
use crate::inbox::Inbox;
use crate::message::EngineMessage;

const LONG_LIMITS: RequestLimits = RequestLimits { time: Duration::from_secs(20), response_bytes: 1000 };
const PENDING: &str = r#"{"state":"pending"}"#;

/// What the server does with one request.
#[derive(Clone)]
enum ServerAction {
    /// Seals this answer to the request and keeps the connection open.
    Answer(&'static str, String),
    /// Sends a sealed answer cut off after so many bytes, and closes.
    Cut(usize),
    /// Sends these bytes and keeps the connection open.
    Send(String),
    /// Sends these bytes and closes.
    SendAndClose(String),
    /// Sends nothing until the client gives up.
    Hang,
}

fn http(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn plain(status: &str, content_type: &str, body: &str) -> String {
    String::from_utf8(http(status, content_type, body.as_bytes())).unwrap()
}

fn envelope() -> EnvelopeSecret {
    EnvelopeSecret::new(1, &[8; 32]).unwrap()
}

/// A request as the server received it.
struct ReceivedRequest {
    head: String,
    sealed: Vec<u8>,
}

impl ReceivedRequest {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    fn open(&self) -> (Vec<u8>, AnswerKey) {
        let mut line = self.head.split_whitespace();
        let (method, target) = (line.next().unwrap(), line.next().unwrap());
        let to = RequestBinding {
            method,
            target,
            device: self.header(DEVICE_HEADER),
            time: self.header(TIME_HEADER),
        };
        let (body, answer) = EnvelopeSecret::open(&[envelope()], &self.sealed, to).unwrap();
        (body.to_vec(), answer)
    }

    fn sealed_answer(&self, status: &str, body: &str) -> Vec<u8> {
        let code = status.split_whitespace().next().unwrap().parse().unwrap();
        let sealed = self.open().1.seal(code, body.as_bytes(), &[1; 11]);
        http(status, SEALED_TYPE, &sealed)
    }
}

/// Starts a server that handles the n-th request with the n-th action and passes on each received request.
fn server(actions: Vec<ServerAction>) -> (String, Receiver<ReceivedRequest>) {
    serve(TestAuthority::shared().server(), actions)
}

fn serve(config: Arc<ServerConfig>, actions: Vec<ServerAction>) -> (String, Receiver<ReceivedRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let (seen, requests) = mpsc::channel();
    thread::spawn(move || {
        let mut actions = actions.into_iter();
        let mut hanging = Vec::new();
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            while let Some(request) = read_request(&mut stream) {
                let (bytes, close) = match actions.next() {
                    Some(ServerAction::Answer(status, body)) => (request.sealed_answer(status, &body), false),
                    Some(ServerAction::Cut(at)) => {
                        (request.sealed_answer("200 OK", PENDING).into_iter().take(at).collect(), true)
                    }
                    Some(ServerAction::Send(answer)) => (answer.into_bytes(), false),
                    Some(ServerAction::SendAndClose(answer)) => (answer.into_bytes(), true),
                    Some(ServerAction::Hang) => {
                        hanging.push(stream);
                        seen.send(request).unwrap();
                        break;
                    }
                    None => return,
                };
                seen.send(request).unwrap();
                stream.write_all(&bytes).unwrap();
                if close {
                    stream.conn.send_close_notify();
                    stream.flush().unwrap();
                    break;
                }
            }
        }
    });
    (address, requests)
}

/// Reads a whole request; `None` when the client closed the connection.
fn read_request(stream: &mut StreamOwned<ServerConnection, TcpStream>) -> Option<ReceivedRequest> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return None;
        }
        bytes.extend(byte);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    Some(ReceivedRequest { head, sealed: body })
}

fn device() -> KioskId {
    "K-TEST".parse().unwrap()
}

fn platform(address: &str) -> PlatformClient {
    let key = SecretKey::from_bytes(&[7; 32]).unwrap();
    PlatformClient::new(
        address,
        device(),
        key.into(),
        envelope().public(),
        TestAuthority::shared().kiosk(device()),
    )
    .unwrap()
}

/// Sends an inquiry about an order. Returns the state that the engine receives.
async fn send_inquiry(platform: &PlatformClient, limits: RequestLimits) -> Result<ChargeState, Failure> {
    let request = OutgoingRequest { limits, ..OutgoingRequest::inquire(OrderId::from_entropy(1)) };
    let InputEvent::Kiosk(Event::PaymentAnswered(_, state)) = platform.execute(request).await else {
        panic!("the answer is not to the inquiry");
    };
    state
}

fn inquire_with(actions: Vec<ServerAction>, limits: RequestLimits) -> (Result<ChargeState, Failure>, usize) {
    let (address, requests) = server(actions);
    let platform = platform(&address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let state = runtime.block_on(send_inquiry(&platform, limits));
    drop(runtime);
    (state, requests.try_iter().count())
}

fn inquire(action: ServerAction) -> Result<ChargeState, Failure> {
    let (state, requests) = inquire_with(vec![action], LONG_LIMITS);
    assert_eq!(requests, 1, "a request is made once");
    state
}

#[test]
fn complete_answer_is_decoded() {
    assert_eq!(inquire(ServerAction::Answer("200 OK", PENDING.into())), Ok(ChargeState::Pending));
}

#[test]
fn sealed_garbage_is_invalid_response() {
    assert_eq!(inquire(ServerAction::Answer("200 OK", "<html>".into())), Err(Failure::InvalidResponse));
}

#[test]
fn problem_answer_keeps_its_code() {
    let body = r#"{"code":"bill-busy","status":409,"title":"another order is live"}"#;
    let busy = Err(Failure::Problem(ProblemCode::BillBusy));
    assert_eq!(inquire(ServerAction::Answer("409 Conflict", body.into())), busy);
}

/// I1: otherwise a proxy that terminates TLS in front of the platform could make the kiosk take a charged order for
/// a refused one.
#[test]
fn unsealed_answer_is_never_a_refusal_of_the_platform() {
    let pending = plain("200 OK", "application/json", PENDING);
    assert_eq!(inquire(ServerAction::Send(pending)), Err(Failure::InvalidResponse));
    let body = r#"{"code":"bill-busy","status":409,"title":"another order is live"}"#;
    let refusal = plain("409 Conflict", "application/problem+json", body);
    assert_eq!(inquire(ServerAction::Send(refusal)), Err(Failure::InvalidResponse));
    let gateway = plain("502 Bad Gateway", "text/html", "<h1>Bad gateway");
    assert_eq!(inquire(ServerAction::Send(gateway)), Err(Failure::Unreachable));
    let unopenable = plain("200 OK", SEALED_TYPE, &"x".repeat(60));
    assert_eq!(inquire(ServerAction::Send(unopenable)), Err(Failure::InvalidResponse));
}

#[test]
fn redirect_is_not_followed() {
    let action =
        ServerAction::Send("HTTP/1.1 307 T\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".into());
    assert_eq!(inquire(action), Err(Failure::InvalidResponse));
}

#[test]
fn truncated_body_is_unreachable() {
    let whole = http("200 OK", SEALED_TYPE, &[0; PENDING.len() + contract::ANSWER_OVERHEAD]).len();
    assert_eq!(inquire(ServerAction::Cut(whole)), Ok(ChargeState::Pending));
    for cut in [whole - 1, whole - 10, 40, 20, 5, 0] {
        assert_eq!(inquire(ServerAction::Cut(cut)), Err(Failure::Unreachable), "cut at {cut}");
    }
}

#[test]
fn answer_that_is_not_http_is_unreachable() {
    assert_eq!(inquire(ServerAction::SendAndClose("SSH-2.0-server\r\n".into())), Err(Failure::Unreachable));
}

#[test]
fn timeout_is_unreachable() {
    let short = RequestLimits { time: Duration::from_millis(500), ..LONG_LIMITS };
    assert_eq!(inquire_with(vec![ServerAction::Hang], short).0, Err(Failure::Unreachable));
}

fn inquire_at(address: &str) -> Result<ChargeState, Failure> {
    let platform = platform(address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(send_inquiry(&platform, LONG_LIMITS))
}

#[test]
fn refused_connection_is_unreachable() {
    let address = format!("https://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    assert_eq!(inquire_at(&address), Err(Failure::Unreachable));
}

#[test]
fn untrusted_platform_receives_no_request() {
    let (address, requests) =
        serve(TestAuthority::generate().server(), vec![ServerAction::Answer("200 OK", PENDING.into())]);
    assert_eq!(inquire_at(&address), Err(Failure::Unreachable));
    let other_name = TestAuthority::shared().server_named("platform.elsewhere");
    let (address, more) = serve(other_name, vec![ServerAction::Answer("200 OK", PENDING.into())]);
    assert_eq!(inquire_at(&address), Err(Failure::Unreachable));
    assert_eq!(requests.try_iter().chain(more.try_iter()).count(), 0);
}

#[test]
fn answer_over_size_limit_is_invalid_response() {
    let exact = format!("{PENDING:<1000}");
    assert_eq!(inquire(ServerAction::Answer("200 OK", exact.clone())), Ok(ChargeState::Pending));
    assert_eq!(inquire(ServerAction::Answer("200 OK", format!("{exact} "))), Err(Failure::InvalidResponse));
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
        + &"1f4\r\n"
            .chars()
            .chain(std::iter::repeat_n(' ', 500))
            .chain("\r\n".chars())
            .collect::<String>()
            .repeat(9);
    assert_eq!(inquire(ServerAction::Send(endless)), Err(Failure::InvalidResponse));
}

#[test]
fn request_lost_on_reused_connection_is_not_repeated() {
    let good = ServerAction::Answer("200 OK", PENDING.into());
    let (address, requests) =
        server(vec![good, ServerAction::SendAndClose(String::new()), ServerAction::Hang]);
    let platform = platform(&address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = runtime.block_on(async {
        let first = send_inquiry(&platform, LONG_LIMITS).await;
        (first, send_inquiry(&platform, LONG_LIMITS).await)
    });
    assert_eq!((first, second), (Ok(ChargeState::Pending), Err(Failure::Unreachable)));
    assert_eq!(requests.try_iter().count(), 2);
}

#[test]
fn request_names_kiosk_and_is_sealed_then_signed() {
    let (address, requests) = server(vec![ServerAction::Answer("200 OK", PENDING.into())]);
    let _ = inquire_at(&address);
    let request = requests.recv().unwrap();
    assert!(request.head.starts_with("POST /v1/inquiries HTTP/1.1\r\n"));
    assert_eq!(request.header(DEVICE_HEADER), device().to_string());
    assert_eq!(request.header("content-type"), SEALED_TYPE);
    let contract::routes::Route { method, path } = contract::routes::INQUIRIES;
    let message = request_bytes_to_sign(method, path, request.header(TIME_HEADER), &request.sealed);
    let key = SecretKey::from_bytes(&[7; 32]).unwrap().public();
    key.verify(&message, &request.header(SIGNATURE_HEADER).parse().unwrap()).unwrap();
    let (body, _) = request.open();
    assert_eq!(
        body,
        serde_json::to_vec(&contract::InquiryRequest { order: OrderId::from_entropy(1) }).unwrap()
    );
}

#[test]
fn base_url_without_tls_is_refused() {
    let new = |base: &str| {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        PlatformClient::new(
            base,
            device(),
            key.into(),
            envelope().public(),
            TestAuthority::shared().kiosk(device()),
        )
        .is_ok()
    };
    for good in ["https://127.0.0.1:8443", "https://platform.example/", "https://[::1]:443"] {
        assert!(new(good), "{good}");
    }
    for bad in ["http://127.0.0.1:80", "http://localhost:1", "https://127.0.0.1/x", "https://", "", "x"] {
        assert!(!new(bad), "{bad}");
    }
}

fn balance(ticket: u64) -> NetCommand {
    let work = PlatformWork::CallOperation(contract::CallRequest {
        key: contract::VisitKey("k".into()),
        operation: "medical.balance".into(),
        consent: None,
        service: "medical.balance".into(),
        input: std::collections::BTreeMap::new(),
        ticket: None,
    });
    NetCommand::Send(OutgoingRequest::work(Ticket(ticket), &work))
}

#[test]
fn cancelled_request_has_no_answer_and_blocks_nothing() {
    let rows = ServerAction::Answer("200 OK", r#"{"rows":[]}"#.into());
    let (address, requests) = server(vec![ServerAction::Hang, rows]);
    let inbox = Inbox::new();
    let net = Net::start(platform(&address), inbox.sender(REQUESTS_MAX), inbox.sender(1)).unwrap();
    assert!(net.send(balance(1)).is_none());
    requests.recv().unwrap();
    assert!(net.send(NetCommand::Cancel(Ticket(1))).is_none());
    assert!(net.send(balance(2)).is_none());
    let answer = inbox.receive_until(Instant::now() + Duration::from_secs(20));
    let Some(EngineMessage::Input(InputEvent::Kiosk(Event::WorkAnswered(
        Ticket(2),
        Ok(WorkAnswer::CallAnswered(called)),
    )))) = answer
    else {
        panic!("no answer to the second request");
    };
    assert_eq!(called.rows.len(), 0);
}

#[test]
fn request_over_queue_limit_is_answered_at_once() {
    let (address, _requests) = server(Vec::new());
    let inbox = Inbox::new();
    let net = Net::start(platform(&address), inbox.sender(REQUESTS_MAX), inbox.sender(1)).unwrap();
    let refused = (0..100_000)
        .find_map(|order| net.send(NetCommand::Send(OutgoingRequest::inquire(OrderId::from_entropy(order)))));
    let Some(EngineMessage::Input(InputEvent::Kiosk(Event::PaymentAnswered(_, Err(Failure::Unreachable))))) =
        refused
    else {
        panic!("the queue is not bounded");
    };
}
