//! An A4 printer that speaks IPP (RFC 8010, 8011), or a CUPS queue before one.
//!
//! The course of a sheet: the printer is asked; a job is made, which prints nothing yet; the document goes to that job;
//! the job is asked for until it is done. A printer without Create-Job gets Print-Job, with less to know when an answer
//! is lost. A job that stands still is cancelled: nobody's sheet shall come out when its owner has left.
//!
//! No TLS: the printer is behind a queue on this machine, or on the kiosk's own wire.

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

use crate::outcome::{Confirmation, Outcome, Progress, Why};
use crate::sheet::state::{JobState, JobStatus, SheetStatus};
use crate::sheet::{A4, ISSUED_MAX, PdfFault, SheetFonts, pdf};

/// A printer on the kiosk's own wire accepts within this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A question is answered within this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A document is taken within this: a slow printer renders while it takes.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// How often progress is reported.
const SLICE: Duration = Duration::from_millis(500);

/// Between two questions how a job stands.
const POLL: Duration = Duration::from_millis(700);

/// Warming up, and each page of the slowest (guessed: 4 pages a minute).
const WARM_UP: Duration = Duration::from_secs(60);
const PAGE_TIME: Duration = Duration::from_secs(15);

/// Pages that a document of somebody else's may have, to know how long it may take.
const ISSUED_PAGES: u32 = 4;

/// A printer that has no paper, or is open, is given this long while the resident stands there.
const PATIENCE: Duration = Duration::from_secs(20);

/// And this long if it says that a tray is empty and that it prints all the same: it may have another.
const DOUBTFUL_PATIENCE: Duration = Duration::from_secs(40);

/// What a job may take to end once it was cancelled.
const CANCEL_TIME: Duration = Duration::from_secs(10);

/// Longest answer that is read: the attributes asked for are a few hundred bytes.
const ANSWER_MAX: u64 = 64 * 1024;

/// Statuses from here on are refusals (RFC 8011, B.1).
const REFUSED: u16 = 0x0400;
const FORMAT_NOT_SUPPORTED: u16 = 0x040A;

/// `operations-supported`: Create-Job and Send-Document (RFC 8011, 5.4.15).
const CREATE_JOB: i32 = 5;
const SEND_DOCUMENT: i32 = 6;

/// Why a printer cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum SheetPrinterFault {
    /// The address is not `ipp://host/path`.
    #[error("`{0}` is not the address of an IPP printer: it looks like ipp://127.0.0.1/printers/a4")]
    Address(String),
    /// Nothing there, or nothing that answers.
    #[error("the A4 printer does not answer: check that it is on, and its cable")]
    Unreachable,
    /// It answers with a refusal.
    #[error("the A4 printer refuses (IPP status {0:#06x}): check its queue")]
    Refused(u16),
}

/// An A4 printer.
pub struct SheetPrinter {
    uri: Uri,
    /// The same for HTTP.
    url: String,
}

/// What a printer says when it is asked before a job.
struct Readiness {
    status: SheetStatus,
    takes_pdf: bool,
    makes_jobs: bool,
}

/// What may be known of a request that failed.
enum Lost {
    /// It did not arrive.
    Unsent,
    /// Nobody knows whether it arrived.
    Unknown,
    /// It was refused with this status.
    Refused(u16),
}

impl SheetPrinter {
    /// Takes the printer at this address, `ipp://host[:631]/path`. Sends nothing yet.
    ///
    /// # Errors
    /// If it is no such address.
    pub fn at(address: &str) -> Result<Self, SheetPrinterFault> {
        let wrong = || SheetPrinterFault::Address(address.to_owned());
        let uri: Uri = address.parse().map_err(|_| wrong())?;
        let (Some("ipp"), Some(host)) = (uri.scheme_str(), uri.host()) else { return Err(wrong()) };
        let url = format!("http://{host}:{}{}", uri.port_u16().unwrap_or(631), uri.path());
        Ok(Self { uri, url })
    }

    /// Asks the printer how it is.
    ///
    /// # Errors
    /// If it does not answer, or not in a way that is understood.
    pub fn status(&self, progress: &mut dyn FnMut(Progress)) -> Result<SheetStatus, SheetPrinterFault> {
        self.readiness(progress).map(|readiness| readiness.status)
    }

    /// Prints one document, once. Returns within minutes; `progress` is called at least every second meanwhile.
    pub fn print(&self, document: &A4, progress: &mut dyn FnMut(Progress)) -> Outcome {
        progress(Progress::Asking);
        let (bytes, pages) = match prepare(document) {
            Ok(prepared) => prepared,
            Err(fault) => {
                tracing::warn!(fault = &fault as &dyn std::error::Error, "a sheet cannot be made");
                return Outcome::NotStarted(Why::Unprintable);
            }
        };
        progress(Progress::Asking);
        let readiness = match self.readiness(progress) {
            Ok(readiness) => readiness,
            Err(fault) => {
                tracing::warn!(fault = &fault as &dyn std::error::Error, "the A4 printer is not ready");
                return Outcome::NotStarted(Why::Gone);
            }
        };
        if let Some(why) = readiness.status.obstacle() {
            return Outcome::NotStarted(why);
        }
        if !readiness.takes_pdf {
            tracing::warn!("the A4 printer takes no PDF: put a CUPS queue before it");
            return Outcome::NotStarted(Why::Unprintable);
        }
        match self.submit(bytes, &readiness, progress) {
            Ok(job) => self.follow(job, pages, progress),
            Err(outcome) => outcome,
        }
    }

    /// Hands the document over and comes back with its job.
    fn submit(
        &self,
        bytes: Vec<u8>,
        readiness: &Readiness,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<i32, Outcome> {
        let total_bytes = bytes.len();
        let mut sending = |_| progress(Progress::Sending { sent_bytes: 0, total_bytes });
        if !readiness.makes_jobs {
            let print = IppOperationBuilder::print_job(self.uri.clone(), IppPayload::new(Cursor::new(bytes)))
                .user_name("kiosk")
                .job_title("kiosk")
                .document_format("application/pdf")
                .attributes(job_attributes())
                .build();
            let answer = self.ask(print, DOCUMENT_TIMEOUT, &mut sending).map_err(|lost| match lost {
                Lost::Unsent => Outcome::NotStarted(Why::Gone),
                Lost::Unknown => Outcome::Unconfirmed(Why::Gone),
                Lost::Refused(status) => Outcome::NotStarted(why_refused(status)),
            })?;
            return job_id(&answer).ok_or(Outcome::Unconfirmed(Why::NoEvidence));
        }
        let create = IppOperationBuilder::create_job(self.uri.clone())
            .job_name("kiosk")
            .attributes(job_attributes())
            .build();
        // A job without a document prints nothing: however this fails, nothing was begun.
        let job = match self.ask(create, ANSWER_TIMEOUT, &mut sending) {
            Ok(answer) => job_id(&answer).ok_or(Outcome::NotStarted(Why::Failed))?,
            Err(Lost::Unsent | Lost::Unknown) => return Err(Outcome::NotStarted(Why::Gone)),
            Err(Lost::Refused(status)) => return Err(Outcome::NotStarted(why_refused(status))),
        };
        let send =
            IppOperationBuilder::send_document(self.uri.clone(), job, IppPayload::new(Cursor::new(bytes)))
                .user_name("kiosk")
                .document_format("application/pdf")
                .last(true)
                .build();
        match self.ask(send, DOCUMENT_TIMEOUT, &mut sending) {
            // A lost answer is no lost job: its number is known, so it can be asked for.
            Ok(_) | Err(Lost::Unsent | Lost::Unknown) => Ok(job),
            Err(Lost::Refused(status)) => {
                self.cancel(job, progress);
                Err(Outcome::NotStarted(why_refused(status)))
            }
        }
    }

    /// Asks for the job until it is done, or has to be given up.
    fn follow(&self, job: i32, pages: u32, progress: &mut dyn FnMut(Progress)) -> Outcome {
        let deadline = Instant::now() + WARM_UP + PAGE_TIME * pages;
        let mut trouble: Option<(Why, Duration, Instant)> = None;
        loop {
            progress(Progress::Confirming);
            let since = trouble.map_or_else(Instant::now, |(.., since)| since);
            match self.job(job, progress) {
                Ok(status) => match outcome_of(status) {
                    Some(outcome) => return outcome,
                    None => {
                        let why = self.status(progress).ok().and_then(standstill);
                        trouble = why.map(|(why, patience)| (why, patience, since));
                    }
                },
                Err(_) => trouble = Some((Why::Gone, PATIENCE, since)),
            }
            let out_of_patience = trouble.is_some_and(|(_, patience, since)| since.elapsed() >= patience);
            if out_of_patience || Instant::now() >= deadline {
                return self.give_up(job, trouble.map_or(Why::NoEvidence, |(why, ..)| why), progress);
            }
            pause(POLL, progress);
        }
    }

    /// Cancels a job that stands still, and finds out whether any of it was begun.
    fn give_up(&self, job: i32, why: Why, progress: &mut dyn FnMut(Progress)) -> Outcome {
        self.cancel(job, progress);
        let deadline = Instant::now() + CANCEL_TIME;
        while Instant::now() < deadline {
            match self.job(job, progress) {
                Ok(JobStatus { state: JobState::Ended, begun: false, printed: 0, .. }) => {
                    return Outcome::NotStarted(why);
                }
                // It was done just before it was to be given up.
                Ok(status @ JobStatus { state: JobState::Completed, .. }) => {
                    return outcome_of(status).unwrap_or(Outcome::Unconfirmed(why));
                }
                Ok(JobStatus { state: JobState::Ended, .. }) => return Outcome::Unconfirmed(why),
                Ok(_) | Err(_) => pause(POLL, progress),
            }
        }
        Outcome::Unconfirmed(why)
    }

    fn cancel(&self, job: i32, progress: &mut dyn FnMut(Progress)) {
        let cancel = IppOperationBuilder::cancel_job(self.uri.clone(), job).build();
        // How the job stands is asked for afterwards, whatever this answers.
        self.ask(cancel, ANSWER_TIMEOUT, progress).ok();
    }

    fn readiness(&self, progress: &mut dyn FnMut(Progress)) -> Result<Readiness, SheetPrinterFault> {
        let ask = IppOperationBuilder::get_printer_attributes(self.uri.clone())
            .attributes([
                "printer-state",
                "printer-state-reasons",
                "printer-is-accepting-jobs",
                "document-format-supported",
                "operations-supported",
            ])
            .build();
        match self.ask(ask, ANSWER_TIMEOUT, progress) {
            Ok(answer) => Ok(readiness_of(answer.attributes())),
            Err(Lost::Refused(status)) => Err(SheetPrinterFault::Refused(status)),
            Err(Lost::Unsent | Lost::Unknown) => Err(SheetPrinterFault::Unreachable),
        }
    }

    fn job(&self, job: i32, progress: &mut dyn FnMut(Progress)) -> Result<JobStatus, Lost> {
        let ask = IppOperationBuilder::get_job_attributes(self.uri.clone(), job).build();
        let answer = self.ask(ask, ANSWER_TIMEOUT, progress)?;
        job_status(answer.attributes()).ok_or(Lost::Unknown)
    }

    /// One request and its answer. The request runs in a thread of its own, so that `progress` is called meanwhile.
    fn ask(
        &self,
        operation: Result<impl IppOperation, IppParseError>,
        timeout: Duration,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<IppRequestResponse, Lost> {
        let request = operation.map_err(|_| Lost::Unsent)?.into_ipp_request();
        let (url, (tell, told)) = (self.url.clone(), mpsc::sync_channel(1));
        let work = move || {
            let answer = exchange(&url, request, timeout);
            // Nobody listens any more: then nobody wants to know.
            tell.send(answer).ok();
        };
        thread::Builder::new().name("ipp".into()).spawn(work).map_err(|_| Lost::Unsent)?;
        // The request has its own end; this is for a clock that is wrong about it.
        let deadline = Instant::now() + timeout * 2;
        loop {
            match told.recv_timeout(SLICE) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => progress(Progress::Asking),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(Lost::Unknown),
            }
        }
    }
}

/// Why a job may stand still, and how long it is waited for.
fn standstill(status: SheetStatus) -> Option<(Why, Duration)> {
    let doubtful = status.tray_empty.then_some((Why::PaperOut, DOUBTFUL_PATIENCE));
    status.obstacle().map(|why| (why, PATIENCE)).or(doubtful)
}

/// The bytes that go to the printer, and how many pages they are.
fn prepare(document: &A4) -> Result<(Vec<u8>, u32), PdfFault> {
    match document {
        A4::Composed(sheet) => {
            let fonts = SheetFonts::of_the_system()?;
            let (bytes, pages) = pdf(sheet, &fonts)?;
            Ok((bytes, u32::try_from(pages).unwrap_or(u32::MAX)))
        }
        A4::Issued(bytes) if bytes.starts_with(b"%PDF-") && bytes.len() <= ISSUED_MAX => {
            Ok((bytes.clone(), ISSUED_PAGES))
        }
        A4::Issued(_) => Err(PdfFault::NotIssued),
    }
}

/// One side of A4, as large as it is set. Queues pass over what they do not know.
fn job_attributes() -> Vec<IppAttribute> {
    [("media", "iso_a4_210x297mm"), ("sides", "one-sided"), ("print-scaling", "none")]
        .into_iter()
        .filter_map(|(name, value)| IppAttribute::with_name(name, IppValue::new_keyword(value).ok()?).ok())
        .collect()
}

fn exchange(url: &str, request: IppRequestResponse, timeout: Duration) -> Result<IppRequestResponse, Lost> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .proxy(None)
        .build()
        .into();
    let body = ureq::SendBody::from_owned_reader(request.into_read());
    let sent = agent.post(url).header("content-type", "application/ipp").send(body);
    let mut answer = sent.map_err(|error| lost_by(&error))?;
    let bytes = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_vec().map_err(|_| Lost::Unknown)?;
    let answer = parse(bytes).map_err(|_| Lost::Unknown)?;
    match answer.header().operation_or_status.cast_unsigned() {
        status if status >= REFUSED => Err(Lost::Refused(status)),
        _ => Ok(answer),
    }
}

/// Collections in collections that an answer may have. The parser keeps them in each other and drops them by recursion:
/// without a bound, an answer of 64 KiB exhausts the stack.
const DEPTH_MAX: usize = 8;

/// Begin and end of a collection (RFC 8010, 3.1.6).
const BEGIN_COLLECTION: u8 = 0x34;
const END_COLLECTION: u8 = 0x37;

/// Whether no collection lies deeper than [`DEPTH_MAX`]. Bytes that are not whole attributes are the parser's to refuse.
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
        // Name and value.
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

/// Parses whatever a printer may answer, for the fuzzer: what it says of itself, if that is understood. Total over all
/// bytes.
#[must_use]
pub fn parse_ipp_answer(bytes: &[u8]) -> Option<SheetStatus> {
    let limit = usize::try_from(ANSWER_MAX).unwrap_or(usize::MAX);
    let answer = parse(bytes.get(..limit).unwrap_or(bytes).to_vec()).ok()?;
    // A job's answer comes through the same parser.
    let _ = job_status(answer.attributes());
    Some(readiness_of(answer.attributes()).status)
}

/// Whether the printer can have had the request when it came to this. Whatever is not known may have arrived.
fn lost_by(error: &ureq::Error) -> Lost {
    use ureq::{Error, Timeout};
    // Refused before it was looked at.
    if matches!(error, Error::StatusCode(400..=499)) {
        return Lost::Refused(REFUSED);
    }
    let unreached = matches!(
        error,
        Error::HostNotFound
            | Error::ConnectionFailed
            | Error::BadUri(_)
            | Error::Timeout(Timeout::Connect | Timeout::Resolve)
    );
    let refused = matches!(error, Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused);
    if unreached || refused { Lost::Unsent } else { Lost::Unknown }
}

/// The values of one attribute in the groups of one kind.
fn values<'a>(attributes: &'a IppAttributes, group: DelimiterTag, name: &str) -> Vec<&'a IppValue> {
    let found = attributes.groups_of(group).find_map(|group| group.get(name));
    match found.map(IppAttribute::value) {
        None => Vec::new(),
        Some(IppValue::Array(values)) => values.iter().collect(),
        Some(value) => vec![value],
    }
}

fn number(attributes: &IppAttributes, group: DelimiterTag, name: &str) -> Option<i32> {
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

fn readiness_of(attributes: &IppAttributes) -> Readiness {
    let printer = DelimiterTag::PrinterAttributes;
    let state = number(attributes, printer, "printer-state").unwrap_or_default();
    let accepting = values(attributes, printer, "printer-is-accepting-jobs");
    let accepting = !accepting.iter().any(|value| matches!(value, IppValue::Boolean(false)));
    let reasons = keywords(attributes, printer, "printer-state-reasons");
    let operations: Vec<i32> = values(attributes, printer, "operations-supported")
        .into_iter()
        .filter_map(|value| if let IppValue::Enum(operation) = value { Some(*operation) } else { None })
        .collect();
    let formats = keywords(attributes, printer, "document-format-supported");
    Readiness {
        status: SheetStatus::from_attributes(state, accepting, reasons),
        takes_pdf: formats.contains(&"application/pdf"),
        makes_jobs: operations.contains(&CREATE_JOB) && operations.contains(&SEND_DOCUMENT),
    }
}

fn job_id(answer: &IppRequestResponse) -> Option<i32> {
    number(answer.attributes(), DelimiterTag::JobAttributes, "job-id")
}

fn job_status(attributes: &IppAttributes) -> Option<JobStatus> {
    let job = DelimiterTag::JobAttributes;
    let state = number(attributes, job, "job-state").and_then(JobState::from_number)?;
    let printed = ["job-media-sheets-completed", "job-impressions-completed"]
        .into_iter()
        .filter_map(|name| number(attributes, job, name))
        .max();
    let reasons = keywords(attributes, job, "job-state-reasons");
    let begun = number(attributes, job, "time-at-processing").is_some();
    let errors =
        reasons.iter().any(|reason| ["job-completed-with-errors", "document-format-error"].contains(reason));
    Some(JobStatus { state, begun, printed: printed.unwrap_or_default(), errors })
}

/// What a job's end says of its sheets; `None` while it has not ended.
fn outcome_of(status: JobStatus) -> Option<Outcome> {
    let JobStatus { state, begun, printed, errors } = status;
    match state {
        JobState::Waiting | JobState::Processing => None,
        JobState::Completed if errors => Some(Outcome::Unconfirmed(Why::Failed)),
        JobState::Completed => {
            let confirmation = if printed > 0 { Confirmation::Sheets } else { Confirmation::Received };
            Some(Outcome::Printed { confirmation })
        }
        JobState::Ended if !begun && printed == 0 => Some(Outcome::NotStarted(Why::Failed)),
        JobState::Ended => Some(Outcome::Unconfirmed(Why::Failed)),
    }
}

fn why_refused(status: u16) -> Why {
    if status == FORMAT_NOT_SUPPORTED { Why::Unprintable } else { Why::Offline }
}

fn pause(time: Duration, progress: &mut dyn FnMut(Progress)) {
    progress(Progress::Confirming);
    thread::sleep(time);
}
