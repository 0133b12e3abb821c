//! Printing: receipts and A4 documents on their way to paper (I6).
//!
//! At most one copy has no copy mark. A copy that may have been printed is never printed again automatically. A receipt
//! that could not be printed waits until the visit ends, and can be fetched by its number afterwards. The receipts themselves
//! are in the durable state.

use std::collections::BTreeSet;

use contract::{Entry, OrderId, PrintForm, RECORD_BYTES_MAX, Receipt, ReceiptId, VisitId};
use view::{Lang, Text, TextId};

use crate::devices::Devices;
use crate::durable::{Durable, PrintState};
use crate::event::PrintResult;
use crate::setup::KioskSetup;
use crate::transition::{Effect, Turn};

/// Limit of copies of one receipt, since other residents queue behind this one.
pub(crate) const COPIES_MAX: u32 = 3;

/// Copies that residents asked for.
#[derive(Default)]
pub(crate) struct Printing {
    /// Receipts of which the resident asked for another copy, after one whose outcome is unknown.
    asked_again: BTreeSet<ReceiptId>,
}

/// A receipt to be issued.
pub(crate) struct NewReceipt {
    pub(crate) receipt: ReceiptId,
    pub(crate) visit: VisitId,
    pub(crate) order: Option<OrderId>,
    pub(crate) form: PrintForm,
    pub(crate) content: Receipt,
}

/// What printing depends on beside the receipts.
#[derive(Clone, Copy)]
pub(crate) struct Printers<'a> {
    pub(crate) setup: &'a KioskSetup,
    pub(crate) devices: &'a Devices,
    /// Language of the copy mark.
    pub(crate) lang: Lang,
}

impl Printing {
    /// Ends the prints that the end of the process interrupted: a copy whose printing had started may exist, one that had not
    /// does not.
    pub(crate) fn recover(turn: &mut Turn<'_>) -> Self {
        let open: Vec<_> = turn
            .durable()
            .receipts()
            .iter()
            .map(|(receipt, open)| (receipt, open.state, open.copy))
            .collect();
        for (receipt, state, copy) in open {
            match state {
                PrintState::Printing => turn.record(Entry::PrintUnconfirmed { receipt, copy }),
                PrintState::Waiting => turn.record(Entry::PrintAbandoned { receipt }),
                PrintState::Printed | PrintState::Unconfirmed => {}
            }
        }
        Self::default()
    }

    /// State of a receipt on its way to paper; none when it is not on its way.
    pub(crate) fn state(&self, durable: &Durable, receipt: ReceiptId) -> Option<PrintState> {
        let state = durable.receipts().get(receipt)?.state;
        let again = state == PrintState::Unconfirmed && self.asked_again.contains(&receipt);
        Some(if again { PrintState::Waiting } else { state })
    }

    /// How many receipts wait for a printer.
    pub(crate) fn waiting(&self, durable: &Durable) -> usize {
        let is_waiting = |receipt| self.state(durable, receipt) == Some(PrintState::Waiting);
        durable.receipts().iter().filter(|(receipt, _)| is_waiting(*receipt)).count()
    }

    /// Issues a receipt, and prints it if somebody is present to take it. False when its content is too long for a record: then
    /// nothing is issued.
    pub(crate) fn issue(
        &mut self,
        turn: &mut Turn<'_>,
        printers: Printers<'_>,
        new: NewReceipt,
        is_somebody_present: bool,
    ) -> bool {
        let NewReceipt { receipt, visit, order, form, content } = new;
        let entry = Entry::ReceiptIssued { receipt, visit, order, content, form };
        if entry.encode().len() > RECORD_BYTES_MAX {
            return false;
        }
        let is_open = turn.durable().receipts().get(receipt).is_some();
        turn.record(entry);
        // Issued again, because its record was lost.
        if is_open {
            return true;
        }
        if is_somebody_present {
            self.start_next(turn, printers);
        }
        // Nobody of an ended visit waits for a printer.
        if !is_somebody_present || turn.durable().open_visit() != Some(visit) {
            self.abandon_if_waiting(turn, receipt);
        }
        true
    }

    /// Starts the next waiting copy for which a printer is ready and free.
    pub(crate) fn start_next(&mut self, turn: &mut Turn<'_>, printers: Printers<'_>) {
        let durable = turn.durable();
        let open = || durable.receipts().iter();
        let is_free = |printer: &PrintForm| {
            !open().any(|(_, open)| open.state == PrintState::Printing && open.printer == Some(*printer))
        };
        let next = open().filter(|(receipt, _)| self.state(durable, *receipt) == Some(PrintState::Waiting));
        let mut next = next.filter_map(|(receipt, open)| {
            let printer =
                printers.devices.printer_for(open.form, &printers.setup.equipment).filter(is_free)?;
            Some((receipt, printer, open.copy + 1, open.form, open.content.clone()))
        });
        let Some((receipt, printer, copy, form, content)) = next.next() else { return };
        drop(next);
        let copy_mark = (copy > 1).then(|| {
            let times = Text::With(TextId::CopyMark, vec![(copy - 1).to_string()]);
            printers.setup.texts.render(printers.lang, &times)
        });
        self.asked_again.remove(&receipt);
        let other = (printer != form).then_some(printer);
        turn.record(Entry::PrintStarted { receipt, copy, printer: other });
        turn.effect(Effect::Print { receipt, printer, content, copy_mark });
    }

    /// The resident asks for another copy, or another attempt.
    pub(crate) fn print_again(&mut self, turn: &mut Turn<'_>, printers: Printers<'_>, receipt: ReceiptId) {
        let Some(open) = turn.durable().receipts().get(receipt) else { return };
        if open.copy >= COPIES_MAX {
            return;
        }
        match open.state {
            PrintState::Unconfirmed => {
                self.asked_again.insert(receipt);
            }
            PrintState::Waiting => {}
            PrintState::Printing | PrintState::Printed => return,
        }
        self.start_next(turn, printers);
    }

    /// Handles the outcome of a print job.
    pub(crate) fn on_result(
        &mut self,
        turn: &mut Turn<'_>,
        printers: Printers<'_>,
        receipt: ReceiptId,
        result: PrintResult,
    ) {
        let Some(open) = turn.durable().receipts().get(receipt) else { return };
        if open.state != PrintState::Printing {
            return;
        }
        let (copy, visit) = (open.copy, open.visit);
        turn.record(match result {
            PrintResult::Printed(confirmation) => Entry::Printed { receipt, copy, confirmation },
            PrintResult::NotStarted => Entry::PrintNotStarted { receipt, copy },
            PrintResult::Unconfirmed => Entry::PrintUnconfirmed { receipt, copy },
        });
        if turn.durable().open_visit() != Some(visit) {
            self.abandon_if_waiting(turn, receipt);
        }
        // A copy that did not start would fail again now: the next change of the printer's state retries it.
        if result != PrintResult::NotStarted {
            self.start_next(turn, printers);
        }
    }

    /// Ends the waiting of an ending visit: its receipts can be fetched by their numbers.
    pub(crate) fn on_visit_end(&mut self, turn: &mut Turn<'_>, visit: VisitId) {
        let of_visit: Vec<ReceiptId> = turn
            .durable()
            .receipts()
            .iter()
            .filter(|(_, open)| open.visit == visit)
            .map(|(receipt, _)| receipt)
            .collect();
        for receipt in of_visit {
            self.asked_again.remove(&receipt);
            self.abandon_if_waiting(turn, receipt);
        }
    }

    fn abandon_if_waiting(&mut self, turn: &mut Turn<'_>, receipt: ReceiptId) {
        if self.state(turn.durable(), receipt) == Some(PrintState::Waiting) {
            self.asked_again.remove(&receipt);
            turn.record(Entry::PrintAbandoned { receipt });
        }
    }
}
