//! The rules of the house, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each may depend on (the architecture's table).
const MAY: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("resident-code", &[]),
    ("view", &[]),
    ("card", &[]),
    ("code-reader", &[]),
    ("id-reader", &[]),
    ("printer", &[]),
    ("device", &["card", "code-reader", "id-reader", "printer"]),
    ("virtual", &["contract"]),
    ("session", &["contract", "resident-code", "view"]),
    ("journal", &["contract"]),
    ("sync", &["contract"]),
    ("engine", &["contract", "session", "journal", "sync", "view"]),
    ("screen", &["view"]),
    (
        "app",
        &[
            "contract",
            "resident-code",
            "view",
            "session",
            "journal",
            "sync",
            "engine",
            "screen",
            "device",
            "card",
            "code-reader",
            "id-reader",
            "printer",
        ],
    ),
    ("server", &["contract", "resident-code"]),
    ("provision", &["contract", "resident-code"]),
    ("xtask", &[]),
    ("acquirer", &[]),
    ("department", &[]),
    ("identity", &[]),
    ("system-tests", &["contract", "device", "resident-code", "virtual"]),
];

/// Crates that stay free of a runtime, a web framework and the screen, however deep.
const PURE: &[&str] = &["contract", "resident-code", "view", "session", "journal", "sync", "engine"];
const NOT_IN_PURE: &[&str] = &["tokio", "axum", "hyper", "reqwest", "slint", "rusqlite"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn metadata() -> Value {
    // For this platform alone: what only others need was never downloaded on a fresh machine.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &platform])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Normal dependencies between our crates, by name.
fn own_dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: Vec<&Value> =
        packages.iter().filter(|package| members.contains(package["id"].as_str().unwrap())).collect();
    let names: BTreeSet<&str> = ours.iter().map(|package| package["name"].as_str().unwrap()).collect();
    ours.iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let own = dependencies
                .filter(|one| one["kind"].is_null())
                .map(|one| one["name"].as_str().unwrap())
                .filter(|name| names.contains(name))
                .map(str::to_owned);
            (package["name"].as_str().unwrap().to_owned(), own.collect())
        })
        .collect()
}

#[test]
fn crates_depend_only_on_what_the_architecture_allows() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        MAY.iter().map(|(name, may)| (*name, may.iter().copied().collect())).collect();
    for (name, dependencies) in own_dependencies(&metadata()) {
        let may = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the table"));
        for one in dependencies {
            assert!(may.contains(one.as_str()), "{name} may not depend on {one}");
        }
    }
}

#[test]
fn what_must_stay_pure_reaches_no_runtime() {
    let metadata = metadata();
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let edges: BTreeMap<&str, Vec<&str>> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            let normal =
                node["deps"].as_array().unwrap().iter().filter(|dep| {
                    dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
                });
            (node["id"].as_str().unwrap(), normal.map(|dep| dep["pkg"].as_str().unwrap()).collect())
        })
        .collect();
    for pure in PURE {
        let start = names.iter().find(|(_, name)| *name == pure).map(|(id, _)| *id).unwrap();
        let (mut todo, mut seen) = (vec![start], BTreeSet::new());
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                assert!(!NOT_IN_PURE.contains(&names[id]), "{pure} reaches {}", names[id]);
                todo.extend(&edges[id]);
            }
        }
    }
}

#[test]
fn only_the_two_gpl_crates_are_gpl() {
    let metadata = metadata();
    let members: Vec<&str> =
        metadata["workspace_members"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    for package in metadata["packages"].as_array().unwrap() {
        if members.contains(&package["id"].as_str().unwrap()) {
            let name = package["name"].as_str().unwrap();
            let gpl = package["license"] == "GPL-3.0-only";
            assert_eq!(gpl, ["app", "screen"].contains(&name), "{name}");
        }
    }
}

/// Files that git knows or would take, by path from the top.
fn files() -> Vec<String> {
    let output = Command::new("git")
        .args(["-c", "core.quotePath=false", "ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_top_level_holds_what_the_plan_says() {
    let rooms = ["assets", "drivers", "kiosk-app", "platform", "provisioning", "systemd", "tests"];
    let usual = ["Cargo.toml", "Cargo.lock", "README.md", "ARCHITECTURE.md", "deny.toml", "rustfmt.toml"];
    for file in files() {
        let top = file.split('/').next().unwrap();
        let known = rooms.contains(&top) || usual.contains(&top) || top.starts_with('.');
        assert!(known || top.starts_with("LICENSE"), "{file}");
    }
}

#[test]
fn source_files_are_of_a_size_one_can_hold_in_the_head() {
    for file in files().iter().filter(|file| file.ends_with(".rs") || file.ends_with(".slint")) {
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        let lines = text.lines().count();
        assert!(lines <= 600, "{file} has {lines} lines");
        let name = Path::new(file).file_stem().unwrap().to_str().unwrap();
        assert!(!["utils", "util", "common", "misc", "helpers", "manager"].contains(&name), "{file}");
    }
}

#[test]
fn nothing_unfinished_is_left() {
    // Put together here, so that this file does not find itself.
    let marks =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["X", "XX:"].concat(), ["#[ig", "nore"].concat()];
    for file in files().iter().filter(|file| file.ends_with(".rs") || file.ends_with(".slint")) {
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{file} has {mark}");
        }
    }
}

#[test]
fn colours_stand_in_the_theme_and_nowhere_else() {
    let views = files().into_iter().filter(|file| file.ends_with(".slint") && !file.ends_with("theme.slint"));
    for file in views {
        let text = fs::read_to_string(root().join(&file)).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            let colour = code
                .split('#')
                .skip(1)
                .any(|rest| rest.chars().take_while(char::is_ascii_hexdigit).count() >= 3);
            assert!(!colour, "{file}:{} has a colour of its own", number + 1);
        }
    }
}

#[test]
fn links_in_the_pages_lead_to_files_that_are_there() {
    let mut links = 0;
    for page in files().iter().filter(|file| file.ends_with(".md")) {
        let path = root().join(page);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !target.is_empty() && !target.contains("://") {
                links += 1;
                assert!(path.parent().unwrap().join(target).exists(), "{page} links to {target}");
            }
        }
    }
    assert!(links > 0, "no link was found at all");
}
