//! Request and answer bodies of the platform's kiosk API, version 1.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | `POST /v1/identify` | [`IdentifyRequest`] | [`Identified`] |
//! | `POST /v1/evidence` | [`EvidenceRequest`] | [`EvidenceAnswer`] |
//! | `POST /v1/card-authentications` | [`CardAuthRequest`](crate::CardAuthRequest) | [`CardAuthAnswer`](crate::CardAuthAnswer) |
//! | `POST /v1/calls` | [`CallRequest`] | [`CallAnswer`] |
//! | `POST /v1/charges` | [`ChargeRequest`] | [`ChargeState`] |
//! | `POST /v1/inquiries` | [`InquireRequest`] | [`ChargeState`], never `Pending` once it answers 200 |
//! | `POST /v1/records` | [`RecordBatch`], zstd | [`BatchAck`] |
//! | `GET /v1/changes?since=N` | – | [`ChangesAnswer`] |
//!
//! Every request carries `X-Device` (the [`DeviceId`]), `X-Time` (milliseconds since 1970) and
//! `X-Signature`: the device's SM2 signature over `method ‖ "\n" ‖ path and query ‖ "\n" ‖ X-Time ‖ "\n" ‖
//! SM3(body as sent)` (hexadecimal). A refusal is `application/problem+json`, see [`Problem`](crate::Problem).
//! Bodies travel sealed, both ways, see [`EnvelopeKey`](crate::EnvelopeKey); the connection is mutual TLS.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::code::{IssuerKeys, Signed};
use crate::entry::{Evidence, Level, Method, OrderItem, Settlement};
use crate::id::{ConsentId, DeviceId, OrderId, Pseudonym, VisitId};
use crate::money::Money;
use crate::names::CardName;
use crate::problem::ProblemCode;
use crate::record::{Chain, Head, Header, Record, RecordError, SALT_LEN};
use crate::revocations::Revocations;
use crate::sign::{PublicKey, SignError, Signature, from_hex, to_hex};
use crate::time::UnixMs;

/// Asks who holds this card or code, and opens the visit at the platform.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentifyRequest {
    /// The kiosk's visit. Repeating the request with the same visit and evidence gives the same answer.
    pub visit: VisitId,
    /// What was presented.
    pub presented: Presented,
}

/// What a resident presented.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "way")]
pub enum Presented {
    /// Data read from a card.
    Card(CardEvidence),
    /// 验码: text of a code. The platform consumes its token, or notes the moment of an offline code as used.
    Code {
        /// The whole text, `YK1:…`.
        text: String,
    },
    /// Data read from a resident identity card.
    IdCard(IdCardEvidence),
}

/// What the kiosk read from a card. Wiped on drop.
#[derive(Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
#[serde(deny_unknown_fields)]
pub struct CardEvidence {
    /// 卡识别码, 32 hexadecimal digits.
    pub identification: String,
    /// 卡号.
    pub number: String,
    /// 规范版本: `1.00`, `2.00`, `3.00`.
    pub version: String,
    /// 社会保障号码; absent when the card needs authority before it gives it.
    pub id_number: Option<String>,
    /// 姓名; absent as above.
    pub name: Option<String>,
    /// The card proved to be its issuer's own, by an authority's answer or the kiosk's PSAM.
    #[serde(default)]
    pub authenticated: bool,
}

impl CardEvidence {
    /// The card's name in records and revocations; none when its identification code is none.
    #[must_use]
    pub fn card(&self) -> Option<CardName> {
        self.identification.parse().ok().map(|identification| CardName::of(&identification))
    }
}

/// What the kiosk read from an ID card. Wiped on drop. Its photo, address and the rest never leave the device.
#[derive(Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
#[serde(deny_unknown_fields)]
pub struct IdCardEvidence {
    /// 公民身份号码, or the number of a foreigner's card.
    pub id_number: String,
    /// 姓名.
    pub name: String,
}

/// An opaque key by which the platform knows an open visit. Lives as long as the visit. No `Debug` of its text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
#[serde(transparent)]
pub struct VisitKey(pub String);

impl fmt::Debug for VisitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VisitKey(…)")
    }
}

/// Answer to [`IdentifyRequest`]. Holds a name: no `Debug`, wiped on drop.
#[derive(Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
pub struct Identified {
    /// Key for the calls of this visit.
    #[zeroize(skip)]
    pub key: VisitKey,
    /// The resident as this kiosk's records name them.
    #[zeroize(skip)]
    pub resident: Pseudonym,
    /// 姓名, in full; the kiosk shows it masked.
    pub name: String,
    /// 公民身份号码, in full; the kiosk shows it masked.
    pub id_number: String,
    /// What the platform established.
    #[zeroize(skip)]
    pub evidence: Evidence,
    /// The level that this evidence gives.
    #[zeroize(skip)]
    pub level: Level,
}

/// More evidence for a visit that is open.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRequest {
    /// From [`Identified`].
    pub key: VisitKey,
    /// What the resident gave.
    pub given: Given,
}

/// What a resident gave to prove who they are.
#[derive(Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Given {
    /// An answer to the kiosk's challenge.
    ChallengeAnswer {
        /// The nonce of the [`Challenge`](crate::Challenge), hexadecimal; its device is the one that asks.
        nonce: String,
        /// The whole text of the answer code, `YK1:…`.
        answer: String,
    },
    /// The card in the slot, which had proved to be its issuer's own, verified its holder's PIN. The kiosk's word.
    CardPin,
}

/// Answer to [`EvidenceRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceAnswer {
    /// What the platform established.
    pub evidence: Evidence,
    /// The level that all evidence of the visit gives together.
    pub level: Level,
}

/// How a card stands in the card-holder base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardStanding {
    /// 待激活: made, and not yet in its holder's hands.
    Issued,
    /// 正常.
    InForce,
    /// 挂失.
    Lost,
    /// 注销 or replaced.
    Cancelled,
}

/// Runs one operation of the platform for the visit's resident.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// From [`Identified`].
    pub key: VisitKey,
    /// Name of the operation, for example `water.bills`.
    pub operation: String,
    /// The consent it rests on, where the operation is marked as personal record.
    pub consent: Option<ConsentId>,
    /// Id of the service document that asks.
    pub service: String,
}

/// One row of an answer: field name → text. Money stands in fen, dates as `YYYY-MM-DD`.
pub type Row = BTreeMap<String, String>;

/// Answer to [`CallRequest`].
#[derive(Serialize, Deserialize)]
pub struct CallAnswer {
    /// The rows; none is an answer too.
    pub rows: Vec<Row>,
    /// The service that follows, where the platform branches.
    #[serde(default)]
    pub next: Option<String>,
}

/// Charges an order. Idempotent by the order id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeRequest {
    /// The order.
    pub order: OrderId,
    /// From [`Identified`].
    pub key: VisitKey,
    /// The bills.
    pub items: Vec<OrderItem>,
    /// Their sum.
    pub total: Money,
    /// How it is paid.
    pub method: Method,
}

/// Asks for the outcome of an order and fences it: an order the platform never saw becomes void for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InquireRequest {
    /// The order.
    pub order: OrderId,
}

/// Where an order stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ChargeState {
    /// Known and final.
    Settled {
        /// The outcome.
        settlement: Settlement,
    },
    /// Not known yet: inquire.
    Pending,
}

/// A record on the wire. The body is the text that was hashed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireRecord {
    /// The encoded header, hexadecimal.
    pub header: String,
    /// The salt, hexadecimal.
    pub salt: String,
    /// The body as it was written.
    pub body: String,
}

impl WireRecord {
    /// The record as it travels.
    ///
    /// # Errors
    /// When the body is not UTF-8, which no record written by [`Entry::encode`](crate::Entry::encode) is.
    pub fn from_record(record: &Record) -> Result<Self, std::str::Utf8Error> {
        Ok(Self {
            header: to_hex(&record.header.encode()),
            salt: to_hex(&record.salt),
            body: std::str::from_utf8(&record.body)?.to_owned(),
        })
    }

    /// The record that travelled.
    ///
    /// # Errors
    /// When its parts are malformed.
    pub fn to_record(&self) -> Result<Record, RecordError> {
        let header: [u8; crate::record::HEADER_LEN] =
            from_hex(&self.header).map_err(|_| RecordError::Short(self.header.len() / 2))?;
        let header = Header::decode(&header)?;
        let salt: [u8; SALT_LEN] =
            from_hex(&self.salt).map_err(|_| RecordError::Short(self.salt.len() / 2))?;
        let body = self.body.clone().into_bytes();
        if usize::try_from(header.body_len) != Ok(body.len()) {
            return Err(RecordError::Length { said: header.body_len, got: body.len() });
        }
        Ok(Record { header, salt, body })
    }
}

/// A point in a device's chain, vouched for by the device's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHead {
    /// The point.
    pub head: Head,
    /// Over [`Head::to_be_signed`].
    pub signature: Signature,
}

impl SignedHead {
    /// Checks the device's signature.
    ///
    /// # Errors
    /// [`SignError::Mismatch`].
    pub fn verify(&self, device: &PublicKey) -> Result<(), SignError> {
        device.verify(&self.head.to_be_signed(), &self.signature)
    }
}

/// A run of records of one epoch, without gaps.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordBatch {
    /// Where the chain stands before the first record.
    pub from: Head,
    /// The records.
    pub records: Vec<WireRecord>,
    /// Where it stands after the last, signed.
    pub to: SignedHead,
}

impl RecordBatch {
    /// Walks the chain from `from` over the records and compares with `to`.
    ///
    /// # Errors
    /// When a record is malformed or the chain does not hold.
    pub fn check(&self) -> Result<(), RecordError> {
        let mut chain = Chain::from_head(self.from);
        for wire in &self.records {
            let record = wire.to_record()?;
            chain.push(&record.header, &record.commitment())?;
        }
        if chain.head() == self.to.head { Ok(()) } else { Err(RecordError::Foreign) }
    }
}

/// How much the platform will take next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Most records in a batch.
    pub records: u32,
    /// Most bytes of record bodies in a batch.
    pub bytes: u32,
    /// Wait at least this many milliseconds before the next batch.
    pub after_ms: u32,
}

/// A record that is stored but not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number.
    pub seq: u64,
    /// Why.
    pub code: ProblemCode,
}

/// Answer to a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAck {
    /// The log that is acknowledged.
    pub device: DeviceId,
    /// See `device`.
    pub epoch: u64,
    /// Every record up to and including this one is durable at the platform. May be lower than before
    /// when the platform was restored: the kiosk then sends again from here.
    pub upto: u64,
    /// Stored, but not understood. For the operator; blocks nothing.
    pub refused: Vec<Refused>,
    /// What may be sent next.
    pub window: Window,
    /// The platform's clock when it answered.
    pub now: UnixMs,
}

/// One change for a site, in the order of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum FeedItem {
    /// A service document in force from now on; replaces an earlier version of the same id.
    Service {
        /// The document and its signature.
        document: SignedDocument,
    },
    /// A service that is no longer offered.
    ServiceWithdrawn {
        /// Its id.
        id: String,
    },
    /// The keys of the city's codes from now on; replaces the list before.
    IssuerKeys {
        /// The list, signed by the city's root.
        list: Signed<IssuerKeys>,
    },
    /// Whose codes are no longer accepted. In the order of their numbers.
    Revocations {
        /// The delta, signed by the list's revoker.
        delta: Signed<Revocations>,
    },
    /// Which cards are not in force. In the order of their numbers, which are their own.
    CardStops {
        /// The delta, signed by the list's revoker.
        delta: Signed<Revocations<CardName>>,
    },
}

/// A text that the city's catalogue key vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedDocument {
    /// TOML of a [`ServiceDocument`](crate::ServiceDocument), as signed.
    pub text: String,
    /// Over the bytes of `text`, preceded by `service-document/1` and a zero byte.
    pub signature: Signature,
}

impl SignedDocument {
    /// The bytes that are signed.
    #[must_use]
    pub fn to_be_signed(text: &str) -> Vec<u8> {
        [b"service-document/1\0", text.as_bytes()].concat()
    }

    /// Checks the catalogue key's signature.
    ///
    /// # Errors
    /// [`SignError::Mismatch`].
    pub fn verify(&self, catalogue: &PublicKey) -> Result<(), SignError> {
        catalogue.verify(&Self::to_be_signed(&self.text), &self.signature)
    }
}

/// Answer to `GET /v1/changes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesAnswer {
    /// The items after `since`, oldest first.
    pub items: Vec<FeedItem>,
    /// Ask for what follows with this.
    pub cursor: u64,
    /// The platform's clock when it answered.
    pub now: UnixMs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{CloseReason, Entry};
    use crate::sign::SecretKey;

    fn batch(count: u64) -> (RecordBatch, PublicKey) {
        let key = SecretKey::from_bytes(&[3; 32]).unwrap();
        let device: DeviceId = "K-1".parse().unwrap();
        let mut chain = Chain::genesis(device, 9);
        let from = chain.head();
        let mut records = Vec::new();
        for seq in 1..=count {
            let entry =
                Entry::VisitClosed { visit: VisitId::from_entropy(seq.into()), reason: CloseReason::Exit };
            let body = entry.encode();
            let header = Header {
                kind: entry.kind(),
                body_len: u32::try_from(body.len()).unwrap(),
                device,
                epoch: 9,
                seq,
                time: UnixMs(1),
            };
            let record = Record { header, salt: [7; SALT_LEN], body };
            chain.push(&record.header, &record.commitment()).unwrap();
            records.push(WireRecord::from_record(&record).unwrap());
        }
        let head = chain.head();
        let signature = key.sign(&head.to_be_signed());
        (RecordBatch { from, records, to: SignedHead { head, signature } }, key.public())
    }

    #[test]
    fn an_untouched_batch_checks_and_a_touched_one_does_not() {
        let (good, public) = batch(3);
        assert_eq!(good.check(), Ok(()));
        assert_eq!(good.to.verify(&public), Ok(()));

        let mut dropped = good.clone();
        dropped.records.remove(1);
        assert!(dropped.check().is_err());

        let mut changed = good.clone();
        changed.records[1].body = changed.records[1].body.replace("exit", "exiT");
        assert!(changed.check().is_err());

        let mut cut = good.clone();
        cut.records.pop();
        assert!(cut.check().is_err());
    }

    #[test]
    fn a_visit_key_does_not_show_in_debug() {
        assert!(!format!("{:?}", VisitKey("secret".into())).contains("secret"));
    }
}
