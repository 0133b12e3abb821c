//! Converts the journal's open work to the session's type.

use session::{OpenPayment, OpenPrintJob, OpenWork};

/// The session's open work from the journal's projection.
pub(crate) fn session_open_work(projection: &journal::OpenWork) -> OpenWork {
    let payments = projection.payments.iter().map(|(order, payment)| OpenPayment {
        order: *order,
        visit: payment.visit,
        service: payment.service.clone(),
        items: payment.items.clone(),
        total: payment.total,
        method: payment.method,
    });
    let papers = projection.receipts.iter().map(|(receipt, paper)| OpenPrintJob {
        receipt: *receipt,
        content: paper.content.clone(),
        started_copy: paper.started,
    });
    OpenWork {
        payments: payments.collect(),
        print_jobs: papers.collect(),
        visit: projection.visit,
        used_codes: projection.used_codes.iter().map(|(mark, until)| (mark.clone(), *until)).collect(),
        admitted: projection.admitted.clone(),
        clock_floor: projection.clock_floor,
        last_clock_sync: projection.clock_sync,
    }
}
