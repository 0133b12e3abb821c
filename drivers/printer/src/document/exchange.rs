//! One request to an IPP printer over HTTP, its response, and how much of a document left with it.

use std::io::{self, Cursor, Read};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ipp::request::IppRequestResponse;

use crate::document::attributes::{ANSWER_MAX, parse_job_id, parse_response};

/// Timeout of a connection to a printer on the kiosk's own network segment.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Interval of progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Lowest status code that is an error (RFC 8011, B.1).
const ERROR_STATUS_MIN: u16 = 0x0400;

/// How a request failed. Neither says how much of a document the printer has received: [`DocumentBody`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestFailure {
    /// The printer could not be reached, or gave no response that can be used: it may have executed the request.
    NoAnswer,
    /// The printer refused the request.
    Refused {
        /// The IPP status. [`ERROR_STATUS_MIN`] for a refusal by HTTP.
        status: u16,
        /// The job that the printer had created when it refused (RFC 8011, B.1.5.9).
        job: Option<i32>,
    },
}

/// How much of a document left the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentSent {
    /// No byte, and none ever will: the printer has nothing to print.
    Nothing,
    /// A part. A printer that prints while it receives may have printed it.
    Part,
    /// The whole document, as far as the operating system has taken it.
    Whole,
}

/// The document of one request. The HTTP client takes its bytes from here: whether it has taken any decides whether the
/// printer can have received any. No error of the client says that as surely.
#[derive(Clone)]
pub(super) struct DocumentBody(Arc<Mutex<BodyState>>);

struct BodyState {
    bytes: Cursor<Vec<u8>>,
    is_withdrawn: bool,
}

impl DocumentBody {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(BodyState { bytes: Cursor::new(bytes), is_withdrawn: false })))
    }

    fn state(&self) -> MutexGuard<'_, BodyState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Size of the document in bytes.
    pub(super) fn total_bytes(&self) -> usize {
        self.state().bytes.get_ref().len()
    }

    /// Number of bytes that the HTTP client has taken.
    pub(super) fn taken_bytes(&self) -> usize {
        usize::try_from(self.state().bytes.position()).unwrap_or(usize::MAX)
    }

    /// Ends the sending: a request that still runs gets no further byte. Returns how much was taken.
    pub(super) fn withdraw(&self) -> DocumentSent {
        let mut state = self.state();
        state.is_withdrawn = true;
        match usize::try_from(state.bytes.position()).unwrap_or(usize::MAX) {
            0 => DocumentSent::Nothing,
            taken if taken < state.bytes.get_ref().len() => DocumentSent::Part,
            _ => DocumentSent::Whole,
        }
    }
}

impl Read for DocumentBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        // An error, not an end: an end would make a whole document of the part that was sent.
        if state.is_withdrawn {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            state.bytes.read(buffer)
        }
    }
}

/// Sends one request and returns the response. The request runs in a separate thread, so that `progress` can be
/// called meanwhile.
pub(super) fn send_request(
    url: &str,
    request: IppRequestResponse,
    timeout: Duration,
    progress: &mut dyn FnMut(),
) -> Result<IppRequestResponse, RequestFailure> {
    let (url, (sender, receiver)) = (url.to_owned(), mpsc::sync_channel(1));
    let work = move || {
        let answer = post_request(&url, request, timeout);
        // Fails only if the caller has stopped waiting.
        sender.send(answer).ok();
    };
    thread::Builder::new().name("ipp".into()).spawn(work).map_err(|_| RequestFailure::NoAnswer)?;
    // The request has its own timeout; this one is a safeguard.
    let deadline = Instant::now() + timeout * 2;
    loop {
        match receiver.recv_timeout(PROGRESS_INTERVAL) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => progress(),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(RequestFailure::NoAnswer);
            }
        }
    }
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
    let mut answer = sent.map_err(|error| {
        if matches!(error, ureq::Error::StatusCode(400..=499)) {
            RequestFailure::Refused { status: ERROR_STATUS_MIN, job: None }
        } else {
            RequestFailure::NoAnswer
        }
    })?;
    let bytes = answer
        .body_mut()
        .with_config()
        .limit(ANSWER_MAX)
        .read_to_vec()
        .map_err(|_| RequestFailure::NoAnswer)?;
    let answer = parse_response(bytes).map_err(|_| RequestFailure::NoAnswer)?;
    match answer.header().operation_or_status.cast_unsigned() {
        status if status >= ERROR_STATUS_MIN => {
            Err(RequestFailure::Refused { status, job: parse_job_id(&answer) })
        }
        _ => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_body_says_how_much_was_taken() {
        for (reads, taken, sent) in [
            (0, 0, DocumentSent::Nothing),
            (1, 1, DocumentSent::Part),
            (2, 2, DocumentSent::Part),
            (3, 3, DocumentSent::Whole),
        ] {
            let body = DocumentBody::new(vec![1, 2, 3]);
            for _ in 0..reads {
                assert_eq!(body.clone().read(&mut [0]).unwrap(), 1);
            }

            assert_eq!((body.taken_bytes(), body.withdraw()), (taken, sent));
        }
    }

    #[test]
    fn withdrawn_document_body_fails_instead_of_ending() {
        let body = DocumentBody::new(vec![1, 2, 3]);
        body.withdraw();

        assert!(body.clone().read(&mut [0]).is_err());
        assert_eq!(body.withdraw(), DocumentSent::Nothing);
    }
}
