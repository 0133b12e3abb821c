//! Offline codes: codes that a phone shows without a network, and attempts to misuse pictures of them.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Stage;
use crate::phone::{Phone, forged};
use crate::proxy::Cut;
use crate::station::Station;

/// Time in which a kiosk notices that its link is up or down and fetches the feed.
pub(super) const HEARD: Duration = Duration::from_secs(60);
/// Age at which a code is no longer accepted: the acceptance window of the sites and one time step.
pub(super) const TOO_OLD: Duration = Duration::from_secs(21);
/// Time without a code in view after which a reader counts it as taken away.
const AWAY: Duration = Duration::from_millis(1_700);
/// Time until the next time step, whose code differs.
const SLOT: Duration = Duration::from_secs(4);

/// `offline-code-payment`: a code that the kiosk verifies itself begins a visit; a payment needs the phone's answer
/// code, which a picture of a code cannot give.
pub(super) fn pays_after_the_phone_answered(context: &mut Stage) -> Result<()> {
    let phone = Phone::bind(&context.rig, &context.resident("li-yan")?)?;
    let other_phone = Phone::bind(&context.rig, &context.resident("ran-guangming")?)?;
    sign_in(context.at()?, &phone)?;
    context.at()?.tap("水费缴纳")?;
    context.at()?.see("请用手机上的渝快办扫一扫")?;
    context.shot("要手机确认")?;
    let challenge = context.at()?.screen_code()?;

    thread::sleep(SLOT);
    context.at()?.show_code(&phone.code()?)?;
    context.at()?.see("请先用手机扫屏幕上的码")?;
    context.shot("出示码本身不算")?;
    context.at()?.hide_code()?;
    context.at()?.show_code(&other_phone.answer(&challenge)?)?;
    context.at()?.see("这不是刚才那位的手机")?;
    context.at()?.hide_code()?;
    context.expect(
        "换来的码和别人的手机都不能继续",
        context.at()?.screen_code()? == challenge,
        || "屏幕上不再是原来的码".to_owned(),
    );

    context.at()?.show_code(&phone.answer(&challenge)?)?;
    context.at()?.see("请选择要缴的水费")?;
    context.at()?.hide_code()?;
    context.shot("手机确认以后")?;
    context.at()?.tap("年")?;
    context.at()?.tap("下一步")?;
    context.at()?.see("请核对后付款")?;
    context.at()?.tap("确认付款")?;
    context.at()?.see("已付款")?;
    context.at()?.see("请从出纸口取走凭条")?;
    context.at()?.tap("完成")?;
    context.at()?.tap("退出")?;
    context.at()?.see("请选择一种方式开始").map(drop)
}

/// `code-reused-or-invalid`: one code shown twice at one kiosk, then at another, then too late; and codes that this
/// city did not issue.
pub(super) fn shown_again(context: &mut Stage) -> Result<()> {
    let phone = Phone::bind(&context.rig, &context.resident("wang-jianguo")?)?;
    let code = sign_in(context.at()?, &phone)?;
    leave(context.at()?)?;
    for (at, caption) in [(0, "同一个码再来一次"), (1, "同一个码在另一台")] {
        let kiosk = context.rig.kiosks.get(at).map(|kiosk| &kiosk.station).context("a kiosk")?;
        kiosk.show_code(&code)?;
        let seen = kiosk.see("这个码已经用过").map(drop);
        kiosk.hide_code()?;
        context.report.expect(&format!("{caption}，不受理"), seen);
    }
    let code = phone.code()?;
    thread::sleep(TOO_OLD);
    context.at()?.see_within("请选择一种方式开始", HEARD)?;
    for (code, words, caption) in [
        (code, "这个码显示得太久了", "二十秒前的照片"),
        (forged()?, "这个码不是渝快办发的", "伪造的码"),
        (format!("CD1:{}", phone.code()?.trim_start_matches("YK1:")), "这是其他城市的码", "其他城市的码"),
    ] {
        context.at()?.show_code(&code)?;
        let seen = context.at()?.see(words).map(drop);
        context.report.expect(&format!("{caption}，不受理"), seen);
        context.shot(caption)?;
        context.at()?.hide_code()?;
        context.at()?.see_within("请选择一种方式开始", HEARD)?;
    }
    Ok(())
}

/// `offline-code-without-link`: without a link each kiosk knows only the codes that it saw itself; the platform finds
/// a code accepted by both once the link is back.
pub(super) fn without_a_link(context: &mut Stage) -> Result<()> {
    let phone = Phone::bind(&context.rig, &context.resident("ouyang-xuemei")?)?;
    context.rig.platform_link.set(Cut::Down);
    context.at()?.see_within("未联网", HEARD)?;
    context.other()?.see_within("未联网", HEARD)?;
    let code = phone.code()?;
    context.at()?.show_code(&code)?;
    context.at()?.see("已认出您的渝快码")?;
    context.shot("没有网络也认得")?;
    let words = context.at()?.words()?.join(" ");
    context.expect("不联网不显示姓名", !words.contains('欧'), || words.clone());
    leave(context.at()?)?;
    context.at()?.show_code(&code)?;
    let seen = context.at()?.see("这个码已经用过").map(drop);
    context.report.expect("断网时同一台只认一次", seen);
    context.at()?.hide_code()?;
    context.other()?.show_code(&code)?;
    context.other()?.see("已认出您的渝快码")?;
    leave(context.other()?)?;
    context.rig.platform_link.set(Cut::None);
    context.at()?.see_within("已联网", HEARD)?;
    context.other()?.see_within("已联网", HEARD)?;
    let found = context.rig.admin_shows("one code was accepted at", HEARD)?;
    context.expect("两台都认过的码，联网后平台查出来", found, || "平台没有查出来".to_owned());
    Ok(())
}

/// `lost-phone-refused`: no kiosk accepts the codes of a phone that was reported lost.
pub(super) fn reported_lost(context: &mut Stage) -> Result<()> {
    let phone = Phone::bind(&context.rig, &context.resident("zhang-guiying")?)?;
    sign_in(context.at()?, &phone)?;
    leave(context.at()?)?;
    phone.report_lost()?;
    // The kiosk polls the feed every 15 s.
    thread::sleep(Duration::from_secs(20));
    context.rig.platform_link.set(Cut::Down);
    context.at()?.see_within("未联网", HEARD)?;
    context.at()?.show_code(&phone.code()?)?;
    let seen = context.at()?.see("这个码已挂失").map(drop);
    context.report.expect("挂失以后，断网也不受理", seen);
    context.shot("已挂失")?;
    context.at()?.hide_code()
}

/// `kiosk-clock-wrong`: a kiosk whose clock is ten minutes behind verifies codes only after it has synchronised with
/// the platform's time.
pub(super) fn clock_off(context: &mut Stage) -> Result<()> {
    let phone = Phone::bind(&context.rig, &context.resident("li-yan")?)?;
    context.rig.platform_link.set(Cut::Down);
    let kiosk = context.rig.kiosks.first_mut().context("the first kiosk")?;
    kiosk.kill()?;
    kiosk.start_with_clock_off(-600)?;
    context.at()?.see_within("请选择一种方式开始", HEARD)?;
    context.at()?.show_code(&phone.code()?)?;
    let seen = context.at()?.see("本机时间没有校准").map(drop);
    context.report.expect("时间不准又断网，不验码", seen);
    context.shot("时间不准")?;
    context.at()?.hide_code()?;
    context.rig.platform_link.set(Cut::None);
    context.at()?.see_within("已联网", HEARD)?;
    context.at()?.see_within("请选择一种方式开始", HEARD)?;
    let signed_in = sign_in(context.at()?, &phone).map(drop);
    context.report.expect("联网校准以后照常验码", signed_in);
    leave(context.at()?)?;
    let kiosk = context.rig.kiosks.first_mut().context("the first kiosk")?;
    kiosk.kill()?;
    kiosk.start()
}

/// Begins a visit by the code that the phone shows now, and returns that code.
fn sign_in(kiosk: &Station, phone: &Phone) -> Result<String> {
    let code = phone.code()?;
    kiosk.show_code(&code)?;
    kiosk.see("您想办什么").context("a fresh code signs in")?;
    kiosk.hide_code()?;
    Ok(code)
}

/// Ends the visit, and waits until the reader accepts the next code as newly shown.
pub(super) fn leave(kiosk: &Station) -> Result<()> {
    kiosk.hide_code()?;
    kiosk.tap("退出")?;
    kiosk.see("请选择一种方式开始")?;
    thread::sleep(AWAY);
    Ok(())
}
