//! What the journal of a kiosk folds to: the session's durable state.

use contract::{Entry, UnixMs};
use journal::JournalState;
use serde::{Deserialize, Serialize};
use session::Durable;

/// The session's durable state as the state of a journal. The crates of session and journal do not know each other.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KioskState(pub Durable);

impl JournalState for KioskState {
    fn apply(&mut self, entry: &Entry, time: UnixMs) {
        self.0.apply(entry, time);
    }
}
