//! Store of the city's signed statements about codes and cards: the list of issuer keys, and revocations.
//!
//! The list is signed with the root key that the site file names, a delta of revocations with the key that the list
//! names. A statement with another signature is rejected and counted; it never replaces an earlier one. Statements
//! are cached over a restart in their signed form, and verified again as if they had just arrived.

use std::sync::Arc;

use contract::{
    CardName, CodeHolder, CodeRules, IssuerKeys, Revocable, Revocations, SignedStatement, UnixMs,
};
use serde::{Deserialize, Serialize};
use session::CodeTrust;

/// Deltas that are cached at most; with more, all are fetched again after a restart.
const DELTAS_MAX: usize = 512;

/// The statements in force, verified, and their signed form.
pub(crate) struct TrustStore {
    rules: Option<CodeRules>,
    current: Arc<CodeTrust>,
    list: Option<SignedStatement<IssuerKeys>>,
    codes: StoredDeltas<CodeHolder>,
    cards: StoredDeltas<CardName>,
    refused: u64,
}

/// The deltas of one kind that are still needed, in their order.
struct StoredDeltas<Who>(Vec<StoredDelta<Who>>);

struct StoredDelta<Who> {
    until: u64,
    /// The delta revokes nothing; it only extends the validity of the earlier ones.
    is_empty: bool,
    signed: SignedStatement<Revocations<Who>>,
}

impl<Who: Revocable> StoredDeltas<Who> {
    fn push(&mut self, delta: &Revocations<Who>, signed: SignedStatement<Revocations<Who>>) {
        if delta.since == 0 {
            self.0.clear();
        }
        let (until, is_empty) = (delta.until, delta.revoked.is_empty());
        if is_empty {
            // Replaces an earlier delta that revoked nothing either.
            self.0.pop_if(|before| before.until == until && before.is_empty);
        }
        self.0.push(StoredDelta { until, is_empty, signed });
    }

    fn signed(&self) -> Vec<SignedStatement<Revocations<Who>>> {
        self.0.iter().map(|delta| delta.signed.clone()).collect()
    }
}

/// A [`TrustStore`] as it is cached over a restart.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct TrustSnapshot {
    list: Option<SignedStatement<IssuerKeys>>,
    deltas: Vec<SignedStatement<Revocations>>,
    #[serde(default)]
    stops: Vec<SignedStatement<Revocations<CardName>>>,
}

impl TrustStore {
    pub(crate) fn new(rules: Option<CodeRules>) -> Self {
        let (codes, cards) = (StoredDeltas(Vec::new()), StoredDeltas(Vec::new()));
        Self { rules, current: Arc::default(), list: None, codes, cards, refused: 0 }
    }

    /// Restores a snapshot; `None` when any of its statements does not verify.
    pub(crate) fn restore(rules: Option<CodeRules>, snapshot: TrustSnapshot) -> Option<Self> {
        let mut store = Self::new(rules);
        let list = snapshot.list.is_none_or(|list| store.apply_issuer_keys(list));
        // The time is not known yet: at time 0 no revocation has expired.
        let deltas = snapshot.deltas.into_iter().all(|delta| store.apply_code_revocations(delta, UnixMs(0)));
        let stops = snapshot.stops.into_iter().all(|delta| store.apply_card_revocations(delta, UnixMs(0)));
        (list && deltas && stops).then_some(store)
    }

    /// The snapshot for [`TrustStore::restore`]; `None` when it holds too many deltas.
    pub(crate) fn snapshot(&self) -> Option<TrustSnapshot> {
        let fits = self.codes.0.len() + self.cards.0.len() <= DELTAS_MAX;
        fits.then(|| TrustSnapshot {
            list: self.list.clone(),
            deltas: self.codes.signed(),
            stops: self.cards.signed(),
        })
    }

    /// The verified statements, for validating codes.
    pub(crate) fn current(&self) -> Arc<CodeTrust> {
        Arc::clone(&self.current)
    }

    /// Number of statements rejected since the start; for the operator.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Applies a list of issuer keys. Returns whether it was accepted.
    pub(crate) fn apply_issuer_keys(&mut self, signed: SignedStatement<IssuerKeys>) -> bool {
        let Some(rules) = &self.rules else { return true };
        let list = match signed.open(&rules.root_key) {
            Ok(list) if list.city == rules.city => list,
            Ok(_) => return self.count_refused("signed for another city"),
            Err(error) => {
                tracing::warn!(%error, "list of issuer keys rejected");
                return self.count_refused("not signed by the root key, or malformed");
            }
        };
        if !Arc::make_mut(&mut self.current).install_issuer_keys(list) {
            return self.count_refused("older than the list in force");
        }
        self.list = Some(signed);
        true
    }

    /// Applies revocations of codes. Returns whether they were accepted.
    pub(crate) fn apply_code_revocations(
        &mut self,
        signed: SignedStatement<Revocations>,
        now: UnixMs,
    ) -> bool {
        self.apply_revocations(signed, now, CodeTrust::apply_code_revocations, |store| &mut store.codes)
    }

    /// Applies revocations of cards. Returns whether they were accepted.
    pub(crate) fn apply_card_revocations(
        &mut self,
        signed: SignedStatement<Revocations<CardName>>,
        now: UnixMs,
    ) -> bool {
        self.apply_revocations(signed, now, CodeTrust::apply_card_revocations, |store| &mut store.cards)
    }

    /// `apply` returns whether the delta follows the previous one; `deltas` selects where its signed form is stored.
    fn apply_revocations<Who: Revocable>(
        &mut self,
        signed: SignedStatement<Revocations<Who>>,
        now: UnixMs,
        apply: impl FnOnce(&mut CodeTrust, &Revocations<Who>, UnixMs) -> bool,
        deltas: impl FnOnce(&mut Self) -> &mut StoredDeltas<Who>,
    ) -> bool {
        let Some(rules) = &self.rules else { return true };
        let delta = match self.verify_revocations(&signed, &rules.city) {
            Ok(delta) => delta,
            Err(why) => return self.count_refused(why),
        };
        if !apply(Arc::make_mut(&mut self.current), &delta, now) {
            return self.count_refused("does not follow the previous delta");
        }
        deltas(self).push(&delta, signed);
        true
    }

    /// The content of a delta, if it is signed by the city's revoker.
    fn verify_revocations<Who: Revocable>(
        &self,
        signed: &SignedStatement<Revocations<Who>>,
        city: &str,
    ) -> Result<Revocations<Who>, &'static str> {
        let revoker =
            &self.current.issuer_keys().ok_or("no list of issuer keys names the revoker yet")?.revoker;
        let delta = signed.open(revoker).map_err(|error| {
            tracing::warn!(%error, "delta of revocations rejected");
            "not signed by the revoker, or malformed"
        })?;
        if delta.city == city { Ok(delta) } else { Err("signed for another city") }
    }

    fn count_refused(&mut self, why: &'static str) -> bool {
        self.refused = self.refused.saturating_add(1);
        tracing::warn!(why, refused = self.refused, "statement about codes rejected");
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{IssuerKey, SecretKey};

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes(&[byte; 32]).unwrap()
    }

    fn rules() -> CodeRules {
        let city = "YK".to_owned();
        CodeRules { root_key: key(1).public(), city, past_s: 15, ahead_s: 15, unsynced_hours: 72 }
    }

    fn list(version: u32) -> IssuerKeys {
        let (not_before, not_after) = (UnixMs(0), UnixMs(10_000));
        IssuerKeys {
            city: "YK".into(),
            version,
            not_before,
            not_after,
            revoker: key(2).public(),
            issuers: vec![IssuerKey { id: 1, key: key(3).public(), not_before, not_after }],
        }
    }

    fn delta(since: u64, expires: u64) -> SignedStatement<Revocations> {
        let revoked = Vec::new();
        let delta = Revocations { city: "YK".into(), since, until: since, expires: UnixMs(expires), revoked };
        SignedStatement::sign(&delta, &key(2))
    }

    #[test]
    fn statements_with_wrong_signature_or_order_are_rejected() {
        let mut store = TrustStore::new(Some(rules()));
        assert!(!store.apply_code_revocations(delta(0, 500), UnixMs(1)), "before any list");
        assert!(!store.apply_issuer_keys(SignedStatement::sign(&list(1), &key(9))), "not the root's");
        let other_city = IssuerKeys { city: "CD".into(), ..list(1) };
        assert!(!store.apply_issuer_keys(SignedStatement::sign(&other_city, &key(1))), "another city's");
        assert!(store.apply_issuer_keys(SignedStatement::sign(&list(2), &key(1))));
        assert!(!store.apply_issuer_keys(SignedStatement::sign(&list(1), &key(1))), "an earlier one");
        let forged =
            Revocations { city: "YK".into(), since: 0, until: 0, expires: UnixMs(1), revoked: Vec::new() };
        assert!(
            !store.apply_code_revocations(SignedStatement::sign(&forged, &key(1)), UnixMs(1)),
            "not even the root's"
        );
        assert!(store.apply_code_revocations(delta(0, 500), UnixMs(1)));
        assert_eq!(store.refused(), 5);
        assert_eq!(store.current().issuer_keys().map(|list| list.version), Some(2));
    }

    #[test]
    fn restore_accepts_own_snapshot_and_rejects_tampered() {
        let mut store = TrustStore::new(Some(rules()));
        store.apply_issuer_keys(SignedStatement::sign(&list(2), &key(1)));
        for expires in [500, 600, 700] {
            store.apply_code_revocations(delta(0, expires), UnixMs(1));
        }
        let snapshot = store.snapshot().unwrap();
        assert_eq!(
            snapshot.deltas.len(),
            1,
            "only the delta of those without revocations that is valid longest"
        );
        let text = serde_json::to_string(&snapshot).unwrap();
        let back = TrustStore::restore(Some(rules()), serde_json::from_str(&text).unwrap()).unwrap();
        assert!(back.current().issuer_keys().is_some());
        let tampered = text.replace("700", "900");
        assert_ne!(tampered, text);
        assert!(TrustStore::restore(Some(rules()), serde_json::from_str(&tampered).unwrap()).is_none());
    }

    #[test]
    fn without_rules_statements_are_ignored() {
        let mut store = TrustStore::new(None);
        assert!(
            store.apply_issuer_keys(SignedStatement::sign(&list(1), &key(1)))
                && store.apply_code_revocations(delta(0, 5), UnixMs(1))
        );
        assert!(store.current().issuer_keys().is_none());
    }
}
