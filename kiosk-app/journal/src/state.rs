//! The state that the records of a journal fold to.

use contract::{Entry, UnixMs};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A state that the records of a journal determine: after any end of the process it is the same as before.
///
/// Each segment begins with it, so its serialisation must stay readable for later versions of the software.
pub trait JournalState: Clone + Default + Serialize + DeserializeOwned {
    /// Applies one record. Records are applied in the order of the journal.
    fn apply(&mut self, entry: &Entry, time: UnixMs);
}

/// The snapshot at the beginning of a segment.
#[derive(Serialize, Deserialize)]
pub(crate) struct Snapshot<S> {
    /// How many units were written together with it. While there are no more, nothing shows that its sync succeeded.
    pub(crate) units: usize,
    /// The state before the first record.
    pub(crate) state: S,
}
