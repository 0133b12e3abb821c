//! Checks of what a kiosk shows and prints, at the moment when it does: all of it must be durable on its disk by then (I2).

use std::collections::BTreeMap;

use contract::{
    Entry, OrderId, ProblemCode, Receipt, ReceiptId, Settlement, UnixMs, VisitId, VoidReason, derived_id,
};
use engine::KioskState;
use faulty_disk::FaultyDisk;
use journal::{Journal, JournalConfig, JournalLimits, NextRecords, RecoveryReport};
use view::{Body, Lang, Outcome, Text, TextId, Theme, View};

use super::kiosk::WRAP_KEY;
use super::peers::{KIOSKS, kiosk_id, receipt_numbers};

/// What a view says that must be true of the records on the disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Statement {
    /// A resident is signed in.
    SignedIn,
    /// A charge is in progress.
    Paying,
    /// The outcome of the order with this receipt number is being checked.
    Checking { number: String },
    /// The order with this receipt number is paid.
    Paid { number: String, amount: Option<String> },
    /// An order of this amount is not paid, with the reason that is shown.
    NotPaid { amount: String, reason: TextId },
    /// A copy is being printed.
    Printing,
    /// A copy was printed.
    Printed,
    /// The card's PIN was changed.
    PinChanged,
    /// Staff were called.
    HelpCalled,
    /// The submission with this number was taken.
    Submitted { number: String },
}

/// What a view says.
pub(crate) fn statements(view: &View) -> Vec<Statement> {
    let mut said = Vec::new();
    if view.header.resident.is_some() {
        said.push(Statement::SignedIn);
    }
    let called = [Text::Id(TextId::HelpCalled), Text::Id(TextId::HelpQueued)];
    if view.banners.iter().any(|banner| called.contains(&banner.title)) {
        said.push(Statement::HelpCalled);
    }
    if let Body::Outcome(outcome) = &view.body {
        said.extend(statements_of_outcome(outcome));
    }
    said
}

fn statements_of_outcome(outcome: &Outcome) -> Vec<Statement> {
    let value_of = |label: TextId| {
        let pair = outcome.pairs.iter().find(|pair| pair.label == Text::Id(label))?;
        if let Text::Data(value) = &pair.value { Some(value.clone()) } else { None }
    };
    if outcome.headline == Text::Id(TextId::Submitted) {
        return vec![Statement::Submitted { number: value_of(TextId::SubmissionNumber).unwrap_or_default() }];
    }
    let (Text::Id(headline), Text::Id(detail)) = (&outcome.headline, &outcome.detail) else {
        return Vec::new();
    };
    let number =
        outcome.code.as_ref().map(|code| code.number.clone()).or_else(|| value_of(TextId::OrderNumber));
    let number = number.unwrap_or_default();
    let mut said = Vec::new();
    match headline {
        TextId::Paying => said.push(Statement::Paying),
        TextId::Checking => said.push(Statement::Checking { number }),
        TextId::Paid => said.push(Statement::Paid { number, amount: outcome.amount.clone() }),
        TextId::NotPaid => {
            let amount = value_of(TextId::Amount).unwrap_or_default();
            said.push(Statement::NotPaid { amount, reason: *detail });
        }
        TextId::ChangePinDone => said.push(Statement::PinChanged),
        _ => {}
    }
    match (headline, detail) {
        (TextId::Printing, _) | (_, TextId::Printing) => said.push(Statement::Printing),
        (TextId::Printed, _) | (_, TextId::PrintedDetail) => said.push(Statement::Printed),
        _ => {}
    }
    said
}

/// The receipt of an order, computed as DESIGN asks: from the order alone.
pub(crate) fn receipt_of(order: OrderId) -> ReceiptId {
    ReceiptId::from_entropy(derived_id("receipt", order.to_bytes()))
}

/// Opens a copy of a kiosk's disk, whose faults are cleared. Opening adds one record to the copy.
pub(crate) fn open_for_a_check(
    disk: FaultyDisk,
    kiosk: usize,
) -> (Journal<KioskState, FaultyDisk>, RecoveryReport) {
    let identity = JournalConfig {
        device: kiosk_id(kiosk),
        wrap_key: WRAP_KEY.into(),
        software: "judge".into(),
        configuration: "00".into(),
        limits: JournalLimits::new(u64::MAX),
    };
    let mut count = 0_u8;
    let mut entropy = || {
        count = count.wrapping_add(1);
        [count; 16]
    };
    let opened = Journal::open(disk, identity, UnixMs(1), &mut entropy);
    opened.expect("a disk whose faults are cleared can be opened")
}

/// The records of a copy of a kiosk's disk, such as a power cut at this moment would leave.
#[derive(Default)]
pub(crate) struct DurableRecords {
    /// Oldest first.
    entries: Vec<Entry>,
    /// Epoch and number of each.
    numbers: Vec<(u64, u64)>,
    /// The number of the last record that was read, by epoch. Those before it cannot change while the process lives.
    read: BTreeMap<u64, u64>,
}

impl DurableRecords {
    /// Reads the records that were added to this copy of the disk since the last call. Begin with no records after each end of
    /// the process.
    pub(crate) fn update(&mut self, disk: FaultyDisk, kiosk: usize) {
        let (mut journal, opening) = open_for_a_check(disk, kiosk);
        for epoch in journal.epochs() {
            if opening.new_epoch && epoch == journal.head().epoch {
                // It is not on the disk.
                continue;
            }
            let after = self.read.entry(epoch).or_default();
            while let Ok(Some(next)) = journal.read_after(epoch, *after, usize::MAX, usize::MAX) {
                match next {
                    NextRecords::Missing(resumes) => *after = resumes.seq,
                    NextRecords::Records(_, records) => {
                        *after = records.last().map_or(*after, |last| last.header.seq);
                        for record in &records {
                            if let Ok(entry) = Entry::decode(&record.body) {
                                self.entries.push(entry);
                                self.numbers.push((epoch, record.header.seq));
                            }
                        }
                    }
                }
            }
            // Opening the journal added one record, which is not on the disk.
            *after -= u64::from(epoch == journal.head().epoch);
        }
    }

    /// The records that were read, oldest first.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The records with epoch and number.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = ((u64, u64), &Entry)> {
        self.numbers.iter().copied().zip(&self.entries)
    }

    /// The visit that is open.
    fn open_visit(&self) -> Option<VisitId> {
        self.entries.iter().fold(None, |open, entry| match entry {
            Entry::Identified { visit, .. } => Some(*visit),
            Entry::VisitClosed { visit, .. } if open == Some(*visit) => None,
            _ => open,
        })
    }

    fn settlement_of(&self, order: OrderId) -> Option<&Settlement> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::OrderSettled { order: of, settlement } if *of == order => Some(settlement),
            _ => None,
        })
    }

    /// The orders of the visit that created one last, each with its total.
    fn orders_of_last_payer(&self) -> BTreeMap<OrderId, String> {
        let (mut last, mut orders) = (None, BTreeMap::new());
        for entry in &self.entries {
            if let Entry::OrderCreated { order, visit, total, .. } = entry {
                if last != Some(*visit) {
                    orders.clear();
                }
                last = Some(*visit);
                orders.insert(*order, total.to_string());
            }
        }
        orders
    }

    /// Why a statement does not agree with the records; none when it does.
    pub(crate) fn contradiction(&self, statement: &Statement) -> Option<String> {
        let orders = self.orders_of_last_payer();
        let order_of = |number: &String| {
            orders.keys().copied().find(|order| receipt_numbers(receipt_of(*order)).contains(number))
        };
        let unsettled = |order: &OrderId| self.settlement_of(*order).is_none();
        let agrees = match statement {
            Statement::SignedIn => self.open_visit().is_some(),
            Statement::Paying => orders.keys().any(unsettled),
            Statement::Checking { number } => order_of(number).is_some_and(|order| unsettled(&order)),
            Statement::Paid { number, amount } => order_of(number).is_some_and(|order| {
                let is_paid = matches!(self.settlement_of(order), Some(Settlement::Paid { .. }));
                is_paid && amount.as_ref() == orders.get(&order) && self.receipt(receipt_of(order)).is_some()
            }),
            Statement::NotPaid { amount, reason } => orders.iter().any(|(order, total)| {
                let settlement = self.settlement_of(*order);
                let shown = |why| text_of_void(why) == *reason;
                total == amount && matches!(settlement, Some(Settlement::Void { reason }) if shown(*reason))
            }),
            Statement::Printing => self.entries.iter().any(|entry| {
                matches!(entry, Entry::PrintStarted { receipt, copy, .. } if self.is_in_print(*receipt, *copy))
            }),
            Statement::Printed => self.has_of_last_visit(|entry| matches!(entry, Entry::Printed { .. })),
            Statement::PinChanged => self.has_of_last_visit(|entry| matches!(entry, Entry::PinChanged { .. })),
            Statement::Submitted { number } => self.has_of_last_visit(|entry| {
                matches!(entry, Entry::Submitted { submission, .. }
                    if (0..KIOSKS).any(|kiosk| submission.number(kiosk_id(kiosk)) == *number))
            }),
            Statement::HelpCalled => self.entries.iter().any(|entry| matches!(entry, Entry::HelpRequested { .. })),
        };
        (!agrees).then(|| format!("{statement:?} is shown and not durable"))
    }

    /// Whether an entry follows that of the last identification.
    fn has_of_last_visit(&self, is_it: impl Fn(&Entry) -> bool) -> bool {
        self.entries.iter().rev().take_while(|entry| !matches!(entry, Entry::Identified { .. })).any(is_it)
    }

    fn receipt(&self, receipt: ReceiptId) -> Option<(VisitId, &Receipt)> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::ReceiptIssued { receipt: of, visit, content, .. } if *of == receipt => {
                Some((*visit, content))
            }
            _ => None,
        })
    }

    /// Whether this copy was started and has no outcome.
    fn is_in_print(&self, of: ReceiptId, number: u32) -> bool {
        self.entries.iter().fold(false, |started, entry| match entry {
            Entry::PrintStarted { receipt, copy, .. } if (*receipt, *copy) == (of, number) => true,
            Entry::Printed { receipt, copy, .. }
            | Entry::PrintNotStarted { receipt, copy }
            | Entry::PrintUnconfirmed { receipt, copy }
                if (*receipt, *copy) == (of, number) =>
            {
                false
            }
            _ => started,
        })
    }

    /// Why a copy must not be sent to the printer now; none when it may. `shown`: the view on the screen.
    pub(crate) fn print_contradiction(
        &self,
        receipt: ReceiptId,
        content: &Receipt,
        is_marked: bool,
        shown: Option<&View>,
    ) -> Option<String> {
        let number = &content.number;
        let Some((visit, recorded)) = self.receipt(receipt) else {
            return Some(format!("receipt {number} is printed and not recorded"));
        };
        if recorded != content {
            return Some(format!("receipt {number} is printed with other content than was recorded"));
        }
        let copy = if is_marked { 2..=u32::MAX } else { 1..=1 };
        let is_started = self.entries.iter().any(|entry| {
            matches!(entry, Entry::PrintStarted { receipt: of, copy: number, .. }
                if *of == receipt && copy.contains(number) && self.is_in_print(*of, *number))
        });
        if !is_started {
            return Some(format!("receipt {number} is printed and its copy is not recorded as started"));
        }
        // After the visit, its payer may still stand before the notice with the outcome.
        let is_shown = shown.is_some_and(|view| {
            let said = statements(view);
            said.iter().any(|said| matches!(said, Statement::Paid { number: of, .. } if of == number))
        });
        let is_present = self.open_visit() == Some(visit) || (self.open_visit().is_none() && is_shown);
        (!is_present).then(|| format!("receipt {number} is printed after its visit"))
    }
}

const fn text_of_void(reason: VoidReason) -> TextId {
    match reason {
        VoidReason::Declined => TextId::NotPaidDeclined,
        VoidReason::Fenced => TextId::NotPaidFenced,
        VoidReason::Refused(ProblemCode::BillBusy) => TextId::NotPaidBusy,
        VoidReason::Refused(ProblemCode::BillSettled) => TextId::NotPaidSettled,
        VoidReason::Refused(ProblemCode::BillChanged) => TextId::NotPaidChanged,
        VoidReason::Refused(_) => TextId::NotPaidOther,
    }
}

/// Whether a resident was signed in since the last welcome view (I3): the next one must not find chosen settings.
#[derive(Default)]
pub(crate) struct VisitSettings {
    is_used: bool,
}

impl VisitSettings {
    /// Takes the next view of a kiosk. Returns a contradiction when settings outlive the visit in which they were chosen.
    pub(crate) fn next_view(&mut self, view: &View) -> Option<String> {
        self.is_used |= view.header.resident.is_some();
        let is_left = self.is_used && matches!(view.body, Body::Welcome(_));
        self.is_used &= !is_left;
        let settings = (view.lang, view.theme);
        (is_left && settings != (Lang::default(), Theme::default()))
            .then(|| format!("the next resident finds {settings:?}"))
    }
}
