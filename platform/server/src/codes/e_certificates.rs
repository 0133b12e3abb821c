//! E-certificates (GB/T 36901): shown to their holder on the phone, and disclosed to relying parties as signed extracts.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/licences`, from a phone | the phone's secret | [`ECertificateWallet`] |
//! | `POST /code/v1/licence`, from a relying party | [`ECertificateRequest`] | [`ConsentStatus`](super::consent_requests::ConsentStatus) of [`ECertificateAnswer`] |
//!
//! A relying party requests single items of one e-certificate, and only those that it is registered for. The holder
//! agrees on the phone ([`consent_requests`](super::consent_requests)); the relying party then receives a signed
//! [`LicenceExtract`] with these items, addressed to it and for this purpose. That the holder has no such e-certificate is
//! also disclosed only after consent.
//!
//! The reference platform builds e-certificates from the card-holder base, in form only; a city would fetch
//! them from its e-certificate library.

use std::collections::{BTreeMap, BTreeSet};

use contract::{ECertificateExtract, IssuerKeys, ProblemCode, SignedStatement, UnixMs};
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::claims::Claim;
use super::consent_requests::{AgreedConsent, CONSENT_REQUEST_TTL_MS, ConsentPrompt, ConsentRequest};
use super::phones::{self, BoundPhone, PhoneRequest, find_phone};
use super::relying_parties::{RelyingParty, check_request_time};
use super::verification::unknown_code_problem;
use crate::columns::to_json_column;
use crate::messages::{PlatformReply, PlatformRequest, PlatformResponse};
use crate::pages::{masked_name, masked_number};
use crate::platform::RequestContext;
use crate::registry;
use crate::request_error::{RequestError, parse_body};

/// Kind of e-certificate (电子证照).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ECertificateKind {
    /// Resident service card (居民服务卡), the third-generation social security card.
    ServiceCard,
    /// Certificate of medical insurance (医疗保险参保凭证).
    MedicalInsurance,
    /// Senior citizen card (老年人优待证).
    SeniorCard,
}

/// Item of an e-certificate, or a claim that follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ECertificateItem {
    /// Name (姓名).
    Name,
    /// Citizen ID number (公民身份号码, GB 11643).
    IdNumber,
    /// Number of the social security card (社会保障卡卡号).
    CardNumber,
    /// Type of insurance (参保类型).
    Insurance,
    /// The claim [`Claim::Insured`]: 是 or 否.
    Insured,
    /// The claim [`Claim::Over60`]: 是 or 否.
    Over60,
}

impl ECertificateItem {
    const fn title(self) -> &'static str {
        match self {
            Self::Name => "姓名",
            Self::IdNumber => "公民身份号码",
            Self::CardNumber => "卡号",
            Self::Insurance => "参保类型",
            Self::Insured => Claim::Insured.title(),
            Self::Over60 => Claim::Over60.title(),
        }
    }

    /// The value as shown to its holder, masked because of bystanders.
    fn masked_value(self, value: &str) -> String {
        match self {
            Self::Name => masked_name(value),
            Self::IdNumber | Self::CardNumber => masked_number(value),
            Self::Insurance | Self::Insured | Self::Over60 => value.to_owned(),
        }
    }
}

impl ECertificateKind {
    const ALL: [Self; 3] = [Self::ServiceCard, Self::MedicalInsurance, Self::SeniorCard];

    const fn title(self) -> &'static str {
        match self {
            Self::ServiceCard => "居民服务卡",
            Self::MedicalInsurance => "医疗保险参保凭证",
            Self::SeniorCard => "老年人优待证",
        }
    }

    const fn issuer(self) -> &'static str {
        match self {
            Self::ServiceCard => "重庆市人力资源和社会保障局",
            Self::MedicalInsurance => "重庆市医疗保障局",
            Self::SeniorCard => "重庆市卫生健康委员会",
        }
    }

    /// Items of this resident's e-certificate; `None` if the resident holds none of this kind.
    fn read_items(
        self,
        context: &RequestContext<'_>,
        resident: i64,
    ) -> rusqlite::Result<Option<BTreeMap<ECertificateItem, String>>> {
        let (name, id_number, insurance): (String, String, Option<String>) = context.tx.query_row(
            "SELECT name, id_number, insurance FROM residents WHERE resident = ?1",
            [resident],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let yes_or_no =
            |fact: Claim| fact.evaluate(context, resident).map(|so| if so { "是" } else { "否" }.to_owned());
        let mut items =
            BTreeMap::from([(ECertificateItem::Name, name), (ECertificateItem::IdNumber, id_number)]);
        let more = match self {
            Self::ServiceCard => {
                card_in_force(context, resident)?.map(|number| vec![(ECertificateItem::CardNumber, number)])
            }
            Self::MedicalInsurance => match insurance {
                Some(kind) => Some(vec![
                    (ECertificateItem::Insurance, kind),
                    (ECertificateItem::Insured, yes_or_no(Claim::Insured)?),
                ]),
                None => None,
            },
            Self::SeniorCard => Claim::Over60
                .evaluate(context, resident)?
                .then(|| vec![(ECertificateItem::Over60, "是".to_owned())]),
        };
        Ok(more.map(|more| {
            items.extend(more);
            items
        }))
    }
}

fn card_in_force(context: &RequestContext<'_>, resident: i64) -> rusqlite::Result<Option<String>> {
    context
        .tx
        .query_row(
            "SELECT number FROM cards WHERE resident = ?1 AND standing = ?2 ORDER BY number DESC LIMIT 1",
            params![resident, to_json_column(&contract::CardStatus::InForce)],
            |row| row.get(0),
        )
        .optional()
}

/// The e-certificates that a resident holds.
#[derive(Serialize)]
struct ECertificateWallet {
    licences: Vec<HeldECertificate>,
}

/// An e-certificate as its holder sees it on the phone.
#[derive(Serialize)]
struct HeldECertificate {
    licence: ECertificateKind,
    title: &'static str,
    issuer: &'static str,
    /// Title and masked value of each item.
    items: Vec<(&'static str, String)>,
}

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

/// `POST /code/v1/licences`: lists the e-certificates of a phone's resident.
pub(super) fn list_e_certificates(
    context: &RequestContext<'_>,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let PhoneRequest { phone: secret } = phones::parse_phone_body(body)?;
    let BoundPhone { resident, .. } = find_phone(context, &secret)?;
    let mut licences = Vec::new();
    for licence in ECertificateKind::ALL {
        let Some(items) = licence.read_items(context, resident)? else { continue };
        let items = items.iter().map(|(item, value)| (item.title(), item.masked_value(value))).collect();
        licences.push(HeldECertificate { licence, title: licence.title(), issuer: licence.issuer(), items });
    }
    Ok(PlatformResponse::json(&ECertificateWallet { licences }).into())
}

/// An e-certificate as a kiosk shows it to its holder, masked because of bystanders.
pub(crate) struct KioskECertificate {
    pub(crate) name: String,
    pub(crate) id_number: String,
    pub(crate) issuer: &'static str,
}

/// The e-certificate of a resident for a kiosk's screen; `None` if the resident holds none of this kind.
pub(crate) fn e_certificate_at_kiosk(
    context: &RequestContext<'_>,
    licence: ECertificateKind,
    resident: i64,
) -> rusqlite::Result<Option<KioskECertificate>> {
    let shown = |items: &BTreeMap<ECertificateItem, String>, item: ECertificateItem| {
        items.get(&item).map(|value| item.masked_value(value)).unwrap_or_default()
    };
    Ok(licence.read_items(context, resident)?.map(|items| KioskECertificate {
        name: shown(&items, ECertificateItem::Name),
        id_number: shown(&items, ECertificateItem::IdNumber),
        issuer: licence.issuer(),
    }))
}

/// Handles `POST /code/v1/licence`.
pub(crate) fn request_e_certificate(
    context: &mut RequestContext<'_>,
    request: &PlatformRequest,
) -> Result<PlatformReply, RequestError> {
    let relying_party = registry::verified_signer(&context.config.relying_parties, request)?;
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
        let extract = licence
            .read_items(context, resident)?
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

/// Name of a value in requests, as serde writes it.
fn serialized_name<T: Serialize>(of: &T) -> String {
    to_json_column(of).trim_matches('"').to_owned()
}
