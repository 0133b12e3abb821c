//! Visits without a fault, and cards removed in the middle of a visit.

use std::time::Duration;

use anyhow::Result;
use view::TextId;

use super::ScenarioContext;
use crate::screen_text::ScreenText;

/// `card-balance`: a card is read; its holder sees the menu and the balance.
pub(super) fn card_balance(context: &mut ScenarioContext) -> Result<()> {
    context.capture_screen("welcome view")?;
    context.sign_in_by_card("zhang-guiying")?;
    context.capture_screen("menu")?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    context.expect(
        "only the masked name is shown",
        words.contains("张*英") && !words.contains("张桂英"),
        || words.clone(),
    );
    context.first_kiosk()?.open_service("medical.balance")?;
    context.first_kiosk()?.wait_for_text(ScreenText::data("¥1,286.40"))?;
    context.capture_screen("balance of the medical account")?;
    context.first_kiosk()?.tap_button(TextId::SheetDone)?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle)?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    context.expect("nothing is left on the screen afterwards", !words.contains('张'), || words.clone());
    Ok(())
}

/// `code-insurance-proof`: begins by code at the camera; consent, proof, A4 document; then the menu in large text and
/// in English.
pub(super) fn code_insurance_proof(context: &mut ScenarioContext) -> Result<()> {
    context.sign_in_by_code("wang-jianguo")?;
    context.first_kiosk()?.open_service("insurance.proof")?;
    context.first_kiosk()?.wait_for_text(TextId::ConsentTitle)?;
    context.capture_screen("consent")?;
    context.first_kiosk()?.tap_button(TextId::ConsentAgree)?;
    context.first_kiosk()?.wait_for_text(ScreenText::data("286"))?;
    context.capture_screen("insurance data")?;
    let before = (context.first_kiosk()?.document_count()?, context.first_kiosk()?.receipts()?.len());
    context.first_kiosk()?.tap_button(TextId::SheetPrint)?;
    context.first_kiosk()?.wait_for_text(TextId::SheetPrintedDetail)?;
    context.capture_screen("printed")?;
    let paper = context.capture_newest_document("proof of insurance")?;
    let after = (context.first_kiosk()?.document_count()?, context.first_kiosk()?.receipts()?.len());
    context.expect("exactly one sheet of A4 and no receipt", after == (before.0 + 1, before.1), || {
        format!("{after:?}")
    });
    context.expect(
        "only masked data on the proof",
        paper.contains("王*国") && !paper.contains("王建国"),
        || paper.clone(),
    );
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    context.first_kiosk()?.tap_button(TextId::FootHome)?;
    context.first_kiosk()?.tap_button(TextId::FootElder)?;
    context.first_kiosk()?.wait_for_text(TextId::FootStandard)?;
    context.capture_screen("menu in large text")?;
    context.first_kiosk()?.tap_button(TextId::FootOtherLanguage)?;
    context.first_kiosk()?.wait_for_text(ScreenText::English(TextId::MenuTitle))?;
    context.capture_screen("English, large text")?;
    context.first_kiosk()?.tap_button(ScreenText::English(TextId::FootExit))?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    Ok(())
}

/// `card-water-payment`: a water bill paid by card: choose, confirm, wrong PIN, right PIN, paid, receipt.
pub(super) fn card_water_payment(context: &mut ScenarioContext) -> Result<()> {
    let resident = context.resident("zhang-guiying")?;
    context.sign_in_by_card("zhang-guiying")?;
    context.first_kiosk()?.open_service("water.pay")?;
    context.first_kiosk()?.wait_for_text(ScreenText::Step("water.pay", "picked"))?;
    context.first_kiosk()?.choose_first_row()?;
    context.capture_screen("choice of a bill")?;
    context.first_kiosk()?.tap_button(TextId::RowsGo)?;
    context.first_kiosk()?.wait_for_text(TextId::ConfirmTitle)?;
    context.capture_screen("confirmation")?;
    context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
    context.first_kiosk()?.wait_for_text(TextId::PinTitle)?;
    context.first_kiosk()?.enter_pin("000000")?;
    context.first_kiosk()?.tap_button(TextId::PinGo)?;
    context.first_kiosk()?.wait_for_text(TextId::PinWrong)?;
    context.capture_screen("wrong PIN")?;
    context.first_kiosk()?.enter_pin(&resident.card.pin)?;
    context.capture_screen("PIN entry")?;
    context.first_kiosk()?.tap_button(TextId::PinGo)?;
    context.first_kiosk()?.wait_for_text(TextId::Paid)?;
    context.first_kiosk()?.wait_for_text(TextId::PrintedDetail)?;
    context.capture_screen("paid")?;
    let paper = context.capture_newest_receipt("payment receipt")?;
    context.expect(
        "the receipt states the amount",
        paper.contains(".30") || paper.contains(".60") || paper.contains(".40"),
        || paper.clone(),
    );
    let copied = context.first_kiosk()?.pattern(TextId::CopyMark)?.matches(&paper);
    context.expect("the receipt is not marked as a copy", !copied, || paper.clone());
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle)?;
    context.first_kiosk()?.tap_button(TextId::FootTakeCard)?;
    context.first_kiosk()?.wait_for_text(TextId::TakeCard)?;
    context.capture_screen("take the card")?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    Ok(())
}

/// `e-certificate`: an e-certificate is shown and printed masked, with its holder's consent; a resident without one
/// sees a message that says so.
pub(super) fn e_certificate(context: &mut ScenarioContext) -> Result<()> {
    context.sign_in_by_card("zhang-guiying")?;
    context.first_kiosk()?.open_service("senior.card")?;
    context.first_kiosk()?.wait_for_text(TextId::ConsentTitle)?;
    context.capture_screen("senior card: consent")?;
    context.first_kiosk()?.tap_button(TextId::ConsentAgree)?;
    context.first_kiosk()?.wait_for_text(ScreenText::data("重庆市卫生健康委员会"))?;
    context.capture_screen("senior card")?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    context.expect(
        "only masked data on the senior card",
        words.contains("张*英") && !words.contains("19480315"),
        || words.clone(),
    );
    context.first_kiosk()?.tap_button(TextId::SheetPrint)?;
    context.first_kiosk()?.wait_for_text(TextId::PrintedDetail)?;
    let paper = context.capture_newest_receipt("senior card")?;
    context.expect(
        "only masked data on paper",
        paper.contains("张*英") && !paper.contains("张桂英"),
        || paper.clone(),
    );
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle)?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    context.sign_in_by_code("wang-jianguo")?;
    context.first_kiosk()?.open_service("senior.card")?;
    context.first_kiosk()?.wait_for_text(TextId::ConsentTitle)?;
    context.first_kiosk()?.tap_button(TextId::ConsentAgree)?;
    context.first_kiosk()?.wait_for_text(ScreenText::NoRows("senior.card", "card"))?;
    context.capture_screen("no senior card")?;
    context.first_kiosk()?.tap_button(TextId::FootExit)?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    Ok(())
}

/// `staff-card-status`: a staff card shows the kiosk's device faults; a staff card that the site file does not list
/// shows nothing.
pub(super) fn staff_card_status(context: &mut ScenarioContext) -> Result<()> {
    context.first_kiosk()?.insert_card("staff-stranger")?;
    let seen = context.first_kiosk()?.wait_for_text(TextId::CardForeign).map(drop);
    context.report.record_expectation("an unlisted staff card is refused", seen);
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    context.first_kiosk()?.set_fault("paper-out", true)?;
    context.first_kiosk()?.wait_for_text_within(TextId::PaperOut, Duration::from_secs(20))?;
    context.first_kiosk()?.insert_card("staff")?;
    context.first_kiosk()?.wait_for_text(TextId::StaffTitle)?;
    context.capture_screen("state of the kiosk: paper out")?;
    let words = context.first_kiosk()?.visible_texts()?;
    let explained = context.first_kiosk()?.pattern(TextId::StaffPaperOut)?.matches_any(&words);
    context.expect("says that paper is out and what to do", explained, || words.join(" "));
    context.first_kiosk()?.set_fault("paper-out", false)?;
    context.first_kiosk()?.wait_for_text(TextId::StaffWell)?;
    context.first_kiosk()?.tap_button(TextId::FootTakeCard)?;
    context.first_kiosk()?.wait_for_text(TextId::TakeCard)?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle).map(drop)
}

/// `change-card-pin`: the card's PIN is changed, after which the old one is invalid; then it is changed back for the
/// scenarios that follow.
pub(super) fn change_card_pin(context: &mut ScenarioContext) -> Result<()> {
    const NEW: &str = "580216";
    let resident = context.resident("ran-guangming")?;
    context.sign_in_by_card("ran-guangming")?;
    let own = resident.card.pin.as_str();
    for (old, new, caption) in [(own, NEW, "to a new PIN"), (NEW, own, "back to the old PIN")] {
        context.first_kiosk()?.open_service("social-card.pin")?;
        context.first_kiosk()?.wait_for_text(TextId::ChangePinOld)?;
        context.first_kiosk()?.enter_pin(old)?;
        context.first_kiosk()?.tap_button(TextId::PinGo)?;
        context.first_kiosk()?.wait_for_text(TextId::ChangePinNew)?;
        context.first_kiosk()?.enter_pin("123456")?;
        context.first_kiosk()?.tap_button(TextId::PinGo)?;
        context.first_kiosk()?.wait_for_text(TextId::ChangePinWeak)?;
        context.capture_screen("a PIN that is easy to guess")?;
        context.first_kiosk()?.enter_pin(new)?;
        context.first_kiosk()?.tap_button(TextId::PinGo)?;
        context.first_kiosk()?.wait_for_text(TextId::ChangePinAgain)?;
        context.first_kiosk()?.enter_pin(new)?;
        context.first_kiosk()?.tap_button(TextId::PinGo)?;
        let seen = context.first_kiosk()?.wait_for_text(TextId::ChangePinDone).map(drop);
        context.capture_screen(caption)?;
        context.report.record_expectation(caption, seen);
        context.first_kiosk()?.tap_button(TextId::Finish)?;
        context.first_kiosk()?.wait_for_text(TextId::MenuTitle)?;
    }
    context.capture_screen("menu")?;
    context.first_kiosk()?.tap_button(TextId::FootTakeCard)?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle).map(drop)
}

/// Goes from the menu to one view.
type VisitStep = fn(&ScenarioContext) -> Result<()>;

/// `card-removed-at-every-view`: the card is removed at every view of a visit; the visit ends at once each time.
pub(super) fn card_removed_at_every_view(context: &mut ScenarioContext) -> Result<()> {
    let to: [(&str, VisitStep); 9] = [
        ("menu", |_| Ok(())),
        ("consent", |context| {
            context.first_kiosk()?.open_service("insurance.proof")?;
            context.first_kiosk()?.wait_for_text(TextId::ConsentTitle).map(drop)
        }),
        ("insurance data", open_insurance_proof),
        ("receipt", |context| {
            open_insurance_proof(context)?;
            context.first_kiosk()?.tap_button(TextId::SheetPrint)?;
            context.first_kiosk()?.wait_for_text(TextId::SheetPrinted).map(drop)
        }),
        ("balance", |context| {
            context.first_kiosk()?.open_service("medical.balance")?;
            context.first_kiosk()?.wait_for_text(ScreenText::data("¥")).map(drop)
        }),
        ("bills", |context| {
            context.first_kiosk()?.open_service("water.pay")?;
            context.first_kiosk()?.wait_for_text(ScreenText::Step("water.pay", "picked")).map(drop)
        }),
        ("confirmation", ScenarioContext::choose_first_bill),
        ("PIN", |context| {
            context.choose_first_bill()?;
            context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
            context.first_kiosk()?.wait_for_text(TextId::PinTitle)?;
            context.first_kiosk()?.enter_pin("12")
        }),
        ("wrong PIN", |context| {
            context.choose_first_bill()?;
            context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
            context.first_kiosk()?.wait_for_text(TextId::PinTitle)?;
            context.first_kiosk()?.enter_pin("000000")?;
            context.first_kiosk()?.tap_button(TextId::PinGo)?;
            context.first_kiosk()?.wait_for_text(TextId::PinWrong).map(drop)
        }),
    ];
    for (name, go) in to {
        context.sign_in_by_card("ouyang-xuemei")?;
        go(context)?;
        context.first_kiosk()?.remove_card()?;
        let welcome = context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle).map(drop);
        context
            .report
            .record_expectation(&format!("card removed at `{name}`: the welcome view at once"), welcome);
    }
    card_removed_while_paying(context)
}

/// Goes from the menu to the content of the insurance proof.
fn open_insurance_proof(context: &ScenarioContext) -> Result<()> {
    context.first_kiosk()?.open_service("insurance.proof")?;
    context.first_kiosk()?.wait_for_text(TextId::ConsentTitle)?;
    context.first_kiosk()?.tap_button(TextId::ConsentAgree)?;
    context.first_kiosk()?.button_center(TextId::SheetPrint).map(drop)
}

/// The card is removed after the order was recorded: the payment continues, and a notice shows its outcome without a
/// name.
fn card_removed_while_paying(context: &mut ScenarioContext) -> Result<()> {
    let resident = context.resident("zhang-guiying")?;
    context.sign_in_by_card("zhang-guiying")?;
    context.choose_first_bill()?;
    context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
    context.first_kiosk()?.wait_for_text(TextId::PinTitle)?;
    context.first_kiosk()?.enter_pin(&resident.card.pin)?;
    // The acquirer answers late, so that the card is removed before the answer arrives.
    context.rig.delay_next_charge(3_000)?;
    context.first_kiosk()?.tap_button(TextId::PinGo)?;
    context.first_kiosk()?.wait_for_text(TextId::Paying)?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::ClosingTitle)?;
    context.capture_screen("card removed while paying")?;
    context.first_kiosk()?.wait_for_text(TextId::Paid)?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    context.expect("the result shows no name", !words.contains('张'), || words.clone());
    context.capture_screen("card removed while paying: paid")?;
    Ok(())
}
