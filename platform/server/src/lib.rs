//! The reference platform: identifies the holders of cards and codes, answers the operations of services,
//! charges orders, and stores the records of every kiosk.
//!
//! [`Platform`] consists of a database and a few keys and does no I/O beyond that database. Time and entropy
//! come in with each request. Where another system must be asked, the platform returns a [`PeerCall`]; the
//! result of the call goes back in through [`Platform::resume`]. The [`shell`] adds sockets and a clock; the
//! simulation links the same library on a database in memory. Background work (inquiries about orders of
//! unknown outcome, reports of paid bills to departments) comes from [`Platform::due_calls`].
//!
//! Invariants: an order is durable before the acquirer is asked to charge it; a bill has at most one order
//! that is live or paid; an inquiry's answer is final; a code is consumed once; a record is stored once.
//!
//! Tables carry their distribution key (kiosk or resident), so that they can be spread over many
//! databases. The pages for people (phone, receipt, administration) are plain HTML without a framework.
//! The pages have no sign-in: the shell listens on loopback, and a reverse proxy decides who may reach it.
//! Kiosks connect to a [listener of their own](shell::tls) with a client certificate. The authenticator checks the
//! signature of each request and opens its envelope.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod acts;
mod cards;
mod city_time;
mod codes;
mod config;
mod consents;
mod context;
mod demo;
mod departments;
mod e_certificates;
mod feed;
mod identity_service;
mod incidents;
mod kiosks;
mod messages;
mod pages;
mod payments;
mod peer_calls;
mod phone_api;
mod phone_refusal;
mod phones;
mod platform;
mod publishing;
pub mod recovery;
mod recovery_state;
mod relying_parties;
mod request_error;
mod request_signature;
mod residents;
mod services;
pub mod shell;
mod store;
mod submissions;
mod visits;

pub use config::card_root_keys::CardRootKeys;
pub use config::code_authority::{CodeAuthority, CodeAuthorityError};
pub use config::disclosures::Claim;
pub use config::issuing_rules::{
    IssuingRules, IssuingRulesError, PaperCodeRules, PhoneCodeRules, RevocationRules,
};
pub use config::kiosks::{KioskRegistryError, RegisteredKiosk, parse_registered_kiosks};
pub use config::relying_parties::{
    RelyingPartiesError, RelyingParty, UnknownDisclosure, parse_relying_parties,
};
pub use demo::residents::{DemoResident, DemoResidentsError, parse_demo_residents};
pub use kiosks::audit::{AuditedEpoch, KioskAudit};
pub use messages::{PlatformRequest, PlatformResponse};
pub use peer_calls::{Peer, PeerAnswer, PeerCall, PeerUnreachable, PlatformReply, SignedHeaders};
pub use platform::{Platform, PlatformOpenError, PlatformSetup};
pub use publishing::PublishError;
