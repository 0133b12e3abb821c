//! The phone's page in a real browser before the kiosk's camera, and the binding of a phone by card and PIN.

use std::thread;

use anyhow::{Context as _, Result};

use super::{Stage, codes};
use crate::browser::Browser;

/// `phone-page-code`: the page shows a code to the camera. A picture of the page is not accepted afterwards.
pub(super) fn shown(stage: &mut Stage) -> Result<()> {
    let resident = stage.resident("li-yan")?;
    let mut phone = Browser::start(stage.rig.repository())?;
    let page = stage.rig.code_page();
    phone.bind(&page, &resident.name, &resident.id_number)?;
    let picture = phone.picture()?;
    stage.report.picture("手机上的渝快码", &picture, false)?;
    stage.at()?.show_page(picture.clone())?;
    stage.at()?.see("您想办什么").context("the page's code signs in")?;
    stage.shot("认出手机页面上的码")?;
    codes::leave(stage.at()?)?;
    for (at, caption) in [(0, "拍下来的照片在同一台"), (1, "拍下来的照片在另一台")] {
        let kiosk = stage.rig.kiosks.get(at).map(|kiosk| &kiosk.station).context("a kiosk")?;
        kiosk.show_page(picture.clone())?;
        let seen = kiosk.see("这个码已经用过").map(drop);
        kiosk.hide_code()?;
        stage.report.expect(&format!("{caption}，不受理"), seen);
    }
    let picture = phone.picture()?;
    thread::sleep(codes::TOO_OLD);
    stage.at()?.see_within("请选择一种方式开始", codes::HEARD)?;
    stage.at()?.show_page(picture)?;
    let seen = stage.at()?.see("这个码显示得太久了").map(drop);
    stage.report.expect("二十秒前的照片，不受理", seen);
    stage.at()?.hide_code()
}

/// `bind-phone-by-card`: a resident without a resident code, or with a new phone, binds the phone at the kiosk by
/// card and PIN.
pub(super) fn bound_by_card_and_pin(stage: &mut Stage) -> Result<()> {
    let resident = stage.resident("wang-jianguo")?;
    stage.sign_in_by_card("wang-jianguo")?;
    stage.shot("三代卡的菜单")?;
    stage.at()?.tap("开通手机渝快码")?;
    stage.at()?.see("请输入社保卡密码")?;
    stage.at()?.enter_pin("000000")?;
    stage.at()?.tap("确定")?;
    stage.at()?.see("密码不对")?;
    stage.at()?.enter_pin(&resident.card.pin)?;
    stage.shot("输入密码")?;
    stage.at()?.tap("确定")?;
    stage.at()?.see("请用要开通的手机扫这个码")?;
    stage.shot("给手机扫的码")?;
    let address = stage.at()?.screen_code()?;
    let mut phone = Browser::start(stage.rig.repository())?;
    phone.open(&address)?;
    phone.see("main[data-state=pair]")?;
    phone.fill("#idEnd", "000000")?;
    phone.tap("#pairGo")?;
    phone.see("#pairFailed:not([hidden])")?;
    let picture = phone.picture()?;
    stage.report.picture("手机：后六位不对", &picture, false)?;
    let end = resident.id_number.get(12..).context("an ID number has 18 characters")?;
    phone.fill("#idEnd", end)?;
    let picture = phone.picture()?;
    stage.report.picture("手机：输入后六位", &picture, false)?;
    phone.tap("#pairGo")?;
    phone.see_code()?;
    let picture = phone.picture()?;
    stage.report.picture("手机：开通好了", &picture, false)?;
    stage.at()?.tap("完成")?;
    stage.at()?.see("您想办什么")?;
    stage.at()?.tap("取卡离开")?;
    stage.at()?.take_card()?;
    stage.at()?.see("请选择一种方式开始")?;

    stage.at()?.show_page(phone.picture()?)?;
    stage.at()?.see("您想办什么").context("the new code signs in")?;
    let words = stage.at()?.words()?.join(" ");
    stage.expect("新开通的码认出本人", words.contains("王*国"), || words.clone());
    codes::leave(stage.at()?)?;

    let mut other = Browser::start(stage.rig.repository())?;
    other.open(&address)?;
    other.see("main[data-state=pair]")?;
    other.fill("#idEnd", end)?;
    other.tap("#pairGo")?;
    let seen = other.see("#pairFailed:not([hidden])");
    stage.report.expect("同一个码不能再开通第二部手机", seen);
    Ok(())
}
