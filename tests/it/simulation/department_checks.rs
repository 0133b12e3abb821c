//! Checks of submissions and tickets: what the kiosks recorded, against what the departments have (I2).

use std::collections::BTreeSet;

use contract::{Entry, PlatformOperation};

use super::simulator::Simulator;

/// Number of submissions and of tickets in the records.
pub(super) struct DepartmentCounts {
    pub(super) submitted: usize,
    pub(super) tickets: usize,
}

/// Each submission that is recorded is at its department. One that no record names any more was delivered before its record was
/// lost on both sides.
pub(super) fn check_departments(world: &mut Simulator, entries: &[Entry]) -> DepartmentCounts {
    let page = String::from_utf8(world.city.page("/admin", world.wall(), 3)).unwrap();
    let incidents: Vec<&str> = page.split("<tr>").filter(|row| row.contains("submission ")).collect();
    let recorded: BTreeSet<String> = entries
        .iter()
        .filter_map(|entry| {
            if let Entry::Submitted { submission, .. } = entry { Some(submission.to_string()) } else { None }
        })
        .collect();
    let delivered: BTreeSet<String> = world.city.departments.submissions().unwrap().into_iter().collect();
    let missing: Vec<_> = recorded.difference(&delivered).collect();
    assert!(
        missing.is_empty(),
        "submissions are recorded and not delivered: {missing:?}; incidents: {incidents:?}"
    );
    if world.kiosks.iter().all(|kiosk| !kiosk.has_lost_records) {
        let unknown: Vec<_> = delivered.difference(&recorded).collect();
        assert!(unknown.is_empty(), "submissions were delivered that no kiosk recorded: {unknown:?}");
    }
    let taken: BTreeSet<String> = entries
        .iter()
        .filter_map(|entry| {
            let Entry::TicketTaken { ticket, call, .. } = entry else { return None };
            // What the platform does itself, no department knows.
            PlatformOperation::from_name(call).is_none().then(|| ticket.to_string())
        })
        .collect();
    let given: BTreeSet<String> = world.city.departments.tickets().unwrap().into_iter().collect();
    let unknown: Vec<_> = taken.difference(&given).collect();
    assert!(unknown.is_empty(), "tickets are recorded that no department gave: {unknown:?}");
    DepartmentCounts { submitted: recorded.len(), tickets: taken.len() }
}
