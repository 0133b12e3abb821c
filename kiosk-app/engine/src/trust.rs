//! What the city said about its codes and cards: lists of issuer keys and revocations, believed only under its
//! signatures.
//!
//! A list is signed by the root key that the site file names, a delta by the key that the list names. What is not
//! is refused and counted; it never replaces what was believed before. Everything is kept over a restart as it
//! came, and checked again as if it had just come.

use std::sync::Arc;

use contract::{CardName, CodeHolder, CodeRules, IssuerKeys, Revocable, Revocations, Signed, UnixMs};
use serde::{Deserialize, Serialize};
use session::CodeTrust;

/// No more deltas are kept; with more, all are asked for again after a restart.
const KEPT_MAX: usize = 512;

/// What is believed, and the words it came in.
pub(crate) struct Trust {
    rules: Option<CodeRules>,
    believed: Arc<CodeTrust>,
    list: Option<Signed<IssuerKeys>>,
    codes: Deltas<CodeHolder>,
    cards: Deltas<CardName>,
    refused: u64,
}

/// The deltas of one kind that still say something, in their order.
struct Deltas<Who>(Vec<Delta<Who>>);

struct Delta<Who> {
    until: u64,
    /// It only lives longer than the one before.
    is_empty: bool,
    signed: Signed<Revocations<Who>>,
}

impl<Who: Revocable> Deltas<Who> {
    fn push(&mut self, delta: &Revocations<Who>, signed: Signed<Revocations<Who>>) {
        if delta.since == 0 {
            self.0.clear();
        }
        let (until, is_empty) = (delta.until, delta.revoked.is_empty());
        if is_empty {
            // It stands for the one before it that did the same.
            self.0.pop_if(|before| before.until == until && before.is_empty);
        }
        self.0.push(Delta { until, is_empty, signed });
    }

    fn signed(&self) -> Vec<Signed<Revocations<Who>>> {
        self.0.iter().map(|delta| delta.signed.clone()).collect()
    }
}

/// The same as it is kept over a restart.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    list: Option<Signed<IssuerKeys>>,
    deltas: Vec<Signed<Revocations>>,
    #[serde(default)]
    stops: Vec<Signed<Revocations<CardName>>>,
}

impl Trust {
    pub(crate) fn new(rules: Option<CodeRules>) -> Self {
        let (codes, cards) = (Deltas(Vec::new()), Deltas(Vec::new()));
        Self { rules, believed: Arc::default(), list: None, codes, cards, refused: 0 }
    }

    /// What was kept; none when anything of it is not as the city signed it.
    pub(crate) fn restore(rules: Option<CodeRules>, kept: Kept) -> Option<Self> {
        let mut trust = Self::new(rules);
        let list = kept.list.is_none_or(|list| trust.take_list(list));
        // The time is not known yet: nothing is forgotten for it.
        let deltas = kept.deltas.into_iter().all(|delta| trust.take_delta(delta, UnixMs(0)));
        let stops = kept.stops.into_iter().all(|delta| trust.take_stops(delta, UnixMs(0)));
        (list && deltas && stops).then_some(trust)
    }

    /// What [`Trust::restore`] takes; none when it would be too much.
    pub(crate) fn keep(&self) -> Option<Kept> {
        let fits = self.codes.0.len() + self.cards.0.len() <= KEPT_MAX;
        fits.then(|| Kept {
            list: self.list.clone(),
            deltas: self.codes.signed(),
            stops: self.cards.signed(),
        })
    }

    /// What the kiosk judges codes by.
    pub(crate) fn believed(&self) -> Arc<CodeTrust> {
        Arc::clone(&self.believed)
    }

    /// How many statements were refused since the start; for the operator.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes a list of keys in; whether it is believed now.
    pub(crate) fn take_list(&mut self, signed: Signed<IssuerKeys>) -> bool {
        let Some(rules) = &self.rules else { return true };
        let list = match signed.open(&rules.root_key) {
            Ok(list) if list.city == rules.city => list,
            Ok(_) => return self.refuse("it is another city's"),
            Err(error) => {
                tracing::warn!(%error, "a list of issuer keys is refused");
                return self.refuse("its root did not sign it, or it makes no sense");
            }
        };
        if !Arc::make_mut(&mut self.believed).take_keys(list) {
            return self.refuse("a later list was seen before");
        }
        self.list = Some(signed);
        true
    }

    /// Takes a delta about codes in; whether it is believed now.
    pub(crate) fn take_delta(&mut self, signed: Signed<Revocations>, now: UnixMs) -> bool {
        self.take(signed, now, CodeTrust::take_delta, |trust| &mut trust.codes)
    }

    /// The same about cards.
    pub(crate) fn take_stops(&mut self, signed: Signed<Revocations<CardName>>, now: UnixMs) -> bool {
        self.take(signed, now, CodeTrust::take_stops, |trust| &mut trust.cards)
    }

    /// `believe` says whether it follows the one before; `kept` is where its words are kept.
    fn take<Who: Revocable>(
        &mut self,
        signed: Signed<Revocations<Who>>,
        now: UnixMs,
        believe: impl FnOnce(&mut CodeTrust, &Revocations<Who>, UnixMs) -> bool,
        kept: impl FnOnce(&mut Self) -> &mut Deltas<Who>,
    ) -> bool {
        let Some(rules) = &self.rules else { return true };
        let delta = match self.open(&signed, &rules.city) {
            Ok(delta) => delta,
            Err(why) => return self.refuse(why),
        };
        if !believe(Arc::make_mut(&mut self.believed), &delta, now) {
            return self.refuse("it does not follow the one before");
        }
        kept(self).push(&delta, signed);
        true
    }

    /// What a delta says, if the city's revoker signed it.
    fn open<Who: Revocable>(
        &self,
        signed: &Signed<Revocations<Who>>,
        city: &str,
    ) -> Result<Revocations<Who>, &'static str> {
        let revoker = &self.believed.keys().ok_or("no list says who revokes")?.revoker;
        let delta = signed.open(revoker).map_err(|error| {
            tracing::warn!(%error, "a delta of revocations is refused");
            "its revoker did not sign it, or it makes no sense"
        })?;
        if delta.city == city { Ok(delta) } else { Err("it is another city's") }
    }

    fn refuse(&mut self, why: &'static str) -> bool {
        self.refused = self.refused.saturating_add(1);
        tracing::warn!(why, refused = self.refused, "a statement about codes is refused");
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

    fn delta(since: u64, expires: u64) -> Signed<Revocations> {
        let revoked = Vec::new();
        let delta = Revocations { city: "YK".into(), since, until: since, expires: UnixMs(expires), revoked };
        Signed::sign(&delta, &key(2))
    }

    #[test]
    fn keys_are_believed_under_the_root_and_revocations_under_the_list() {
        let mut trust = Trust::new(Some(rules()));
        assert!(!trust.take_delta(delta(0, 500), UnixMs(1)), "before any list");
        assert!(!trust.take_list(Signed::sign(&list(1), &key(9))), "not the root's");
        let elsewhere = IssuerKeys { city: "CD".into(), ..list(1) };
        assert!(!trust.take_list(Signed::sign(&elsewhere, &key(1))), "another city's");
        assert!(trust.take_list(Signed::sign(&list(2), &key(1))));
        assert!(!trust.take_list(Signed::sign(&list(1), &key(1))), "an earlier one");
        let forged =
            Revocations { city: "YK".into(), since: 0, until: 0, expires: UnixMs(1), revoked: Vec::new() };
        assert!(!trust.take_delta(Signed::sign(&forged, &key(1)), UnixMs(1)), "not even the root's");
        assert!(trust.take_delta(delta(0, 500), UnixMs(1)));
        assert_eq!(trust.refused(), 5);
        assert_eq!(trust.believed().keys().map(|list| list.version), Some(2));
    }

    #[test]
    fn what_was_kept_comes_back_and_what_somebody_wrote_does_not() {
        let mut trust = Trust::new(Some(rules()));
        trust.take_list(Signed::sign(&list(2), &key(1)));
        for expires in [500, 600, 700] {
            trust.take_delta(delta(0, expires), UnixMs(1));
        }
        let kept = trust.keep().unwrap();
        assert_eq!(kept.deltas.len(), 1, "only the longest-lived of those that say nothing new");
        let text = serde_json::to_string(&kept).unwrap();
        let back = Trust::restore(Some(rules()), serde_json::from_str(&text).unwrap()).unwrap();
        assert!(back.believed().keys().is_some());
        let bent = text.replace("700", "900");
        assert_ne!(bent, text);
        assert!(Trust::restore(Some(rules()), serde_json::from_str(&bent).unwrap()).is_none());
    }

    #[test]
    fn a_kiosk_that_is_told_no_root_believes_nothing_and_minds_nothing() {
        let mut trust = Trust::new(None);
        assert!(trust.take_list(Signed::sign(&list(1), &key(1))) && trust.take_delta(delta(0, 5), UnixMs(1)));
        assert!(trust.believed().keys().is_none());
    }
}
