//! Pages for people: a receipt fetched by its number, and the operator's overview.
//!
//! Plain HTML without a framework; nothing is loaded from other origins.

pub(crate) mod admin;
pub(crate) mod receipt;
pub(crate) mod template;
