//! The platform as one value: routes each request to its handler, inside one database transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::routes::{self, Route};
use contract::{EntropySource, HttpMethod, KioskId, ProblemCode, Publication, SecretKey, UnixMs, to_hex};
use resident_code::FormatKey;
use rusqlite::{Connection, TransactionBehavior};

use crate::codes::revocations;
use crate::config::card_root_keys::CardRootKeys;
use crate::config::code_authority::CodeAuthority;
use crate::config::departments::DepartmentSigner;
use crate::config::kiosks::RegisteredKiosk;
use crate::config::relying_parties::RelyingParty;
use crate::context::{PlatformConfig, RequestContext};
use crate::demo::residents::DemoResident;
use crate::incidents::record_incident;
use crate::kiosks::authenticator::AuthenticatedRequest;
use crate::messages::{PlatformRequest, PlatformResponse};
use crate::peer_calls::{PeerAnswer, PeerCall, PeerUnreachable, PlatformReply};
use crate::publishing::{PublishError, take_into_force};
use crate::recovery::paid_orders;
use crate::recovery_state;
use crate::request_error::RequestError;
use crate::request_signature::verified_signer;
use crate::store::columns::to_ms_column;
use crate::store::schema;
use crate::{
    cards, demo, feed, kiosks, pages, payments, phone_api, phones, relying_parties, services, submissions,
    visits,
};

/// Label of the values that are expanded from the entropy of a request.
const ENTROPY_LABEL: &str = "platform-draw/1";
/// Most calls of one kind that [`Platform::due_calls`] returns at once.
const DUE_MAX: u32 = 32;

/// Keys, registrations and documents that a platform is opened with.
pub struct PlatformSetup {
    /// Key that online tokens are made and checked with.
    pub format_key: FormatKey,
    /// The registered kiosks.
    pub kiosks: Vec<RegisteredKiosk>,
    /// The services, operations and departments in force.
    pub publication: Publication,
    /// Secret key that requests to departments are signed with.
    pub department_key: SecretKey,
    /// Residents to enter into the card-holder base.
    pub residents: Vec<DemoResident>,
    /// Keys and rules that offline and paper codes are issued with; `None`: the platform issues only online tokens.
    pub code_authority: Option<CodeAuthority>,
    /// External systems that may verify codes.
    pub relying_parties: Vec<RelyingParty>,
    /// Root keys of the city's cards; `None`: the platform authenticates no cards for kiosks.
    pub card_root_keys: Option<CardRootKeys>,
}

/// Why a platform cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PlatformOpenError {
    /// SQLite cannot open the database or create its tables.
    #[error("cannot open the platform's database")]
    Database(#[from] rusqlite::Error),
    /// The publication cannot be taken into force.
    #[error("the publication cannot be taken into force")]
    Publication(#[from] PublishError),
}

/// The reference platform.
pub struct Platform {
    db: Connection,
    config: PlatformConfig,
}

impl Platform {
    /// Opens the platform on a database, which may be empty, and takes the publication into force.
    ///
    /// # Errors
    /// [`PlatformOpenError`], when the database cannot be used, or the publication cannot be taken into force.
    pub fn open(db: Connection, setup: PlatformSetup) -> Result<Self, PlatformOpenError> {
        schema::prepare_schema(&db)?;
        let kept = recovery_state::highest_generation(&db)?;
        Self::open_at_generation(db, setup, kept).map(|(platform, _)| platform)
    }

    /// Opens the platform like [`Platform::open`], on a database whose generation is also `kept` outside of it. If they
    /// differ, the database was restored from a backup, and the platform recovers before it takes charges, bindings and
    /// card changes. Also returns the generation to keep outside from now on, before the first request.
    ///
    /// # Errors
    /// As [`Platform::open`].
    pub fn open_at_generation(
        mut db: Connection,
        setup: PlatformSetup,
        kept: Option<u64>,
    ) -> Result<(Self, u64), PlatformOpenError> {
        schema::prepare_schema(&db)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let generation = recovery_state::compare_generation(&tx, kept)?;
        demo::residents::insert_residents(&tx, &setup.residents)?;
        take_into_force(&tx, &setup.publication, setup.relying_parties.iter())?;
        tx.commit()?;
        let devices = Arc::new(setup.kiosks.into_iter().map(|kiosk| (kiosk.id, kiosk)).collect());
        let clients = setup.relying_parties.into_iter().map(|party| (party.id, party)).collect();
        let PlatformSetup { format_key: format, code_authority: codes, card_root_keys: cards, .. } = setup;
        let platform = Self {
            db,
            config: PlatformConfig {
                format_key: format,
                kiosks: devices,
                publication: setup.publication,
                department_signer: DepartmentSigner::new(setup.department_key),
                code_authority: codes,
                relying_parties: clients,
                card_root_keys: cards,
            },
        };
        Ok((platform, generation))
    }

    /// Takes another publication into force, as a whole: services for kiosks, operations and departments. Calls that wait for
    /// a department are continued by the new one.
    ///
    /// # Errors
    /// [`PublishError`]: the publication before stays in force.
    pub fn publish(&mut self, publication: Publication) -> Result<(), PublishError> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        take_into_force(&tx, &publication, self.config.relying_parties.values())?;
        tx.commit()?;
        self.config.publication = publication;
        Ok(())
    }

    /// Records for the operators that a publication was refused; `file`: SM3 of its file, so that each file is recorded once.
    pub(crate) fn record_refused_publication(&mut self, file: &[u8; 32], why: &str, now: UnixMs) {
        let subject = format!("publication {}", to_hex(file.get(..8).unwrap_or_default()));
        let recorded = self.db.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|tx| {
            record_incident(&tx, &subject, why, to_ms_column(now))?;
            tx.commit()
        });
        if let Err(error) = recorded {
            tracing::error!(%error, "the incident of a refused publication was not recorded");
        }
    }

    /// The publication in force.
    pub(crate) const fn publication(&self) -> &Publication {
        &self.config.publication
    }

    /// Answers a request, or returns the call to another system that must be made first. Changes are durable when
    /// this returns.
    ///
    /// `entropy` must be fresh for every request: visit keys and codes are derived from it.
    pub fn handle(&mut self, request: &PlatformRequest, now: UnixMs, entropy: u128) -> PlatformReply {
        self.run_in_transaction(now, entropy, |context| route_request(context, request, None))
    }

    /// Answers a kiosk's request whose signature the authenticator has checked; otherwise like [`Platform::handle`].
    pub(crate) fn handle_authenticated(
        &mut self,
        admitted: &AuthenticatedRequest,
        now: UnixMs,
        entropy: u128,
    ) -> PlatformReply {
        self.run_in_transaction(now, entropy, |context| {
            route_request(context, admitted.request(), Some(admitted.kiosk_id()))
        })
    }

    pub(crate) fn kiosks(&self) -> Arc<BTreeMap<KioskId, RegisteredKiosk>> {
        Arc::clone(&self.config.kiosks)
    }

    /// Continues the work that a call belongs to with the call's result. The reply answers the request that caused
    /// the call. For a call from [`Platform::due_calls`] no request waits, but the reply may be another call to make.
    pub fn resume(
        &mut self,
        call: &PeerCall,
        result: Result<PeerAnswer, PeerUnreachable>,
        now: UnixMs,
        entropy: u128,
    ) -> PlatformReply {
        let answer = result.ok();
        self.run_in_transaction(now, entropy, |context| call.resume(context, answer.as_ref()))
    }

    /// Returns the calls that the platform makes in the background: inquiries about orders of unknown outcome, and
    /// postings that a department has not booked yet, and submissions that are not delivered or not decided. Also signs new revocation lists for the feed.
    ///
    /// Call this periodically. Each call to another system has a back-off of its own, so a short interval does no harm.
    pub fn due_calls(&mut self, now: UnixMs) -> Vec<PeerCall> {
        let mut calls = Vec::new();
        let result = self.db.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|tx| {
            calls.extend(payments::inquiries::due_inquiries(&tx, now, DUE_MAX)?);
            calls.extend(payments::outbox::due_postings(&tx, &self.config, now, DUE_MAX)?);
            calls.extend(submissions::delivery::due_submissions(&tx, &self.config, now, DUE_MAX)?);
            calls.extend(paid_orders::due_recovery_calls(&tx, &self.config, now, DUE_MAX)?);
            if let Some(authority) = &self.config.code_authority {
                revocations::refresh_feed(&tx, authority, now)?;
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

    fn run_in_transaction(
        &mut self,
        now: UnixMs,
        entropy: u128,
        work: impl FnOnce(&mut RequestContext<'_>) -> Result<PlatformReply, RequestError>,
    ) -> PlatformReply {
        let config = &self.config;
        let run = || {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let reply = work(&mut RequestContext {
                tx: &tx,
                config,
                now,
                entropy: EntropySource::new(ENTROPY_LABEL, entropy),
            })?;
            tx.commit()?;
            Ok(reply)
        };
        run().unwrap_or_else(|fail: RequestError| PlatformReply::Answer(fail.into_response()))
    }
}

/// Whether a target belongs to the kiosk API, which is served by the kiosk listener only.
pub(crate) fn is_kiosk_target(target: &str) -> bool {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    routes::is_kiosk_path(path)
}

fn route_request(
    context: &mut RequestContext<'_>,
    request: &PlatformRequest,
    admitted: Option<KioskId>,
) -> Result<PlatformReply, RequestError> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (request.method, parts.as_slice()) {
        (HttpMethod::Get, ["phone", slug]) => demo::phone_page::phone_page(context, slug),
        (HttpMethod::Get, ["phone", slug, "token"]) => demo::phone_page::phone_page_token(context, slug),
        (HttpMethod::Get, ["r", receipt]) => pages::receipt::receipt_page(context, receipt),
        (HttpMethod::Get, ["admin"]) => pages::admin::admin_page(context),
        (HttpMethod::Get, ["admin", "orders"]) => pages::admin::admin_orders(context),
        (HttpMethod::Post, ["base", "v1", name]) => {
            cards::desk_api::route_base_request(context, name, request)
        }
        (HttpMethod::Get, ["code", file @ ..]) => phones::web_app::serve_file(context, &file.join("/")),
        (HttpMethod::Post, ["code", "v1", "verify"]) => {
            relying_parties::verify_code::verify_code(context, request)
        }
        (HttpMethod::Post, ["code", "v1", "facts"]) => {
            relying_parties::claims::request_claims(context, request)
        }
        (HttpMethod::Post, ["code", "v1", "licence"]) => {
            relying_parties::e_certificates::request_e_certificate(context, request)
        }
        (HttpMethod::Post, ["code", "v1", name]) => {
            phone_api::route_phone_request(context, name, &request.body)
        }
        (HttpMethod::Get, ["v1", "audit", device]) => kiosks::audit::export_audit(context, device),
        (method, ["v1", _]) => {
            let kiosk = match admitted {
                Some(id) => context.config.kiosks.get(&id).ok_or_else(no_such_path)?,
                None => verified_signer(&context.config.kiosks, request)?,
            };
            match (Route { method, path }) {
                routes::IDENTIFY => visits::identify::identify(context, kiosk, &request.body),
                routes::EVIDENCE => visits::step_up::step_up(context, kiosk, &request.body),
                routes::CARD_AUTHENTICATIONS => {
                    cards::card_authentication::authenticate_card(context, kiosk, &request.body)
                }
                routes::CALLS => services::operation_calls::call_operation(context, kiosk, &request.body),
                routes::CHARGES => payments::charges::charge_order(context, kiosk, &request.body),
                routes::INQUIRIES => payments::inquiries::inquire_order(context, kiosk, &request.body),
                routes::UNREPORTED_ORDERS => payments::unreported_orders::list_unreported(context, kiosk),
                routes::RECORDS => kiosks::records::accept_batch(context, kiosk, &request.body),
                routes::CHANGES => feed::changes_since(context, query),
                Route { .. } => Err(no_such_path()),
            }
        }
        (HttpMethod::Get, _) => Ok(PlatformResponse::html(404, pages::template::not_found_page()).into()),
        (HttpMethod::Post, _) => Err(no_such_path()),
    }
}

fn no_such_path() -> RequestError {
    ProblemCode::NotOffered.into_problem("no such path").into()
}
