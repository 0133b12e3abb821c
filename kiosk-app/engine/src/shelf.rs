//! Feed state: the verified documents of the feed. Service documents, and the statements about codes and cards.
//!
//! A document without a valid signature, a malformed one, or one older than a version seen before is rejected and
//! counted; it is never shown and does not block the ones after it. The feed state can be cached over a
//! restart in its signed form; it is then verified again as if it had just arrived.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{CodeRules, FeedItem, PublicKey, ServiceDocument, SignedDocument, UnixMs};
use serde::{Deserialize, Serialize};
use session::{Catalogue, CodeTrust};

use crate::trust::{self, Trust};

/// State of the feed (变更流): the documents in force and the cursor.
pub(crate) struct Shelf {
    key: PublicKey,
    cursor: u64,
    services: BTreeMap<String, Arc<ServiceDocument>>,
    /// The signed form of the services.
    signed: BTreeMap<String, SignedDocument>,
    /// The highest version seen of each service, withdrawn ones included: a replayed document is rejected.
    versions: BTreeMap<String, u32>,
    trust: Trust,
    refused: u64,
}

/// Parts of the feed state that changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) services: bool,
    pub(crate) codes: bool,
}

/// A [`FeedState`] as it is cached over a restart.
#[derive(Serialize, Deserialize)]
struct Kept {
    cursor: u64,
    documents: Vec<SignedDocument>,
    versions: BTreeMap<String, u32>,
    #[serde(default)]
    codes: trust::Kept,
}

impl Shelf {
    /// An empty feed state with this catalogue key and these rules for codes.
    pub(crate) fn new(key: PublicKey, rules: Option<CodeRules>) -> Self {
        Self {
            key,
            cursor: 0,
            services: BTreeMap::new(),
            signed: BTreeMap::new(),
            versions: BTreeMap::new(),
            trust: Trust::new(rules),
            refused: 0,
        }
    }

    /// Restores a snapshot. Returns an empty feed state, which is filled from the platform, when any of its documents
    /// does not verify: its cursor could then not be trusted either.
    pub(crate) fn restore(key: PublicKey, rules: Option<CodeRules>, snapshot: &[u8]) -> Self {
        let Ok(Kept { cursor, documents, versions, codes }) = serde_json::from_slice(snapshot) else {
            tracing::warn!("cached feed state is malformed, fetching the whole feed");
            return Self::new(key, rules);
        };
        let mut feed = Self::new(key.clone(), rules.clone());
        let all_valid = documents.iter().all(|document| feed.place(document));
        let trust = Trust::restore(rules.clone(), codes);
        let (true, Some(trust)) = (all_valid, trust) else {
            tracing::warn!("cached feed state has an invalid signature, fetching the whole feed");
            return Self::new(key, rules);
        };
        feed.trust = trust;
        feed.cursor = cursor;
        for (id, version) in versions {
            let seen = feed.versions.entry(id).or_default();
            *seen = version.max(*seen);
        }
        feed
    }

    /// The snapshot for [`FeedState::restore`].
    pub(crate) fn keep(&self) -> Vec<u8> {
        let documents = self.signed.values().cloned().collect();
        // Without all revocations the feed must be fetched from its beginning.
        let (cursor, codes) = match self.trust.keep() {
            Some(codes) => (self.cursor, codes),
            None => (0, trust::Kept::default()),
        };
        let snapshot = Kept { cursor, documents, versions: self.versions.clone(), codes };
        serde_json::to_vec(&snapshot).expect("a snapshot has string keys and no floats, so it is always JSON")
    }

    /// The cursor: the position in the platform's feed up to which all items were applied.
    pub(crate) const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Applies feed items in their order. Returns which parts changed.
    pub(crate) fn take(&mut self, items: Vec<FeedItem>, cursor: u64, now: UnixMs) -> Changed {
        let mut changed = Changed::default();
        for item in items {
            match item {
                FeedItem::Service { document } => changed.services |= self.place(&document),
                FeedItem::ServiceWithdrawn { id } => {
                    self.signed.remove(&id);
                    changed.services |= self.services.remove(&id).is_some();
                }
                FeedItem::IssuerKeys { list } => changed.codes |= self.trust.take_list(list),
                FeedItem::Revocations { delta } => {
                    self.trust.take_delta(delta, now);
                    // Also when the delta does not follow: the revocations are then incomplete and no code is accepted.
                    changed.codes = true;
                }
                FeedItem::CardStops { delta } => {
                    self.trust.take_stops(delta, now);
                    changed.codes = true;
                }
            }
        }
        self.cursor = cursor;
        changed
    }

    fn place(&mut self, signed: &SignedDocument) -> bool {
        if signed.verify(&self.key).is_err() {
            self.refuse("invalid signature");
            return false;
        }
        let document = match ServiceDocument::parse(&signed.text) {
            Ok(document) => document,
            Err(error) => {
                tracing::warn!(%error, "signed service document is malformed");
                self.refuse("malformed");
                return false;
            }
        };
        let seen = self.versions.get(&document.id).copied();
        if seen.is_some_and(|seen| document.version < seen) {
            self.refuse("older than a version seen before");
            return false;
        }
        let id = document.id.clone();
        if self.services.get(&id).is_some_and(|placed| **placed == document) {
            return false;
        }
        self.versions.insert(id.clone(), document.version);
        self.signed.insert(id.clone(), signed.clone());
        self.services.insert(id, Arc::new(document));
        true
    }

    fn refuse(&mut self, why: &'static str) {
        self.refused = self.refused.saturating_add(1);
        tracing::warn!(why, refused = self.refused, "service document from the feed rejected");
    }

    /// Number of documents and statements rejected since the start; for the operator.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused.saturating_add(self.trust.refused())
    }

    /// The verified statements about codes and cards, for the kiosk.
    pub(crate) fn codes(&self) -> Arc<CodeTrust> {
        self.trust.believed()
    }

    /// The services in force, for the kiosk.
    pub(crate) fn catalogue(&self) -> Catalogue {
        Catalogue { cursor: self.cursor, services: self.services.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::SecretKey;

    const BALANCE: &str = include_str!("../../../assets/services/medical-balance.toml");

    fn city() -> SecretKey {
        SecretKey::from_bytes(&[5; 32]).unwrap()
    }

    fn apply(feed: &mut Shelf, items: Vec<FeedItem>, cursor: u64) -> bool {
        feed.take(items, cursor, UnixMs(0)).services
    }

    fn signed_by(key: &SecretKey, text: &str) -> FeedItem {
        let signature = key.sign(&SignedDocument::to_be_signed(text));
        FeedItem::Service { document: SignedDocument { text: text.to_owned(), signature } }
    }

    fn version(number: u32) -> String {
        let line = BALANCE.lines().find(|line| line.starts_with("version")).unwrap();
        BALANCE.replacen(line, &format!("version = {number}"), 1)
    }

    fn offered_versions(feed: &Shelf) -> Vec<u32> {
        feed.catalogue().services.values().map(|document| document.version).collect()
    }

    #[test]
    fn signed_document_is_offered_until_later_version() {
        let mut feed = Shelf::new(city().public(), None);
        assert!(apply(&mut feed, vec![signed_by(&city(), &version(3))], 1));
        assert!(apply(&mut feed, vec![signed_by(&city(), &version(4))], 2));
        assert_eq!((offered_versions(&feed), feed.catalogue().cursor, feed.refused()), (vec![4], 2, 0));
    }

    #[test]
    fn invalid_document_is_rejected_without_blocking_others() {
        let mut feed = Shelf::new(city().public(), None);
        let stranger = SecretKey::from_bytes(&[6; 32]).unwrap();
        let malformed = signed_by(&city(), "id = 5");
        let items = vec![signed_by(&stranger, &version(9)), malformed, signed_by(&city(), &version(3))];
        assert!(apply(&mut feed, items, 3));
        assert_eq!((offered_versions(&feed), feed.refused()), (vec![3], 2));
    }

    #[test]
    fn tampered_document_is_rejected() {
        let mut feed = Shelf::new(city().public(), None);
        let FeedItem::Service { mut document } = signed_by(&city(), &version(3)) else { unreachable!() };
        document.text = version(4);
        assert!(!apply(&mut feed, vec![FeedItem::Service { document }], 1));
        assert_eq!((offered_versions(&feed), feed.refused()), (vec![], 1));
    }

    #[test]
    fn older_version_is_rejected_after_withdrawal() {
        let mut feed = Shelf::new(city().public(), None);
        apply(&mut feed, vec![signed_by(&city(), &version(4))], 1);
        let id = feed.catalogue().services.keys().next().unwrap().clone();
        assert!(apply(&mut feed, vec![FeedItem::ServiceWithdrawn { id }], 2));
        assert!(!apply(&mut feed, vec![signed_by(&city(), &version(3))], 3));
        assert_eq!((offered_versions(&feed), feed.refused()), (vec![], 1));
    }

    #[test]
    fn document_in_force_again_changes_nothing() {
        let mut feed = Shelf::new(city().public(), None);
        apply(&mut feed, vec![signed_by(&city(), &version(4))], 1);
        assert!(!apply(&mut feed, vec![signed_by(&city(), &version(4))], 1));
    }
    #[test]
    fn restore_keeps_cursor_and_versions_seen() {
        let mut feed = Shelf::new(city().public(), None);
        apply(&mut feed, vec![signed_by(&city(), &version(4))], 7);
        let mut back = Shelf::restore(city().public(), None, &feed.keep());
        assert_eq!((offered_versions(&back), back.cursor()), (vec![4], 7));
        let id = back.catalogue().services.keys().next().unwrap().clone();
        apply(&mut back, vec![FeedItem::ServiceWithdrawn { id }], 8);
        let mut back = Shelf::restore(city().public(), None, &back.keep());
        assert_eq!((offered_versions(&back), back.cursor()), (vec![], 8));
        assert!(!apply(&mut back, vec![signed_by(&city(), &version(3))], 9), "an older version stays out");
    }

    #[test]
    fn restore_of_tampered_snapshot_starts_empty() {
        let mut feed = Shelf::new(city().public(), None);
        apply(&mut feed, vec![signed_by(&city(), &version(4))], 7);
        let snapshot = String::from_utf8(feed.keep()).unwrap();
        let tampered = snapshot.replace("version = 4", "version = 5");
        assert_ne!(tampered, snapshot);
        let other_city = SecretKey::from_bytes(&[6; 32]).unwrap().public();
        for (key, snapshot) in
            [(city().public(), tampered), (other_city, snapshot), (city().public(), "{}".into())]
        {
            let back = Shelf::restore(key, None, snapshot.as_bytes());
            assert_eq!((offered_versions(&back), back.cursor()), (vec![], 0));
        }
    }
}
