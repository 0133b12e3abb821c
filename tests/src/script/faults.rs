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
pub(super) fn paper_out(context: &mut Stage) -> Result<()> {
    context.sign_in_by_code("ouyang-xuemei")?;
    context.choose_first_bill()?;
    context.at()?.fault("paper-out", true)?;
    let before = context.at()?.papers()?.len();
    std::thread::sleep(Duration::from_secs(2));
    context.at()?.tap("确认付款")?;
    context.at()?.see("已付款")?;
    context.at()?.see("凭条纸用完了")?;
    context.shot("缺纸")?;
    context.at()?.fault("paper-out", false)?;
    context.at()?.see("请从出纸口取走凭条")?;
    let paper = context.newest_paper("换纸后打印")?;
    let printed = context.at()?.papers()?.len() - before;
    context.expect("只打印一张，不是补打", printed == 1 && !paper.contains("补打"), || {
        format!("{printed} 张：{paper}")
    });
    context.at()?.tap("完成")?;
    Ok(())
}

/// `paper-ends-mid-receipt`: the roll ends in the middle of a receipt. Nothing is printed again automatically; a copy
/// has a copy mark.
pub(super) fn paper_ends(context: &mut Stage) -> Result<()> {
    context.sign_in_by_code("wang-jianguo")?;
    context.choose_first_bill()?;
    let before = context.at()?.papers()?.len();
    context.at()?.fault("paper-ends", true)?;
    context.at()?.tap("确认付款")?;
    context.at()?.see("已付款")?;
    context.at()?.see("凭条可能没有打完整")?;
    context.shot("打到一半缺纸")?;
    context.newest_paper("半张凭条")?;
    context.at()?.fault("paper-ends", false)?;
    context.at()?.see("补打一张")?;
    context.shot("换纸后可以补打")?;
    let untouched = context.at()?.papers()?.len() - before;
    context.expect("换纸后不会自己再打", untouched == 1, || format!("{untouched} 张"));
    context.at()?.tap("补打一张")?;
    context.at()?.see("请从出纸口取走凭条")?;
    let paper = context.newest_paper("补打的凭条")?;
    let printed = context.at()?.papers()?.len() - before;
    context.expect(
        "整张补打，写明是补打",
        printed == 2 && paper.contains("补打 第1次"),
        || format!("{printed} 张：{paper}"),
    );
    context.at()?.tap("完成")?;
    Ok(())
}

/// `printer-not-responding`: the printer discards all bytes and never answers. The payment stays valid and is shown.
pub(super) fn printer_mute(context: &mut Stage) -> Result<()> {
    context.sign_in_by_code("aguli")?;
    context.choose_first_bill()?;
    context.at()?.fault("printer-mute", true)?;
    context.at()?.tap("确认付款")?;
    context.at()?.see("已付款")?;
    context.at()?.see_within("没有纸也能拿到凭条", MUTE)?;
    context.at()?.see("打印机暂时不能用")?;
    context.shot("打印机不应答")?;
    let before = context.at()?.papers()?.len();
    context.at()?.fault("printer-mute", false)?;
    // Nothing was printed before, so the receipt is printed as soon as the printer answers.
    context.at()?.see_within("请从出纸口取走凭条", MUTE)?;
    let paper = context.newest_paper("应答以后再打")?;
    let printed = context.at()?.papers()?.len() - before;
    context.expect(
        "打印机应答以后打出一张",
        printed == 1 && paper.contains("缴费凭条"),
        || format!("{printed} 张：{paper}"),
    );
    context.at()?.tap("完成")?;
    Ok(())
}

/// `platform-link-cut`: the link between kiosk and platform is cut before and after the charge.
pub(super) fn platform_link(context: &mut Stage) -> Result<()> {
    for (cut, outcome, caption) in [
        (Cut::Before("/v1/".into()), "未付款", "请求没有送到：作废"),
        (Cut::After("/v1/".into()), "已付款", "答复丢了：查清是已付"),
    ] {
        context.sign_in_by_code("wang-jianguo")?;
        context.choose_first_bill()?;
        context.rig.platform_link.set(cut);
        context.at()?.tap("确认付款")?;
        context.at()?.see("结果还没有确认")?;
        context.shot("正在核实")?;
        context.rig.platform_link.set(Cut::None);
        context.at()?.see_within(outcome, KNOWN)?;
        context.shot(caption)?;
        context.calm()?;
    }
    context.sign_in_by_code("aguli")?;
    context.choose_first_bill()?;
    context.rig.platform_link.set(Cut::Down);
    context.at()?.tap("确认付款")?;
    context.at()?.see("结果还没有确认")?;
    context.at()?.tap("先离开")?;
    context.at()?.see("刚才的付款")?;
    context.shot("先离开")?;
    context.rig.platform_link.set(Cut::None);
    context.at()?.see_within("未付款", KNOWN)?;
    context.shot("网络恢复后查清")?;
    context.rig.platform_link.set(Cut::Nonsense("/v1/".into()));
    context.at()?.see_within("联网后可用", KNOWN)?;
    context.shot("平台胡言乱语")?;
    Ok(())
}

/// `acquirer-link-cut`: the link between platform and acquirer is cut before and after the charge.
pub(super) fn acquirer_link(context: &mut Stage) -> Result<()> {
    for (cut, caption) in
        [(Cut::Before("/".into()), "银行没有收到"), (Cut::After("/".into()), "银行扣了款，答复丢了")]
    {
        context.sign_in_by_code("aguli")?;
        context.choose_first_bill()?;
        context.rig.acquirer_link.set(cut.clone());
        context.at()?.tap("确认付款")?;
        context.at()?.see("结果还没有确认")?;
        context.rig.acquirer_link.set(Cut::None);
        let wanted = if matches!(cut, Cut::Before(_)) { "未付款" } else { "已付款" };
        context.at()?.see_within(wanted, KNOWN)?;
        context.shot(caption)?;
        context.calm()?;
    }
    Ok(())
}

/// `same-bill-at-two-kiosks`: while the order for a bill is open at one kiosk, another kiosk cannot charge the bill.
pub(super) fn second_kiosk(context: &mut Stage) -> Result<()> {
    context.sign_in_by_code("li-yan")?;
    context.choose_first_bill()?;
    context.rig.acquirer_link.set(Cut::Down);
    context.at()?.tap("确认付款")?;
    context.at()?.see("结果还没有确认")?;
    let other = context.other()?;
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
    let png = context.other()?.screen_png()?;
    context.report.picture("第二台终端", &png, false)?;
    context.expect("第二台终端没有扣款", !words.contains("已付款"), || words.clone());
    context.rig.acquirer_link.set(Cut::None);
    context.at()?.see_within("付款", KNOWN)?;
    Ok(())
}

/// `power-loss-while-paying`: the kiosk is killed right after it sent the order, and started again.
pub(super) fn killed_while_paying(context: &mut Stage) -> Result<()> {
    context.sign_in_by_code("zhang-guiying")?;
    context.choose_first_bill()?;
    context.rig.platform_link.set(Cut::After("/v1/charges".into()));
    context.at()?.tap("确认付款")?;
    context.at()?.see("结果还没有确认")?;
    let kiosk = context.rig.kiosks.first_mut().context("the first kiosk")?;
    kiosk.kill()?;
    context.rig.platform_link.set(Cut::None);
    let kiosk = context.rig.kiosks.first_mut().context("the first kiosk")?;
    kiosk.start()?;
    context.at()?.see_within("请选择一种方式开始", Duration::from_secs(60))?;
    context.shot("重新启动后")?;
    let words = context.at()?.words()?.join(" ");
    context.expect("上一位居民的什么也不留", !words.contains('张') && !words.contains('¥'), || words.clone());
    Ok(())
}

/// `invalid-cards-and-codes`: cards and codes that are refused, each with its own message.
pub(super) fn bad_input(context: &mut Stage) -> Result<()> {
    let old = context.at()?.fresh_code("ran-guangming")?;
    let issued = Instant::now();
    for (card, words) in [
        ("bank", "这不是社会保障卡"),
        ("blank", "读不到卡"),
        ("garbage", "卡内信息不完整"),
        ("half", "卡内信息不完整"),
        ("locked", "这张社保卡已锁定"),
    ] {
        context.at()?.insert(card)?;
        let seen = context.at()?.see(words).map(drop);
        context.report.expect(&format!("{card}：{words}"), seen);
        context.shot(words)?;
        context.at()?.take_card()?;
        context.at()?.see("请选择一种方式开始")?;
    }
    let used = context.at()?.fresh_code("ran-guangming")?;
    context.at()?.show_code(&used)?;
    context.at()?.see("您想办什么")?;
    context.at()?.hide_code()?;
    context.at()?.tap("退出")?;
    context.at()?.see("请选择一种方式开始")?;
    std::thread::sleep(Duration::from_secs(3));
    let good = context.at()?.fresh_code("ran-guangming")?;
    let forged = forge(&good);
    std::thread::sleep(CODE_LIFE.saturating_sub(issued.elapsed()));
    for (code, words) in [
        (used.as_str(), "这个码已经用过"),
        (old.as_str(), "这个码已过期"),
        ("https://example.invalid/pay?id=7", "这不是渝快码"),
        (&good.replacen("YK1:", "CD1:", 1), "这是其他城市的码"),
        (forged.as_str(), "这个码不是渝快办发的"),
    ] {
        context.at()?.show_code(code)?;
        let seen = context.at()?.see(words).map(drop);
        context.report.expect(&format!("码：{words}"), seen);
        context.shot(words)?;
        context.at()?.hide_code()?;
        context.at()?.see("请选择一种方式开始")?;
        std::thread::sleep(Duration::from_secs(2));
    }
    Ok(())
}

/// `reader-disconnected`: the readers are disconnected while one holds a card, then connected again. Codes are still
/// accepted in between.
pub(super) fn reader_gone(context: &mut Stage) -> Result<()> {
    context.sign_in_by_card("ran-guangming")?;
    context.at()?.fault("reader-gone", true)?;
    context.rig.mind_readers()?;
    context.at()?.see("暂时不能用")?;
    context.shot("读卡器断开")?;
    context.sign_in_by_code("ran-guangming")?;
    context.shot("用码照常办理")?;
    context.at()?.tap("退出")?;
    context.at()?.see("暂时不能用")?;
    context.at()?.fault("reader-gone", false)?;
    context.rig.mind_readers()?;
    context.at()?.take_card()?;
    context.at()?.see("插到底不要松动")?;
    context.sign_in_by_card("ran-guangming")?;
    context.shot("接上后照常读卡")?;
    context.at()?.take_card()?;
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
