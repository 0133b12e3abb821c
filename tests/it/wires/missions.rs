//! The missions of the bench at a complete kiosk, asked for as the bench page does.

use std::time::Duration;

use emulator::rig_control::RigRequest;
use serde_json::Value;
use system_tests::process::wait_until;
use system_tests::rig::{DeviceOptions, KioskPlan, Rig};
use system_tests::screen_text::ScreenText;
use view::TextId;

use super::in_namespace;

/// Timeout for every expected view or record, sufficient on two busy cores.
const TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn missions_end_as_the_bench_page_says() {
    in_namespace("wires::missions::missions_end_as_the_bench_page_says", || {
        let place = tempfile::tempdir().unwrap();
        let mut rig = Rig::start(&place.path().join("state")).unwrap();
        let devices = DeviceOptions::default();
        let plan = KioskPlan { site: "district-hall", screen: None, slot: Some(0), devices };
        rig.add_kiosk(plan).unwrap();
        rig.kiosks[0].bench.wait_for_text_within(TextId::LinkOnline, TIMEOUT).unwrap();
        power_cut_leaves_one_charge_in_all_ledgers(&rig);
        forged_code_is_refused(&rig);
        altered_log_is_rejected(&rig);
        changed_title_reaches_the_menu(&rig);
    });
}

fn sign_in(rig: &Rig, resident: &str) {
    let bench = &rig.kiosks[0].bench;
    bench.show_code(&bench.fresh_code(resident).unwrap()).unwrap();
    bench.wait_for_text_within(TextId::MenuTitle, TIMEOUT).unwrap();
    bench.hide_code().unwrap();
}

fn power_cut_leaves_one_charge_in_all_ledgers(rig: &Rig) {
    let bench = &rig.kiosks[0].bench;
    sign_in(rig, "zhang-guiying");
    bench.tap_button(ScreenText::Service("water.pay")).unwrap();
    bench.wait_for_text_within(ScreenText::Step("water.pay", "picked"), TIMEOUT).unwrap();
    bench.choose_first_row().unwrap();
    bench.tap_button(TextId::RowsGo).unwrap();
    bench.wait_for_text_within(TextId::ConfirmTitle, TIMEOUT).unwrap();
    let before = rig.kiosks[0].process_id();
    bench.ask_rig(&RigRequest::CutPowerAtCharge).unwrap();
    bench.tap_button(TextId::ConfirmGo).unwrap();
    let power = wait_until("the power cut", TIMEOUT, || {
        let status = bench.ask_rig(&RigRequest::Status)?;
        Ok((status["power"]["stage"] == "restarted").then(|| status["power"].clone()))
    });
    let power = power.unwrap();
    assert_ne!(rig.kiosks[0].process_id(), before);
    let ledgers = wait_until("the ledgers to agree", TIMEOUT, || {
        let ledgers = bench.ask_rig(&RigRequest::Ledgers)?;
        Ok((ledgers["rows"][0]["agreement"] == "agree").then_some(ledgers))
    });
    let ledgers = ledgers.unwrap();
    let row = &ledgers["rows"][0];
    assert_eq!(row["order"], power["order"]);
    for ledger in ["kiosk", "platform", "acquirer"] {
        assert_eq!(row[ledger]["state"], "paid", "{ledger}: {row}");
    }
    assert_eq!(
        (ledgers["rows"].as_array().unwrap().len(), &ledgers["charged_twice"]),
        (1, &Value::Array(vec![]))
    );
    bench.wait_for_text_within(TextId::WelcomeTitle, TIMEOUT).unwrap();
    bench.wait_for_text_within(TextId::LinkOnline, TIMEOUT).unwrap();
}

fn forged_code_is_refused(rig: &Rig) {
    let bench = &rig.kiosks[0].bench;
    bench.show_forged_code("ran-guangming").unwrap();
    bench.wait_for_text_within(TextId::CodeUnknown, TIMEOUT).unwrap();
    let status = bench.ask_rig(&RigRequest::Status).unwrap();
    assert!(status["text_ids"].as_array().unwrap().contains(&"code.unknown".into()), "{status}");
    bench.hide_code().unwrap();
    bench.wait_for_text_within(TextId::WelcomeTitle, TIMEOUT).unwrap();
}

fn altered_log_is_rejected(rig: &Rig) {
    let bench = &rig.kiosks[0].bench;
    let log = bench.ask_rig(&RigRequest::Log).unwrap();
    let paid = log.as_array().unwrap().iter().find(|record| record["kind"] == "payment-intended").unwrap();
    let index = |field: &str| usize::try_from(paid[field].as_u64().unwrap()).unwrap();
    let byte = paid["body"].as_str().unwrap().find("\"total\":").unwrap() + 8;
    let request = RigRequest::AlterLog { epoch: index("epoch"), record: index("record"), byte };
    let verdicts = bench.ask_rig(&request).unwrap();
    assert_eq!(
        (&verdicts["original"]["accepted"], &verdicts["altered"]["accepted"]),
        (&true.into(), &false.into())
    );
    assert!(
        verdicts["original"]["output"].as_str().unwrap().contains("complete and unchanged"),
        "{verdicts}"
    );
    assert!(verdicts["altered"]["output"].as_str().unwrap().contains("epoch"), "{verdicts}");
}

fn changed_title_reaches_the_menu(rig: &Rig) {
    let bench = &rig.kiosks[0].bench;
    let change = |zh: &str| RigRequest::ChangeTitle {
        service: "medical.balance".to_owned(),
        zh: zh.to_owned(),
        en: "What is left".to_owned(),
    };
    assert!(bench.ask_rig(&change("")).is_err());
    let changed = bench.ask_rig(&change("医保还剩多少")).unwrap();
    assert_eq!(changed["version"], 2);
    wait_until("the new title in the menu", TIMEOUT, || {
        sign_in(rig, "ran-guangming");
        let seen = bench.shows_text(ScreenText::data("医保还剩多少"))?;
        bench.tap_button(TextId::FootExit)?;
        bench.wait_for_text_within(TextId::WelcomeTitle, TIMEOUT)?;
        Ok(seen.then_some(()))
    })
    .unwrap();
    assert_eq!(bench.ask_rig(&change("医保还剩多少了")).unwrap()["version"], 3);
}
