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

use super::consent_requests::{ConsentPrompt, ConsentRequest};
use super::relying_parties::check_request_time;
use crate::columns::to_json_column;
use crate::messages::{PlatformReply, PlatformRequest, PlatformResponse};
use crate::platform::RequestContext;
use crate::registry;
use crate::request_error::{RequestError, parse_body};

/// A claim (声明) about a resident: yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Insured and paying or retired (正常参加医保), according to the base of insured persons.
    Insured,
    /// At least sixty years old (年满六十周岁).
    Over60,
}

impl Claim {
    /// Text of the claim, as the holder reads it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Insured => "是否正常参加医保",
            Self::Over60 => "是否年满六十周岁",
        }
    }

    pub(super) fn evaluate(self, context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<bool> {
        let (status, id_number): (Option<String>, String) = context.tx.query_row(
            "SELECT status, id_number FROM residents WHERE resident = ?1",
            [resident],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(match self {
            // Retired persons (退休人员) are insured without paying; any other status is not insured.
            Self::Insured => matches!(status.as_deref(), Some("正常参保" | "退休")),
            Self::Over60 => has_reached_sixty(&id_number, context.now),
        })
    }
}

/// Whether the person of this ID number is at least sixty years old today, by the date in Chongqing (UTC+8).
fn has_reached_sixty(id_number: &str, now: UnixMs) -> bool {
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
struct ClaimsRequest {
    /// Id of the request by which this relying party verified the code, at most ten minutes ago.
    request: String,
    /// Requested claims; at least one.
    facts: BTreeSet<Claim>,
}

/// The claims with their values.
#[derive(Serialize)]
struct ClaimsAnswer {
    facts: BTreeMap<Claim, bool>,
}

/// Handles `POST /code/v1/facts`.
pub(crate) fn request_claims(
    context: &mut RequestContext<'_>,
    request: &PlatformRequest,
) -> Result<PlatformReply, RequestError> {
    let relying_party = registry::verified_signer(&context.config.relying_parties, request)?;
    check_request_time(request, context.now)?;
    let ClaimsRequest { request, facts } = parse_body(&request.body)?;
    if facts.is_empty() || !facts.is_subset(&relying_party.facts) {
        return Err(ProblemCode::NotOffered
            .into_problem("the relying party is not registered for these claims")
            .into());
    }
    let consent_request =
        ConsentRequest::for_verification(context, relying_party, &request, to_json_column(&facts))?;
    let prompt = ConsentPrompt {
        e_certificate: None,
        items: facts.iter().map(|fact| fact.title()).collect(),
        log_text: "按您的授权查询".into(),
    };
    let resident = consent_request.resident;
    let status = consent_request.answer_or_ask(context, prompt, |context, _| {
        let facts = facts.iter().map(|fact| Ok((*fact, fact.evaluate(context, resident)?)));
        Ok(ClaimsAnswer { facts: facts.collect::<rusqlite::Result<_>>()? })
    })?;
    Ok(PlatformResponse::json(&status).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_is_reached_at_midnight_of_birthday_in_chongqing() {
        // 2026-11-24 in Chongqing begins at 16:00 of the day before, UTC.
        let midnight = UnixMs(1_795_449_600_000);
        assert!(has_reached_sixty("500112196611240422", midnight));
        assert!(!has_reached_sixty("500112196611240422", UnixMs(midnight.0 - 1)));
        assert!(!has_reached_sixty("500112", midnight));
    }
}
