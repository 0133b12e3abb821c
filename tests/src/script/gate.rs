//! A gate: one sign, two lights, a buzzer, and no visits.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Stage, codes};
use crate::phone::{Phone, forged};
use crate::proxy::Cut;
use crate::station::Station;

/// Longest duration of the buzzer tones of one verdict.
const HEARD: Duration = Duration::from_millis(1_500);

/// What is presented at the gate.
enum With<'a> {
    Code(&'a str),
    Card(&'a str),
}

/// `gate-admits-once`: a phone is admitted once and refused the second time; a forged code and a cloned card are
/// refused. Without a link the next phone is admitted but no card: this gate has no PSAM that could authenticate it.
pub(super) fn lets_through_once(context: &mut Stage) -> Result<()> {
    let phone = Phone::bind(&context.rig, &context.resident("ran-guangming")?)?;
    let other = Phone::bind(&context.rig, &context.resident("ouyang-xuemei")?)?;
    for (code, words, caption, expected) in [
        (phone.code()?, "请通行", "放行：绿灯，一声长响", (1, 0, 1)),
        (forged()?, "这个码不是渝快办发的", "伪造的码：红灯，三声短响", (0, 1, 3)),
    ] {
        comes(context, &With::Code(&code), words, caption, expected)?;
    }
    for (card, words, caption, expected) in [
        ("wang-jianguo", "请通行", "刷卡：平台验明真卡，放行", (1, 0, 1)),
        ("wang-jianguo", "刚刚已经通行", "同一张卡再来：红灯", (0, 1, 3)),
        ("cloned", "这张卡没有通过验证", "仿制卡：红灯", (0, 1, 3)),
    ] {
        comes(context, &With::Card(card), words, caption, expected)?;
    }
    // Longer than the period in which the gate takes a code for the same presentation.
    thread::sleep(Duration::from_secs(11));
    let again = phone.code()?;
    comes(context, &With::Code(&again), "刚刚已经通行", "同一部手机再来：红灯", (0, 1, 3))?;
    context.rig.platform_link.set(Cut::Down);
    gate(context)?.see_within("未联网", codes::HEARD)?;
    comes(context, &With::Code(&other.code()?), "请通行", "断网照样放行", (1, 0, 1))?;
    comes(context, &With::Card("aguli"), "请改用渝快码", "断网时卡验不了真假：请用码", (0, 1, 3))?;
    context.rig.platform_link.set(Cut::None);
    gate(context)?.see_within("已联网", codes::HEARD).map(drop)
}

fn gate(context: &Stage) -> Result<&Station> {
    let gate = context.rig.kiosks.iter().find(|kiosk| kiosk.site.gate.is_some());
    gate.map(|kiosk| &kiosk.station).context("a gate")
}

/// Presents a code or a card at the gate; expects the text on its sign and how often green light, red light and
/// buzzer were switched on.
fn comes(
    context: &mut Stage,
    with: &With<'_>,
    words: &str,
    caption: &str,
    expected: (u64, u64, u64),
) -> Result<()> {
    let before = gate(context)?.signalled()?;
    match with {
        With::Code(code) => gate(context)?.aim_code(code)?,
        With::Card(card) => gate(context)?.insert(card)?,
    }
    gate(context)?.see(words)?;
    let png = gate(context)?.screen_png()?;
    context.report.picture(caption, &png, false)?;
    thread::sleep(HEARD);
    let after = gate(context)?.signalled()?;
    match with {
        With::Code(_) => gate(context)?.lay_down_code()?,
        With::Card(_) => gate(context)?.take_card()?,
    }
    let signalled = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
    context.expect(caption, signalled == expected, || format!("绿、红、响：{signalled:?}"));
    gate(context)?.see("请亮码").map(drop)
}
