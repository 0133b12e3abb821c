//! Checks of the platform's answers, as far as they reached a kiosk, against records and ledgers.

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    BatchAck, ChargeRequest, Entry, IdentifyAnswer, IdentifyRequest, Problem, ProblemCode, Pseudonym, VisitId,
};
use engine::platform_api::{OutgoingRequest, RequestKind};
use sandbox::acquirer::{ChargeLedger, OrderOutcome};
use server::PlatformResponse;

/// What a request asked, as far as its answer is checked.
pub(crate) enum Asked {
    /// Who is the resident of this visit?
    Identity(VisitId),
    /// The charge of an order with these bills.
    Charge(Vec<String>),
    /// The delivery of records.
    Delivery,
    Other,
}

impl Asked {
    pub(crate) fn of(request: &OutgoingRequest) -> Self {
        match request.kind {
            RequestKind::Identify(_) => match serde_json::from_slice::<IdentifyRequest>(&request.body) {
                Ok(request) => Self::Identity(request.visit),
                Err(_) => Self::Other,
            },
            RequestKind::Charge(_) => match serde_json::from_slice::<ChargeRequest>(&request.body) {
                Ok(request) => Self::Charge(request.items.into_iter().map(|item| item.key).collect()),
                Err(_) => Self::Other,
            },
            RequestKind::Records => Self::Delivery,
            RequestKind::Evidence(_)
            | RequestKind::Authenticate(_)
            | RequestKind::Call(_)
            | RequestKind::Inquire(_)
            | RequestKind::Changes
            | RequestKind::UnreportedOrders => Self::Other,
        }
    }
}

/// The platform's answers that reached a kiosk.
#[derive(Default)]
pub(crate) struct PlatformAnswers {
    identified: BTreeMap<VisitId, Pseudonym>,
    refused: BTreeSet<VisitId>,
    /// The highest acknowledged number, by kiosk and epoch, since the platform was last restored.
    acknowledged: BTreeMap<(usize, u64), u64>,
}

impl PlatformAnswers {
    /// Notes an answer that reaches a kiosk. Returns a violation.
    pub(crate) fn note(
        &mut self,
        kiosk: usize,
        asked: &Asked,
        response: &PlatformResponse,
        acquirer: &ChargeLedger,
    ) -> Option<String> {
        match asked {
            Asked::Identity(visit) => {
                if let Ok(answer) = serde_json::from_slice::<IdentifyAnswer>(&response.body) {
                    self.identified.insert(*visit, answer.resident);
                } else if serde_json::from_slice::<Problem>(&response.body)
                    .is_ok_and(|problem| problem.code != ProblemCode::Unavailable)
                {
                    self.refused.insert(*visit);
                }
                None
            }
            Asked::Charge(bills) => {
                let problem = serde_json::from_slice::<Problem>(&response.body).ok()?;
                let is_settled = problem.code == ProblemCode::BillSettled;
                (is_settled && !is_any_paid(acquirer, bills))
                    .then(|| format!("{bills:?} are refused as paid, and nobody paid one"))
            }
            Asked::Delivery => {
                let ack = serde_json::from_slice::<BatchAck>(&response.body).ok()?;
                let upto = self.acknowledged.entry((kiosk, ack.epoch)).or_default();
                *upto = ack.upto.max(*upto);
                None
            }
            Asked::Other => None,
        }
    }

    /// The platform was restored: what it acknowledged before may be lost.
    pub(crate) fn forget_acknowledgements(&mut self) {
        self.acknowledged.clear();
    }

    /// The acknowledged numbers of a kiosk, by epoch.
    pub(crate) fn acknowledged(&self, kiosk: usize) -> impl Iterator<Item = (u64, u64)> {
        self.acknowledged.range((kiosk, 0)..=(kiosk, u64::MAX)).map(|((_, epoch), upto)| (*epoch, *upto))
    }

    /// I5: no record names another resident than the platform did, or one whom it refused.
    pub(crate) fn check_identities(&self, entries: &[Entry]) {
        for entry in entries {
            let Entry::Identified { visit, resident, .. } = entry else { continue };
            match self.identified.get(visit) {
                Some(answered) => {
                    assert_eq!(resident, answered, "visit {visit} is recorded for another resident")
                }
                None => {
                    assert!(!self.refused.contains(visit), "visit {visit} was refused and is identified")
                }
            }
        }
    }
}

/// Whether the acquirer has charged an order with one of these bills.
fn is_any_paid(acquirer: &ChargeLedger, bills: &[String]) -> bool {
    let paid = acquirer.entries().unwrap().into_iter();
    let mut paid = paid.filter(|entry| matches!(entry.answer.outcome, OrderOutcome::Paid { .. }));
    paid.any(|entry| entry.bills.iter().any(|bill| bills.contains(bill)))
}
