//! What a platform is opened with: registrations, keys and rules. Nothing here changes while the platform runs, and nothing
//! here knows the database. Services, operations and departments come with a publication, which may change.

pub(crate) mod card_root_keys;
pub(crate) mod code_authority;
pub(crate) mod departments;
pub(crate) mod disclosures;
pub(crate) mod issuing_rules;
pub(crate) mod kiosks;
pub(crate) mod relying_parties;
