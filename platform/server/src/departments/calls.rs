//! Calls to departments: signed when they are made, their answers verified, and both kept as evidence.

use contract::{
    DEPARTMENT_CLOCK_DIFFERENCE_MAX_MS, DepartmentId, PublicKey, Signature, UnixMs, answer_bytes_to_sign, sm3,
};
use rusqlite::params;

use crate::context::{PlatformConfig, RequestContext};
use crate::incidents::record_incident;
use crate::peer_calls::{Peer, PeerAnswer, PeerCall, PlatformReply, SignedHeaders};
use crate::request_error::RequestError;
use crate::store::columns::to_ms_column;

/// A department's answer, whose signature and time are verified. No `Debug`: personal data.
pub(crate) struct DepartmentAnswer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A request to a department.
pub(crate) struct DepartmentRequest {
    pub(crate) department: DepartmentId,
    /// Path, relative to the department's base URL.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout_ms: u32,
}

/// The call of a department. `then` gets `None` when no answer came, or none that the department signed.
pub(crate) fn call_department(
    config: &PlatformConfig,
    now: UnixMs,
    request: DepartmentRequest,
    then: impl Fn(&mut RequestContext<'_>, Option<DepartmentAnswer>) -> Result<PlatformReply, RequestError>
    + Send
    + Sync
    + 'static,
) -> PeerCall {
    let DepartmentRequest { department, target, body, timeout_ms } = request;
    let (time, signature) = config.department_signer.sign_request(&department, &target, &body, now);
    let sent = SentRequest {
        department: department.clone(),
        target: target.clone(),
        at: now,
        hash: sm3(&[&body]),
        signature: signature.to_string(),
    };
    let headers = SignedHeaders { device: config.publication.departments().platform, time, signature };
    let call = PeerCall::new(Peer::Department(department), target, body, move |context, answer| {
        let verified = match answer {
            Some(answer) => verify(context, &sent, answer)?,
            None => {
                keep_evidence(context, &sent, None)?;
                None
            }
        };
        then(context, verified)
    });
    call.signed(headers, timeout_ms)
}

/// What is kept of a request until its answer comes.
struct SentRequest {
    department: DepartmentId,
    target: String,
    at: UnixMs,
    hash: [u8; 32],
    signature: String,
}

/// The answer, if the department signed it just now for this request. Anything else is an incident, once for each department.
fn verify(
    context: &RequestContext<'_>,
    sent: &SentRequest,
    answer: &PeerAnswer,
) -> Result<Option<DepartmentAnswer>, RequestError> {
    let key =
        context.config.publication.departments().get(&sent.department).map(|department| &department.key);
    let signed = key.and_then(|key| verified_time(key, sent, answer));
    let Some(time) = signed else {
        keep_evidence(context, sent, None)?;
        // A proxy in front of the adapter answers without a signature when the adapter is down.
        if answer.status < 500 {
            let about = format!("department {}", sent.department);
            let what = "an answer of the department is not signed with its key: compare the key in departments.toml with the adapter's";
            record_incident(context.tx, &about, what, to_ms_column(context.now))?;
        }
        return Ok(None);
    };
    keep_evidence(context, sent, Some(answer))?;
    if time.0.abs_diff(context.now.0) > DEPARTMENT_CLOCK_DIFFERENCE_MAX_MS {
        let about = format!("clock of department {}", sent.department);
        let what = "the department's clock differs by more than five minutes, and its answers are refused: set its clock";
        record_incident(context.tx, &about, what, to_ms_column(context.now))?;
        return Ok(None);
    }
    Ok(Some(DepartmentAnswer { status: answer.status, body: answer.body.clone() }))
}

/// The time of an answer that is signed with this key.
fn verified_time(key: &PublicKey, sent: &SentRequest, answer: &PeerAnswer) -> Option<UnixMs> {
    let (time, signature) = (answer.time.as_deref()?, answer.signature.as_deref()?);
    let signature: Signature = signature.parse().ok()?;
    let signed = answer_bytes_to_sign(&sent.signature, answer.status, time, &answer.body);
    key.verify(&signed, &signature).ok()?;
    time.parse().ok().map(UnixMs)
}

/// Keeps time, hash and signature of the request and of its answer: either side can prove later what was asked and answered.
fn keep_evidence(
    context: &RequestContext<'_>,
    sent: &SentRequest,
    answer: Option<&PeerAnswer>,
) -> rusqlite::Result<()> {
    context.tx.execute(
        "INSERT INTO department_messages
             (department, target, asked_ms, request_hash, request_signature, status, answered_ms, answer_hash, answer_signature)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (department, request_signature) DO UPDATE SET
             status = ?6, answered_ms = ?7, answer_hash = ?8, answer_signature = ?9",
        params![
            sent.department.to_string(),
            sent.target,
            to_ms_column(sent.at),
            sent.hash,
            sent.signature,
            answer.map(|answer| answer.status),
            answer.and_then(|answer| answer.time.as_ref()?.parse::<i64>().ok()),
            answer.map(|answer| sm3(&[&answer.body])),
            answer.and_then(|answer| answer.signature.clone()),
        ],
    )?;
    Ok(())
}
