//! Disclosure of e-certificates (GB/T 36901) to relying parties, as signed extracts.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/licence`, from a relying party | [`ECertificateRequest`] | [`ConsentStatus`](crate::consents::phone::ConsentStatus) of [`ECertificateAnswer`] |
//!
//! A relying party requests single items of one e-certificate, and only those that it is registered for. The holder
//! agrees on the phone ([`consents::phone`](crate::consents::phone)); the relying party then receives a signed
//! [`ECertificateExtract`] with these items, addressed to it and for this purpose. That the holder has no such
//! e-certificate is also disclosed only after consent.

use std::collections::{BTreeMap, BTreeSet};

use contract::{ECertificateExtract, IssuerKeys, ProblemCode, SignedStatement, UnixMs};
use serde::{Deserialize, Serialize};

use crate::codes::verification::unknown_code_problem;
use crate::config::disclosures::{ECertificateItem, ECertificateKind};
use crate::config::relying_parties::RelyingParty;
use crate::consents::phone::{AgreedConsent, CONSENT_REQUEST_TTL_MS, ConsentPrompt, ConsentRequest};
use crate::context::RequestContext;
use crate::e_certificates::held_items;
use crate::messages::{PlatformRequest, PlatformResponse};
use crate::peer_calls::PlatformReply;
use crate::request_error::{RequestError, parse_body};
use crate::request_signature::{check_request_time, verified_signer};
use crate::store::columns::to_json_column;
use crate::store::serialized_name::serialized_name;

/// Request for items of an e-certificate of the holder of a code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ECertificateRequest {
    /// Id of the request by which this relying party verified the code, at most ten minutes ago.
    request: String,
    licence: ECertificateKind,
    /// Requested items; at least one.
    items: BTreeSet<ECertificateItem>,
}

/// Data disclosed to a relying party.
#[derive(Serialize)]
struct ECertificateAnswer {
    /// Signed extract; `None`: the holder has no such e-certificate.
    extract: Option<SignedStatement<ECertificateExtract>>,
    /// Signed list with the key that verifies the extract, under the city's root key.
    keys: SignedStatement<IssuerKeys>,
}

/// Handles `POST /code/v1/licence`.
pub(crate) fn request_e_certificate(
    context: &mut RequestContext<'_>,
    request: &PlatformRequest,
) -> Result<PlatformReply, RequestError> {
    let relying_party = verified_signer(&context.config.relying_parties, request)?;
    check_request_time(request, context.now)?;
    let ECertificateRequest { request, licence, items } = parse_body(&request.body)?;
    let registered = relying_party.licences.get(&licence);
    if items.is_empty() || !registered.is_some_and(|registered| items.is_subset(registered)) {
        return Err(ProblemCode::NotOffered
            .into_problem("the relying party is not registered for these items of this e-certificate")
            .into());
    }
    let consent_request = ConsentRequest::for_verification(
        context,
        relying_party,
        &request,
        to_json_column(&(licence, &items)),
    )?;
    let prompt = ConsentPrompt {
        e_certificate: Some(licence.title()),
        items: items.iter().map(|item| item.title()).collect(),
        log_text: format!("按您的授权核验{}", licence.title()),
    };
    let (resident, purpose) = (consent_request.resident, consent_request.purpose.clone());
    let status = consent_request.answer_or_ask(context, prompt, |context, agreed| {
        let authority = context.config.code_authority.as_ref().ok_or_else(unknown_code_problem)?;
        let extract = held_items(context, licence, resident)?
            .map(|mut items_held| {
                items_held.retain(|item, _| items.contains(item));
                build_extract(
                    context.now,
                    &authority.issuer_keys.city,
                    relying_party,
                    licence,
                    purpose,
                    agreed,
                    &items_held,
                )
            })
            .filter(|extract| !extract.items.is_empty())
            .map(|extract| SignedStatement::sign(&extract, &authority.revoker));
        Ok(ECertificateAnswer { extract, keys: authority.signed_issuer_keys.clone() })
    })?;
    Ok(PlatformResponse::json(&status).into())
}

fn build_extract(
    now: UnixMs,
    city: &str,
    relying_party: &RelyingParty,
    licence: ECertificateKind,
    purpose: String,
    agreed: &AgreedConsent,
    values: &BTreeMap<ECertificateItem, String>,
) -> ECertificateExtract {
    ECertificateExtract {
        city: city.to_owned(),
        certificate: serialized_name(&licence),
        title: licence.title().to_owned(),
        issuer: licence.issuer().to_owned(),
        recipient: relying_party.id,
        purpose,
        consent: agreed.consent.clone(),
        items: values.iter().map(|(item, value)| (serialized_name(item), value.clone())).collect(),
        issued: now,
        // The extract states the present facts, so it expires soon, however long the consent lasts.
        until: now.plus_ms(CONSENT_REQUEST_TTL_MS).min(agreed.until),
    }
}
