//! Devices: whether each can be used, and whether a card is in the slot.

use contract::PrintForm;

use crate::event::{DeviceKind, DeviceState};
use crate::setup::Equipment;

/// Health of the devices, and whether a card is inserted.
#[derive(Default)]
pub(crate) struct Devices {
    card_reader: DeviceState,
    code_reader: DeviceState,
    id_reader: DeviceState,
    receipt_printer: DeviceState,
    document_printer: DeviceState,
    signal: DeviceState,
    card_inserted: bool,
}

impl Devices {
    /// Sets the state of a device; returns the one before.
    pub(crate) const fn set(&mut self, device: DeviceKind, state: DeviceState) -> DeviceState {
        let place = match device {
            DeviceKind::CardReader => &mut self.card_reader,
            DeviceKind::CodeReader => &mut self.code_reader,
            DeviceKind::IdReader => &mut self.id_reader,
            DeviceKind::ReceiptPrinter => &mut self.receipt_printer,
            DeviceKind::DocumentPrinter => &mut self.document_printer,
            // The sign on the screen shows the same as a gate's light: the gate works without the light.
            DeviceKind::Signal => &mut self.signal,
        };
        std::mem::replace(place, state)
    }

    pub(crate) const fn state(&self, device: DeviceKind) -> DeviceState {
        match device {
            DeviceKind::CardReader => self.card_reader,
            DeviceKind::CodeReader => self.code_reader,
            DeviceKind::IdReader => self.id_reader,
            DeviceKind::ReceiptPrinter => self.receipt_printer,
            DeviceKind::DocumentPrinter => self.document_printer,
            DeviceKind::Signal => self.signal,
        }
    }

    pub(crate) const fn set_card_inserted(&mut self, inserted: bool) {
        self.card_inserted = inserted;
    }

    pub(crate) const fn is_card_inserted(&self) -> bool {
        self.card_inserted
    }

    /// The state of the printer of this form.
    pub(crate) const fn printer(&self, form: PrintForm) -> DeviceState {
        match form {
            PrintForm::Receipt => self.receipt_printer,
            PrintForm::A4Document => self.document_printer,
        }
    }

    /// The printer that would print this form now; none when no suitable printer is ready. An A4 document falls back to
    /// the receipt printer.
    pub(crate) fn printer_for(&self, form: PrintForm, has: &Equipment) -> Option<PrintForm> {
        let document = has.document_printer && self.document_printer == DeviceState::Ready;
        let receipt = has.receipt_printer && self.receipt_printer == DeviceState::Ready;
        match form {
            PrintForm::A4Document if document => Some(PrintForm::A4Document),
            PrintForm::A4Document | PrintForm::Receipt => receipt.then_some(PrintForm::Receipt),
        }
    }
}
