//! Content of receipts and A4 documents.

use contract::{PaymentMethod, PrintForm, Receipt, ReceiptId, ReceiptLine, Step, UnixMs};
use jiff::Timestamp;
use jiff::tz::Offset;
use view::{Lang, Text, TextId};

use crate::durable::UnsettledOrder;
use crate::kiosk::Kiosk;
use crate::mask;
use crate::rows;
use crate::setup::KioskSetup;
use crate::visit::{IdentifiedResident, RunningService, in_language};

/// The title of a payment's receipt: from the service document if the service is still in force, else a fixed text.
pub(crate) fn payment_title(kiosk: &Kiosk, service: &str, lang: Lang) -> String {
    let doc = kiosk.catalogue.services.get(service);
    let title = doc.and_then(|doc| {
        doc.steps.iter().find_map(|step| match step {
            Step::Print { title, .. } => Some(in_language(title, lang).to_owned()),
            Step::Consent { .. }
            | Step::Query { .. }
            | Step::Show { .. }
            | Step::ShowCode { .. }
            | Step::ChangePin { .. }
            | Step::Choose { .. }
            | Step::Pay { .. } => None,
        })
    });
    title.unwrap_or_else(|| fixed_text(&kiosk.setup, lang, TextId::ReceiptPayment))
}

/// A payment's receipt. It contains no name of the payer.
pub(crate) fn payment_receipt(
    kiosk: &Kiosk,
    payment: &UnsettledOrder,
    receipt: ReceiptId,
    title: String,
    reference: &str,
    at: UnixMs,
    lang: Lang,
) -> Receipt {
    let setup = &kiosk.setup;
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
const RECEIPT_TEXTS: (TextId, TextId) = (TextId::ReceiptNumber, TextId::ReceiptFoot);

/// The printout of data that was shown by a service, and its form.
pub(crate) fn service_printout(
    setup: &KioskSetup,
    running: &RunningService,
    person: &IdentifiedResident,
    receipt: ReceiptId,
    at: UnixMs,
    lang: Lang,
) -> Option<(PrintForm, Receipt)> {
    let Step::Print { title, form, with, show, .. } = running.current_step()? else { return None };
    let words = match form {
        PrintForm::Receipt => RECEIPT_TEXTS,
        PrintForm::A4Document => (TextId::SheetNumber, TextId::SheetFoot),
    };
    let mut lines = vec![
        pair(setup, lang, TextId::ReceiptName, mask::name(&person.name)),
        pair(setup, lang, TextId::ReceiptIdNumber, mask::id_number(&person.id_number)),
        ReceiptLine::Rule,
    ];
    for step in with {
        let declared = running.doc.answer_schema(step);
        for row in running.rows_of_step(step) {
            for field in show {
                if let (Some(contract::AnswerField::Labelled(label)), Some(value)) =
                    (declared.and_then(|fields| fields.get(field)), row.get(field))
                {
                    lines.push(ReceiptLine::Pair(
                        label_of(label, lang).to_owned(),
                        rows::display_value(label.kind, value, lang),
                    ));
                }
            }
        }
    }
    Some((
        *form,
        finish_receipt(setup, in_language(title, lang).to_owned(), lines, (receipt, words), at, lang),
    ))
}

fn finish_receipt(
    setup: &KioskSetup,
    title: String,
    mut lines: Vec<ReceiptLine>,
    (receipt, (label, foot)): (ReceiptId, (TextId, TextId)),
    at: UnixMs,
    lang: Lang,
) -> Receipt {
    let number = receipt.number();
    lines.push(ReceiptLine::Rule);
    lines.push(pair(setup, lang, label, number.clone()));
    lines.push(pair(setup, lang, TextId::ReceiptTime, date_time(at, setup.utc_offset_minutes)));
    lines.push(pair(setup, lang, TextId::ReceiptPlace, in_language(&setup.hall, lang).to_owned()));
    lines.push(pair(setup, lang, TextId::ReceiptKiosk, setup.kiosk.to_string()));
    lines.push(ReceiptLine::Text(fixed_text(setup, lang, foot)));
    Receipt { title, lines, code: Some(receipt_url(setup, receipt)), number }
}

/// The address from which a phone fetches the receipt.
pub(crate) fn receipt_url(setup: &KioskSetup, receipt: ReceiptId) -> String {
    format!("{}{}", setup.receipt_url, receipt.number().replace(' ', ""))
}

fn pair(setup: &KioskSetup, lang: Lang, label: TextId, value: String) -> ReceiptLine {
    ReceiptLine::Pair(fixed_text(setup, lang, label), value)
}

fn fixed_text(setup: &KioskSetup, lang: Lang, id: TextId) -> String {
    setup.texts.render(lang, &Text::Id(id))
}

/// A declared field's label.
pub(crate) fn label_of(label: &contract::LabelledField, lang: Lang) -> &str {
    match lang {
        Lang::Zh => &label.zh,
        Lang::En => &label.en,
    }
}

/// The name of a payment method.
pub(crate) const fn method_name(method: PaymentMethod) -> TextId {
    match method {
        PaymentMethod::CardAccount => TextId::MethodCardAccount,
        PaymentMethod::ResidentCode => TextId::MethodResidentCode,
    }
}

/// The local civil time; that of the Unix epoch when the clock is out of range.
pub(crate) fn local_time(at: UnixMs, offset_minutes: i16) -> jiff::civil::DateTime {
    let offset = Offset::from_seconds(i32::from(offset_minutes) * 60).unwrap_or(Offset::UTC);
    let time = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    offset.to_datetime(time.unwrap_or(Timestamp::UNIX_EPOCH))
}

fn date_time(at: UnixMs, offset_minutes: i16) -> String {
    local_time(at, offset_minutes).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_time_is_local_and_epoch_when_out_of_range() {
        assert_eq!(date_time(UnixMs(0), 480), "1970-01-01 08:00:00");
        assert_eq!(date_time(UnixMs(u64::MAX), 480), "1970-01-01 08:00:00");
    }
}
