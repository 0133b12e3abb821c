//! One fault scenario against the running kiosk; `cargo xtask faults` runs all of them and measures their times.

use system_tests::faults;

use super::{in_namespace, repository};

#[test]
fn fault_scenario_is_reported_and_recovers() {
    in_namespace("wires::faults::fault_scenario_is_reported_and_recovers", || {
        let place = tempfile::tempdir().unwrap();
        let sample = ["camera-frame-disconnection"];
        let only = sample.map(str::to_owned);
        let (state, page) = (place.path().join("state"), place.path().join("page"));
        let table = faults::run(&state, &page, &repository(), &only).unwrap();
        assert_eq!(table.count(), sample.len());
        assert_eq!(table.errors(), Vec::<String>::new(), "{table}");
    });
}
