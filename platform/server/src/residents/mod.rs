//! Residents: what the card-holder base says about a person, and how much of it a screen shows.

pub(crate) mod claims;
pub(crate) mod masking;
