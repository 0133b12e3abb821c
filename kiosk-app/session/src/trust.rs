//! Whose codes and which cards the kiosk accepts by its own judgement: the city's issuer keys, and who is revoked.
//!
//! Everything in here was signed by the city and checked by whoever filled it. It forgets nothing to make
//! room: a kiosk that cannot hold every revocation of a kind accepts nothing of that kind by itself.

use std::collections::BTreeMap;

use contract::{CardName, CodeHolder, IssuerKeys, Revocable, Revocations, UnixMs};
use resident_code::{Issuers, PublicKey};

/// Most revoked codes that are held, some 5 MB. A code lives a day, so that is many phones lost in one day.
const CODES_MAX: usize = 100_000;
/// Most cards not in force that are held, some 15 MB. A card is remembered for as long as it could be valid.
const CARDS_MAX: usize = 300_000;

/// What the kiosk judges codes and cards by.
#[derive(Clone, Default)]
pub struct CodeTrust {
    keys: Option<IssuerKeys>,
    codes: Revoked<CodeHolder>,
    cards: Revoked<CardName>,
}

/// The revocations of one kind.
#[derive(Clone)]
struct Revoked<Who> {
    /// Each with the time until which it is remembered.
    names: BTreeMap<Who, UnixMs>,
    /// How many revocations there were; none until the first delta, and after one was missed.
    upto: Option<u64>,
    expires: UnixMs,
}

impl<Who> Default for Revoked<Who> {
    fn default() -> Self {
        Self { names: BTreeMap::new(), upto: None, expires: UnixMs(0) }
    }
}

impl<Who: Revocable> Revoked<Who> {
    /// Takes a delta; false when it does not follow what is held. After a gap nothing is held until a delta from the
    /// beginning came.
    fn take(&mut self, delta: &Revocations<Who>, now: UnixMs, max: usize) -> bool {
        if delta.since == 0 {
            self.names.clear();
        } else if self.upto != Some(delta.since) {
            // One that was taken before says nothing new; one from further on leaves a gap.
            if self.upto.is_none_or(|upto| delta.until > upto) {
                self.upto = None;
            }
            return false;
        }
        // In their order: what was said last of a name holds.
        self.names.extend(delta.revoked.iter().map(|revoked| (revoked.who, revoked.ends)));
        self.names.retain(|_, ends| *ends > now);
        self.upto = (self.names.len() <= max).then_some(delta.until);
        if self.upto.is_none() {
            self.names.clear();
        }
        self.expires = delta.expires;
        true
    }

    fn holds(&self, now: UnixMs) -> bool {
        self.upto.is_some() && now < self.expires
    }
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
        self.codes.take(delta, now, CODES_MAX)
    }

    /// The same of cards.
    pub fn take_stops(&mut self, delta: &Revocations<CardName>, now: UnixMs) -> bool {
        self.cards.take(delta, now, CARDS_MAX)
    }

    /// Whether codes can be judged at this time.
    pub(crate) fn holds(&self, now: UnixMs) -> bool {
        self.listed(now) && self.codes.holds(now)
    }

    /// Whether it can be said at this time which cards are not in force.
    pub(crate) fn holds_cards(&self, now: UnixMs) -> bool {
        self.listed(now) && self.cards.holds(now)
    }

    fn listed(&self, now: UnixMs) -> bool {
        self.keys.as_ref().is_some_and(|list| list.not_before <= now && now < list.not_after)
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
        self.codes.names.contains_key(&holder)
    }

    /// Whether this card is not in force.
    pub(crate) fn is_stopped(&self, card: CardName) -> bool {
        self.cards.names.contains_key(&card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{HexBytes, Revoked, SecretKey};

    fn holder(alias: u64) -> CodeHolder {
        CodeHolder::of(&alias.to_be_bytes())
    }

    fn delta(since: u64, until: u64) -> Revocations {
        let revoked = (since..until).map(|at| Revoked { who: holder(at), ends: UnixMs(500) }).collect();
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
        assert!(trust.codes.names.is_empty(), "whose codes have ended is forgotten");
        trust.take_delta(&delta(0, 100_001), UnixMs(10));
        assert!(trust.codes.names.is_empty() && !trust.holds(UnixMs(10)));
    }

    fn stops(since: u64, said: &[(u8, u64)]) -> Revocations<CardName> {
        let revoked: Vec<_> =
            said.iter().map(|(number, ends)| Revoked { who: card(*number), ends: UnixMs(*ends) }).collect();
        let until = since + revoked.len() as u64;
        Revocations { city: "YK".into(), since, until, expires: UnixMs(1_000), revoked }
    }

    fn card(number: u8) -> CardName {
        CardName::of(&HexBytes([number; 16]))
    }

    #[test]
    fn cards_are_stopped_and_restored_in_the_order_in_which_it_was_said() {
        let mut trust = CodeTrust::default();
        trust.take_keys(list(1));
        trust.take_delta(&delta(0, 1), UnixMs(10));
        assert!(!trust.holds_cards(UnixMs(10)), "what is known of codes says nothing of cards");
        assert!(trust.take_stops(&stops(0, &[(1, 900), (2, 900), (1, 0)]), UnixMs(10)));
        assert!(trust.holds_cards(UnixMs(10)) && !trust.is_stopped(card(1)) && trust.is_stopped(card(2)));
        assert!(trust.take_stops(&stops(3, &[(2, 0), (1, 900)]), UnixMs(10)));
        assert!(trust.is_stopped(card(1)) && !trust.is_stopped(card(2)));
        assert!(!trust.take_stops(&stops(7, &[]), UnixMs(10)));
        assert!(
            !trust.holds_cards(UnixMs(10)) && trust.holds(UnixMs(10)),
            "a gap in one is none in the other"
        );
    }
}
