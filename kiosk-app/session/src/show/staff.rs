//! Content of the staff view: the state of the kiosk, and the remedy of each fault.

use contract::PrintForm;
use view::{Body, FooterButton, LabelledValue, Text, TextId};

use super::ViewContent;
use crate::event::{DeviceState, FaultReason};
use crate::kiosk::Kiosk;
use crate::print_job::PrintState;

pub(super) fn staff_content(kiosk: &Kiosk) -> ViewContent {
    let (has, devices) = (kiosk.setup.equipment, &kiosk.devices);
    let pair =
        |label: TextId, value: Text, strong| LabelledValue { label: label.into(), value, emphasized: strong };
    let count = |label, count: usize| pair(label, Text::Data(count.to_string()), count > 0);
    let link = if kiosk.online { TextId::LinkOnline } else { TextId::LinkOffline };
    let mut pairs = vec![
        pair(TextId::StaffKiosk, Text::Data(kiosk.setup.kiosk.to_string()), false),
        pair(TextId::StaffLink, link.into(), !kiosk.online),
    ];
    for (is_there, label, health, form) in [
        (has.card_reader, TextId::StaffCardReader, devices.card_reader, None),
        (has.id_reader, TextId::StaffIdReader, devices.id_reader, None),
        (has.code_reader, TextId::StaffCodeReader, devices.code_reader, None),
        (has.receipt_printer, TextId::StaffPrinter, devices.receipt_printer, Some(PrintForm::Receipt)),
        (
            has.document_printer,
            TextId::StaffSheetPrinter,
            devices.document_printer,
            Some(PrintForm::A4Document),
        ),
    ] {
        if is_there {
            pairs.push(pair(label, remedy_text(health, form).into(), health != DeviceState::Ready));
        }
    }
    let waits = |state: &PrintState| *state == PrintState::Waiting;
    pairs.push(count(TextId::StaffPayments, kiosk.durable.orders.len()));
    pairs.push(count(TextId::StaffPapers, kiosk.print_jobs.values().filter(|job| waits(&job.state)).count()));
    ViewContent {
        steps: None,
        title: TextId::StaffTitle.into(),
        lead: Some(if kiosk.payments_suspended { TextId::StaffLogFull } else { TextId::StaffLead }.into()),
        banners: Vec::new(),
        body: Body::Details(pairs),
        actions: Vec::new(),
        footer: vec![FooterButton::Language, FooterButton::TakeCard],
    }
}

/// The remedy for the health of a device.
const fn remedy_text(health: DeviceState, form: Option<PrintForm>) -> TextId {
    match (health, form) {
        (DeviceState::Ready, _) => TextId::StaffWell,
        (DeviceState::Unknown, _) => TextId::StaffUnknown,
        (DeviceState::Faulty(FaultReason::PaperOut), Some(PrintForm::A4Document)) => TextId::StaffSheetsOut,
        (DeviceState::Faulty(FaultReason::PaperOut), _) => TextId::StaffPaperOut,
        (DeviceState::Faulty(FaultReason::CoverOpen), _) => TextId::StaffCoverOpen,
        (DeviceState::Faulty(FaultReason::Jammed), _) => TextId::StaffJammed,
        (DeviceState::Faulty(FaultReason::Unavailable), _) => TextId::StaffGone,
    }
}
