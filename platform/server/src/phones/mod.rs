//! Phones that show resident codes: their binding, what they are issued, and the web app that they open.

pub(crate) mod bound_phone;
pub(crate) mod pairings;
pub(crate) mod requests;
pub(crate) mod stop;
pub(crate) mod web_app;
