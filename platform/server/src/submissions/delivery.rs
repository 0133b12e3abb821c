//! Delivery of submissions to departments, and questions about their state: repeated without limit, with back-off. The department
//! takes a submission once however often it is sent.

use contract::{
    AnswerFault, Backoff, Bilingual, SUBMISSION_STATE_TARGET, SUBMISSIONS_TARGET, SubmissionBody,
    SubmissionStateAnswer, SubmissionStateBody, UnixMs, parse_refusal,
};
use rusqlite::{Transaction, params};

use super::state::SubmissionState;
use crate::context::{PlatformConfig, RequestContext};
use crate::departments::calls::{DepartmentAnswer, DepartmentRequest, call_department};
use crate::departments::requests::person;
use crate::incidents::record_incident;
use crate::messages::PlatformResponse;
use crate::peer_calls::{PeerCall, PlatformReply};
use crate::request_error::RequestError;
use crate::store::columns::{from_id_column, from_json_column, to_json_column, to_ms_column};

/// Pauses between attempts to deliver a submission.
const DELIVERY_BACKOFF: Backoff = Backoff::new(2_000, 5 * 60_000);
/// Pauses between questions about the state of a submission that is not decided.
const STATE_BACKOFF: Backoff = Backoff::new(60_000, STATE_PAUSE_MAX_MS);
/// Longest pause of both.
const STATE_PAUSE_MAX_MS: u64 = 6 * 3_600_000;

/// A submission that is to be delivered or asked about.
struct DueSubmission {
    resident: Option<i64>,
    submission: String,
    operation: String,
    state: SubmissionState,
    tried: u32,
}

/// Returns at most `most` calls that are due, and schedules the next attempt of each.
pub(crate) fn due_submissions(
    tx: &Transaction<'_>,
    config: &PlatformConfig,
    now: UnixMs,
    most: u32,
) -> rusqlite::Result<Vec<PeerCall>> {
    let mut open = tx.prepare(
        "SELECT resident, submission, operation, state, tried FROM submissions
         WHERE next_ms IS NOT NULL AND (next_ms <= ?1 OR next_ms > ?3) ORDER BY next_ms, recorded_ms LIMIT ?2",
    )?;
    let due = open
        // A time further away than the longest pause was set by a clock that was ahead.
        .query_map(params![to_ms_column(now), most, to_ms_column(now.plus_ms(STATE_PAUSE_MAX_MS))], |row| {
            Ok(DueSubmission {
                resident: row.get(0)?,
                submission: row.get(1)?,
                operation: row.get(2)?,
                state: SubmissionState::from_name(&row.get::<_, String>(3)?)
                    .unwrap_or(SubmissionState::Conflict),
                tried: row.get(4)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut calls = Vec::new();
    for one in due {
        let backoff = if one.state == SubmissionState::Queued { DELIVERY_BACKOFF } else { STATE_BACKOFF };
        tx.execute(
            "UPDATE submissions SET tried = tried + 1, next_ms = ?1 WHERE submission = ?2",
            params![to_ms_column(now.plus_ms(backoff.pause_ms(one.tried))), one.submission],
        )?;
        calls.extend(build_call(tx, config, now, &one)?);
    }
    Ok(calls)
}

/// The call about a submission. `None` while its operation is not in force: it waits.
fn build_call(
    tx: &Transaction<'_>,
    config: &PlatformConfig,
    now: UnixMs,
    due: &DueSubmission,
) -> rusqlite::Result<Option<PeerCall>> {
    let Some(operation) = config.operations().get(&due.operation) else { return Ok(None) };
    let submission = due.submission.clone();
    let (target, body) = if due.state == SubmissionState::Queued {
        (SUBMISSIONS_TARGET, delivery_body(tx, due)?)
    } else {
        let body = serde_json::to_vec(&SubmissionStateBody { submission: &submission });
        (SUBMISSION_STATE_TARGET, body.expect("a text is always JSON"))
    };
    let request = DepartmentRequest {
        department: operation.department.clone(),
        target: target.to_owned(),
        body,
        timeout_ms: operation.timeout_ms,
    };
    Ok(Some(call_department(config, now, request, move |context, answer| {
        on_answer(context, &submission, answer)
    })))
}

fn delivery_body(tx: &Transaction<'_>, due: &DueSubmission) -> rusqlite::Result<Vec<u8>> {
    let person = due.resident.map(|resident| person(tx, resident)).transpose()?;
    tx.query_row(
        "SELECT sealed, hash, level, service, version, device, recorded_ms FROM submissions WHERE submission = ?1",
        [&due.submission],
        |row| {
            let body = SubmissionBody {
                submission: &due.submission,
                operation: &due.operation,
                person,
                sealed: &row.get::<_, String>(0)?,
                hash: &row.get::<_, String>(1)?,
                // No kiosk sends a signature of the resident's own with a submission.
                claimed: true,
                level: from_json_column(&row.get::<_, String>(2)?)?,
                service: &row.get::<_, String>(3)?,
                version: row.get(4)?,
                kiosk: from_id_column(&row.get::<_, String>(5)?)?,
                recorded_ms: row.get(6)?,
            };
            Ok(serde_json::to_vec(&body).expect("a submission has string keys and no floats"))
        },
    )
}

/// Continues with the department's answer; `None`: no answer came, the call is repeated.
fn on_answer(
    context: &RequestContext<'_>,
    submission: &str,
    answer: Option<DepartmentAnswer>,
) -> Result<PlatformReply, RequestError> {
    if answer.as_ref().is_some_and(|answer| answer.status == 404) {
        let what = "the department does not know the submission's operation, or not the submission: it is asked again; compare the \
                    adapter with the department's file in `operations`";
        record_incident(context.tx, &format!("submission {submission}"), what, to_ms_column(context.now))?;
    }
    match answer.and_then(|answer| parse_answer(&answer)) {
        Some(ParsedState { state: SubmissionState::Conflict, .. }) => {
            let what = "the department has another submission with this id: compare the kiosk's record with the department's case";
            record_incident(
                context.tx,
                &format!("submission {submission}"),
                what,
                to_ms_column(context.now),
            )?;
            set_state(
                context,
                submission,
                &ParsedState { state: SubmissionState::Conflict, number: None, text: None },
            )?;
        }
        Some(parsed) => set_state(context, submission, &parsed)?,
        None => {}
    }
    Ok(PlatformResponse { status: 204, content_type: "application/json", body: Vec::new() }.into())
}

struct ParsedState {
    state: SubmissionState,
    number: Option<String>,
    text: Option<Bilingual>,
}

/// The state in an answer; `None` when it says nothing, and the call is repeated.
fn parse_answer(answer: &DepartmentAnswer) -> Option<ParsedState> {
    match answer.status {
        200 => {
            let answer = SubmissionStateAnswer::parse(&answer.body).ok()?.shown();
            let state = SubmissionState::of_department(&answer.state)?;
            Some(ParsedState { state, number: answer.number, text: answer.text })
        }
        // Words that cannot be shown: the submission is refused all the same.
        422 => {
            let text = parse_refusal(&answer.body);
            if matches!(text, Err(AnswerFault::Shape(_))) {
                return None;
            }
            Some(ParsedState { state: SubmissionState::Refused, number: None, text: text.ok() })
        }
        409 => Some(ParsedState { state: SubmissionState::Conflict, number: None, text: None }),
        _ => None,
    }
}

/// Stores the state. A decided submission is not asked about again; a department that changes its mind says so to the resident.
fn set_state(context: &RequestContext<'_>, submission: &str, parsed: &ParsedState) -> rusqlite::Result<()> {
    let ParsedState { state, number, text } = parsed;
    let first_question = to_ms_column(context.now.plus_ms(STATE_BACKOFF.pause_ms(0)));
    context.tx.execute(
        "UPDATE submissions SET
             tried = CASE WHEN state = ?2 THEN tried ELSE 0 END,
             next_ms = CASE WHEN ?5 THEN NULL WHEN state = ?2 THEN next_ms ELSE ?6 END,
             number = coalesce(?3, number), words = coalesce(?4, words), state = ?2
         WHERE submission = ?1",
        params![
            submission,
            state.name(),
            number,
            text.as_ref().map(to_json_column),
            state.is_final(),
            first_question
        ],
    )?;
    Ok(())
}
