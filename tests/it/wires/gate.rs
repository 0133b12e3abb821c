//! Cards at a whole gate: with a link and without one, lost and found.

use std::time::Duration;

use serde_json::Value;
use system_tests::process::wait_until;
use system_tests::proxy::Cut;
use system_tests::rig::{Fitting, Plan, Rig};

use super::alone;

/// Whatever is waited for comes within this time, even on two busy cores.
const PATIENCE: Duration = Duration::from_secs(60);
/// A kiosk that has a link asks every 15 s what is new.
const HEARS: Duration = Duration::from_secs(20);
/// 卡号 of 王建国's card.
const NUMBER: &str = "A10000026";

#[test]
fn a_gate_lets_through_cards_that_prove_themselves_also_without_a_link_and_none_that_was_lost() {
    alone(
        "wires::gate::a_gate_lets_through_cards_that_prove_themselves_also_without_a_link_and_none_that_was_lost",
        || {
            let place = tempfile::tempdir().unwrap();
            let mut rig = Rig::start(&place.path().join("state")).unwrap();
            let fitting = Fitting { scanner: true, psam: true, ..Fitting::default() };
            let at = rig.add(Plan { site: "gate", screen: None, slot: Some(0), fitting }).unwrap();
            let records = format!("http://{}/v1/audit/{}", rig.platform, rig.kiosks[at].site.device);
            let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
            let told = |words: &str| {
                wait_until("the gate's records", PATIENCE, || {
                    let export: Value = http.get(&records).send()?.error_for_status()?.json()?;
                    Ok(export.to_string().contains(words).then_some(()))
                })
                .unwrap();
            };
            let tap = |rig: &Rig, card: &str, sign: &str| {
                let station = &rig.kiosks[at].station;
                station.insert(card).unwrap();
                station.see_within(sign, PATIENCE).unwrap();
                station.take_card().unwrap();
                station.see_within("请亮码", PATIENCE).unwrap();
            };
            let link = |rig: &Rig, cut: Cut, says: &str| {
                rig.platform_link.set(cut);
                rig.kiosks[at].station.see_within(says, PATIENCE).unwrap();
            };
            link(&rig, Cut::None, "已联网");

            tap(&rig, "aguli", "请通行");
            tap(&rig, "aguli", "刚刚已经通行");
            tap(&rig, "cloned", "没有通过验证");

            link(&rig, Cut::Down, "未联网");
            tap(&rig, "wang-jianguo", "请通行");
            tap(&rig, "wang-jianguo", "刚刚已经通行");
            // An older card cannot prove that it is no copy.
            tap(&rig, "zhang-guiying", "请改用渝快码");
            link(&rig, Cut::None, "已联网");
            told(r#"\"who\":{\"card\""#);

            rig.at_desk("lose", NUMBER).unwrap();
            std::thread::sleep(HEARS);
            link(&rig, Cut::Down, "未联网");
            tap(&rig, "wang-jianguo", "已挂失或停用");
            link(&rig, Cut::None, "已联网");
        },
    );
}
