//! The phone's page in a real browser before the kiosk's camera, and the binding of a phone by card and PIN.

use std::thread;

use anyhow::{Context as _, Result};
use view::TextId;

use super::{CONNECTIVITY_TIMEOUT, ScenarioContext, codes};
use crate::phone_browser::PhoneBrowser;
use crate::screen_text::ScreenText;

/// `phone-page-code`: the page shows a code to the camera. A picture of the page is not accepted afterwards.
pub(super) fn phone_page_code(context: &mut ScenarioContext) -> Result<()> {
    let resident = context.resident("li-yan")?;
    let mut phone = PhoneBrowser::start()?;
    let page = context.rig.code_page();
    phone.bind_phone(&page, &resident.name, &resident.id_number)?;
    let picture = phone.screenshot()?;
    context.report.add_picture("code on the phone", &picture, false)?;
    context.first_kiosk()?.show_phone_page(picture.clone())?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle).context("the page's code signs in")?;
    context.capture_screen("code of the phone page accepted")?;
    codes::sign_out(context.first_kiosk()?)?;
    for (at, caption) in [(0, "a photo of it at the same kiosk"), (1, "a photo of it at another kiosk")] {
        let kiosk = context.rig.kiosks.get(at).map(|kiosk| &kiosk.bench).context("a kiosk")?;
        kiosk.show_phone_page(picture.clone())?;
        let seen = kiosk.wait_for_text(TextId::CodeUsed).map(drop);
        kiosk.hide_code()?;
        context.report.record_expectation(&format!("refused: {caption}"), seen);
    }
    let picture = phone.screenshot()?;
    thread::sleep(codes::CODE_EXPIRY);
    context.first_kiosk()?.wait_for_text_within(TextId::WelcomeTitle, CONNECTIVITY_TIMEOUT)?;
    context.first_kiosk()?.show_phone_page(picture)?;
    let seen = context.first_kiosk()?.wait_for_text(TextId::CodeStale).map(drop);
    context.report.record_expectation("refused: a photo 20 s old", seen);
    context.first_kiosk()?.hide_code()
}

/// `bind-phone-by-card`: a resident without a resident code, or with a new phone, binds the phone at the kiosk by
/// card and PIN.
pub(super) fn bind_phone_by_card(context: &mut ScenarioContext) -> Result<()> {
    let resident = context.resident("wang-jianguo")?;
    context.sign_in_by_card("wang-jianguo")?;
    context.capture_screen("menu of a third-generation card")?;
    context.first_kiosk()?.open_service("phone.pairing")?;
    context.first_kiosk()?.wait_for_text(TextId::PinTitle)?;
    context.first_kiosk()?.enter_pin("000000")?;
    context.first_kiosk()?.tap_button(TextId::PinGo)?;
    context.first_kiosk()?.wait_for_text(TextId::PinWrong)?;
    context.first_kiosk()?.enter_pin(&resident.card.pin)?;
    context.capture_screen("PIN entry")?;
    context.first_kiosk()?.tap_button(TextId::PinGo)?;
    context.first_kiosk()?.wait_for_text(ScreenText::Step("phone.pairing", "shown"))?;
    context.capture_screen("code for the phone to scan")?;
    let address = context.first_kiosk()?.screen_code()?;
    let mut phone = PhoneBrowser::start()?;
    phone.open(&address)?;
    phone.wait_for("main[data-state=pair]")?;
    phone.fill("#idEnd", "000000")?;
    phone.tap("#pairGo")?;
    phone.wait_for("#pairFailed:not([hidden])")?;
    let picture = phone.screenshot()?;
    context.report.add_picture("phone: last six digits wrong", &picture, false)?;
    let end = resident.id_number.get(12..).context("an ID number has 18 characters")?;
    phone.fill("#idEnd", end)?;
    let picture = phone.screenshot()?;
    context.report.add_picture("phone: last six digits entered", &picture, false)?;
    phone.tap("#pairGo")?;
    phone.wait_for_code()?;
    let picture = phone.screenshot()?;
    context.report.add_picture("phone: bound", &picture, false)?;
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle)?;
    context.first_kiosk()?.tap_button(TextId::FootTakeCard)?;
    context.first_kiosk()?.remove_card()?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;

    context.first_kiosk()?.show_phone_page(phone.screenshot()?)?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle).context("the new code signs in")?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    context.expect("the new code identifies its holder", words.contains("王*国"), || words.clone());
    codes::sign_out(context.first_kiosk()?)?;

    let mut other = PhoneBrowser::start()?;
    other.open(&address)?;
    other.wait_for("main[data-state=pair]")?;
    other.fill("#idEnd", end)?;
    other.tap("#pairGo")?;
    let seen = other.wait_for("#pairFailed:not([hidden])");
    context.report.record_expectation("the same code does not bind a second phone", seen);
    Ok(())
}
