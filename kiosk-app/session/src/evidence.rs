//! What the kiosk itself observed of a credential.

use contract::Evidence;

use crate::components::Components;
use crate::time::Now;
use crate::wording::local_time;

/// The evidence that the platform reports for a card, limited to what this kiosk observed.
pub(crate) const fn limit_to_observed(evidence: Evidence, authenticated: bool) -> Evidence {
    let proved = matches!(evidence, Evidence::CardAuthenticated | Evidence::AuthenticatedCardPin);
    if proved && !authenticated { Evidence::CardRead } else { evidence }
}

/// Whether today is not after the last day of validity, `YYYYMMDD`; true without one.
pub(crate) fn is_within_validity(components: &Components, now: Now, valid_to: Option<&str>) -> bool {
    let today = local_time(now.wall, components.setup.utc_offset_minutes).strftime("%Y%m%d").to_string();
    valid_to.is_none_or(|last_day| last_day >= today.as_str())
}
