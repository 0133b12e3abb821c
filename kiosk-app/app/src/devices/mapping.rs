//! Converts between the device protocol and the session's types. The only module that knows both: drivers know
//! nothing of visits, the session knows nothing of drivers.

use code_reader::{LineEnd, ScanHint};
use contract::{Receipt, ReceiptLine, ScannerSettings, ScannerSuffix};
use device::wire::{self, Attention, DeviceFault, Signal};
use printer::{A4Document, DocumentBlock, DocumentCode, PrintOutcome, ReceiptBlock};
use session::{
    CardEvent, CodeHint, DeviceState, Event, Failure, FaultReason, IdCardEvent, PinAnswer, PrintResult,
};
use view::{Body, GateSign, Light};

use super::{cards, id_cards};

/// An event, and whether it may be dropped when the engine is busy.
pub(super) enum Delivery {
    /// The event must reach the engine.
    Required(Event),
    /// The event may be dropped: the next one of its kind replaces it.
    Droppable(Event),
}

/// Health of a device for the session: whether services that need it can be offered.
pub(super) const fn session_health(health: wire::DeviceHealth) -> DeviceState {
    match health {
        // With little paper or toner the device still prints.
        wire::DeviceHealth::Ready
        | wire::DeviceHealth::Busy
        | wire::DeviceHealth::NeedsAttention(Attention::PaperLow | Attention::TonerLow) => DeviceState::Ready,
        wire::DeviceHealth::NeedsAttention(Attention::PaperOut) => DeviceState::Faulty(FaultReason::PaperOut),
        wire::DeviceHealth::NeedsAttention(Attention::CoverOpen) => {
            DeviceState::Faulty(FaultReason::CoverOpen)
        }
        wire::DeviceHealth::NeedsAttention(Attention::Jammed) => DeviceState::Faulty(FaultReason::Jammed),
        wire::DeviceHealth::NeedsAttention(Attention::TonerOut | Attention::NotResponding)
        | wire::DeviceHealth::Absent
        | wire::DeviceHealth::Failed => DeviceState::Faulty(FaultReason::Unavailable),
    }
}

/// The session's event for a device event; `None` when it is invalid or has no use.
pub(super) fn session_event(event: wire::DeviceEvent) -> Option<Delivery> {
    Some(match event {
        wire::DeviceEvent::CardInserted => Delivery::Required(Event::Card(CardEvent::Inserted)),
        wire::DeviceEvent::CardNeedsAuthentication(request) => {
            Delivery::Required(Event::Card(CardEvent::NeedsAuthentication(cards::card_challenge(&request)?)))
        }
        wire::DeviceEvent::CardRead(card) => Delivery::Required(Event::Card(cards::card_event(&card))),
        wire::DeviceEvent::CardRefused(refusal) => {
            Delivery::Required(Event::Card(CardEvent::Refused(cards::card_refusal(refusal))))
        }
        wire::DeviceEvent::StaffCard(proof) => {
            Delivery::Required(Event::Card(CardEvent::Staff(cards::staff_proof(*proof)?)))
        }
        wire::DeviceEvent::CardRemoved => Delivery::Required(Event::Card(CardEvent::Removed)),
        wire::DeviceEvent::Code(code) if code.len() <= wire::CODE_MAX => {
            Delivery::Required(Event::CodeScanned(code))
        }
        wire::DeviceEvent::Code(_) => return None,
        wire::DeviceEvent::IdCardDetected => Delivery::Required(Event::IdCard(IdCardEvent::Detected)),
        wire::DeviceEvent::IdCardRead(holder) => {
            Delivery::Required(Event::IdCard(id_cards::id_card_event(&holder)))
        }
        wire::DeviceEvent::IdCardRefused(refusal) => {
            Delivery::Required(Event::IdCard(IdCardEvent::Refused(id_cards::id_card_refusal(refusal))))
        }
        wire::DeviceEvent::CodeHint(hint) => Delivery::Droppable(Event::CodeHint(code_hint(hint))),
    })
}

const fn code_hint(hint: ScanHint) -> CodeHint {
    match hint {
        ScanHint::Dark => CodeHint::TooDark,
        ScanHint::Glare => CodeHint::Glare,
        ScanHint::Moving => CodeHint::Moving,
        ScanHint::TooFar => CodeHint::TooFar,
        ScanHint::TooNear => CodeHint::TooNear,
    }
}

/// The scanner's line format in the driver's type.
pub(super) fn scanner_line(line: ScannerSettings) -> wire::ScannerConfig {
    wire::ScannerConfig {
        end: match line.end {
            ScannerSuffix::Any => LineEnd::Any,
            ScannerSuffix::Cr => LineEnd::Cr,
            ScannerSuffix::Lf => LineEnd::Lf,
            ScannerSuffix::CrLf => LineEnd::CrLf,
            ScannerSuffix::Tab => LineEnd::Tab,
            ScannerSuffix::Etx => LineEnd::Etx,
            ScannerSuffix::Pause => LineEnd::Pause,
        },
        gap_ms: line.gap_ms,
        start: line.start.into_bytes(),
    }
}

/// What a gate's signal lamp shows for a view. The sign on the screen has more states.
pub(super) const fn gate_signal(body: &Body) -> Signal {
    let Body::Sign(GateSign { light, .. }) = body else { return Signal::Dark };
    match light {
        Light::Go => Signal::Go,
        Light::Stop => Signal::Stop,
        Light::Ready | Light::Wait => Signal::Dark,
    }
}

/// The card's answer to a PIN.
pub(super) fn pin_result(answer: Result<wire::DeviceAnswer, DeviceFault>) -> Result<PinAnswer, Failure> {
    let Ok(wire::DeviceAnswer::Pin(outcome)) = answer else { return Err(Failure::DeviceFailed) };
    cards::pin_answer(outcome)
}

/// The failure of a card authentication, if it failed. Success is reported by an event, not by this answer.
pub(super) fn authentication_failure(answer: &Result<wire::DeviceAnswer, DeviceFault>) -> Option<Failure> {
    (!matches!(answer, Ok(wire::DeviceAnswer::Authenticated))).then_some(Failure::DeviceFailed)
}

/// The result of a print job.
pub(super) fn print_result(answer: Result<wire::DeviceAnswer, DeviceFault>) -> PrintResult {
    match answer {
        Ok(wire::DeviceAnswer::Printed(PrintOutcome::Printed { confirmation })) => {
            PrintResult::Printed(match confirmation {
                printer::PrintConfirmation::ProcessId => contract::Confirmation::Echoed,
                printer::PrintConfirmation::Barrier | printer::PrintConfirmation::SheetsCounted => {
                    contract::Confirmation::BarrierAnswered
                }
                printer::PrintConfirmation::Received => contract::Confirmation::Sent,
            })
        }
        // A fault means that the work was not begun.
        Ok(wire::DeviceAnswer::Printed(PrintOutcome::NotStarted(_))) | Err(_) => PrintResult::NotStarted,
        Ok(wire::DeviceAnswer::Printed(PrintOutcome::Unconfirmed(_))) => PrintResult::Unconfirmed,
        // An answer to another request: the outcome of this one is unknown (I6).
        Ok(
            wire::DeviceAnswer::Pin(_) | wire::DeviceAnswer::Authenticated | wire::DeviceAnswer::SignalShown,
        ) => PrintResult::Unconfirmed,
    }
}

/// A receipt in the printer driver's type.
pub(crate) fn printer_receipt(content: &Receipt, mark: Option<String>) -> printer::PrintableReceipt {
    let mut blocks = vec![ReceiptBlock::Title(content.title.clone()), ReceiptBlock::Rule];
    blocks.extend(content.lines.iter().map(|line| match line {
        ReceiptLine::Pair(label, value) => ReceiptBlock::Pair { label: label.clone(), value: value.clone() },
        ReceiptLine::Text(text) => ReceiptBlock::Line(text.clone()),
        ReceiptLine::Amount(text) => {
            // `合计 ¥86.40`: the sum follows the last space.
            let (label, value) = text.rsplit_once(' ').unwrap_or(("", text));
            ReceiptBlock::Amount { label: label.to_owned(), value: value.to_owned() }
        }
        ReceiptLine::Rule => ReceiptBlock::Rule,
    }));
    blocks.extend(content.code.clone().map(ReceiptBlock::Qr));
    printer::PrintableReceipt { blocks, copy_mark: mark }
}

/// A receipt as an A4 document: the lines after the last rule (number, time, place) are placed beside the code, the
/// last text below it.
pub(crate) fn printer_document(content: &Receipt, mark: Option<String>) -> A4Document {
    let ends = content.lines.iter().rposition(|line| *line == ReceiptLine::Rule);
    let (body, end) = content.lines.split_at(ends.unwrap_or(content.lines.len()));
    let blocks = body.iter().map(|line| match line {
        ReceiptLine::Pair(label, value) => DocumentBlock::Row { label: label.clone(), value: value.clone() },
        ReceiptLine::Text(text) | ReceiptLine::Amount(text) => DocumentBlock::Text(text.clone()),
        ReceiptLine::Rule => DocumentBlock::Space,
    });
    let (mut foot, mut caption) = (Vec::new(), String::new());
    for line in end {
        match line {
            ReceiptLine::Pair(label, value) => foot.push((label.clone(), value.clone())),
            ReceiptLine::Text(text) | ReceiptLine::Amount(text) => caption.clone_from(text),
            ReceiptLine::Rule => {}
        }
    }
    A4Document {
        title: content.title.clone(),
        blocks: blocks.collect(),
        code: content.code.clone().map(|content| DocumentCode { content, caption }),
        foot,
        copy_mark: mark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use printer::PrintFailure;

    #[test]
    fn health_paper_low_is_ready() {
        let low = wire::DeviceHealth::NeedsAttention(Attention::PaperLow);
        assert_eq!(session_health(low), DeviceState::Ready);
        let out = wire::DeviceHealth::NeedsAttention(Attention::PaperOut);
        assert_eq!(session_health(out), DeviceState::Faulty(FaultReason::PaperOut));
        let mute = wire::DeviceHealth::NeedsAttention(Attention::NotResponding);
        assert_eq!(session_health(mute), DeviceState::Faulty(FaultReason::Unavailable));
    }

    #[test]
    fn printed_without_certainty_is_unconfirmed() {
        let answer = |outcome| print_result(Ok(wire::DeviceAnswer::Printed(outcome)));
        assert_eq!(answer(PrintOutcome::NotStarted(PrintFailure::PaperOut)), PrintResult::NotStarted);
        assert_eq!(answer(PrintOutcome::Unconfirmed(PrintFailure::PaperOut)), PrintResult::Unconfirmed);
        assert_eq!(print_result(Err(DeviceFault::Busy)), PrintResult::NotStarted);
        assert_eq!(print_result(Ok(wire::DeviceAnswer::SignalShown)), PrintResult::Unconfirmed);
        let fenced = PrintOutcome::Printed { confirmation: printer::PrintConfirmation::Barrier };
        assert_eq!(answer(fenced), PrintResult::Printed(contract::Confirmation::BarrierAnswered));
    }

    #[test]
    fn signal_shows_verdicts_only() {
        let words = || view::TextId::GateReady.into();
        let sign = |light| Body::Sign(GateSign { light, headline: words(), detail: words() });
        for (light, expected) in [
            (Light::Go, Signal::Go),
            (Light::Stop, Signal::Stop),
            (Light::Ready, Signal::Dark),
            (Light::Wait, Signal::Dark),
        ] {
            assert_eq!(gate_signal(&sign(light)), expected);
        }
        assert_eq!(gate_signal(&Body::Menu(Vec::new())), Signal::Dark);
    }

    #[test]
    fn event_code_longer_than_maximum_is_dropped() {
        let code = |len: usize| session_event(wire::DeviceEvent::Code(vec![b'Y'; len].into()));
        assert!(matches!(code(wire::CODE_MAX), Some(Delivery::Required(Event::CodeScanned(_)))));
        assert!(code(wire::CODE_MAX + 1).is_none());
    }

    #[test]
    fn receipt_keeps_line_order_and_ends_with_code() {
        let content = Receipt {
            title: "缴费凭条".into(),
            lines: vec![
                ReceiptLine::Pair("账期".into(), "2026年10月".into()),
                ReceiptLine::Rule,
                ReceiptLine::Amount("合计 ¥86.40".into()),
                ReceiptLine::Amount("¥1.00".into()),
                ReceiptLine::Text("请妥善保管".into()),
            ],
            number: "0000 0000 0000 0001".into(),
            code: Some("https://example/r/1".into()),
        };
        let printed = printer_receipt(&content, Some("补打 第1次".into()));
        let expected = vec![
            ReceiptBlock::Title("缴费凭条".into()),
            ReceiptBlock::Rule,
            ReceiptBlock::Pair { label: "账期".into(), value: "2026年10月".into() },
            ReceiptBlock::Rule,
            ReceiptBlock::Amount { label: "合计".into(), value: "¥86.40".into() },
            ReceiptBlock::Amount { label: String::new(), value: "¥1.00".into() },
            ReceiptBlock::Line("请妥善保管".into()),
            ReceiptBlock::Qr("https://example/r/1".into()),
        ];
        assert!(
            printed
                == printer::PrintableReceipt { blocks: expected, copy_mark: Some("补打 第1次".into()) }
        );
    }

    #[test]
    fn a4_document_has_table_and_footer_beside_code() {
        let pair = |label: &str, value: &str| ReceiptLine::Pair(label.into(), value.into());
        let content = Receipt {
            title: "社会保险参保证明".into(),
            lines: vec![
                pair("姓名", "张*英"),
                ReceiptLine::Rule,
                pair("状态", "正常"),
                ReceiptLine::Rule,
                pair("凭条号", "0000 0000 0000 0001"),
                ReceiptLine::Text("扫码核对".into()),
            ],
            number: "0000 0000 0000 0001".into(),
            code: Some("https://example/r/1".into()),
        };
        let row = |label: &str, value: &str| DocumentBlock::Row { label: label.into(), value: value.into() };
        let expected = A4Document {
            title: "社会保险参保证明".into(),
            blocks: vec![row("姓名", "张*英"), DocumentBlock::Space, row("状态", "正常")],
            code: Some(DocumentCode {
                content: "https://example/r/1".into(), caption: "扫码核对".into()
            }),
            foot: vec![("凭条号".into(), "0000 0000 0000 0001".into())],
            copy_mark: Some("补打 第1次".into()),
        };
        assert!(printer_document(&content, Some("补打 第1次".into())) == expected);
    }
}
