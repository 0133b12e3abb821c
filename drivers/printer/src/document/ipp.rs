//! An A4 printer with IPP (RFC 8010, 8011), or a CUPS queue in front of one.
//!
//! The course of a document: query the printer; create a job, which prints nothing yet; send the document to that
//! job; poll the job until it ends. A printer without Create-Job gets Print-Job, where a lost response leaves the
//! outcome unknown. After the first byte of the document only the job itself proves that nothing was printed. A stalled job is cancelled: no document may come out after its owner has left.
//!
//! No TLS: the printer is behind a queue on the same machine, or on the kiosk's own network segment.

use std::thread;
use std::time::{Duration, Instant};

use ipp::attribute::IppAttribute;
use ipp::operation::IppOperation;
use ipp::operation::builder::IppOperationBuilder;
use ipp::parser::IppParseError;
use ipp::payload::IppPayload;
use ipp::request::IppRequestResponse;
use ipp::value::IppValue;
use ureq::http::Uri;

use crate::document::A4Document;
use crate::document::attributes::{Readiness, parse_job_id, parse_job_status, parse_readiness};
use crate::document::exchange::{self, DocumentBody, DocumentSent, RequestFailure};
use crate::document::fault::PdfFault;
use crate::document::pdf::{DocumentFonts, render_pdf};
use crate::document::status::{DocumentPrinterStatus, JobState, JobStatus};
use crate::print_outcome::{PrintConfirmation, PrintFailure, PrintOutcome, PrintProgress};

/// Timeout of a request without a document.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout of a request with a document: a slow printer renders while it receives.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(60);

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

/// Statuses of a refusal (RFC 8011, B.1.4).
const NOT_FOUND: u16 = 0x0406;
const GONE: u16 = 0x0407;
const FORMAT_NOT_SUPPORTED: u16 = 0x040A;

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
        let document = DocumentBody::new(bytes);
        let submitted = if readiness.supports_create_job {
            self.create_job_and_send(&document, progress)
        } else {
            self.print_job(&document, progress)
        };
        let (job, refusal) = match submitted {
            Submitted::Job(job) => return self.await_job(job, pages, progress),
            Submitted::Nothing(outcome) => return outcome,
            Submitted::Failed { job, refusal } => (job, refusal),
        };
        self.outcome_after_failure(job, refusal, document.withdraw(), pages, progress)
    }

    /// Sends the document to a printer without Create-Job.
    fn print_job(&self, document: &DocumentBody, progress: &mut dyn FnMut(PrintProgress)) -> Submitted {
        let print = IppOperationBuilder::print_job(self.uri.clone(), IppPayload::new(document.clone()))
            .user_name("kiosk")
            .job_title("kiosk")
            .document_format("application/pdf")
            .attributes(job_attributes())
            .build();
        match self.send_document(print, document, progress) {
            Ok(answer) => parse_job_id(&answer).map_or(
                Submitted::Nothing(PrintOutcome::Unconfirmed(PrintFailure::NoConfirmation)),
                Submitted::Job,
            ),
            Err(refusal @ RequestFailure::Refused { job, .. }) => Submitted::Failed { job, refusal },
            Err(RequestFailure::NoAnswer) => {
                Submitted::Failed { job: None, refusal: RequestFailure::NoAnswer }
            }
        }
    }

    /// Creates a job and sends the document to it.
    fn create_job_and_send(
        &self,
        document: &DocumentBody,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Submitted {
        let create = IppOperationBuilder::create_job(self.uri.clone())
            .job_name("kiosk")
            .attributes(job_attributes())
            .build();
        // A job without a document prints nothing: if this fails, nothing was started.
        let job = match self.send_request(create, ANSWER_TIMEOUT, progress) {
            Ok(answer) => match parse_job_id(&answer) {
                Some(job) => job,
                None => return Submitted::Nothing(PrintOutcome::NotStarted(PrintFailure::Failed)),
            },
            Err(failure) => {
                return Submitted::Nothing(PrintOutcome::NotStarted(failure_from_request(failure)));
            }
        };
        let send =
            IppOperationBuilder::send_document(self.uri.clone(), job, IppPayload::new(document.clone()))
                .user_name("kiosk")
                .document_format("application/pdf")
                .last(true)
                .build();
        match self.send_document(send, document, progress) {
            Ok(_) => Submitted::Job(job),
            Err(refusal) => Submitted::Failed { job: Some(job), refusal },
        }
    }

    /// The outcome after the request with the document failed. A printer that prints while it receives may have
    /// printed what it received, also of a document that it refused in the end. Only its job can prove otherwise.
    fn outcome_after_failure(
        &self,
        job: Option<i32>,
        refusal: RequestFailure,
        sent: DocumentSent,
        pages: u32,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> PrintOutcome {
        let failure = failure_from_request(refusal);
        match (sent, job) {
            (DocumentSent::Nothing, job) => {
                // The job is empty. Cancelled, it does not occupy the queue until the printer gives it up.
                if let Some(job) = job {
                    self.cancel(job, progress);
                }
                PrintOutcome::NotStarted(failure)
            }
            (DocumentSent::Part | DocumentSent::Whole, None) => PrintOutcome::Unconfirmed(failure),
            // Perhaps only the response is lost.
            (DocumentSent::Whole, Some(job)) if refusal == RequestFailure::NoAnswer => {
                self.await_job(job, pages, progress)
            }
            (DocumentSent::Part | DocumentSent::Whole, Some(job)) => {
                match self.cancel_and_await(job, failure, progress) {
                    // The job completed, but not with the whole document.
                    PrintOutcome::Printed { .. } => PrintOutcome::Unconfirmed(failure),
                    outcome @ (PrintOutcome::NotStarted(_) | PrintOutcome::Unconfirmed(_)) => outcome,
                }
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
                Ok(status) if status.proves_nothing_printed() => return PrintOutcome::NotStarted(failure),
                // The job completed just before it was cancelled.
                Ok(status @ JobStatus { state: JobState::Completed, .. }) => {
                    return job_outcome(status).unwrap_or(PrintOutcome::Unconfirmed(failure));
                }
                Ok(JobStatus { state: JobState::Ended, .. })
                | Err(RequestFailure::Refused { status: NOT_FOUND | GONE, .. }) => {
                    return PrintOutcome::Unconfirmed(failure);
                }
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
            Err(RequestFailure::Refused { status, .. }) => Err(DocumentPrinterFault::Refused(status)),
            Err(RequestFailure::NoAnswer) => Err(DocumentPrinterFault::Unreachable),
        }
    }

    fn query_job(
        &self,
        job: i32,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Result<JobStatus, RequestFailure> {
        let ask = IppOperationBuilder::get_job_attributes(self.uri.clone(), job).build();
        let answer = self.send_request(ask, ANSWER_TIMEOUT, progress)?;
        parse_job_status(answer.attributes()).ok_or(RequestFailure::NoAnswer)
    }

    /// Sends a request with a document and returns the response.
    fn send_document(
        &self,
        operation: Result<impl IppOperation, IppParseError>,
        document: &DocumentBody,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Result<IppRequestResponse, RequestFailure> {
        let request = operation.map_err(|_| RequestFailure::NoAnswer)?.into_ipp_request();
        let total_bytes = document.total_bytes();
        exchange::send_request(&self.url, request, DOCUMENT_TIMEOUT, &mut || {
            progress(PrintProgress::Sending { sent_bytes: document.taken_bytes(), total_bytes });
        })
    }

    /// Sends a request without a document and returns the response.
    fn send_request(
        &self,
        operation: Result<impl IppOperation, IppParseError>,
        timeout: Duration,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Result<IppRequestResponse, RequestFailure> {
        let request = operation.map_err(|_| RequestFailure::NoAnswer)?.into_ipp_request();
        exchange::send_request(&self.url, request, timeout, &mut || progress(PrintProgress::QueryingStatus))
    }
}

/// What became of the request with the document.
enum Submitted {
    /// The printer accepted the document for this job.
    Job(i32),
    /// There is no job with a document.
    Nothing(PrintOutcome),
    /// The request failed. `job` is the job that may hold the document or a part of it, where it is known.
    Failed { job: Option<i32>, refusal: RequestFailure },
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

/// The print outcome of an ended job; `None` while the job has not ended.
fn job_outcome(status: JobStatus) -> Option<PrintOutcome> {
    let JobStatus { state, sheets_printed, errors, .. } = status;
    match state {
        JobState::Waiting | JobState::Processing => None,
        JobState::Completed if errors => Some(PrintOutcome::Unconfirmed(PrintFailure::Failed)),
        JobState::Completed => {
            let confirmation = if sheets_printed > 0 {
                PrintConfirmation::SheetsCounted
            } else {
                PrintConfirmation::Received
            };
            Some(PrintOutcome::Printed { confirmation })
        }
        JobState::Ended if status.proves_nothing_printed() => {
            Some(PrintOutcome::NotStarted(PrintFailure::Failed))
        }
        JobState::Ended => Some(PrintOutcome::Unconfirmed(PrintFailure::Failed)),
    }
}

fn failure_from_request(failure: RequestFailure) -> PrintFailure {
    match failure {
        RequestFailure::NoAnswer => PrintFailure::Disconnected,
        RequestFailure::Refused { status: FORMAT_NOT_SUPPORTED, .. } => PrintFailure::Unprintable,
        RequestFailure::Refused { .. } => PrintFailure::Offline,
    }
}

fn pause(time: Duration, progress: &mut dyn FnMut(PrintProgress)) {
    progress(PrintProgress::Confirming);
    thread::sleep(time);
}
