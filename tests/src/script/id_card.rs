//! Visits that begin with an ID card on its reader.

use std::time::Duration;

use anyhow::Result;

use super::Stage;

/// How long a driver looks before it believes that its reader is empty.
const LIFTED: Duration = Duration::from_secs(3);
/// A reader that has come back is offered within this time.
const BACK: Duration = Duration::from_secs(30);

/// 卯: an ID card signs its holder in; bad readings are refused in their own words; the reader goes and comes.
pub(super) fn laid_down(stage: &mut Stage) -> Result<()> {
    stage.at()?.see("放上身份证")?;
    stage.shot("首页有三种方式")?;
    lay(stage, "li-yan")?;
    stage.at()?.see("您想办什么")?;
    stage.shot("放上身份证以后")?;
    let words = stage.at()?.words()?.join(" ");
    let masked = words.contains("李*") && !words.contains("李䶮");
    stage.expect("只显示掩码姓名", masked, || words.clone());
    stage.at()?.tap("医保账户余额")?;
    stage.at()?.see("¥")?;
    stage.at()?.tap("看完了")?;
    stage.at()?.tap("退出")?;
    stage.at()?.see("请带走您的身份证")?;
    stage.shot("提醒带走身份证")?;
    stage.at()?.tap("完成")?;
    stage.at()?.see("请选择一种方式开始")?;
    // It lies there still: nobody is signed in again.
    std::thread::sleep(LIFTED);
    let words = stage.at()?.words()?.join(" ");
    let welcome = words.contains("请选择一种方式开始") && !words.contains('李');
    stage.expect("留在机上的身份证不会再次登录", welcome, || words.clone());

    for (card, fault, words) in [
        ("foreign", None, "这不是身份证"),
        ("expired", None, "身份证已过有效期"),
        ("wrong-number", None, "身份证信息有误"),
        ("zhang-guiying", Some("id-card-lifted"), "身份证没有读出来"),
        ("zhang-guiying", Some("id-reader-read-garbage"), "身份证没有读出来"),
    ] {
        if let Some(fault) = fault {
            stage.at()?.fault(fault, true)?;
        }
        lay(stage, card)?;
        let seen = stage.at()?.see_within(words, BACK).map(drop);
        stage.report.expect(&format!("{}：{words}", fault.unwrap_or(card)), seen);
        stage.shot(words)?;
        if let Some(fault) = fault {
            stage.at()?.fault(fault, false)?;
        }
        stage.at()?.tap("返回首页")?;
        stage.at()?.see("请选择一种方式开始")?;
    }
    lay(stage, "zhang-guiying")?;
    stage.at()?.see_within("您想办什么", BACK)?;
    stage.at()?.tap("退出")?;
    stage.at()?.tap("完成")?;

    stage.at()?.fault("id-reader-unplugged", true)?;
    stage.at()?.see_within("暂时不能用", BACK)?;
    stage.shot("身份证阅读器断开")?;
    stage.at()?.fault("id-reader-unplugged", false)?;
    stage.at()?.see_within("屏幕变了再拿开", BACK)?;
    lay(stage, "zhang-guiying")?;
    stage.at()?.see("您想办什么")?;
    stage.at()?.tap("退出")?;
    Ok(())
}

/// Takes away what lies there, until the driver has noticed, and lays a card down.
fn lay(stage: &Stage, card: &str) -> Result<()> {
    stage.at()?.lift_id_card()?;
    std::thread::sleep(LIFTED);
    stage.at()?.lay_id_card(card)
}
