//! The platform as one value: routes each request to its handler, inside one database transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{DeviceId, ProblemCode, SecretKey, UnixMs};
use resident_code::FormatKey;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::card_key::CardKey;
use crate::catalogue::{self, Catalogue, CatalogueError};
use crate::codes::{self, Client, CodeAuthority};
use crate::device::{self, Device};
use crate::door::Admitted;
use crate::draw::Draw;
use crate::fail::Fail;
use crate::seed::{self, Resident};
use crate::wire::{OutAnswer, OutCall, Purpose, Reply, Request, Response, Unreachable, Verb};
use crate::{audit, base, calls, card_authority, charges, identify, pages, postings, records, schema};

/// Most calls of one kind that [`Platform::due_calls`] returns at once.
const DUE_MAX: u32 = 32;

/// Keys, registrations and documents that a platform is opened with.
pub struct Setup {
    /// Secret key that signs the service documents.
    pub catalogue: SecretKey,
    /// Key that online tokens are made and checked with.
    pub format: FormatKey,
    /// The registered kiosks.
    pub devices: Vec<Device>,
    /// Texts of the service documents in force.
    pub documents: Vec<String>,
    /// Residents to enter into the card-holder base.
    pub residents: Vec<Resident>,
    /// Keys and rules that offline and paper codes are issued with; `None`: the platform issues only online tokens.
    pub codes: Option<CodeAuthority>,
    /// External systems that may verify codes.
    pub clients: Vec<Client>,
    /// Root keys of the city's cards; `None`: the platform authenticates no cards for kiosks.
    pub cards: Option<CardKey>,
}

/// Why a platform cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite cannot open the database or create its tables.
    #[error("cannot open the platform's database")]
    Store(#[from] rusqlite::Error),
    /// A service document is invalid.
    #[error("the service catalogue is invalid")]
    Catalogue(#[from] CatalogueError),
}

/// The reference platform.
pub struct Platform {
    db: Connection,
    pub(crate) city: City,
}

/// Keys, registrations and documents; constant while the platform runs.
pub(crate) struct City {
    pub(crate) format: FormatKey,
    pub(crate) devices: Arc<BTreeMap<DeviceId, Device>>,
    pub(crate) catalogue: Catalogue,
    pub(crate) codes: Option<CodeAuthority>,
    pub(crate) clients: BTreeMap<DeviceId, Client>,
    pub(crate) cards: Option<CardKey>,
}

/// Transaction, configuration, time and entropy of one request.
pub(crate) struct Turn<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) city: &'a City,
    pub(crate) now: UnixMs,
    pub(crate) draw: Draw,
}

impl Platform {
    /// Opens the platform on a database, which may be empty, and signs the catalogue.
    ///
    /// # Errors
    /// [`PlatformOpenError`], when the database cannot be used or a service document is invalid.
    pub fn open(mut db: Connection, setup: Setup) -> Result<Self, OpenError> {
        schema::prepare(&db)?;
        let catalogue = Catalogue::sign(&setup.documents, &setup.catalogue)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        seed::enter(&tx, &setup.residents)?;
        catalogue.publish(&tx)?;
        tx.commit()?;
        let devices = Arc::new(setup.devices.into_iter().map(|kiosk| (kiosk.id, kiosk)).collect());
        let clients = codes::by_id(setup.clients);
        let Setup { format, codes, cards, .. } = setup;
        Ok(Self { db, city: City { format, devices, catalogue, codes, clients, cards } })
    }

    /// Answers a request, or returns the call to another system that must be made first. Changes are durable when
    /// this returns.
    ///
    /// `entropy` must be fresh for every request: visit keys and codes are derived from it.
    pub fn handle(&mut self, request: &Request, now: UnixMs, entropy: u128) -> Reply {
        self.turn(now, entropy, |context| route(context, request, None))
    }

    /// Answers a kiosk's request whose signature the authenticator has checked; otherwise like [`Platform::handle`].
    pub(crate) fn handle_admitted(&mut self, admitted: &Admitted, now: UnixMs, entropy: u128) -> Reply {
        self.turn(now, entropy, |context| route(context, admitted.request(), Some(admitted.device())))
    }

    pub(crate) fn devices(&self) -> Arc<BTreeMap<DeviceId, Device>> {
        Arc::clone(&self.city.devices)
    }

    /// Continues the work that a call belongs to with the call's result. The reply answers the request that caused
    /// the call. For a call from [`Platform::due_calls`] no request waits, but the reply may be another call to make.
    pub fn resume(
        &mut self,
        call: &OutCall,
        result: Result<OutAnswer, Unreachable>,
        now: UnixMs,
        entropy: u128,
    ) -> Reply {
        let answer = result.ok();
        self.turn(now, entropy, |context| match &call.purpose {
            Purpose::Charge(order) => charges::charged(context, order, answer.as_ref()),
            Purpose::Inquiry(order) => charges::inquired(context, order, answer.as_ref()),
            Purpose::Bills { resident } => calls::billed(context, *resident, answer.as_ref()),
            Purpose::Posting(order) => postings::posted(context, order, answer.as_ref()),
            Purpose::Binding => codes::bound(context, answer.as_ref()),
            Purpose::Credential { request } => codes::credential_told(context, request, answer.as_ref()),
            Purpose::PinReset { client, request } => base::seen(context, *client, request, answer.as_ref()),
            Purpose::Names { client, issue } => base::named(context, *client, issue, answer.as_ref()),
        })
    }

    /// Returns the calls that the platform makes in the background: inquiries about orders of unknown outcome, and
    /// postings that a department has not booked yet. Also signs new revocation lists for the feed.
    ///
    /// Call this periodically. Each call to another system has a back-off of its own, so a short interval does no harm.
    pub fn due(&mut self, now: UnixMs) -> Vec<OutCall> {
        let mut calls = Vec::new();
        let result = self.db.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|tx| {
            calls.extend(charges::due(&tx, now, DUE_MAX)?);
            calls.extend(postings::due(&tx, now, DUE_MAX)?);
            if let Some(authority) = &self.city.codes {
                codes::revocations::refresh(&tx, authority, now)?;
            }
            tx.commit()
        });
        match result {
            Ok(()) => calls,
            Err(error) => {
                tracing::error!(%error, "database error in background work; it will be retried");
                Vec::new()
            }
        }
    }

    fn turn(
        &mut self,
        now: UnixMs,
        entropy: u128,
        work: impl FnOnce(&mut Turn<'_>) -> Result<Reply, Fail>,
    ) -> Reply {
        let config = &self.city;
        let run = || {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let reply = work(&mut Turn { tx: &tx, city: config, now, draw: Draw::new(entropy) })?;
            tx.commit()?;
            Ok(reply)
        };
        run().unwrap_or_else(|fail: Fail| Reply::Done(fail.into_response()))
    }
}

/// Whether a target belongs to the kiosk API, which is served by the kiosk listener only.
pub(crate) fn is_for_kiosks(target: &str) -> bool {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    matches!(path.split('/').skip(1).collect::<Vec<&str>>().as_slice(), ["v1", _])
}

fn route(context: &mut Turn<'_>, request: &Request, admitted: Option<DeviceId>) -> Result<Reply, Fail> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (request.verb, parts.as_slice()) {
        (Verb::Get, ["phone", slug]) => pages::phone(context, slug),
        (Verb::Get, ["phone", slug, "token"]) => pages::phone_token(context, slug),
        (Verb::Get, ["r", number]) => pages::receipt(context, number),
        (Verb::Get, ["admin"]) => pages::admin(context),
        (Verb::Post, ["base", "v1", name]) => base::route(context, name, request),
        (Verb::Get, ["code", file @ ..]) => codes::page(context, &file.join("/")),
        (Verb::Post, ["code", "v1", "verify"]) => codes::verify(context, request),
        (Verb::Post, ["code", "v1", "facts"]) => codes::facts(context, request),
        (Verb::Post, ["code", "v1", "licence"]) => codes::licence(context, request),
        (Verb::Post, ["code", "v1", name]) => codes::route(context, name, &request.body),
        (Verb::Get, ["v1", "audit", device]) => audit::export(context, device),
        (verb, ["v1", name]) => {
            let kiosk = match admitted {
                Some(id) => context.city.devices.get(&id).ok_or_else(no_such_path)?,
                None => device::signer(&context.city.devices, request)?,
            };
            match (verb, *name) {
                (Verb::Post, "identify") => identify::identify(context, kiosk, &request.body),
                (Verb::Post, "evidence") => codes::prove(context, kiosk, &request.body),
                (Verb::Post, "card-authentications") => {
                    card_authority::authenticate(context, kiosk, &request.body)
                }
                (Verb::Post, "calls") => calls::call(context, kiosk, &request.body),
                (Verb::Post, "charges") => charges::charge(context, kiosk, &request.body),
                (Verb::Post, "inquiries") => charges::inquire(context, kiosk, &request.body),
                (Verb::Post, "records") => records::take(context, kiosk, &request.body),
                (Verb::Get, "changes") => catalogue::changes(context, query),
                (Verb::Get | Verb::Post, _) => Err(no_such_path()),
            }
        }
        (Verb::Get, _) => Ok(Response::html(404, pages::not_found()).into()),
        (Verb::Post, _) => Err(no_such_path()),
    }
}

fn no_such_path() -> Fail {
    ProblemCode::NotOffered.because("no such path").into()
}
