//! Checks that every test named in `SECURITY.md` exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Collects the names of the test functions under a directory.
fn tests_under(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_under(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for (_, after) in text.split("#[test]").map(|part| part.split_once("fn ").unwrap_or_default()) {
                found.extend(after.split_once('(').map(|(name, _)| name.to_owned()));
            }
        }
    }
}

#[test]
fn every_test_that_security_md_names_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    for place in [
        "src",
        "tests",
        "../contract/src",
        "../server/src",
        "../server/tests",
        "../sandbox/src",
        "../../kiosk-app/session/tests",
        "../../provisioning/provision/src",
    ] {
        tests_under(&here.join(place), &mut tests);
    }
    let text = fs::read_to_string(here.join("SECURITY.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 12);
    for row in rows {
        let shown_by = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
        let names: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty() || shown_by.starts_with("no test"), "no test named in row: {row}");
        for name in names {
            assert!(tests.contains(name), "SECURITY.md names `{name}`, but no such test exists");
        }
    }
}
