//! The phone's page in a real browser before the kiosk's camera, and the binding of a phone by card and PIN.

use std::thread;

use anyhow::{Context as _, Result};

use super::{Stage, codes};
use crate::browser::Browser;

/// `phone-page-code`: the page shows a code to the camera. A picture of the page is not accepted afterwards.
pub(super) fn shown(context: &mut Stage) -> Result<()> {
    let resident = context.resident("li-yan")?;
    let mut phone = Browser::start(context.rig.repository())?;
    let page = context.rig.code_page();
    phone.bind(&page, &resident.name, &resident.id_number)?;
    let picture = phone.picture()?;
    context.report.picture("手机上的渝快码", &picture, false)?;
    context.at()?.show_page(picture.clone())?;
    context.at()?.see("您想办什么").context("the page's code signs in")?;
    context.shot("认出手机页面上的码")?;
    codes::leave(context.at()?)?;
    for (at, caption) in [(0, "拍下来的照片在同一台"), (1, "拍下来的照片在另一台")] {
        let kiosk = context.rig.kiosks.get(at).map(|kiosk| &kiosk.station).context("a kiosk")?;
        kiosk.show_page(picture.clone())?;
        let seen = kiosk.see("这个码已经用过").map(drop);
        kiosk.hide_code()?;
        context.report.expect(&format!("{caption}，不受理"), seen);
    }
    let picture = phone.picture()?;
    thread::sleep(codes::TOO_OLD);
    context.at()?.see_within("请选择一种方式开始", codes::HEARD)?;
    context.at()?.show_page(picture)?;
    let seen = context.at()?.see("这个码显示得太久了").map(drop);
    context.report.expect("二十秒前的照片，不受理", seen);
    context.at()?.hide_code()
}

/// `bind-phone-by-card`: a resident without a resident code, or with a new phone, binds the phone at the kiosk by
/// card and PIN.
pub(super) fn bound_by_card_and_pin(context: &mut Stage) -> Result<()> {
    let resident = context.resident("wang-jianguo")?;
    context.sign_in_by_card("wang-jianguo")?;
    context.shot("三代卡的菜单")?;
    context.at()?.tap("开通手机渝快码")?;
    context.at()?.see("请输入社保卡密码")?;
    context.at()?.enter_pin("000000")?;
    context.at()?.tap("确定")?;
    context.at()?.see("密码不对")?;
    context.at()?.enter_pin(&resident.card.pin)?;
    context.shot("输入密码")?;
    context.at()?.tap("确定")?;
    context.at()?.see("请用要开通的手机扫这个码")?;
    context.shot("给手机扫的码")?;
    let address = context.at()?.screen_code()?;
    let mut phone = Browser::start(context.rig.repository())?;
    phone.open(&address)?;
    phone.see("main[data-state=pair]")?;
    phone.fill("#idEnd", "000000")?;
    phone.tap("#pairGo")?;
    phone.see("#pairFailed:not([hidden])")?;
    let picture = phone.picture()?;
    context.report.picture("手机：后六位不对", &picture, false)?;
    let end = resident.id_number.get(12..).context("an ID number has 18 characters")?;
    phone.fill("#idEnd", end)?;
    let picture = phone.picture()?;
    context.report.picture("手机：输入后六位", &picture, false)?;
    phone.tap("#pairGo")?;
    phone.see_code()?;
    let picture = phone.picture()?;
    context.report.picture("手机：开通好了", &picture, false)?;
    context.at()?.tap("完成")?;
    context.at()?.see("您想办什么")?;
    context.at()?.tap("取卡离开")?;
    context.at()?.take_card()?;
    context.at()?.see("请选择一种方式开始")?;

    context.at()?.show_page(phone.picture()?)?;
    context.at()?.see("您想办什么").context("the new code signs in")?;
    let words = context.at()?.words()?.join(" ");
    context.expect("新开通的码认出本人", words.contains("王*国"), || words.clone());
    codes::leave(context.at()?)?;

    let mut other = Browser::start(context.rig.repository())?;
    other.open(&address)?;
    other.see("main[data-state=pair]")?;
    other.fill("#idEnd", end)?;
    other.tap("#pairGo")?;
    let seen = other.see("#pairFailed:not([hidden])");
    context.report.expect("同一个码不能再开通第二部手机", seen);
    Ok(())
}
