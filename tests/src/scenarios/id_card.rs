//! Visits that begin with an ID card on the ID reader.

use std::time::Duration;

use anyhow::Result;

use super::ScenarioContext;

/// Time in which the driver notices that the ID reader holds no card.
const REMOVAL_DELAY: Duration = Duration::from_secs(3);
/// Time in which a reader that was connected again is offered.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// `id-card-sign-in`: an ID card begins a visit; each kind of failed reading has its own message; the reader is
/// disconnected and connected again.
pub(super) fn id_card_sign_in(context: &mut ScenarioContext) -> Result<()> {
    context.first_kiosk()?.wait_for_text("放上身份证")?;
    context.capture_screen("首页有三种方式")?;
    place_card(context, "li-yan")?;
    context.first_kiosk()?.wait_for_text("您想办什么")?;
    context.capture_screen("放上身份证以后")?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    let masked = words.contains("李*") && !words.contains("李䶮");
    context.expect("只显示掩码姓名", masked, || words.clone());
    context.first_kiosk()?.tap_button("医保账户余额")?;
    context.first_kiosk()?.wait_for_text("¥")?;
    context.first_kiosk()?.tap_button("看完了")?;
    context.first_kiosk()?.tap_button("退出")?;
    context.first_kiosk()?.wait_for_text("请带走您的身份证")?;
    context.capture_screen("提醒带走身份证")?;
    context.first_kiosk()?.tap_button("完成")?;
    context.first_kiosk()?.wait_for_text("请选择一种方式开始")?;
    // The card stays on the reader: no second visit begins.
    std::thread::sleep(REMOVAL_DELAY);
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    let welcome = words.contains("请选择一种方式开始") && !words.contains('李');
    context.expect("留在机上的身份证不会再次登录", welcome, || words.clone());

    for (card, fault, words) in [
        ("foreign", None, "这不是身份证"),
        ("expired", None, "身份证已过有效期"),
        ("wrong-number", None, "身份证信息有误"),
        ("zhang-guiying", Some("id-card-lifted"), "身份证没有读出来"),
        ("zhang-guiying", Some("id-reader-read-garbage"), "身份证没有读出来"),
    ] {
        if let Some(fault) = fault {
            context.first_kiosk()?.set_fault(fault, true)?;
        }
        place_card(context, card)?;
        let seen = context.first_kiosk()?.wait_for_text_within(words, RECOVERY_TIMEOUT).map(drop);
        context.report.record_expectation(&format!("{}：{words}", fault.unwrap_or(card)), seen);
        context.capture_screen(words)?;
        if let Some(fault) = fault {
            context.first_kiosk()?.set_fault(fault, false)?;
        }
        context.first_kiosk()?.tap_button("返回首页")?;
        context.first_kiosk()?.wait_for_text("请选择一种方式开始")?;
    }
    place_card(context, "zhang-guiying")?;
    context.first_kiosk()?.wait_for_text_within("您想办什么", RECOVERY_TIMEOUT)?;
    context.first_kiosk()?.tap_button("退出")?;
    context.first_kiosk()?.tap_button("完成")?;

    context.first_kiosk()?.set_fault("id-reader-unplugged", true)?;
    context.first_kiosk()?.wait_for_text_within("暂时不能用", RECOVERY_TIMEOUT)?;
    context.capture_screen("身份证阅读器断开")?;
    context.first_kiosk()?.set_fault("id-reader-unplugged", false)?;
    context.first_kiosk()?.wait_for_text_within("屏幕变了再拿开", RECOVERY_TIMEOUT)?;
    place_card(context, "zhang-guiying")?;
    context.first_kiosk()?.wait_for_text("您想办什么")?;
    context.first_kiosk()?.tap_button("退出")?;
    Ok(())
}

/// Removes any card, waits until the driver has noticed, and places this card on the ID reader.
fn place_card(context: &ScenarioContext, card: &str) -> Result<()> {
    context.first_kiosk()?.remove_id_card()?;
    std::thread::sleep(REMOVAL_DELAY);
    context.first_kiosk()?.place_id_card(card)
}
