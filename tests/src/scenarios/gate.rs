//! A gate: one sign, two lights, a buzzer, and no visits.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use view::TextId;

use super::{CONNECTIVITY_TIMEOUT, ScenarioContext};
use crate::bench_client::BenchClient;
use crate::link_proxy::LinkCut;
use crate::phone_client::{PhoneClient, forged_code};

/// Longer than the period in which the gate takes a code for the same presentation. Nothing shows its end.
const SAME_PRESENTATION: Duration = Duration::from_secs(11);
/// Longest duration of the buzzer tones of one verdict. A tone too many comes at its end, so that it is waited for.
const SIGNAL_DURATION: Duration = Duration::from_millis(1_500);

/// What is presented at the gate.
enum GateCredential<'a> {
    Code(&'a str),
    Card(&'a str),
}

/// `gate-admits-once`: a phone is admitted once and refused the second time; a forged code and a cloned card are
/// refused. Without a link the next phone is admitted but no card: this gate has no PSAM that could authenticate it.
pub(super) fn gate_admits_once(context: &mut ScenarioContext) -> Result<()> {
    let phone = PhoneClient::bind(&context.rig, &context.resident("ran-guangming")?)?;
    let other = PhoneClient::bind(&context.rig, &context.resident("ouyang-xuemei")?)?;
    for (code, words, caption, expected) in [
        (phone.offline_code()?, TextId::GateGo, "admitted: green light, one long beep", (1, 0, 1)),
        (forged_code()?, TextId::CodeUnknown, "forged code: red light, three short beeps", (0, 1, 3)),
    ] {
        present_credential(context, &GateCredential::Code(&code), words, caption, expected)?;
    }
    for (card, words, caption, expected) in [
        ("wang-jianguo", TextId::GateGo, "card authenticated by the platform: admitted", (1, 0, 1)),
        ("wang-jianguo", TextId::GatePassback, "the same card again: red light", (0, 1, 3)),
        ("cloned", TextId::CardUnproven, "copied card: red light", (0, 1, 3)),
    ] {
        present_credential(context, &GateCredential::Card(card), words, caption, expected)?;
    }
    thread::sleep(SAME_PRESENTATION);
    let again = phone.offline_code()?;
    present_credential(
        context,
        &GateCredential::Code(&again),
        TextId::GatePassback,
        "the same phone again: red light",
        (0, 1, 3),
    )?;
    context.rig.platform_link.set_cut(LinkCut::Down);
    gate_bench(context)?.wait_for_text_within(TextId::LinkOffline, CONNECTIVITY_TIMEOUT)?;
    present_credential(
        context,
        &GateCredential::Code(&other.offline_code()?),
        TextId::GateGo,
        "admitted without a link",
        (1, 0, 1),
    )?;
    present_credential(
        context,
        &GateCredential::Card("aguli"),
        TextId::GateCardOffline,
        "without a link no card can be authenticated: use a code",
        (0, 1, 3),
    )?;
    context.rig.platform_link.set_cut(LinkCut::None);
    gate_bench(context)?.wait_for_text_within(TextId::LinkOnline, CONNECTIVITY_TIMEOUT).map(drop)
}

fn gate_bench(context: &ScenarioContext) -> Result<&BenchClient> {
    let gate = context.rig.kiosks.iter().find(|kiosk| kiosk.site.gate.is_some());
    gate.map(|kiosk| &kiosk.bench).context("a gate")
}

/// Presents a code or a card at the gate; expects the text on its sign and how often green light, red light and
/// buzzer were switched on.
fn present_credential(
    context: &mut ScenarioContext,
    with: &GateCredential<'_>,
    words: TextId,
    caption: &str,
    expected: (u64, u64, u64),
) -> Result<()> {
    let before = gate_bench(context)?.relay_close_counts()?;
    match with {
        GateCredential::Code(code) => gate_bench(context)?.show_code_to_scanner(code)?,
        GateCredential::Card(card) => gate_bench(context)?.insert_card(card)?,
    }
    gate_bench(context)?.wait_for_text(words)?;
    let png = gate_bench(context)?.screen_png()?;
    context.report.add_picture(caption, &png, false)?;
    thread::sleep(SIGNAL_DURATION);
    let after = gate_bench(context)?.relay_close_counts()?;
    match with {
        GateCredential::Code(_) => gate_bench(context)?.hide_code_from_scanner()?,
        GateCredential::Card(_) => gate_bench(context)?.remove_card()?,
    }
    let signalled = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
    context.expect(caption, signalled == expected, || format!("green, red, beeps: {signalled:?}"));
    gate_bench(context)?.wait_for_text(TextId::GateReady).map(drop)
}
