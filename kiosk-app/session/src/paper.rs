//! Papers: receipts promised and not yet done with (I6).
//!
//! At most one copy is unmarked. What may have been printed is never printed again by itself. A receipt
//! that could not be printed waits while its resident is there and can be fetched by its number after.

use contract::{Entry, Form, OrderId, Receipt, ReceiptId, VisitId};
use view::{Lang, Text, TextId};

use crate::effect::Effect;
use crate::event::{Health, PrintResult};
use crate::kiosk::{Kiosk, Turn};

/// Copies of one receipt: a queue behind the resident is waiting.
pub(crate) const COPIES_MAX: u32 = 3;

/// One receipt.
pub(crate) struct Paper {
    pub(crate) visit: VisitId,
    pub(crate) content: Receipt,
    /// What it is meant for,
    pub(crate) form: Form,
    /// and the printer of the copy last begun, or of the first to come.
    pub(crate) on: Form,
    /// The number of the copy last begun, 0 before the first.
    pub(crate) copy: u32,
    pub(crate) state: PaperState,
    /// The resident who may still act on it is gone.
    released: bool,
}

/// Where a receipt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PaperState {
    /// Nothing of the next copy is on paper.
    Waiting,
    /// A copy is being printed.
    Printing,
    /// The last copy is printed.
    Printed,
    /// The last copy may be printed, in part or whole.
    Unsure,
}

impl Kiosk {
    /// Promises a receipt, and prints it when somebody is there to take it.
    pub(crate) fn promise(
        &mut self,
        turn: &mut Turn,
        receipt: ReceiptId,
        visit: VisitId,
        order: Option<OrderId>,
        (form, content): (Form, Receipt),
        somebody: bool,
    ) {
        turn.out.record(Entry::ReceiptPromised { receipt, visit, order, content: content.clone() });
        if !somebody {
            turn.out.record(Entry::ReceiptWaived { receipt });
            return;
        }
        let released = self.visit.as_ref().is_none_or(|open| open.id != visit);
        let on = self.printer_for(form).unwrap_or(form);
        let paper = Paper { visit, content, form, on, copy: 0, state: PaperState::Waiting, released };
        self.papers.insert(receipt, paper);
        self.print_waiting(turn);
        if released {
            self.waive_unless_printing(turn, receipt);
        }
    }

    /// On which printer something of this form would come out now: what is meant for a sheet rather on the roll than
    /// not at all.
    pub(crate) fn printer_for(&self, form: Form) -> Option<Form> {
        let (has, devices) = (self.setup.has, &self.devices);
        match form {
            Form::Sheet if has.sheet_printer && devices.sheet_printer == Health::Ready => Some(Form::Sheet),
            Form::Sheet | Form::Receipt => {
                (has.printer && devices.printer == Health::Ready).then_some(Form::Receipt)
            }
        }
    }

    /// Begins the next waiting receipt for which a printer works and is free.
    pub(crate) fn print_waiting(&mut self, turn: &mut Turn) {
        let is_free = |on: &Form| {
            !self.papers.values().any(|paper| paper.state == PaperState::Printing && paper.on == *on)
        };
        let next = self
            .papers
            .iter()
            .filter(|(_, paper)| paper.state == PaperState::Waiting)
            .find_map(|(receipt, paper)| Some((*receipt, self.printer_for(paper.form).filter(is_free)?)));
        let Some((receipt, on)) = next else { return };
        if let Some(paper) = self.papers.get_mut(&receipt) {
            paper.on = on;
            paper.copy += 1;
            paper.state = PaperState::Printing;
            let lang = self.visit.as_ref().map_or(Lang::Zh, |visit| visit.lang);
            let mark = (paper.copy > 1).then(|| {
                let times = Text::With(TextId::CopyMark, vec![(paper.copy - 1).to_string()]);
                self.setup.texts.say(lang, &times)
            });
            turn.out.record(Entry::PrintStarted { receipt, copy: paper.copy });
            turn.out.effect(Effect::Print { receipt, on, content: paper.content.clone(), mark });
        }
    }

    /// The resident asks for another copy, or to try again.
    pub(crate) fn print_again(&mut self, turn: &mut Turn, receipt: ReceiptId) {
        if let Some(paper) = self.papers.get_mut(&receipt)
            && matches!(paper.state, PaperState::Unsure | PaperState::Waiting)
            && paper.copy < COPIES_MAX
        {
            paper.state = PaperState::Waiting;
            self.print_waiting(turn);
        }
    }

    /// The outcome of a print.
    pub(crate) fn on_paper(&mut self, turn: &mut Turn, receipt: ReceiptId, result: PrintResult) {
        let Some(paper) = self.papers.get_mut(&receipt) else { return };
        if paper.state != PaperState::Printing {
            return;
        }
        let copy = paper.copy;
        match result {
            PrintResult::Printed(confirmation) => {
                paper.state = PaperState::Printed;
                turn.out.record(Entry::Printed { receipt, copy, confirmation });
            }
            PrintResult::NotStarted => {
                // The copy does not exist, so its number is free again.
                paper.copy = copy.saturating_sub(1);
                paper.state = PaperState::Waiting;
                turn.out.record(Entry::PrintNotStarted { receipt, copy });
            }
            PrintResult::Unconfirmed => {
                paper.state = PaperState::Unsure;
                turn.out.record(Entry::PrintUnconfirmed { receipt, copy });
            }
        }
        let (released, stuck) = (paper.released, paper.state == PaperState::Waiting);
        if released {
            self.waive_unless_printing(turn, receipt);
        }
        // What did not start would not start now either: the printer's next change of health tries again.
        if !stuck {
            self.print_waiting(turn);
        }
    }

    /// The visit is over: what still waits for paper is fetched by its number.
    pub(crate) fn release_papers(&mut self, turn: &mut Turn, visit: VisitId) {
        let of_visit: Vec<ReceiptId> =
            self.papers.iter().filter(|(_, paper)| paper.visit == visit).map(|(id, _)| *id).collect();
        for receipt in of_visit {
            if let Some(paper) = self.papers.get_mut(&receipt) {
                paper.released = true;
            }
            self.waive_unless_printing(turn, receipt);
        }
    }

    fn waive_unless_printing(&mut self, turn: &mut Turn, receipt: ReceiptId) {
        match self.paper_of(receipt) {
            None | Some(PaperState::Printing) => {}
            Some(PaperState::Waiting) => {
                turn.out.record(Entry::ReceiptWaived { receipt });
                self.papers.remove(&receipt);
            }
            Some(PaperState::Printed | PaperState::Unsure) => {
                self.papers.remove(&receipt);
            }
        }
    }
}
