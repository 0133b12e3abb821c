//! The shelf: what the feed brought and the city's keys vouch for. Service documents, and whose codes are accepted.
//!
//! A document that is not signed, does not make sense or is older than one seen before is refused and
//! counted; it is never shown and never stops what comes after it. What is on the shelf can be kept over a
//! restart, as it came; it is then checked again as if it had just come.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{CodeRules, FeedItem, PublicKey, ServiceDocument, SignedDocument, UnixMs};
use serde::{Deserialize, Serialize};
use session::{Catalogue, CodeTrust};

use crate::trust::{self, Trust};

/// Documents in force.
pub(crate) struct Shelf {
    key: PublicKey,
    cursor: u64,
    services: BTreeMap<String, Arc<ServiceDocument>>,
    /// The same as they came.
    signed: BTreeMap<String, SignedDocument>,
    /// The highest version of each service seen, also of those withdrawn: a replayed document stays out.
    versions: BTreeMap<String, u32>,
    trust: Trust,
    refused: u64,
}

/// What of a shelf changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) services: bool,
    pub(crate) codes: bool,
}

/// A shelf as it is kept over a restart.
#[derive(Serialize, Deserialize)]
struct Kept {
    cursor: u64,
    documents: Vec<SignedDocument>,
    versions: BTreeMap<String, u32>,
    #[serde(default)]
    codes: trust::Kept,
}

impl Shelf {
    /// An empty shelf under this catalogue key, and these rules for codes.
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

    /// The shelf that was kept. An empty one, which is filled from the platform, when anything of it is not
    /// as the city signed it: its place in the feed could then not be trusted either.
    pub(crate) fn restore(key: PublicKey, rules: Option<CodeRules>, kept: &[u8]) -> Self {
        let Ok(Kept { cursor, documents, versions, codes }) = serde_json::from_slice(kept) else {
            tracing::warn!("the services that were kept cannot be read and are asked for again");
            return Self::new(key, rules);
        };
        let mut shelf = Self::new(key.clone(), rules.clone());
        let whole = documents.iter().all(|document| shelf.place(document));
        let trust = Trust::restore(rules.clone(), codes);
        let (true, Some(trust)) = (whole, trust) else {
            tracing::warn!("something that was kept is not as the city signed it: all is asked for again");
            return Self::new(key, rules);
        };
        shelf.trust = trust;
        shelf.cursor = cursor;
        for (id, version) in versions {
            let seen = shelf.versions.entry(id).or_default();
            *seen = version.max(*seen);
        }
        shelf
    }

    /// What [`Shelf::restore`] takes.
    pub(crate) fn keep(&self) -> Vec<u8> {
        let documents = self.signed.values().cloned().collect();
        // Without all revocations the feed must be asked from its beginning.
        let (cursor, codes) = match self.trust.keep() {
            Some(codes) => (self.cursor, codes),
            None => (0, trust::Kept::default()),
        };
        let kept = Kept { cursor, documents, versions: self.versions.clone(), codes };
        serde_json::to_vec(&kept).expect("a shelf has string keys and no floats, so it is always JSON")
    }

    /// The place in the platform's feed up to which everything was taken.
    pub(crate) const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Takes changes in, in their order; what on the shelf changed.
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
                    // Also when it does not follow: then nothing is believed any more.
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
            self.refuse("its signature does not verify");
            return false;
        }
        let document = match ServiceDocument::parse(&signed.text) {
            Ok(document) => document,
            Err(error) => {
                tracing::warn!(%error, "a signed service document does not make sense");
                self.refuse("it does not make sense");
                return false;
            }
        };
        let seen = self.versions.get(&document.id).copied();
        if seen.is_some_and(|seen| document.version < seen) {
            self.refuse("a later version was seen before");
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
        tracing::warn!(why, refused = self.refused, "a service document from the feed is refused");
    }

    /// How many documents were refused since the start; for the operator.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused.saturating_add(self.trust.refused())
    }

    /// Whose codes are accepted, as the kiosk takes it.
    pub(crate) fn codes(&self) -> Arc<CodeTrust> {
        self.trust.believed()
    }

    /// The services in force, as the kiosk takes them.
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

    fn take(shelf: &mut Shelf, items: Vec<FeedItem>, cursor: u64) -> bool {
        shelf.take(items, cursor, UnixMs(0)).services
    }

    fn signed_by(key: &SecretKey, text: &str) -> FeedItem {
        let signature = key.sign(&SignedDocument::to_be_signed(text));
        FeedItem::Service { document: SignedDocument { text: text.to_owned(), signature } }
    }

    fn version(number: u32) -> String {
        let line = BALANCE.lines().find(|line| line.starts_with("version")).unwrap();
        BALANCE.replacen(line, &format!("version = {number}"), 1)
    }

    fn on(shelf: &Shelf) -> Vec<u32> {
        shelf.catalogue().services.values().map(|document| document.version).collect()
    }

    #[test]
    fn a_signed_document_is_offered_and_a_later_version_replaces_it() {
        let mut shelf = Shelf::new(city().public(), None);
        assert!(take(&mut shelf, vec![signed_by(&city(), &version(3))], 1));
        assert!(take(&mut shelf, vec![signed_by(&city(), &version(4))], 2));
        assert_eq!((on(&shelf), shelf.catalogue().cursor, shelf.refused()), (vec![4], 2, 0));
    }

    #[test]
    fn a_document_that_the_city_did_not_sign_is_refused_and_stops_nothing() {
        let mut shelf = Shelf::new(city().public(), None);
        let stranger = SecretKey::from_bytes(&[6; 32]).unwrap();
        let nonsense = signed_by(&city(), "id = 5");
        let items = vec![signed_by(&stranger, &version(9)), nonsense, signed_by(&city(), &version(3))];
        assert!(take(&mut shelf, items, 3));
        assert_eq!((on(&shelf), shelf.refused()), (vec![3], 2));
    }

    #[test]
    fn a_changed_text_under_an_old_signature_is_refused() {
        let mut shelf = Shelf::new(city().public(), None);
        let FeedItem::Service { mut document } = signed_by(&city(), &version(3)) else { unreachable!() };
        document.text = version(4);
        assert!(!take(&mut shelf, vec![FeedItem::Service { document }], 1));
        assert_eq!((on(&shelf), shelf.refused()), (vec![], 1));
    }

    #[test]
    fn an_older_version_stays_out_even_after_the_service_was_withdrawn() {
        let mut shelf = Shelf::new(city().public(), None);
        take(&mut shelf, vec![signed_by(&city(), &version(4))], 1);
        let id = shelf.catalogue().services.keys().next().unwrap().clone();
        assert!(take(&mut shelf, vec![FeedItem::ServiceWithdrawn { id }], 2));
        assert!(!take(&mut shelf, vec![signed_by(&city(), &version(3))], 3));
        assert_eq!((on(&shelf), shelf.refused()), (vec![], 1));
    }

    #[test]
    fn what_is_there_already_changes_nothing() {
        let mut shelf = Shelf::new(city().public(), None);
        take(&mut shelf, vec![signed_by(&city(), &version(4))], 1);
        assert!(!take(&mut shelf, vec![signed_by(&city(), &version(4))], 1));
    }
    #[test]
    fn a_shelf_that_was_kept_comes_back_with_its_place_in_the_feed_and_the_versions_it_saw() {
        let mut shelf = Shelf::new(city().public(), None);
        take(&mut shelf, vec![signed_by(&city(), &version(4))], 7);
        let mut back = Shelf::restore(city().public(), None, &shelf.keep());
        assert_eq!((on(&back), back.cursor()), (vec![4], 7));
        let id = back.catalogue().services.keys().next().unwrap().clone();
        take(&mut back, vec![FeedItem::ServiceWithdrawn { id }], 8);
        let mut back = Shelf::restore(city().public(), None, &back.keep());
        assert_eq!((on(&back), back.cursor()), (vec![], 8));
        assert!(!take(&mut back, vec![signed_by(&city(), &version(3))], 9), "an older version stays out");
    }

    #[test]
    fn a_shelf_that_somebody_else_wrote_is_left_empty_and_filled_from_the_start_of_the_feed() {
        let mut shelf = Shelf::new(city().public(), None);
        take(&mut shelf, vec![signed_by(&city(), &version(4))], 7);
        let kept = String::from_utf8(shelf.keep()).unwrap();
        let bent = kept.replace("version = 4", "version = 5");
        assert_ne!(bent, kept);
        let other_city = SecretKey::from_bytes(&[6; 32]).unwrap().public();
        for (key, kept) in [(city().public(), bent), (other_city, kept), (city().public(), "{}".into())] {
            let back = Shelf::restore(key, None, kept.as_bytes());
            assert_eq!((on(&back), back.cursor()), (vec![], 0));
        }
    }
}
