//! Content of receipts and A4 documents.

use contract::{Receipt, ReceiptId, ReceiptLine, Step, UnixMs};
use view::{Lang, Text, TextId};

use crate::durable::UnsettledOrder;
use crate::setup::{Catalogue, KioskSetup};
use crate::wording::{date_time, in_language, method_name};

/// The title of a payment's receipt: from the service document if the service is known and still in force, else a fixed text.
pub(crate) fn payment_title(
    setup: &KioskSetup,
    catalogue: &Catalogue,
    service: Option<&str>,
    lang: Lang,
) -> String {
    let doc = service.and_then(|service| catalogue.services.get(service));
    let title = doc.and_then(|doc| {
        doc.steps.iter().find_map(|step| {
            if let Step::Print { title, .. } = step {
                Some(in_language(title, lang).to_owned())
            } else {
                None
            }
        })
    });
    title.unwrap_or_else(|| fixed_text(setup, lang, TextId::ReceiptPayment))
}

/// A payment's receipt. It contains no name of the payer.
pub(crate) fn payment_receipt(
    setup: &KioskSetup,
    payment: &UnsettledOrder,
    receipt: ReceiptId,
    title: String,
    reference: &str,
    at: UnixMs,
    lang: Lang,
) -> Receipt {
    let mut lines = Vec::new();
    for item in &payment.items {
        lines.push(ReceiptLine::Pair(item.label.clone(), item.amount.to_string()));
        lines.push(pair(setup, lang, TextId::ReceiptPayee, item.payee.clone()));
    }
    lines.push(ReceiptLine::Rule);
    let total = fixed_text(setup, lang, TextId::ReceiptTotal);
    lines.push(ReceiptLine::Amount(format!("{total} {}", payment.total)));
    let method = fixed_text(setup, lang, method_name(payment.method));
    lines.push(pair(setup, lang, TextId::ReceiptMethod, method));
    lines.push(pair(setup, lang, TextId::ReceiptReference, reference.to_owned()));
    finish_receipt(setup, title, lines, (receipt, RECEIPT_TEXTS), at, lang)
}

/// The label of a receipt's number, and the footer below its code.
pub(crate) const RECEIPT_TEXTS: (TextId, TextId) = (TextId::ReceiptNumber, TextId::ReceiptFoot);

/// Completes a receipt with its number, time and place.
pub(crate) fn finish_receipt(
    setup: &KioskSetup,
    title: String,
    mut lines: Vec<ReceiptLine>,
    (receipt, (label, foot)): (ReceiptId, (TextId, TextId)),
    at: UnixMs,
    lang: Lang,
) -> Receipt {
    let number = receipt.number(setup.kiosk);
    lines.push(ReceiptLine::Rule);
    lines.push(pair(setup, lang, label, number.clone()));
    lines.push(pair(setup, lang, TextId::ReceiptTime, date_time(at, setup.utc_offset_minutes)));
    lines.push(pair(setup, lang, TextId::ReceiptPlace, in_language(&setup.hall, lang).to_owned()));
    lines.push(pair(setup, lang, TextId::ReceiptKiosk, setup.kiosk.to_string()));
    lines.push(ReceiptLine::Text(fixed_text(setup, lang, foot)));
    Receipt { title, lines, code: Some(receipt_url(setup, receipt)), number }
}

/// The address from which a phone fetches the receipt: it lets its holder read the receipt.
pub(crate) fn receipt_url(setup: &KioskSetup, receipt: ReceiptId) -> String {
    format!("{}{receipt}", setup.receipt_url)
}

pub(crate) fn pair(setup: &KioskSetup, lang: Lang, label: TextId, value: String) -> ReceiptLine {
    ReceiptLine::Pair(fixed_text(setup, lang, label), value)
}

fn fixed_text(setup: &KioskSetup, lang: Lang, id: TextId) -> String {
    setup.texts.render(lang, &Text::Id(id))
}
