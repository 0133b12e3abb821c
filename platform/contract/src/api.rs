//! Bodies of requests and answers of the kiosk API, version 1. [`routes`](crate::routes) lists which route takes which.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::bilingual::Bilingual;
use crate::code::{IssuerKeys, SignedStatement};
use crate::entry::AdmissionSubject;
use crate::evidence::{Evidence, Level};
use crate::id::{ConsentId, KioskId, Pseudonym, TicketId, VisitId};
use crate::names::CardName;
use crate::problem::ProblemCode;
use crate::record::{Chain, Head, Record, RecordError, RecordHeader, SALT_LEN};
use crate::revocations::Revocations;
use crate::submission::DepartmentKeys;
use crate::time::UnixMs;
use sm_crypto::{PublicKey, SignError, Signature, from_hex, to_hex};

/// Asks who holds this card or code, and opens the visit at the platform.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentifyRequest {
    /// The kiosk's visit. Repeating the request with the same visit and evidence gives the same answer.
    pub visit: VisitId,
    /// The card, code or ID card that was presented.
    pub presented: PresentedCredential,
}

/// What a resident presented.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "way")]
pub enum PresentedCredential {
    /// Data read from a card.
    Card(CardEvidence),
    /// 验码: text of a resident code. The platform consumes an online token, or records the time step of an offline
    /// code as used.
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
    /// 社会保障号码; absent when the card gives it only after card authentication.
    pub id_number: Option<String>,
    /// 姓名; absent when the card gives it only after card authentication.
    pub name: Option<String>,
    /// Card authentication proved that the card is genuine: through the platform or by the kiosk's PSAM.
    #[serde(default)]
    pub authenticated: bool,
}

impl CardEvidence {
    /// The card's name in records and revocations; none when its identification code is malformed.
    #[must_use]
    pub fn card_name(&self) -> Option<CardName> {
        self.identification.parse().ok().map(|identification| CardName::from_identification(&identification))
    }
}

/// What the kiosk read from an ID card. Wiped on drop. The photo, address and other data never leave the ID reader's
/// process.
#[derive(Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
#[serde(deny_unknown_fields)]
pub struct IdCardEvidence {
    /// 公民身份号码, or the number of a foreigner's card.
    pub id_number: String,
    /// 姓名.
    pub name: String,
}

/// An opaque key that names an open visit at the platform. Valid as long as the visit. `Debug` hides its text.
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
pub struct IdentifyAnswer {
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
    /// The evidence that the platform accepted.
    #[zeroize(skip)]
    pub evidence: Evidence,
    /// The level that results from this evidence.
    #[zeroize(skip)]
    pub level: Level,
    /// For a gate: the newest names under which it may know the resident without asking, at most [`GATE_NAMES_MAX`](crate::GATE_NAMES_MAX): cards, and
    /// holders of codes in force. Empty for other kiosks.
    #[zeroize(skip)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<AdmissionSubject>,
}

/// More evidence for a visit that is open.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRequest {
    /// From [`IdentifyAnswer`].
    pub key: VisitKey,
    /// The proof that the resident gave.
    pub given: StepUpProof,
}

/// A proof by which a resident raises the level of a visit that has begun (step-up).
#[derive(Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum StepUpProof {
    /// An answer to the kiosk's challenge.
    ChallengeAnswer {
        /// The nonce of the [`Challenge`](crate::Challenge), hexadecimal; its kiosk is the one that sends the request.
        nonce: String,
        /// The whole text of the answer code, `YK1:…`.
        answer: String,
    },
    /// The card in the slot, which card authentication had proved genuine, verified its holder's PIN. The platform
    /// relies on the kiosk's statement.
    CardPin,
}

/// Answer to [`EvidenceRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceAnswer {
    /// The evidence that the platform accepted.
    pub evidence: Evidence,
    /// The level that results from all evidence of the visit.
    pub level: Level,
}

/// Status of a card in the card-holder base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardStatus {
    /// 待激活: made, and not yet handed to its holder.
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
    /// From [`IdentifyAnswer`].
    pub key: VisitKey,
    /// Name of the operation, for example `water.bills`.
    pub operation: String,
    /// The consent that the call is based on, where the operation returns a personal record.
    pub consent: Option<ConsentId>,
    /// Id of the service document that makes the call.
    pub service: String,
    /// What the resident entered or chose, by name. Since version 5.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub input: BTreeMap<String, String>,
    /// The ticket that is asked for, where the operation gives tickets. Since version 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketId>,
}

impl Drop for CallRequest {
    fn drop(&mut self) {
        // It may be an ID number.
        self.input.values_mut().for_each(Zeroize::zeroize);
    }
}

/// One row of an answer: field name → text. Money is in fen, dates are `YYYY-MM-DD`.
pub type AnswerRow = BTreeMap<String, String>;

/// Answer to [`CallRequest`].
#[derive(Serialize, Deserialize)]
pub struct CallAnswer {
    /// The rows; an empty list is a valid answer.
    pub rows: Vec<AnswerRow>,
    /// Id of the service that follows, where the platform branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The department refuses this resident, in its own words. There are no rows then. Since version 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Bilingual>,
}

/// A record as it is sent. The body is the text that was hashed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireRecord {
    /// The encoded header, hexadecimal.
    pub header: String,
    /// The salt, hexadecimal.
    pub salt: String,
    /// The body, unchanged since it was written.
    pub body: String,
}

impl WireRecord {
    /// Converts a record for sending.
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

    /// Converts a received record back.
    ///
    /// # Errors
    /// When a part of the record is malformed.
    pub fn to_record(&self) -> Result<Record, RecordError> {
        let header: [u8; crate::record::HEADER_LEN] =
            from_hex(&self.header).ok_or(RecordError::Short(self.header.len() / 2))?;
        let header = RecordHeader::decode(&header)?;
        let salt: [u8; SALT_LEN] = from_hex(&self.salt).ok_or(RecordError::Short(self.salt.len() / 2))?;
        let body = self.body.clone().into_bytes();
        if usize::try_from(header.body_len) != Ok(body.len()) {
            return Err(RecordError::Length { stated: header.body_len, got: body.len() });
        }
        Ok(Record { header, salt, body })
    }
}

/// A head of a kiosk's chain, signed with the kiosk's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHead {
    /// The head that is signed.
    pub head: Head,
    /// Over [`Head::to_be_signed`].
    pub signature: Signature,
}

impl SignedHead {
    /// Verifies the kiosk's signature.
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
    /// Head of the chain before the first record.
    pub from: Head,
    /// The records.
    pub records: Vec<WireRecord>,
    /// Signed head of the chain after the last record.
    pub to: SignedHead,
    /// Records before `from` that no longer exist. Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingRecords>,
    /// The ends of the kiosk's log, when it compares its log with a feed of another epoch. Since version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogEnds>,
}

/// The ends of a kiosk's log (日志末端): all epochs that the kiosk still holds and the platform takes. A platform that has these
/// heads has the whole log. The signature of the request covers them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEnds {
    /// Epoch of the feed that the kiosk knew when it stated them.
    pub feed: u64,
    /// The newest head of each epoch, oldest epoch first.
    pub heads: Vec<Head>,
}

/// A kiosk's statement that records of its log no longer exist (缺失记录): its disk lost them before they were delivered, or they were
/// deleted after the platform had acknowledged them, and the platform was restored from an older backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingRecords {
    /// The records after this number are missing, up to and including the number of the batch's first head.
    pub after: u64,
    /// Signature of the kiosk over [`MissingRecords::to_be_signed`].
    pub signature: Signature,
}

impl MissingRecords {
    /// The bytes that the kiosk signs: `kiosk-missing/1 ‖ device ‖ epoch ‖ after ‖ last`, numbers with 8 bytes.
    #[must_use]
    pub fn to_be_signed(device: KioskId, epoch: u64, after: u64, last: u64) -> Vec<u8> {
        let mut bytes = b"kiosk-missing/1".to_vec();
        bytes.extend(device.to_bytes());
        for number in [epoch, after, last] {
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }

    /// Verifies the statement for the records before this head.
    ///
    /// # Errors
    /// When it does not name earlier records, or is not signed by this key.
    pub fn verify(&self, from: Head, key: &PublicKey) -> Result<(), SignError> {
        if self.after >= from.seq {
            return Err(SignError::Mismatch);
        }
        let signed = Self::to_be_signed(from.device, from.epoch, self.after, from.seq);
        key.verify(&signed, &self.signature)
    }
}

impl RecordBatch {
    /// Computes the chain from `from` over all records and compares its head with `to`.
    ///
    /// # Errors
    /// When a record is malformed or the chain is broken.
    pub fn verify_chain(&self) -> Result<(), RecordError> {
        let mut chain = Chain::from_head(self.from);
        for wire in &self.records {
            let record = wire.to_record()?;
            chain.push(&record.header, &record.commitment())?;
        }
        if chain.head() == self.to.head { Ok(()) } else { Err(RecordError::OtherChain) }
    }
}

/// How much the platform accepts next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadWindow {
    /// Maximum number of records in a batch.
    pub records: u32,
    /// Maximum number of bytes of record bodies in a batch.
    pub bytes: u32,
    /// Minimum time before the next batch, in milliseconds.
    pub after_ms: u32,
}

/// A record that the platform stored but could not process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRecord {
    /// Sequence number of the record.
    pub seq: u64,
    /// The reason.
    pub code: ProblemCode,
}

/// Answer to a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAck {
    /// The kiosk whose log is acknowledged.
    pub device: KioskId,
    /// The epoch that is acknowledged.
    pub epoch: u64,
    /// Every record up to and including this sequence number is durable at the platform. May be lower than before
    /// when the platform was restored from a backup: the kiosk then sends again from here.
    pub upto: u64,
    /// Hash of the chain at `upto`, hexadecimal. The kiosk skips records up to there only when its own chain has the same hash.
    /// Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The platform has other records after `upto` than the kiosk: the log of one of them was changed, or the kiosk's disk was
    /// restored from a copy. The kiosk begins a new epoch. Since version 2.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forked: bool,
    /// Records that are stored but could not be processed. For the operator; they block nothing.
    pub refused: Vec<RefusedRecord>,
    /// Limits of the next batch.
    pub window: UploadWindow,
    /// The platform's clock at the time of the answer.
    pub now: UnixMs,
}

/// One change for a site, in the order of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum FeedItem {
    /// A service document in force from now on; replaces an earlier version of the same id.
    Service {
        /// The document and its signature.
        document: SignedServiceDocument,
    },
    /// A service that is no longer offered.
    ServiceWithdrawn {
        /// Its id.
        id: String,
    },
    /// The keys of the city's codes from now on; replaces the previous list.
    IssuerKeys {
        /// The list, signed by the city's root.
        list: SignedStatement<IssuerKeys>,
    },
    /// Holders whose codes are no longer accepted. In the order of the revocation numbers.
    Revocations {
        /// The delta, signed by the list's revoker.
        delta: SignedStatement<Revocations>,
    },
    /// Cards that are not in force. In the order of the revocation numbers, which are counted apart from those of
    /// codes.
    #[serde(rename = "card-stops")]
    CardRevocations {
        /// The delta, signed by the list's revoker.
        delta: SignedStatement<Revocations<CardName>>,
    },
    /// The departments that take submissions; replaces the previous list. Since version 5.
    DepartmentKeys {
        /// The list, signed with the catalogue's key.
        list: SignedStatement<DepartmentKeys>,
    },
}

/// The text of a service document, signed with the city's catalogue key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedServiceDocument {
    /// TOML of a [`ServiceDocument`](crate::ServiceDocument), as signed.
    pub text: String,
    /// Over the bytes of `text`, preceded by `service-document/1` and a zero byte.
    pub signature: Signature,
}

impl SignedServiceDocument {
    /// The bytes that are signed.
    #[must_use]
    pub fn to_be_signed(text: &str) -> Vec<u8> {
        [b"service-document/1\0", text.as_bytes()].concat()
    }

    /// Verifies the signature with the catalogue key.
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
    /// Value of `since` for the next request.
    pub cursor: u64,
    /// Epoch of the feed, drawn at random when the platform's database is new or was restored from a backup. Cursors of one
    /// epoch mean nothing in another. An answer to a request with another epoch has no items and cursor 0. Since version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<u64>,
    /// The platform's clock at the time of the answer.
    pub now: UnixMs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{CloseReason, Entry};
    use sm_crypto::SecretKey;

    fn batch(count: u64) -> (RecordBatch, PublicKey) {
        let key = SecretKey::from_bytes(&[3; 32]).unwrap();
        let device: KioskId = "K-1".parse().unwrap();
        let mut chain = Chain::genesis(device, 9);
        let from = chain.head();
        let mut records = Vec::new();
        for seq in 1..=count {
            let entry =
                Entry::VisitClosed { visit: VisitId::from_entropy(seq.into()), reason: CloseReason::Exit };
            let body = entry.encode();
            let header = RecordHeader {
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
        (
            RecordBatch { from, records, to: SignedHead { head, signature }, missing: None, log: None },
            key.public(),
        )
    }

    #[test]
    fn record_batch_refuses_removed_or_changed_records() {
        let (good, public) = batch(3);
        assert_eq!(good.verify_chain(), Ok(()));
        assert_eq!(good.to.verify(&public), Ok(()));

        let mut dropped = good.clone();
        dropped.records.remove(1);
        assert!(dropped.verify_chain().is_err());

        let mut changed = good.clone();
        changed.records[1].body = changed.records[1].body.replace("exit", "exiT");
        assert!(changed.verify_chain().is_err());

        let mut cut = good.clone();
        cut.records.pop();
        assert!(cut.verify_chain().is_err());
    }

    #[test]
    fn feed_epoch_is_optional_in_both_directions() {
        #[derive(Deserialize)]
        struct Version2 {
            cursor: u64,
        }
        let old = r#"{"items":[],"cursor":7,"now":1}"#;
        let read: ChangesAnswer = serde_json::from_str(old).unwrap();
        assert_eq!((read.cursor, read.feed), (7, None));
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
        let new = serde_json::to_string(&ChangesAnswer { feed: Some(9), ..read }).unwrap();
        assert_eq!(serde_json::from_str::<Version2>(&new).unwrap().cursor, 7);
    }

    #[test]
    fn visit_key_is_hidden_in_debug() {
        assert!(!format!("{:?}", VisitKey("secret".into())).contains("secret"));
    }
}
