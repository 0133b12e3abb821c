//! Third-generation cards at a complete kiosk without a PSAM: the platform authenticates them.

use std::time::Duration;

use serde_json::Value;
use system_tests::process::wait_until;
use system_tests::rig::{DeviceOptions, KioskPlan, Rig};
use view::TextId;

use super::in_namespace;

/// Timeout for every expected view or record, sufficient on two busy cores.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longer than a driver takes to be ended and started again.
const RESTART: Duration = Duration::from_secs(5);

#[test]
fn platform_authenticates_card_and_refuses_copies() {
    in_namespace("wires::card_authority::platform_authenticates_card_and_refuses_copies", || {
        let place = tempfile::tempdir().unwrap();
        let mut rig = Rig::start(&place.path().join("state")).unwrap();
        let plan = KioskPlan {
            site: "district-hall",
            screen: None,
            slot: Some(0),
            devices: DeviceOptions::default(),
        };
        let at = rig.add_kiosk(plan).unwrap();
        let address = format!("http://{}/v1/audit/{}", rig.platform, rig.kiosks[at].site.device);
        let station = &rig.kiosks[at].bench;
        station.wait_for_text_within(TextId::LinkOnline, TIMEOUT).unwrap();

        station.insert_card("wang-jianguo").unwrap();
        station.wait_for_text_within(TextId::MenuTitle, TIMEOUT).unwrap();
        station.remove_card().unwrap();
        station.wait_for_text_within(TextId::WelcomeTitle, TIMEOUT).unwrap();

        for copy in ["cloned", "recorded"] {
            station.insert_card(copy).unwrap();
            station.wait_for_text_within(TextId::CardUnproven, TIMEOUT).unwrap();
            station.remove_card().unwrap();
            station.wait_for_text_within(TextId::WelcomeTitle, TIMEOUT).unwrap();
        }
        // A card that does not respond blocks the driver, and the kiosk ends its process; the next process finds the
        // card in the slot and reports it as unreadable until it is removed.
        station.insert_card("deaf").unwrap();
        station.wait_for_text_within(TextId::CardMute, TIMEOUT).unwrap();
        std::thread::sleep(RESTART);
        assert!(station.shows_text(TextId::CardMute).unwrap());
        station.remove_card().unwrap();
        station.wait_for_text_within(TextId::WelcomeTitle, TIMEOUT).unwrap();
        wait_until("the reader to read cards again", TIMEOUT, || {
            station.insert_card("wang-jianguo")?;
            let read = station.wait_for_text_within(TextId::MenuTitle, Duration::from_secs(10));
            station.remove_card()?;
            Ok(read.ok())
        })
        .unwrap();

        let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        wait_until("the records of the visit", TIMEOUT, || {
            let export: Value = http.get(&address).send()?.error_for_status()?.json()?;
            let text = export.to_string();
            Ok(text.contains(r#"evidence\":\"card-authenticated"#).then_some(()))
        })
        .unwrap();
    });
}
