//! The platform as one value: which request goes where, and one transaction around each.

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

/// Most calls that [`Platform::due`] hands out at once.
const DUE_MAX: u32 = 32;

/// What a platform is set up with.
pub struct Setup {
    /// Signs the service documents.
    pub catalogue: SecretKey,
    /// Made and checked codes carry it.
    pub format: FormatKey,
    /// The registered kiosks.
    pub devices: Vec<Device>,
    /// Texts of the service documents in force.
    pub documents: Vec<String>,
    /// Residents to enter into the card-holder base.
    pub residents: Vec<Resident>,
    /// Signs offline and paper codes; without it there are only online ones.
    pub codes: Option<CodeAuthority>,
    /// Systems of other houses that may ask about codes.
    pub clients: Vec<Client>,
    /// The root key of the city's cards; without it no kiosk is helped to authenticate one.
    pub cards: Option<CardKey>,
}

/// Why a platform does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be used.
    #[error("the platform's database cannot be opened")]
    Store(#[from] rusqlite::Error),
    /// A service document is refused.
    #[error("the catalogue is not in order")]
    Catalogue(#[from] CatalogueError),
}

/// The reference platform.
pub struct Platform {
    db: Connection,
    pub(crate) city: City,
}

/// What does not change while the platform runs.
pub(crate) struct City {
    pub(crate) format: FormatKey,
    pub(crate) devices: Arc<BTreeMap<DeviceId, Device>>,
    pub(crate) catalogue: Catalogue,
    pub(crate) codes: Option<CodeAuthority>,
    pub(crate) clients: BTreeMap<DeviceId, Client>,
    pub(crate) cards: Option<CardKey>,
}

/// What a request is handled with.
pub(crate) struct Turn<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) city: &'a City,
    pub(crate) now: UnixMs,
    pub(crate) draw: Draw,
}

impl Platform {
    /// Takes over a database, which may be new, and signs the catalogue.
    ///
    /// # Errors
    /// When the database cannot be used or a service document is refused.
    pub fn open(mut db: Connection, setup: Setup) -> Result<Self, OpenError> {
        schema::prepare(&db)?;
        let catalogue = Catalogue::sign(&setup.documents, &setup.catalogue)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        seed::enter(&tx, &setup.residents)?;
        catalogue.publish(&tx)?;
        tx.commit()?;
        let devices = Arc::new(setup.devices.into_iter().map(|device| (device.id, device)).collect());
        let clients = codes::by_id(setup.clients);
        let Setup { format, codes, cards, .. } = setup;
        Ok(Self { db, city: City { format, devices, catalogue, codes, clients, cards } })
    }

    /// Answers a request, or says whom to ask first. What it changed is durable when this returns.
    ///
    /// `entropy` must be fresh for every request: visit keys and codes are drawn from it.
    pub fn handle(&mut self, request: &Request, now: UnixMs, entropy: u128) -> Reply {
        self.turn(now, entropy, |turn| route(turn, request, None))
    }

    /// The same for a kiosk's request that came through the door, where its signature was checked.
    pub(crate) fn handle_admitted(&mut self, admitted: &Admitted, now: UnixMs, entropy: u128) -> Reply {
        self.turn(now, entropy, |turn| route(turn, admitted.request(), Some(admitted.device())))
    }

    pub(crate) fn devices(&self) -> Arc<BTreeMap<DeviceId, Device>> {
        Arc::clone(&self.city.devices)
    }

    /// Goes on with the result of a call. The answer is for whoever caused the call; to a call that
    /// [`Platform::due`] gave nobody waits for it, but it may be another call to make.
    pub fn resume(
        &mut self,
        call: &OutCall,
        result: Result<OutAnswer, Unreachable>,
        now: UnixMs,
        entropy: u128,
    ) -> Reply {
        let answer = result.ok();
        self.turn(now, entropy, |turn| match &call.purpose {
            Purpose::Charge(order) => charges::charged(turn, order, answer.as_ref()),
            Purpose::Inquiry(order) => charges::inquired(turn, order, answer.as_ref()),
            Purpose::Bills { resident } => calls::billed(turn, *resident, answer.as_ref()),
            Purpose::Posting(order) => postings::posted(turn, order, answer.as_ref()),
            Purpose::Binding => codes::bound(turn, answer.as_ref()),
            Purpose::Credential { request } => codes::credential_told(turn, request, answer.as_ref()),
            Purpose::PinReset { client, request } => base::seen(turn, *client, request, answer.as_ref()),
            Purpose::Names { client, issue } => base::named(turn, *client, issue, answer.as_ref()),
        })
    }

    /// The calls that the platform makes of itself: inquiries after orders whose outcome is not known,
    /// payments that a department has not booked yet. Also signs anew what kiosks must hear of codes. Each has a back-off of its own, so this may be
    /// called as often as one likes, and must be called again and again.
    pub fn due(&mut self, now: UnixMs) -> Vec<OutCall> {
        let mut calls = Vec::new();
        let made = self.db.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|tx| {
            calls.extend(charges::due(&tx, now, DUE_MAX)?);
            calls.extend(postings::due(&tx, now, DUE_MAX)?);
            if let Some(authority) = &self.city.codes {
                codes::revocations::refresh(&tx, authority, now)?;
            }
            tx.commit()
        });
        match made {
            Ok(()) => calls,
            Err(error) => {
                tracing::error!(%error, "the database failed; what is due stays due");
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
        let city = &self.city;
        let run = || {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let reply = work(&mut Turn { tx: &tx, city, now, draw: Draw::new(entropy) })?;
            tx.commit()?;
            Ok(reply)
        };
        run().unwrap_or_else(|fail: Fail| Reply::Done(fail.into_response()))
    }
}

/// Whether a path is the kiosks', who come by a listener of their own.
pub(crate) fn is_for_kiosks(target: &str) -> bool {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    matches!(path.split('/').skip(1).collect::<Vec<&str>>().as_slice(), ["v1", _])
}

fn route(turn: &mut Turn<'_>, request: &Request, admitted: Option<DeviceId>) -> Result<Reply, Fail> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (request.verb, parts.as_slice()) {
        (Verb::Get, ["phone", slug]) => pages::phone(turn, slug),
        (Verb::Get, ["phone", slug, "token"]) => pages::phone_token(turn, slug),
        (Verb::Get, ["r", number]) => pages::receipt(turn, number),
        (Verb::Get, ["admin"]) => pages::admin(turn),
        (Verb::Post, ["base", "v1", name]) => base::route(turn, name, request),
        (Verb::Get, ["code", file @ ..]) => codes::page(turn, &file.join("/")),
        (Verb::Post, ["code", "v1", "verify"]) => codes::verify(turn, request),
        (Verb::Post, ["code", "v1", "facts"]) => codes::facts(turn, request),
        (Verb::Post, ["code", "v1", "licence"]) => codes::licence(turn, request),
        (Verb::Post, ["code", "v1", name]) => codes::route(turn, name, &request.body),
        (Verb::Get, ["v1", "audit", device]) => audit::export(turn, device),
        (verb, ["v1", name]) => {
            let device = match admitted {
                Some(id) => turn.city.devices.get(&id).ok_or_else(no_such_path)?,
                None => device::signer(&turn.city.devices, request)?,
            };
            match (verb, *name) {
                (Verb::Post, "identify") => identify::identify(turn, device, &request.body),
                (Verb::Post, "evidence") => codes::prove(turn, device, &request.body),
                (Verb::Post, "card-authentications") => {
                    card_authority::authenticate(turn, device, &request.body)
                }
                (Verb::Post, "calls") => calls::call(turn, device, &request.body),
                (Verb::Post, "charges") => charges::charge(turn, device, &request.body),
                (Verb::Post, "inquiries") => charges::inquire(turn, device, &request.body),
                (Verb::Post, "records") => records::take(turn, device, &request.body),
                (Verb::Get, "changes") => catalogue::changes(turn, query),
                (Verb::Get | Verb::Post, _) => Err(no_such_path()),
            }
        }
        (Verb::Get, _) => Ok(Response::html(404, pages::not_found()).into()),
        (Verb::Post, _) => Err(no_such_path()),
    }
}

fn no_such_path() -> Fail {
    ProblemCode::NotOffered.because("there is no such path").into()
}
