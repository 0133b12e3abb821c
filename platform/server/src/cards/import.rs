//! Bulk import (批量导入) of residents and their cards from a CSV table, as office programs write it.
//!
//! Lines of `name,id number,card number,card identification,version`, in UTF-8 or GB18030; the first line may be a
//! heading. A valid row is inserted with its card in force. An invalid row is reported by line and reason, and never
//! quoted; it does not affect the other rows. Importing the same table again changes nothing.

use std::collections::BTreeSet;

use contract::CardStatus;
use serde::Serialize;

use super::change_log::log_card_change;
use super::life_cycle::{self, CardData};
use crate::config::relying_parties::RelyingParty;
use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::request_error::{RequestError, malformed_request};

/// Most rows of a table.
const ROWS_MAX: usize = 10_000;

/// Result of an import.
#[derive(Serialize)]
pub(super) struct ImportReport {
    /// Number of rows inserted.
    entered: u32,
    /// Number of rows that the base already had.
    known: u32,
    /// Rows that were rejected.
    bad: Vec<RejectedRow>,
}

/// A rejected row.
#[derive(Serialize)]
struct RejectedRow {
    /// Line of the row, counted from 1.
    line: usize,
    /// Reason of the rejection.
    why: RowError,
}

/// Why a row was rejected.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum RowError {
    /// The row does not have five fields.
    Fields,
    /// The name is empty.
    Name,
    /// The ID number is malformed or its check digit is wrong.
    IdNumber,
    /// Number, identification or version of the card is malformed.
    Card,
    /// An earlier line has the same card number or ID number.
    Twice,
    /// The base has the ID number under another name.
    OtherName,
    /// The base has the card number for another card or person.
    OtherCard,
    /// The resident has another card in force.
    SecondCard,
}

pub(super) fn import_table(
    context: &RequestContext<'_>,
    relying_party: &RelyingParty,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let table = decode_table(body)?;
    if table.lines().count() > ROWS_MAX {
        return Err(malformed_request("a table has at most 10000 rows: split it into several"));
    }
    let mut report = ImportReport { entered: 0, known: 0, bad: Vec::new() };
    let mut seen = BTreeSet::new();
    for (at, line) in table.lines().enumerate() {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let heading =
            at == 0 && fields.get(1).is_some_and(|field| !field.contains(|c: char| c.is_ascii_digit()));
        if heading || line.trim().is_empty() {
            continue;
        }
        context.tx.execute_batch("SAVEPOINT import_row")?;
        match import_row(context, relying_party, &fields, &mut seen)? {
            Ok(true) => report.entered += 1,
            Ok(false) => report.known += 1,
            Err(why) => {
                context.tx.execute_batch("ROLLBACK TO import_row")?;
                report.bad.push(RejectedRow { line: at + 1, why });
            }
        }
        context.tx.execute_batch("RELEASE import_row")?;
    }
    Ok(PlatformResponse::json(&report).into())
}

/// Decodes a table that an office program saved: UTF-8, with or without byte order mark, or GB18030.
fn decode_table(body: &[u8]) -> Result<String, RequestError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if let Ok(text) = std::str::from_utf8(body) {
        return Ok(text.to_owned());
    }
    let (text, broken) = encoding_rs::GB18030.decode_without_bom_handling(body);
    if broken {
        Err(malformed_request("the table is neither UTF-8 nor GB18030"))
    } else {
        Ok(text.into_owned())
    }
}

/// Inserts a row; `false` if the base already has it. The inner error is the reason of a rejection.
fn import_row(
    context: &RequestContext<'_>,
    relying_party: &RelyingParty,
    fields: &[&str],
    seen: &mut BTreeSet<String>,
) -> Result<Result<bool, RowError>, RequestError> {
    let [name, id_number, number, identification, version] = fields else { return Ok(Err(RowError::Fields)) };
    let id_number = id_number.to_ascii_uppercase();
    let card = CardData {
        number: (*number).to_owned(),
        identification: identification.to_ascii_uppercase(),
        version: (*version).to_owned(),
    };
    if name.is_empty() {
        return Ok(Err(RowError::Name));
    }
    if !citizen_number::is_valid(&id_number) {
        return Ok(Err(RowError::IdNumber));
    }
    if !card.is_valid() {
        return Ok(Err(RowError::Card));
    }
    if !seen.insert(format!("person {id_number}")) || !seen.insert(format!("card {}", card.number)) {
        return Ok(Err(RowError::Twice));
    }
    let Some(resident) = life_cycle::find_or_insert_resident(context, name, &id_number)? else {
        return Ok(Err(RowError::OtherName));
    };
    let has_one = life_cycle::has_card_in_force(context, resident)?;
    let entered = match life_cycle::insert_card(context, resident, &card, CardStatus::InForce) {
        Ok(entered) => entered,
        Err(RequestError::Problem(_)) => return Ok(Err(RowError::OtherCard)),
        Err(fail) => return Err(fail),
    };
    if entered && has_one {
        return Ok(Err(RowError::SecondCard));
    }
    if entered {
        log_card_change(context, relying_party, resident, &card.number, "imported")?;
    }
    Ok(Ok(entered))
}
