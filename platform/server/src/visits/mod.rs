//! Visits (办理) at kiosks: opened by a card, ID card or code, and raised to a higher level.

pub(crate) mod identify;
pub(crate) mod step_up;
