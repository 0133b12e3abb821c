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

use contract::{IssuerKeys, LicenceExtract, ProblemCode, Signed, UnixMs};
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::agreements::{ASKED_MS, Agreed, Asked, Question};
use super::facts::Fact;
use super::judge::unknown;
use super::phones::{self, OfPhone, Phone, phone};
use super::verify::{Client, fresh};
use crate::columns::text;
use crate::device;
use crate::fail::{Fail, json};
use crate::pages::{masked, masked_number};
use crate::platform::Turn;
use crate::wire::{Reply, Request, Response};

/// Kind of e-certificate (电子证照).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Licence {
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
pub enum Item {
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

impl Item {
    const fn title(self) -> &'static str {
        match self {
            Self::Name => "姓名",
            Self::IdNumber => "公民身份号码",
            Self::CardNumber => "卡号",
            Self::Insurance => "参保类型",
            Self::Insured => Fact::Insured.title(),
            Self::Over60 => Fact::Over60.title(),
        }
    }

    /// The value as shown to its holder, masked because of bystanders.
    fn shown(self, value: &str) -> String {
        match self {
            Self::Name => masked(value),
            Self::IdNumber | Self::CardNumber => masked_number(value),
            Self::Insurance | Self::Insured | Self::Over60 => value.to_owned(),
        }
    }
}

impl Licence {
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
    fn of(self, context: &Turn<'_>, resident: i64) -> rusqlite::Result<Option<BTreeMap<Item, String>>> {
        let (name, id_number, insurance): (String, String, Option<String>) = context.tx.query_row(
            "SELECT name, id_number, insurance FROM residents WHERE resident = ?1",
            [resident],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let yes_or_no =
            |fact: Fact| fact.of(context, resident).map(|so| if so { "是" } else { "否" }.to_owned());
        let mut items = BTreeMap::from([(Item::Name, name), (Item::IdNumber, id_number)]);
        let more = match self {
            Self::ServiceCard => {
                card_in_force(context, resident)?.map(|number| vec![(Item::CardNumber, number)])
            }
            Self::MedicalInsurance => match insurance {
                Some(kind) => Some(vec![(Item::Insurance, kind), (Item::Insured, yes_or_no(Fact::Insured)?)]),
                None => None,
            },
            Self::SeniorCard => {
                Fact::Over60.of(context, resident)?.then(|| vec![(Item::Over60, "是".to_owned())])
            }
        };
        Ok(more.map(|more| {
            items.extend(more);
            items
        }))
    }
}

fn card_in_force(context: &Turn<'_>, resident: i64) -> rusqlite::Result<Option<String>> {
    context
        .tx
        .query_row(
            "SELECT number FROM cards WHERE resident = ?1 AND standing = ?2 ORDER BY number DESC LIMIT 1",
            params![resident, text(&contract::CardStanding::InForce)],
            |row| row.get(0),
        )
        .optional()
}

/// The e-certificates that a resident holds.
#[derive(Serialize)]
struct Wallet {
    licences: Vec<Held>,
}

/// An e-certificate as its holder sees it on the phone.
#[derive(Serialize)]
struct Held {
    licence: Licence,
    title: &'static str,
    issuer: &'static str,
    /// Title and masked value of each item.
    items: Vec<(&'static str, String)>,
}

/// Request for items of an e-certificate of the holder of a code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LicenceRequest {
    /// Id of the request by which this relying party verified the code, at most ten minutes ago.
    request: String,
    licence: Licence,
    /// Requested items; at least one.
    items: BTreeSet<Item>,
}

/// Data disclosed to a relying party.
#[derive(Serialize)]
struct Shared {
    /// Signed extract; `None`: the holder has no such e-certificate.
    extract: Option<Signed<LicenceExtract>>,
    /// Signed list with the key that verifies the extract, under the city's root key.
    keys: Signed<IssuerKeys>,
}

/// `POST /code/v1/licences`: lists the e-certificates of a phone's resident.
pub(super) fn wallet(context: &Turn<'_>, body: &[u8]) -> Result<Reply, Fail> {
    let OfPhone { phone: secret } = phones::json(body)?;
    let Phone { resident, .. } = phone(context, &secret)?;
    let mut licences = Vec::new();
    for licence in Licence::ALL {
        let Some(items) = licence.of(context, resident)? else { continue };
        let items = items.iter().map(|(item, value)| (item.title(), item.shown(value))).collect();
        licences.push(Held { licence, title: licence.title(), issuer: licence.issuer(), items });
    }
    Ok(Response::json(&Wallet { licences }).into())
}

/// An e-certificate as a kiosk shows it to its holder, masked because of bystanders.
pub(crate) struct AtKiosk {
    pub(crate) name: String,
    pub(crate) id_number: String,
    pub(crate) issuer: &'static str,
}

/// The e-certificate of a resident for a kiosk's screen; `None` if the resident holds none of this kind.
pub(crate) fn at_kiosk(
    context: &Turn<'_>,
    licence: Licence,
    resident: i64,
) -> rusqlite::Result<Option<AtKiosk>> {
    let shown = |items: &BTreeMap<Item, String>, item: Item| {
        items.get(&item).map(|value| item.shown(value)).unwrap_or_default()
    };
    Ok(licence.of(context, resident)?.map(|items| AtKiosk {
        name: shown(&items, Item::Name),
        id_number: shown(&items, Item::IdNumber),
        issuer: licence.issuer(),
    }))
}

/// Handles `POST /code/v1/licence`.
pub(crate) fn licence(context: &mut Turn<'_>, request: &Request) -> Result<Reply, Fail> {
    let relying_party = device::signer(&context.city.clients, request)?;
    fresh(request, context.now)?;
    let LicenceRequest { request, licence, items } = json(&request.body)?;
    let registered = relying_party.licences.get(&licence);
    if items.is_empty() || !registered.is_some_and(|registered| items.is_subset(registered)) {
        return Err(ProblemCode::NotOffered
            .because("the relying party is not registered for these items of this e-certificate")
            .into());
    }
    let consent_request = Question::about(context, relying_party, &request, text(&(licence, &items)))?;
    let prompt = Asked {
        licence: Some(licence.title()),
        items: items.iter().map(|item| item.title()).collect(),
        noted: format!("按您的授权核验{}", licence.title()),
    };
    let (resident, purpose) = (consent_request.resident, consent_request.purpose.clone());
    let status = consent_request.told(context, prompt, |context, agreed| {
        let authority = context.city.codes.as_ref().ok_or_else(unknown)?;
        let extract = licence
            .of(context, resident)?
            .map(|mut items_held| {
                items_held.retain(|item, _| items.contains(item));
                extract(
                    context.now,
                    &authority.list.city,
                    relying_party,
                    licence,
                    purpose,
                    agreed,
                    &items_held,
                )
            })
            .filter(|extract| !extract.items.is_empty())
            .map(|extract| Signed::sign(&extract, &authority.revoker));
        Ok(Shared { extract, keys: authority.signed.clone() })
    })?;
    Ok(Response::json(&status).into())
}

fn extract(
    now: UnixMs,
    city: &str,
    relying_party: &Client,
    licence: Licence,
    purpose: String,
    agreed: &Agreed,
    values: &BTreeMap<Item, String>,
) -> LicenceExtract {
    LicenceExtract {
        city: city.to_owned(),
        licence: name(&licence),
        title: licence.title().to_owned(),
        issuer: licence.issuer().to_owned(),
        recipient: relying_party.id,
        purpose,
        consent: agreed.consent.clone(),
        items: values.iter().map(|(item, value)| (name(item), value.clone())).collect(),
        issued: now,
        // The extract states the present facts, so it expires soon, however long the consent lasts.
        until: now.plus_ms(ASKED_MS).min(agreed.until),
    }
}

/// Name of a value in requests, as serde writes it.
fn name<T: Serialize>(of: &T) -> String {
    text(of).trim_matches('"').to_owned()
}
