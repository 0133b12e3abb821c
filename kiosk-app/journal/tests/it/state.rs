//! The state that the tests fold records to.

use contract::{Entry, UnixMs, VisitId};
use journal::JournalState;
use serde::{Deserialize, Serialize};

pub(crate) type Journal<D> = journal::Journal<VisitList, D>;

/// The visits that were closed, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VisitList(pub(crate) Vec<VisitId>);

impl JournalState for VisitList {
    fn apply(&mut self, entry: &Entry, _time: UnixMs) {
        if let Entry::VisitClosed { visit, .. } = entry {
            self.0.push(*visit);
        }
    }
}
