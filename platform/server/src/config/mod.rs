//! What a platform is opened with: registrations, keys, rules and documents. Nothing here changes while the platform
//! runs, and nothing here knows the database.

pub(crate) mod card_root_keys;
pub(crate) mod catalogue;
pub(crate) mod code_authority;
pub(crate) mod departments;
pub(crate) mod disclosures;
pub(crate) mod issuing_rules;
pub(crate) mod kiosks;
pub(crate) mod relying_parties;
