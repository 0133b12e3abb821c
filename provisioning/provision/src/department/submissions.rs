//! Checks of submissions: what is sealed opens, each is received once, a refused one stays refused.

use std::collections::BTreeMap;

use anyhow::Result;
use contract::{
    Bilingual, DepartmentKey, DepartmentPerson, Level, Operation, PublicKey, SUBMISSION_STATE_TARGET,
    SUBMISSIONS_TARGET, SealedSubmission, SecretKey, SubmissionBody, SubmissionStateAnswer,
    SubmissionStateBody, SubmittingPerson,
};
use zeroize::Zeroizing;

use super::adapter::{Adapter, Answer, Sent, new_id, now_ms, to_json};
use super::inputs::{Call, Expected, Inputs};
use super::operations::refusal_failure;
use super::report::{Failure, Report};
use crate::keys;

/// Submits, for each call of the file, and checks what becomes of it.
pub(crate) async fn check(
    adapter: &mut Adapter,
    report: &mut Report,
    inputs: &Inputs,
    operation: &Operation,
) -> Result<()> {
    let name = &operation.name;
    let calls = inputs.calls(operation);
    if calls.is_empty() {
        report.skipped(name, "it needs input: add a [[call]] to the file of inputs");
        return Ok(());
    }
    for call in &calls {
        check_call(adapter, report, &inputs.person, operation, call).await?;
    }
    let call = calls.into_iter().next().map(|call| call.input).unwrap_or_default();
    let scalar = keys::random_bytes::<32>()?;
    let other = SecretKey::from_bytes(&scalar)?.public();
    let unopenable = Case::new(adapter, operation, &call, &other)?;
    let answer = adapter.send(&unopenable.sent(adapter, operation, Some(&inputs.person))).await;
    let change = "answer 400 where the sealed content does not open; the platform sends it again";
    report.add(format!("{name}: sealed content that does not open is 400"), answer.expect(400, change));
    let mut wrong_hash = Case::new(adapter, operation, &call, &adapter.sealing)?;
    wrong_hash.sealed.hash = contract::to_hex(&contract::sm3(&[b"something else"]));
    let answer = adapter.send(&wrong_hash.sent(adapter, operation, Some(&inputs.person))).await;
    let change = "compare `hash` with the SM3 of the opened JSON, byte for byte";
    report.add(format!("{name}: hash of something else is 400"), answer.expect(400, change));

    let stranger =
        DepartmentPerson { id_number: "11010119900101001X".into(), name: inputs.person.name.clone() };
    let sealed_person = SubmittingPerson { id_number: &stranger.id_number, name: &stranger.name };
    let differing = Case::of(adapter, operation, Some(sealed_person), &call, &adapter.sealing)?;
    let answer = adapter.send(&differing.sent(adapter, operation, Some(&inputs.person))).await;
    let change = "compare `person` with `person.id-number` of the sealed object, where it has one";
    report.add(format!("{name}: another person in the sealed object is 400"), answer.expect(400, change));

    let person = SubmittingPerson { id_number: &inputs.person.id_number, name: &inputs.person.name };
    let forgotten = Case::of(adapter, operation, Some(person), &call, &adapter.sealing)?;
    let answer = adapter.send(&forgotten.sent(adapter, operation, None)).await;
    let change = "take the person of the sealed object where `person` is absent: the platform was restored from a backup";
    let failure = (!matches!(answer.status, 200 | 422)).then(|| answer.failure("status 200 or 422", change));
    report.add(format!("{name}: person of the sealed object alone is enough"), failure);
    Ok(())
}

async fn check_call(
    adapter: &mut Adapter,
    report: &mut Report,
    person: &DepartmentPerson,
    operation: &Operation,
    call: &Call,
) -> Result<()> {
    let name = &operation.name;
    let case = Case::new(adapter, operation, &call.input, &adapter.sealing)?;
    let sent = case.sent(adapter, operation, Some(person));
    let first = adapter.send(&sent).await;
    let failure = match first.status {
        200 => state_failure(&first),
        422 => refusal_failure(&first),
        _ => Some(first.failure(
            "status 200 with a state, or 422 with a refusal in words",
            "open `sealed` with the secret key: SM2Cipher in DER, hexadecimal; the SM3 of what it holds is `hash`; or --sealing is not your key",
        )),
    };
    let is_received = failure.is_none();
    report.add(format!("{name}: sealed submission is opened and answered"), failure);
    if let Some(expected) = call.expect {
        let is_refused = first.status == 422;
        let failure = (is_refused != (expected == Expected::Refused)).then(|| {
            first.failure(
                format!("{expected}, as the file of inputs says"),
                "correct the adapter's data, or `expect`",
            )
        });
        report.add(format!("{name}: answer is the expected one"), failure);
    }
    if !is_received {
        return Ok(());
    }
    let again = adapter.send(&sent).await;
    let check =
        if first.status == 422 { "refused submission stays refused" } else { "same submission again is one" };
    let is_same = again.status == first.status && number(&again) == number(&first);
    let change = "remember `submission`, and give the same request the same case, or the same refusal";
    let failure = (!is_same).then(|| again.failure("the status and the number of the first answer", change));
    report.add(format!("{name}: {check}"), failure);

    let other = Case {
        submission: case.submission.clone(),
        ..Case::new(adapter, operation, &call.input, &adapter.sealing)?
    };
    let answer = adapter.send(&other.sent(adapter, operation, Some(person))).await;
    let change = "compare `sealed` with that of the first request of this `submission`";
    report.add(format!("{name}: same submission with other content is 409"), answer.expect(409, change));

    let body = to_json(&SubmissionStateBody { submission: &case.submission });
    let state = adapter.send(&Sent::new(SUBMISSION_STATE_TARGET, body, operation.timeout_ms)).await;
    let is_refused = first.status == 422;
    let failure = state
        .expect(200, "answer the present state of a submission that you received, refused ones included")
        .or_else(|| state_failure(&state))
        .or_else(|| {
            let read = SubmissionStateAnswer::parse(&state.body).ok()?;
            let is_right =
                if is_refused { read.state == "refused" } else { number(&state) == number(&first) };
            let change = "the state is that of the case of the submission; of a refused one `refused`";
            (!is_right).then(|| state.failure("the same case", change))
        });
    report.add(format!("{name}: state of the submission is answered"), failure);
    Ok(())
}

/// A submission.
struct Case {
    submission: String,
    sealed: SealedSubmission,
    recorded_ms: i64,
}

impl Case {
    fn new(
        adapter: &Adapter,
        operation: &Operation,
        input: &BTreeMap<String, String>,
        key: &PublicKey,
    ) -> Result<Self> {
        Self::of(adapter, operation, None, input, key)
    }

    /// A submission with this person in the sealed object.
    fn of(
        adapter: &Adapter,
        operation: &Operation,
        person: Option<SubmittingPerson<'_>>,
        input: &BTreeMap<String, String>,
        key: &PublicKey,
    ) -> Result<Self> {
        let name = Bilingual { zh: operation.name.clone(), en: operation.name.clone() };
        let key = DepartmentKey { id: adapter.department.clone(), name, key: key.clone() };
        let input = input.iter().map(|(name, value)| (name.clone(), Zeroizing::new(value.clone()))).collect();
        Ok(Self {
            submission: format!("{:032x}", new_id()?),
            sealed: key.seal(person, &input, &keys::random_bytes::<32>()?),
            recorded_ms: i64::try_from(now_ms()).unwrap_or(i64::MAX),
        })
    }

    fn sent(&self, adapter: &Adapter, operation: &Operation, person: Option<&DepartmentPerson>) -> Sent {
        let body = SubmissionBody {
            submission: &self.submission,
            operation: &operation.name,
            person: person.cloned(),
            sealed: &self.sealed.sealed,
            hash: &self.sealed.hash,
            claimed: true,
            level: operation.level.max(Level::Recognised),
            service: "department.check",
            version: 1,
            kiosk: adapter.kiosk(),
            recorded_ms: self.recorded_ms,
        };
        Sent::new(SUBMISSIONS_TARGET, to_json(&body), operation.timeout_ms)
    }
}

fn state_failure(answer: &Answer) -> Option<Failure> {
    let checked = SubmissionStateAnswer::parse(&answer.body).and_then(|read| read.check_words());
    let fault = checked.err()?;
    Some(answer.failure("a state, and perhaps a number and a text in both languages", fault.to_string()))
}

/// The number of the case.
fn number(answer: &Answer) -> Option<String> {
    SubmissionStateAnswer::parse(&answer.body).ok()?.number
}
