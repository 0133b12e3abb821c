//! Checks of requests that the platform never sends: each must be refused. None of them changes anything.

use anyhow::{Result, bail};
use contract::{
    Operation, OperationKind, PAYMENT_TIMEOUT_MS, SUBMISSION_STATE_TARGET, SubmissionStateBody, query_target,
};

use super::adapter::{Adapter, Deviation, Sent, new_id, to_json};
use super::inputs::Inputs;
use super::report::Report;

/// A little more than the clocks may differ.
const TOO_FAR_MS: i64 = 6 * 60_000;
/// Longest body, in bytes.
const BODY_MAX: usize = 1024 * 1024;

/// Refused requests: the name of the check, the request, what to change.
const REFUSED: [(&str, Deviation, &str); 8] = [
    ("request without a signature is 401", Deviation::NoSignature, "refuse it before anything else"),
    (
        "request with a wrong signature is 401",
        Deviation::WrongSignature,
        "verify X-Signature with the platform's key",
    ),
    (
        "request with an old time is 401",
        Deviation::Time(-TOO_FAR_MS),
        "refuse an X-Time more than five minutes ago",
    ),
    (
        "request with a time ahead is 401",
        Deviation::Time(TOO_FAR_MS),
        "refuse an X-Time more than five minutes ahead",
    ),
    (
        "request with a changed body is 401",
        Deviation::ChangedBody,
        "verify over the SM3 of the body as received",
    ),
    (
        "request for another department is 401",
        Deviation::OtherDepartment,
        "verify over your own id and the path of the request",
    ),
    ("request for another path is 401", Deviation::OtherPath, "verify over the path of the request"),
    (
        "request of another sender is 401",
        Deviation::OtherSender,
        "compare X-Device with the id of the platform",
    ),
];

/// Sends one request as the platform sends it. Where it is not answered at all, or refused as unsigned, every further check would
/// say the same.
pub(crate) async fn check_first(
    adapter: &mut Adapter,
    report: &mut Report,
    inputs: &Inputs,
    operations: &[&Operation],
) -> Result<bool> {
    let sent = harmless(adapter, inputs, operations)?;
    let answer = adapter.send(&sent).await;
    if answer.status == 0 {
        bail!("no adapter answers at {}: {}", adapter.url(), String::from_utf8_lossy(&answer.body));
    }
    let is_accepted = answer.status != 401;
    let change = "it refuses a request that is signed rightly: compare the platform's key and the lines that it verifies";
    let failure = (!is_accepted).then(|| answer.failure(adapter.signed_lines(&sent), change));
    report.add("rightly signed request is not 401", failure);
    Ok(is_accepted)
}

/// Checks the adapter's refusals of requests.
pub(crate) async fn check(
    adapter: &mut Adapter,
    report: &mut Report,
    inputs: &Inputs,
    operations: &[&Operation],
) -> Result<()> {
    for (name, deviation, change) in REFUSED {
        let sent = Sent { deviation, ..harmless(adapter, inputs, operations)? };
        let answer = adapter.send(&sent).await;
        report.add(name, answer.expect(401, change));
    }
    let good = harmless(adapter, inputs, operations)?;
    let malformed = Sent { body: b"{\"request\":".to_vec(), ..good };
    let answer = adapter.send(&malformed).await;
    let change = "answer 400 to a signed body that is not JSON of the contract";
    report.add("malformed JSON is 400", answer.expect(400, change));

    let mut unknown = harmless(adapter, inputs, operations)?;
    if unknown.target == SUBMISSION_STATE_TARGET {
        unknown.body = format!("{{\"request\":\"{:032x}\",\"input\":{{}}}}", new_id()?).into_bytes();
    }
    unknown.target = query_target("no-such.operation");
    let answer = adapter.send(&unknown).await;
    let change = "answer 404 to an operation that you do not have, and not with no rows";
    report.add("unknown operation is 404", answer.expect(404, change));

    let unsigned = Sent { deviation: Deviation::NoSignature, ..unknown };
    let answer = adapter.send(&unsigned).await;
    let change = "verify the signature before you look for the operation";
    report.add("unsigned request of an unknown operation is 401", answer.expect(401, change));

    let mut more = harmless(adapter, inputs, operations)?;
    let expected = adapter.send(&more).await.status;
    if let Some(rest) = more.body.strip_prefix(b"{") {
        more.body = [br#"{"added-later":{"a":[1]},"#.as_slice(), rest].concat();
    }
    let answer = adapter.send(&more).await;
    let change = "ignore fields that you do not know: later versions of the contract add some";
    report.add("unknown field is ignored", answer.expect(expected, change));

    let mut large = harmless(adapter, inputs, operations)?;
    large.body.resize(BODY_MAX + 1, b' ');
    let answer = adapter.send(&large).await;
    let is_refused = matches!(answer.status, 0 | 400 | 401 | 413);
    let change = "read at most 1 MiB of a body, and refuse what is longer";
    let failure =
        (!is_refused).then(|| answer.failure("status 413, 400 or 401, or a closed connection", change));
    report.add("body above 1 MiB is refused", failure);

    let answer = adapter.send(&unknown_state()?).await;
    let change = "answer 404 to the state of a submission that you do not have";
    report.add("state of an unknown submission is 404", answer.expect(404, change));
    Ok(())
}

fn unknown_state() -> Result<Sent> {
    let submission = format!("{:032x}", new_id()?);
    let body = to_json(&SubmissionStateBody { submission: &submission });
    Ok(Sent::new(SUBMISSION_STATE_TARGET, body, PAYMENT_TIMEOUT_MS))
}

/// A request that changes nothing even where it is not refused.
fn harmless(adapter: &Adapter, inputs: &Inputs, operations: &[&Operation]) -> Result<Sent> {
    for operation in operations {
        let is_query = matches!(operation.kind, OperationKind::Query | OperationKind::Bills);
        if let Some(call) =
            is_query.then(|| inputs.calls(operation)).and_then(|calls| calls.into_iter().next())
        {
            return Ok(adapter.operation(operation, inputs.person_of(operation), &call.input, new_id()?));
        }
    }
    unknown_state()
}
