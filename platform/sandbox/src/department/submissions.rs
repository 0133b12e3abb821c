//! `POST /submissions` and `POST /submissions/state`: applications, and how they go on.

use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::books::{from_json, to_json};
use super::call::{Asked, Call, Outcome, parse};
use super::data::{Once, State, Submissions, Words};
use super::effects;
use super::sealed;
use super::signatures::{sm3, to_hex};
use super::tickets::{stored_ms, today};
use super::wire::{Failure, Input, Person, StateRequest, SubmissionAnswer, SubmissionRequest, check_id};

/// A state that a submission has from some time on.
#[derive(Serialize, Deserialize)]
struct Stage {
    from_ms: u64,
    state: State,
    text: Option<Words>,
}

/// A submission that was received.
struct Received {
    digest: String,
    /// 公民身份号码 of the person; empty where nobody is named.
    person: String,
    number: String,
    course: Vec<Stage>,
    refused: Option<Words>,
}

/// Receives a submission, or says what became of the same one before.
pub(crate) fn submission(call: &Call<'_>, body: &[u8]) -> Result<Outcome, Failure> {
    let request: SubmissionRequest = parse(body)?;
    check_id(&request.submission)?;
    let kind = call
        .file
        .submission(&request.operation)
        .ok_or(Failure::Unknown("the department takes no such submission"))?;
    let sealed = request.sealed.unwrap_or_default().to_ascii_lowercase();
    // Not of the person: a platform that was restored from a backup may have forgotten them.
    let content = format!("{}\n{sealed}", request.operation);
    let digest = to_hex(&sm3(&[content.as_bytes()]));
    if let Some(before) = received(call, &request.submission)? {
        let is_named_otherwise = request
            .person
            .as_ref()
            .is_some_and(|person| !before.person.is_empty() && person.id_number != before.person);
        if before.digest != digest || is_named_otherwise {
            return Err(Failure::Conflict("this submission came before, with other content"));
        }
        return Ok(match &before.refused {
            Some(words) => Outcome::refused(words),
            None => answer(call, before),
        });
    }
    let mut input = if sealed.is_empty() {
        Input::new()
    } else {
        let opened = sealed::open(call.key, &sealed);
        let opened = opened.ok_or(Failure::Malformed(
            "what is sealed does not open with the department's key, or is not a JSON object of texts",
        ))?;
        if request.hash.is_some_and(|hash| hash != opened.hash) {
            return Err(Failure::Malformed("what is sealed does not have the hash of the kiosk's record"));
        }
        opened.fields
    };
    let person = submitting_person(&mut input, request.person)?;
    let asked = Asked { id: &request.submission, person: person.as_ref(), input: &input };
    let refused = refusal(call, kind, asked)?;
    let mut context = call.context(asked);
    let number = kind.number.get_ref().evaluate(&context);
    let person = person.as_ref().map_or_else(String::new, |person| person.id_number.clone());
    let received = Received { digest, person, number, course: course(call, kind), refused: refused.cloned() };
    store(call, asked, &request.operation, &received)?;
    if let Some(words) = refused {
        return Ok(Outcome::refused(words));
    }
    context.words.insert("case".to_owned(), received.number.clone());
    context.words.insert("state".to_owned(), kind.state.words().to_owned());
    effects::apply(call, &kind.effects, &context, Some(&request.submission))?;
    Ok(answer(call, received))
}

/// Who submitted: as the kiosk sealed it and as the platform names them, where each knows it.
fn submitting_person(input: &mut Input, named: Option<Person>) -> Result<Option<Person>, Failure> {
    let sealed = input.remove("person.id-number").zip(input.remove("person.name"));
    match (sealed, named) {
        (Some((id_number, _)), Some(named)) if id_number != named.id_number => {
            Err(Failure::Malformed("the person whom the kiosk sealed is not the one whom the platform names"))
        }
        (_, Some(named)) => Ok(Some(named)),
        (Some((id_number, name)), None) => Ok(Some(Person { id_number, name })),
        (None, None) => Ok(None),
    }
}

fn refusal<'k>(
    call: &Call<'_>,
    kind: &'k Submissions,
    asked: Asked<'_>,
) -> Result<Option<&'k Words>, Failure> {
    for (field, words) in &kind.required {
        if asked.input.get(field).is_none_or(|text| text.trim().is_empty()) {
            return Ok(Some(words));
        }
    }
    if let Some(words) = call.refusal(&kind.refuse, asked)? {
        return Ok(Some(words));
    }
    match (&kind.once, asked.id_number()) {
        (Some(once), Some(id_number)) if is_repeated(call, kind, once, id_number)? => Ok(Some(&once.words)),
        _ => Ok(None),
    }
}

/// Whether this person submitted the same within the time in which it is possible once.
fn is_repeated(call: &Call<'_>, kind: &Submissions, once: &Once, id_number: &str) -> rusqlite::Result<bool> {
    let day = today(call);
    let since = day.get(..once.per.date_len().into()).unwrap_or_default();
    let before: i64 = call.db.query_row(
        "SELECT count(*) FROM submissions
         WHERE department = ?1 AND operation = ?2 AND person = ?3 AND refused IS NULL AND substr(day, 1, ?4) = ?5",
        params![call.department, kind.operation.get_ref(), id_number, once.per.date_len(), since],
        |row| row.get(0),
    )?;
    Ok(before > 0)
}

fn course(call: &Call<'_>, kind: &Submissions) -> Vec<Stage> {
    let first = Stage { from_ms: call.now_ms, state: kind.state, text: kind.text.clone() };
    let later = kind.then.iter().map(|later| {
        let later = later.get_ref();
        let after_ms = u64::try_from(later.after.0.as_millis()).unwrap_or(u64::MAX);
        Stage { from_ms: call.now_ms.saturating_add(after_ms), state: later.state, text: later.text.clone() }
    });
    std::iter::once(first).chain(later).collect()
}

fn store(call: &Call<'_>, asked: Asked<'_>, operation: &str, received: &Received) -> rusqlite::Result<()> {
    call.db.execute(
        "INSERT INTO submissions
             (department, submission, digest, operation, person, day, at_ms, number, course, refused)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            call.department,
            asked.id,
            received.digest,
            operation,
            asked.id_number().unwrap_or_default(),
            today(call),
            stored_ms(call.now_ms),
            received.number,
            to_json(&received.course),
            received.refused.as_ref().map(to_json)
        ],
    )?;
    Ok(())
}

fn received(call: &Call<'_>, submission: &str) -> rusqlite::Result<Option<Received>> {
    let mut select = call.db.prepare_cached(
        "SELECT digest, number, course, refused, person FROM submissions WHERE department = ?1 AND submission = ?2",
    )?;
    select
        .query_row(params![call.department, submission], |row| {
            let course: String = row.get(2)?;
            let refused: Option<String> = row.get(3)?;
            let refused = refused.and_then(|text| serde_json::from_str(&text).ok());
            let (digest, number, person) = (row.get(0)?, row.get(1)?, row.get(4)?);
            Ok(Received { digest, person, number, course: from_json(&course), refused })
        })
        .optional()
}

fn answer(call: &Call<'_>, received: Received) -> Outcome {
    let now = received.course.into_iter().rev().find(|stage| stage.from_ms <= call.now_ms);
    let (state, text) = match (received.refused, now) {
        (Some(words), _) => (State::Refused, Some(words)),
        (None, Some(stage)) => (stage.state, stage.text),
        // A clock that was set back: the submission is not older than its first state.
        (None, None) => (State::Accepted, None),
    };
    Outcome::ok(&SubmissionAnswer { state, number: received.number, text })
}

/// Answers `POST /submissions/state`.
pub(crate) fn state(call: &Call<'_>, body: &[u8]) -> Result<Outcome, Failure> {
    let request: StateRequest = parse(body)?;
    let received = received(call, &request.submission)?
        .ok_or(Failure::Unknown("the department knows no such submission"))?;
    Ok(answer(call, received))
}

/// The present state of a submission in Chinese.
pub(crate) fn state_words(call: &Call<'_>, submission: &str) -> rusqlite::Result<Option<&'static str>> {
    let Some(received) = received(call, submission)? else { return Ok(None) };
    let now = received.course.iter().rev().find(|stage| stage.from_ms <= call.now_ms);
    Ok(Some(now.map_or(State::Accepted, |stage| stage.state).words()))
}
