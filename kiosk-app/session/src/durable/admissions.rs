//! Holders that a gate admitted and does not admit again for a while.

use contract::{ADMISSIONS_MAX, AdmissionSubject, Entry, UnixMs};
use serde::{Deserialize, Serialize};

/// Holders that a gate admitted, each with the time until which the holder is not admitted again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Admissions(Vec<(AdmissionSubject, UnixMs)>);

impl Admissions {
    /// Applies one entry; `now` is the platform's time as far as it is known.
    pub(super) fn apply(&mut self, entry: &Entry, now: UnixMs) {
        if let Entry::Admitted { who, also, until, .. } = entry {
            for name in std::iter::once(who).chain(also) {
                self.insert(*name, *until, now);
            }
        }
    }

    fn insert(&mut self, who: AdmissionSubject, until: UnixMs, now: UnixMs) {
        self.0.retain(|(other, end)| *other != who && *end > now);
        // The one that ends first has expired for the kiosk, which admits nobody at this limit.
        if self.0.len() >= ADMISSIONS_MAX
            && let Some(first) = self.0.iter().enumerate().min_by_key(|(_, (_, end))| *end).map(|(at, _)| at)
        {
            self.0.remove(first);
        }
        self.0.push((who, until));
    }

    /// Whether somebody with these names may be admitted: nobody who was admitted just before (防折返), and nobody at the
    /// limit.
    pub(crate) fn is_free(&self, names: &[AdmissionSubject], now: UnixMs) -> bool {
        let mut kept = self.0.iter().filter(|(_, until)| *until > now);
        let is_known = kept.clone().any(|(name, _)| names.contains(name));
        !is_known && kept.nth(ADMISSIONS_MAX - 1).is_none()
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> &[(AdmissionSubject, UnixMs)] {
        &self.0
    }
}
