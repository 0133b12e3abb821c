//! Visits that begin with an ID card on the ID reader.

use std::time::Duration;

use anyhow::Result;
use view::TextId;

use super::ScenarioContext;
use crate::screen_text::ScreenText;

/// Time in which the driver notices that the ID reader holds no card. The screen does not show it.
const REMOVAL_DELAY: Duration = Duration::from_secs(3);
/// Time in which a reader that was connected again is offered.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// `id-card-sign-in`: an ID card begins a visit; each kind of failed reading has its own message; the reader is
/// disconnected and connected again.
pub(super) fn id_card_sign_in(context: &mut ScenarioContext) -> Result<()> {
    context.first_kiosk()?.wait_for_text(TextId::WayIdCardTitle)?;
    context.capture_screen("welcome view with three ways to begin")?;
    place_card(context, "li-yan")?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle)?;
    context.capture_screen("with an ID card on the reader")?;
    let words = context.first_kiosk()?.visible_texts()?.join(" ");
    let masked = words.contains("李*") && !words.contains("李䶮");
    context.expect("only the masked name is shown", masked, || words.clone());
    context.first_kiosk()?.open_service("medical.balance")?;
    context.first_kiosk()?.wait_for_text(ScreenText::data("¥"))?;
    context.first_kiosk()?.tap_button(TextId::SheetDone)?;
    context.first_kiosk()?.tap_button(TextId::FootExit)?;
    context.first_kiosk()?.wait_for_text(TextId::TakeIdCardTitle)?;
    context.capture_screen("reminder to take the ID card")?;
    context.first_kiosk()?.tap_button(TextId::Finish)?;
    context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    // The card stays on the reader: no second visit begins.
    std::thread::sleep(REMOVAL_DELAY);
    let words = context.first_kiosk()?.visible_texts()?;
    let welcome = context.first_kiosk()?.pattern(TextId::WelcomeTitle)?.matches_any(&words);
    let signed_in = words.iter().any(|word| word.contains('李'));
    context.expect("an ID card left on the reader does not sign in again", welcome && !signed_in, || {
        words.join(" ")
    });

    for (card, fault, words) in [
        ("foreign", None, TextId::IdCardForeign),
        ("expired", None, TextId::IdCardExpired),
        ("wrong-number", None, TextId::IdCardDamaged),
        ("zhang-guiying", Some("id-card-lifted"), TextId::IdCardUnread),
        ("zhang-guiying", Some("id-reader-read-garbage"), TextId::IdCardUnread),
    ] {
        if let Some(fault) = fault {
            context.first_kiosk()?.set_fault(fault, true)?;
        }
        place_card(context, card)?;
        let seen = context.first_kiosk()?.wait_for_text_within(words, RECOVERY_TIMEOUT).map(drop);
        let words = context.first_kiosk()?.pattern(words)?.to_string();
        context.report.record_expectation(&format!("{}：{words}", fault.unwrap_or(card)), seen);
        context.capture_screen(&words)?;
        if let Some(fault) = fault {
            context.first_kiosk()?.set_fault(fault, false)?;
        }
        context.first_kiosk()?.tap_button(TextId::BackToMenu)?;
        context.first_kiosk()?.wait_for_text(TextId::WelcomeTitle)?;
    }
    place_card(context, "zhang-guiying")?;
    context.first_kiosk()?.wait_for_text_within(TextId::MenuTitle, RECOVERY_TIMEOUT)?;
    context.first_kiosk()?.tap_button(TextId::FootExit)?;
    context.first_kiosk()?.tap_button(TextId::Finish)?;

    context.first_kiosk()?.set_fault("id-reader-unplugged", true)?;
    context.first_kiosk()?.wait_for_text_within(TextId::WayBroken, RECOVERY_TIMEOUT)?;
    context.capture_screen("ID reader disconnected")?;
    context.first_kiosk()?.set_fault("id-reader-unplugged", false)?;
    context.first_kiosk()?.wait_for_text_within(TextId::WayIdCardDetail, RECOVERY_TIMEOUT)?;
    place_card(context, "zhang-guiying")?;
    context.first_kiosk()?.wait_for_text(TextId::MenuTitle)?;
    context.first_kiosk()?.tap_button(TextId::FootExit)?;
    Ok(())
}

/// Removes any card, waits until the driver has noticed, and places this card on the ID reader.
fn place_card(context: &ScenarioContext, card: &str) -> Result<()> {
    context.first_kiosk()?.remove_id_card()?;
    std::thread::sleep(REMOVAL_DELAY);
    context.first_kiosk()?.place_id_card(card)
}
