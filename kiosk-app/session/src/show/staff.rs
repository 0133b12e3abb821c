//! Content of the staff view: the state of the kiosk, and the remedy of each fault.

use contract::Form;
use view::{Body, Foot, Pair, Text, TextId};

use super::Frame;
use crate::event::{Health, Trouble};
use crate::kiosk::Kiosk;
use crate::paper::PaperState;

pub(super) fn frame(kiosk: &Kiosk) -> Frame {
    let (has, devices) = (kiosk.setup.has, &kiosk.devices);
    let pair = |label: TextId, value: Text, strong| Pair { label: label.into(), value, strong };
    let count = |label, count: usize| pair(label, Text::Data(count.to_string()), count > 0);
    let link = if kiosk.online { TextId::LinkOnline } else { TextId::LinkOffline };
    let mut pairs = vec![
        pair(TextId::StaffKiosk, Text::Data(kiosk.setup.device.to_string()), false),
        pair(TextId::StaffLink, link.into(), !kiosk.online),
    ];
    for (is_there, label, health, form) in [
        (has.card_reader, TextId::StaffCardReader, devices.card_reader, None),
        (has.id_reader, TextId::StaffIdReader, devices.id_reader, None),
        (has.code_reader, TextId::StaffCodeReader, devices.code_reader, None),
        (has.printer, TextId::StaffPrinter, devices.printer, Some(Form::Receipt)),
        (has.sheet_printer, TextId::StaffSheetPrinter, devices.sheet_printer, Some(Form::Sheet)),
    ] {
        if is_there {
            pairs.push(pair(label, what_to_do(health, form).into(), health != Health::Ready));
        }
    }
    let waits = |state: &PaperState| *state == PaperState::Waiting;
    pairs.push(count(TextId::StaffPayments, kiosk.payments.len()));
    pairs.push(count(TextId::StaffPapers, kiosk.papers.values().filter(|job| waits(&job.state)).count()));
    Frame {
        steps: None,
        title: TextId::StaffTitle.into(),
        lead: Some(if kiosk.money_off { TextId::StaffLogFull } else { TextId::StaffLead }.into()),
        banners: Vec::new(),
        body: Body::Sheet(pairs),
        actions: Vec::new(),
        footer: vec![Foot::Language, Foot::TakeCard],
    }
}

/// The remedy for the health of a device.
const fn what_to_do(health: Health, form: Option<Form>) -> TextId {
    match (health, form) {
        (Health::Ready, _) => TextId::StaffWell,
        (Health::Unknown, _) => TextId::StaffUnknown,
        (Health::Trouble(Trouble::PaperOut), Some(Form::Sheet)) => TextId::StaffSheetsOut,
        (Health::Trouble(Trouble::PaperOut), _) => TextId::StaffPaperOut,
        (Health::Trouble(Trouble::CoverOpen), _) => TextId::StaffCoverOpen,
        (Health::Trouble(Trouble::Jammed), _) => TextId::StaffJammed,
        (Health::Trouble(Trouble::Gone), _) => TextId::StaffGone,
    }
}
