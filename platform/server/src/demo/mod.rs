//! What exists for demonstrations and tests only: residents from a file, and a page in the place of their phones.

pub(crate) mod phone_page;
pub(crate) mod residents;
