//! Converts the journal's open work to the session's type.

use session::{OpenPaper, OpenPayment, OpenWork};

/// The session's open work from the journal's projection.
pub(crate) fn work(projection: &journal::OpenWork) -> OpenWork {
    let payments = projection.payments.iter().map(|(order, payment)| OpenPayment {
        order: *order,
        visit: payment.visit,
        service: payment.service.clone(),
        items: payment.items.clone(),
        total: payment.total,
        method: payment.method,
    });
    let papers = projection.papers.iter().map(|(receipt, paper)| OpenPaper {
        receipt: *receipt,
        content: paper.content.clone(),
        started: paper.started,
    });
    OpenWork {
        payments: payments.collect(),
        papers: papers.collect(),
        visit: projection.visit,
        code_marks: projection.code_marks.iter().map(|(mark, until)| (mark.clone(), *until)).collect(),
        admitted: projection.admitted.clone(),
        clock_floor: projection.clock_floor,
        clock_heard: projection.clock_heard,
    }
}
