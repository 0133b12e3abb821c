//! What a request is handled with: its transaction, the configuration, the time, and entropy.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{KioskId, Operations, RelyingPartyId, UnixMs};
use resident_code::FormatKey;
use rusqlite::Transaction;

use crate::config::card_root_keys::CardRootKeys;
use crate::config::catalogue::SignedCatalogue;
use crate::config::code_authority::CodeAuthority;
use crate::config::departments::DepartmentDirectory;
use crate::config::kiosks::RegisteredKiosk;
use crate::config::relying_parties::RelyingParty;
use contract::EntropySource;

/// Keys, registrations and documents; constant while the platform runs.
pub(crate) struct PlatformConfig {
    pub(crate) format_key: FormatKey,
    pub(crate) kiosks: Arc<BTreeMap<KioskId, RegisteredKiosk>>,
    pub(crate) catalogue: SignedCatalogue,
    pub(crate) operations: Operations,
    pub(crate) departments: DepartmentDirectory,
    pub(crate) code_authority: Option<CodeAuthority>,
    pub(crate) relying_parties: BTreeMap<RelyingPartyId, RelyingParty>,
    pub(crate) card_root_keys: Option<CardRootKeys>,
}

/// Transaction, configuration, time and entropy of one request.
pub(crate) struct RequestContext<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) config: &'a PlatformConfig,
    pub(crate) now: UnixMs,
    pub(crate) entropy: EntropySource,
}
