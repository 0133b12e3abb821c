//! Staff sign-in: a staff card proves possession of a key that the site file lists, and opens the staff view with the
//! state of the kiosk and the remedy of each fault. No data of residents is shown, and the view offers no privileged action.

use contract::{Entry, PrintForm, StaffProof};
use view::{Body, FooterButton, LabelledValue, Lang, Text, TextId, Theme};

use crate::components::{Components, Status};
use crate::content::ViewContent;
use crate::event::{DeviceKind, DeviceState, FaultReason};
use crate::time::MonotonicMs;
use crate::transition::Turn;

/// The staff view ends after this time even if the card is still in the slot.
const STAFF_SHOWN_MS: u64 = 5 * 60_000;

/// A sign-in of staff (工作人员).
pub(crate) struct StaffSignIn {
    pub(crate) until: MonotonicMs,
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
}

impl StaffSignIn {
    /// Signs staff in; none when the site file does not list the card, or its proof is wrong.
    pub(crate) fn begin(
        components: &Components,
        turn: &mut Turn<'_>,
        proof: &StaffProof,
        (lang, theme): (Lang, Theme),
    ) -> Option<Self> {
        let known = components.setup.staff_keys.iter().find(|known| known.name == proof.name)?;
        proof.verify(&known.key).ok()?;
        turn.record(Entry::StaffSignedIn { card: proof.name.clone() });
        Some(Self { until: turn.now.mono.plus_ms(STAFF_SHOWN_MS), lang, theme })
    }

    pub(crate) fn content(&self, status: Status<'_>) -> ViewContent {
        let (has, components) = (&status.setup().equipment, status.components);
        let pair = |label: TextId, value: Text, strong| LabelledValue {
            label: label.into(),
            value,
            emphasized: strong,
        };
        let count = |label, count: usize| pair(label, Text::Data(count.to_string()), count > 0);
        let link = if components.online { TextId::LinkOnline } else { TextId::LinkOffline };
        let mut pairs = vec![
            pair(TextId::StaffKiosk, Text::Data(status.setup().kiosk.to_string()), false),
            pair(TextId::StaffLink, link.into(), !components.online),
        ];
        for (is_there, label, device, form) in [
            (has.card_reader, TextId::StaffCardReader, DeviceKind::CardReader, None),
            (has.id_reader, TextId::StaffIdReader, DeviceKind::IdReader, None),
            (has.code_reader, TextId::StaffCodeReader, DeviceKind::CodeReader, None),
            (has.receipt_printer, TextId::StaffPrinter, DeviceKind::ReceiptPrinter, Some(PrintForm::Receipt)),
            (
                has.document_printer,
                TextId::StaffSheetPrinter,
                DeviceKind::DocumentPrinter,
                Some(PrintForm::A4Document),
            ),
        ] {
            let state = components.devices.state(device);
            if is_there {
                pairs.push(pair(label, remedy_text(state, form).into(), state != DeviceState::Ready));
            }
        }
        pairs.push(count(TextId::StaffPayments, status.durable.orders().count()));
        pairs.push(count(TextId::StaffPapers, components.printing.waiting(status.durable)));
        let full = components.payments.are_suspended();
        ViewContent {
            lead: Some(if full { TextId::StaffLogFull } else { TextId::StaffLead }.into()),
            footer: vec![FooterButton::Language, FooterButton::TakeCard],
            ..ViewContent::new(TextId::StaffTitle, Body::Details(pairs))
        }
    }
}

/// The remedy for the state of a device.
const fn remedy_text(state: DeviceState, form: Option<PrintForm>) -> TextId {
    match (state, form) {
        (DeviceState::Ready, _) => TextId::StaffWell,
        (DeviceState::Unknown, _) => TextId::StaffUnknown,
        (DeviceState::Faulty(FaultReason::PaperOut), Some(PrintForm::A4Document)) => TextId::StaffSheetsOut,
        (DeviceState::Faulty(FaultReason::PaperOut), _) => TextId::StaffPaperOut,
        (DeviceState::Faulty(FaultReason::CoverOpen), _) => TextId::StaffCoverOpen,
        (DeviceState::Faulty(FaultReason::Jammed), _) => TextId::StaffJammed,
        (DeviceState::Faulty(FaultReason::Unavailable), _) => TextId::StaffGone,
    }
}
