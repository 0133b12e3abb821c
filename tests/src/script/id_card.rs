//! Visits that begin with an ID card on the ID reader.

use std::time::Duration;

use anyhow::Result;

use super::Stage;

/// Time in which the driver notices that the ID reader holds no card.
const LIFTED: Duration = Duration::from_secs(3);
/// Time in which a reader that was connected again is offered.
const BACK: Duration = Duration::from_secs(30);

/// `id-card-sign-in`: an ID card begins a visit; each kind of failed reading has its own message; the reader is
/// disconnected and connected again.
pub(super) fn laid_down(context: &mut Stage) -> Result<()> {
    context.at()?.see("放上身份证")?;
    context.shot("首页有三种方式")?;
    lay(context, "li-yan")?;
    context.at()?.see("您想办什么")?;
    context.shot("放上身份证以后")?;
    let words = context.at()?.words()?.join(" ");
    let masked = words.contains("李*") && !words.contains("李䶮");
    context.expect("只显示掩码姓名", masked, || words.clone());
    context.at()?.tap("医保账户余额")?;
    context.at()?.see("¥")?;
    context.at()?.tap("看完了")?;
    context.at()?.tap("退出")?;
    context.at()?.see("请带走您的身份证")?;
    context.shot("提醒带走身份证")?;
    context.at()?.tap("完成")?;
    context.at()?.see("请选择一种方式开始")?;
    // The card stays on the reader: no second visit begins.
    std::thread::sleep(LIFTED);
    let words = context.at()?.words()?.join(" ");
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
            context.at()?.fault(fault, true)?;
        }
        lay(context, card)?;
        let seen = context.at()?.see_within(words, BACK).map(drop);
        context.report.expect(&format!("{}：{words}", fault.unwrap_or(card)), seen);
        context.shot(words)?;
        if let Some(fault) = fault {
            context.at()?.fault(fault, false)?;
        }
        context.at()?.tap("返回首页")?;
        context.at()?.see("请选择一种方式开始")?;
    }
    lay(context, "zhang-guiying")?;
    context.at()?.see_within("您想办什么", BACK)?;
    context.at()?.tap("退出")?;
    context.at()?.tap("完成")?;

    context.at()?.fault("id-reader-unplugged", true)?;
    context.at()?.see_within("暂时不能用", BACK)?;
    context.shot("身份证阅读器断开")?;
    context.at()?.fault("id-reader-unplugged", false)?;
    context.at()?.see_within("屏幕变了再拿开", BACK)?;
    lay(context, "zhang-guiying")?;
    context.at()?.see("您想办什么")?;
    context.at()?.tap("退出")?;
    Ok(())
}

/// Removes any card, waits until the driver has noticed, and places this card on the ID reader.
fn lay(context: &Stage, card: &str) -> Result<()> {
    context.at()?.lift_id_card()?;
    std::thread::sleep(LIFTED);
    context.at()?.lay_id_card(card)
}
