//! Issuer keys and revocations of the city, by which the kiosk judges codes and cards without the platform.
//!
//! All content was signed by the city and verified by the caller. No revocation is dropped to make room: a kiosk that
//! cannot hold every revocation of a kind accepts nothing of that kind without the platform.

use std::collections::BTreeMap;

use contract::{CardName, CodeHolder, IssuerKeys, Revocable, Revocations, UnixMs};
use resident_code::CodeIssuers;

/// Limit of revoked code holders kept, about 5 MB. A code is valid for a day, so this covers the phones lost in one
/// day.
const REVOKED_HOLDERS_MAX: usize = 100_000;
/// Limit of revoked cards kept, about 15 MB. A card is kept for as long as it could be valid.
const REVOKED_CARDS_MAX: usize = 300_000;

/// Issuer keys and revocations by which the kiosk judges codes and cards.
#[derive(Clone, Default)]
pub struct CodeTrust {
    issuer_keys: Option<IssuerKeys>,
    revoked_holders: RevocationList<CodeHolder>,
    revoked_cards: RevocationList<CardName>,
}

/// The revocations (吊销) of one kind.
#[derive(Clone)]
struct RevocationList<Who> {
    /// Each revoked holder or card, with the time until which it is kept.
    remembered_until: BTreeMap<Who, UnixMs>,
    /// Count of revocations so far; none until the first delta, and after a missed delta.
    sequence: Option<u64>,
    expires: UnixMs,
}

impl<Who> Default for RevocationList<Who> {
    fn default() -> Self {
        Self { remembered_until: BTreeMap::new(), sequence: None, expires: UnixMs(0) }
    }
}

impl<Who: Revocable> RevocationList<Who> {
    /// Applies a delta; false when it does not follow the current state. After a gap the list is invalid until a delta
    /// from the beginning is applied.
    fn apply_delta(&mut self, delta: &Revocations<Who>, now: UnixMs, max: usize) -> bool {
        if delta.since == 0 {
            self.remembered_until.clear();
        } else if self.sequence != Some(delta.since) {
            // A delta that was applied before adds nothing; a later one leaves a gap.
            if self.sequence.is_none_or(|upto| delta.until > upto) {
                self.sequence = None;
            }
            return false;
        }
        // In order: the last entry of a holder or card is the one in force.
        self.remembered_until.extend(delta.revoked.iter().map(|revoked| (revoked.who, revoked.ends)));
        self.remembered_until.retain(|_, ends| *ends > now);
        self.sequence = (self.remembered_until.len() <= max).then_some(delta.until);
        if self.sequence.is_none() {
            self.remembered_until.clear();
        }
        self.expires = delta.expires;
        true
    }

    fn is_current(&self, now: UnixMs) -> bool {
        self.sequence.is_some() && now < self.expires
    }
}

impl CodeTrust {
    /// Installs a list of issuer keys; false when it is older than the installed one.
    pub fn install_issuer_keys(&mut self, list: IssuerKeys) -> bool {
        let newer = self.issuer_keys.as_ref().is_none_or(|held| list.version >= held.version);
        if newer {
            self.issuer_keys = Some(list);
        }
        newer
    }

    /// The installed list of issuer keys.
    #[must_use]
    pub const fn issuer_keys(&self) -> Option<&IssuerKeys> {
        self.issuer_keys.as_ref()
    }

    /// Applies a delta of code revocations; false when it does not follow the current state. After a gap no code is
    /// accepted until a delta from the beginning is applied.
    pub fn apply_code_revocations(&mut self, delta: &Revocations, now: UnixMs) -> bool {
        self.revoked_holders.apply_delta(delta, now, REVOKED_HOLDERS_MAX)
    }

    /// Applies a delta of card revocations; false when it does not follow the current state. After a gap no card is
    /// accepted until a delta from the beginning is applied.
    pub fn apply_card_revocations(&mut self, delta: &Revocations<CardName>, now: UnixMs) -> bool {
        self.revoked_cards.apply_delta(delta, now, REVOKED_CARDS_MAX)
    }

    /// True when issuer keys and code revocations are complete and in force at this time.
    pub(crate) fn can_judge_codes(&self, now: UnixMs) -> bool {
        self.issuer_keys_in_force(now) && self.revoked_holders.is_current(now)
    }

    /// True when issuer keys and card revocations are complete and in force at this time.
    pub(crate) fn can_judge_cards(&self, now: UnixMs) -> bool {
        self.issuer_keys_in_force(now) && self.revoked_cards.is_current(now)
    }

    fn issuer_keys_in_force(&self, now: UnixMs) -> bool {
        self.issuer_keys.as_ref().is_some_and(|list| list.not_before <= now && now < list.not_after)
    }

    /// The issuers whose codes are accepted at this time.
    pub(crate) fn issuers_in_force(&self, now: UnixMs) -> CodeIssuers {
        let listed = self.issuer_keys.iter().flat_map(|list| &list.issuers);
        listed
            .filter(|issuer| issuer.not_before <= now && now < issuer.not_after)
            .map(|issuer| (issuer.id, issuer.key.clone()))
            .collect()
    }

    /// True when this holder's codes are revoked.
    pub(crate) fn is_holder_revoked(&self, holder: CodeHolder) -> bool {
        self.revoked_holders.remembered_until.contains_key(&holder)
    }

    /// True when this card is revoked.
    pub(crate) fn is_card_revoked(&self, card: CardName) -> bool {
        self.revoked_cards.remembered_until.contains_key(&card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{HexBytes, Revoked, SecretKey};

    fn holder(alias: u64) -> CodeHolder {
        CodeHolder::from_alias(&alias.to_be_bytes())
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
    fn codes_not_judged_without_current_keys_and_revocations() {
        let mut trust = CodeTrust::default();
        assert!(!trust.can_judge_codes(UnixMs(10)));
        trust.install_issuer_keys(list(1));
        assert!(!trust.can_judge_codes(UnixMs(10)), "no revocations yet");
        assert!(trust.apply_code_revocations(&delta(0, 2), UnixMs(10)));
        assert!(
            trust.can_judge_codes(UnixMs(10))
                && trust.is_holder_revoked(holder(1))
                && !trust.is_holder_revoked(holder(2))
        );
        assert!(!trust.can_judge_codes(UnixMs(1_000)));
        assert!(
            trust.apply_code_revocations(&Revocations { expires: UnixMs(1_500), ..delta(2, 2) }, UnixMs(990))
        );
        assert!(trust.can_judge_codes(UnixMs(1_499)));
    }

    #[test]
    fn missed_delta_invalidates_list_until_full_delta() {
        let mut trust = CodeTrust::default();
        trust.install_issuer_keys(list(1));
        trust.apply_code_revocations(&delta(0, 2), UnixMs(10));
        assert!(!trust.apply_code_revocations(&delta(1, 2), UnixMs(10)), "delta applied before");
        assert!(trust.can_judge_codes(UnixMs(10)));
        assert!(!trust.apply_code_revocations(&delta(3, 4), UnixMs(10)));
        assert!(!trust.can_judge_codes(UnixMs(10)));
        assert!(!trust.apply_code_revocations(&delta(2, 3), UnixMs(10)));
        assert!(trust.apply_code_revocations(&delta(0, 4), UnixMs(10)) && trust.can_judge_codes(UnixMs(10)));
    }

    #[test]
    fn older_issuer_key_list_is_rejected() {
        let mut trust = CodeTrust::default();
        assert!(trust.install_issuer_keys(list(2)) && trust.install_issuer_keys(list(2)));
        assert!(!trust.install_issuer_keys(list(1)));
        assert_eq!(trust.issuer_keys().map(|list| list.version), Some(2));
    }

    #[test]
    fn revocations_over_limit_reject_all_codes() {
        let mut trust = CodeTrust::default();
        trust.install_issuer_keys(list(1));
        trust.apply_code_revocations(&delta(0, 1), UnixMs(10));
        trust.apply_code_revocations(&delta(1, 2), UnixMs(600));
        assert!(trust.revoked_holders.remembered_until.is_empty(), "expired revocations are dropped");
        trust.apply_code_revocations(&delta(0, 100_001), UnixMs(10));
        assert!(trust.revoked_holders.remembered_until.is_empty() && !trust.can_judge_codes(UnixMs(10)));
    }

    fn stops(since: u64, entries: &[(u8, u64)]) -> Revocations<CardName> {
        let revoked: Vec<_> = entries
            .iter()
            .map(|(number, ends)| Revoked { who: card(*number), ends: UnixMs(*ends) })
            .collect();
        let until = since + revoked.len() as u64;
        Revocations { city: "YK".into(), since, until, expires: UnixMs(1_000), revoked }
    }

    fn card(number: u8) -> CardName {
        CardName::from_identification(&HexBytes([number; 16]))
    }

    #[test]
    fn card_revocations_apply_in_order() {
        let mut trust = CodeTrust::default();
        trust.install_issuer_keys(list(1));
        trust.apply_code_revocations(&delta(0, 1), UnixMs(10));
        assert!(!trust.can_judge_cards(UnixMs(10)), "code revocations do not cover cards");
        assert!(trust.apply_card_revocations(&stops(0, &[(1, 900), (2, 900), (1, 0)]), UnixMs(10)));
        assert!(
            trust.can_judge_cards(UnixMs(10))
                && !trust.is_card_revoked(card(1))
                && trust.is_card_revoked(card(2))
        );
        assert!(trust.apply_card_revocations(&stops(3, &[(2, 0), (1, 900)]), UnixMs(10)));
        assert!(trust.is_card_revoked(card(1)) && !trust.is_card_revoked(card(2)));
        assert!(!trust.apply_card_revocations(&stops(7, &[]), UnixMs(10)));
        assert!(
            !trust.can_judge_cards(UnixMs(10)) && trust.can_judge_codes(UnixMs(10)),
            "a gap in card revocations is none in code revocations"
        );
    }
}
