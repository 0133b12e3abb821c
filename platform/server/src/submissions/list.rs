//! The submissions of a resident, as any kiosk shows them.

use contract::{AnswerRow, KioskId, SubmissionId, UnixMs};

use super::state::SubmissionState;
use crate::city_time::city_date;
use crate::context::RequestContext;
use crate::store::columns::{from_id_column, from_json_column, from_ms_column};

/// Most submissions that are listed, the newest first.
const LISTED_MAX: u32 = 20;

/// The rows of the operation `submissions.mine`.
pub(crate) fn submissions_of(
    context: &RequestContext<'_>,
    resident: i64,
) -> rusqlite::Result<Vec<AnswerRow>> {
    let mut newest = context.tx.prepare(
        "SELECT submission, device, service, state, number, words, recorded_ms FROM submissions
         WHERE resident = ?1 ORDER BY recorded_ms DESC, submission LIMIT ?2",
    )?;
    let rows = newest.query_map(rusqlite::params![resident, LISTED_MAX], |row| {
        let submission: SubmissionId = from_id_column(&row.get::<_, String>(0)?)?;
        let device: KioskId = from_id_column(&row.get::<_, String>(1)?)?;
        let service: String = row.get(2)?;
        let state =
            SubmissionState::from_name(&row.get::<_, String>(3)?).unwrap_or(SubmissionState::Conflict);
        let words =
            row.get::<_, Option<String>>(5)?.map(|words| from_json_column::<contract::Bilingual>(&words));
        let document = context.config.publication.document(&service);
        let matter = document.map_or_else(|| service.clone(), |document| document.title.zh.clone());
        let at: UnixMs = from_ms_column(row.get(6)?);
        Ok(AnswerRow::from([
            ("matter".to_owned(), matter),
            ("number".to_owned(), submission.number(device)),
            ("case".to_owned(), row.get::<_, Option<String>>(4)?.unwrap_or_else(|| "—".to_owned())),
            ("state".to_owned(), state.words().to_owned()),
            ("words".to_owned(), words.transpose()?.map_or_else(|| "—".to_owned(), |words| words.zh)),
            ("date".to_owned(), city_date(at)),
        ]))
    })?;
    rows.collect()
}
