//! The reference platform: who a card or code belongs to, what the services answer, what is charged,
//! and the records of every kiosk.
//!
//! [`Platform`] is a database and a few keys and does no I/O beyond that database: time and entropy come
//! in with each request, and where a system behind the platform must be asked, the answer is an
//! [`OutCall`] whose result goes back in through [`Platform::resume`]. The [`shell`] gives it sockets and
//! a clock; the simulation links the same library on a database in memory. What the platform must do
//! although nobody asks (inquire after orders whose outcome it does not know, tell departments what was
//! paid) comes from [`Platform::due`].
//!
//! What must hold here: an order is durable before the acquirer hears of it; a bill has at most one order
//! that is live or paid; an inquiry's answer is final; a code is consumed once; a record is stored once.
//!
//! Tables carry their distribution key (device or resident), so that they can be spread over many
//! databases. The people-facing pages (phone, receipt, administration) are plain HTML without a framework.
//! They carry no sign-in: the shell listens on loopback, and what is in front of it decides who gets through.
//! Kiosks come in by a [listener of their own](tls), with a certificate, and through a door that checks the
//! signature and opens the envelope.

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
