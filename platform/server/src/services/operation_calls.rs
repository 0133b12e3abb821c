//! Operations that services call: rows for a resident, some of them fetched from a department.

use contract::{AnswerRow, CallAnswer, CallRequest, Evidence, ProblemCode, ServiceDocument, Step, UnixMs};

use super::operation::Operation;
use crate::config::disclosures::ECertificateKind;
use crate::config::kiosks::RegisteredKiosk;
use crate::consents::kiosk::use_consent;
use crate::context::RequestContext;
use crate::e_certificates::e_certificate_at_kiosk;
use crate::messages::PlatformResponse;
use crate::payments::bills::request_bills;
use crate::peer_calls::PlatformReply;
use crate::phones::pairings;
use crate::request_error::{RequestError, parse_body};
use crate::visits::identify::{OpenVisit, open_visit};

/// The city's time zone: hours east of UTC.
const CITY_OFFSET_HOURS: i8 = 8;

pub(crate) fn call_operation(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let request: CallRequest = parse_body(body)?;
    let visit = open_visit(context, kiosk, &request.key)?;
    let operation = offered_operation(context, kiosk, &request)?;
    let needed = context.config.catalogue.document(&request.service).map(|document| document.level);
    if visit.level < operation.min_level() || needed.is_some_and(|needed| visit.level < needed) {
        return Err(ProblemCode::LevelTooLow
            .into_problem("the visit's level is too low for this operation")
            .into());
    }
    let proof = if operation.is_personal_record() {
        Some(use_consent(context, kiosk, visit.resident, &request.service, request.consent)?)
    } else {
        None
    };
    match operation {
        Operation::MedicalBalance => Ok(rows_answer(medical_balance(context, visit.resident)?)),
        Operation::InsuranceProof => Ok(rows_answer(insurance_proof(context, visit.resident, proof)?)),
        Operation::SeniorCard => Ok(rows_answer(senior_card(context, visit.resident)?)),
        Operation::WaterBills => request_bills(context, visit.resident),
        Operation::PhonePairing => offer_phone_pairing(context, kiosk, &visit),
    }
}

/// Returns the operation if a service document offered at this kiosk calls it.
fn offered_operation(
    context: &RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    request: &CallRequest,
) -> Result<Operation, RequestError> {
    let calls = |document: &ServiceDocument| {
        document.profiles.contains(&kiosk.profile)
            && document
                .steps
                .iter()
                .any(|step| matches!(step, Step::Query { call, .. } if *call == request.operation))
    };
    let document = context.config.catalogue.document(&request.service).filter(|document| calls(document));
    document.and_then(|_| Operation::from_name(&request.operation)).ok_or_else(|| {
        ProblemCode::NotOffered.into_problem("no service offered at this kiosk calls this operation").into()
    })
}

fn rows_answer(rows: Vec<AnswerRow>) -> PlatformReply {
    PlatformResponse::json(&CallAnswer { rows, next: None }).into()
}

fn row<const N: usize>(fields: [(&str, String); N]) -> AnswerRow {
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}

fn medical_balance(context: &RequestContext<'_>, resident: i64) -> Result<Vec<AnswerRow>, RequestError> {
    let mut found = context.tx.prepare(
        "SELECT balance_fen, as_of, status, insurance FROM residents
         WHERE resident = ?1 AND balance_fen IS NOT NULL",
    )?;
    let rows = found.query_map([resident], |found| {
        Ok(row([
            ("balance", found.get::<_, i64>(0)?.to_string()),
            ("as-of", found.get(1)?),
            ("status", found.get(2)?),
            ("insurance", found.get(3)?),
        ]))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn insurance_proof(
    context: &RequestContext<'_>,
    resident: i64,
    proof: Option<String>,
) -> Result<Vec<AnswerRow>, RequestError> {
    let number = proof.unwrap_or_default();
    let issued = city_date(context.now);
    let mut found = context.tx.prepare(
        "SELECT employer, insurance, status, months FROM residents
         WHERE resident = ?1 AND months IS NOT NULL",
    )?;
    let rows = found.query_map([resident], |found| {
        Ok(row([
            ("employer", found.get(0)?),
            ("insurance", found.get(1)?),
            ("status", found.get(2)?),
            ("months", found.get::<_, i64>(3)?.to_string()),
            ("number", number.clone()),
            ("issued", issued.clone()),
        ]))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn senior_card(context: &RequestContext<'_>, resident: i64) -> Result<Vec<AnswerRow>, RequestError> {
    let held = e_certificate_at_kiosk(context, ECertificateKind::SeniorCard, resident)?;
    let shown = held.map(|held| {
        row([
            ("name", held.name),
            ("id-number", held.id_number),
            ("issuer", held.issuer.to_owned()),
            ("standing", "有效".to_owned()),
            ("as-of", city_date(context.now)),
        ])
    });
    Ok(shown.into_iter().collect())
}

/// Offers a pairing code for a phone. Only a visit with an authenticated card and its PIN may bind a phone: a phone
/// that is already bound cannot bind another.
fn offer_phone_pairing(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    visit: &OpenVisit,
) -> Result<PlatformReply, RequestError> {
    if visit.evidence != Evidence::AuthenticatedCardPin {
        return Err(ProblemCode::NotOffered
            .into_problem("pairing a phone needs a visit with an authenticated card and its PIN")
            .into());
    }
    if context.config.code_authority.is_none() {
        return Err(ProblemCode::NotOffered.into_problem("this platform issues no signed codes").into());
    }
    let code = pairings::offer_pairing(context, kiosk, visit.resident)?;
    Ok(rows_answer(vec![row([("code", code)])]))
}

/// The date in the city, `YYYY-MM-DD`.
fn city_date(now: UnixMs) -> String {
    let at = i64::try_from(now.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(CITY_OFFSET_HOURS));
    at.unwrap_or(jiff::Timestamp::MAX).to_zoned(zone).date().to_string()
}
