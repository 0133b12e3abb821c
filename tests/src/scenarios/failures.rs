//! Visits in which paper, a link, the power or a reader fails, and visits with invalid cards and codes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use contract::routes;
use view::TextId;

use super::{ScenarioContext, codes};
use crate::link_proxy::LinkCut;
use crate::screen_text::ScreenText;

/// Time in which the outcome of an open payment is known after the link is back.
const INQUIRY_TIMEOUT: Duration = Duration::from_secs(90);

/// Time in which a printer that does not respond leads to the offer of a receipt without paper.
const PRINTER_TIMEOUT: Duration = Duration::from_secs(40);
/// Time in which the printer is asked for its paper sensor.
const PAPER_SENSOR_TIMEOUT: Duration = Duration::from_secs(20);
/// Time in which a list of bills, or the text that there is none, appears.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);
/// Lifetime of an online token and the tolerated clock difference.
const CODE_LIFETIME: Duration = Duration::from_secs(65);

/// `paper-out-while-paying`: no paper when the receipt is due. The payment stays valid; after a new roll exactly one
/// receipt is printed.
pub(super) fn paper_out_while_paying(context: &mut ScenarioContext) -> Result<()> {
    context.sign_in_by_code("ouyang-xuemei")?;
    context.choose_first_bill()?;
    context.first_kiosk()?.set_fault("paper-out", true)?;
    let before = context.first_kiosk()?.receipts()?.len();
    context.first_kiosk()?.wait_for_fault("paper-out", PAPER_SENSOR_TIMEOUT)?;
    context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
    context.first_kiosk()?.wait_for_text(TextId::Paid)?;
    context.first_kiosk()?.wait_for_text(TextId::PaperOut)?;
    context.capture_screen("paper out")?;
    context.first_kiosk()?.set_fault("paper-out", false)?;
    context.first_kiosk()?.wait_for_text(TextId::PrintedDetail)?;
    let paper = context.capture_newest_receipt("printed after the roll was changed")?;
    let printed = context.first_kiosk()?.receipts()?.len() - before;
    let copied = context.first_kiosk()?.pattern(TextId::CopyMark)?.matches(&paper);
    context.expect("one receipt, not marked as a copy", printed == 1 && !copied, || {
        format!("{printed} receipts: {paper}")
    });
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    Ok(())
}

/// `paper-ends-mid-receipt`: the roll ends in the middle of a receipt. Nothing is printed again automatically; a copy
/// has a copy mark.
pub(super) fn paper_ends_mid_receipt(context: &mut ScenarioContext) -> Result<()> {
    context.sign_in_by_code("wang-jianguo")?;
    context.choose_first_bill()?;
    let before = context.first_kiosk()?.receipts()?.len();
    context.first_kiosk()?.set_fault("paper-ends", true)?;
    context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
    context.first_kiosk()?.wait_for_text(TextId::Paid)?;
    context.first_kiosk()?.wait_for_text(TextId::PrintUnsure)?;
    context.capture_screen("paper ended in the middle of a receipt")?;
    context.capture_newest_receipt("half a receipt")?;
    context.first_kiosk()?.set_fault("paper-ends", false)?;
    context.first_kiosk()?.wait_for_text(TextId::PrintAgain)?;
    context.capture_screen("a copy is offered after the roll was changed")?;
    let untouched = context.first_kiosk()?.receipts()?.len() - before;
    context.expect("nothing is printed by itself after the roll was changed", untouched == 1, || {
        format!("{untouched} receipts")
    });
    context.first_kiosk()?.tap_button(TextId::PrintAgain)?;
    context.first_kiosk()?.wait_for_text(TextId::PrintedDetail)?;
    let paper = context.capture_newest_receipt("the copy")?;
    let printed = context.first_kiosk()?.receipts()?.len() - before;
    let first_copy = ScreenText::Filled(TextId::CopyMark, vec!["1".to_owned()]);
    let copied = context.first_kiosk()?.pattern(first_copy)?.matches(&paper);
    context.expect("the copy is whole and marked as a copy", printed == 2 && copied, || {
        format!("{printed} receipts: {paper}")
    });
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    Ok(())
}

/// `printer-not-responding`: the printer discards all bytes and never answers. The payment stays valid and is shown.
pub(super) fn printer_not_responding(context: &mut ScenarioContext) -> Result<()> {
    context.sign_in_by_code("aguli")?;
    context.choose_first_bill()?;
    context.first_kiosk()?.set_fault("printer-mute", true)?;
    context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
    context.first_kiosk()?.wait_for_text(TextId::Paid)?;
    context.first_kiosk()?.wait_for_text_within(TextId::ReceiptByPhone, PRINTER_TIMEOUT)?;
    context.first_kiosk()?.wait_for_text(TextId::PrintOff)?;
    context.capture_screen("printer does not respond")?;
    let before = context.first_kiosk()?.receipts()?.len();
    context.first_kiosk()?.set_fault("printer-mute", false)?;
    // Nothing was printed before, so the receipt is printed as soon as the printer answers.
    context.first_kiosk()?.wait_for_text_within(TextId::PrintedDetail, PRINTER_TIMEOUT)?;
    let paper = context.capture_newest_receipt("printed once the printer responded")?;
    let printed = context.first_kiosk()?.receipts()?.len() - before;
    let titled = context.first_kiosk()?.pattern(TextId::ReceiptPayment)?.matches(&paper);
    context.expect("one receipt once the printer responded", printed == 1 && titled, || {
        format!("{printed} receipts: {paper}")
    });
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    Ok(())
}

/// `platform-link-cut`: the link between kiosk and platform is cut before and after the charge.
pub(super) fn platform_link_cut(context: &mut ScenarioContext) -> Result<()> {
    for (cut, outcome, caption) in [
        (LinkCut::DropRequest("/v1/".into()), TextId::NotPaid, "request lost: the order is void"),
        (LinkCut::DropResponse("/v1/".into()), TextId::Paid, "response lost: the order is known to be paid"),
    ] {
        context.sign_in_by_code("wang-jianguo")?;
        context.choose_first_bill()?;
        context.rig.platform_link.set_cut(cut);
        context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
        context.first_kiosk()?.wait_for_text(TextId::Checking)?;
        context.capture_screen("checking")?;
        context.rig.platform_link.set_cut(LinkCut::None);
        context.first_kiosk()?.wait_for_text_within(outcome, INQUIRY_TIMEOUT)?;
        context.capture_screen(caption)?;
        context.reset()?;
    }
    context.sign_in_by_code("aguli")?;
    context.choose_first_bill()?;
    context.rig.platform_link.set_cut(LinkCut::Down);
    context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
    context.first_kiosk()?.wait_for_text(TextId::Checking)?;
    context.first_kiosk()?.tap_button(TextId::CheckingGo)?;
    context.first_kiosk()?.wait_for_text(TextId::ClosingTitle)?;
    context.capture_screen("the resident leaves")?;
    context.rig.platform_link.set_cut(LinkCut::None);
    context.first_kiosk()?.wait_for_text_within(TextId::NotPaid, INQUIRY_TIMEOUT)?;
    context.capture_screen("known once the link was restored")?;
    context.rig.platform_link.set_cut(LinkCut::InvalidResponse("/v1/".into()));
    context.first_kiosk()?.wait_for_text_within(TextId::WayNeedsLink, INQUIRY_TIMEOUT)?;
    context.capture_screen("invalid response of the platform")?;
    Ok(())
}

/// `acquirer-link-cut`: the link between platform and acquirer is cut before and after the charge.
pub(super) fn acquirer_link_cut(context: &mut ScenarioContext) -> Result<()> {
    for (cut, outcome, caption) in [
        (LinkCut::DropRequest("/".into()), TextId::NotPaid, "the acquirer received nothing"),
        (LinkCut::DropResponse("/".into()), TextId::Paid, "the acquirer charged, its response was lost"),
    ] {
        context.sign_in_by_code("aguli")?;
        context.choose_first_bill()?;
        context.rig.acquirer_link.set_cut(cut);
        context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
        context.first_kiosk()?.wait_for_text(TextId::Checking)?;
        context.rig.acquirer_link.set_cut(LinkCut::None);
        context.first_kiosk()?.wait_for_text_within(outcome, INQUIRY_TIMEOUT)?;
        context.capture_screen(caption)?;
        context.reset()?;
    }
    Ok(())
}

/// `same-bill-at-two-kiosks`: while the order for a bill is open at one kiosk, another kiosk cannot charge the bill.
pub(super) fn same_bill_at_two_kiosks(context: &mut ScenarioContext) -> Result<()> {
    context.sign_in_by_code("li-yan")?;
    context.choose_first_bill()?;
    context.rig.acquirer_link.set_cut(LinkCut::Down);
    context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
    context.first_kiosk()?.wait_for_text(TextId::Checking)?;
    let other = context.second_kiosk()?;
    let code = other.fresh_code("li-yan")?;
    other.show_code(&code)?;
    other.wait_for_text(TextId::MenuTitle)?;
    other.hide_code()?;
    other.open_service("water.pay")?;
    // The platform may leave out a bill that is being paid, or refuse to charge it again.
    let list = ScreenText::Step("water.pay", "picked");
    let choices = [list.clone(), ScreenText::NoRows("water.pay", "bills")];
    if *other.wait_for_any_text(&choices, LIST_TIMEOUT)? == list {
        other.choose_first_row()?;
        other.tap_button(TextId::RowsGo)?;
        other.tap_button(TextId::ConfirmGo)?;
        other.wait_for_text(TextId::NotPaidBusy)?;
    }
    let png = context.second_kiosk()?.screen_png()?;
    context.report.add_picture("second kiosk", &png, false)?;
    let words = context.second_kiosk()?.visible_texts()?;
    let paid = context.second_kiosk()?.pattern(TextId::Paid)?.matches_any(&words);
    context.expect("no charge at the second kiosk", !paid, || words.join(" | "));
    context.rig.acquirer_link.set_cut(LinkCut::None);
    let outcomes = [TextId::Paid, TextId::NotPaid].map(ScreenText::Fixed);
    context.first_kiosk()?.wait_for_any_text(&outcomes, INQUIRY_TIMEOUT).map(drop)
}

/// `power-loss-while-paying`: the kiosk is killed right after it sent the order, and started again.
pub(super) fn power_loss_while_paying(context: &mut ScenarioContext) -> Result<()> {
    context.sign_in_by_code("zhang-guiying")?;
    context.choose_first_bill()?;
    context.rig.platform_link.set_cut(LinkCut::DropResponse(routes::CHARGES.path.into()));
    context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
    context.first_kiosk()?.wait_for_text(TextId::Checking)?;
    let kiosk = context.rig.kiosks.first_mut().context("the first kiosk")?;
    kiosk.kill()?;
    context.rig.platform_link.set_cut(LinkCut::None);
    let kiosk = context.rig.kiosks.first_mut().context("the first kiosk")?;
    kiosk.start()?;
    context.first_kiosk()?.wait_for_text_within(TextId::WelcomeTitle, Duration::from_secs(60))?;
    context.capture_screen("after the restart")?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    context.expect(
        "nothing of the previous resident is left",
        !words.contains('张') && !words.contains('¥'),
        || words.clone(),
    );
    Ok(())
}

/// `invalid-cards-and-codes`: cards and codes that are refused, each with its own message.
pub(super) fn invalid_cards_and_codes(context: &mut ScenarioContext) -> Result<()> {
    let old = context.first_kiosk()?.fresh_code("ran-guangming")?;
    let issued = Instant::now();
    for (card, words) in [
        ("bank", TextId::CardForeign),
        ("blank", TextId::CardMute),
        ("garbage", TextId::CardDamaged),
        ("half", TextId::CardDamaged),
        ("locked", TextId::CardBlocked),
    ] {
        context.first_kiosk()?.insert_card(card)?;
        let seen = context.first_kiosk()?.wait_for_text(words).map(drop);
        let words = context.first_kiosk()?.pattern(words)?.to_string();
        context.report.record_expectation(&format!("{card}：{words}"), seen);
        context.capture_screen(&words)?;
        context.first_kiosk()?.remove_card()?;
        context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    }
    let used = context.first_kiosk()?.fresh_code("ran-guangming")?;
    context.first_kiosk()?.show_code(&used)?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle)?;
    codes::sign_out(context.first_kiosk()?)?;
    let good = context.first_kiosk()?.fresh_code("ran-guangming")?;
    let forged = alter_code(&good);
    std::thread::sleep(CODE_LIFETIME.saturating_sub(issued.elapsed()));
    for (code, words) in [
        (used.as_str(), TextId::CodeUsed),
        (old.as_str(), TextId::CodeExpired),
        ("https://example.invalid/pay?id=7", TextId::CodeForeign),
        (&good.replacen("YK1:", "CD1:", 1), TextId::CodeOtherCity),
        (forged.as_str(), TextId::CodeUnknown),
    ] {
        context.first_kiosk()?.show_code(code)?;
        let seen = context.first_kiosk()?.wait_for_text(words).map(drop);
        let words = context.first_kiosk()?.pattern(words)?.to_string();
        context.report.record_expectation(&format!("code: {words}"), seen);
        context.capture_screen(&words)?;
        context.first_kiosk()?.hide_code()?;
        context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
        std::thread::sleep(codes::REMOVAL_DELAY);
    }
    Ok(())
}

/// `reader-disconnected`: the readers are disconnected while one holds a card, then connected again. Codes are still
/// accepted in between.
pub(super) fn reader_disconnected(context: &mut ScenarioContext) -> Result<()> {
    context.sign_in_by_card("ran-guangming")?;
    context.first_kiosk()?.set_fault("reader-gone", true)?;
    context.first_kiosk()?.wait_for_text(TextId::WayBroken)?;
    context.capture_screen("card reader disconnected")?;
    context.sign_in_by_code("ran-guangming")?;
    context.capture_screen("codes are served as usual")?;
    context.first_kiosk()?.tap_button(TextId::FootExit)?;
    context.first_kiosk()?.wait_for_text(TextId::WayBroken)?;
    context.first_kiosk()?.set_fault("reader-gone", false)?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WayCardDetail)?;
    context.sign_in_by_card("ran-guangming")?;
    context.capture_screen("cards are read once it is connected again")?;
    context.first_kiosk()?.remove_card()?;
    Ok(())
}

/// Changes one character in the middle of a code: its format stays valid, its signature does not.
fn alter_code(code: &str) -> String {
    let middle = code.len() / 2;
    code.char_indices()
        .map(|(at, letter)| match letter {
            'A' if at == middle => 'B',
            _ if at == middle => 'A',
            other => other,
        })
        .collect()
}
