//! 验码 for other departments' systems: a library's gate, a hospital's desk, a bus.
//!
//! `POST /code/v1/verify`, signed as a kiosk's request is, with the client's id in `X-Device`. Each client is registered
//! with the purposes that it may ask for, the capability that a code must have for it, and how often it may ask. What
//! it is told is that the code is good, and a name for its holder that only this client knows: neither who that is nor
//! the code's alias. Every code asked about is written down, refused or not, and the holder sees where it was used.

use std::collections::{BTreeMap, BTreeSet};

use contract::{DeviceId, Problem, ProblemCode, PublicKey, UnixMs, sm3};
use resident_code::Code;
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::facts::Fact;
use super::judge::{self, Judged};
use super::licences::{Item, Licence};
use super::unhex;
use crate::columns::{before, hex, ms};
use crate::device::{self, Registered};
use crate::fail::Fail;
use crate::platform::Turn;
use crate::wire::{Reply, Request, Response};

/// A request is answered when its time lies so near to the platform's clock: an old one is not played again.
const CLOCKS_DIFFER_MS: u64 = 5 * 60 * 1000;
const MINUTE_MS: u64 = 60_000;
/// Audit rows are kept for this long.
const AUDIT_MS: u64 = 180 * 24 * 60 * 60 * 1000;

/// A system of another house that may ask about codes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its id.
    pub id: DeviceId,
    /// The public key that its requests are signed with.
    pub key: PublicKey,
    /// What residents know it as: the place where their code was used.
    pub name: String,
    /// What it may ask for, in the residents' words.
    pub purposes: BTreeSet<String>,
    /// What a code must be good for, by its name in the issuing rules.
    pub capability: String,
    /// Most requests in a minute.
    pub per_minute: u32,
    /// Whether it may also work on the card-holder base: a desk of the cards' issuer.
    #[serde(default)]
    pub cards: bool,
    /// What it may ask the holder of a code about.
    #[serde(default)]
    pub facts: BTreeSet<Fact>,
    /// Of which licences of theirs it may ask for which items.
    #[serde(default)]
    pub licences: BTreeMap<Licence, BTreeSet<Item>>,
    /// For how many days it may be told again what it was told once; 0: the holder is asked each time.
    #[serde(default)]
    pub consent_days: u16,
}

impl Registered for Client {
    fn key(&self) -> &PublicKey {
        &self.key
    }
}

/// Why the file of clients is not read.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// Not TOML of `[[client]]` tables.
    #[error(
        "the file of clients cannot be read; it has [[client]] tables with id, key, name, purposes, capability, per_minute"
    )]
    Syntax(#[source] Box<toml::de::Error>),
    /// Two entries have one id.
    #[error("client {0} is there twice")]
    Twice(DeviceId),
}

/// Reads the file of clients.
///
/// # Errors
/// When it is not such a file.
pub fn clients_of(text: &str) -> Result<Vec<Client>, ClientsError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        client: Vec<Client>,
    }
    let file: File = toml::from_str(text).map_err(|error| ClientsError::Syntax(Box::new(error)))?;
    let mut seen = BTreeSet::new();
    match file.client.iter().find(|client| !seen.insert(client.id)) {
        Some(twice) => Err(ClientsError::Twice(twice.id)),
        None => Ok(file.client),
    }
}

/// Asks about a code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyRequest {
    /// Fresh random, 32 hexadecimal digits. The same request again gets the same answer, and the code is used once.
    request: String,
    /// The whole text of the code.
    code: String,
    /// One of the client's purposes.
    purpose: String,
}

/// What the client is told, or why not.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
enum Verdict {
    /// The code is good for this client.
    Good {
        /// The holder as this client knows them, and nobody else does.
        subject: String,
    },
    /// It is not.
    Refused {
        /// Why.
        code: VerdictCode,
    },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum VerdictCode {
    Unknown,
    Used,
    Expired,
    Revoked,
    /// Genuine, and not for this: a paper code at a till, a page's code where money moves.
    CapabilityMissing,
}

/// `POST /code/v1/verify`.
pub(crate) fn verify(turn: &mut Turn<'_>, request: &Request) -> Result<Reply, Fail> {
    let client = device::signer(&turn.city.clients, request)?;
    fresh(request, turn.now)?;
    let body: VerifyRequest = crate::fail::json(&request.body)?;
    let id: [u8; 16] =
        unhex(&body.request).ok_or_else(|| crate::fail::malformed("`request` is 32 hexadecimal digits"))?;
    if !client.purposes.contains(&body.purpose) {
        return Err(ProblemCode::NotOffered.because("the client is not registered for this purpose").into());
    }
    let asked = sm3(&[&request.body]);
    if let Some(known) = repeated(turn, client, &id, &asked)? {
        return Ok(known);
    }
    let since = before(turn.now, MINUTE_MS);
    let recent: u32 = turn.tx.query_row(
        "SELECT count(*) FROM verifications WHERE client = ?1 AND at_ms > ?2",
        params![client.id.to_string(), since],
        |row| row.get(0),
    )?;
    if recent >= client.per_minute {
        let mut problem =
            ProblemCode::Unavailable.because("more requests in a minute than the client is registered for");
        problem.status = 429;
        return Err(problem.into());
    }
    let (verdict, resident) = match judge_for(turn, client, &body.code) {
        Ok(resident) => (Verdict::Good { subject: subject(turn, client, resident)? }, Some(resident)),
        Err(Judgement::No(code)) => (Verdict::Refused { code }, None),
        Err(Judgement::Failed(fail)) => return Err(fail),
    };
    if let Some(resident) = resident {
        judge::note_use(turn, resident, &client.name, &body.purpose)?;
    }
    let response = Response::json(&verdict);
    turn.tx.execute(
        "INSERT INTO verifications (client, request, at_ms, purpose, asked, answer, resident)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![client.id.to_string(), id, ms(turn.now), body.purpose, asked, response.body, resident],
    )?;
    let forgotten = before(turn.now, AUDIT_MS);
    turn.tx.execute("DELETE FROM verifications WHERE at_ms < ?1", [forgotten])?;
    Ok(response.into())
}

/// A client's request is of now.
pub(crate) fn fresh(request: &Request, now: UnixMs) -> Result<(), Fail> {
    let time: u64 = request.time.as_deref().and_then(|time| time.parse().ok()).unwrap_or(0);
    if time.abs_diff(now.0) > CLOCKS_DIFFER_MS {
        return Err(crate::fail::malformed("X-Time is more than five minutes off the platform's clock"));
    }
    Ok(())
}

/// The answer that this request already got.
fn repeated(
    turn: &Turn<'_>,
    client: &Client,
    id: &[u8; 16],
    asked: &[u8; 32],
) -> Result<Option<Reply>, Fail> {
    let known: Option<([u8; 32], Vec<u8>)> = turn
        .tx
        .query_row(
            "SELECT asked, answer FROM verifications WHERE client = ?1 AND request = ?2",
            params![client.id.to_string(), id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match known {
        None => Ok(None),
        Some((before, _)) if before != *asked => {
            Err(crate::fail::malformed("`request` was used for something else; draw a new one"))
        }
        Some((_, body)) => Ok(Some(Response { status: 200, content_type: "application/json", body }.into())),
    }
}

enum Judgement {
    /// The code is not good.
    No(VerdictCode),
    /// It is not known whether it is.
    Failed(Fail),
}

fn judge_for(turn: &Turn<'_>, client: &Client, text: &str) -> Result<i64, Judgement> {
    let code = Code::parse(text).map_err(|_| Judgement::No(VerdictCode::Unknown))?;
    let able = |judged: &Judged| judged.may(turn, &client.capability);
    // Looked at before it is used up: a code that is not for this client stays good for another.
    let judged = judge::look(turn, &code).map_err(told)?;
    if !able(&judged) {
        return Err(Judgement::No(VerdictCode::CapabilityMissing));
    }
    let consumer = client.id.to_string();
    judge::take(turn, &code, &consumer, &consumer).map_err(told)?;
    Ok(judged.resident)
}

fn told(fail: Fail) -> Judgement {
    let code = match &fail {
        Fail::Problem(Problem { code: ProblemCode::CodeUsed, .. }) => VerdictCode::Used,
        Fail::Problem(Problem { code: ProblemCode::CodeExpired, .. }) => VerdictCode::Expired,
        Fail::Problem(Problem { code: ProblemCode::CodeRevoked, .. }) => VerdictCode::Revoked,
        Fail::Problem(Problem { code: ProblemCode::CodeUnknown, .. }) => VerdictCode::Unknown,
        Fail::Problem(_) | Fail::Phone(_) | Fail::Store(_) => return Judgement::Failed(fail),
    };
    Judgement::No(code)
}

/// The resident as this client knows them: drawn on first sight.
fn subject(turn: &mut Turn<'_>, client: &Client, resident: i64) -> rusqlite::Result<String> {
    let drawn = hex(&turn.draw.next());
    turn.tx.execute(
        "INSERT INTO subjects (resident, client, subject) VALUES (?1, ?2, ?3)
         ON CONFLICT (resident, client) DO NOTHING",
        params![resident, client.id.to_string(), drawn],
    )?;
    turn.tx.query_row(
        "SELECT subject FROM subjects WHERE resident = ?1 AND client = ?2",
        params![resident, client.id.to_string()],
        |row| row.get(0),
    )
}

/// The clients by id.
pub(crate) fn by_id(clients: Vec<Client>) -> BTreeMap<DeviceId, Client> {
    clients.into_iter().map(|client| (client.id, client)).collect()
}
