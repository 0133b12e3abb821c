//! Stopping a resident's codes at a kiosk: of the bound phone, which is then no longer bound, or the one on paper.
//!
//! Stopping needs a proven visit. A person who finds a card must not be able to take its holder's phone code away; a resident without the
//! card's PIN goes to a counter, where a loss report of the card stops all codes. A phone is undone by pairing it again.

use std::collections::BTreeMap;

use contract::{AnswerRow, CallAnswer, ProblemCode, UnixMs, to_hex};
use rusqlite::OptionalExtension as _;

use super::requests::end_phone;
use crate::acts::refused_act;
use crate::city_time::{city_date, city_date_words};
use crate::codes::paper_codes::{PaperState, newest_paper_code, revoke_paper_code};
use crate::context::RequestContext;
use crate::request_error::{RequestError, malformed_request};
use crate::store::columns::from_ms_column;

/// The resident's phone of last.
pub(crate) struct LastPhone {
    /// Names this phone to the kiosk; it proves nothing.
    key: String,
    pub(crate) bound: UnixMs,
    pub(crate) ended: Option<UnixMs>,
}

/// The phone that is bound, or was bound last.
pub(crate) fn last_phone(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Option<LastPhone>> {
    let last = context
        .tx
        .query_row(
            "SELECT hash, bound_ms, ended_ms FROM phones WHERE resident = ?1
             ORDER BY ended_ms IS NOT NULL, bound_ms DESC LIMIT 1",
            [resident],
            |row| {
                let hash: [u8; 32] = row.get(0)?;
                Ok((hash, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?))
            },
        )
        .optional()?;
    Ok(last.map(|(hash, bound, ended)| LastPhone {
        key: format!("phone.{}", to_hex(&hash).get(..16).unwrap_or_default()),
        bound: from_ms_column(bound),
        ended: ended.map(from_ms_column),
    }))
}

/// A code that can be stopped.
enum StoppableCode {
    Phone(LastPhone),
    Paper(PaperState),
}

impl StoppableCode {
    fn all(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Vec<Self>> {
        let phone = last_phone(context, resident)?.filter(|phone| phone.ended.is_none());
        let paper = newest_paper_code(context, resident)?.filter(|paper| paper.is_accepted(context.now));
        Ok(phone.map(Self::Phone).into_iter().chain(paper.map(Self::Paper)).collect())
    }

    fn key(&self) -> String {
        match self {
            Self::Phone(phone) => phone.key.clone(),
            Self::Paper(paper) => format!("paper.{}", paper.holder),
        }
    }

    const fn words(&self) -> &'static str {
        match self {
            Self::Phone(_) => "手机渝快码",
            Self::Paper(_) => "纸质渝快码",
        }
    }

    fn row(&self) -> AnswerRow {
        let (since, effect) = match self {
            Self::Phone(phone) => (phone.bound, "停用后，这部手机上的码处处不能再用"),
            Self::Paper(paper) => (paper.issued, "停用后，纸上的码处处不能再用"),
        };
        AnswerRow::from([
            ("medium".to_owned(), self.key()),
            ("what".to_owned(), self.words().to_owned()),
            ("since".to_owned(), format!("{}开通", city_date_words(since))),
            ("effect".to_owned(), effect.to_owned()),
        ])
    }
}

/// The rows of the operation `identity.codes`.
pub(crate) fn stoppable_codes(
    context: &RequestContext<'_>,
    resident: i64,
) -> rusqlite::Result<Vec<AnswerRow>> {
    Ok(StoppableCode::all(context, resident)?.iter().map(StoppableCode::row).collect())
}

/// The act `identity.stop-code`.
pub(crate) fn stop_code(
    context: &RequestContext<'_>,
    resident: i64,
    input: &BTreeMap<String, String>,
) -> Result<CallAnswer, RequestError> {
    match input.get("decision").map(String::as_str) {
        Some("stop") => {}
        Some("keep") => {
            return Ok(refused_act(
                "没有停用，渝快码照常使用",
                "Nothing was stopped. Your code works as before",
            ));
        }
        Some(_) | None => return Err(malformed_request("`decision` is `stop` or `keep`")),
    }
    // Only what is in use now, and only this resident's: a phone that was bound meanwhile has another key.
    let chosen = input.get("medium");
    let mut all = StoppableCode::all(context, resident)?.into_iter();
    let Some(code) = all.find(|code| Some(&code.key()) == chosen) else {
        return Ok(refused_act("这个码已经停用，不用再办", "This code is stopped already"));
    };
    let remark = match code {
        StoppableCode::Phone(_) => {
            let authority = context.config.code_authority.as_ref().ok_or_else(|| {
                RequestError::from(
                    ProblemCode::NotOffered.into_problem("this platform issues no signed codes"),
                )
            })?;
            end_phone(context.tx, authority, context.now, resident)?;
            "要再用，请办“开通手机渝快码”"
        }
        StoppableCode::Paper(_) => {
            revoke_paper_code(context, resident)?;
            "要再用，请带社保卡到柜台重新打印"
        }
    };
    let row = AnswerRow::from([
        ("what".to_owned(), code.words().to_owned()),
        ("state".to_owned(), "已停用".to_owned()),
        ("date".to_owned(), city_date(context.now)),
        ("remark".to_owned(), remark.to_owned()),
    ]);
    Ok(CallAnswer { rows: vec![row], next: None, refused: None })
}
