//! An A4 printer with IPP (RFC 8010, 8011), or a CUPS queue in front of one.
//!
//! The course of a document: query the printer; create a job, which prints nothing yet; send the document to that
//! job; poll the job until it ends. A printer without Create-Job gets Print-Job, where a lost response leaves the
//! outcome unknown. A stalled job is cancelled: no document may come out after its owner has left.
//!
//! No TLS: the printer is behind a queue on the same machine, or on the kiosk's own network segment.

use std::io::Cursor;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use ipp::attribute::{IppAttribute, IppAttributes};
use ipp::model::DelimiterTag;
use ipp::operation::IppOperation;
use ipp::operation::builder::IppOperationBuilder;
use ipp::parser::{IppParseError, IppParser};
use ipp::payload::IppPayload;
use ipp::reader::IppReader;
use ipp::request::IppRequestResponse;
use ipp::value::IppValue;
use ureq::http::Uri;

use crate::document::A4Document;
use crate::document::fault::PdfFault;
use crate::document::pdf::{DocumentFonts, render_pdf};
use crate::document::status::{DocumentPrinterStatus, JobState, JobStatus};
use crate::print_outcome::{PrintConfirmation, PrintFailure, PrintOutcome, PrintProgress};

/// Timeout of a connection to a printer on the kiosk's own network segment.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout of a request without a document.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout of a request with a document: a slow printer renders while it receives.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Interval of progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Interval between two queries of a job.
const POLL_INTERVAL: Duration = Duration::from_millis(700);

/// Time for warming up, and for each page of the slowest printer (a guess: 4 pages per minute).
const WARM_UP: Duration = Duration::from_secs(60);
const PAGE_TIME: Duration = Duration::from_secs(15);

/// How long a job may wait for paper or for a closed cover while the resident is waiting.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a job may wait if the printer reports an empty tray but does not stop: it may have another tray.
const TRAY_EMPTY_TIMEOUT: Duration = Duration::from_secs(40);

/// How long a cancelled job may take to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest response that is read, in bytes: the requested attributes take a few hundred.
const ANSWER_MAX: u64 = 64 * 1024;

/// Lowest status code that is an error (RFC 8011, B.1).
const ERROR_STATUS_MIN: u16 = 0x0400;
const FORMAT_NOT_SUPPORTED: u16 = 0x040A;

/// `operations-supported`: Create-Job and Send-Document (RFC 8011, 5.4.15).
const CREATE_JOB: i32 = 5;
const SEND_DOCUMENT: i32 = 6;

/// Why a document printer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DocumentPrinterFault {
    /// The address has not the form `ipp://host/path`.
    #[error("`{0}` is not the address of an IPP printer: it looks like ipp://127.0.0.1/printers/a4")]
    Address(String),
    /// Nothing answers at the address, or not with IPP.
    #[error("the A4 printer does not answer: check that it is on, and its cable")]
    Unreachable,
    /// The printer rejected the request with this IPP status.
    #[error("the A4 printer rejected the request (IPP status {0:#06x}): check its queue")]
    Refused(u16),
}

/// A document printer.
pub struct DocumentPrinter {
    uri: Uri,
    /// `uri` as an HTTP URL.
    url: String,
}

/// Attributes of a printer that matter before a job.
struct Readiness {
    status: DocumentPrinterStatus,
    supports_pdf: bool,
    supports_create_job: bool,
}

/// How a request failed.
enum RequestFailure {
    /// The printer did not receive the request.
    NotSent,
    /// Unknown outcome: the printer may have received the request.
    Unknown,
    /// The printer rejected the request with this IPP status.
    Refused(u16),
}

impl DocumentPrinter {
    /// Creates a client of the printer at `ipp://host[:631]/path`. Sends nothing.
    ///
    /// # Errors
    /// [`DocumentPrinterFault::Address`] if the address has another form.
    pub fn for_address(address: &str) -> Result<Self, DocumentPrinterFault> {
        let wrong = || DocumentPrinterFault::Address(address.to_owned());
        let uri: Uri = address.parse().map_err(|_| wrong())?;
        let (Some("ipp"), Some(host)) = (uri.scheme_str(), uri.host()) else { return Err(wrong()) };
        let url = format!("http://{host}:{}{}", uri.port_u16().unwrap_or(631), uri.path());
        Ok(Self { uri, url })
    }

    /// Queries the status of the printer.
    ///
    /// # Errors
    /// If the printer does not answer, answers with something other than IPP, or rejects the request.
    pub fn status(
        &self,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Result<DocumentPrinterStatus, DocumentPrinterFault> {
        self.readiness(progress).map(|readiness| readiness.status)
    }

    /// Prints one document once. Returns within minutes; calls `progress` at least every second.
    pub fn print(&self, document: &A4Document, progress: &mut dyn FnMut(PrintProgress)) -> PrintOutcome {
        progress(PrintProgress::QueryingStatus);
        let (bytes, pages) = match prepare(document) {
            Ok(prepared) => prepared,
            Err(fault) => {
                tracing::warn!(
                    fault = &fault as &dyn std::error::Error,
                    "cannot render A4 document: nothing was sent to the printer"
                );
                return PrintOutcome::NotStarted(PrintFailure::Unprintable);
            }
        };
        progress(PrintProgress::QueryingStatus);
        let readiness = match self.readiness(progress) {
            Ok(readiness) => readiness,
            Err(fault) => {
                tracing::warn!(
                    fault = &fault as &dyn std::error::Error,
                    "cannot query A4 printer: nothing was sent"
                );
                return PrintOutcome::NotStarted(PrintFailure::Disconnected);
            }
        };
        if let Some(failure) = readiness.status.blocking_failure() {
            return PrintOutcome::NotStarted(failure);
        }
        if !readiness.supports_pdf {
            tracing::warn!("A4 printer does not support PDF: configure a CUPS queue in front of it");
            return PrintOutcome::NotStarted(PrintFailure::Unprintable);
        }
        match self.submit(bytes, &readiness, progress) {
            Ok(job) => self.await_job(job, pages, progress),
            Err(outcome) => outcome,
        }
    }

    /// Sends the document and returns the id of its job.
    fn submit(
        &self,
        bytes: Vec<u8>,
        readiness: &Readiness,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Result<i32, PrintOutcome> {
        let total_bytes = bytes.len();
        let mut sending = |_| progress(PrintProgress::Sending { sent_bytes: 0, total_bytes });
        if !readiness.supports_create_job {
            let print = IppOperationBuilder::print_job(self.uri.clone(), IppPayload::new(Cursor::new(bytes)))
                .user_name("kiosk")
                .job_title("kiosk")
                .document_format("application/pdf")
                .attributes(job_attributes())
                .build();
            let answer =
                self.send_request(print, DOCUMENT_TIMEOUT, &mut sending).map_err(|error| match error {
                    RequestFailure::NotSent => PrintOutcome::NotStarted(PrintFailure::Disconnected),
                    RequestFailure::Unknown => PrintOutcome::Unconfirmed(PrintFailure::Disconnected),
                    RequestFailure::Refused(status) => PrintOutcome::NotStarted(failure_from_status(status)),
                })?;
            return parse_job_id(&answer).ok_or(PrintOutcome::Unconfirmed(PrintFailure::NoConfirmation));
        }
        let create = IppOperationBuilder::create_job(self.uri.clone())
            .job_name("kiosk")
            .attributes(job_attributes())
            .build();
        // A job without a document prints nothing: if this fails, nothing was started.
        let job = match self.send_request(create, ANSWER_TIMEOUT, &mut sending) {
            Ok(answer) => parse_job_id(&answer).ok_or(PrintOutcome::NotStarted(PrintFailure::Failed))?,
            Err(RequestFailure::NotSent | RequestFailure::Unknown) => {
                return Err(PrintOutcome::NotStarted(PrintFailure::Disconnected));
            }
            Err(RequestFailure::Refused(status)) => {
                return Err(PrintOutcome::NotStarted(failure_from_status(status)));
            }
        };
        let send =
            IppOperationBuilder::send_document(self.uri.clone(), job, IppPayload::new(Cursor::new(bytes)))
                .user_name("kiosk")
                .document_format("application/pdf")
                .last(true)
                .build();
        match self.send_request(send, DOCUMENT_TIMEOUT, &mut sending) {
            // If only the response is lost, the job id is known and the job can be queried.
            Ok(_) | Err(RequestFailure::NotSent | RequestFailure::Unknown) => Ok(job),
            Err(RequestFailure::Refused(status)) => {
                self.cancel(job, progress);
                Err(PrintOutcome::NotStarted(failure_from_status(status)))
            }
        }
    }

    /// Polls the job until it ends, stalls for too long, or exceeds its time.
    fn await_job(&self, job: i32, pages: u32, progress: &mut dyn FnMut(PrintProgress)) -> PrintOutcome {
        let deadline = Instant::now() + WARM_UP + PAGE_TIME * pages;
        let mut stall: Option<(PrintFailure, Duration, Instant)> = None;
        loop {
            progress(PrintProgress::Confirming);
            let since = stall.map_or_else(Instant::now, |(.., since)| since);
            match self.query_job(job, progress) {
                Ok(status) => match job_outcome(status) {
                    Some(outcome) => return outcome,
                    None => {
                        let failure = self.status(progress).ok().and_then(stall_reason);
                        stall = failure.map(|(failure, patience)| (failure, patience, since));
                    }
                },
                Err(_) => stall = Some((PrintFailure::Disconnected, STALL_TIMEOUT, since)),
            }
            let out_of_patience = stall.is_some_and(|(_, patience, since)| since.elapsed() >= patience);
            if out_of_patience || Instant::now() >= deadline {
                return self.cancel_and_await(
                    job,
                    stall.map_or(PrintFailure::NoConfirmation, |(failure, ..)| failure),
                    progress,
                );
            }
            pause(POLL_INTERVAL, progress);
        }
    }

    /// Cancels a stalled job, and determines whether a part of it was printed.
    fn cancel_and_await(
        &self,
        job: i32,
        failure: PrintFailure,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> PrintOutcome {
        self.cancel(job, progress);
        let deadline = Instant::now() + CANCEL_TIMEOUT;
        while Instant::now() < deadline {
            match self.query_job(job, progress) {
                Ok(JobStatus { state: JobState::Ended, started: false, sheets_printed: 0, .. }) => {
                    return PrintOutcome::NotStarted(failure);
                }
                // The job completed just before it was cancelled.
                Ok(status @ JobStatus { state: JobState::Completed, .. }) => {
                    return job_outcome(status).unwrap_or(PrintOutcome::Unconfirmed(failure));
                }
                Ok(JobStatus { state: JobState::Ended, .. }) => return PrintOutcome::Unconfirmed(failure),
                Ok(_) | Err(_) => pause(POLL_INTERVAL, progress),
            }
        }
        PrintOutcome::Unconfirmed(failure)
    }

    fn cancel(&self, job: i32, progress: &mut dyn FnMut(PrintProgress)) {
        let cancel = IppOperationBuilder::cancel_job(self.uri.clone(), job).build();
        // The job is queried afterwards, whatever the response to this request is.
        self.send_request(cancel, ANSWER_TIMEOUT, progress).ok();
    }

    fn readiness(&self, progress: &mut dyn FnMut(PrintProgress)) -> Result<Readiness, DocumentPrinterFault> {
        let ask = IppOperationBuilder::get_printer_attributes(self.uri.clone())
            .attributes([
                "printer-state",
                "printer-state-reasons",
                "printer-is-accepting-jobs",
                "document-format-supported",
                "operations-supported",
            ])
            .build();
        match self.send_request(ask, ANSWER_TIMEOUT, progress) {
            Ok(answer) => Ok(parse_readiness(answer.attributes())),
            Err(RequestFailure::Refused(status)) => Err(DocumentPrinterFault::Refused(status)),
            Err(RequestFailure::NotSent | RequestFailure::Unknown) => Err(DocumentPrinterFault::Unreachable),
        }
    }

    fn query_job(
        &self,
        job: i32,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Result<JobStatus, RequestFailure> {
        let ask = IppOperationBuilder::get_job_attributes(self.uri.clone(), job).build();
        let answer = self.send_request(ask, ANSWER_TIMEOUT, progress)?;
        parse_job_status(answer.attributes()).ok_or(RequestFailure::Unknown)
    }

    /// Sends one request and returns the response. The request runs in a separate thread, so that `progress` can be
    /// called meanwhile.
    fn send_request(
        &self,
        operation: Result<impl IppOperation, IppParseError>,
        timeout: Duration,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Result<IppRequestResponse, RequestFailure> {
        let request = operation.map_err(|_| RequestFailure::NotSent)?.into_ipp_request();
        let (url, (sender, receiver)) = (self.url.clone(), mpsc::sync_channel(1));
        let work = move || {
            let answer = post_request(&url, request, timeout);
            // Fails only if the caller has stopped waiting.
            sender.send(answer).ok();
        };
        thread::Builder::new().name("ipp".into()).spawn(work).map_err(|_| RequestFailure::NotSent)?;
        // The request has its own timeout; this one is a safeguard.
        let deadline = Instant::now() + timeout * 2;
        loop {
            match receiver.recv_timeout(PROGRESS_INTERVAL) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {
                    progress(PrintProgress::QueryingStatus)
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(RequestFailure::Unknown);
                }
            }
        }
    }
}

/// Why a job may have stalled, and how long to wait for it.
fn stall_reason(status: DocumentPrinterStatus) -> Option<(PrintFailure, Duration)> {
    let doubtful = status.tray_empty.then_some((PrintFailure::PaperOut, TRAY_EMPTY_TIMEOUT));
    status.blocking_failure().map(|failure| (failure, STALL_TIMEOUT)).or(doubtful)
}

/// The PDF for the printer, and its number of pages.
fn prepare(document: &A4Document) -> Result<(Vec<u8>, u32), PdfFault> {
    let fonts = DocumentFonts::load_system()?;
    let (bytes, pages) = render_pdf(document, &fonts)?;
    Ok((bytes, u32::try_from(pages).unwrap_or(u32::MAX)))
}

/// Single-sided A4, unscaled. Queues ignore attributes that they do not know.
fn job_attributes() -> Vec<IppAttribute> {
    [("media", "iso_a4_210x297mm"), ("sides", "one-sided"), ("print-scaling", "none")]
        .into_iter()
        .filter_map(|(name, value)| IppAttribute::with_name(name, IppValue::new_keyword(value).ok()?).ok())
        .collect()
}

fn post_request(
    url: &str,
    request: IppRequestResponse,
    timeout: Duration,
) -> Result<IppRequestResponse, RequestFailure> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .proxy(None)
        .build()
        .into();
    let body = ureq::SendBody::from_owned_reader(request.into_read());
    let sent = agent.post(url).header("content-type", "application/ipp").send(body);
    let mut answer = sent.map_err(|error| classify_failure(&error))?;
    let bytes = answer
        .body_mut()
        .with_config()
        .limit(ANSWER_MAX)
        .read_to_vec()
        .map_err(|_| RequestFailure::Unknown)?;
    let answer = parse(bytes).map_err(|_| RequestFailure::Unknown)?;
    match answer.header().operation_or_status.cast_unsigned() {
        status if status >= ERROR_STATUS_MIN => Err(RequestFailure::Refused(status)),
        _ => Ok(answer),
    }
}

/// Deepest nesting of collections in a response. The parser nests them and drops them recursively: without a limit, a
/// response of 64 KiB exhausts the stack.
const DEPTH_MAX: usize = 8;

/// Begin and end of a collection (RFC 8010, 3.1.6).
const BEGIN_COLLECTION: u8 = 0x34;
const END_COLLECTION: u8 = 0x37;

/// Whether no collection is nested deeper than [`DEPTH_MAX`]. Malformed attributes are left to the parser.
fn is_shallow(bytes: &[u8]) -> bool {
    fn split_value(bytes: &[u8]) -> Option<&[u8]> {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        rest.get(usize::from(u16::from_be_bytes(*length))..)
    }
    let mut depth = 0_usize;
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((&tag, after)) = rest.split_first() {
        rest = after;
        if tag < 0x10 {
            continue;
        }
        match tag {
            BEGIN_COLLECTION => depth += 1,
            END_COLLECTION => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return false;
        }
        // Skips name and value.
        let Some(next) = split_value(rest).and_then(split_value) else { break };
        rest = next;
    }
    true
}

fn parse(bytes: Vec<u8>) -> Result<IppRequestResponse, IppParseError> {
    if !is_shallow(&bytes) {
        return Err(IppParseError::InvalidCollection);
    }
    IppParser::new(IppReader::new(Cursor::new(bytes))).parse()
}

/// Entry point for the fuzzer: parses any bytes as a response and returns the printer status in it. Never panics.
#[must_use]
pub fn parse_ipp_response(bytes: &[u8]) -> Option<DocumentPrinterStatus> {
    let limit = usize::try_from(ANSWER_MAX).unwrap_or(usize::MAX);
    let answer = parse(bytes.get(..limit).unwrap_or(bytes).to_vec()).ok()?;
    // Responses about jobs pass through the same parser.
    let _ = parse_job_status(answer.attributes());
    Some(parse_readiness(answer.attributes()).status)
}

/// Classifies a failed request by whether the printer can have received it. In doubt: unknown.
fn classify_failure(error: &ureq::Error) -> RequestFailure {
    use ureq::{Error, Timeout};
    // Rejected before it was processed.
    if matches!(error, Error::StatusCode(400..=499)) {
        return RequestFailure::Refused(ERROR_STATUS_MIN);
    }
    let unreached = matches!(
        error,
        Error::HostNotFound
            | Error::ConnectionFailed
            | Error::BadUri(_)
            | Error::Timeout(Timeout::Connect | Timeout::Resolve)
    );
    let refused = matches!(error, Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused);
    if unreached || refused { RequestFailure::NotSent } else { RequestFailure::Unknown }
}

/// The values of one attribute in the groups with this tag.
fn values<'a>(attributes: &'a IppAttributes, group: DelimiterTag, name: &str) -> Vec<&'a IppValue> {
    let found = attributes.groups_of(group).find_map(|group| group.get(name));
    match found.map(IppAttribute::value) {
        None => Vec::new(),
        Some(IppValue::Array(values)) => values.iter().collect(),
        Some(value) => vec![value],
    }
}

fn integer_value(attributes: &IppAttributes, group: DelimiterTag, name: &str) -> Option<i32> {
    values(attributes, group, name).into_iter().find_map(|value| {
        if let IppValue::Integer(number) | IppValue::Enum(number) = value { Some(*number) } else { None }
    })
}

fn keywords<'a>(attributes: &'a IppAttributes, group: DelimiterTag, name: &str) -> Vec<&'a str> {
    let values = values(attributes, group, name).into_iter();
    values
        .filter_map(|value| {
            if let IppValue::Keyword(word) = value {
                Some(word.as_str())
            } else if let IppValue::MimeMediaType(format) = value {
                Some(format.as_str())
            } else {
                None
            }
        })
        .collect()
}

fn parse_readiness(attributes: &IppAttributes) -> Readiness {
    let printer = DelimiterTag::PrinterAttributes;
    let state = integer_value(attributes, printer, "printer-state").unwrap_or_default();
    let accepting = values(attributes, printer, "printer-is-accepting-jobs");
    let accepting = !accepting.iter().any(|value| matches!(value, IppValue::Boolean(false)));
    let reasons = keywords(attributes, printer, "printer-state-reasons");
    let operations: Vec<i32> = values(attributes, printer, "operations-supported")
        .into_iter()
        .filter_map(|value| if let IppValue::Enum(operation) = value { Some(*operation) } else { None })
        .collect();
    let formats = keywords(attributes, printer, "document-format-supported");
    Readiness {
        status: DocumentPrinterStatus::from_attributes(state, accepting, reasons),
        supports_pdf: formats.contains(&"application/pdf"),
        supports_create_job: operations.contains(&CREATE_JOB) && operations.contains(&SEND_DOCUMENT),
    }
}

fn parse_job_id(answer: &IppRequestResponse) -> Option<i32> {
    integer_value(answer.attributes(), DelimiterTag::JobAttributes, "job-id")
}

fn parse_job_status(attributes: &IppAttributes) -> Option<JobStatus> {
    let job = DelimiterTag::JobAttributes;
    let state = integer_value(attributes, job, "job-state").and_then(JobState::from_number)?;
    let printed = ["job-media-sheets-completed", "job-impressions-completed"]
        .into_iter()
        .filter_map(|name| integer_value(attributes, job, name))
        .max();
    let reasons = keywords(attributes, job, "job-state-reasons");
    let begun = integer_value(attributes, job, "time-at-processing").is_some();
    let errors =
        reasons.iter().any(|reason| ["job-completed-with-errors", "document-format-error"].contains(reason));
    Some(JobStatus { state, started: begun, sheets_printed: printed.unwrap_or_default(), errors })
}

/// The print outcome of an ended job; `None` while the job has not ended.
fn job_outcome(status: JobStatus) -> Option<PrintOutcome> {
    let JobStatus { state, started: begun, sheets_printed: printed, errors } = status;
    match state {
        JobState::Waiting | JobState::Processing => None,
        JobState::Completed if errors => Some(PrintOutcome::Unconfirmed(PrintFailure::Failed)),
        JobState::Completed => {
            let confirmation =
                if printed > 0 { PrintConfirmation::SheetsCounted } else { PrintConfirmation::Received };
            Some(PrintOutcome::Printed { confirmation })
        }
        JobState::Ended if !begun && printed == 0 => Some(PrintOutcome::NotStarted(PrintFailure::Failed)),
        JobState::Ended => Some(PrintOutcome::Unconfirmed(PrintFailure::Failed)),
    }
}

fn failure_from_status(status: u16) -> PrintFailure {
    if status == FORMAT_NOT_SUPPORTED { PrintFailure::Unprintable } else { PrintFailure::Offline }
}

fn pause(time: Duration, progress: &mut dyn FnMut(PrintProgress)) {
    progress(PrintProgress::Confirming);
    thread::sleep(time);
}
