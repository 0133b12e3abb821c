//! `POST /tickets`: numbers in queues, counted by day and prefix, and appointments.

use std::collections::BTreeMap;

use rusqlite::params;

use super::books::{from_json, to_json};
use super::call::{Asked, Call, Outcome, parse};
use super::data::{TicketRow, Words};
use super::effects;
use super::signatures::{sm3, to_hex};
use super::values::china_date;
use super::wire::{Failure, Input, Rows, TicketRequest, check_id};

/// A number in a queue.
struct Place {
    number: i64,
    ahead: i64,
    ends_ms: u64,
}

/// Gives a ticket, or the one that was given before under this id.
pub(crate) fn ticket(call: &Call<'_>, body: &[u8]) -> Result<Outcome, Failure> {
    let request: TicketRequest = parse(body)?;
    check_id(&request.ticket)?;
    let tickets = call
        .file
        .ticket(&request.operation)
        .ok_or(Failure::Unknown("the department gives no such ticket"))?;
    let asked = Asked { id: &request.ticket, person: request.person.as_ref(), input: &request.input };
    let content = format!(
        "{}\n{}\n{}",
        request.operation,
        asked.id_number().unwrap_or_default(),
        to_json(&request.input)
    );
    let digest = to_hex(&sm3(&[content.as_bytes()]));
    let sql = "SELECT digest, fields FROM tickets WHERE department = ?1 AND ticket = ?2";
    match call.stored(sql, &request.ticket)? {
        Some((given, fields)) if given == digest => return Ok(row_answer(from_json(&fields))),
        Some(_) => return Err(Failure::Conflict("this ticket was given before, for another request")),
        None => {}
    }
    if let Some(words) = call.refusal(&tickets.refuse, asked)? {
        return Ok(Outcome::refused(words));
    }
    let fits = |row: &&TicketRow| {
        call.is_for(row.resident.as_ref().map(|id| id.get_ref().as_str()), &row.when, asked)
    };
    let Some(row) = tickets.rows.iter().map(|row| row.get_ref()).find(fits) else {
        return Ok(Outcome::refused(&Words {
            zh: "此事项现在不能取号或预约，请咨询大厅工作人员".to_owned(),
            en: "No ticket is given for this now; please ask the staff of the hall".to_owned(),
        }));
    };
    let prefix = row.prefix.as_ref().map_or("", |prefix| prefix.get_ref());
    let place = next_place(call, prefix, row.minutes)?;
    let mut context = call.context(asked);
    if !prefix.is_empty() {
        context.words.insert("ticket".to_owned(), format!("{prefix}{:03}", place.number));
        context.words.insert("ahead".to_owned(), place.ahead.to_string());
        context.words.insert("minutes".to_owned(), (place.ahead * i64::from(row.minutes)).to_string());
    }
    let fields: Input =
        row.values.iter().map(|(name, value)| (name.clone(), value.get_ref().evaluate(&context))).collect();
    call.db.execute(
        "INSERT INTO tickets (department, ticket, digest, day, prefix, number, ends_ms, fields)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            call.department,
            request.ticket,
            digest,
            today(call),
            prefix,
            place.number,
            stored_ms(place.ends_ms),
            to_json(&fields)
        ],
    )?;
    effects::apply(call, &row.effects, &context, None)?;
    Ok(row_answer(fields))
}

fn row_answer(fields: Input) -> Outcome {
    Outcome::ok(&Rows { rows: vec![fields], next: None })
}

/// The date in China, as stored.
pub(crate) fn today(call: &Call<'_>) -> String {
    china_date(call.now_ms).to_string()
}

/// A time as SQLite stores it.
pub(crate) fn stored_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The next number of today. One person after the other is served, each for some minutes.
fn next_place(call: &Call<'_>, prefix: &str, minutes: u16) -> rusqlite::Result<Place> {
    let (number, last_ends_ms, ahead): (i64, i64, i64) = call.db.query_row(
        "SELECT ifnull(max(number), 0) + 1, ifnull(max(ends_ms), 0), ifnull(sum(ends_ms > ?4), 0) FROM tickets
         WHERE department = ?1 AND day = ?2 AND prefix = ?3",
        params![call.department, today(call), prefix, stored_ms(call.now_ms)],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let starts_ms = call.now_ms.max(u64::try_from(last_ends_ms).unwrap_or(0));
    Ok(Place { number, ahead, ends_ms: starts_ms.saturating_add(u64::from(minutes) * 60_000) })
}

/// How many people wait now, as `waiting.PREFIX`.
pub(crate) fn waiting(call: &Call<'_>) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut words = BTreeMap::new();
    let rows = call.file.tickets.iter().flat_map(|tickets| &tickets.get_ref().rows);
    for prefix in rows.filter_map(|row| row.get_ref().prefix.as_ref()) {
        let place = next_place(call, prefix.get_ref(), 0)?;
        words.insert(format!("waiting.{}", prefix.get_ref()), place.ahead.to_string());
    }
    Ok(words)
}
