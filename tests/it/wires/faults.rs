//! A sample of the faults against the running kiosk; `cargo xtask faults` tries all, and times them.

use system_tests::faults;

use super::{alone, repository};

#[test]
fn a_sample_of_faults_is_told_let_go_of_and_over_when_it_is_mended() {
    alone("wires::faults::a_sample_of_faults_is_told_let_go_of_and_over_when_it_is_mended", || {
        let place = tempfile::tempdir().unwrap();
        let sample = ["camera-frame-disconnection"];
        let only = sample.map(str::to_owned);
        let (state, page) = (place.path().join("state"), place.path().join("page"));
        let table = faults::run(&state, &page, &repository(), &only).unwrap();
        assert_eq!(table.tried(), sample.len());
        assert_eq!(table.wrong(), Vec::<String>::new(), "{table}");
    });
}
