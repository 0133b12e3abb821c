//! Whose codes the kiosk accepts by its own judgement: the city's issuer keys, and who is revoked.
//!
//! Everything in here was signed by the city and checked by whoever filled it. It forgets nothing to make
//! room: a kiosk that cannot hold every revocation accepts no code by itself.

use std::collections::BTreeMap;

use contract::{CodeHolder, IssuerKeys, Revocations, UnixMs};
use resident_code::{Issuers, PublicKey};

/// Most revocations that are held, some 5 MB. A code lives a day, so that is many phones lost in one day.
const REVOKED_MAX: usize = 100_000;

/// What the kiosk judges codes by.
#[derive(Clone, Default)]
pub struct CodeTrust {
    keys: Option<IssuerKeys>,
    /// Each with the end of its last code.
    revoked: BTreeMap<CodeHolder, UnixMs>,
    /// How many revocations there were; none until the first delta, and after one was missed.
    upto: Option<u64>,
    expires: UnixMs,
}

impl CodeTrust {
    /// Takes a list of issuer keys; false when it is older than the one held.
    pub fn take_keys(&mut self, list: IssuerKeys) -> bool {
        let newer = self.keys.as_ref().is_none_or(|held| list.version >= held.version);
        if newer {
            self.keys = Some(list);
        }
        newer
    }

    /// The list that is held.
    #[must_use]
    pub const fn keys(&self) -> Option<&IssuerKeys> {
        self.keys.as_ref()
    }

    /// Takes a delta; false when it does not follow what is held. After a gap no code is accepted until a delta from
    /// the beginning came.
    pub fn take_delta(&mut self, delta: &Revocations, now: UnixMs) -> bool {
        if delta.since == 0 {
            self.revoked.clear();
        } else if self.upto != Some(delta.since) {
            // One that was taken before says nothing new; one from further on leaves a gap.
            if self.upto.is_none_or(|upto| delta.until > upto) {
                self.upto = None;
            }
            return false;
        }
        self.revoked.retain(|_, ends| *ends > now);
        for revoked in &delta.revoked {
            let ends = self.revoked.entry(revoked.holder).or_default();
            *ends = revoked.ends.max(*ends);
        }
        self.upto = (self.revoked.len() <= REVOKED_MAX).then_some(delta.until);
        if self.upto.is_none() {
            self.revoked.clear();
        }
        self.expires = delta.expires;
        true
    }

    /// Whether codes can be judged at this time.
    pub(crate) fn holds(&self, now: UnixMs) -> bool {
        let list = self.keys.as_ref().is_some_and(|list| list.not_before <= now && now < list.not_after);
        list && self.upto.is_some() && now < self.expires
    }

    /// The issuers whose codes are accepted at this time.
    pub(crate) fn issuers(&self, now: UnixMs) -> Issuers {
        let listed = self.keys.iter().flat_map(|list| &list.issuers);
        listed
            .filter(|issuer| issuer.not_before <= now && now < issuer.not_after)
            .filter_map(|issuer| Some((issuer.id, PublicKey::from_bytes(&issuer.key.to_compressed()).ok()?)))
            .collect()
    }

    /// Whether this holder's codes were reported lost.
    pub(crate) fn is_revoked(&self, holder: CodeHolder) -> bool {
        self.revoked.contains_key(&holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Revoked, SecretKey};

    fn holder(alias: u64) -> CodeHolder {
        CodeHolder::of(&alias.to_be_bytes())
    }

    fn delta(since: u64, until: u64) -> Revocations {
        let revoked = (since..until).map(|at| Revoked { holder: holder(at), ends: UnixMs(500) }).collect();
        Revocations { city: "YK".into(), since, until, expires: UnixMs(1_000), revoked }
    }

    fn list(version: u32) -> IssuerKeys {
        IssuerKeys {
            city: "YK".into(),
            version,
            not_before: UnixMs(0),
            not_after: UnixMs(2_000),
            revoker: SecretKey::from_bytes(&[9; 32]).unwrap().public(),
            issuers: Vec::new(),
        }
    }

    #[test]
    fn nothing_is_judged_before_keys_and_revocations_are_there_nor_after_they_expire() {
        let mut trust = CodeTrust::default();
        assert!(!trust.holds(UnixMs(10)));
        trust.take_keys(list(1));
        assert!(!trust.holds(UnixMs(10)), "until revocations are there");
        assert!(trust.take_delta(&delta(0, 2), UnixMs(10)));
        assert!(trust.holds(UnixMs(10)) && trust.is_revoked(holder(1)) && !trust.is_revoked(holder(2)));
        assert!(!trust.holds(UnixMs(1_000)));
        assert!(trust.take_delta(&Revocations { expires: UnixMs(1_500), ..delta(2, 2) }, UnixMs(990)));
        assert!(trust.holds(UnixMs(1_499)));
    }

    #[test]
    fn a_missed_delta_is_noticed_and_only_a_beginning_mends_it() {
        let mut trust = CodeTrust::default();
        trust.take_keys(list(1));
        trust.take_delta(&delta(0, 2), UnixMs(10));
        assert!(!trust.take_delta(&delta(1, 2), UnixMs(10)), "an old one again");
        assert!(trust.holds(UnixMs(10)));
        assert!(!trust.take_delta(&delta(3, 4), UnixMs(10)));
        assert!(!trust.holds(UnixMs(10)));
        assert!(!trust.take_delta(&delta(2, 3), UnixMs(10)));
        assert!(trust.take_delta(&delta(0, 4), UnixMs(10)) && trust.holds(UnixMs(10)));
    }

    #[test]
    fn an_earlier_list_of_keys_stays_out() {
        let mut trust = CodeTrust::default();
        assert!(trust.take_keys(list(2)) && trust.take_keys(list(2)));
        assert!(!trust.take_keys(list(1)));
        assert_eq!(trust.keys().map(|list| list.version), Some(2));
    }

    #[test]
    fn memory_is_bounded_and_too_many_revocations_close_the_door_instead_of_opening_it() {
        let mut trust = CodeTrust::default();
        trust.take_keys(list(1));
        trust.take_delta(&delta(0, 1), UnixMs(10));
        trust.take_delta(&delta(1, 2), UnixMs(600));
        assert_eq!(trust.revoked.len(), 1, "whose codes have ended is forgotten");
        trust.take_delta(&delta(0, 100_001), UnixMs(10));
        assert!(trust.revoked.is_empty() && !trust.holds(UnixMs(10)));
    }
}
