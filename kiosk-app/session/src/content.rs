//! Content of a view, and the parts that many views share.

use contract::{IdentificationMethod, PrintForm, ReceiptId};
use view::{
    Action, Banner, Body, FooterButton, Icon, Intent, Outcome, OutcomeKind, ReceiptCode, Steps, Text, TextId,
    Theme, Tone,
};

use crate::components::Status;
use crate::durable::PrintState;
use crate::event::{DeviceKind, DeviceState, FaultReason};
use crate::printing::COPIES_MAX;
use crate::receipt_content::receipt_url;

/// The parts of a view that depend on the state; header and countdown are added around them.
pub(crate) struct ViewContent {
    pub(crate) steps: Option<Steps>,
    pub(crate) title: Text,
    pub(crate) lead: Option<Text>,
    pub(crate) banners: Vec<Banner>,
    pub(crate) body: Body,
    pub(crate) actions: Vec<Action>,
    pub(crate) footer: Vec<FooterButton>,
}

impl ViewContent {
    /// Content with a title and a body, and nothing else.
    pub(crate) fn new(title: impl Into<Text>, body: Body) -> Self {
        Self {
            steps: None,
            title: title.into(),
            lead: None,
            banners: Vec::new(),
            body,
            actions: Vec::new(),
            footer: Vec::new(),
        }
    }
}

/// Rows on one page.
pub(crate) const fn page_size(theme: Theme) -> usize {
    match theme {
        Theme::Standard => 4,
        Theme::Elder => 2,
    }
}

pub(crate) fn plain_outcome(kind: OutcomeKind, headline: TextId, detail: TextId) -> Outcome {
    Outcome {
        kind,
        headline: headline.into(),
        amount: None,
        detail: detail.into(),
        pairs: Vec::new(),
        code: None,
        gesture: None,
    }
}

pub(crate) fn action(text: impl Into<Text>, primary: bool, intent: Intent) -> Action {
    Action { text: text.into(), primary, enabled: true, intent }
}

/// The buttons that lead to the other pages of a menu.
pub(crate) fn page_actions(index: usize, count: usize) -> Vec<Action> {
    let to = |label: TextId, page: usize| {
        action(label, false, Intent::ShowPage(u16::try_from(page).unwrap_or(u16::MAX)))
    };
    let previous = index.checked_sub(1).map(|page| to(TextId::RowsPrevious, page));
    let label = if index == 0 { TextId::MenuMore } else { TextId::RowsNext };
    let next = (index + 1 < count).then(|| to(label, index + 1));
    previous.into_iter().chain(next).collect()
}

/// The button that ends the visit.
pub(crate) const fn exit_button(method: IdentificationMethod) -> FooterButton {
    match method {
        IdentificationMethod::Card => FooterButton::TakeCard,
        IdentificationMethod::Code | IdentificationMethod::IdCard => FooterButton::Exit,
    }
}

/// The buttons below the views of a service.
pub(crate) fn service_footer(method: IdentificationMethod) -> Vec<FooterButton> {
    vec![FooterButton::Back, FooterButton::Home, FooterButton::Help, exit_button(method)]
}

/// Work is pending for a few seconds. The button that ends the visit stays.
pub(crate) fn working_content(method: IdentificationMethod, word: TextId, detail: TextId) -> ViewContent {
    let body = Body::Outcome(plain_outcome(OutcomeKind::Working, word, detail));
    ViewContent { footer: vec![exit_button(method)], ..ViewContent::new(word, body) }
}

/// Something did not work; the action leads back, or tries again.
pub(crate) fn failure_content(
    method: IdentificationMethod,
    word: TextId,
    detail: TextId,
    retry: Option<TextId>,
) -> ViewContent {
    let body = Body::Outcome(plain_outcome(OutcomeKind::NotDone, word, detail));
    ViewContent {
        actions: vec![action(retry.unwrap_or(TextId::BackToMenu), true, Intent::Primary)],
        footer: service_footer(method),
        ..ViewContent::new(TextId::SorryTitle, body)
    }
}

/// An outcome after which only the menu is left.
pub(crate) fn final_content(
    method: IdentificationMethod,
    title: TextId,
    outcome: Outcome,
    leave: TextId,
) -> ViewContent {
    ViewContent {
        actions: vec![action(leave, true, Intent::Primary)],
        footer: service_footer(method),
        ..ViewContent::new(title, Body::Outcome(outcome))
    }
}

/// An answer without content.
pub(crate) fn nothing_found(method: IdentificationMethod, words: &str) -> ViewContent {
    let outcome = Outcome {
        headline: Text::Data(words.to_owned()),
        detail: Text::Data(String::new()),
        ..plain_outcome(OutcomeKind::NothingToDo, TextId::NothingTitle, TextId::NothingTitle)
    };
    final_content(method, TextId::NothingTitle, outcome, TextId::BackToMenu)
}

/// Banner that confirms a call for help: sent, or queued without a link.
pub(crate) fn help_banner(online: bool) -> Banner {
    let (tone, title, detail) = if online {
        (Tone::Note, TextId::HelpCalled, TextId::HelpCalledDetail)
    } else {
        (Tone::Wait, TextId::HelpQueued, TextId::HelpQueuedDetail)
    };
    Banner { tone, icon: Icon::Help, title: title.into(), detail: Some(detail.into()) }
}

/// Banner that asks to take the card that is still in the slot.
pub(crate) fn take_card_banner(status: Status<'_>) -> Option<Banner> {
    let title = TextId::TakeCardTitle.into();
    let banner = Banner { tone: Tone::Wait, icon: Icon::Card, title, detail: None };
    status.components.devices.is_card_inserted().then_some(banner)
}

/// Banner for a fault of the receipt printer: shown before a resident chooses a service that prints, with the remedy
/// for staff.
pub(crate) fn printer_fault_banner(status: Status<'_>) -> Option<Banner> {
    let (title, detail) = match status.components.devices.state(DeviceKind::ReceiptPrinter) {
        DeviceState::Ready | DeviceState::Unknown => return None,
        DeviceState::Faulty(_) if !status.setup().equipment.receipt_printer => return None,
        DeviceState::Faulty(FaultReason::PaperOut) => (TextId::PaperOut, Some(TextId::TileNeedsPaper)),
        DeviceState::Faulty(FaultReason::CoverOpen) => (TextId::CoverOpen, Some(TextId::TileNeedsPaper)),
        DeviceState::Faulty(FaultReason::Jammed) => (TextId::PaperJam, Some(TextId::TileNeedsPaper)),
        DeviceState::Faulty(FaultReason::Unavailable) => (TextId::TileNeedsPaper, None),
    };
    let (title, detail) = (title.into(), detail.map(Text::from));
    Some(Banner { tone: Tone::Wait, icon: Icon::TriangleAlert, title, detail })
}

/// Banner for a fault of the document printer while the receipt printer works: the remedy for staff, and what residents
/// get instead.
pub(crate) fn document_printer_fault_banner(status: Status<'_>) -> Option<Banner> {
    let has = status.setup().equipment.document_printer;
    let instead = has && status.printer_for(PrintForm::Receipt).is_some();
    let title = match status.components.devices.state(DeviceKind::DocumentPrinter) {
        DeviceState::Faulty(FaultReason::PaperOut) if instead => TextId::SheetPaperOut,
        DeviceState::Faulty(FaultReason::CoverOpen | FaultReason::Jammed | FaultReason::Unavailable)
            if instead =>
        {
            TextId::SheetOff
        }
        DeviceState::Faulty(_) | DeviceState::Ready | DeviceState::Unknown => return None,
    };
    let detail = Some(TextId::SheetOffDetail.into());
    Some(Banner { tone: Tone::Note, icon: Icon::TriangleAlert, title: title.into(), detail })
}

pub(crate) fn receipt_code(status: Status<'_>, receipt: ReceiptId) -> ReceiptCode {
    ReceiptCode { number: receipt.number(status.setup().kiosk), qr: receipt_url(status.setup(), receipt) }
}

/// Banner about a receipt on its way to paper; none while it is printing or printed.
pub(crate) fn print_fault_banner(status: Status<'_>, receipt: ReceiptId) -> Option<Banner> {
    let state = status.print_state(receipt)?;
    let printer = printer_of(status, receipt);
    let wait = |title: TextId, detail: TextId| {
        Some(Banner {
            tone: Tone::Wait,
            icon: Icon::TriangleAlert,
            title: title.into(),
            detail: Some(detail.into()),
        })
    };
    let on_sheet = printer == PrintForm::A4Document;
    match (state, status.components.devices.printer(printer)) {
        (PrintState::Unconfirmed, _) if on_sheet => wait(TextId::SheetUnsure, TextId::SheetUnsureDetail),
        (PrintState::Waiting, DeviceState::Faulty(FaultReason::PaperOut)) if on_sheet => {
            wait(TextId::SheetPaperOut, TextId::PaperOutDetail)
        }
        (PrintState::Unconfirmed, _) => wait(TextId::PrintUnsure, TextId::PrintUnsureDetail),
        (PrintState::Waiting, DeviceState::Faulty(FaultReason::PaperOut)) => {
            wait(TextId::PaperOut, TextId::PaperOutDetail)
        }
        (PrintState::Waiting, DeviceState::Faulty(FaultReason::CoverOpen)) => {
            wait(TextId::CoverOpen, TextId::PrintOffDetail)
        }
        (PrintState::Waiting, DeviceState::Faulty(FaultReason::Jammed)) => {
            wait(TextId::PaperJam, TextId::PrintOffDetail)
        }
        (
            PrintState::Waiting,
            DeviceState::Faulty(FaultReason::Unavailable) | DeviceState::Unknown | DeviceState::Ready,
        ) => wait(TextId::PrintOff, TextId::PrintOffDetail),
        (PrintState::Printing | PrintState::Printed, _) => None,
    }
}

/// The printer to which a receipt was sent last, or that its form asks for.
pub(crate) fn printer_of(status: Status<'_>, receipt: ReceiptId) -> PrintForm {
    let Some(open) = status.durable.receipts().get(receipt) else { return PrintForm::Receipt };
    // Before the first copy: the printer that would print it.
    open.printer.or_else(|| status.printer_for(open.form)).unwrap_or(open.form)
}

/// The actions on a receipt: another copy where allowed, and to finish.
pub(crate) fn print_actions(status: Status<'_>, receipt: ReceiptId) -> Vec<Action> {
    let open = status.durable.receipts().get(receipt);
    let copies = open.map_or(COPIES_MAX, |open| open.copy);
    let could_print = open.is_some_and(|open| status.printer_for(open.form).is_some());
    let state = status.print_state(receipt);
    let again = match state {
        Some(PrintState::Unconfirmed) if copies < COPIES_MAX => Some(TextId::PrintAgain),
        Some(PrintState::Waiting) if could_print => Some(TextId::TryAgain),
        Some(PrintState::Unconfirmed | PrintState::Waiting | PrintState::Printing | PrintState::Printed)
        | None => None,
    };
    let done = match state {
        Some(PrintState::Waiting) => TextId::NoPaperNeeded,
        Some(PrintState::Unconfirmed | PrintState::Printing | PrintState::Printed) | None => TextId::Finish,
    };
    let mut actions = vec![action(done, true, Intent::Primary)];
    if let Some(again) = again {
        actions.push(action(again, false, Intent::Secondary));
    }
    actions
}
