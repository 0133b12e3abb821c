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
//! Kiosks connect to a [listener of their own](tls) with a client certificate. The authenticator checks the
//! signature of each request and opens its envelope.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod audit;
mod base;
mod calls;
mod card_authority;
mod card_key;
mod catalogue;
mod charges;
mod codes;
mod columns;
mod consents;
mod device;
mod door;
mod draw;
mod fail;
mod identify;
mod marks;
mod operation;
mod pages;
mod platform;
mod postings;
mod records;
mod schema;
mod seed;
pub mod shell;
pub mod tls;
mod wire;

pub use audit::{AuditedEpoch, DeviceAudit};
pub use card_key::CardKey;
pub use catalogue::CatalogueError;
pub use codes::{
    AuthorityError, Client, ClientsError, CodeAuthority, Fact, IssuingRules, Item, Licence, PaperRules,
    PhoneRules, RevocationRules, RulesError, clients_of,
};
pub use device::{Device, DevicesError, devices_of};
pub use platform::{OpenError, Platform, Setup};
pub use seed::{Resident, SeedError, residents_of};
pub use wire::{OutAnswer, OutCall, Peer, Reply, Request, Response, Unreachable, Verb, to_be_signed};
