//! An IPP printer on loopback whose answers a test chooses, and that prints a document while it receives it.
//!
//! `ippeveprinter` spools a document and refuses none in the middle; this printer does both otherwise.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use rustix::net::sockopt::set_socket_linger;

/// Operations that the driver sends (RFC 8011, 5.4.15).
const PRINT_JOB: u8 = 0x02;
const CREATE_JOB: u8 = 0x05;
const SEND_DOCUMENT: u8 = 0x06;
const CANCEL_JOB: u8 = 0x08;
const GET_JOB_ATTRIBUTES: u8 = 0x09;

/// Attribute syntaxes and groups (RFC 8010, 3.5).
const OPERATION_GROUP: u8 = 0x01;
const JOB_GROUP: u8 = 0x02;
const PRINTER_GROUP: u8 = 0x04;
const END_OF_ATTRIBUTES: u8 = 0x03;
const NO_VALUE: u8 = 0x13;
const INTEGER: u8 = 0x21;
const BOOLEAN: u8 = 0x22;
const ENUM: u8 = 0x23;
const KEYWORD: u8 = 0x44;
const MIME_TYPE: u8 = 0x49;

const JOB: i32 = 7;

/// `job-state` (RFC 8011, 5.3.7).
pub(crate) const CANCELED: i32 = 7;
pub(crate) const ABORTED: i32 = 8;
pub(crate) const COMPLETED: i32 = 9;

/// How the printer ends the request with the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// With this HTTP status and no content.
    Http(u16),
    /// With this IPP status.
    Ipp(u16),
    /// With this IPP status, and the id of the job that it had created (RFC 8011, B.1.5.9).
    IppWithJob(u16),
    /// The connection is reset.
    Reset,
}

/// When the printer ends the request with the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// No connection is accepted any more when the document is due.
    BeforeRequest,
    /// After the attributes of the request: no byte of the document was read.
    BeforeDocument,
    /// After so many bytes of the document.
    After(usize),
    /// After the whole document.
    AfterDocument,
}

/// What the printer says about its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JobStatement {
    pub(crate) state: i32,
    /// `time-at-processing`: `None` is not stated, `Some(None)` has no value, so the job was never processed.
    pub(crate) time_at_processing: Option<Option<i32>>,
    /// `job-impressions-completed`.
    pub(crate) impressions: Option<i32>,
}

/// What the printer does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// Whether the printer has Create-Job and Send-Document, or Print-Job only.
    pub(crate) supports_create_job: bool,
    pub(crate) moment: Moment,
    pub(crate) reply: Reply,
    /// Whether it prints while it receives. Otherwise it waits for the whole document, and drops what it refuses.
    pub(crate) prints_while_receiving: bool,
    /// `None`: the printer knows no such job.
    pub(crate) job: Option<JobStatement>,
}

#[derive(Default)]
struct Observed {
    document_bytes: usize,
    has_printed: bool,
    cancels: usize,
}

/// The running printer. It ends when this value is dropped.
pub(crate) struct IppEndpoint {
    address: SocketAddr,
    observed: Arc<Mutex<Observed>>,
    thread: Option<JoinHandle<()>>,
}

impl IppEndpoint {
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let observed = Arc::<Mutex<Observed>>::default();
        let shared = Arc::clone(&observed);
        let thread = thread::spawn(move || serve(&listener, script, &shared));
        Self { address, observed, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> String {
        format!("ipp://{}/ipp/print", self.address)
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap()
    }

    /// Whether ink is on paper.
    pub(crate) fn has_printed(&self) -> bool {
        self.observed().has_printed
    }

    /// How many bytes of the document the printer has read.
    pub(crate) fn document_bytes(&self) -> usize {
        self.observed().document_bytes
    }

    /// How many times the job was cancelled.
    pub(crate) fn cancels(&self) -> usize {
        self.observed().cancels
    }
}

impl Drop for IppEndpoint {
    fn drop(&mut self) {
        // A connection without a request ends the thread. It fails if the thread has ended.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(listener: &TcpListener, script: Script, observed: &Mutex<Observed>) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let Some(mut body) = read_head(&stream) else { return };
        let mut request = [0; 8];
        body.read_exact(&mut request).unwrap();
        skip_attributes(&mut body);
        let sends_document = [PRINT_JOB, SEND_DOCUMENT].contains(&request[3]);
        let reply = if sends_document {
            receive_document(&mut body, script, &mut observed.lock().unwrap());
            script.reply
        } else {
            if request[3] == CANCEL_JOB {
                observed.lock().unwrap().cancels += 1;
            }
            Reply::Ipp(if request[3] == GET_JOB_ATTRIBUTES && script.job.is_none() { 0x0406 } else { 0 })
        };
        let attributes = match request[3] {
            PRINT_JOB | SEND_DOCUMENT | CANCEL_JOB => Vec::new(),
            CREATE_JOB => job_id(),
            GET_JOB_ATTRIBUTES => script.job.map(job_attributes).unwrap_or_default(),
            _ => printer_attributes(script),
        };
        answer(&mut stream, reply, &attributes);
        if reply != Reply::Reset {
            // Otherwise unread bytes of the document reset the connection, and the answer with it.
            std::io::copy(&mut body, &mut std::io::sink()).ok();
        }
        if request[3] == CREATE_JOB && script.moment == Moment::BeforeRequest {
            return;
        }
    }
}

fn receive_document(body: &mut impl Read, script: Script, observed: &mut Observed) {
    let mut limit = match script.moment {
        Moment::BeforeRequest | Moment::BeforeDocument => 0,
        Moment::After(bytes) => bytes,
        Moment::AfterDocument => usize::MAX,
    };
    let mut piece = [0; 1024];
    while limit > 0 {
        let most = limit.min(piece.len());
        let count = body.read(&mut piece[..most]).unwrap();
        if count == 0 {
            break;
        }
        observed.document_bytes += count;
        limit -= count;
    }
    let is_accepted = script.moment == Moment::AfterDocument && script.reply == Reply::Ipp(0);
    observed.has_printed |= observed.document_bytes > 0 && (script.prints_while_receiving || is_accepted);
}

/// Reads the head of an HTTP request and returns its content. `None` if the connection ends without a request.
fn read_head(stream: &TcpStream) -> Option<ChunkedReader> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line.to_ascii_lowercase());
    }
    assert!(lines.iter().any(|line| line.starts_with("transfer-encoding: chunked")), "{lines:?}");
    Some(ChunkedReader { reader, left: 0, ended: false })
}

/// The content of a request with `Transfer-Encoding: chunked` (RFC 9112, 7.1).
struct ChunkedReader {
    reader: BufReader<TcpStream>,
    left: usize,
    ended: bool,
}

impl Read for ChunkedReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut line = String::new();
        while self.left == 0 && !self.ended {
            line.clear();
            self.reader.read_line(&mut line)?;
            if line != "\r\n" {
                self.left = usize::from_str_radix(line.trim_end(), 16).unwrap_or_default();
                self.ended = self.left == 0;
            }
        }
        let most = buffer.len().min(self.left);
        let count = self.reader.read(&mut buffer[..most])?;
        self.left -= count;
        Ok(count)
    }
}

fn skip_attributes(body: &mut impl Read) {
    fn skip_value(body: &mut impl Read) {
        let mut length = [0; 2];
        body.read_exact(&mut length).unwrap();
        body.read_exact(&mut vec![0; usize::from(u16::from_be_bytes(length))]).unwrap();
    }
    let mut tag = [0];
    loop {
        body.read_exact(&mut tag).unwrap();
        match tag[0] {
            END_OF_ATTRIBUTES => return,
            0..=0x0F => {}
            _ => {
                skip_value(body);
                skip_value(body);
            }
        }
    }
}

fn answer(stream: &mut TcpStream, reply: Reply, attributes: &[u8]) {
    let (http, ipp, attributes) = match reply {
        Reply::Http(status) => (status, None, Vec::new()),
        Reply::Ipp(status) => (200, Some(status), attributes.to_vec()),
        Reply::IppWithJob(status) => (200, Some(status), job_id()),
        Reply::Reset => {
            set_socket_linger(&*stream, Some(std::time::Duration::ZERO)).unwrap();
            return;
        }
    };
    let content = ipp.map_or_else(Vec::new, |status| {
        let [high, low] = u16::to_be_bytes(status);
        let head = [1, 1, high, low, 0, 0, 0, 1, OPERATION_GROUP];
        let charset = attribute(0x47, "attributes-charset", b"utf-8");
        let language = attribute(0x48, "attributes-natural-language", b"en");
        [&head[..], &charset, &language, &attributes, &[END_OF_ATTRIBUTES]].concat()
    });
    let head = format!(
        "HTTP/1.1 {http} Answer\r\ncontent-type: application/ipp\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        content.len()
    );
    stream.write_all(&[head.as_bytes(), &content].concat()).unwrap();
}

fn attribute(tag: u8, name: &str, value: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[tag][..], &length(name.as_bytes()), name.as_bytes(), &length(value), value].concat()
}

fn job_id() -> Vec<u8> {
    [vec![JOB_GROUP], attribute(INTEGER, "job-id", &JOB.to_be_bytes())].concat()
}

fn job_attributes(job: JobStatement) -> Vec<u8> {
    let mut attributes = [job_id(), attribute(ENUM, "job-state", &job.state.to_be_bytes())].concat();
    match job.time_at_processing {
        None => {}
        Some(None) => attributes.extend(attribute(NO_VALUE, "time-at-processing", b"")),
        Some(Some(time)) => attributes.extend(attribute(INTEGER, "time-at-processing", &time.to_be_bytes())),
    }
    if let Some(count) = job.impressions {
        attributes.extend(attribute(INTEGER, "job-impressions-completed", &count.to_be_bytes()));
    }
    attributes
}

fn printer_attributes(script: Script) -> Vec<u8> {
    let mut attributes = [
        vec![PRINTER_GROUP],
        attribute(ENUM, "printer-state", &3_i32.to_be_bytes()),
        attribute(KEYWORD, "printer-state-reasons", b"none"),
        attribute(BOOLEAN, "printer-is-accepting-jobs", &[1]),
        attribute(MIME_TYPE, "document-format-supported", b"application/pdf"),
        attribute(ENUM, "operations-supported", &i32::from(PRINT_JOB).to_be_bytes()),
    ]
    .concat();
    if script.supports_create_job {
        for operation in [CREATE_JOB, SEND_DOCUMENT] {
            attributes.extend(attribute(ENUM, "", &i32::from(operation).to_be_bytes()));
        }
    }
    attributes
}
