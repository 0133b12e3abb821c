//! Disclosure of e-certificates (GB/T 36901) to relying parties, as signed extracts.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/licence`, from a relying party | [`ECertificateRequest`] | [`ConsentStatus`](crate::consents::phone::ConsentStatus) of [`ECertificateAnswer`] |
//!
//! A relying party requests single items of one e-certificate, and only those that it is registered for. The holder
//! agrees on the phone ([`consents::phone`](crate::consents::phone)); the relying party then receives a signed
//! [`ECertificateExtract`] with these items, addressed to it and for this purpose. The licence library is asked for them
//! after the consent, each time. That the holder has no such e-certificate, or one that is not in force, is also disclosed only
//! after consent; which of the two is not disclosed.

use std::collections::BTreeSet;

use contract::{
    ConsentId, ECertificateExtract, IssuerKeys, Level, LicenceKind, ProblemCode, SignedStatement, UnixMs,
};
use serde::{Deserialize, Serialize};

use crate::city_time::{city_date, end_of_day};
use crate::codes::verification::unknown_code_problem;
use crate::consents::phone::{AgreedConsent, CONSENT_REQUEST_TTL_MS, ConsentRequest};
use crate::context::RequestContext;
use crate::departments::answers::unavailable_reply;
use crate::departments::calls::DepartmentAnswer;
use crate::departments::requests::Asker;
use crate::e_certificates::held::{HeldLicence, Standing};
use crate::e_certificates::library::{LibraryAnswer, call_library, read_licences};
use crate::e_certificates::shown::{Use, watermark};
use crate::messages::{PlatformRequest, PlatformResponse};
use crate::peer_calls::PlatformReply;
use crate::request_error::{RequestError, parse_body};
use crate::request_signature::{check_request_time, verified_signer};
use crate::store::columns::to_json_column;

/// Request for items of an e-certificate of the holder of a code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ECertificateRequest {
    /// Id of the request by which this relying party verified the code, at most ten minutes ago.
    request: String,
    /// Id of the kind.
    licence: String,
    /// Names of the requested items; at least one.
    items: BTreeSet<String>,
}

/// Data disclosed to a relying party.
#[derive(Serialize)]
struct ECertificateAnswer {
    /// Signed extract; `None`: the holder has no such e-certificate in force.
    extract: Option<SignedStatement<ECertificateExtract>>,
    /// Signed list with the key that verifies the extract, under the city's root key.
    keys: SignedStatement<IssuerKeys>,
}

/// Handles `POST /code/v1/licence`.
pub(crate) fn request_e_certificate(
    context: &mut RequestContext<'_>,
    request: &PlatformRequest,
) -> Result<PlatformReply, RequestError> {
    let config = context.config;
    let relying_party = verified_signer(&config.relying_parties, request)?;
    check_request_time(request, context.now)?;
    let ECertificateRequest { request, licence, items } = parse_body(&request.body)?;
    let registered = relying_party.licences.get(&licence).filter(|registered| items.is_subset(registered));
    let kind = config.operations().licence(&licence).filter(|_| registered.is_some() && !items.is_empty());
    let Some(kind) = kind else {
        return Err(ProblemCode::NotOffered
            .into_problem("the relying party is not registered for these items of this e-certificate")
            .into());
    };
    let named = to_json_column(&(&licence, &items));
    let consent_request = ConsentRequest::for_verification(context, relying_party, &request, named)?;
    let disclosure = Disclosure { consent_request, licence, items };
    match disclosure.consent_request.agreed_consent(context)? {
        Some(agreed) => disclosure.ask_library(context, kind, &agreed),
        None => disclosure.ask_holder(context, kind),
    }
}

/// What is disclosed once the holder has agreed.
struct Disclosure {
    consent_request: ConsentRequest,
    /// Id of the kind.
    licence: String,
    /// Names of the items.
    items: BTreeSet<String>,
}

impl Disclosure {
    fn ask_holder(
        &self,
        context: &mut RequestContext<'_>,
        kind: &LicenceKind,
    ) -> Result<PlatformReply, RequestError> {
        let requested = kind.items.iter().filter(|item| self.items.contains(&item.name));
        let items = requested.map(|item| item.title.zh.clone()).collect();
        let title = Some(kind.title.zh.clone());
        let status = self.consent_request.ask_holder::<ECertificateAnswer>(context, title, items)?;
        Ok(PlatformResponse::json(&status).into())
    }

    fn ask_library(
        self,
        context: &mut RequestContext<'_>,
        kind: &LicenceKind,
        agreed: &AgreedConsent,
    ) -> Result<PlatformReply, RequestError> {
        let asker = Asker {
            resident: self.consent_request.resident,
            level: Level::Recognised,
            kiosk: None,
            service: None,
            consent: agreed.consent.parse::<ConsentId>().ok(),
        };
        let call = call_library(context, &kind.operation(), &asker, move |context, answer| {
            self.on_answer(context, answer)
        })?;
        call.ok_or_else(|| ProblemCode::NotOffered.into_problem("this city has no licence library").into())
    }

    /// Continues with the library's answer. The holder may have withdrawn the consent meanwhile: then nothing is disclosed.
    fn on_answer(
        &self,
        context: &mut RequestContext<'_>,
        answer: Option<DepartmentAnswer>,
    ) -> Result<PlatformReply, RequestError> {
        let config = context.config;
        let Some(kind) = config.operations().licence(&self.licence) else { return Ok(unavailable_reply()) };
        let held = match read_licences(context, kind, answer)? {
            LibraryAnswer::Found(held) => held,
            // Why the library refuses is between it and the holder.
            LibraryAnswer::Refused(_) => Vec::new(),
            LibraryAnswer::Unavailable => return Ok(unavailable_reply()),
        };
        let Some(agreed) = self.consent_request.agreed_consent(context)? else {
            return self.ask_holder(context, kind);
        };
        let authority = config.code_authority.as_ref().ok_or_else(unknown_code_problem)?;
        let extract = held
            .into_iter()
            .find(|held| held.state.standing == Standing::InForce)
            .map(|held| self.extract(context.now, &authority.issuer_keys.city, kind, &agreed, held))
            .map(|extract| SignedStatement::sign(&extract, &authority.revoker));
        let data = ECertificateAnswer { extract, keys: authority.signed_issuer_keys.clone() };
        let log_text = format!("按您的授权核验{}", kind.title.zh);
        let status = self.consent_request.disclosed(context, &log_text, data, &agreed)?;
        Ok(PlatformResponse::json(&status).into())
    }

    fn extract(
        &self,
        now: UnixMs,
        city: &str,
        kind: &LicenceKind,
        agreed: &AgreedConsent,
        held: HeldLicence,
    ) -> ECertificateExtract {
        let ConsentRequest { relying_party, purpose, .. } = &self.consent_request;
        // The extract states the present facts, so it expires soon, however long consent and licence last.
        let mut until = now.plus_ms(CONSENT_REQUEST_TTL_MS).min(agreed.until);
        if let Some(end) = held.state.last_day.as_deref().and_then(end_of_day) {
            until = until.min(end);
        }
        let last_day = city_date(until);
        let of = Use { purpose, recipient: &relying_party.name, last_day: &last_day };
        ECertificateExtract {
            city: city.to_owned(),
            certificate: kind.id.clone(),
            title: kind.title.zh.clone(),
            issuer: kind.issuer.zh.clone(),
            recipient: relying_party.id,
            purpose: purpose.clone(),
            consent: agreed.consent.clone(),
            items: held.items.into_iter().filter(|(item, _)| self.items.contains(item)).collect(),
            issued: now,
            until,
            last_day: held.state.last_day,
            trust: Some(kind.trust),
            watermark: Some(watermark(&kind.watermark, &of)),
        }
    }
}
