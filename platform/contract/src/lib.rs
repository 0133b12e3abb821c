//! The contract between the kiosk and the platform: money, ids, levels, records and their chain,
//! service documents, the feed, requests, answers, problem codes and the site file.
//!
//! The crate holds data and its meaning only: no clock, no I/O, no runtime, no web framework. Both sides
//! compile against it, so a change here changes the wire format; golden tests pin the bytes.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod api;
mod card;
mod code;
mod devices;
mod entry;
mod envelope;
mod id;
mod licence;
mod money;
mod names;
mod problem;
mod receipt;
mod record;
mod revocations;
mod service;
mod sign;
mod site;
mod time;

pub use api::{
    BatchAck, CallAnswer, CallRequest, CardEvidence, CardStanding, ChangesAnswer, ChargeRequest, ChargeState,
    EvidenceAnswer, EvidenceRequest, FeedItem, Given, IdCardEvidence, Identified, IdentifyRequest,
    InquireRequest, Presented, RecordBatch, Refused, Row, SignedDocument, SignedHead, VisitKey, Window,
    WireRecord,
};
pub use card::{CardAuthAnswer, CardAuthRequest, CardChallenge, HexBytes, StaffProof};
pub use code::{Challenge, ChallengeError, IssuerKey, IssuerKeys, Signed, Statement, StatementError};
pub use devices::{
    CardReaderPath, CodeReaderPath, IdReaderPath, OlderCards, PrinterLink, PrinterPath, ScannerEnd,
    ScannerLine, SheetPrinterPath, SignalPath, SiteDevices,
};
pub use entry::{
    Admitted, CloseReason, Confirmation, Entry, Evidence, Level, Method, OrderItem, Settlement, VoidReason,
    Way,
};
pub use envelope::{
    ANSWER_OVERHEAD, Addressed, AnswerKey, EnvelopeError, EnvelopeKey, EnvelopeSecret, SEALED_TYPE,
};
pub use id::{ConsentId, DeviceId, IdError, OrderId, Pseudonym, ReceiptId, VisitId};
pub use licence::{ExtractError, LicenceExtract};
pub use money::{Money, MoneyError};
pub use names::{CardName, CodeHolder};
pub use problem::{Problem, ProblemCode};
pub use receipt::{Receipt, ReceiptLine};
pub use record::{Chain, HEADER_LEN, Head, Header, Kind, Record, RecordError, SALT_LEN};
pub use revocations::{REVOKED_PER_DELTA_MAX, Revocable, Revocations, Revoked};
pub use service::{
    Answer, Bilingual, DocumentError, Field, FieldType, Form, Labelled, Offline, Profile, Scene,
    ServiceDocument, Step,
};
pub use sign::{PublicKey, SecretKey, SignError, Signature, sm3};
pub use site::{
    CodeRules, GateRules, LogLimits, PlatformAddress, ScreenSize, Site, SiteError, SiteTimes, StaffKey,
};
pub use time::UnixMs;
