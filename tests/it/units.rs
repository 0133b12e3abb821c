//! The systemd units, checked with systemd's own tools.

use std::fs;
use std::process::Command;

use system_tests::process::programs_directory;
use system_tests::repository::repository;

/// A root directory with the units and the programs at their installed paths.
fn staged() -> tempfile::TempDir {
    let stage = tempfile::tempdir().unwrap();
    let units = stage.path().join("etc/systemd/system");
    fs::create_dir_all(&units).unwrap();
    for entry in fs::read_dir(repository().join("systemd/system")).unwrap().flatten() {
        fs::copy(entry.path(), units.join(entry.file_name())).unwrap();
    }
    fs::create_dir_all(stage.path().join("usr/lib/kiosk")).unwrap();
    for program in ["kiosk", "kiosk-device"] {
        fs::copy(
            programs_directory().unwrap().join(program),
            stage.path().join("usr/lib/kiosk").join(program),
        )
        .unwrap();
    }
    // The targets that the unit names are copied from this machine's systemd.
    let lib = stage.path().join("usr/lib/systemd/system");
    fs::create_dir_all(&lib).unwrap();
    for entry in fs::read_dir("/lib/systemd/system").unwrap().flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), lib.join(entry.file_name())).unwrap();
        }
    }
    stage
}

#[test]
fn systemd_accepts_the_unit() {
    let stage = staged();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no", "--root"])
        .arg(stage.path())
        .arg("kiosk.service")
        .output()
        .expect("systemd-analyze, from Debian's systemd");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = stderr.lines().filter(|line| line.contains("kiosk")).collect();
    assert!(output.status.success() && ours.is_empty(), "{stderr}");
}

#[test]
fn unit_has_an_exposure_level_of_at_most_2_5() {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=25", "--no-pager"])
        .arg(repository().join("systemd/system/kiosk.service"))
        .output()
        .expect("systemd-analyze, from Debian's systemd");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
