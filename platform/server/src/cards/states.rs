//! The state of a resident's cards, as a kiosk shows it.

use contract::{CardStatus, UnixMs};

use crate::context::RequestContext;
use crate::store::columns::{from_json_column, from_ms_column, to_json_column};

/// Most cards that are listed: the one in force first, then the newest.
const CARDS_MAX: u32 = 5;

/// A card and its state.
pub(crate) struct CardState {
    /// The number on the card, whole: mask it before it is shown.
    pub(crate) number: String,
    pub(crate) standing: CardStatus,
    /// The last change by a service desk; `None` for a card that no desk has changed.
    pub(crate) since: Option<UnixMs>,
}

/// The resident's cards.
pub(crate) fn card_states(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Vec<CardState>> {
    let mut cards = context.tx.prepare(
        "SELECT number, standing, (SELECT max(at_ms) FROM card_changes WHERE card_changes.number = cards.number)
         FROM cards WHERE resident = ?1 ORDER BY standing <> ?2, rowid DESC LIMIT ?3",
    )?;
    let in_force = to_json_column(&CardStatus::InForce);
    let rows = cards.query_map(rusqlite::params![resident, in_force, CARDS_MAX], |row| {
        Ok(CardState {
            number: row.get(0)?,
            standing: from_json_column(&row.get::<_, String>(1)?)?,
            since: row.get::<_, Option<i64>>(2)?.map(from_ms_column),
        })
    })?;
    rows.collect()
}

/// The state in words for residents.
pub(crate) const fn standing_words(standing: CardStatus) -> &'static str {
    match standing {
        CardStatus::Issued => "未激活",
        CardStatus::InForce => "正常",
        CardStatus::Lost => "已挂失",
        CardStatus::Cancelled => "已注销",
    }
}
