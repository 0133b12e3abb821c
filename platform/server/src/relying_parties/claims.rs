//! Claims about the holder of a code. A claim is answered by yes or no only: a pharmacy learns that its customer is
//! insured, but neither the employer nor the number. The holder consents to each claim
//! ([`consents::phone`](crate::consents::phone)).
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/facts`, from a relying party | [`ClaimsRequest`] | [`ConsentStatus`](crate::consents::phone::ConsentStatus) of [`ClaimsAnswer`] |

use std::collections::{BTreeMap, BTreeSet};

use contract::ProblemCode;
use serde::{Deserialize, Serialize};

use crate::config::disclosures::Claim;
use crate::consents::phone::{ConsentPrompt, ConsentRequest};
use crate::context::RequestContext;
use crate::messages::{PlatformRequest, PlatformResponse};
use crate::peer_calls::PlatformReply;
use crate::request_error::{RequestError, parse_body};
use crate::request_signature::{check_request_time, verified_signer};
use crate::residents::claims::evaluate_claim;
use crate::store::columns::to_json_column;

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
    let relying_party = verified_signer(&context.config.relying_parties, request)?;
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
        items: facts.iter().map(|fact| fact.title().to_owned()).collect(),
        log_text: "按您的授权查询".into(),
    };
    let resident = consent_request.resident;
    let status = consent_request.answer_or_ask(context, prompt, |context, _| {
        let facts = facts.iter().map(|fact| Ok((*fact, evaluate_claim(context, *fact, resident)?)));
        Ok(ClaimsAnswer { facts: facts.collect::<rusqlite::Result<_>>()? })
    })?;
    Ok(PlatformResponse::json(&status).into())
}
