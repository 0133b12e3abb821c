//! What a record says: the events of a kiosk's life that must not be lost and can be proven later.
//!
//! Entries name residents by [`Pseudonym`] only. What a receipt must show of a person is already masked
//! when it gets here.

use serde::{Deserialize, Serialize};

use crate::id::{ConsentId, OrderId, Pseudonym, ReceiptId, VisitId};
use crate::money::Money;
use crate::names::{CardName, CodeHolder};
use crate::problem::ProblemCode;
use crate::receipt::Receipt;
use crate::record::{Head, Kind};
use crate::time::UnixMs;

/// How far a visit's identity is established. Never above its evidence (I5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nobody.
    #[default]
    Nobody,
    /// A card was read, a code accepted, an ID card read.
    Recognised,
    /// PIN on an authenticated card, or the kiosk's challenge answered by the phone.
    Proven,
    /// 实人核验 by the trusted identity service.
    InPerson,
}

/// How a resident began the visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// 居民服务卡 in the slot.
    Card,
    /// 渝快码 held to the camera or scanner.
    Code,
    /// 居民身份证 laid on the reader.
    IdCard,
}

/// What a level rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The platform knows the card that was read, and it is in force.
    CardRead,
    /// The platform consumed the code's token.
    TokenConsumed,
    /// The card verified the holder's PIN; the card itself was not authenticated.
    CardPin,
    /// An offline code: its issuer signed it, its phone showed it just now, it is not revoked and was not shown
    /// here before.
    OfflineCode,
    /// A paper code: its issuer signed it and it is not revoked. It can be copied.
    PaperCode,
    /// The phone of the visit's resident answered this kiosk's challenge.
    ChallengeAnswered,
    /// The platform knows the holder of the ID card that was read.
    IdCardRead,
    /// As [`Self::CardRead`], and the card proved to be its issuer's own.
    CardAuthenticated,
    /// The card verified the holder's PIN, after it had proved to be its issuer's own.
    AuthenticatedCardPin,
}

impl Evidence {
    /// The most that it gives by itself. The platform may say less.
    #[must_use]
    pub const fn most(self) -> Level {
        match self {
            Self::CardRead
            | Self::CardAuthenticated
            | Self::IdCardRead
            | Self::TokenConsumed
            | Self::CardPin
            | Self::OfflineCode
            | Self::PaperCode => Level::Recognised,
            Self::ChallengeAnswered | Self::AuthenticatedCardPin => Level::Proven,
        }
    }
}

/// How a resident pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The bank account bound to the card.
    CardAccount,
    /// The account bound to the resident code.
    ResidentCode,
    /// A phone wallet that scans the kiosk's code.
    Wallet,
}

/// One bill of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    /// The platform's key of the bill.
    pub key: String,
    /// What is paid, as shown to the resident.
    pub label: String,
    /// Whom it is paid to.
    pub payee: String,
    /// How much.
    pub amount: Money,
}

/// The known, final outcome of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Settlement {
    /// Charged once.
    Paid {
        /// The acquirer's reference.
        reference: String,
        /// When the acquirer charged it.
        at: UnixMs,
    },
    /// Not charged, and never chargeable again.
    Void {
        /// Why.
        reason: VoidReason,
    },
}

/// Why an order became void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why", content = "problem")]
pub enum VoidReason {
    /// The acquirer declined: balance, limit, blocked account.
    Declined,
    /// An inquiry found that no charge had happened and fenced it off.
    Fenced,
    /// The platform refused the order before anything was charged.
    Refused(ProblemCode),
}

/// How sure it is that a receipt was printed, see the `printer` crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirmation {
    /// The printer took the bytes and cannot tell more.
    Sent,
    /// The fence at the end of the receipt was answered and the status is clean.
    Fenced,
    /// The printer echoed the receipt's process id after printing it.
    Echoed,
}

/// Whom a gate let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admitted {
    /// A resident whom the platform named.
    Resident(Pseudonym),
    /// The holder of a code that the gate verified by itself.
    Holder(CodeHolder),
    /// A card that proved itself to the gate's own PSAM while there was no link.
    Card(CardName),
}

/// Why a visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloseReason {
    /// The resident touched *leave*.
    Exit,
    /// The card was taken.
    CardTaken,
    /// Nobody touched the screen for too long.
    TimedOut,
    /// The kiosk went out of service or was started again.
    Interrupted,
}

/// One event. The order of a kiosk's entries is the order in which they became durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "entry")]
pub enum Entry {
    /// The log was opened: first record of a segment.
    Opened {
        /// Version of the software.
        software: String,
        /// SM3 of the site configuration in force, hexadecimal.
        configuration: String,
        /// Where the previous epoch was left, when a new epoch begins on a machine that had one.
        previous: Option<Head>,
        /// Bytes of a torn tail that were cut.
        torn_bytes: u64,
        /// Segments that could not be read and were set aside.
        damaged_segments: u32,
    },
    /// A visit began and the platform said who it is.
    Identified {
        /// The visit.
        visit: VisitId,
        /// The resident, as this kiosk's records name them.
        resident: Pseudonym,
        /// How they came.
        way: Way,
        /// What the level rests on.
        evidence: Evidence,
        /// The level reached.
        level: Level,
    },
    /// 验码: a code was accepted here. Written before the level rises, so that it is accepted once.
    CodeAccepted {
        /// The visit that it opens.
        visit: VisitId,
        /// SM3 of the code's bytes, hexadecimal.
        mark: String,
    },
    /// 验码 by the kiosk itself: a signed code was accepted here, with or without a link. Written before the
    /// level rises. The same holder and slot in the records of two kiosks is one code shown twice (I5).
    CodeVerified {
        /// The visit that it opens.
        visit: VisitId,
        /// Whose code.
        holder: CodeHolder,
        /// In which slot it was shown; none for a paper code, which has no moment.
        slot: Option<u16>,
        /// Until when the kiosk refuses the same holder and slot: the code is too old by then.
        until: UnixMs,
        /// The kiosk had no link: nobody else has been asked whether it was shown elsewhere.
        offline: bool,
    },
    /// 通行: a gate let somebody through.
    Admitted {
        /// The admission; a visit's id where the platform was asked.
        visit: VisitId,
        /// Who, as this gate's records can say it.
        who: Admitted,
        /// What the admission rests on.
        evidence: Evidence,
        /// Until when the gate refuses the same one: nobody hands a code back over the fence.
        until: UnixMs,
        /// The gate had no link.
        offline: bool,
    },
    /// A visit's identity gained evidence, and with it perhaps a level.
    EvidenceGiven {
        /// The visit.
        visit: VisitId,
        /// The evidence.
        evidence: Evidence,
        /// The level that all evidence of the visit gives together.
        level: Level,
    },
    /// A resident agreed. Nothing is fetched under a consent before this is durable (I4).
    Consented {
        /// The consent.
        consent: ConsentId,
        /// The visit.
        visit: VisitId,
        /// The resident.
        resident: Pseudonym,
        /// Id and version of the service document whose wording was shown.
        service: String,
        /// See `service`.
        version: u32,
        /// What the data is used for, as shown.
        purpose: String,
        /// Which data, as shown.
        items: Vec<String>,
        /// Who receives it, as shown.
        recipient: String,
        /// When the consent ends by itself.
        until: UnixMs,
    },
    /// A resident was asked and did not agree.
    ConsentDeclined {
        /// The visit.
        visit: VisitId,
        /// The service that asked.
        service: String,
    },
    /// Personal data was fetched from the platform.
    Queried {
        /// The visit.
        visit: VisitId,
        /// The service.
        service: String,
        /// The platform operation.
        call: String,
        /// The consent it rests on, where one is needed.
        consent: Option<ConsentId>,
        /// How many rows came back.
        rows: u32,
    },
    /// An order exists. Durable before its first charge request leaves (I1).
    PaymentIntended {
        /// The order, and its idempotency key everywhere.
        order: OrderId,
        /// The visit.
        visit: VisitId,
        /// The resident.
        resident: Pseudonym,
        /// The service.
        service: String,
        /// The bills.
        items: Vec<OrderItem>,
        /// Their sum.
        total: Money,
        /// How it is paid.
        method: Method,
    },
    /// The outcome of an order is known and final.
    PaymentSettled {
        /// The order.
        order: OrderId,
        /// The outcome.
        settlement: Settlement,
    },
    /// A receipt was promised to a resident: from now on it waits until printed or waived.
    ReceiptPromised {
        /// The receipt.
        receipt: ReceiptId,
        /// The visit.
        visit: VisitId,
        /// The order that it is for, if any.
        order: Option<OrderId>,
        /// What it says, masked.
        content: Receipt,
    },
    /// A copy is about to be sent to the printer. Durable before its first byte (I6).
    PrintStarted {
        /// The receipt.
        receipt: ReceiptId,
        /// 1 for the one unmarked copy, 2 and more for copies marked 补打.
        copy: u32,
    },
    /// A copy was printed.
    Printed {
        /// The receipt.
        receipt: ReceiptId,
        /// Which copy.
        copy: u32,
        /// How sure that is.
        confirmation: Confirmation,
    },
    /// Nothing of a copy reached the paper; it may be tried again unmarked.
    PrintNotStarted {
        /// The receipt.
        receipt: ReceiptId,
        /// Which copy.
        copy: u32,
    },
    /// A copy may or may not have been printed; it is never printed again by itself.
    PrintUnconfirmed {
        /// The receipt.
        receipt: ReceiptId,
        /// Which copy.
        copy: u32,
    },
    /// The resident left without paper; the receipt can be fetched by its number.
    ReceiptWaived {
        /// The receipt.
        receipt: ReceiptId,
    },
    /// A visit ended and what it knew was wiped.
    VisitClosed {
        /// The visit.
        visit: VisitId,
        /// Why.
        reason: CloseReason,
    },
    /// The card in the slot took another PIN.
    PinChanged {
        /// The visit.
        visit: VisitId,
    },
    /// 工作人员卡: somebody who minds kiosks looked after this one.
    StaffCame {
        /// Under which name the card's key is listed.
        card: String,
    },
    /// A resident asked for a person.
    HelpCalled {
        /// The visit, if one was open.
        visit: Option<VisitId>,
    },
    /// The platform's clock was heard: what this kiosk's times are worth. Once in a life of the process, and once in
    /// an hour.
    ClockHeard {
        /// The platform's clock.
        platform: UnixMs,
        /// What had to be added to the kiosk's clock, in milliseconds.
        offset_ms: i64,
    },
    /// The set of services in force changed.
    CatalogueChanged {
        /// Cursor of the feed that brought it.
        cursor: u64,
        /// Ids and versions, sorted.
        services: Vec<(String, u32)>,
    },
}

impl Entry {
    /// The kind that stands in the record's header. Numbers are for ever; gaps leave room.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind(match self {
            Self::Opened { .. } => 1,
            Self::Identified { .. } => 10,
            Self::CodeAccepted { .. } => 11,
            Self::EvidenceGiven { .. } => 12,
            Self::VisitClosed { .. } => 13,
            Self::CodeVerified { .. } => 14,
            Self::Admitted { .. } => 15,
            Self::PinChanged { .. } => 16,
            Self::Consented { .. } => 20,
            Self::ConsentDeclined { .. } => 21,
            Self::Queried { .. } => 22,
            Self::PaymentIntended { .. } => 30,
            Self::PaymentSettled { .. } => 31,
            Self::ReceiptPromised { .. } => 40,
            Self::PrintStarted { .. } => 41,
            Self::Printed { .. } => 42,
            Self::PrintNotStarted { .. } => 43,
            Self::PrintUnconfirmed { .. } => 44,
            Self::ReceiptWaived { .. } => 45,
            Self::CatalogueChanged { .. } => 50,
            Self::ClockHeard { .. } => 51,
            Self::HelpCalled { .. } => 60,
            Self::StaffCame { .. } => 61,
        })
    }

    /// The record body: JSON, one line.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entry has string keys and no floats, so it is always JSON")
    }

    /// Reads a record body.
    ///
    /// # Errors
    /// When it is not JSON of an entry known here; the bytes are then kept, not dropped.
    pub fn decode(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::HexBytes;

    /// Bodies of version 1. If this fails, do not change the test: stored records would not be read.
    #[test]
    fn bodies_of_version_1_stay() {
        let order = OrderId::from_entropy(1);
        let visit = VisitId::from_entropy(2);
        let holder = CodeHolder::of(b"12345678");
        let golden = [
            (
                Entry::PaymentSettled {
                    order,
                    settlement: Settlement::Paid { reference: "A7".into(), at: UnixMs(5) },
                },
                r#"{"entry":"payment-settled","order":"00000000000000000000000000000001","settlement":{"outcome":"paid","reference":"A7","at":5}}"#,
            ),
            (
                Entry::PaymentSettled {
                    order,
                    settlement: Settlement::Void { reason: VoidReason::Refused(ProblemCode::BillBusy) },
                },
                r#"{"entry":"payment-settled","order":"00000000000000000000000000000001","settlement":{"outcome":"void","reason":{"why":"refused","problem":"bill-busy"}}}"#,
            ),
            (Entry::StaffCame { card: "S-0042".into() }, r#"{"entry":"staff-came","card":"S-0042"}"#),
            (
                Entry::PinChanged { visit },
                r#"{"entry":"pin-changed","visit":"00000000000000000000000000000002"}"#,
            ),
            (
                Entry::VisitClosed { visit, reason: CloseReason::CardTaken },
                r#"{"entry":"visit-closed","visit":"00000000000000000000000000000002","reason":"card-taken"}"#,
            ),
            (
                Entry::CodeVerified { visit, holder, slot: Some(900), until: UnixMs(7), offline: true },
                r#"{"entry":"code-verified","visit":"00000000000000000000000000000002","holder":"d971e0b38bbf443d","slot":900,"until":7,"offline":true}"#,
            ),
            (
                Entry::Admitted {
                    visit,
                    who: Admitted::Holder(holder),
                    evidence: Evidence::OfflineCode,
                    until: UnixMs(8),
                    offline: false,
                },
                r#"{"entry":"admitted","visit":"00000000000000000000000000000002","who":{"holder":"d971e0b38bbf443d"},"evidence":"offline-code","until":8,"offline":false}"#,
            ),
            (
                Entry::Admitted {
                    visit,
                    who: Admitted::Card(CardName::of(&HexBytes([0x50; 16]))),
                    evidence: Evidence::CardAuthenticated,
                    until: UnixMs(8),
                    offline: true,
                },
                r#"{"entry":"admitted","visit":"00000000000000000000000000000002","who":{"card":"70a01bd2f60d4e15"},"evidence":"card-authenticated","until":8,"offline":true}"#,
            ),
            (
                Entry::ClockHeard { platform: UnixMs(9), offset_ms: -2 },
                r#"{"entry":"clock-heard","platform":9,"offset_ms":-2}"#,
            ),
        ];
        for (entry, body) in golden {
            assert_eq!(String::from_utf8(entry.encode()).unwrap(), body);
            assert_eq!(Entry::decode(body.as_bytes()).unwrap(), entry);
        }
    }

    #[test]
    fn levels_are_ordered_by_strength() {
        assert!(Level::Nobody < Level::Recognised);
        assert!(Level::Recognised < Level::Proven);
        assert!(Level::Proven < Level::InPerson);
    }
}
