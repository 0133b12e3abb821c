//! Uses of a code as a kiosk lists them, and reports of uses that a resident does not know (不是我用的).
//!
//! A report is an incident for the operator. It stops nothing by itself: a use that is not known may be a forgotten one. The service
//! offers to stop the phone's code next.

use std::collections::{BTreeMap, BTreeSet};

use contract::{AnswerRow, CallAnswer, UnixMs, sm3, to_hex, to_hex_upper};
use rusqlite::params;

use crate::acts::refused_act;
use crate::city_time::{city_date, city_time_of_day};
use crate::context::RequestContext;
use crate::incidents::record_incident;
use crate::request_error::{RequestError, malformed_request};
use crate::store::columns::{from_ms_column, to_ms_column};

/// Most uses that are listed, the newest first, and that can be reported.
const USES_MAX: u32 = 100;
/// Domain separator of the keys of uses.
const USE_DOMAIN: &[u8] = b"code-use/1\0";

/// One use of a resident's code.
struct CodeUse {
    at: UnixMs,
    place: String,
    purpose: String,
}

impl CodeUse {
    /// Names the use to the kiosk and in a report. It is looked for among the uses of the visit's resident only.
    fn digest(&self, resident: i64) -> [u8; 32] {
        let (resident, at) = (resident.to_be_bytes(), self.at.0.to_be_bytes());
        sm3(&[USE_DOMAIN, &resident, &at, self.place.as_bytes(), b"\0", self.purpose.as_bytes()])
    }

    fn key(&self, resident: i64) -> String {
        to_hex(&self.digest(resident)).chars().take(32).collect()
    }

    /// The number of a report about it, short enough to be read aloud.
    fn number(&self, resident: i64) -> String {
        to_hex_upper(&self.digest(resident)).chars().take(10).collect()
    }
}

fn newest_uses(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Vec<CodeUse>> {
    let mut newest = context.tx.prepare(
        "SELECT at_ms, place, purpose FROM code_uses WHERE resident = ?1
         ORDER BY at_ms DESC, place, purpose LIMIT ?2",
    )?;
    let rows = newest.query_map(params![resident, USES_MAX], |row| {
        Ok(CodeUse { at: from_ms_column(row.get(0)?), place: row.get(1)?, purpose: row.get(2)? })
    })?;
    rows.collect()
}

/// The rows of the operation `identity.uses`, the newest use first.
pub(crate) fn listed_uses(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Vec<AnswerRow>> {
    let mut reported = context.tx.prepare("SELECT use FROM use_reports WHERE resident = ?1")?;
    let reported =
        reported.query_map([resident], |row| row.get(0))?.collect::<rusqlite::Result<BTreeSet<String>>>()?;
    let row = |one: CodeUse| {
        let key = one.key(resident);
        let remark = if reported.contains(&key) { "您说不是您用的，正在核查" } else { "" };
        AnswerRow::from([
            ("use".to_owned(), key),
            ("date".to_owned(), city_date(one.at)),
            ("time".to_owned(), city_time_of_day(one.at)),
            ("remark".to_owned(), remark.to_owned()),
            ("place".to_owned(), one.place),
            ("purpose".to_owned(), one.purpose),
        ])
    };
    Ok(newest_uses(context, resident)?.into_iter().map(row).collect())
}

/// The act `identity.report-use`: once per use.
pub(crate) fn report_use(
    context: &RequestContext<'_>,
    resident: i64,
    input: &BTreeMap<String, String>,
) -> Result<CallAnswer, RequestError> {
    let chosen = input.get("use").ok_or_else(|| malformed_request("the input is `use`"))?;
    let Some(one) = newest_uses(context, resident)?.into_iter().find(|one| one.key(resident) == *chosen)
    else {
        return Ok(refused_act(
            "您的使用记录里没有这一次，请重新选择",
            "Your uses do not contain this one. Please choose again",
        ));
    };
    let number = one.number(resident);
    let inserted = context.tx.execute(
        "INSERT INTO use_reports (resident, use, at_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![resident, chosen, to_ms_column(context.now)],
    )?;
    if inserted == 0 {
        return Ok(refused_act(
            format!("这一次您已经登记过，编号 {number}，不用再办"),
            format!("You reported this use already, number {number}"),
        ));
    }
    let what = format!(
        "the resident does not know this use of their code: place `{}`, purpose `{}`, on {} at {}; the resident was given the number \
         {number}",
        one.place,
        one.purpose,
        city_date(one.at),
        city_time_of_day(one.at)
    );
    record_incident(context.tx, &format!("use {number}"), &what, to_ms_column(context.now))?;
    let row = AnswerRow::from([
        ("number".to_owned(), number),
        ("date".to_owned(), city_date(one.at)),
        ("remark".to_owned(), "运营方会向使用地点核查。请记下编号，查问时报编号".to_owned()),
        ("place".to_owned(), one.place),
    ]);
    Ok(CallAnswer { rows: vec![row], next: None, refused: None })
}

/// The operation `identity.after-report`: to the service that stops the code, if the resident wants it.
pub(crate) fn after_report(
    input: &BTreeMap<String, String>,
    stopping: &str,
) -> Result<CallAnswer, RequestError> {
    let next = match input.get("decision").map(String::as_str) {
        Some("stop") => Some(stopping.to_owned()),
        Some("keep") => None,
        Some(_) | None => return Err(malformed_request("`decision` is `stop` or `keep`")),
    };
    Ok(CallAnswer { rows: Vec::new(), next, refused: None })
}
