//! Cards at a complete gate: with and without a link, and after a revocation.

use std::time::Duration;

use serde_json::Value;
use system_tests::link_proxy::LinkCut;
use system_tests::process::wait_until;
use system_tests::rig::{DeviceOptions, KioskPlan, Rig};
use view::TextId;

use super::in_namespace;

/// Timeout for every expected view or record, sufficient on two busy cores.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longer than the polling interval of the feed, 15 s.
const FEED_INTERVAL: Duration = Duration::from_secs(20);
/// 卡号 of 王建国's card.
const NUMBER: &str = "A10000026";

#[test]
fn gate_admits_authentic_cards_and_refuses_revoked() {
    in_namespace("wires::gate::gate_admits_authentic_cards_and_refuses_revoked", || {
        let place = tempfile::tempdir().unwrap();
        let mut rig = Rig::start(&place.path().join("state")).unwrap();
        let fitting = DeviceOptions { scanner: true, psam: true, ..DeviceOptions::default() };
        let at =
            rig.add_kiosk(KioskPlan { site: "gate", screen: None, slot: Some(0), devices: fitting }).unwrap();
        let records = format!("http://{}/v1/audit/{}", rig.platform, rig.kiosks[at].site.device);
        let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let wait_for_record = |words: &str| {
            wait_until("the gate's records", TIMEOUT, || {
                let export: Value = http.get(&records).send()?.error_for_status()?.json()?;
                Ok(export.to_string().contains(words).then_some(()))
            })
            .unwrap();
        };
        let tap = |rig: &Rig, card: &str, verdict: TextId| {
            let station = &rig.kiosks[at].bench;
            station.insert_card(card).unwrap();
            station.wait_for_text_within(verdict, TIMEOUT).unwrap();
            station.remove_card().unwrap();
            station.wait_for_text_within(TextId::GateReady, TIMEOUT).unwrap();
        };
        let link = |rig: &Rig, cut: LinkCut, status: TextId| {
            rig.platform_link.set_cut(cut);
            rig.kiosks[at].bench.wait_for_text_within(status, TIMEOUT).unwrap();
        };
        link(&rig, LinkCut::None, TextId::LinkOnline);

        tap(&rig, "aguli", TextId::GateGo);
        tap(&rig, "aguli", TextId::GatePassback);
        tap(&rig, "cloned", TextId::CardUnproven);

        link(&rig, LinkCut::Down, TextId::LinkOffline);
        tap(&rig, "wang-jianguo", TextId::GateGo);
        tap(&rig, "wang-jianguo", TextId::GatePassback);
        // A card of an older generation cannot be authenticated.
        tap(&rig, "zhang-guiying", TextId::GateCardOffline);
        link(&rig, LinkCut::None, TextId::LinkOnline);
        wait_for_record(r#"\"who\":{\"card\""#);

        rig.change_card_status("lose", NUMBER).unwrap();
        std::thread::sleep(FEED_INTERVAL);
        link(&rig, LinkCut::Down, TextId::LinkOffline);
        tap(&rig, "wang-jianguo", TextId::CardStopped);
        link(&rig, LinkCut::None, TextId::LinkOnline);
    });
}
