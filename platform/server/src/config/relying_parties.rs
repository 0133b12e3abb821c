//! The registered relying parties and service desks.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Operations, PublicKey, RelyingPartyId};
use serde::Deserialize;

use super::disclosures::Claim;
use crate::request_signature::RegisteredSigner;

/// A relying party (依赖方): an external system that may verify codes and request claims and e-certificates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelyingParty {
    /// Id of the relying party, as in `X-Device`.
    pub id: RelyingPartyId,
    /// Public key that verifies its requests.
    pub key: PublicKey,
    /// Name shown to residents, as the place where their code was used.
    pub name: String,
    /// Purposes that it may state, in words for residents.
    pub purposes: BTreeSet<String>,
    /// Capability that a code must have, by its name in the issuing rules.
    pub capability: String,
    /// Most verifications in a minute.
    pub per_minute: u32,
    /// Whether it may also maintain the card-holder base, as a service desk of the card issuer.
    #[serde(default)]
    pub cards: bool,
    /// Claims that it may request about the holder of a code.
    #[serde(default)]
    pub facts: BTreeSet<Claim>,
    /// E-certificates, and their items, that it may request from the holder of a code: ids and names of the licence files.
    #[serde(default)]
    pub licences: BTreeMap<String, BTreeSet<String>>,
    /// Days for which a consent allows repeated requests; 0: the holder is asked each time.
    #[serde(default)]
    pub consent_days: u16,
}

impl RegisteredSigner for RelyingParty {
    type Id = RelyingPartyId;

    fn public_key(&self) -> &PublicKey {
        &self.key
    }
}

/// A relying party is registered for what no licence file has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownDisclosure {
    /// There is no such kind of e-certificate.
    #[error(
        "relying party {party} is registered for licence `{licence}`, of which there is no file; there are: {kinds}"
    )]
    Licence {
        /// The relying party.
        party: RelyingPartyId,
        /// The kind that it names.
        licence: String,
        /// The kinds that there are.
        kinds: String,
    },
    /// The kind has no such item.
    #[error(
        "relying party {party} is registered for item `{item}` of licence `{licence}`; its file has: {items}"
    )]
    Item {
        /// The relying party.
        party: RelyingPartyId,
        /// The kind that it names.
        licence: String,
        /// The item that it names.
        item: String,
        /// The items that there are.
        items: String,
    },
}

impl RelyingParty {
    /// Checks that the e-certificates and items for which it is registered are those of licence files.
    pub(crate) fn check_licences(&self, operations: &Operations) -> Result<(), UnknownDisclosure> {
        for (licence, registered) in &self.licences {
            let Some(kind) = operations.licence(licence) else {
                let kinds = operations.licences().map(|kind| kind.id.as_str()).collect::<Vec<_>>().join(", ");
                return Err(UnknownDisclosure::Licence { party: self.id, licence: licence.clone(), kinds });
            };
            if let Some(item) = registered.iter().find(|item| kind.item(item).is_none()) {
                let items = kind.items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>().join(", ");
                let (licence, item) = (licence.clone(), item.clone());
                return Err(UnknownDisclosure::Item { party: self.id, licence, item, items });
            }
        }
        Ok(())
    }
}

/// Why the file of relying parties cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RelyingPartiesError {
    /// The file is not TOML with `[[client]]` tables.
    #[error(
        "cannot parse the file of relying parties; expected [[client]] tables with id, key, name, purposes, capability, per_minute"
    )]
    Syntax(#[source] Box<toml::de::Error>),
    /// Two entries have the same id.
    #[error("relying party {0} is registered twice")]
    DuplicateId(RelyingPartyId),
}

/// Parses the file of relying parties: `[[client]]` tables.
///
/// # Errors
/// [`RelyingPartiesError`], when the text is not TOML with these tables or an id occurs twice.
pub fn parse_relying_parties(text: &str) -> Result<Vec<RelyingParty>, RelyingPartiesError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RelyingPartiesFile {
        #[serde(default)]
        client: Vec<RelyingParty>,
    }
    let file: RelyingPartiesFile =
        toml::from_str(text).map_err(|error| RelyingPartiesError::Syntax(Box::new(error)))?;
    let mut seen = BTreeSet::new();
    match file.client.iter().find(|party| !seen.insert(party.id)) {
        Some(twice) => Err(RelyingPartiesError::DuplicateId(twice.id)),
        None => Ok(file.client),
    }
}
