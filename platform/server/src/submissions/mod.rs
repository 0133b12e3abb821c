//! Submissions (办件) of residents: taken from the records of kiosks, delivered to departments exactly once, and their state shown at any
//! kiosk.

pub(crate) mod delivery;
pub(crate) mod inbox;
pub(crate) mod list;
mod state;
