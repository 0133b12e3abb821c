//! Claims about the holder of a code. A claim is answered by yes or no only: a pharmacy learns that its customer is
//! insured, but neither the employer nor the number. The holder consents to each claim
//! ([`consent_requests`](super::consent_requests)).
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/facts`, from a relying party | [`ClaimsRequest`] | [`ConsentStatus`](super::consent_requests::ConsentStatus) of [`ClaimsAnswer`] |

use std::collections::{BTreeMap, BTreeSet};

use contract::{ProblemCode, UnixMs};
use serde::{Deserialize, Serialize};

use super::agreements::{Asked, Question};
use super::verify::fresh;
use crate::columns::text;
use crate::device;
use crate::fail::{Fail, json};
use crate::platform::Turn;
use crate::wire::{Reply, Request, Response};

/// A claim (声明) about a resident: yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// Insured and paying or retired (正常参加医保), according to the base of insured persons.
    Insured,
    /// At least sixty years old (年满六十周岁).
    Over60,
}

impl Fact {
    /// Text of the claim, as the holder reads it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Insured => "是否正常参加医保",
            Self::Over60 => "是否年满六十周岁",
        }
    }

    pub(super) fn of(self, context: &Turn<'_>, resident: i64) -> rusqlite::Result<bool> {
        let (status, id_number): (Option<String>, String) = context.tx.query_row(
            "SELECT status, id_number FROM residents WHERE resident = ?1",
            [resident],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(match self {
            // Retired persons (退休人员) are insured without paying; any other status is not insured.
            Self::Insured => matches!(status.as_deref(), Some("正常参保" | "退休")),
            Self::Over60 => is_sixty(&id_number, context.now),
        })
    }
}

/// Whether the person of this ID number is at least sixty years old today, by the date in Chongqing (UTC+8).
fn is_sixty(id_number: &str, now: UnixMs) -> bool {
    let Ok(today) = jiff::Timestamp::from_millisecond(i64::try_from(now.0).unwrap_or(i64::MAX)) else {
        return false;
    };
    let today = today.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).strftime("%Y%m%d").to_string();
    let number = |day: &str| day.parse::<u32>().ok();
    match (id_number.get(6..14).and_then(number), number(&today)) {
        (Some(born), Some(today)) => born + 60_00_00 <= today,
        _ => false,
    }
}

/// Request for claims about the holder of a code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsRequest {
    /// Id of the request by which this relying party verified the code, at most ten minutes ago.
    request: String,
    /// Requested claims; at least one.
    facts: BTreeSet<Fact>,
}

/// The claims with their values.
#[derive(Serialize)]
struct Facts {
    facts: BTreeMap<Fact, bool>,
}

/// Handles `POST /code/v1/facts`.
pub(crate) fn facts(context: &mut Turn<'_>, request: &Request) -> Result<Reply, Fail> {
    let relying_party = device::signer(&context.city.clients, request)?;
    fresh(request, context.now)?;
    let FactsRequest { request, facts } = json(&request.body)?;
    if facts.is_empty() || !facts.is_subset(&relying_party.facts) {
        return Err(ProblemCode::NotOffered
            .because("the relying party is not registered for these claims")
            .into());
    }
    let consent_request = Question::about(context, relying_party, &request, text(&facts))?;
    let prompt = Asked {
        licence: None,
        items: facts.iter().map(|fact| fact.title()).collect(),
        noted: "按您的授权查询".into(),
    };
    let resident = consent_request.resident;
    let status = consent_request.told(context, prompt, |context, _| {
        let facts = facts.iter().map(|fact| Ok((*fact, fact.of(context, resident)?)));
        Ok(Facts { facts: facts.collect::<rusqlite::Result<_>>()? })
    })?;
    Ok(Response::json(&status).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_is_reached_at_midnight_of_birthday_in_chongqing() {
        // 2026-11-24 in Chongqing begins at 16:00 of the day before, UTC.
        let midnight = UnixMs(1_795_449_600_000);
        assert!(is_sixty("500112196611240422", midnight));
        assert!(!is_sixty("500112196611240422", UnixMs(midnight.0 - 1)));
        assert!(!is_sixty("500112", midnight));
    }
}
