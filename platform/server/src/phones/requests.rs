//! Requests of phones about codes: a phone is bound to a resident (申码), whom the trusted identity service verified or
//! who scanned a pairing code at a kiosk, and is issued session certificates and online tokens (制码).
//!
//! A resident has one phone: binding another ends the first.

use contract::{CodeHolder, UnixMs, from_hex, sm3, to_hex};
use resident_code::{Alias, PublicKey, SessionCertificate, SessionTerms, Signature};
use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::bound_phone::{BoundPhone, PhoneRequest, find_phone, parse_phone_body};
use super::pairings;
use crate::cards::life_cycle::has_card_in_force;
use crate::codes::online_tokens::{TOKEN_TTL_MS, issue_token};
use crate::codes::revocations::{self, Medium};
use crate::config::code_authority::CodeAuthority;
use crate::context::{PlatformConfig, RequestContext};
use crate::identity_service::{VerifiedPerson, redeem_ticket};
use crate::messages::PlatformResponse;
use crate::peer_calls::{Peer, PeerAnswer, PeerCall, PlatformReply};
use crate::phone_refusal::PhoneRefusal;
use crate::recovery_state::is_recovering;
use crate::request_error::RequestError;
use crate::residents::masking::masked_name;
use crate::store::columns::{from_ms_column, ms_column_before, to_ms_column};

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
    pairing: Option<PairingProof>,
}

/// Pairing code and the proof that the resident scanned it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairingProof {
    /// Secret of the pairing code, 32 hexadecimal digits.
    code: String,
    /// Last six characters of the resident's ID number.
    id_end: String,
}

/// Request for a session certificate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CertifyRequest {
    /// The phone's secret, 32 hexadecimal digits.
    phone: String,
    /// Public key that the phone has generated: a compressed SM2 point, 66 hexadecimal digits.
    session_key: String,
    /// Signature by that key over `session-key/1`, a zero byte and SM3 of the phone's secret: proves possession of the
    /// private key.
    proof: String,
}

/// Request about a session certificate of the phone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionRequest {
    /// The phone's secret.
    phone: String,
    /// Alias in the session certificate, 16 hexadecimal digits.
    alias: String,
}

/// Whether a session certificate is still accepted.
#[derive(Serialize)]
struct SessionStatus {
    /// Whether codes of the session are accepted; if not, the phone needs a new certificate.
    accepted: bool,
}

#[derive(Serialize)]
struct BindAnswer {
    phone: String,
    name: String,
}

#[derive(Serialize)]
struct CertifyAnswer {
    /// The 114 bytes of the certificate in hexadecimal.
    certificate: String,
    /// End of the certificate's validity.
    ends_ms: UnixMs,
    /// The platform's clock, by which the phone counts time steps.
    now_ms: UnixMs,
    name: String,
}

#[derive(Serialize)]
struct TokenAnswer {
    text: String,
    lives_ms: u64,
}

#[derive(Serialize)]
struct UsesAnswer {
    uses: Vec<CodeUse>,
}

#[derive(Serialize)]
struct CodeUse {
    at_ms: UnixMs,
    place: String,
    purpose: String,
}

/// Longest credential that is stored, in bytes.
const CREDENTIAL_LEN_MAX: usize = 256;

/// `POST /code/v1/bindings`: binds the phone to the resident of a pairing code, or asks the identity service about a ticket.
pub(crate) fn request_binding(
    context: &mut RequestContext<'_>,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    code_authority(context.config)?;
    if is_recovering(context.tx)? {
        return Err(PhoneRefusal::Unavailable.into());
    }
    let request: BindRequest = parse_phone_body(body)?;
    if let Some(pairing) = request.pairing {
        return match pairings::redeem_pairing(context, &pairing.code, &pairing.id_end)? {
            Ok(resident) => bind_phone(context, resident, None),
            // A response, not an error, so that the failed attempt is committed.
            Err(refusal) => Ok(refusal.into_response().into()),
        };
    }
    let ticket = request.ticket.filter(|ticket| (1..=128).contains(&ticket.len()));
    let ticket = ticket.ok_or(PhoneRefusal::NotInPerson)?;
    Ok(PlatformReply::CallPeer(redeem_ticket(&ticket, on_binding_reply)))
}

/// Continues with the identity service's answer to the ticket of a binding; `None`: no answer came.
fn on_binding_reply(
    context: &mut RequestContext<'_>,
    answer: Option<&PeerAnswer>,
) -> Result<PlatformReply, RequestError> {
    let answer = answer.filter(|answer| answer.status < 500).ok_or(PhoneRefusal::Unavailable)?;
    let person = VerifiedPerson::in_person(answer).ok_or(PhoneRefusal::NotInPerson)?;
    let resident: Option<i64> = context
        .tx
        .query_row(
            "SELECT resident FROM residents WHERE id_number = ?1 AND name = ?2",
            params![person.id_number, person.name],
            |row| row.get(0),
        )
        .optional()?;
    let credential = person.credential.filter(|credential| credential.len() <= CREDENTIAL_LEN_MAX);
    bind_phone(context, resident.ok_or(PhoneRefusal::NotInBase)?, credential)
}

fn bind_phone(
    context: &mut RequestContext<'_>,
    resident: i64,
    credential: Option<String>,
) -> Result<PlatformReply, RequestError> {
    let name: String =
        context
            .tx
            .query_row("SELECT name FROM residents WHERE resident = ?1", [resident], |row| row.get(0))?;
    end_phone(context.tx, code_authority(context.config)?, context.now, resident)?;
    let secret = context.entropy.next_bytes();
    context.tx.execute(
        "INSERT INTO phones (resident, hash, bound_ms) VALUES (?1, ?2, ?3)",
        params![resident, sm3(&[&secret]), to_ms_column(context.now)],
    )?;
    if let Some(credential) = credential {
        context.tx.execute(
            "INSERT INTO phone_credentials (phone, credential) VALUES (?1, ?2)",
            params![sm3(&[&secret]), credential],
        )?;
    }
    Ok(PlatformResponse::json(&BindAnswer { phone: to_hex(&secret), name: masked_name(&name) }).into())
}

/// Starts issuing a session certificate, normally once a day. For a phone with a credential, the trusted identity service
/// is asked first whether the credential is still valid.
pub(crate) fn request_certificate(
    context: &mut RequestContext<'_>,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    code_authority(context.config)?;
    let request: CertifyRequest = parse_phone_body(body)?;
    let phone = find_phone(context, &request.phone)?;
    let credential: Option<String> = context
        .tx
        .query_row("SELECT credential FROM phone_credentials WHERE phone = ?1", [phone.hash], |row| {
            row.get(0)
        })
        .optional()?;
    let Some(credential) = credential else { return issue_certificate(context, &phone, &request) };
    let body = serde_json::json!({ "credential": credential }).to_string().into_bytes();
    Ok(PlatformReply::CallPeer(PeerCall::new(
        Peer::Identity,
        "/credentials",
        body,
        move |context, answer| on_credential_reply(context, &request, answer),
    )))
}

/// Continues with the identity service's answer to the credential behind a phone. Only an explicit `ended` ends the phone;
/// without an answer the certificate is issued.
fn on_credential_reply(
    context: &mut RequestContext<'_>,
    request: &CertifyRequest,
    answer: Option<&PeerAnswer>,
) -> Result<PlatformReply, RequestError> {
    #[derive(Deserialize)]
    struct CredentialStatus {
        standing: String,
    }
    let status = answer.filter(|answer| answer.status == 200);
    let status = status.and_then(|answer| serde_json::from_slice::<CredentialStatus>(&answer.body).ok());
    let phone = find_phone(context, &request.phone)?;
    if status.is_none_or(|status| status.standing != "ended") {
        return issue_certificate(context, &phone, request);
    }
    end_phone(context.tx, code_authority(context.config)?, context.now, phone.resident)?;
    // A response, not an error, so that the end of the phone is committed.
    Ok(PhoneRefusal::NotBound.into_response().into())
}

fn issue_certificate(
    context: &mut RequestContext<'_>,
    phone: &BoundPhone,
    request: &CertifyRequest,
) -> Result<PlatformReply, RequestError> {
    let authority = code_authority(context.config)?;
    require_card_in_force(context, phone.resident)?;
    let key: [u8; 33] = from_hex(&request.session_key).ok_or(PhoneRefusal::Malformed)?;
    let key = PublicKey::from_compressed(&key).map_err(|_| PhoneRefusal::Malformed)?;
    let proof: Signature = request.proof.parse().map_err(|_| PhoneRefusal::Malformed)?;
    if key.verify(&[b"session-key/1\0".as_slice(), &phone.hash].concat(), &proof).is_err() {
        return Err(PhoneRefusal::Malformed.into());
    }
    let issued_today: u16 = context.tx.query_row(
        "SELECT count(*) FROM code_aliases WHERE phone = ?1 AND issued_ms > ?2",
        params![phone.hash, ms_column_before(context.now, DAY_MS)],
        |row| row.get(0),
    )?;
    if issued_today >= authority.rules.phone.certificates_per_day {
        return Err(PhoneRefusal::TooMany.into());
    }
    let lifetime = authority.rules.certificate_lifetime();
    let begins_s = (context.now.0 / 1000).saturating_sub(BACKDATED_S);
    let ends = UnixMs(begins_s * 1000).plus_ms(u64::from(lifetime) * 15 * 60 * 1000);
    let issuer = authority.issuer_for(context.now, ends).ok_or(PhoneRefusal::NotOffered)?;
    let drawn = context.entropy.next_bytes();
    let alias = Alias(*drawn.first_chunk().ok_or(PhoneRefusal::Unavailable)?);
    let terms = SessionTerms {
        capabilities: authority.rules.capability_bits(&authority.rules.phone.page_capabilities),
        alias,
        issued_at: u32::try_from(begins_s).map_err(|_| PhoneRefusal::NotOffered)?,
        lifetime_quarters: lifetime,
        session_key: key,
    };
    let certificate = SessionCertificate::issue(&terms, issuer).map_err(|_| PhoneRefusal::NotOffered)?;
    context.tx.execute(
        "INSERT INTO code_aliases (resident, alias, holder, phone, issued_ms, ends_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![phone.resident, alias.0, CodeHolder::from_alias(&alias.0).to_string(), phone.hash, to_ms_column(context.now), to_ms_column(ends)],
    )?;
    let certificate = to_hex(&certificate.to_bytes());
    let name = masked_name(&phone.name);
    Ok(PlatformResponse::json(&CertifyAnswer { certificate, ends_ms: ends, now_ms: context.now, name })
        .into())
}

/// `POST /code/v1/tokens`: issues an online token, within the limit per minute.
pub(crate) fn issue_token_to_phone(
    context: &mut RequestContext<'_>,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let per_minute = code_authority(context.config)?.rules.phone.tokens_per_minute;
    let phone = find_phone(context, &parse_phone_body::<PhoneRequest>(body)?.phone)?;
    require_card_in_force(context, phone.resident)?;
    let issued_this_minute: u16 = context.tx.query_row(
        "SELECT count(*) FROM tokens WHERE resident = ?1 AND expires_ms > ?2",
        params![
            phone.resident,
            to_ms_column(context.now.plus_ms(TOKEN_TTL_MS)).saturating_sub(to_ms_column(UnixMs(MINUTE_MS)))
        ],
        |row| row.get(0),
    )?;
    if issued_this_minute >= per_minute {
        return Err(PhoneRefusal::TooMany.into());
    }
    let text = issue_token(context, phone.resident)?;
    Ok(PlatformResponse::json(&TokenAnswer { text, lives_ms: TOKEN_TTL_MS }).into())
}

/// Lists where the resident's codes were used (用码记录).
pub(crate) fn list_uses(context: &RequestContext<'_>, body: &[u8]) -> Result<PlatformReply, RequestError> {
    let phone = find_phone(context, &parse_phone_body::<PhoneRequest>(body)?.phone)?;
    let mut all = context.tx.prepare(
        "SELECT at_ms, place, purpose FROM code_uses WHERE resident = ?1 ORDER BY at_ms DESC, place LIMIT ?2",
    )?;
    let uses = all
        .query_map(params![phone.resident, USES_MAX], |row| {
            Ok(CodeUse { at_ms: from_ms_column(row.get(0)?), place: row.get(1)?, purpose: row.get(2)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(PlatformResponse::json(&UsesAnswer { uses }).into())
}

/// Answers whether the codes of a session are still accepted.
pub(crate) fn session_status(
    context: &RequestContext<'_>,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let request: SessionRequest = parse_phone_body(body)?;
    let phone = find_phone(context, &request.phone)?;
    let alias: [u8; 8] = from_hex(&request.alias).ok_or(PhoneRefusal::Malformed)?;
    let accepted = context.tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM code_aliases WHERE alias = ?1 AND phone = ?2 AND revoked = 0 AND ends_ms > ?3)",
        params![alias, phone.hash, to_ms_column(context.now)],
        |row| row.get(0),
    )?;
    Ok(PlatformResponse::json(&SessionStatus { accepted }).into())
}

/// Ends the phone after a loss report (挂失) that the phone itself sends.
pub(crate) fn report_loss(context: &RequestContext<'_>, body: &[u8]) -> Result<PlatformReply, RequestError> {
    let phone = find_phone(context, &parse_phone_body::<PhoneRequest>(body)?.phone)?;
    end_phone(context.tx, code_authority(context.config)?, context.now, phone.resident)?;
    Ok(PlatformResponse::json(&serde_json::json!({})).into())
}

/// Ends the phone of a resident: nothing more is issued to the phone, its online tokens are no longer accepted, and its
/// unexpired certificates are revoked in the feed. A paper code remains valid.
pub(crate) fn end_phone(
    tx: &Transaction<'_>,
    authority: &CodeAuthority,
    now: UnixMs,
    resident: i64,
) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE phones SET ended_ms = ?2 WHERE resident = ?1 AND ended_ms IS NULL",
        params![resident, to_ms_column(now)],
    )?;
    revocations::revoke_medium(tx, authority, now, resident, Medium::Phone)
}

fn require_card_in_force(context: &RequestContext<'_>, resident: i64) -> Result<(), RequestError> {
    if has_card_in_force(context, resident)? { Ok(()) } else { Err(PhoneRefusal::CardNotInForce.into()) }
}

fn code_authority(config: &PlatformConfig) -> Result<&CodeAuthority, PhoneRefusal> {
    config.code_authority.as_ref().ok_or(PhoneRefusal::NotOffered)
}
