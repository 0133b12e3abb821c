//! Checks of who a kiosk takes a resident for: the platform's answers, as far as they reached the kiosk, against its records (I5).

use std::collections::{BTreeMap, BTreeSet};

use contract::{Entry, IdentifyAnswer, IdentifyRequest, Pseudonym, VisitId};
use server::PlatformResponse;

/// The platform's answers to identifications that reached a kiosk.
#[derive(Default)]
pub(crate) struct IdentificationAnswers {
    identified: BTreeMap<VisitId, Pseudonym>,
    refused: BTreeSet<VisitId>,
}

/// The visit that a request for identification is about.
pub(crate) fn visit_of(body: &[u8]) -> Option<VisitId> {
    let request: IdentifyRequest = serde_json::from_slice(body).ok()?;
    Some(request.visit)
}

impl IdentificationAnswers {
    /// Notes an answer that reaches the kiosk.
    pub(crate) fn note(&mut self, visit: VisitId, response: &PlatformResponse) {
        if let Ok(answer) = serde_json::from_slice::<IdentifyAnswer>(&response.body) {
            self.identified.insert(visit, answer.resident);
        } else if (400..500).contains(&response.status) {
            self.refused.insert(visit);
        }
    }

    /// Checks that no record names another resident than the platform did, or one whom it refused.
    pub(crate) fn check(&self, entries: &[Entry]) {
        for entry in entries {
            let Entry::Identified { visit, resident, .. } = entry else { continue };
            match self.identified.get(visit) {
                Some(answered) => {
                    assert_eq!(resident, answered, "visit {visit} is recorded for another resident")
                }
                None => assert!(!self.refused.contains(visit), "visit {visit} was refused and is identified"),
            }
        }
    }
}
