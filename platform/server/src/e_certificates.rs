//! E-certificates (GB/T 36901) of a resident: shown to their holder on the phone and at a kiosk.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/licences`, from a phone | the phone's secret | [`ECertificateWallet`] |
//!
//! The reference platform builds e-certificates from the card-holder base, in form only; a city would fetch
//! them from its e-certificate library.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;

use crate::config::disclosures::{Claim, ECertificateItem, ECertificateKind};
use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::phones::bound_phone::{BoundPhone, PhoneRequest, find_phone, parse_phone_body};
use crate::request_error::RequestError;
use crate::residents::claims::evaluate_claim;
use crate::residents::masking::{masked_name, masked_number};
use crate::store::columns::to_json_column;

/// The value of an item as shown to its holder, masked because of bystanders.
fn masked_value(item: ECertificateItem, value: &str) -> String {
    match item {
        ECertificateItem::Name => masked_name(value),
        ECertificateItem::IdNumber | ECertificateItem::CardNumber => masked_number(value),
        ECertificateItem::Insurance | ECertificateItem::Insured | ECertificateItem::Over60 => {
            value.to_owned()
        }
    }
}

/// Items of this resident's e-certificate; `None` if the resident holds none of this kind.
pub(crate) fn held_items(
    context: &RequestContext<'_>,
    kind: ECertificateKind,
    resident: i64,
) -> rusqlite::Result<Option<BTreeMap<ECertificateItem, String>>> {
    let (name, id_number, insurance): (String, String, Option<String>) = context.tx.query_row(
        "SELECT name, id_number, insurance FROM residents WHERE resident = ?1",
        [resident],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let yes_or_no = |fact: Claim| {
        evaluate_claim(context, fact, resident).map(|so| if so { "是" } else { "否" }.to_owned())
    };
    let mut items = BTreeMap::from([(ECertificateItem::Name, name), (ECertificateItem::IdNumber, id_number)]);
    let more = match kind {
        ECertificateKind::ServiceCard => {
            card_in_force(context, resident)?.map(|number| vec![(ECertificateItem::CardNumber, number)])
        }
        ECertificateKind::MedicalInsurance => match insurance {
            Some(insurance) => Some(vec![
                (ECertificateItem::Insurance, insurance),
                (ECertificateItem::Insured, yes_or_no(Claim::Insured)?),
            ]),
            None => None,
        },
        ECertificateKind::SeniorCard => evaluate_claim(context, Claim::Over60, resident)?
            .then(|| vec![(ECertificateItem::Over60, "是".to_owned())]),
    };
    Ok(more.map(|more| {
        items.extend(more);
        items
    }))
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

/// `POST /code/v1/licences`: lists the e-certificates of a phone's resident.
pub(crate) fn list_e_certificates(
    context: &RequestContext<'_>,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let PhoneRequest { phone: secret } = parse_phone_body(body)?;
    let BoundPhone { resident, .. } = find_phone(context, &secret)?;
    let mut licences = Vec::new();
    for licence in ECertificateKind::ALL {
        let Some(items) = held_items(context, licence, resident)? else { continue };
        let items = items.iter().map(|(item, value)| (item.title(), masked_value(*item, value))).collect();
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
        items.get(&item).map(|value| masked_value(item, value)).unwrap_or_default()
    };
    Ok(held_items(context, licence, resident)?.map(|items| KioskECertificate {
        name: shown(&items, ECertificateItem::Name),
        id_number: shown(&items, ECertificateItem::IdNumber),
        issuer: licence.issuer(),
    }))
}
