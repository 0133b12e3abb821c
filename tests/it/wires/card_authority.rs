//! Third-generation cards at a whole kiosk without a PSAM: the platform vouches for them.

use std::time::Duration;

use serde_json::Value;
use system_tests::process::wait_until;
use system_tests::rig::{Fitting, Plan, Rig};

use super::alone;

/// Whatever is waited for comes within this time, even on two busy cores.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than the end and the next start of a driver take.
const RESTART: Duration = Duration::from_secs(5);

#[test]
fn the_platform_vouches_for_a_card_and_copies_of_it_are_sent_to_the_desk() {
    alone(
        "wires::card_authority::the_platform_vouches_for_a_card_and_copies_of_it_are_sent_to_the_desk",
        || {
            let place = tempfile::tempdir().unwrap();
            let mut rig = Rig::start(&place.path().join("state")).unwrap();
            let plan =
                Plan { site: "district-hall", screen: None, slot: Some(0), fitting: Fitting::default() };
            let at = rig.add(plan).unwrap();
            let address = format!("http://{}/v1/audit/{}", rig.platform, rig.kiosks[at].site.device);
            let station = &rig.kiosks[at].station;
            station.see_within("已联网", PATIENCE).unwrap();

            station.insert("wang-jianguo").unwrap();
            station.see_within("您想办什么", PATIENCE).unwrap();
            station.take_card().unwrap();
            station.see_within("请选择一种方式开始", PATIENCE).unwrap();

            for copy in ["cloned", "recorded"] {
                station.insert(copy).unwrap();
                station.see_within("这张卡没有通过验证", PATIENCE).unwrap();
                station.take_card().unwrap();
                station.see_within("请选择一种方式开始", PATIENCE).unwrap();
            }
            // A card that says nothing hangs the driver, which the kiosk ends; the next one finds the card held, and
            // says that it cannot be read, until it is taken.
            station.insert("deaf").unwrap();
            station.see_within("读不到卡", PATIENCE).unwrap();
            std::thread::sleep(RESTART);
            assert!(station.shows("读不到卡").unwrap());
            station.take_card().unwrap();
            station.see_within("请选择一种方式开始", PATIENCE).unwrap();
            wait_until("the reader to take cards again", PATIENCE, || {
                station.insert("wang-jianguo")?;
                let read = station.see_within("您想办什么", Duration::from_secs(10));
                station.take_card()?;
                Ok(read.ok())
            })
            .unwrap();

            let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
            wait_until("the records of the visit", PATIENCE, || {
                let export: Value = http.get(&address).send()?.error_for_status()?.json()?;
                let told = export.to_string();
                Ok(told.contains(r#"evidence\":\"card-authenticated"#).then_some(()))
            })
            .unwrap();
        },
    );
}
