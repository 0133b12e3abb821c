//! Consents given at a kiosk: which personal records were given under which consent, and whether the kiosk's record
//! of the consent matches.
//!
//! A call names its consent before the kiosk's record of that consent can have arrived. The use is therefore stored,
//! and compared with the record when the record arrives.

use contract::{ConsentId, Entry, KioskId, ProblemCode, UnixMs};
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::config::kiosks::RegisteredKiosk;
use crate::context::RequestContext;
use crate::incidents::record_incident;
use crate::request_error::RequestError;
use crate::store::columns::{to_json_column, to_ms_column};

/// Stores that a personal record is given to this resident under this consent. Returns the number of the certificate,
/// which is the same for repeated uses of a consent.
pub(crate) fn use_consent(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    resident: i64,
    service: &str,
    consent: Option<ConsentId>,
) -> Result<String, RequestError> {
    let missing = |title: &str| RequestError::from(ProblemCode::ConsentMissing.into_problem(title));
    let consent = consent.ok_or_else(|| missing("the operation needs a consent"))?;
    let (device, consent) = (kiosk.id.to_string(), consent.to_string());
    context.tx.execute(
        "INSERT INTO consent_uses (device, consent, resident, service, at_ms, proof)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (device, consent) DO NOTHING",
        params![
            device,
            consent,
            resident,
            service,
            to_ms_column(context.now),
            proof_number(context.entropy.next_bytes())
        ],
    )?;
    let proof: Option<String> = context
        .tx
        .query_row(
            "SELECT proof FROM consent_uses
             WHERE device = ?1 AND consent = ?2 AND resident = ?3 AND service = ?4",
            params![device, consent, resident, service],
            |row| row.get(0),
        )
        .optional()?;
    let proof = proof.ok_or_else(|| missing("the consent belongs to another resident or service"))?;
    let recorded: Option<i64> = context
        .tx
        .query_row(
            "SELECT until_ms FROM consents WHERE device = ?1 AND consent = ?2",
            params![device, consent],
            |row| row.get(0),
        )
        .optional()?;
    match recorded {
        Some(until) if until <= to_ms_column(context.now) => Err(missing("the consent has ended")),
        Some(_) if !matches_recorded_consent(context.tx, &device, &consent)? => {
            Err(missing("the kiosk's record of the consent contradicts this use"))
        }
        Some(_) | None => Ok(proof),
    }
}

/// Stores a kiosk's record of a consent and compares it with the uses of that consent.
pub(crate) fn record_consent(
    tx: &Transaction<'_>,
    device: KioskId,
    entry: &Entry,
    now: UnixMs,
) -> rusqlite::Result<()> {
    let Entry::Consented { consent, resident, service, until, .. } = entry else { return Ok(()) };
    let (device, consent) = (device.to_string(), consent.to_string());
    tx.execute(
        "INSERT INTO consents (device, consent, pseudonym, service, until_ms)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (device, consent) DO NOTHING",
        params![device, consent, to_json_column(resident), service, to_ms_column(*until)],
    )?;
    if !matches_recorded_consent(tx, &device, &consent)? {
        record_incident(
            tx,
            &format!("consent {consent}"),
            "a personal record was given under a consent for another resident or service",
            to_ms_column(now),
        )?;
    }
    Ok(())
}

/// Ends a consent: a later call under it is refused. The kiosk's record of it, with its original end, stays as evidence.
pub(super) fn withdraw(
    context: &RequestContext<'_>,
    device: KioskId,
    consent: ConsentId,
) -> rusqlite::Result<()> {
    context.tx.execute(
        "UPDATE consents SET until_ms = ?3 WHERE device = ?1 AND consent = ?2",
        params![device.to_string(), consent.to_string(), to_ms_column(context.now)],
    )?;
    Ok(())
}

/// Number of uses whose consent record has not arrived yet.
pub(crate) fn count_unrecorded_uses(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    tx.query_row(
        "SELECT count(*) FROM consent_uses LEFT JOIN consents USING (device, consent)
         WHERE consents.consent IS NULL",
        [],
        |row| row.get(0),
    )
}

/// Whether the recorded consent is of the resident and service that it was used for; true while the use or the record
/// is missing.
fn matches_recorded_consent(tx: &Transaction<'_>, device: &str, consent: &str) -> rusqlite::Result<bool> {
    tx.query_row(
        "SELECT NOT EXISTS (
             SELECT 1 FROM consent_uses JOIN consents USING (device, consent)
             LEFT JOIN pseudonyms USING (device, resident)
             WHERE device = ?1 AND consent = ?2
             AND (consent_uses.service <> consents.service
                  OR pseudonyms.pseudonym IS NOT consents.pseudonym))",
        params![device, consent],
        |row| row.get(0),
    )
}

/// Number of a certificate of insurance (证明编号): `CB` and sixteen digits.
fn proof_number(drawn: [u8; 16]) -> String {
    format!("CB{:016}", u128::from_be_bytes(drawn) % 10_000_000_000_000_000)
}
