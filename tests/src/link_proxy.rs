//! A link that can be cut: an HTTP relay on loopback between two programs, with faults by request path.
//!
//! Each connection carries one request, so that a fault affects exactly the intended exchange. On a TLS link the
//! relay terminates TLS on both sides, as a gateway does, and records the plaintext: apart from the request path, by
//! which the relay selects the fault, all content should be encrypted.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::relay_endpoints::RelayEndpoints;

/// Largest relayed message, in bytes.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Read timeout, after which the peer counts as disconnected.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A fault of the link. The string is a prefix of the request paths that it affects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkCut {
    /// No fault.
    None,
    /// Link down: every connection is closed at once.
    Down,
    /// Requests do not arrive.
    DropRequest(String),
    /// Requests arrive; their responses are lost.
    DropResponse(String),
    /// Requests do not arrive and get an HTML page as response, as behind a captive portal.
    InvalidResponse(String),
}

/// TLS on both sides of a relay, and the file of recorded plaintext.
pub struct TlsGateway {
    endpoints: RelayEndpoints,
    capture: Mutex<File>,
}

impl TlsGateway {
    /// A gateway that records the plaintext of both directions of every exchange in `seen`.
    #[must_use]
    pub const fn new(endpoints: RelayEndpoints, seen: File) -> Self {
        Self { endpoints, capture: Mutex::new(seen) }
    }

    fn record(&self, message: &[u8]) -> io::Result<()> {
        self.capture.lock().unwrap_or_else(PoisonError::into_inner).write_all(message)
    }
}

/// The relay. It listens until the process ends. A clone is the same relay.
#[derive(Clone)]
pub struct LinkProxy {
    address: SocketAddr,
    scheme: &'static str,
    cut: Arc<Mutex<LinkCut>>,
}

impl LinkProxy {
    /// Relays from a free port to `upstream`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        Self::run(upstream, None)
    }

    /// Relays from a free port to `upstream`, with TLS on both sides.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start_tls(upstream: SocketAddr, gateway: TlsGateway) -> io::Result<Self> {
        Self::run(upstream, Some(Arc::new(gateway)))
    }

    fn run(upstream: SocketAddr, gateway: Option<Arc<TlsGateway>>) -> io::Result<Self> {
        let scheme = if gateway.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let cut = Arc::new(Mutex::new(LinkCut::None));
        let shared = Arc::clone(&cut);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let cut = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // A failed exchange looks to both sides like a cut link; its error needs no handling.
                let gateway = gateway.clone();
                std::thread::spawn(move || relay(client, upstream, &cut, gateway.as_deref()).ok());
            }
        });
        Ok(Self { address, scheme, cut })
    }

    /// Base URL of the relay.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Sets or clears the fault; it affects connections accepted from now on.
    pub fn set_cut(&self, cut: LinkCut) {
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = cut;
    }

    /// Whether a fault is set.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) != LinkCut::None
    }
}

fn relay(
    mut client: TcpStream,
    upstream: SocketAddr,
    cut: &LinkCut,
    gateway: Option<&TlsGateway>,
) -> io::Result<()> {
    if *cut == LinkCut::Down {
        return Ok(());
    }
    client.set_read_timeout(Some(READ_TIMEOUT))?;
    let connect = || {
        let server = TcpStream::connect(upstream)?;
        server.set_read_timeout(Some(READ_TIMEOUT))?;
        io::Result::Ok(server)
    };
    let Some(gateway) = gateway else {
        return exchange(&mut client, |_| connect(), cut, |_| Ok(()));
    };
    let mut client = gateway.endpoints.accept_kiosk(client)?;
    let call = |client: &_| gateway.endpoints.connect_as_caller(client, connect()?);
    exchange(&mut client, call, cut, |message| gateway.record(message))?;
    client.conn.send_close_notify();
    client.flush()
}

/// Relays one request and its response.
fn exchange<C: Read + Write, S: Read + Write>(
    client: &mut C,
    connect: impl FnOnce(&C) -> io::Result<S>,
    cut: &LinkCut,
    note: impl Fn(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let request = read_message(client)?;
    note(&request)?;
    let hit = |prefix: &str| request_path(&request).is_some_and(|path| path.starts_with(prefix));
    match cut {
        LinkCut::DropRequest(prefix) if hit(prefix) => return Ok(()),
        LinkCut::InvalidResponse(prefix) if hit(prefix) => {
            let body = "<html>hotel login</html>";
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            return client.write_all(format!("{head}{body}").as_bytes());
        }
        LinkCut::None
        | LinkCut::Down
        | LinkCut::DropRequest(_)
        | LinkCut::DropResponse(_)
        | LinkCut::InvalidResponse(_) => {}
    }
    let mut server = connect(client)?;
    server.write_all(&request)?;
    server.flush()?;
    let answer = read_message(&mut server)?;
    note(&answer)?;
    if matches!(cut, LinkCut::DropResponse(prefix) if hit(prefix)) {
        return Ok(());
    }
    client.write_all(&with_connection_close(&answer))
}

/// Reads a head and a body of the length that its `content-length` announces; without the header the body is empty.
fn read_message(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(end) = head_end(&message)
            && message.len() >= end + body_length(&message)
        {
            return Ok(message);
        }
        let read = from.read(&mut chunk)?;
        let fresh = chunk.get(..read).unwrap_or_default();
        if fresh.is_empty() || message.len() + read > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        message.extend_from_slice(fresh);
    }
}

fn head_end(message: &[u8]) -> Option<usize> {
    message.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn head_text(message: &[u8]) -> String {
    let end = head_end(message).unwrap_or(message.len());
    String::from_utf8_lossy(message.get(..end).unwrap_or_default()).into_owned()
}

fn body_length(message: &[u8]) -> usize {
    head_text(message)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

fn request_path(request: &[u8]) -> Option<String> {
    head_text(request).split_whitespace().nth(1).map(str::to_owned)
}

/// The response with `connection: close`, so that the next exchange opens a new connection and meets the current fault.
fn with_connection_close(answer: &[u8]) -> Vec<u8> {
    let end = head_end(answer).unwrap_or(answer.len());
    let mut lines: Vec<String> = head_text(answer)
        .trim_end()
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"))
        .map(str::to_owned)
        .collect();
    lines.push("connection: close".to_owned());
    let mut whole = lines.join("\r\n").into_bytes();
    whole.extend_from_slice(b"\r\n\r\n");
    whole.extend_from_slice(answer.get(end..).unwrap_or_default());
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn server(served: Arc<AtomicUsize>) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                if read_message(&mut client).is_ok() {
                    served.fetch_add(1, Ordering::SeqCst);
                    client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").ok();
                }
            }
        });
        address
    }

    fn ask(proxy: &LinkProxy, path: &str) -> String {
        let mut client = TcpStream::connect(proxy.address).unwrap();
        let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody");
        client.write_all(request.as_bytes()).ok();
        let mut answer = String::new();
        client.read_to_string(&mut answer).ok();
        answer
    }

    #[test]
    fn each_cut_affects_its_direction_and_path_only() {
        let served = Arc::new(AtomicUsize::new(0));
        let proxy = LinkProxy::start(server(Arc::clone(&served))).unwrap();
        assert!(ask(&proxy, "/v1/charges").ends_with("ok"));
        assert_eq!(served.load(Ordering::SeqCst), 1);

        proxy.set_cut(LinkCut::DropRequest("/v1/charges".into()));
        assert_eq!(ask(&proxy, "/v1/charges"), "");
        assert_eq!(served.load(Ordering::SeqCst), 1, "never arrived");
        assert!(ask(&proxy, "/v1/records").ends_with("ok"));

        proxy.set_cut(LinkCut::DropResponse("/v1/charges".into()));
        assert_eq!(ask(&proxy, "/v1/charges"), "");
        assert_eq!(served.load(Ordering::SeqCst), 3, "arrived, its response lost");

        proxy.set_cut(LinkCut::InvalidResponse("/v1/".into()));
        assert!(ask(&proxy, "/v1/identify").contains("hotel"));

        proxy.set_cut(LinkCut::Down);
        assert_eq!(ask(&proxy, "/v1/records"), "");
        proxy.set_cut(LinkCut::None);
        assert!(ask(&proxy, "/v1/records").ends_with("ok"));
    }
}
