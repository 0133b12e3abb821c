//! A gate: one sign, two lights, a buzzer, and nobody at a screen.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Stage, codes};
use crate::phone::{Phone, forged};
use crate::proxy::Cut;
use crate::station::Station;

/// A verdict's tones are over by then.
const HEARD: Duration = Duration::from_millis(1_500);

/// 戌: in once; the same phone again is turned away, a forged code too; the next one goes in without a link.
pub(super) fn lets_through_once(stage: &mut Stage) -> Result<()> {
    let phone = Phone::bind(&stage.rig, &stage.resident("ran-guangming")?)?;
    let other = Phone::bind(&stage.rig, &stage.resident("ouyang-xuemei")?)?;
    for (code, words, caption, expected) in [
        (phone.code()?, "请通行", "放行：绿灯，一声长响", (1, 0, 1)),
        (forged()?, "这个码不是渝快办发的", "伪造的码：红灯，三声短响", (0, 1, 3)),
    ] {
        shows(stage, &code, words, caption, expected)?;
    }
    // What the gate takes for the same phone still held there is over.
    thread::sleep(Duration::from_secs(11));
    shows(stage, &phone.code()?, "刚刚已经通行", "同一部手机再来：红灯", (0, 1, 3))?;
    stage.rig.platform_link.set(Cut::Down);
    gate(stage)?.see_within("未联网", codes::HEARD)?;
    shows(stage, &other.code()?, "请通行", "断网照样放行", (1, 0, 1))?;
    stage.rig.platform_link.set(Cut::None);
    gate(stage)?.see_within("已联网", codes::HEARD).map(drop)
}

fn gate(stage: &Stage) -> Result<&Station> {
    let gate = stage.rig.kiosks.iter().find(|kiosk| kiosk.site.gate.is_some());
    gate.map(|kiosk| &kiosk.station).context("a gate")
}

/// A code before the gate, the sign that comes, and how often green, red and buzzer were on for it.
fn shows(stage: &mut Stage, code: &str, words: &str, caption: &str, expected: (u64, u64, u64)) -> Result<()> {
    let before = gate(stage)?.signalled()?;
    gate(stage)?.aim_code(code)?;
    gate(stage)?.see(words)?;
    let png = gate(stage)?.screen_png()?;
    stage.report.picture(caption, &png, false)?;
    thread::sleep(HEARD);
    let after = gate(stage)?.signalled()?;
    gate(stage)?.lay_down_code()?;
    let signalled = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
    stage.expect(caption, signalled == expected, || format!("绿、红、响：{signalled:?}"));
    gate(stage)?.see("请亮码").map(drop)
}
