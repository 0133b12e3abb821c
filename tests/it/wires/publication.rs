//! Publishing to a running city: nothing is built, and neither the platform nor a kiosk is started anew.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use system_tests::process::wait_until;
use system_tests::rig::{DeviceOptions, KioskPlan, Rig};
use system_tests::screen_text::ScreenText;
use view::TextId;

use super::in_namespace;

/// Timeout for every expected view, sufficient on two busy cores.
const TIMEOUT: Duration = Duration::from_secs(60);

const SERVICE: &str = r#"id = "water.pressure"
version = 1
title = { zh = "停水通知", en = "Water outages" }
hint = { zh = "看看家里会不会停水", en = "When water is off" }
scene = "living"
profiles = ["district-hall", "township-center", "village-point"]
level = "recognised"
offline = "refuse"

[[step]]
do = "query"
id = "asked"
call = "water.outages"
many = true
none = { zh = "近期没有停水安排", en = "No outage is planned" }

[step.answer]
place = { type = "text", zh = "停水范围", en = "Where" }
day = { type = "date", zh = "日期", en = "Day" }

[[step]]
do = "show"
id = "shown"
from = "asked"
title = { zh = "这些地方会停水", en = "Planned outages" }
show = ["place", "day"]
"#;

const OPERATION: &str = r#"
[[operation]]
name = "water.outages"
department = "water"
kind = "query"
answer = { place = "text", day = "date" }
"#;

const DATA: &str = r#"
[[query]]
operation = "water.outages"
fields = ["place", "day"]

[[query.row]]
resident = "zhang-guiying"
values = { place = "花卉园东路", day = "$today+1d" }
"#;

const LICENCE: &str = r#"id = "fishing-permit"
title = { zh = "捕捞许可证", en = "Fishing permit" }
issuer = { zh = "重庆市农业农村委员会", en = "Agriculture Commission" }
trust = "C"
validity = "dated"
watermark = ["purpose"]
[[item]]
name = "boat"
title = { zh = "船号", en = "Boat" }
mask = "number"
"#;

const LICENCE_OPERATION: &str = r#"
[[operation]]
name = "licence.fishing-permit"
department = "licence-library"
kind = "query"
personal = true
answer = { boat = "text", status = "text", since = "date", until = "text" }
"#;

const LICENCE_DATA: &str = r#"
[[query]]
operation = "licence.fishing-permit"
fields = ["boat", "status", "since", "until"]

[[query.row]]
resident = "zhang-guiying"
values = { boat = "渝渔20260318", status = "in-force", since = "2025-01-01", until = "$today+90d" }
"#;

/// The heading of the library's list, and a row more.
const LISTED: &str = r#"fields = ["licence", "status", "since", "until"]

[[query.row]]
resident = "zhang-guiying"
values = { licence = "fishing-permit", status = "in-force", since = "2025-01-01", until = "$today+90d" }
"#;

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// The departments have something new: that is theirs, and not part of the platform.
fn extend_departments(rig: &Rig) {
    let data = rig.files().departments();
    append(&data.join("water.toml"), DATA);
    let library = data.join("licence-library.toml");
    let heading = LISTED.split_once('\n').unwrap().0;
    let text = fs::read_to_string(&library).unwrap();
    let extended = text.replacen(heading, LISTED, 1) + LICENCE_DATA;
    fs::write(library, extended).unwrap();
    rig.restart_departments().unwrap();
}

fn sign_in(rig: &Rig) {
    let bench = &rig.kiosks[0].bench;
    bench.show_code(&bench.fresh_code("zhang-guiying").unwrap()).unwrap();
    bench.wait_for_text_within(TextId::MenuTitle, TIMEOUT).unwrap();
    bench.hide_code().unwrap();
}

fn leave(rig: &Rig) {
    let bench = &rig.kiosks[0].bench;
    bench.tap_button(TextId::FootExit).unwrap();
    bench.wait_for_text_within(TextId::WelcomeTitle, TIMEOUT).unwrap();
}

#[test]
fn new_documents_reach_a_running_city() {
    in_namespace("wires::publication::new_documents_reach_a_running_city", || {
        let place = tempfile::tempdir().unwrap();
        let mut rig = Rig::start(&place.path().join("state")).unwrap();
        let devices = DeviceOptions::default();
        let plan = KioskPlan { site: "district-hall", screen: None, slot: None, devices };
        rig.add_kiosk(plan).unwrap();
        let bench = &rig.kiosks[0].bench;
        bench.wait_for_text_within(TextId::LinkOnline, TIMEOUT).unwrap();
        let processes = || (rig.kiosks[0].process_id(), rig.platform_process_id().unwrap());
        let before = processes();
        extend_departments(&rig);

        // A publication with a mistake changes nothing, and operators see why.
        let own = rig.files().publication();
        let good = fs::read_to_string(&own).unwrap();
        fs::write(&own, good.replacen("水费", "电费", 1)).unwrap();
        wait_until("the incident", TIMEOUT, || {
            let page = format!("http://{}/admin", rig.platform);
            let page = reqwest::blocking::get(page)?.text()?;
            Ok(page.contains("signature does not verify").then_some(()))
        })
        .unwrap();
        fs::write(&own, good).unwrap();

        fs::write(rig.files().services().join("water-pressure.toml"), SERVICE).unwrap();
        append(&rig.files().operations().join("water.toml"), OPERATION);
        append(&rig.files().operations().join("licence-library.toml"), LICENCE_OPERATION);
        fs::write(rig.files().licences().join("fishing-permit.toml"), LICENCE).unwrap();
        assert!(rig.files().publish().unwrap().contains("1 services new, 0 changed, 0 withdrawn"));

        // The kiosk asks for what is new every fifteen seconds.
        wait_until("the new service in the menu", TIMEOUT, || {
            sign_in(&rig);
            let opened = bench.open_service_titled("停水通知", "water.pay").is_ok();
            if !opened {
                leave(&rig);
            }
            Ok(opened.then_some(()))
        })
        .unwrap();
        bench.wait_for_text_within(ScreenText::data("花卉园东路"), TIMEOUT).unwrap();
        bench.tap_button(TextId::FootHome).unwrap();
        bench.open_service("licence.mine").unwrap();
        bench.tap_button(TextId::ConsentAgree).unwrap();
        bench.wait_for_text_within(ScreenText::data("捕捞许可证"), TIMEOUT).unwrap();
        leave(&rig);
        assert_eq!(processes(), before, "nothing was started anew");

        let figures = format!("http://{}/admin/departments", rig.platform);
        let figures: Value = reqwest::blocking::get(figures).unwrap().json().unwrap();
        let water = figures.as_array().unwrap().iter().find(|one| one["department"] == "water").unwrap();
        assert!(water["answered"].as_u64() >= Some(1), "{water}");
    });
}
