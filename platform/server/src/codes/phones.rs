//! Phones: a phone is bound to a resident (申码), whom the trusted identity service verified or who scanned a pairing code
//! at a kiosk, and is issued session certificates and online tokens (制码).
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/bindings` | [`BindRequest`] | [`BindAnswer`] |
//! | `POST /code/v1/certificates` | [`CertifyRequest`] | [`CertifyAnswer`] |
//! | `POST /code/v1/tokens` | [`PhoneRequest`] | [`TokenAnswer`] |
//! | `POST /code/v1/uses` | [`PhoneRequest`] | [`UsesAnswer`] |
//! | `POST /code/v1/standing` | [`SessionRequest`] | [`SessionStatus`] |
//! | `POST /code/v1/losses` | [`PhoneRequest`] | `{}` |
//! | `POST /code/v1/consents`, `consent`, `withdrawals` | see [`consent_requests`] | |
//! | `POST /code/v1/licences` | see [`e_certificates`] | |
//!
//! A phone authenticates itself by a secret that it received when it was bound; the platform stores only the SM3 of that
//! secret. A resident has one phone: binding another ends the first.

use contract::{UnixMs, sm3};
use resident_code::{Alias, OnlineToken, PublicKey, SIGNATURE_LEN, SessionCertificate, SessionTerms};
use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::keys::CodeAuthority;
use super::refusal::PhoneRefusal;
use super::revocations::Carrier;
use super::{agreements, licences, pairings, revocations, unhex};
use crate::base::in_force;
use crate::columns::{before, hex, ms, unix_ms};
use crate::fail::Fail;
use crate::pages::masked;
use crate::platform::{City, Turn};
use crate::wire::{OutAnswer, OutCall, Peer, Purpose, Reply, Response};

/// Lifetime of an online token in milliseconds.
pub(crate) const TOKEN_MS: u64 = 60_000;
/// Time for which a used or expired online token is stored, so that it is distinguished from a forged one.
const REMEMBER_MS: u64 = 24 * 60 * 60 * 1000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const MINUTE_MS: u64 = 60_000;
/// Seconds by which the start of a certificate is backdated: the verifiers' clocks may be slow.
const BACKDATED_S: u64 = 60;
/// Most uses that are listed.
const USES_MAX: u32 = 100;

/// Request to bind a phone, by a ticket or a pairing. Name and ID number are accepted in the body and ignored: they prove
/// nothing.
#[derive(Deserialize)]
struct BindRequest {
    /// Ticket that the trusted identity service issued to the phone after it had verified the person.
    ticket: Option<String>,
    /// Pairing code scanned from a kiosk's screen, and the end of the resident's ID number; see [`pairings`].
    pairing: Option<Pairing>,
}

/// Pairing code and the proof that the resident scanned it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairing {
    /// Secret of the pairing code, 32 hexadecimal digits.
    code: String,
    /// Last six characters of the resident's ID number.
    id_end: String,
}

/// Request for a session certificate.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertifyRequest {
    /// The phone's secret, 32 hexadecimal digits.
    phone: String,
    /// Public key that the phone has generated: a compressed SM2 point, 66 hexadecimal digits.
    session_key: String,
    /// Signature by that key over `session-key/1`, a zero byte and SM3 of the phone's secret: proves possession of the
    /// private key.
    proof: String,
}

/// Request of a phone without further data.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfPhone {
    /// The phone's secret.
    pub(super) phone: String,
}

/// Request about a session certificate of the phone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSession {
    /// The phone's secret.
    phone: String,
    /// Alias in the session certificate, 16 hexadecimal digits.
    alias: String,
}

/// Whether a session certificate is still accepted.
#[derive(Serialize)]
struct Standing {
    /// Whether codes of the session are accepted; if not, the phone needs a new certificate.
    accepted: bool,
}

#[derive(Serialize)]
struct Bound {
    phone: String,
    name: String,
}

#[derive(Serialize)]
struct Certified {
    /// The 114 bytes of the certificate in hexadecimal.
    certificate: String,
    /// End of the certificate's validity.
    ends_ms: UnixMs,
    /// The platform's clock, by which the phone counts time steps.
    now_ms: UnixMs,
    name: String,
}

#[derive(Serialize)]
struct Shown {
    text: String,
    lives_ms: u64,
}

#[derive(Serialize)]
struct Uses {
    uses: Vec<Use>,
}

#[derive(Serialize)]
struct Use {
    at_ms: UnixMs,
    place: String,
    purpose: String,
}

/// Longest credential that is stored, in bytes.
const CREDENTIAL_MAX: usize = 256;

/// The trusted identity service's answer to a ticket.
#[derive(Deserialize)]
pub(crate) struct Seen {
    pub(crate) assurance: String,
    pub(crate) name: String,
    pub(crate) id_number: String,
    /// Credential (身份凭证), by which the platform later asks whether the verification is still valid.
    #[serde(default)]
    credential: Option<String>,
}

impl Seen {
    /// The person, if the service verified them in person; `None` for any other answer.
    pub(crate) fn in_person(answer: &OutAnswer) -> Option<Self> {
        let seen: Option<Self> =
            (answer.status == 200).then(|| serde_json::from_slice(&answer.body).ok()).flatten();
        seen.filter(|seen| seen.assurance == "in-person")
    }
}

/// A bound phone and its resident.
pub(super) struct Phone {
    hash: [u8; 32],
    pub(super) resident: i64,
    name: String,
}

/// Handles a phone's request `POST /code/v1/…`.
pub(crate) fn route(turn: &mut Turn<'_>, name: &str, body: &[u8]) -> Result<Reply, Fail> {
    match name {
        "bindings" => bind(turn, body),
        "certificates" => certify(turn, body),
        "tokens" => token(turn, body),
        "uses" => uses(turn, body),
        "losses" => loss(turn, body),
        "standing" => standing(turn, body),
        "consents" => agreements::consents(turn, body),
        "consent" => agreements::decide(turn, body),
        "withdrawals" => agreements::withdraw(turn, body),
        "licences" => licences::wallet(turn, body),
        _ => Err(PhoneRefusal::NotOffered.into()),
    }
}

fn bind(turn: &mut Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    authority(turn.city)?;
    let request: BindRequest = json(body)?;
    if let Some(pairing) = request.pairing {
        return match pairings::redeem(turn, &pairing.code, &pairing.id_end)? {
            Ok(resident) => bind_to(turn, resident, None),
            // A response, not an error, so that the failed attempt is committed.
            Err(refusal) => Ok(refusal.into_response().into()),
        };
    }
    let ticket = request.ticket.filter(|ticket| (1..=128).contains(&ticket.len()));
    let ticket = ticket.ok_or(PhoneRefusal::NotInPerson)?;
    let body = serde_json::json!({ "ticket": ticket }).to_string().into_bytes();
    Ok(Reply::Ask(OutCall {
        peer: Peer::Identity,
        target: "/tickets/redeem".into(),
        body,
        purpose: Purpose::Binding,
    }))
}

/// Continues with the identity service's answer to the ticket of a binding; `None`: no answer came.
pub(crate) fn bound(turn: &mut Turn<'_>, answer: Option<&OutAnswer>) -> Result<Reply, Fail> {
    let answer = answer.filter(|answer| answer.status < 500).ok_or(PhoneRefusal::Unavailable)?;
    let seen = Seen::in_person(answer).ok_or(PhoneRefusal::NotInPerson)?;
    let resident: Option<i64> = turn
        .tx
        .query_row(
            "SELECT resident FROM residents WHERE id_number = ?1 AND name = ?2",
            params![seen.id_number, seen.name],
            |row| row.get(0),
        )
        .optional()?;
    let credential = seen.credential.filter(|credential| credential.len() <= CREDENTIAL_MAX);
    bind_to(turn, resident.ok_or(PhoneRefusal::NotInBase)?, credential)
}

fn bind_to(turn: &mut Turn<'_>, resident: i64, credential: Option<String>) -> Result<Reply, Fail> {
    let name: String =
        turn.tx.query_row("SELECT name FROM residents WHERE resident = ?1", [resident], |row| row.get(0))?;
    end(turn.tx, authority(turn.city)?, turn.now, resident)?;
    let secret = turn.draw.next();
    turn.tx.execute(
        "INSERT INTO phones (resident, hash, bound_ms) VALUES (?1, ?2, ?3)",
        params![resident, sm3(&[&secret]), ms(turn.now)],
    )?;
    if let Some(credential) = credential {
        turn.tx.execute(
            "INSERT INTO phone_credentials (phone, credential) VALUES (?1, ?2)",
            params![sm3(&[&secret]), credential],
        )?;
    }
    Ok(Response::json(&Bound { phone: hex(&secret), name: masked(&name) }).into())
}

/// Starts issuing a session certificate, normally once a day. For a phone with a credential, the trusted identity service
/// is asked first whether the credential is still valid.
fn certify(turn: &mut Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    authority(turn.city)?;
    let request: CertifyRequest = json(body)?;
    let phone = phone(turn, &request.phone)?;
    let credential: Option<String> = turn
        .tx
        .query_row("SELECT credential FROM phone_credentials WHERE phone = ?1", [phone.hash], |row| {
            row.get(0)
        })
        .optional()?;
    let Some(credential) = credential else { return certified(turn, &phone, &request) };
    Ok(Reply::Ask(OutCall {
        peer: Peer::Identity,
        target: "/credentials".into(),
        body: serde_json::json!({ "credential": credential }).to_string().into_bytes(),
        purpose: Purpose::Credential { request: Box::new(request) },
    }))
}

/// Continues with the identity service's answer to the credential behind a phone. Only an explicit `ended` ends the phone;
/// without an answer the certificate is issued.
pub(crate) fn credential_told(
    turn: &mut Turn<'_>,
    request: &CertifyRequest,
    answer: Option<&OutAnswer>,
) -> Result<Reply, Fail> {
    #[derive(Deserialize)]
    struct Stands {
        standing: String,
    }
    let stands = answer.filter(|answer| answer.status == 200);
    let stands = stands.and_then(|answer| serde_json::from_slice::<Stands>(&answer.body).ok());
    let phone = phone(turn, &request.phone)?;
    if stands.is_none_or(|stands| stands.standing != "ended") {
        return certified(turn, &phone, request);
    }
    end(turn.tx, authority(turn.city)?, turn.now, phone.resident)?;
    // A response, not an error, so that the end of the phone is committed.
    Ok(PhoneRefusal::NotBound.into_response().into())
}

fn certified(turn: &mut Turn<'_>, phone: &Phone, request: &CertifyRequest) -> Result<Reply, Fail> {
    let authority = authority(turn.city)?;
    with_card(turn, phone.resident)?;
    let key: [u8; 33] = unhex(&request.session_key).ok_or(PhoneRefusal::Malformed)?;
    let key = PublicKey::from_bytes(&key).map_err(|_| PhoneRefusal::Malformed)?;
    let proof: [u8; SIGNATURE_LEN] = unhex(&request.proof).ok_or(PhoneRefusal::Malformed)?;
    if !key.verifies(&[b"session-key/1\0".as_slice(), &phone.hash].concat(), &proof) {
        return Err(PhoneRefusal::Malformed.into());
    }
    let of_today: u16 = turn.tx.query_row(
        "SELECT count(*) FROM code_aliases WHERE phone = ?1 AND issued_ms > ?2",
        params![phone.hash, before(turn.now, DAY_MS)],
        |row| row.get(0),
    )?;
    if of_today >= authority.rules.phone.certificates_per_day {
        return Err(PhoneRefusal::TooMany.into());
    }
    let lifetime = authority.rules.lifetime();
    let begins_s = (turn.now.0 / 1000).saturating_sub(BACKDATED_S);
    let ends = UnixMs(begins_s * 1000).plus_ms(u64::from(lifetime) * 15 * 60 * 1000);
    let issuer = authority.issuer(turn.now, ends).ok_or(PhoneRefusal::NotOffered)?;
    let drawn = turn.draw.next();
    let alias = Alias(*drawn.first_chunk().ok_or(PhoneRefusal::Unavailable)?);
    let terms = SessionTerms {
        capabilities: authority.rules.bits(&authority.rules.phone.page_capabilities),
        alias,
        issued_at: u32::try_from(begins_s).map_err(|_| PhoneRefusal::NotOffered)?,
        lifetime,
        session_key: key,
    };
    let certificate = SessionCertificate::issue(&terms, issuer).map_err(|_| PhoneRefusal::NotOffered)?;
    turn.tx.execute(
        "INSERT INTO code_aliases (resident, alias, phone, issued_ms, ends_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![phone.resident, alias.0, phone.hash, ms(turn.now), ms(ends)],
    )?;
    let certificate = hex(&certificate.to_bytes());
    let name = masked(&phone.name);
    Ok(Response::json(&Certified { certificate, ends_ms: ends, now_ms: turn.now, name }).into())
}

fn token(turn: &mut Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    let per_minute = authority(turn.city)?.rules.phone.tokens_per_minute;
    let phone = phone(turn, &json::<OfPhone>(body)?.phone)?;
    with_card(turn, phone.resident)?;
    let of_this_minute: u16 = turn.tx.query_row(
        "SELECT count(*) FROM tokens WHERE resident = ?1 AND expires_ms > ?2",
        params![phone.resident, ms(turn.now.plus_ms(TOKEN_MS)).saturating_sub(ms(UnixMs(MINUTE_MS)))],
        |row| row.get(0),
    )?;
    if of_this_minute >= per_minute {
        return Err(PhoneRefusal::TooMany.into());
    }
    let text = fresh_token(turn, phone.resident)?;
    Ok(Response::json(&Shown { text, lives_ms: TOKEN_MS }).into())
}

/// Issues a new online token (制码).
pub(crate) fn fresh_token(turn: &mut Turn<'_>, resident: i64) -> Result<String, Fail> {
    let token = turn.draw.next();
    turn.tx.execute("DELETE FROM tokens WHERE expires_ms < ?1", [before(turn.now, REMEMBER_MS)])?;
    turn.tx.execute(
        "INSERT INTO tokens (resident, hash, expires_ms) VALUES (?1, ?2, ?3)",
        params![resident, sm3(&[&token]), ms(turn.now.plus_ms(TOKEN_MS))],
    )?;
    Ok(OnlineToken::issue(token, &turn.city.format).to_text())
}

/// Lists where the resident's codes were used (用码记录).
fn uses(turn: &Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    let phone = phone(turn, &json::<OfPhone>(body)?.phone)?;
    let mut all = turn.tx.prepare(
        "SELECT at_ms, place, purpose FROM code_uses WHERE resident = ?1 ORDER BY at_ms DESC, place LIMIT ?2",
    )?;
    let uses = all
        .query_map(params![phone.resident, USES_MAX], |row| {
            Ok(Use { at_ms: unix_ms(row.get(0)?), place: row.get(1)?, purpose: row.get(2)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Response::json(&Uses { uses }).into())
}

/// Answers whether the codes of a session are still accepted.
fn standing(turn: &Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    let request: OfSession = json(body)?;
    let phone = phone(turn, &request.phone)?;
    let alias: [u8; 8] = unhex(&request.alias).ok_or(PhoneRefusal::Malformed)?;
    let accepted = turn.tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM code_aliases WHERE alias = ?1 AND phone = ?2 AND revoked = 0 AND ends_ms > ?3)",
        params![alias, phone.hash, ms(turn.now)],
        |row| row.get(0),
    )?;
    Ok(Response::json(&Standing { accepted }).into())
}

/// Ends the phone after a loss report (挂失) that the phone itself sends.
fn loss(turn: &Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    let phone = phone(turn, &json::<OfPhone>(body)?.phone)?;
    end(turn.tx, authority(turn.city)?, turn.now, phone.resident)?;
    Ok(Response::json(&serde_json::json!({})).into())
}

/// Ends the phone of a resident: nothing more is issued to the phone, its online tokens are no longer accepted, and its
/// unexpired certificates are revoked in the feed. A paper code remains valid.
fn end(tx: &Transaction<'_>, authority: &CodeAuthority, now: UnixMs, resident: i64) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE phones SET ended_ms = ?2 WHERE resident = ?1 AND ended_ms IS NULL",
        params![resident, ms(now)],
    )?;
    revocations::revoke_all(tx, authority, now, resident, Carrier::Phone)
}

/// Revokes all codes of a resident. The phone stays bound and can fetch a new certificate when the resident has a card in
/// force again.
pub(crate) fn suspend(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
    resident: i64,
) -> rusqlite::Result<()> {
    revocations::revoke_all(tx, authority, now, resident, Carrier::Phone)?;
    revocations::revoke_all(tx, authority, now, resident, Carrier::Paper)
}

pub(super) fn phone(turn: &Turn<'_>, secret: &str) -> Result<Phone, Fail> {
    let secret: [u8; 16] = unhex(secret).ok_or(PhoneRefusal::NotBound)?;
    let hash = sm3(&[&secret]);
    let found = turn
        .tx
        .query_row(
            "SELECT resident, name FROM phones JOIN residents USING (resident)
             WHERE hash = ?1 AND ended_ms IS NULL",
            [hash],
            |row| Ok(Phone { hash, resident: row.get(0)?, name: row.get(1)? }),
        )
        .optional()?;
    found.ok_or_else(|| PhoneRefusal::NotBound.into())
}

fn with_card(turn: &Turn<'_>, resident: i64) -> Result<(), Fail> {
    if in_force(turn, resident)? { Ok(()) } else { Err(PhoneRefusal::CardNotInForce.into()) }
}

fn authority(city: &City) -> Result<&CodeAuthority, PhoneRefusal> {
    city.codes.as_ref().ok_or(PhoneRefusal::NotOffered)
}

pub(super) fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, PhoneRefusal> {
    serde_json::from_slice(body).map_err(|_| PhoneRefusal::Malformed)
}
