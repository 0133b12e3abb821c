//! The contract between the kiosk and the platform: money, ids, levels, records and their chain,
//! service documents, the feed, routes, requests and their signature, answers, problem codes and the site file.
//!
//! The crate holds data and its meaning only: no clock, no I/O, no runtime, no web framework. Both sides
//! compile against it, so a change here changes the wire format; golden tests pin the bytes.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod answer_schema;
mod api;
mod ask;
mod backoff;
mod bilingual;
mod card;
mod code;
mod department_list;
mod department_messages;
mod devices;
mod e_certificate;
mod entropy;
mod entry;
mod envelope;
mod evidence;
mod id;
mod licence;
mod limits;
mod money;
mod names;
mod offer;
mod operation;
mod order;
mod platform_operation;
mod problem;
mod publication;
mod receipt;
mod record;
mod request_signing;
mod revocations;
pub mod routes;
mod scan;
mod service;
mod service_check;
mod service_texts;
mod site;
mod step;
mod submission;
mod time;
mod toml_place;

pub use answer_schema::{AnswerField, AnswerFieldType, AnswerSchema, LabelledField};
pub use api::{
    AnswerRow, BatchAck, CallAnswer, CallRequest, CardEvidence, CardStatus, ChangesAnswer, EvidenceAnswer,
    EvidenceRequest, FeedItem, IdCardEvidence, IdentifyAnswer, IdentifyRequest, LogEnds, MissingRecords,
    PresentedCredential, RecordBatch, RefusedRecord, SignedHead, SignedServiceDocument, StepUpProof,
    UploadWindow, VisitKey, WireRecord,
};
pub use ask::{AskedAnswer, AskedOption};
pub use backoff::Backoff;
pub use bilingual::Bilingual;
pub use card::{CardAuthAnswer, CardAuthRequest, CardChallenge, HexBytes, StaffProof};
pub use code::{
    Challenge, ChallengeError, IssuerKey, IssuerKeys, SignedStatement, Statement, StatementError,
};
pub use department_list::{DepartmentList, DepartmentsProblem, RegisteredDepartment};
pub use department_messages::{
    AnswerFault, DEPARTMENT_CLOCK_DIFFERENCE_MAX_MS, DepartmentPerson, OperationBody, OperationRows,
    PAYMENT_TIMEOUT_MS, PAYMENTS_TARGET, PaidBill, PaymentBody, SUBMISSION_STATE_TARGET, SUBMISSIONS_TARGET,
    SubmissionBody, SubmissionStateAnswer, SubmissionStateBody, TICKETS_TARGET, department_bytes_to_sign,
    parse_refusal, query_target,
};
pub use devices::{
    CardReaderSettings, CodeReaderSettings, DocumentPrinterSettings, GateSignalSettings, IdReaderSettings,
    LegacyCardPolicy, PrinterConnection, ReceiptPrinterSettings, ScannerSettings, ScannerSuffix, SiteDevices,
};
pub use e_certificate::{ECertificateExtract, ECertificateExtractError};
pub use entropy::{EntropySource, derived_id};
pub use entry::{AdmissionSubject, CloseReason, Confirmation, Entry};
pub use envelope::{
    ANSWER_OVERHEAD, AnswerKey, EnvelopeError, EnvelopeKey, EnvelopeSecret, RequestBinding, SEALED_TYPE,
};
pub use evidence::{Evidence, IdentificationMethod, Level};
pub use id::{
    ConsentId, IdError, KioskId, OrderId, Pseudonym, ReceiptId, RelyingPartyId, SubmissionId, TicketId,
    VisitId,
};
pub use licence::{
    ItemMask, LICENCE_LIST, LicenceItem, LicenceKind, LicenceProblem, LicenceValidity, TrustLevel,
    WatermarkPart, licence_of_operation,
};
pub use limits::{
    ADMISSIONS_MAX, GATE_NAMES_MAX, RECORD_BYTES_MAX, USED_CODE_KEPT_MS, USED_CODES_MAX, VISIT_KEY_TTL_MS,
};
pub use money::{Money, MoneyError};
pub use names::{CardName, CodeHolder};
pub use offer::{DayMinute, EffectiveDate, Opening, OpeningHours, WeekDay, opening_at};
pub use operation::{
    Department, DepartmentId, DepartmentIdError, Operation, OperationKind, OperationMismatch, Operations,
    OperationsProblem, bill_fields,
};
pub use order::{
    ChargeRequest, ChargeState, InquiryRequest, OrderItem, PaymentMethod, Settlement, UnreportedOrder,
    UnreportedOrdersAnswer, VoidReason,
};
pub use platform_operation::{PlatformOperation, PlatformOperationDeclaration};
pub use problem::{Problem, ProblemCode};
pub use publication::{Publication, PublicationError, PublicationSources, SourceFile};
pub use receipt::{PrintForm, Receipt, ReceiptLine};
pub use record::{Chain, HEADER_LEN, Head, Record, RecordError, RecordHeader, RecordKind, SALT_LEN};
pub use request_signing::{
    DEVICE_HEADER, SIGNATURE_HEADER, TIME_HEADER, answer_bytes_to_sign, request_bytes_to_sign,
};
pub use revocations::{REVOKED_PER_DELTA_MAX, Revocable, Revocations, Revoked};
pub use routes::HttpMethod;
pub use scan::ScannedCode;
pub use service::{OfflinePolicy, Scene, ServiceDocument, SiteProfile};
pub use service_check::{ServiceDocumentError, ServiceProblem};
pub use site::{
    CodeRules, GateRules, LogLimits, PlatformSettings, ScreenSize, Site, SiteError, SiteTimes, StaffKey,
};
pub use sm_crypto::{PublicKey, SecretKey, SignError, Signature, from_hex, sm3, to_hex, to_hex_upper};
pub use step::Step;
pub use submission::{DepartmentKey, DepartmentKeys, SealedSubmission, SubmittingPerson};
pub use time::UnixMs;
pub use toml_place::{TomlError, TomlProblem, parse_toml};
