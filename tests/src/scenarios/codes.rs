//! Offline codes: codes that a phone shows without a network, and attempts to misuse pictures of them.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use view::TextId;

use super::{CONNECTIVITY_TIMEOUT, ScenarioContext};
use crate::bench_client::BenchClient;
use crate::link_proxy::LinkCut;
use crate::phone_client::{PhoneClient, forged_code};
use crate::process::wait_until;
use crate::screen_text::ScreenText;

/// Age at which a code is no longer accepted: the acceptance window of the sites and one time step.
pub(super) const CODE_EXPIRY: Duration = Duration::from_secs(21);
/// Time without a code in view after which a reader counts it as taken away. The screen does not show it.
pub(super) const REMOVAL_DELAY: Duration = Duration::from_millis(1_700);
/// More than a time step of 4 s, after which a phone shows another code.
const NEXT_STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// A kiosk polls the feed every 15 s, and shows nothing when it has read it.
const FEED_INTERVAL: Duration = Duration::from_secs(20);

/// `offline-code-payment`: a code that the kiosk verifies itself begins a visit; a payment needs the phone's answer
/// code, which a picture of a code cannot give.
pub(super) fn offline_code_payment(context: &mut ScenarioContext) -> Result<()> {
    let phone = PhoneClient::bind(&context.rig, &context.resident("li-yan")?)?;
    let other_phone = PhoneClient::bind(&context.rig, &context.resident("ran-guangming")?)?;
    let code = sign_in_with_phone(context.first_kiosk()?, &phone)?;
    context.first_kiosk()?.open_service("water.pay")?;
    context.first_kiosk()?.wait_for_text(TextId::ProveTitle)?;
    context.capture_screen("confirmation on the phone is needed")?;
    let challenge = context.first_kiosk()?.screen_code()?;

    let next = wait_until("the next time step", NEXT_STEP_TIMEOUT, || {
        Ok(Some(phone.offline_code()?).filter(|next| *next != code))
    })?;
    context.first_kiosk()?.show_code(&next)?;
    context.first_kiosk()?.wait_for_text(TextId::ProveShowsCode)?;
    context.capture_screen("showing the code again does not count")?;
    context.first_kiosk()?.hide_code()?;
    context.first_kiosk()?.show_code(&other_phone.answer_code(&challenge)?)?;
    context.first_kiosk()?.wait_for_text(TextId::ProveOtherPhone)?;
    context.first_kiosk()?.hide_code()?;
    context.expect(
        "neither a later code nor another phone can go on",
        context.first_kiosk()?.screen_code()? == challenge,
        || "the screen no longer shows the code from before".to_owned(),
    );

    context.first_kiosk()?.show_code(&phone.answer_code(&challenge)?)?;
    context.first_kiosk()?.wait_for_text(ScreenText::Step("water.pay", "picked"))?;
    context.first_kiosk()?.hide_code()?;
    context.capture_screen("after the confirmation on the phone")?;
    context.first_kiosk()?.choose_first_row()?;
    context.first_kiosk()?.tap_button(TextId::RowsGo)?;
    context.first_kiosk()?.wait_for_text(TextId::ConfirmTitle)?;
    context.first_kiosk()?.tap_button(TextId::ConfirmGo)?;
    context.first_kiosk()?.wait_for_text(TextId::Paid)?;
    context.first_kiosk()?.wait_for_text(TextId::PrintedDetail)?;
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    context.first_kiosk()?.tap_button(TextId::FootExit)?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle).map(drop)
}

/// `code-reused-or-invalid`: one code shown twice at one kiosk, then at another, then too late; and codes that this
/// city did not issue.
pub(super) fn code_reused_or_invalid(context: &mut ScenarioContext) -> Result<()> {
    let phone = PhoneClient::bind(&context.rig, &context.resident("wang-jianguo")?)?;
    let code = sign_in_with_phone(context.first_kiosk()?, &phone)?;
    sign_out(context.first_kiosk()?)?;
    for (at, caption) in [(0, "the same code again"), (1, "the same code at another kiosk")] {
        let kiosk = context.rig.kiosks.get(at).map(|kiosk| &kiosk.bench).context("a kiosk")?;
        kiosk.show_code(&code)?;
        let seen = kiosk.wait_for_text(TextId::CodeUsed).map(drop);
        kiosk.hide_code()?;
        context.report.record_expectation(&format!("refused: {caption}"), seen);
    }
    let code = phone.offline_code()?;
    thread::sleep(CODE_EXPIRY);
    context.first_kiosk()?.wait_for_text_within(TextId::WelcomeTitle, CONNECTIVITY_TIMEOUT)?;
    for (code, words, caption) in [
        (code, TextId::CodeStale, "a photo 20 s old"),
        (forged_code()?, TextId::CodeUnknown, "a forged code"),
        (
            format!("CD1:{}", phone.offline_code()?.trim_start_matches("YK1:")),
            TextId::CodeOtherCity,
            "a code of another city",
        ),
    ] {
        context.first_kiosk()?.show_code(&code)?;
        let seen = context.first_kiosk()?.wait_for_text(words).map(drop);
        context.report.record_expectation(&format!("refused: {caption}"), seen);
        context.capture_screen(caption)?;
        context.first_kiosk()?.hide_code()?;
        context.first_kiosk()?.wait_for_text_within(TextId::WelcomeTitle, CONNECTIVITY_TIMEOUT)?;
    }
    Ok(())
}

/// `offline-code-without-link`: without a link each kiosk knows only the codes that it saw itself; the platform finds
/// a code accepted by both once the link is back.
pub(super) fn offline_code_without_link(context: &mut ScenarioContext) -> Result<()> {
    let phone = PhoneClient::bind(&context.rig, &context.resident("ouyang-xuemei")?)?;
    context.rig.platform_link.set_cut(LinkCut::Down);
    context.first_kiosk()?.wait_for_text_within(TextId::LinkOffline, CONNECTIVITY_TIMEOUT)?;
    context.second_kiosk()?.wait_for_text_within(TextId::LinkOffline, CONNECTIVITY_TIMEOUT)?;
    let code = phone.offline_code()?;
    context.first_kiosk()?.show_code(&code)?;
    context.first_kiosk()?.wait_for_text(TextId::MenuLeadOffline)?;
    context.capture_screen("accepted without a link")?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    context.expect("no name is shown without a link", !words.contains('欧'), || words.clone());
    sign_out(context.first_kiosk()?)?;
    context.first_kiosk()?.show_code(&code)?;
    let seen = context.first_kiosk()?.wait_for_text(TextId::CodeUsed).map(drop);
    context.report.record_expectation("without a link, one kiosk accepts a code once", seen);
    context.first_kiosk()?.hide_code()?;
    context.second_kiosk()?.show_code(&code)?;
    context.second_kiosk()?.wait_for_text(TextId::MenuLeadOffline)?;
    sign_out(context.second_kiosk()?)?;
    context.rig.platform_link.set_cut(LinkCut::None);
    context.first_kiosk()?.wait_for_text_within(TextId::LinkOnline, CONNECTIVITY_TIMEOUT)?;
    context.second_kiosk()?.wait_for_text_within(TextId::LinkOnline, CONNECTIVITY_TIMEOUT)?;
    let found = context.rig.admin_page_shows("one code was accepted at", CONNECTIVITY_TIMEOUT)?;
    context.expect("the platform finds a code that two kiosks accepted", found, || {
        "the platform did not find it".to_owned()
    });
    Ok(())
}

/// `lost-phone-refused`: no kiosk accepts the codes of a phone that was reported lost.
pub(super) fn lost_phone_refused(context: &mut ScenarioContext) -> Result<()> {
    let phone = PhoneClient::bind(&context.rig, &context.resident("zhang-guiying")?)?;
    sign_in_with_phone(context.first_kiosk()?, &phone)?;
    sign_out(context.first_kiosk()?)?;
    phone.report_lost()?;
    thread::sleep(FEED_INTERVAL);
    context.rig.platform_link.set_cut(LinkCut::Down);
    context.first_kiosk()?.wait_for_text_within(TextId::LinkOffline, CONNECTIVITY_TIMEOUT)?;
    context.first_kiosk()?.show_code(&phone.offline_code()?)?;
    let seen = context.first_kiosk()?.wait_for_text(TextId::CodeRevoked).map(drop);
    context.report.record_expectation("a lost phone is refused without a link, too", seen);
    context.capture_screen("reported lost")?;
    context.first_kiosk()?.hide_code()
}

/// `kiosk-clock-wrong`: a kiosk whose clock is ten minutes behind verifies codes only after it has synchronised with
/// the platform's time.
pub(super) fn kiosk_clock_wrong(context: &mut ScenarioContext) -> Result<()> {
    let phone = PhoneClient::bind(&context.rig, &context.resident("li-yan")?)?;
    context.rig.platform_link.set_cut(LinkCut::Down);
    let kiosk = context.rig.kiosks.first_mut().context("the first kiosk")?;
    kiosk.kill()?;
    kiosk.start_with_clock_offset(-600)?;
    context.first_kiosk()?.wait_for_text_within(TextId::WelcomeTitle, CONNECTIVITY_TIMEOUT)?;
    context.first_kiosk()?.show_code(&phone.offline_code()?)?;
    let seen = context.first_kiosk()?.wait_for_text(TextId::ClockDoubt).map(drop);
    context.report.record_expectation("no code is verified with a wrong clock and without a link", seen);
    context.capture_screen("wrong clock")?;
    context.first_kiosk()?.hide_code()?;
    context.rig.platform_link.set_cut(LinkCut::None);
    context.first_kiosk()?.wait_for_text_within(TextId::LinkOnline, CONNECTIVITY_TIMEOUT)?;
    context.first_kiosk()?.wait_for_text_within(TextId::WelcomeTitle, CONNECTIVITY_TIMEOUT)?;
    let signed_in = sign_in_with_phone(context.first_kiosk()?, &phone).map(drop);
    context.report.record_expectation("codes are verified again once the clock was corrected", signed_in);
    sign_out(context.first_kiosk()?)?;
    let kiosk = context.rig.kiosks.first_mut().context("the first kiosk")?;
    kiosk.kill()?;
    kiosk.start()
}

/// Begins a visit by the code that the phone shows now, and returns that code.
fn sign_in_with_phone(kiosk: &BenchClient, phone: &PhoneClient) -> Result<String> {
    let code = phone.offline_code()?;
    kiosk.show_code(&code)?;
    kiosk.wait_for_text(TextId::MenuTitle).context("a fresh code signs in")?;
    kiosk.hide_code()?;
    Ok(code)
}

/// Ends the visit, and waits until the reader accepts the next code as newly shown.
pub(super) fn sign_out(kiosk: &BenchClient) -> Result<()> {
    kiosk.hide_code()?;
    kiosk.tap_button(TextId::FootExit)?;
    kiosk.wait_for_text(TextId::WelcomeTitle)?;
    thread::sleep(REMOVAL_DELAY);
    Ok(())
}
