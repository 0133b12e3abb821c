//! The net thread against a server on loopback that misbehaves byte by byte.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use contract::{ChargeState, DeviceId, OrderId, ProblemCode, SecretKey};
use engine::What;
use engine::wire::{Limits, Request};
use session::{Answer, Event, Failure, Ticket, Work};

use super::client::Platform;
use super::{ERRANDS_MAX, Errand, Net};
use crate::inbox::Inbox;
use crate::message::Message;

const PATIENT: Limits = Limits { time: Duration::from_secs(20), answer_bytes: 1000 };

/// What the server does with one request.
#[derive(Clone)]
enum Act {
    /// Sends these bytes and keeps the connection.
    Send(String),
    /// Sends these bytes and closes.
    SendAndClose(String),
    /// Keeps silent until the client gives up.
    Hang,
}

fn json(status: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Answers the n-th request with the n-th act; tells each request as it came.
fn server(acts: Vec<Act>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (seen, requests) = mpsc::channel();
    thread::spawn(move || {
        let mut acts = acts.into_iter();
        let mut hanging = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Some(request) = read_request(&mut stream) {
                let act = acts.next();
                seen.send(request).unwrap();
                match act {
                    Some(Act::Send(answer)) => stream.write_all(answer.as_bytes()).unwrap(),
                    Some(Act::SendAndClose(answer)) => {
                        stream.write_all(answer.as_bytes()).unwrap();
                        break;
                    }
                    Some(Act::Hang) => {
                        hanging.push(stream);
                        break;
                    }
                    None => return,
                }
            }
        }
    });
    (address, requests)
}

/// A whole request, or nothing when the client closed.
fn read_request(stream: &mut TcpStream) -> Option<String> {
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
    Some(head + &String::from_utf8(body).unwrap())
}

fn device() -> DeviceId {
    "K-TEST".parse().unwrap()
}

fn platform(address: &str) -> Platform {
    Platform::new(address, device(), SecretKey::from_bytes(&[7; 32]).unwrap().into()).unwrap()
}

/// Asks after an order; what the kiosk is told of it.
async fn ask(platform: &Platform, limits: Limits) -> Result<ChargeState, Failure> {
    let request = Request { limits, ..Request::inquire(OrderId::from_entropy(1)) };
    let What::Event(Event::Payment(_, state)) = platform.carry(request).await else {
        panic!("another answer than to an inquiry");
    };
    state
}

fn inquire_with(acts: Vec<Act>, limits: Limits) -> (Result<ChargeState, Failure>, usize) {
    let (address, requests) = server(acts);
    let platform = platform(&address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let state = runtime.block_on(ask(&platform, limits));
    drop(runtime);
    (state, requests.try_iter().count())
}

fn inquire(act: Act) -> Result<ChargeState, Failure> {
    let (state, requests) = inquire_with(vec![act], PATIENT);
    assert_eq!(requests, 1, "a request is made once");
    state
}

#[test]
fn a_whole_answer_is_the_answer() {
    let act = Act::Send(json("200 OK", "application/json", r#"{"state":"pending"}"#));
    assert_eq!(inquire(act), Ok(ChargeState::Pending));
}

#[test]
fn nonsense_is_nonsense() {
    let html = json("200 OK", "text/html", "<html>welcome to the hotel</html>");
    assert_eq!(inquire(Act::Send(html)), Err(Failure::Nonsense));
}

#[test]
fn a_refusal_keeps_its_code() {
    let body = r#"{"code":"bill-busy","status":409,"title":"another order is live"}"#;
    let act = Act::Send(json("409 Conflict", "application/problem+json", body));
    assert_eq!(inquire(act), Err(Failure::Problem(ProblemCode::BillBusy)));
}

#[test]
fn a_redirect_is_not_followed() {
    let act = Act::Send("HTTP/1.1 307 T\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".into());
    assert_eq!(inquire(act), Err(Failure::Nonsense));
}

#[test]
fn half_a_body_is_no_answer() {
    let whole = json("200 OK", "application/json", r#"{"state":"pending"}"#);
    for cut in [whole.len() - 1, whole.len() - 10, 40, 20, 5, 0] {
        let act = Act::SendAndClose(whole.chars().take(cut).collect());
        assert_eq!(inquire(act), Err(Failure::Unreachable), "cut at {cut}");
    }
}

#[test]
fn what_is_not_http_is_no_answer() {
    assert_eq!(inquire(Act::SendAndClose("SSH-2.0-server\r\n".into())), Err(Failure::Unreachable));
}

#[test]
fn silence_is_no_answer() {
    let short = Limits { time: Duration::from_millis(100), ..PATIENT };
    assert_eq!(inquire_with(vec![Act::Hang], short).0, Err(Failure::Unreachable));
}

#[test]
fn nobody_listening_is_no_answer() {
    let address = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let platform = platform(&address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(ask(&platform, PATIENT)), Err(Failure::Unreachable));
}

#[test]
fn an_answer_larger_than_any_is_nonsense() {
    let exact = format!("{:<1000}", r#"{"state":"pending"}"#);
    assert_eq!(inquire(Act::Send(json("200 OK", "application/json", &exact))), Ok(ChargeState::Pending));
    let over = format!("{exact} ");
    assert_eq!(inquire(Act::Send(json("200 OK", "application/json", &over))), Err(Failure::Nonsense));
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
        + &"1f4\r\n"
            .chars()
            .chain(std::iter::repeat_n(' ', 500))
            .chain("\r\n".chars())
            .collect::<String>()
            .repeat(9);
    assert_eq!(inquire(Act::Send(endless)), Err(Failure::Nonsense));
}

#[test]
fn a_request_lost_on_a_connection_that_was_kept_is_not_made_again() {
    let good = json("200 OK", "application/json", r#"{"state":"pending"}"#);
    let (address, requests) = server(vec![Act::Send(good), Act::SendAndClose(String::new()), Act::Hang]);
    let platform = platform(&address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = runtime.block_on(async {
        let first = ask(&platform, PATIENT).await;
        (first, ask(&platform, PATIENT).await)
    });
    assert_eq!((first, second), (Ok(ChargeState::Pending), Err(Failure::Unreachable)));
    assert_eq!(requests.try_iter().count(), 2);
}

#[test]
fn every_request_names_the_kiosk_and_is_signed() {
    let (address, requests) = server(vec![Act::Send(json("200 OK", "application/json", "{}"))]);
    let platform = platform(&address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _ = runtime.block_on(ask(&platform, PATIENT));
    let request = requests.recv().unwrap();
    let header = |name: &str| {
        let line = request.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {request}")).to_owned()
    };
    assert!(request.starts_with("POST /v1/inquiries HTTP/1.1\r\n"));
    assert_eq!(header("x-device"), device().to_string());
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let hash: String = contract::sm3(&[body.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect();
    let message = format!("POST\n/v1/inquiries\n{}\n{hash}", header("x-time"));
    let key = SecretKey::from_bytes(&[7; 32]).unwrap().public();
    key.verify(message.as_bytes(), &header("x-signature").parse().unwrap()).unwrap();
}

#[test]
fn plain_http_stays_on_the_machine() {
    let new =
        |base: &str| Platform::new(base, device(), SecretKey::from_bytes(&[7; 32]).unwrap().into()).is_ok();
    for good in ["http://127.0.0.1:8080", "http://127.0.0.1:8080/", "http://[::1]:80", "http://localhost:1"] {
        assert!(new(good), "{good}");
    }
    for bad in
        ["http://10.0.0.1:80", "http://platform.example", "https://127.0.0.1", "http://127.0.0.1/x", "", "x"]
    {
        assert!(!new(bad), "{bad}");
    }
}

fn balance(ticket: u64) -> Errand {
    let work = Work::Call(contract::CallRequest {
        key: contract::VisitKey("k".into()),
        operation: "medical.balance".into(),
        consent: None,
        service: "medical.balance".into(),
    });
    Errand::Ask(Request::work(Ticket(ticket), &work).unwrap())
}

#[test]
fn cancelled_work_is_not_answered_and_holds_nothing_up() {
    let rows = json("200 OK", "application/json", r#"{"rows":[]}"#);
    let (address, requests) = server(vec![Act::Hang, Act::Send(rows)]);
    let inbox = Inbox::new();
    let net = Net::start(platform(&address), inbox.port(ERRANDS_MAX), inbox.port(1)).unwrap();
    assert!(net.send(balance(1)).is_none());
    requests.recv().unwrap();
    assert!(net.send(Errand::Cancel(Ticket(1))).is_none());
    assert!(net.send(balance(2)).is_none());
    let answer = inbox.take(Instant::now() + Duration::from_secs(20));
    let Some(Message::Happened(What::Event(Event::Answer(Ticket(2), Ok(Answer::Called(called)))))) = answer
    else {
        panic!("no answer to the second piece of work");
    };
    assert_eq!(called.rows.len(), 0);
}

#[test]
fn more_errands_than_fit_are_answered_at_once() {
    let (address, _requests) = server(Vec::new());
    let inbox = Inbox::new();
    let net = Net::start(platform(&address), inbox.port(ERRANDS_MAX), inbox.port(1)).unwrap();
    let refused =
        (0..100_000).find_map(|order| net.send(Errand::Ask(Request::inquire(OrderId::from_entropy(order)))));
    let Some(Message::Happened(What::Event(Event::Payment(_, Err(Failure::Unreachable))))) = refused else {
        panic!("a queue without end");
    };
}
