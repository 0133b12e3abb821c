//! Visits in which paper, a link, the power or a reader fails, and visits with invalid cards and codes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Stage;
use crate::proxy::Cut;

/// Time in which the outcome of an open payment is known after the link is back.
const KNOWN: Duration = Duration::from_secs(90);

/// Time in which a printer that does not respond leads to the offer of a receipt without paper.
const MUTE: Duration = Duration::from_secs(40);
/// Lifetime of an online token and the tolerated clock difference.
const CODE_LIFE: Duration = Duration::from_secs(65);

/// `paper-out-while-paying`: no paper when the receipt is due. The payment stays valid; after a new roll exactly one
/// receipt is printed.
pub(super) fn paper_out(stage: &mut Stage) -> Result<()> {
    stage.sign_in_by_code("ouyang-xuemei")?;
    stage.choose_first_bill()?;
    stage.at()?.fault("paper-out", true)?;
    let before = stage.at()?.papers()?.len();
    std::thread::sleep(Duration::from_secs(2));
    stage.at()?.tap("确认付款")?;
    stage.at()?.see("已付款")?;
    stage.at()?.see("凭条纸用完了")?;
    stage.shot("缺纸")?;
    stage.at()?.fault("paper-out", false)?;
    stage.at()?.see("请从出纸口取走凭条")?;
    let paper = stage.newest_paper("换纸后打印")?;
    let printed = stage.at()?.papers()?.len() - before;
    stage.expect("只打印一张，不是补打", printed == 1 && !paper.contains("补打"), || {
        format!("{printed} 张：{paper}")
    });
    stage.at()?.tap("完成")?;
    Ok(())
}

/// `paper-ends-mid-receipt`: the roll ends in the middle of a receipt. Nothing is printed again automatically; a copy
/// has a copy mark.
pub(super) fn paper_ends(stage: &mut Stage) -> Result<()> {
    stage.sign_in_by_code("wang-jianguo")?;
    stage.choose_first_bill()?;
    let before = stage.at()?.papers()?.len();
    stage.at()?.fault("paper-ends", true)?;
    stage.at()?.tap("确认付款")?;
    stage.at()?.see("已付款")?;
    stage.at()?.see("凭条可能没有打完整")?;
    stage.shot("打到一半缺纸")?;
    stage.newest_paper("半张凭条")?;
    stage.at()?.fault("paper-ends", false)?;
    stage.at()?.see("补打一张")?;
    stage.shot("换纸后可以补打")?;
    let untouched = stage.at()?.papers()?.len() - before;
    stage.expect("换纸后不会自己再打", untouched == 1, || format!("{untouched} 张"));
    stage.at()?.tap("补打一张")?;
    stage.at()?.see("请从出纸口取走凭条")?;
    let paper = stage.newest_paper("补打的凭条")?;
    let printed = stage.at()?.papers()?.len() - before;
    stage.expect("整张补打，写明是补打", printed == 2 && paper.contains("补打 第1次"), || {
        format!("{printed} 张：{paper}")
    });
    stage.at()?.tap("完成")?;
    Ok(())
}

/// `printer-not-responding`: the printer discards all bytes and never answers. The payment stays valid and is shown.
pub(super) fn printer_mute(stage: &mut Stage) -> Result<()> {
    stage.sign_in_by_code("aguli")?;
    stage.choose_first_bill()?;
    stage.at()?.fault("printer-mute", true)?;
    stage.at()?.tap("确认付款")?;
    stage.at()?.see("已付款")?;
    stage.at()?.see_within("没有纸也能拿到凭条", MUTE)?;
    stage.at()?.see("打印机暂时不能用")?;
    stage.shot("打印机不应答")?;
    let before = stage.at()?.papers()?.len();
    stage.at()?.fault("printer-mute", false)?;
    // Nothing was printed before, so the receipt is printed as soon as the printer answers.
    stage.at()?.see_within("请从出纸口取走凭条", MUTE)?;
    let paper = stage.newest_paper("应答以后再打")?;
    let printed = stage.at()?.papers()?.len() - before;
    stage.expect("打印机应答以后打出一张", printed == 1 && paper.contains("缴费凭条"), || {
        format!("{printed} 张：{paper}")
    });
    stage.at()?.tap("完成")?;
    Ok(())
}

/// `platform-link-cut`: the link between kiosk and platform is cut before and after the charge.
pub(super) fn platform_link(stage: &mut Stage) -> Result<()> {
    for (cut, outcome, caption) in [
        (Cut::Before("/v1/".into()), "未付款", "请求没有送到：作废"),
        (Cut::After("/v1/".into()), "已付款", "答复丢了：查清是已付"),
    ] {
        stage.sign_in_by_code("wang-jianguo")?;
        stage.choose_first_bill()?;
        stage.rig.platform_link.set(cut);
        stage.at()?.tap("确认付款")?;
        stage.at()?.see("结果还没有确认")?;
        stage.shot("正在核实")?;
        stage.rig.platform_link.set(Cut::None);
        stage.at()?.see_within(outcome, KNOWN)?;
        stage.shot(caption)?;
        stage.calm()?;
    }
    stage.sign_in_by_code("aguli")?;
    stage.choose_first_bill()?;
    stage.rig.platform_link.set(Cut::Down);
    stage.at()?.tap("确认付款")?;
    stage.at()?.see("结果还没有确认")?;
    stage.at()?.tap("先离开")?;
    stage.at()?.see("刚才的付款")?;
    stage.shot("先离开")?;
    stage.rig.platform_link.set(Cut::None);
    stage.at()?.see_within("未付款", KNOWN)?;
    stage.shot("网络恢复后查清")?;
    stage.rig.platform_link.set(Cut::Nonsense("/v1/".into()));
    stage.at()?.see_within("联网后可用", KNOWN)?;
    stage.shot("平台胡言乱语")?;
    Ok(())
}

/// `acquirer-link-cut`: the link between platform and acquirer is cut before and after the charge.
pub(super) fn acquirer_link(stage: &mut Stage) -> Result<()> {
    for (cut, caption) in
        [(Cut::Before("/".into()), "银行没有收到"), (Cut::After("/".into()), "银行扣了款，答复丢了")]
    {
        stage.sign_in_by_code("aguli")?;
        stage.choose_first_bill()?;
        stage.rig.acquirer_link.set(cut.clone());
        stage.at()?.tap("确认付款")?;
        stage.at()?.see("结果还没有确认")?;
        stage.rig.acquirer_link.set(Cut::None);
        let wanted = if matches!(cut, Cut::Before(_)) { "未付款" } else { "已付款" };
        stage.at()?.see_within(wanted, KNOWN)?;
        stage.shot(caption)?;
        stage.calm()?;
    }
    Ok(())
}

/// `same-bill-at-two-kiosks`: while the order for a bill is open at one kiosk, another kiosk cannot charge the bill.
pub(super) fn second_kiosk(stage: &mut Stage) -> Result<()> {
    stage.sign_in_by_code("li-yan")?;
    stage.choose_first_bill()?;
    stage.rig.acquirer_link.set(Cut::Down);
    stage.at()?.tap("确认付款")?;
    stage.at()?.see("结果还没有确认")?;
    let other = stage.other()?;
    let code = other.fresh_code("li-yan")?;
    other.show_code(&code)?;
    other.see("您想办什么")?;
    other.hide_code()?;
    other.tap("水费缴纳")?;
    let (offered, words) = {
        other.see_within("水费", Duration::from_secs(10))?;
        let words = other.words()?;
        (words.iter().any(|word| word.contains("下一步")), words.join(" | "))
    };
    if offered {
        other.tap("年")?;
        other.tap("下一步")?;
        other.tap("确认付款")?;
        other.see("正在另一台终端付款")?;
    }
    let png = stage.other()?.screen_png()?;
    stage.report.picture("第二台终端", &png, false)?;
    stage.expect("第二台终端没有扣款", !words.contains("已付款"), || words.clone());
    stage.rig.acquirer_link.set(Cut::None);
    stage.at()?.see_within("付款", KNOWN)?;
    Ok(())
}

/// `power-loss-while-paying`: the kiosk is killed right after it sent the order, and started again.
pub(super) fn killed_while_paying(stage: &mut Stage) -> Result<()> {
    stage.sign_in_by_code("zhang-guiying")?;
    stage.choose_first_bill()?;
    stage.rig.platform_link.set(Cut::After("/v1/charges".into()));
    stage.at()?.tap("确认付款")?;
    stage.at()?.see("结果还没有确认")?;
    let kiosk = stage.rig.kiosks.first_mut().context("the first kiosk")?;
    kiosk.kill()?;
    stage.rig.platform_link.set(Cut::None);
    let kiosk = stage.rig.kiosks.first_mut().context("the first kiosk")?;
    kiosk.start()?;
    stage.at()?.see_within("请选择一种方式开始", Duration::from_secs(60))?;
    stage.shot("重新启动后")?;
    let words = stage.at()?.words()?.join(" ");
    stage.expect("上一位居民的什么也不留", !words.contains('张') && !words.contains('¥'), || words.clone());
    Ok(())
}

/// `invalid-cards-and-codes`: cards and codes that are refused, each with its own message.
pub(super) fn bad_input(stage: &mut Stage) -> Result<()> {
    let old = stage.at()?.fresh_code("ran-guangming")?;
    let issued = Instant::now();
    for (card, words) in [
        ("bank", "这不是社会保障卡"),
        ("blank", "读不到卡"),
        ("garbage", "卡内信息不完整"),
        ("half", "卡内信息不完整"),
        ("locked", "这张社保卡已锁定"),
    ] {
        stage.at()?.insert(card)?;
        let seen = stage.at()?.see(words).map(drop);
        stage.report.expect(&format!("{card}：{words}"), seen);
        stage.shot(words)?;
        stage.at()?.take_card()?;
        stage.at()?.see("请选择一种方式开始")?;
    }
    let used = stage.at()?.fresh_code("ran-guangming")?;
    stage.at()?.show_code(&used)?;
    stage.at()?.see("您想办什么")?;
    stage.at()?.hide_code()?;
    stage.at()?.tap("退出")?;
    stage.at()?.see("请选择一种方式开始")?;
    std::thread::sleep(Duration::from_secs(3));
    let good = stage.at()?.fresh_code("ran-guangming")?;
    let forged = forge(&good);
    std::thread::sleep(CODE_LIFE.saturating_sub(issued.elapsed()));
    for (code, words) in [
        (used.as_str(), "这个码已经用过"),
        (old.as_str(), "这个码已过期"),
        ("https://example.invalid/pay?id=7", "这不是渝快码"),
        (&good.replacen("YK1:", "CD1:", 1), "这是其他城市的码"),
        (forged.as_str(), "这个码不是渝快办发的"),
    ] {
        stage.at()?.show_code(code)?;
        let seen = stage.at()?.see(words).map(drop);
        stage.report.expect(&format!("码：{words}"), seen);
        stage.shot(words)?;
        stage.at()?.hide_code()?;
        stage.at()?.see("请选择一种方式开始")?;
        std::thread::sleep(Duration::from_secs(2));
    }
    Ok(())
}

/// `reader-disconnected`: the readers are disconnected while one holds a card, then connected again. Codes are still
/// accepted in between.
pub(super) fn reader_gone(stage: &mut Stage) -> Result<()> {
    stage.sign_in_by_card("ran-guangming")?;
    stage.at()?.fault("reader-gone", true)?;
    stage.rig.mind_readers()?;
    stage.at()?.see("暂时不能用")?;
    stage.shot("读卡器断开")?;
    stage.sign_in_by_code("ran-guangming")?;
    stage.shot("用码照常办理")?;
    stage.at()?.tap("退出")?;
    stage.at()?.see("暂时不能用")?;
    stage.at()?.fault("reader-gone", false)?;
    stage.rig.mind_readers()?;
    stage.at()?.take_card()?;
    stage.at()?.see("插到底不要松动")?;
    stage.sign_in_by_card("ran-guangming")?;
    stage.shot("接上后照常读卡")?;
    stage.at()?.take_card()?;
    Ok(())
}

/// Changes one character in the middle of a code: its format stays valid, its signature does not.
fn forge(code: &str) -> String {
    let middle = code.len() / 2;
    code.char_indices()
        .map(|(at, letter)| match letter {
            'A' if at == middle => 'B',
            _ if at == middle => 'A',
            other => other,
        })
        .collect()
}
