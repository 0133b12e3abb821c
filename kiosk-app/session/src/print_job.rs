//! Print jobs: receipts and A4 documents that were issued and not yet finished (I6).
//!
//! At most one copy has no copy mark. A copy that may have been printed is never printed again automatically. A receipt
//! that could not be printed waits until the visit ends, and can be fetched by its number afterwards.

use contract::{Entry, OrderId, PrintForm, Receipt, ReceiptId, VisitId};
use view::{Lang, Text, TextId};

use crate::effect::Effect;
use crate::event::{DeviceState, PrintResult};
use crate::kiosk::{Kiosk, TransitionBuilder};

/// Limit of copies of one receipt, since other residents queue behind this one.
pub(crate) const COPIES_MAX: u32 = 3;

/// One receipt or A4 document on its way to paper (打印任务).
pub(crate) struct PrintJob {
    pub(crate) visit: VisitId,
    pub(crate) content: Receipt,
    /// The form that the content is designed for.
    pub(crate) form: PrintForm,
    /// The printer of the copy last started, or of the first copy before it starts.
    pub(crate) printer: PrintForm,
    /// Number of the copy last started, 0 before the first.
    pub(crate) copy: u32,
    pub(crate) state: PrintState,
    /// The visit that issued the job has ended: nobody can act on the job any more.
    detached: bool,
}

/// State of a print job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PrintState {
    /// The next copy has not been started.
    Waiting,
    /// A copy is being printed.
    Printing,
    /// The last copy was printed.
    Printed,
    /// Unknown outcome: the last copy may have been printed, in part or completely.
    Unconfirmed,
}

impl Kiosk {
    /// Issues a receipt, and prints it if somebody is present to take it.
    pub(crate) fn issue_print_job(
        &mut self,
        builder: &mut TransitionBuilder,
        receipt: ReceiptId,
        visit: VisitId,
        order: Option<OrderId>,
        (form, content): (PrintForm, Receipt),
        is_somebody_present: bool,
    ) {
        builder.record(
            &mut self.durable,
            Entry::ReceiptIssued { receipt, visit, order, content: content.clone() },
        );
        if !is_somebody_present {
            builder.record(&mut self.durable, Entry::PrintAbandoned { receipt });
            return;
        }
        let released = self.visit.as_ref().is_none_or(|open| open.id != visit);
        let on = self.printer_for(form).unwrap_or(form);
        let job = PrintJob {
            visit,
            content,
            form,
            printer: on,
            copy: 0,
            state: PrintState::Waiting,
            detached: released,
        };
        self.print_jobs.insert(receipt, job);
        self.start_next_print(builder);
        if released {
            self.abandon_unless_printing(builder, receipt);
        }
    }

    /// The printer that would print this form now; none when no suitable printer is ready. An A4 document falls back to
    /// the receipt printer.
    pub(crate) fn printer_for(&self, form: PrintForm) -> Option<PrintForm> {
        let (has, devices) = (self.setup.equipment, &self.devices);
        match form {
            PrintForm::A4Document
                if has.document_printer && devices.document_printer == DeviceState::Ready =>
            {
                Some(PrintForm::A4Document)
            }
            PrintForm::A4Document | PrintForm::Receipt => (has.receipt_printer
                && devices.receipt_printer == DeviceState::Ready)
                .then_some(PrintForm::Receipt),
        }
    }

    /// Starts the next waiting print job for which a printer is ready and free.
    pub(crate) fn start_next_print(&mut self, builder: &mut TransitionBuilder) {
        let is_free = |on: &PrintForm| {
            !self.print_jobs.values().any(|job| job.state == PrintState::Printing && job.printer == *on)
        };
        let next = self
            .print_jobs
            .iter()
            .filter(|(_, job)| job.state == PrintState::Waiting)
            .find_map(|(receipt, job)| Some((*receipt, self.printer_for(job.form).filter(is_free)?)));
        let Some((receipt, on)) = next else { return };
        if let Some(job) = self.print_jobs.get_mut(&receipt) {
            job.printer = on;
            job.copy += 1;
            job.state = PrintState::Printing;
            let lang = self.visit.as_ref().map_or(Lang::Zh, |visit| visit.lang);
            let mark = (job.copy > 1).then(|| {
                let times = Text::With(TextId::CopyMark, vec![(job.copy - 1).to_string()]);
                self.setup.texts.render(lang, &times)
            });
            builder.record(&mut self.durable, Entry::PrintStarted { receipt, copy: job.copy });
            builder.transition.effect(Effect::Print {
                receipt,
                printer: on,
                content: job.content.clone(),
                copy_mark: mark,
            });
        }
    }

    /// The resident requests another copy, or another attempt.
    pub(crate) fn print_again(&mut self, builder: &mut TransitionBuilder, receipt: ReceiptId) {
        if let Some(job) = self.print_jobs.get_mut(&receipt)
            && matches!(job.state, PrintState::Unconfirmed | PrintState::Waiting)
            && job.copy < COPIES_MAX
        {
            job.state = PrintState::Waiting;
            self.start_next_print(builder);
        }
    }

    /// Handles the outcome of a print job.
    pub(crate) fn on_print_result(
        &mut self,
        builder: &mut TransitionBuilder,
        receipt: ReceiptId,
        result: PrintResult,
    ) {
        let Some(job) = self.print_jobs.get_mut(&receipt) else { return };
        if job.state != PrintState::Printing {
            return;
        }
        let copy = job.copy;
        match result {
            PrintResult::Printed(confirmation) => {
                job.state = PrintState::Printed;
                builder.record(&mut self.durable, Entry::Printed { receipt, copy, confirmation });
            }
            PrintResult::NotStarted => {
                // The copy does not exist, so its number is used again.
                job.copy = copy.saturating_sub(1);
                job.state = PrintState::Waiting;
                builder.record(&mut self.durable, Entry::PrintNotStarted { receipt, copy });
            }
            PrintResult::Unconfirmed => {
                job.state = PrintState::Unconfirmed;
                builder.record(&mut self.durable, Entry::PrintUnconfirmed { receipt, copy });
            }
        }
        let (released, not_started) = (job.detached, job.state == PrintState::Waiting);
        if released {
            self.abandon_unless_printing(builder, receipt);
        }
        // A job that did not start would fail again now: the next change of the printer's health retries it.
        if !not_started {
            self.start_next_print(builder);
        }
    }

    /// Detaches the print jobs of an ended visit: a receipt that still waits is abandoned and fetched by its number.
    pub(crate) fn detach_visit(&mut self, builder: &mut TransitionBuilder, visit: VisitId) {
        let of_visit: Vec<ReceiptId> =
            self.print_jobs.iter().filter(|(_, job)| job.visit == visit).map(|(id, _)| *id).collect();
        for receipt in of_visit {
            if let Some(job) = self.print_jobs.get_mut(&receipt) {
                job.detached = true;
            }
            self.abandon_unless_printing(builder, receipt);
        }
    }

    fn abandon_unless_printing(&mut self, builder: &mut TransitionBuilder, receipt: ReceiptId) {
        match self.print_state(receipt) {
            None | Some(PrintState::Printing) => {}
            Some(PrintState::Waiting) => {
                builder.record(&mut self.durable, Entry::PrintAbandoned { receipt });
                self.print_jobs.remove(&receipt);
            }
            Some(PrintState::Printed | PrintState::Unconfirmed) => {
                self.print_jobs.remove(&receipt);
            }
        }
    }
}
