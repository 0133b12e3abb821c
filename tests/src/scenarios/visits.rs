//! Visits without a fault, and cards removed in the middle of a visit.

use std::time::Duration;

use anyhow::Result;
use view::TextId;

use super::ScenarioContext;
use crate::screen_text::ScreenText;

/// `card-balance`: a card is read; its holder sees the menu and the balance.
pub(super) fn card_balance(context: &mut ScenarioContext) -> Result<()> {
    context.capture_screen("首页")?;
    context.sign_in_by_card("zhang-guiying")?;
    context.capture_screen("菜单")?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    context.expect("只显示掩码姓名", words.contains("张*英") && !words.contains("张桂英"), || words.clone());
    context.first_kiosk()?.tap_button(ScreenText::Service("medical.balance"))?;
    context.first_kiosk()?.wait_for_text(ScreenText::data("¥1,286.40"))?;
    context.capture_screen("医保账户余额")?;
    context.first_kiosk()?.tap_button(TextId::SheetDone)?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle)?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    context.expect("离开后屏幕上什么也不留", !words.contains('张'), || words.clone());
    Ok(())
}

/// `code-insurance-proof`: begins by code at the camera; consent, proof, A4 document; then the menu in large text and
/// in English.
pub(super) fn code_insurance_proof(context: &mut ScenarioContext) -> Result<()> {
    context.sign_in_by_code("wang-jianguo")?;
    context.first_kiosk()?.tap_button(ScreenText::Service("insurance.proof"))?;
    context.first_kiosk()?.wait_for_text(TextId::ConsentTitle)?;
    context.capture_screen("授权")?;
    context.first_kiosk()?.tap_button(TextId::ConsentAgree)?;
    context.first_kiosk()?.wait_for_text(ScreenText::data("286"))?;
    context.capture_screen("参保信息")?;
    let before = (context.first_kiosk()?.document_count()?, context.first_kiosk()?.receipts()?.len());
    context.first_kiosk()?.tap_button(TextId::SheetPrint)?;
    context.first_kiosk()?.wait_for_text(TextId::SheetPrintedDetail)?;
    context.capture_screen("已打印")?;
    let paper = context.capture_newest_document("参保证明")?;
    let after = (context.first_kiosk()?.document_count()?, context.first_kiosk()?.receipts()?.len());
    context
        .expect("正好一张 A4，没有凭条", after == (before.0 + 1, before.1), || format!("{after:?}"));
    context.expect("证明上只有掩码", paper.contains("王*国") && !paper.contains("王建国"), || paper.clone());
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    context.first_kiosk()?.tap_button(TextId::FootElder)?;
    context.first_kiosk()?.wait_for_text(TextId::FootStandard)?;
    context.capture_screen("长辈版菜单")?;
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
    context.first_kiosk()?.tap_button(ScreenText::Service("water.pay"))?;
    context.first_kiosk()?.wait_for_text(ScreenText::Step("water.pay", "picked"))?;
    context.first_kiosk()?.tap_button(ScreenText::bill())?;
    context.capture_screen("选择账单")?;
    context.first_kiosk()?.tap_button(TextId::RowsGo)?;
    context.first_kiosk()?.wait_for_text(TextId::ConfirmTitle)?;
    context.capture_screen("核对")?;
    context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
    context.first_kiosk()?.wait_for_text(TextId::PinTitle)?;
    context.first_kiosk()?.enter_pin("000000")?;
    context.first_kiosk()?.tap_button(TextId::PinGo)?;
    context.first_kiosk()?.wait_for_text(TextId::PinWrong)?;
    context.capture_screen("密码不对")?;
    context.first_kiosk()?.enter_pin(&resident.card.pin)?;
    context.capture_screen("输入密码")?;
    context.first_kiosk()?.tap_button(TextId::PinGo)?;
    context.first_kiosk()?.wait_for_text(TextId::Paid)?;
    context.first_kiosk()?.wait_for_text(TextId::PrintedDetail)?;
    context.capture_screen("已付款")?;
    let paper = context.capture_newest_receipt("缴费凭条")?;
    context.expect(
        "凭条写明金额",
        paper.contains(".30") || paper.contains(".60") || paper.contains(".40"),
        || paper.clone(),
    );
    let copied = context.first_kiosk()?.pattern(TextId::CopyMark)?.matches(&paper);
    context.expect("凭条不是补打", !copied, || paper.clone());
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle)?;
    context.first_kiosk()?.tap_button(TextId::FootTakeCard)?;
    context.first_kiosk()?.wait_for_text(TextId::TakeCard)?;
    context.capture_screen("请取卡")?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    Ok(())
}

/// `e-certificate`: an e-certificate is shown and printed masked, with its holder's consent; a resident without one
/// sees a message that says so.
pub(super) fn e_certificate(context: &mut ScenarioContext) -> Result<()> {
    context.sign_in_by_card("zhang-guiying")?;
    context.first_kiosk()?.tap_button(ScreenText::Service("senior.card"))?;
    context.first_kiosk()?.wait_for_text(TextId::ConsentTitle)?;
    context.capture_screen("优待证：授权")?;
    context.first_kiosk()?.tap_button(TextId::ConsentAgree)?;
    context.first_kiosk()?.wait_for_text(ScreenText::data("重庆市卫生健康委员会"))?;
    context.capture_screen("优待证")?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    context.expect(
        "优待证只显示掩码",
        words.contains("张*英") && !words.contains("19480315"),
        || words.clone(),
    );
    context.first_kiosk()?.tap_button(TextId::SheetPrint)?;
    context.first_kiosk()?.wait_for_text(TextId::PrintedDetail)?;
    let paper = context.capture_newest_receipt("老年人优待证")?;
    context.expect("纸上只有掩码", paper.contains("张*英") && !paper.contains("张桂英"), || {
        paper.clone()
    });
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle)?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    context.sign_in_by_code("wang-jianguo")?;
    context.first_kiosk()?.tap_button(ScreenText::Service("senior.card"))?;
    context.first_kiosk()?.wait_for_text(TextId::ConsentTitle)?;
    context.first_kiosk()?.tap_button(TextId::ConsentAgree)?;
    context.first_kiosk()?.wait_for_text(ScreenText::NoRows("senior.card", "card"))?;
    context.capture_screen("没有优待证")?;
    context.first_kiosk()?.tap_button(TextId::FootExit)?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    Ok(())
}

/// `staff-card-status`: a staff card shows the kiosk's device faults; a staff card that the site file does not list
/// shows nothing.
pub(super) fn staff_card_status(context: &mut ScenarioContext) -> Result<()> {
    context.first_kiosk()?.insert_card("staff-stranger")?;
    let seen = context.first_kiosk()?.wait_for_text(TextId::CardForeign).map(drop);
    context.report.record_expectation("没有登记的工作人员卡不受理", seen);
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    context.first_kiosk()?.set_fault("paper-out", true)?;
    context.first_kiosk()?.wait_for_text_within(TextId::PaperOut, Duration::from_secs(20))?;
    context.first_kiosk()?.insert_card("staff")?;
    context.first_kiosk()?.wait_for_text(TextId::StaffTitle)?;
    context.capture_screen("本机状态：缺纸")?;
    let words = context.first_kiosk()?.visible_texts()?;
    let explained = context.first_kiosk()?.pattern(TextId::StaffPaperOut)?.matches_any(&words);
    context.expect("说明缺纸和怎么办", explained, || words.join(" "));
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
    for (old, new, caption) in [(own, NEW, "改成新密码"), (NEW, own, "改回原来的密码")] {
        context.first_kiosk()?.tap_button(ScreenText::Service("social-card.pin"))?;
        context.first_kiosk()?.wait_for_text(TextId::ChangePinOld)?;
        context.first_kiosk()?.enter_pin(old)?;
        context.first_kiosk()?.tap_button(TextId::PinGo)?;
        context.first_kiosk()?.wait_for_text(TextId::ChangePinNew)?;
        context.first_kiosk()?.enter_pin("123456")?;
        context.first_kiosk()?.tap_button(TextId::PinGo)?;
        context.first_kiosk()?.wait_for_text(TextId::ChangePinWeak)?;
        context.capture_screen("太容易猜到的密码")?;
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
    context.capture_screen("菜单")?;
    context.first_kiosk()?.tap_button(TextId::FootTakeCard)?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle).map(drop)
}

/// Goes from the menu to one view.
type VisitStep = fn(&ScenarioContext) -> Result<()>;

/// `card-removed-at-every-view`: the card is removed at every view of a visit; the visit ends at once each time.
pub(super) fn card_removed_at_every_view(context: &mut ScenarioContext) -> Result<()> {
    let to: [(&str, VisitStep); 9] = [
        ("菜单", |_| Ok(())),
        ("授权", |context| {
            context.first_kiosk()?.tap_button(ScreenText::Service("insurance.proof"))?;
            context.first_kiosk()?.wait_for_text(TextId::ConsentTitle).map(drop)
        }),
        ("参保信息", open_insurance_proof),
        ("凭条", |context| {
            open_insurance_proof(context)?;
            context.first_kiosk()?.tap_button(TextId::SheetPrint)?;
            context.first_kiosk()?.wait_for_text(TextId::SheetPrinted).map(drop)
        }),
        ("余额", |context| {
            context.first_kiosk()?.tap_button(ScreenText::Service("medical.balance"))?;
            context.first_kiosk()?.wait_for_text(ScreenText::data("¥")).map(drop)
        }),
        ("账单", |context| {
            context.first_kiosk()?.tap_button(ScreenText::Service("water.pay"))?;
            context.first_kiosk()?.wait_for_text(ScreenText::Step("water.pay", "picked")).map(drop)
        }),
        ("核对", ScenarioContext::choose_first_bill),
        ("密码", |context| {
            context.choose_first_bill()?;
            context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
            context.first_kiosk()?.wait_for_text(TextId::PinTitle)?;
            context.first_kiosk()?.enter_pin("12")
        }),
        ("密码不对", |context| {
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
        context.report.record_expectation(&format!("在“{name}”拔卡，立刻回到首页"), welcome);
    }
    card_removed_while_paying(context)
}

/// Goes from the menu to the content of the insurance proof.
fn open_insurance_proof(context: &ScenarioContext) -> Result<()> {
    context.first_kiosk()?.tap_button(ScreenText::Service("insurance.proof"))?;
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
    context.capture_screen("付款途中拔卡")?;
    context.first_kiosk()?.wait_for_text(TextId::Paid)?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    context.expect("结果不带姓名", !words.contains('张'), || words.clone());
    context.capture_screen("付款途中拔卡：已付款")?;
    Ok(())
}
