//! The services of the scene *identity credential* (身份凭证): what the platform itself knows of a resident's card and codes.
//!
//! Each fact is read where it is kept; here they become rows. Names and numbers are masked, as on every screen.

use contract::AnswerRow;

use crate::cards::life_cycle::has_card_in_force;
use crate::cards::states::{card_states, standing_words};
use crate::city_time::city_date_words;
use crate::codes::paper_codes::newest_paper_code;
use crate::context::RequestContext;
use crate::phones::stop::last_phone;
use crate::residents::masking::{masked_name, masked_number};

/// For what is not known, or does not exist.
const NONE: &str = "—";

/// A card or code, and its state in words for residents.
struct CredentialState {
    what: &'static str,
    /// The masked number of a card.
    number: String,
    state: &'static str,
    since: String,
    remark: &'static str,
}

fn phone_state(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<CredentialState> {
    let (state, since, remark) = match last_phone(context, resident)? {
        None => ("未开通", None, "要开通，请办“开通手机渝快码”"),
        Some(phone) => match phone.ended {
            Some(ended) => ("已停用", Some(ended), "要再用，请办“开通手机渝快码”"),
            None if has_card_in_force(context, resident)? => ("正常", Some(phone.bound), ""),
            None => ("暂停使用", Some(phone.bound), "社保卡正常后，手机上的码自动恢复"),
        },
    };
    let since = since.map_or_else(|| NONE.to_owned(), city_date_words);
    Ok(CredentialState { what: "手机渝快码", number: String::new(), state, since, remark })
}

fn paper_state(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<CredentialState> {
    let (state, since, remark) = match newest_paper_code(context, resident)? {
        None => ("没有", None, ""),
        Some(paper) if paper.is_revoked => ("已停用", None, "要再用，请到柜台重新打印"),
        Some(paper) if paper.ends <= context.now => ("已过期", Some(paper.ends), "要再用，请到柜台重新打印"),
        Some(paper) => ("正常", Some(paper.issued), ""),
    };
    let since = since.map_or_else(|| NONE.to_owned(), city_date_words);
    Ok(CredentialState { what: "纸质渝快码", number: String::new(), state, since, remark })
}

fn cards(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Vec<CredentialState>> {
    let cards = card_states(context, resident)?.into_iter().map(|card| CredentialState {
        what: "社会保障卡",
        number: masked_number(&card.number),
        state: standing_words(card.standing),
        since: card.since.map_or_else(|| NONE.to_owned(), city_date_words),
        remark: "",
    });
    Ok(cards.collect())
}

/// The rows of the operation `identity.states`.
pub(super) fn credential_states(
    context: &RequestContext<'_>,
    resident: i64,
) -> rusqlite::Result<Vec<AnswerRow>> {
    let codes = [phone_state(context, resident)?, paper_state(context, resident)?];
    let row = |one: CredentialState| {
        AnswerRow::from([
            ("what".to_owned(), format!("{} {}", one.what, one.number).trim_end().to_owned()),
            ("state".to_owned(), one.state.to_owned()),
            ("since".to_owned(), one.since),
            ("remark".to_owned(), one.remark.to_owned()),
        ])
    };
    Ok(cards(context, resident)?.into_iter().chain(codes).map(row).collect())
}

/// The row of the operation `identity.mine`.
pub(super) fn my_identity(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Vec<AnswerRow>> {
    let (name, number): (String, String) = context.tx.query_row(
        "SELECT name, id_number FROM residents WHERE resident = ?1",
        [resident],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    // The one in force, if there is one.
    let card = cards(context, resident)?.into_iter().next();
    let (card, card_state) = card.map_or((NONE.to_owned(), "没有"), |card| (card.number, card.state));
    Ok(vec![AnswerRow::from([
        ("name".to_owned(), masked_name(&name)),
        ("number".to_owned(), masked_number(&number)),
        ("card".to_owned(), card),
        ("card-state".to_owned(), card_state.to_owned()),
        ("phone-state".to_owned(), phone_state(context, resident)?.state.to_owned()),
        ("paper-state".to_owned(), paper_state(context, resident)?.state.to_owned()),
    ])])
}
