//! Feed state: the verified documents of the feed. Service documents, and the statements about codes and cards.
//!
//! A document without a valid signature, a malformed one, or one older than a version seen before is rejected and
//! counted; it is never shown and does not block the ones after it. The feed state can be cached over a
//! restart in its signed form; it is then verified again as if it had just arrived.
//!
//! A feed that is read from its beginning has every service in force: the others are withdrawn at its end. Until then they stay
//! on offer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contract::{
    CodeRules, DepartmentKeys, FeedItem, PublicKey, ServiceDocument, SignedServiceDocument, SignedStatement,
    UnixMs,
};
use serde::{Deserialize, Serialize};
use session::{Catalogue, CodeTrust};
use sync::{FeedAnswer, FeedPosition};

use crate::trust_store::{self, TrustStore};

/// State of the feed (变更流): the documents in force and the cursor.
pub(crate) struct FeedState {
    key: PublicKey,
    position: FeedPosition,
    /// The services named since the feed's beginning, while it is read from there to its end.
    named: Option<BTreeSet<String>>,
    services: BTreeMap<String, Arc<ServiceDocument>>,
    /// The signed form of the services.
    signed: BTreeMap<String, SignedServiceDocument>,
    /// The highest version seen of each service, withdrawn ones included: a replayed document is rejected.
    versions: BTreeMap<String, u32>,
    trust: TrustStore,
    /// The departments that take submissions, and the signed form of the list.
    departments: Arc<DepartmentKeys>,
    signed_departments: Option<SignedStatement<DepartmentKeys>>,
    refused: u64,
}

/// Parts of the feed state that changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FeedChanges {
    pub(crate) services: bool,
    pub(crate) codes: bool,
    /// The position, or whether the whole feed was read: what is cached.
    pub(crate) position: bool,
}

/// A [`FeedState`] as it is cached over a restart.
#[derive(Serialize, Deserialize)]
struct FeedSnapshot {
    cursor: u64,
    #[serde(default)]
    feed: Option<u64>,
    /// See [`FeedPosition::compared`].
    #[serde(default)]
    compared: Option<u64>,
    documents: Vec<SignedServiceDocument>,
    versions: BTreeMap<String, u32>,
    #[serde(default)]
    codes: trust_store::TrustSnapshot,
    #[serde(default)]
    departments: Option<SignedStatement<DepartmentKeys>>,
}

impl FeedState {
    /// An empty feed state with this catalogue key and these rules for codes.
    pub(crate) fn new(key: PublicKey, rules: Option<CodeRules>) -> Self {
        Self {
            key,
            position: FeedPosition::default(),
            named: None,
            services: BTreeMap::new(),
            signed: BTreeMap::new(),
            versions: BTreeMap::new(),
            trust: TrustStore::new(rules),
            departments: Arc::new(DepartmentKeys { departments: Vec::new() }),
            signed_departments: None,
            refused: 0,
        }
    }

    /// Restores a snapshot. Returns an empty feed state, which is filled from the platform, when any of its documents
    /// does not verify: its cursor could then not be trusted either.
    pub(crate) fn restore(key: PublicKey, rules: Option<CodeRules>, snapshot: &[u8]) -> Self {
        let Ok(FeedSnapshot { cursor, feed: epoch, compared, documents, versions, codes, departments }) =
            serde_json::from_slice(snapshot)
        else {
            tracing::warn!("cached feed state is malformed, fetching the whole feed");
            return Self::new(key, rules);
        };
        let mut feed = Self::new(key.clone(), rules.clone());
        let all_valid = documents.iter().all(|document| feed.install(document))
            && departments.is_none_or(|list| feed.install_departments(list));
        let trust = TrustStore::restore(rules.clone(), codes);
        let (true, Some(trust)) = (all_valid, trust) else {
            tracing::warn!("cached feed state has an invalid signature, fetching the whole feed");
            return Self::new(key, rules);
        };
        feed.trust = trust;
        feed.position = FeedPosition { feed: epoch, cursor, compared };
        for (id, version) in versions {
            let seen = feed.versions.entry(id).or_default();
            *seen = version.max(*seen);
        }
        feed
    }

    /// The snapshot for [`FeedState::restore`].
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let documents = self.signed.values().cloned().collect();
        let FeedPosition { feed, cursor, compared } = self.position;
        // Without all revocations the feed must be fetched from its beginning; also when it was not read to its end, because
        // which services were named is not kept.
        let (cursor, codes) = match self.trust.snapshot() {
            Some(codes) if self.named.is_some() => (0, codes),
            Some(codes) => (cursor, codes),
            None => (0, trust_store::TrustSnapshot::default()),
        };
        let snapshot = FeedSnapshot {
            cursor,
            feed,
            compared,
            documents,
            versions: self.versions.clone(),
            codes,
            departments: self.signed_departments.clone(),
        };
        serde_json::to_vec(&snapshot).expect("a snapshot has string keys and no floats, so it is always JSON")
    }

    /// The position in the platform's feed up to which all items were applied.
    pub(crate) const fn position(&self) -> FeedPosition {
        self.position
    }

    /// Notes with which feed the log was compared. Returns whether that is new.
    pub(crate) fn note_compared(&mut self, compared: Option<u64>) -> bool {
        let before = std::mem::replace(&mut self.position.compared, compared);
        before != compared
    }

    /// Applies an answer of the feed. Returns which parts changed.
    pub(crate) fn apply(&mut self, answer: FeedAnswer, now: UnixMs) -> FeedChanges {
        match answer {
            FeedAnswer::Items { items, position, is_first } => {
                let was_reading = !is_first && self.named.is_some();
                if is_first {
                    self.named = Some(BTreeSet::new());
                }
                let is_end = items.is_empty();
                let mut changed = self.apply_items(items, now);
                changed.position = position != self.position;
                self.position = position;
                if is_end && let Some(named) = self.named.take() {
                    let before = self.services.len();
                    self.services.retain(|id, _| named.contains(id));
                    self.signed.retain(|id, _| named.contains(id));
                    let is_withdrawn = self.services.len() != before;
                    changed.services |= is_withdrawn;
                    // Not for each answer of an empty feed: the cache is on a flash disk.
                    changed.position |= was_reading || is_withdrawn;
                }
                changed
            }
            FeedAnswer::OtherFeed { position } => {
                self.named = None;
                self.position = position;
                FeedChanges { position: true, ..FeedChanges::default() }
            }
        }
    }

    /// Applies feed items in their order.
    fn apply_items(&mut self, items: Vec<FeedItem>, now: UnixMs) -> FeedChanges {
        let mut changed = FeedChanges::default();
        for item in items {
            match item {
                FeedItem::Service { document } => changed.services |= self.install(&document),
                FeedItem::ServiceWithdrawn { id } => {
                    self.signed.remove(&id);
                    changed.services |= self.services.remove(&id).is_some();
                }
                FeedItem::IssuerKeys { list } => changed.codes |= self.trust.apply_issuer_keys(list),
                FeedItem::Revocations { delta } => {
                    self.trust.apply_code_revocations(delta, now);
                    // Also when the delta does not follow: the revocations are then incomplete and no code is accepted.
                    changed.codes = true;
                }
                FeedItem::CardRevocations { delta } => {
                    self.trust.apply_card_revocations(delta, now);
                    changed.codes = true;
                }
                FeedItem::DepartmentKeys { list } => changed.services |= self.install_departments(list),
            }
        }
        changed
    }

    /// Whether the list is another than before.
    fn install_departments(&mut self, list: SignedStatement<DepartmentKeys>) -> bool {
        let keys = match list.open(&self.key) {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(%error, "list of departments is invalid");
                self.count_refused("list of departments is invalid");
                return false;
            }
        };
        let is_new = *self.departments != keys;
        (self.departments, self.signed_departments) = (Arc::new(keys), Some(list));
        is_new
    }

    fn install(&mut self, signed: &SignedServiceDocument) -> bool {
        if signed.verify(&self.key).is_err() {
            self.count_refused("invalid signature");
            return false;
        }
        let document = match ServiceDocument::parse(&signed.text) {
            Ok(document) => document,
            Err(error) => {
                tracing::warn!(%error, "signed service document is malformed");
                self.count_refused("malformed");
                return false;
            }
        };
        // Also when this version is refused: the service is in force, in the version that was seen.
        if let Some(named) = &mut self.named {
            named.insert(document.id.clone());
        }
        let seen = self.versions.get(&document.id).copied();
        if seen.is_some_and(|seen| document.version < seen) {
            self.count_refused("older than a version seen before");
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

    fn count_refused(&mut self, why: &'static str) {
        self.refused = self.refused.saturating_add(1);
        tracing::warn!(why, refused = self.refused, "service document from the feed rejected");
    }

    /// Number of documents and statements rejected since the start; for the operator.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused.saturating_add(self.trust.refused())
    }

    /// The verified statements about codes and cards, for the kiosk.
    pub(crate) fn codes(&self) -> Arc<CodeTrust> {
        self.trust.current()
    }

    /// The services in force, for the kiosk.
    pub(crate) fn catalogue(&self) -> Catalogue {
        Catalogue {
            cursor: self.position.cursor,
            services: self.services.clone(),
            departments: Arc::clone(&self.departments),
        }
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

    fn apply(feed: &mut FeedState, items: Vec<FeedItem>, cursor: u64) -> bool {
        let position = FeedPosition { feed: Some(1), cursor, compared: None };
        feed.apply(FeedAnswer::Items { items, position, is_first: false }, UnixMs(0)).services
    }

    fn signed_by(key: &SecretKey, text: &str) -> FeedItem {
        let signature = key.sign(&SignedServiceDocument::to_be_signed(text));
        FeedItem::Service { document: SignedServiceDocument { text: text.to_owned(), signature } }
    }

    fn version(number: u32) -> String {
        let line = BALANCE.lines().find(|line| line.starts_with("version")).unwrap();
        BALANCE.replacen(line, &format!("version = {number}"), 1)
    }

    fn offered_versions(feed: &FeedState) -> Vec<u32> {
        feed.catalogue().services.values().map(|document| document.version).collect()
    }

    #[test]
    fn signed_document_is_offered_until_later_version() {
        let mut feed = FeedState::new(city().public(), None);
        assert!(apply(&mut feed, vec![signed_by(&city(), &version(3))], 1));
        assert!(apply(&mut feed, vec![signed_by(&city(), &version(4))], 2));
        assert_eq!((offered_versions(&feed), feed.catalogue().cursor, feed.refused()), (vec![4], 2, 0));
    }

    #[test]
    fn invalid_document_is_rejected_without_blocking_others() {
        let mut feed = FeedState::new(city().public(), None);
        let stranger = SecretKey::from_bytes(&[6; 32]).unwrap();
        let malformed = signed_by(&city(), "id = 5");
        let items = vec![signed_by(&stranger, &version(9)), malformed, signed_by(&city(), &version(3))];
        assert!(apply(&mut feed, items, 3));
        assert_eq!((offered_versions(&feed), feed.refused()), (vec![3], 2));
    }

    #[test]
    fn tampered_document_is_rejected() {
        let mut feed = FeedState::new(city().public(), None);
        let FeedItem::Service { mut document } = signed_by(&city(), &version(3)) else { unreachable!() };
        document.text = version(4);
        assert!(!apply(&mut feed, vec![FeedItem::Service { document }], 1));
        assert_eq!((offered_versions(&feed), feed.refused()), (vec![], 1));
    }

    #[test]
    fn departments_of_the_city_are_known_over_a_restart() {
        let list = |key: &SecretKey, id: &str| {
            let name = contract::Bilingual { zh: "供水".into(), en: "Water".into() };
            let department = contract::DepartmentKey { id: id.parse().unwrap(), name, key: city().public() };
            let keys = DepartmentKeys { departments: vec![department] };
            FeedItem::DepartmentKeys { list: SignedStatement::sign(&keys, key) }
        };
        let known = |feed: &FeedState| {
            let keys = feed.catalogue().departments;
            keys.departments.iter().map(|department| department.id.to_string()).collect::<Vec<_>>()
        };
        let mut feed = FeedState::new(city().public(), None);
        let stranger = SecretKey::from_bytes(&[6; 32]).unwrap();
        assert!(!apply(&mut feed, vec![list(&stranger, "fraud")], 1));
        assert!(apply(&mut feed, vec![list(&city(), "water")], 2));
        assert!(!apply(&mut feed, vec![list(&city(), "water")], 3), "the same list changes nothing");
        assert_eq!((known(&feed), feed.refused()), (vec!["water".to_owned()], 1));

        let back = FeedState::restore(city().public(), None, &feed.snapshot());
        assert_eq!(known(&back), ["water"]);
        let other = FeedState::restore(stranger.public(), None, &feed.snapshot());
        assert_eq!(known(&other), Vec::<String>::new(), "a list of another key is not restored");
    }

    #[test]
    fn older_version_is_rejected_after_withdrawal() {
        let mut feed = FeedState::new(city().public(), None);
        apply(&mut feed, vec![signed_by(&city(), &version(4))], 1);
        let id = feed.catalogue().services.keys().next().unwrap().clone();
        assert!(apply(&mut feed, vec![FeedItem::ServiceWithdrawn { id }], 2));
        assert!(!apply(&mut feed, vec![signed_by(&city(), &version(3))], 3));
        assert_eq!((offered_versions(&feed), feed.refused()), (vec![], 1));
    }

    #[test]
    fn document_in_force_again_changes_nothing() {
        let mut feed = FeedState::new(city().public(), None);
        apply(&mut feed, vec![signed_by(&city(), &version(4))], 1);
        assert!(!apply(&mut feed, vec![signed_by(&city(), &version(4))], 1));
    }
    #[test]
    fn restore_keeps_cursor_and_versions_seen() {
        let mut feed = FeedState::new(city().public(), None);
        apply(&mut feed, vec![signed_by(&city(), &version(4))], 7);
        let mut back = FeedState::restore(city().public(), None, &feed.snapshot());
        assert_eq!((offered_versions(&back), back.position().cursor), (vec![4], 7));
        let id = back.catalogue().services.keys().next().unwrap().clone();
        apply(&mut back, vec![FeedItem::ServiceWithdrawn { id }], 8);
        let mut back = FeedState::restore(city().public(), None, &back.snapshot());
        assert_eq!((offered_versions(&back), back.position().cursor), (vec![], 8));
        assert!(!apply(&mut back, vec![signed_by(&city(), &version(3))], 9), "an older version stays out");
    }

    #[test]
    fn restore_of_tampered_snapshot_starts_empty() {
        let mut feed = FeedState::new(city().public(), None);
        apply(&mut feed, vec![signed_by(&city(), &version(4))], 7);
        let snapshot = String::from_utf8(feed.snapshot()).unwrap();
        let tampered = snapshot.replace("version = 4", "version = 5");
        assert_ne!(tampered, snapshot);
        let other_city = SecretKey::from_bytes(&[6; 32]).unwrap().public();
        for (key, snapshot) in
            [(city().public(), tampered), (other_city, snapshot), (city().public(), "{}".into())]
        {
            let back = FeedState::restore(key, None, snapshot.as_bytes());
            assert_eq!((offered_versions(&back), back.position().cursor), (vec![], 0));
        }
    }

    #[test]
    fn service_that_a_restored_feed_lacks_is_withdrawn_at_its_end() {
        let mut feed = FeedState::new(city().public(), None);
        apply(&mut feed, vec![signed_by(&city(), &version(4))], 7);
        let position = FeedPosition { feed: Some(2), cursor: 0, compared: None };
        assert!(feed.apply(FeedAnswer::OtherFeed { position }, UnixMs(0)).position);
        let other = version(4).replacen("medical.balance", "medical.other", 1);
        let position = FeedPosition { feed: Some(2), cursor: 7, compared: None };
        let items = vec![signed_by(&city(), &other)];
        feed.apply(FeedAnswer::Items { items, position, is_first: true }, UnixMs(0));
        assert_eq!(offered_versions(&feed).len(), 2, "both are offered until the feed's end");
        // A restart in between begins again.
        assert_eq!(
            FeedState::restore(city().public(), None, &feed.snapshot()).position(),
            FeedPosition { feed: Some(2), cursor: 0, compared: None }
        );
        assert!(apply(&mut feed, Vec::new(), 7));
        assert!(feed.catalogue().services.keys().eq(["medical.other"]));
        assert_eq!(FeedState::restore(city().public(), None, &feed.snapshot()).position().cursor, 7);
    }

    #[test]
    fn empty_feed_is_cached_once() {
        let mut feed = FeedState::new(city().public(), None);
        let position = FeedPosition { feed: Some(2), ..FeedPosition::default() };
        let answer = || FeedAnswer::Items { items: Vec::new(), position, is_first: true };
        assert!(feed.apply(answer(), UnixMs(0)).position);
        assert!(!feed.apply(answer(), UnixMs(0)).position);
    }

    #[test]
    fn snapshot_of_version_2_has_no_feed_epoch() {
        let mut feed = FeedState::new(city().public(), None);
        apply(&mut feed, vec![signed_by(&city(), &version(4))], 7);
        let mut old: serde_json::Value = serde_json::from_slice(&feed.snapshot()).unwrap();
        assert!(old.as_object_mut().unwrap().remove("feed").is_some());
        let back = FeedState::restore(city().public(), None, old.to_string().as_bytes());
        assert_eq!(back.position(), FeedPosition { feed: None, cursor: 7, compared: None });
    }
}
