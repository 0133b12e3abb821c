//! The adapter under test: requests as the platform sends them, and what every answer must have.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use contract::{
    ConsentId, DEPARTMENT_CLOCK_DIFFERENCE_MAX_MS, DEVICE_HEADER, DepartmentId, DepartmentPerson, KioskId,
    Level, Operation, OperationBody, OperationKind, PublicKey, SIGNATURE_HEADER, SecretKey, Signature,
    TIME_HEADER, TicketId, answer_bytes_to_sign, department_bytes_to_sign,
};

use super::CheckArguments;
use super::inputs::Inputs;
use super::report::{Failure, Report};
use crate::keys;

/// Longest answer that is read, in bytes.
const ANSWER_MAX: usize = 1024 * 1024;

/// The adapter, and what was noticed at its answers.
pub(crate) struct Adapter {
    url: String,
    pub(crate) department: DepartmentId,
    platform: String,
    secret: SecretKey,
    key: PublicKey,
    pub(crate) sealing: PublicKey,
    http: reqwest::Client,
    id_number: String,
    kiosk: KioskId,
    /// The first answer that breaks a rule of all answers.
    unsigned: Option<Failure>,
    unsigned_answers: usize,
    undated: Option<Failure>,
    late: Option<Failure>,
    named: Option<Failure>,
    answers: usize,
}

/// A request, and how it deviates from what the platform sends.
pub(crate) struct Sent {
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout_ms: u32,
    pub(crate) deviation: Deviation,
}

/// How a request deviates from what the platform sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deviation {
    None,
    NoSignature,
    WrongSignature,
    /// Signed rightly, with a time that differs by this many milliseconds.
    Time(i64),
    /// The body is not the signed one.
    ChangedBody,
    OtherDepartment,
    OtherPath,
    OtherSender,
}

/// An answer. No `Debug`: personal data.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The request, for the report.
    sent: String,
}

impl Deviation {
    /// The deviation in words; `None` for none.
    fn words(self) -> Option<String> {
        let words = match self {
            Self::None => return None,
            Self::NoSignature => "without X-Signature",
            Self::WrongSignature => "X-Signature is of something else",
            Self::Time(shift) => return Some(format!("X-Time is {} s from now", shift / 1000)),
            Self::ChangedBody => "the body has a space more than the signed one",
            Self::OtherDepartment => "signed for another department",
            Self::OtherPath => "signed for another path",
            Self::OtherSender => "X-Device is another",
        };
        Some(words.to_owned())
    }
}

impl Sent {
    pub(crate) fn new(target: impl Into<String>, body: Vec<u8>, timeout_ms: u32) -> Self {
        Self { target: target.into(), body, timeout_ms, deviation: Deviation::None }
    }
}

impl Answer {
    /// The answer was to be another.
    pub(crate) fn failure(&self, expected: impl Into<String>, change: impl Into<String>) -> Failure {
        let body = String::from_utf8_lossy(&self.body);
        let came = match self.status {
            0 => body.into_owned(),
            status => format!("status {status} {body}"),
        };
        Failure { sent: self.sent.clone(), expected: expected.into(), came, change: change.into() }
    }

    /// The failure unless the status is this.
    pub(crate) fn expect(&self, status: u16, change: &str) -> Option<Failure> {
        (self.status != status).then(|| self.failure(format!("status {status}"), change))
    }
}

impl Adapter {
    pub(crate) fn new(arguments: &CheckArguments, inputs: &Inputs) -> Result<Self> {
        let url = arguments.url.clone();
        if !url.starts_with("http://") || url.ends_with('/') {
            bail!("`{url}` is no base URL: give http://, host and path, without a slash at the end");
        }
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self {
            url,
            department: arguments.department.clone(),
            platform: arguments.platform.to_string(),
            secret: arguments.secret_key()?,
            key: arguments.key.clone(),
            sealing: arguments.sealing_key(),
            http,
            id_number: inputs.person.id_number.clone(),
            kiosk: "K-CHECK".parse()?,
            unsigned: None,
            unsigned_answers: 0,
            undated: None,
            late: None,
            named: None,
            answers: 0,
        })
    }

    pub(crate) const fn kiosk(&self) -> KioskId {
        self.kiosk
    }

    /// The request of an operation, as the platform sends it.
    pub(crate) fn operation(
        &self,
        operation: &Operation,
        person: Option<DepartmentPerson>,
        input: &BTreeMap<String, String>,
        id: u128,
    ) -> Sent {
        let is_ticket = operation.kind == OperationKind::Ticket;
        let body = OperationBody {
            request: (!is_ticket).then(|| format!("{id:032x}")),
            ticket: is_ticket.then(|| TicketId::from_entropy(id)),
            operation: is_ticket.then_some(operation.name.as_str()),
            person,
            input,
            consent: operation.personal.then(|| ConsentId::from_entropy(id)),
            level: operation.level.max(Level::Recognised),
            service: Some("department.check"),
            kiosk: Some(self.kiosk),
        };
        let target = if is_ticket {
            contract::TICKETS_TARGET.to_owned()
        } else {
            contract::query_target(&operation.name)
        };
        Sent::new(target, to_json(&body), operation.timeout_ms)
    }

    /// Sends a request and waits for its answer. Without one the status is 0.
    pub(crate) async fn send(&mut self, sent: &Sent) -> Answer {
        let (time, signature, body) = self.sign(sent);
        let mut shown = format!("POST {} {}", sent.target, String::from_utf8_lossy(&sent.body));
        if let Some(deviation) = sent.deviation.words() {
            let _ = write!(shown, " ({deviation})");
        }
        let device = if sent.deviation == Deviation::OtherSender { "OTHER-SENDER" } else { &self.platform };
        let timeout = Duration::from_millis(sent.timeout_ms.into());
        let mut request = self
            .http
            .post(format!("{}{}", self.url, sent.target))
            .header("content-type", "application/json")
            .header(DEVICE_HEADER, device)
            .header(TIME_HEADER, &time)
            .timeout(timeout)
            .body(body);
        if sent.deviation != Deviation::NoSignature {
            request = request.header(SIGNATURE_HEADER, &signature);
        }
        let begun = Instant::now();
        self.answers += 1;
        match self.receive(request, &shown, &signature, sent.deviation).await {
            Ok(answer) => answer,
            Err(error) => {
                let error = error.without_url();
                let came = format!("no complete answer after {} ms: {error}", begun.elapsed().as_millis());
                let answer = Answer { status: 0, body: came.into_bytes(), sent: shown };
                let failure = answer.failure(
                    format!("a complete answer within {} ms, the operation's time-out", sent.timeout_ms),
                    "answer sooner, or have timeout-ms of the operation raised (at most 8000)",
                );
                self.late.get_or_insert(failure);
                answer
            }
        }
    }

    async fn receive(
        &mut self,
        request: reqwest::RequestBuilder,
        shown: &str,
        signature: &str,
        deviation: Deviation,
    ) -> reqwest::Result<Answer> {
        let mut response = request.send().await?;
        let headers = response.headers().clone();
        let mut answer =
            Answer { status: response.status().as_u16(), body: Vec::new(), sent: shown.to_owned() };
        while let Some(chunk) = response.chunk().await? {
            answer.body.extend_from_slice(&chunk);
            if answer.body.len() > ANSWER_MAX {
                break;
            }
        }
        if headers.values().any(|value| contains(value.as_bytes(), self.id_number.as_bytes())) {
            let change =
                "name no person in headers or addresses, which get into access logs; do not redirect";
            self.named.get_or_insert(answer.failure("no ID number in any header of an answer", change));
        }
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (time, by) = (text(TIME_HEADER), text(SIGNATURE_HEADER));
        // Without a signature of the request there is nothing that the answer's could cover.
        let signed_request = if deviation == Deviation::NoSignature { "" } else { signature };
        let bytes = answer_bytes_to_sign(signed_request, answer.status, time, &answer.body);
        if !by.parse::<Signature>().is_ok_and(|by| self.key.verify(&bytes, &by).is_ok()) {
            let change = match by {
                "" => "sign every answer, errors included: header X-Signature",
                _ => {
                    "sign the lines ANSWER, X-Signature of the request, status, X-Time, SM3 of the body as sent; compare the key"
                }
            };
            self.unsigned_answers += 1;
            let mut failure = answer.failure(self.expected_signature(&bytes), change);
            failure.came = format!("X-Signature: {by}; status {}", answer.status);
            self.unsigned.get_or_insert(failure);
        }
        let differs = time.parse::<u64>().map(|time| time.abs_diff(now_ms()));
        if !differs.is_ok_and(|differs| differs <= DEPARTMENT_CLOCK_DIFFERENCE_MAX_MS) {
            let change = "put the present time in X-Time, in milliseconds since 1970, and set the clock";
            let expected = "an X-Time within five minutes of now";
            let mut failure = answer.failure(expected, change);
            failure.came = format!("X-Time: {time}");
            self.undated.get_or_insert(failure);
        }
        Ok(answer)
    }

    /// The time, the signature, and the body that is sent.
    fn sign(&self, sent: &Sent) -> (String, String, Vec<u8>) {
        let shift = if let Deviation::Time(shift) = sent.deviation { shift } else { 0 };
        let time = now_ms().saturating_add_signed(shift).to_string();
        let other = "other-department".parse::<DepartmentId>().unwrap_or_else(|_| self.department.clone());
        let department = if sent.deviation == Deviation::OtherDepartment { &other } else { &self.department };
        let target = if sent.deviation == Deviation::OtherPath { "/other-path" } else { &sent.target };
        let signed = department_bytes_to_sign(department, target, &time, &sent.body);
        let mut signature = self.secret.sign(&signed).to_string();
        if sent.deviation == Deviation::WrongSignature {
            signature = self.secret.sign(b"something else").to_string();
        }
        let mut body = sent.body.clone();
        if sent.deviation == Deviation::ChangedBody {
            body.push(b' ');
        }
        (time, signature, body)
    }

    /// Base URL of the adapter.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What a request's signature covers, for people.
    pub(crate) fn signed_lines(&self, sent: &Sent) -> String {
        let lines = department_bytes_to_sign(&self.department, &sent.target, "X-Time", &sent.body);
        let lines = String::from_utf8_lossy(&lines).replace('\n', "⏎");
        let key = self.secret.public().to_string();
        format!("verified with the platform's key {}… over {lines}", key.get(..20).unwrap_or_default())
    }

    /// What the signature of an answer covers, for people.
    fn expected_signature(&self, signed: &[u8]) -> String {
        let lines = String::from_utf8_lossy(signed).replace('\n', "⏎");
        let key = self.key.to_string();
        format!("a signature of the key {}… over {lines}", key.get(..20).unwrap_or_default())
    }

    /// Adds the checks of all answers.
    pub(crate) fn report_answers(mut self, report: &mut Report) {
        if let Some(failure) = &mut self.unsigned {
            let of = format!("; so were {} of {} answers", self.unsigned_answers, self.answers);
            failure.came.push_str(&of);
        }
        report.add("every answer is signed for its request", self.unsigned);
        report.add("every answer is dated now", self.undated);
        report.add("every answer comes within the time-out", self.late);
        report.add("no header of an answer has an ID number", self.named);
    }
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && whole.windows(part.len()).any(|window| window == part)
}

/// A new id.
pub(crate) fn new_id() -> Result<u128> {
    Ok(u128::from_be_bytes(*keys::random_bytes::<16>()?))
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// JSON of a body of the contract.
pub(crate) fn to_json(body: &impl serde::Serialize) -> Vec<u8> {
    // The bodies have texts, numbers and text keys: they are always JSON.
    serde_json::to_vec(body).unwrap_or_default()
}
