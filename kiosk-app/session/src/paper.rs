//! Print jobs: receipts and A4 documents that were issued and not yet finished (I6).
//!
//! At most one copy has no copy mark. A copy that may have been printed is never printed again automatically. A receipt
//! that could not be printed waits until the visit ends, and can be fetched by its number afterwards.

use contract::{Entry, Form, OrderId, Receipt, ReceiptId, VisitId};
use view::{Lang, Text, TextId};

use crate::effect::Effect;
use crate::event::{Health, PrintResult};
use crate::kiosk::{Kiosk, Turn};

/// Limit of copies of one receipt, since other residents queue behind this one.
pub(crate) const COPIES_MAX: u32 = 3;

/// One receipt or A4 document on its way to paper (打印任务).
pub(crate) struct Paper {
    pub(crate) visit: VisitId,
    pub(crate) content: Receipt,
    /// The form that the content is designed for.
    pub(crate) form: Form,
    /// The printer of the copy last started, or of the first copy before it starts.
    pub(crate) on: Form,
    /// Number of the copy last started, 0 before the first.
    pub(crate) copy: u32,
    pub(crate) state: PaperState,
    /// The visit that issued the job has ended: nobody can act on the job any more.
    released: bool,
}

/// State of a print job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PaperState {
    /// The next copy has not been started.
    Waiting,
    /// A copy is being printed.
    Printing,
    /// The last copy was printed.
    Printed,
    /// Unknown outcome: the last copy may have been printed, in part or completely.
    Unsure,
}

impl Kiosk {
    /// Issues a receipt, and prints it if somebody is present to take it.
    pub(crate) fn promise(
        &mut self,
        builder: &mut Turn,
        receipt: ReceiptId,
        visit: VisitId,
        order: Option<OrderId>,
        (form, content): (Form, Receipt),
        is_somebody_present: bool,
    ) {
        builder.out.record(Entry::ReceiptPromised { receipt, visit, order, content: content.clone() });
        if !is_somebody_present {
            builder.out.record(Entry::ReceiptWaived { receipt });
            return;
        }
        let released = self.visit.as_ref().is_none_or(|open| open.id != visit);
        let on = self.printer_for(form).unwrap_or(form);
        let job = Paper { visit, content, form, on, copy: 0, state: PaperState::Waiting, released };
        self.papers.insert(receipt, job);
        self.print_waiting(builder);
        if released {
            self.waive_unless_printing(builder, receipt);
        }
    }

    /// The printer that would print this form now; none when no suitable printer is ready. An A4 document falls back to
    /// the receipt printer.
    pub(crate) fn printer_for(&self, form: Form) -> Option<Form> {
        let (has, devices) = (self.setup.has, &self.devices);
        match form {
            Form::Sheet if has.sheet_printer && devices.sheet_printer == Health::Ready => Some(Form::Sheet),
            Form::Sheet | Form::Receipt => {
                (has.printer && devices.printer == Health::Ready).then_some(Form::Receipt)
            }
        }
    }

    /// Starts the next waiting print job for which a printer is ready and free.
    pub(crate) fn print_waiting(&mut self, builder: &mut Turn) {
        let is_free =
            |on: &Form| !self.papers.values().any(|job| job.state == PaperState::Printing && job.on == *on);
        let next = self
            .papers
            .iter()
            .filter(|(_, job)| job.state == PaperState::Waiting)
            .find_map(|(receipt, job)| Some((*receipt, self.printer_for(job.form).filter(is_free)?)));
        let Some((receipt, on)) = next else { return };
        if let Some(job) = self.papers.get_mut(&receipt) {
            job.on = on;
            job.copy += 1;
            job.state = PaperState::Printing;
            let lang = self.visit.as_ref().map_or(Lang::Zh, |visit| visit.lang);
            let mark = (job.copy > 1).then(|| {
                let times = Text::With(TextId::CopyMark, vec![(job.copy - 1).to_string()]);
                self.setup.texts.say(lang, &times)
            });
            builder.out.record(Entry::PrintStarted { receipt, copy: job.copy });
            builder.out.effect(Effect::Print { receipt, on, content: job.content.clone(), mark });
        }
    }

    /// The resident requests another copy, or another attempt.
    pub(crate) fn print_again(&mut self, builder: &mut Turn, receipt: ReceiptId) {
        if let Some(job) = self.papers.get_mut(&receipt)
            && matches!(job.state, PaperState::Unsure | PaperState::Waiting)
            && job.copy < COPIES_MAX
        {
            job.state = PaperState::Waiting;
            self.print_waiting(builder);
        }
    }

    /// Handles the outcome of a print job.
    pub(crate) fn on_paper(&mut self, builder: &mut Turn, receipt: ReceiptId, result: PrintResult) {
        let Some(job) = self.papers.get_mut(&receipt) else { return };
        if job.state != PaperState::Printing {
            return;
        }
        let copy = job.copy;
        match result {
            PrintResult::Printed(confirmation) => {
                job.state = PaperState::Printed;
                builder.out.record(Entry::Printed { receipt, copy, confirmation });
            }
            PrintResult::NotStarted => {
                // The copy does not exist, so its number is used again.
                job.copy = copy.saturating_sub(1);
                job.state = PaperState::Waiting;
                builder.out.record(Entry::PrintNotStarted { receipt, copy });
            }
            PrintResult::Unconfirmed => {
                job.state = PaperState::Unsure;
                builder.out.record(Entry::PrintUnconfirmed { receipt, copy });
            }
        }
        let (released, not_started) = (job.released, job.state == PaperState::Waiting);
        if released {
            self.waive_unless_printing(builder, receipt);
        }
        // A job that did not start would fail again now: the next change of the printer's health retries it.
        if !not_started {
            self.print_waiting(builder);
        }
    }

    /// Detaches the print jobs of an ended visit: a receipt that still waits is abandoned and fetched by its number.
    pub(crate) fn release_papers(&mut self, builder: &mut Turn, visit: VisitId) {
        let of_visit: Vec<ReceiptId> =
            self.papers.iter().filter(|(_, job)| job.visit == visit).map(|(id, _)| *id).collect();
        for receipt in of_visit {
            if let Some(job) = self.papers.get_mut(&receipt) {
                job.released = true;
            }
            self.waive_unless_printing(builder, receipt);
        }
    }

    fn waive_unless_printing(&mut self, builder: &mut Turn, receipt: ReceiptId) {
        match self.paper_of(receipt) {
            None | Some(PaperState::Printing) => {}
            Some(PaperState::Waiting) => {
                builder.out.record(Entry::ReceiptWaived { receipt });
                self.papers.remove(&receipt);
            }
            Some(PaperState::Printed | PaperState::Unsure) => {
                self.papers.remove(&receipt);
            }
        }
    }
}
