//! How often what happens in a run.
//!
//! Each run draws its own rates (swarm testing): runs that have much of one fault and none of another reach states that the same
//! mixture of faults in every run does not reach.

use super::recording::SimRng;

/// A kind of fault that is injected from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    KioskCrash,
    /// A kiosk's link goes down, or up again.
    Link,
    PlatformCrash,
    /// The links between the platform and the systems behind it go down, or up again.
    PeerLinks,
    /// A disk is full, or does not sync.
    DiskLimit,
    Paper,
    DamageOfStoredSegment,
    ClockJump,
    PlatformRestore,
    /// Only in runs that lose records, as the next one.
    DamageOfAnySegment,
    DiskRestore,
    Repair,
}

/// The usual weight of each kind.
const USUAL_WEIGHTS: [(FaultKind, u64); 12] = [
    (FaultKind::KioskCrash, 2),
    (FaultKind::Link, 2),
    (FaultKind::PlatformCrash, 1),
    (FaultKind::PeerLinks, 1),
    (FaultKind::DiskLimit, 1),
    (FaultKind::Paper, 1),
    (FaultKind::DamageOfStoredSegment, 1),
    (FaultKind::ClockJump, 1),
    (FaultKind::PlatformRestore, 1),
    (FaultKind::DamageOfAnySegment, 1),
    (FaultKind::DiskRestore, 2),
    (FaultKind::Repair, 3),
];

/// The rates of one run; all but the weights in percent.
pub(crate) struct Rates {
    weights: Vec<(FaultKind, u64)>,
    /// Links that are up after they changed.
    pub(crate) links_up: u64,
    /// Messages that take seconds.
    pub(crate) slow_messages: u64,
    /// Charge requests that arrive a second time.
    pub(crate) repeated_charges: u64,
    /// Charge requests after which the platform is restored, or, if it has no backup, backed up.
    pub(crate) restores_after_charge: u64,
    /// Charge requests after which the newest records of their kiosk rot, in runs that lose records.
    pub(crate) rot_after_charge: u64,
    /// Prints that fail.
    pub(crate) failed_prints: u64,
    /// Residents who were at the other kiosk before.
    pub(crate) same_visitor: u64,
    /// Number of residents who come.
    pub(crate) residents: usize,
}

impl Rates {
    /// Draws the rates of a run with so many residents.
    pub(crate) fn draw(rng: &mut SimRng, residents: usize) -> Self {
        let mut factor = |kind| match rng.below(6) {
            // What went down must come up again.
            _ if kind == FaultKind::Repair => 1,
            0 => 0,
            1 => 4,
            _ => 1,
        };
        let weights = USUAL_WEIGHTS.map(|(kind, usual)| (kind, usual * factor(kind)));
        let mut one_of = |rates: [u64; 4]| rates[rng.index(rates.len())];
        Self {
            weights: weights.into(),
            links_up: one_of([20, 60, 60, 90]),
            slow_messages: one_of([1, 4, 4, 20]),
            repeated_charges: one_of([5, 25, 25, 60]),
            restores_after_charge: one_of([0, 6, 6, 30]),
            rot_after_charge: one_of([0, 0, 10, 30]),
            same_visitor: one_of([0, 0, 20, 60]),
            failed_prints: one_of([10, 50, 50, 80]),
            residents: if rng.percent(30) { residents.min(2) } else { residents },
        }
    }

    /// Draws the kind of the next fault.
    pub(crate) fn next_fault(&self, rng: &mut SimRng) -> FaultKind {
        let sum = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut drawn = rng.below(sum);
        for (kind, weight) in &self.weights {
            if drawn < *weight {
                return *kind;
            }
            drawn -= weight;
        }
        FaultKind::Repair
    }
}
