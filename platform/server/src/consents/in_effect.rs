//! The consents of a resident that are in effect, as a kiosk lists them, and their withdrawal (撤回授权) there.
//!
//! A consent is of the phone, to a relying party, or of a kiosk, to a service. Either ends with its withdrawal: nothing is disclosed
//! under it afterwards. Its key has the consent's id, 128 random bits, and counts only for the resident who gave it.

use std::collections::BTreeMap;

use contract::{AnswerRow, CallAnswer, ConsentId, KioskId, ServiceDocument, Step, UnixMs};
use rusqlite::params;
use serde::Deserialize;

use super::kiosk;
use super::phone::withdraw;
use crate::acts::refused_act;
use crate::city_time::city_date;
use crate::context::RequestContext;
use crate::request_error::{RequestError, malformed_request};
use crate::store::columns::{from_json_column, from_ms_column, to_ms_column};

/// Most consents of each kind that are listed.
const LISTED_MAX: u32 = 50;
/// Longest text of a field, in characters: kiosks refuse longer ones.
const TEXT_MAX: usize = 200;

/// A consent that is in effect, in words for its resident.
struct ConsentInEffect {
    key: String,
    recipient: String,
    what: String,
    purpose: String,
    until: UnixMs,
}

/// What is read of the statement that a phone signed.
#[derive(Deserialize)]
struct SignedStatementText {
    recipient: String,
    purpose: String,
    licence: Option<String>,
    items: Vec<String>,
}

/// A consent, as the kiosk names it.
enum ConsentKey {
    Phone(String),
    Kiosk(KioskId, ConsentId),
}

impl ConsentKey {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('.')? {
            ("phone", consent) => Some(Self::Phone(consent.to_owned())),
            ("kiosk", rest) => {
                let (device, consent) = rest.split_once('.')?;
                Some(Self::Kiosk(device.parse().ok()?, consent.parse().ok()?))
            }
            _ => None,
        }
    }
}

/// The rows of the operation `identity.consents`: those of the phone first, the newest of each first.
pub(crate) fn consents_in_effect(
    context: &RequestContext<'_>,
    resident: i64,
) -> rusqlite::Result<Vec<AnswerRow>> {
    let row = |one: ConsentInEffect| {
        AnswerRow::from([
            ("consent".to_owned(), one.key),
            ("recipient".to_owned(), short(&one.recipient)),
            ("what".to_owned(), short(&one.what)),
            ("purpose".to_owned(), short(&one.purpose)),
            ("until".to_owned(), city_date(one.until)),
        ])
    };
    Ok(all(context, resident)?.into_iter().map(row).collect())
}

fn all(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Vec<ConsentInEffect>> {
    let mut all = of_phone(context, resident)?;
    all.extend(of_kiosks(context, resident)?);
    Ok(all)
}

fn of_phone(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Vec<ConsentInEffect>> {
    let mut agreed = context.tx.prepare(
        "SELECT consent, statement, until_ms FROM fact_consents
         WHERE resident = ?1 AND state = 'agreed' AND until_ms > ?2 ORDER BY decided_ms DESC, consent LIMIT ?3",
    )?;
    let rows = agreed.query_map(params![resident, to_ms_column(context.now), LISTED_MAX], |row| {
        let (consent, text): (String, String) = (row.get(0)?, row.get(1)?);
        let statement: SignedStatementText = from_json_column(&text)?;
        let items = statement.items.join("、");
        Ok(ConsentInEffect {
            key: format!("phone.{consent}"),
            recipient: statement.recipient,
            what: statement.licence.map_or_else(|| items.clone(), |licence| format!("{licence}：{items}")),
            purpose: statement.purpose,
            until: from_ms_column(row.get(2)?),
        })
    })?;
    rows.collect()
}

fn of_kiosks(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Vec<ConsentInEffect>> {
    let mut recorded = context.tx.prepare(
        "SELECT device, consent, service, until_ms FROM consents JOIN pseudonyms USING (device, pseudonym)
         WHERE resident = ?1 AND until_ms > ?2 ORDER BY until_ms DESC, consent LIMIT ?3",
    )?;
    let rows = recorded.query_map(params![resident, to_ms_column(context.now), LISTED_MAX], |row| {
        let (device, consent, service): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let words = context.config.publication.document(&service).map(words_of_document);
        let (recipient, what, purpose) =
            words.unwrap_or_else(|| (service.clone(), service.clone(), service.clone()));
        let until = from_ms_column(row.get(3)?);
        Ok(ConsentInEffect { key: format!("kiosk.{device}.{consent}"), recipient, what, purpose, until })
    })?;
    rows.collect()
}

/// Recipient, items and purpose of a document's consent steps. The kiosk's record has the words as they were shown.
fn words_of_document(document: &ServiceDocument) -> (String, String, String) {
    let mut words = (Vec::new(), Vec::new(), Vec::new());
    for step in &document.steps {
        if let Step::Consent { recipient, items, purpose, .. } = step {
            words.0.push(recipient.zh.as_str());
            words.1.extend(items.iter().map(|item| item.zh.as_str()));
            words.2.push(purpose.zh.as_str());
        }
    }
    (words.0.join("、"), words.1.join("、"), words.2.join("、"))
}

fn short(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(TEXT_MAX).collect()
}

/// The act `identity.withdraw-consent`.
pub(crate) fn withdraw_at_kiosk(
    context: &RequestContext<'_>,
    resident: i64,
    input: &BTreeMap<String, String>,
) -> Result<CallAnswer, RequestError> {
    match input.get("decision").map(String::as_str) {
        Some("withdraw") => {}
        Some("keep") => return Ok(refused_act("没有撤回，授权照旧", "Nothing was withdrawn")),
        Some(_) | None => return Err(malformed_request("`decision` is `withdraw` or `keep`")),
    }
    let chosen =
        input.get("consent").ok_or_else(|| malformed_request("the inputs are `consent` and `decision`"))?;
    let mut in_effect = all(context, resident)?.into_iter();
    let known = in_effect.find(|one| one.key == *chosen).zip(ConsentKey::parse(chosen));
    let Some((consent, key)) = known else {
        return Ok(refused_act("这项授权已经不再有效，不用撤回", "This consent is not in effect any more"));
    };
    match key {
        ConsentKey::Phone(consent) => withdraw(context, resident, &consent)?,
        ConsentKey::Kiosk(device, consent) => kiosk::withdraw(context, device, consent)?,
    }
    let row = AnswerRow::from([
        ("recipient".to_owned(), short(&consent.recipient)),
        ("what".to_owned(), short(&consent.what)),
        ("state".to_owned(), "已撤回，对方不能再查".to_owned()),
        ("date".to_owned(), city_date(context.now)),
    ]);
    Ok(CallAnswer { rows: vec![row], next: None, refused: None })
}
