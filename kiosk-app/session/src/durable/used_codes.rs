//! Codes that were accepted once and are not accepted again.

use std::collections::BTreeMap;

use contract::{Entry, USED_CODE_KEPT_MS, USED_CODES_MAX, UnixMs};
use serde::{Deserialize, Serialize};

/// Used-code records, each with the time until which it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct UsedCodes(BTreeMap<String, UnixMs>);

impl UsedCodes {
    /// Applies one entry; `now` is the platform's time as far as it is known.
    pub(super) fn apply(&mut self, entry: &Entry, now: UnixMs) {
        if let Entry::CodeUsed { code_hash, until, .. } = entry {
            // A record of version 1 has no time.
            let until = until.unwrap_or_else(|| now.plus_ms(USED_CODE_KEPT_MS));
            self.insert(code_hash.clone(), until, now);
        } else if let Entry::CodeVerified { holder, time_step: Some(step), until, .. } = entry {
            self.insert(holder.used_code_key(*step), *until, now);
        }
    }

    fn insert(&mut self, key: String, until: UnixMs, now: UnixMs) {
        self.0.retain(|_, end| *end > now);
        // The kiosk's time may be ahead of the last recorded synchronisation. It accepts no code at this limit, so the one
        // that ends first has expired for the kiosk: nothing that it still needs is dropped.
        if self.0.len() >= USED_CODES_MAX
            && let Some(first) = self.0.iter().min_by_key(|(_, end)| **end).map(|(key, _)| key.clone())
        {
            self.0.remove(&first);
        }
        self.0.insert(key, until);
    }

    /// Whether a code may be accepted: it was not before, and the limit is not reached. A used-code record is never dropped
    /// to make room for another.
    pub(crate) fn is_unused(&self, key: &str, now: UnixMs) -> bool {
        let kept = self.0.values().filter(|until| **until > now).count();
        kept < USED_CODES_MAX && self.0.get(key).is_none_or(|until| *until <= now)
    }

    #[cfg(test)]
    pub(super) const fn all(&self) -> &BTreeMap<String, UnixMs> {
        &self.0
    }
}
