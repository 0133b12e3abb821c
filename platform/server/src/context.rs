//! What a request is handled with: its transaction, the configuration, the time, and entropy.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{KioskId, Operations, Publication, RelyingPartyId, UnixMs};
use resident_code::FormatKey;
use rusqlite::Transaction;

use crate::config::card_root_keys::CardRootKeys;
use crate::config::code_authority::CodeAuthority;
use crate::config::departments::DepartmentSigner;
use crate::config::kiosks::RegisteredKiosk;
use crate::config::relying_parties::RelyingParty;
use contract::EntropySource;

/// Keys, registrations, and the publication in force.
pub(crate) struct PlatformConfig {
    pub(crate) format_key: FormatKey,
    pub(crate) kiosks: Arc<BTreeMap<KioskId, RegisteredKiosk>>,
    pub(crate) publication: Publication,
    pub(crate) department_signer: DepartmentSigner,
    pub(crate) code_authority: Option<CodeAuthority>,
    pub(crate) relying_parties: BTreeMap<RelyingPartyId, RelyingParty>,
    pub(crate) card_root_keys: Option<CardRootKeys>,
}

impl PlatformConfig {
    /// The operations in force.
    pub(crate) const fn operations(&self) -> &Operations {
        self.publication.operations()
    }
}

/// Transaction, configuration, time and entropy of one request.
pub(crate) struct RequestContext<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) config: &'a PlatformConfig,
    pub(crate) now: UnixMs,
    pub(crate) entropy: EntropySource,
}
