//! Converts between the device protocol and the session's types. The only module that knows both: drivers know
//! nothing of visits, the session knows nothing of drivers.

use code_reader::{Hint, LineEnd};
use contract::{Receipt, ReceiptLine, ScannerEnd, ScannerLine};
use device::wire::{self, Attention, Fault, Signal};
use printer::{A4, Block, Outcome, Sheet, SheetBlock, SheetCode};
use session::{CardEvent, CodeHint, Event, Failure, Health, IdCardEvent, PinAnswer, PrintResult, Trouble};
use view::{Body, Light, Sign};

use super::{cards, id_cards};

/// An event, and whether it may be dropped when the engine is busy.
pub(super) enum Told {
    /// The event must reach the engine.
    Must(Event),
    /// The event may be dropped: the next one of its kind replaces it.
    May(Event),
}

/// Health of a device for the session: whether services that need it can be offered.
pub(super) const fn health(health: wire::Health) -> Health {
    match health {
        // With little paper or toner the device still prints.
        wire::Health::Ready
        | wire::Health::Busy
        | wire::Health::NeedsAttention(Attention::PaperLow | Attention::TonerLow) => Health::Ready,
        wire::Health::NeedsAttention(Attention::PaperOut) => Health::Trouble(Trouble::PaperOut),
        wire::Health::NeedsAttention(Attention::CoverOpen) => Health::Trouble(Trouble::CoverOpen),
        wire::Health::NeedsAttention(Attention::Jammed) => Health::Trouble(Trouble::Jammed),
        wire::Health::NeedsAttention(Attention::TonerOut | Attention::Mute)
        | wire::Health::Absent
        | wire::Health::Failed => Health::Trouble(Trouble::Gone),
    }
}

/// The session's event for a device event; `None` when it is invalid or has no use.
pub(super) fn event(event: wire::Event) -> Option<Told> {
    Some(match event {
        wire::Event::CardInserted => Told::Must(Event::Card(CardEvent::Inserted)),
        wire::Event::CardNeedsAuthority(request) => {
            Told::Must(Event::Card(CardEvent::NeedsAuthority(cards::challenge(&request)?)))
        }
        wire::Event::CardRead(card) => Told::Must(Event::Card(cards::read(&card))),
        wire::Event::CardRefused(refusal) => {
            Told::Must(Event::Card(CardEvent::Refused(cards::refusal(refusal))))
        }
        wire::Event::StaffCard(proof) => Told::Must(Event::Card(CardEvent::Staff(cards::staff(*proof)?))),
        wire::Event::CardRemoved => Told::Must(Event::Card(CardEvent::Removed)),
        wire::Event::Code(code) if code.len() <= wire::CODE_MAX => Told::Must(Event::Code(code)),
        wire::Event::Code(_) => return None,
        wire::Event::IdCardSeen => Told::Must(Event::IdCard(IdCardEvent::Seen)),
        wire::Event::IdCardRead(holder) => Told::Must(Event::IdCard(id_cards::read(&holder))),
        wire::Event::IdCardRefused(refusal) => {
            Told::Must(Event::IdCard(IdCardEvent::Refused(id_cards::refusal(refusal))))
        }
        wire::Event::CodeHint(hint) => Told::May(Event::CodeHint(code_hint(hint))),
        // Previews are never requested: the screen draws none.
        wire::Event::Preview(_) => return None,
    })
}

const fn code_hint(hint: Hint) -> CodeHint {
    match hint {
        Hint::Dark => CodeHint::TooDark,
        Hint::Glare => CodeHint::Glare,
        Hint::Moving => CodeHint::Moving,
        Hint::TooFar => CodeHint::TooFar,
        Hint::TooNear => CodeHint::TooNear,
    }
}

/// The scanner's line format in the driver's type.
pub(super) fn scanner_line(line: ScannerLine) -> wire::ScannerLine {
    wire::ScannerLine {
        end: match line.end {
            ScannerEnd::Any => LineEnd::Any,
            ScannerEnd::Cr => LineEnd::Cr,
            ScannerEnd::Lf => LineEnd::Lf,
            ScannerEnd::CrLf => LineEnd::CrLf,
            ScannerEnd::Tab => LineEnd::Tab,
            ScannerEnd::Etx => LineEnd::Etx,
            ScannerEnd::Pause => LineEnd::Pause,
        },
        gap_ms: line.gap_ms,
        start: line.start.into_bytes(),
        stop: line.stop.into_bytes(),
    }
}

/// What a gate's signal lamp shows for a view. The sign on the screen has more states.
pub(super) const fn signal(body: &Body) -> Signal {
    let Body::Sign(Sign { light, .. }) = body else { return Signal::Dark };
    match light {
        Light::Go => Signal::Go,
        Light::Stop => Signal::Stop,
        Light::Ready | Light::Wait => Signal::Dark,
    }
}

/// The card's answer to a PIN.
pub(super) fn pin(answer: Result<wire::Answer, Fault>) -> Result<PinAnswer, Failure> {
    let Ok(wire::Answer::Pin(outcome)) = answer else { return Err(Failure::Device) };
    cards::pin(outcome)
}

/// The failure of a card authentication, if it failed. Success is reported by an event, not by this answer.
pub(super) fn unread(answer: &Result<wire::Answer, Fault>) -> Option<Failure> {
    (!matches!(answer, Ok(wire::Answer::Authenticated))).then_some(Failure::Device)
}

/// The result of a print job.
pub(super) fn printed(answer: Result<wire::Answer, Fault>) -> PrintResult {
    match answer {
        Ok(wire::Answer::Printed(Outcome::Printed { confirmation })) => {
            PrintResult::Printed(match confirmation {
                printer::Confirmation::ProcessId => contract::Confirmation::Echoed,
                printer::Confirmation::Fence | printer::Confirmation::Sheets => {
                    contract::Confirmation::Fenced
                }
                printer::Confirmation::Received => contract::Confirmation::Sent,
            })
        }
        // A fault means that the work was not begun.
        Ok(wire::Answer::Printed(Outcome::NotStarted(_))) | Err(_) => PrintResult::NotStarted,
        Ok(wire::Answer::Printed(Outcome::Unconfirmed(_))) => PrintResult::Unconfirmed,
        // An answer to another request: the outcome of this one is unknown (I6).
        Ok(
            wire::Answer::Pin(_)
            | wire::Answer::Authenticated
            | wire::Answer::Scanning(_)
            | wire::Answer::Signalled,
        ) => PrintResult::Unconfirmed,
    }
}

/// A receipt in the printer driver's type.
pub(crate) fn receipt(content: &Receipt, mark: Option<String>) -> printer::Receipt {
    let mut blocks = vec![Block::Title(content.title.clone()), Block::Rule];
    blocks.extend(content.lines.iter().map(|line| match line {
        ReceiptLine::Pair(label, value) => Block::Pair { label: label.clone(), value: value.clone() },
        ReceiptLine::Text(text) => Block::Line(text.clone()),
        ReceiptLine::Amount(text) => {
            // `合计 ¥86.40`: the sum follows the last space.
            let (label, value) = text.rsplit_once(' ').unwrap_or(("", text));
            Block::Amount { label: label.to_owned(), value: value.to_owned() }
        }
        ReceiptLine::Rule => Block::Rule,
    }));
    blocks.extend(content.code.clone().map(Block::Qr));
    printer::Receipt { blocks, copy_mark: mark }
}

/// A receipt as an A4 document: the lines after the last rule (number, time, place) are placed beside the code, the
/// last text below it.
pub(crate) fn sheet(content: &Receipt, mark: Option<String>) -> A4 {
    let ends = content.lines.iter().rposition(|line| *line == ReceiptLine::Rule);
    let (body, end) = content.lines.split_at(ends.unwrap_or(content.lines.len()));
    let blocks = body.iter().map(|line| match line {
        ReceiptLine::Pair(label, value) => SheetBlock::Row { label: label.clone(), value: value.clone() },
        ReceiptLine::Text(text) | ReceiptLine::Amount(text) => SheetBlock::Text(text.clone()),
        ReceiptLine::Rule => SheetBlock::Space,
    });
    let (mut foot, mut caption) = (Vec::new(), String::new());
    for line in end {
        match line {
            ReceiptLine::Pair(label, value) => foot.push((label.clone(), value.clone())),
            ReceiptLine::Text(text) | ReceiptLine::Amount(text) => caption.clone_from(text),
            ReceiptLine::Rule => {}
        }
    }
    A4::Composed(Sheet {
        title: content.title.clone(),
        blocks: blocks.collect(),
        code: content.code.clone().map(|content| SheetCode { content, caption }),
        foot,
        watermark: None,
        copy_mark: mark,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use printer::Why;

    #[test]
    fn health_paper_low_is_ready() {
        let low = wire::Health::NeedsAttention(Attention::PaperLow);
        assert_eq!(health(low), Health::Ready);
        let out = wire::Health::NeedsAttention(Attention::PaperOut);
        assert_eq!(health(out), Health::Trouble(Trouble::PaperOut));
        let mute = wire::Health::NeedsAttention(Attention::Mute);
        assert_eq!(health(mute), Health::Trouble(Trouble::Gone));
    }

    #[test]
    fn printed_without_certainty_is_unconfirmed() {
        let answer = |outcome| printed(Ok(wire::Answer::Printed(outcome)));
        assert_eq!(answer(Outcome::NotStarted(Why::PaperOut)), PrintResult::NotStarted);
        assert_eq!(answer(Outcome::Unconfirmed(Why::PaperOut)), PrintResult::Unconfirmed);
        assert_eq!(printed(Err(Fault::Busy)), PrintResult::NotStarted);
        assert_eq!(printed(Ok(wire::Answer::Scanning(true))), PrintResult::Unconfirmed);
        let fenced = Outcome::Printed { confirmation: printer::Confirmation::Fence };
        assert_eq!(answer(fenced), PrintResult::Printed(contract::Confirmation::Fenced));
    }

    #[test]
    fn signal_shows_verdicts_only() {
        let words = || view::TextId::GateReady.into();
        let sign = |light| Body::Sign(Sign { light, word: words(), detail: words() });
        for (light, expected) in [
            (Light::Go, Signal::Go),
            (Light::Stop, Signal::Stop),
            (Light::Ready, Signal::Dark),
            (Light::Wait, Signal::Dark),
        ] {
            assert_eq!(signal(&sign(light)), expected);
        }
        assert_eq!(signal(&Body::Menu(Vec::new())), Signal::Dark);
    }

    #[test]
    fn event_code_longer_than_maximum_is_dropped() {
        let code = |len: usize| event(wire::Event::Code(vec![b'Y'; len].into()));
        assert!(matches!(code(wire::CODE_MAX), Some(Told::Must(Event::Code(_)))));
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
        let printed = receipt(&content, Some("补打 第1次".into()));
        let expected = vec![
            Block::Title("缴费凭条".into()),
            Block::Rule,
            Block::Pair { label: "账期".into(), value: "2026年10月".into() },
            Block::Rule,
            Block::Amount { label: "合计".into(), value: "¥86.40".into() },
            Block::Amount { label: String::new(), value: "¥1.00".into() },
            Block::Line("请妥善保管".into()),
            Block::Qr("https://example/r/1".into()),
        ];
        assert!(printed == printer::Receipt { blocks: expected, copy_mark: Some("补打 第1次".into()) });
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
        let row = |label: &str, value: &str| SheetBlock::Row { label: label.into(), value: value.into() };
        let expected = Sheet {
            title: "社会保险参保证明".into(),
            blocks: vec![row("姓名", "张*英"), SheetBlock::Space, row("状态", "正常")],
            code: Some(SheetCode { content: "https://example/r/1".into(), caption: "扫码核对".into() }),
            foot: vec![("凭条号".into(), "0000 0000 0000 0001".into())],
            watermark: None,
            copy_mark: Some("补打 第1次".into()),
        };
        assert!(sheet(&content, Some("补打 第1次".into())) == A4::Composed(expected));
    }
}
