//! The card-holder base (持卡人基础库): residents and their cards, maintained by the service desks of the card issuer, and
//! card authentication for kiosks.
//!
//! Codes depend on cards: while a resident has no card in force, none of the resident's codes is accepted and none is
//! issued. When the card is restored, or a new one activated, the bound phone fetches a new certificate.

pub(crate) mod card_authentication;
mod change_log;
pub(crate) mod desk_api;
mod import;
pub(crate) mod life_cycle;
mod pin_reset;
pub(crate) mod states;
