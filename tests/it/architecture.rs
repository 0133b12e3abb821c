//! Architecture tests: rules of the repository that a program can check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use system_tests::repository::repository;

/// Crates that must not reach a runtime, a web framework or the screen through any dependency.
const PURE_CRATES: &[&str] = &[
    "sm-crypto",
    "contract",
    "resident-code",
    "citizen-number",
    "view",
    "session",
    "journal",
    "sync",
    "engine",
];
const BANNED_IN_PURE_CRATES: &[&str] = &["tokio", "axum", "hyper", "reqwest", "slint", "rusqlite"];

fn metadata() -> Value {
    // Only for this target: dependencies of other targets are not downloaded on a fresh machine.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &platform])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Normal dependencies between the crates of this repository, by name.
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

/// The table of dependencies in ARCHITECTURE.md: each crate with the crates of this repository on which it may depend.
fn allowed_dependencies(document: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut rows = document.lines().skip_while(|line| *line != "| crate | of ours, only on |").skip(1);
    assert!(rows.next().is_some_and(|line| line.starts_with("|---")), "the table of dependencies is missing");
    let mut table = BTreeMap::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [names, may] = cells[..] else { panic!("not two columns: {row}") };
        let may = if may == "–" { BTreeSet::new() } else { quoted_names(may) };
        for name in quoted_names(names) {
            assert!(table.insert(name.clone(), may.clone()).is_none(), "{name} has two rows");
        }
    }
    table
}

/// The names of a cell such as `` `a`, `b` ``.
fn quoted_names(cell: &str) -> BTreeSet<String> {
    let name = |part: &str| part.trim().strip_prefix('`')?.strip_suffix('`').map(str::to_owned);
    cell.split(',')
        .map(|part| name(part).unwrap_or_else(|| panic!("not names in back-ticks: {cell}")))
        .collect()
}

#[test]
fn crates_depend_only_on_allowed_crates() {
    let allowed = allowed_dependencies(&fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap());
    let actual = own_dependencies(&metadata());
    for (name, dependencies) in &actual {
        let may =
            allowed.get(name).unwrap_or_else(|| panic!("{name} is not in the table of ARCHITECTURE.md"));
        for one in dependencies {
            assert!(may.contains(one), "{name} may not depend on {one}");
        }
    }
    for (name, may) in &allowed {
        for one in may.iter().chain([name]) {
            assert!(
                actual.contains_key(one),
                "the table of ARCHITECTURE.md names {one}, which does not exist"
            );
        }
    }
}

#[test]
fn dependency_table_is_read_row_by_row() {
    let table =
        "a\n\n| crate | of ours, only on |\n|---|---|\n| `a`, `b` | – |\n| `c-d` | `a`, `b` |\n\n| `e` | – |";
    let read = allowed_dependencies(table);
    assert_eq!(read.keys().collect::<Vec<_>>(), ["a", "b", "c-d"]);
    assert!(read["a"].is_empty() && read["b"].is_empty());
    assert_eq!(read["c-d"].iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn pure_crates_do_not_reach_a_runtime() {
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
    for pure in PURE_CRATES {
        let start = names.iter().find(|(_, name)| *name == pure).map(|(id, _)| *id).unwrap();
        let (mut todo, mut seen) = (vec![start], BTreeSet::new());
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                assert!(!BANNED_IN_PURE_CRATES.contains(&names[id]), "{pure} reaches {}", names[id]);
                todo.extend(&edges[id]);
            }
        }
    }
}

#[test]
fn only_app_and_screen_are_gpl() {
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

/// Files that git tracks or would add, by path from the top level.
pub(crate) fn files() -> Vec<String> {
    let output = Command::new("git")
        .args(["-c", "core.quotePath=false", "ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn top_level_has_only_known_files_and_folders() {
    let folders = ["assets", "docs", "drivers", "kiosk-app", "platform", "provisioning", "systemd", "tests"];
    let top_level_files = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "deny.toml",
        "rustfmt.toml",
    ];
    for file in files() {
        let top = file.split('/').next().unwrap();
        let known = folders.contains(&top) || top_level_files.contains(&top) || top.starts_with('.');
        assert!(known || top.starts_with("LICENSE"), "{file}");
    }
}

#[test]
fn source_files_are_short_and_specifically_named() {
    for file in files().iter().filter(|file| file.ends_with(".rs") || file.ends_with(".slint")) {
        let Ok(text) = fs::read_to_string(repository().join(file)) else { continue };
        let lines = text.lines().count();
        assert!(lines <= 600, "{file} has {lines} lines");
        let name = Path::new(file).file_stem().unwrap().to_str().unwrap();
        assert!(!["utils", "util", "common", "misc", "helpers", "manager"].contains(&name), "{file}");
    }
}

#[test]
fn source_has_no_unfinished_markers() {
    // Each marker is concatenated, so that this test does not match its own source.
    let markers =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["X", "XX:"].concat(), ["#[ig", "nore"].concat()];
    for file in files().iter().filter(|file| file.ends_with(".rs") || file.ends_with(".slint")) {
        let Ok(text) = fs::read_to_string(repository().join(file)) else { continue };
        for marker in &markers {
            assert!(!text.contains(marker.as_str()), "{file} has {marker}");
        }
    }
}

#[test]
fn colours_are_defined_only_in_the_theme() {
    let views = files().into_iter().filter(|file| file.ends_with(".slint") && !file.ends_with("theme.slint"));
    for file in views {
        let text = fs::read_to_string(repository().join(&file)).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            let colour = code
                .split('#')
                .skip(1)
                .any(|rest| rest.chars().take_while(char::is_ascii_hexdigit).count() >= 3);
            assert!(!colour, "{file}:{} defines a colour outside the theme", number + 1);
        }
    }
}

#[test]
fn links_in_documents_lead_to_existing_files() {
    let mut links = 0;
    for page in files().iter().filter(|file| file.ends_with(".md")) {
        let path = repository().join(page);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !target.is_empty() && !target.contains("://") {
                links += 1;
                assert!(path.parent().unwrap().join(target).exists(), "{page} links to {target}");
            }
        }
    }
    assert!(links > 0, "no link was found");
}

/// Beginnings of paths in documents that are not paths of the repository: absolute paths of a kiosk and of addresses,
/// what a build makes, and a file of another project.
const PATHS_OUTSIDE: &[&str] = &["/", "target/", "dist/qrcode.mjs"];

/// The names of files and folders in back-ticks in a document: source files, and whatever has a slash. Blocks of code
/// are left out.
fn file_names_in(document: &str) -> Vec<&str> {
    let is_path_char = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    let is_file_name = |span: &&str| {
        let names_a_file = span.contains('/') || span.ends_with(".rs") || span.ends_with(".slint");
        names_a_file && span.chars().all(is_path_char)
    };
    let texts = document.split("```").step_by(2);
    let spans = texts.flat_map(str::lines).flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.filter(is_file_name).filter(|span| !PATHS_OUTSIDE.iter().any(|one| span.starts_with(one))).collect()
}

#[test]
fn file_names_are_found_in_back_ticks() {
    let document = "`a.rs`, b.rs, `c/d` and `e` in `f/`, not `/g`, `target/h` or `i::j / k`\n```\n`l.rs`\n```\n`m.slint`";
    assert_eq!(file_names_in(document), ["a.rs", "c/d", "f/", "m.slint"]);
}

#[test]
fn file_names_in_documents_exist_in_the_tree() {
    let files = files();
    let existing: Vec<&String> = files.iter().filter(|file| repository().join(file).exists()).collect();
    // The name is the end of a path, or of the path of a folder.
    let exists = |name: &str| {
        let (whole, end) = (format!("/{name}"), format!("/{name}/"));
        existing.iter().any(|file| {
            let path = format!("/{file}");
            path.ends_with(&whole) || path.contains(&end)
        })
    };
    let mut missing = Vec::new();
    for page in existing.iter().filter(|file| file.ends_with(".md")) {
        let text = fs::read_to_string(repository().join(page)).unwrap();
        let names = file_names_in(&text).into_iter().map(|name| name.trim_end_matches('/'));
        missing.extend(names.filter(|name| !exists(name)).map(|name| format!("{page}: {name}")));
    }
    assert!(missing.is_empty(), "documents name files that do not exist:\n{}", missing.join("\n"));
}

/// The names of the tests in a source file.
fn test_names(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let name = line.split_once("fn ").and_then(|(_, rest)| rest.split(['(', '<']).next());
        if let Some(name) = name.filter(|_| is_test && !line.starts_with("//")) {
            names.push(name);
            is_test = false;
        }
    }
    names
}

#[test]
fn test_names_are_read_from_source() {
    let attribute = ["#[te", "st]"].concat();
    let source = format!("{attribute}\nfn a() {{}}\nfn b() {{}}\n  {attribute}\n  async fn c() {{}}");
    assert_eq!(test_names(&source), ["a", "c"]);
}

#[test]
fn test_names_have_at_most_sixty_characters() {
    let mut count = 0;
    for file in files().iter().filter(|file| file.ends_with(".rs")) {
        let Ok(text) = fs::read_to_string(repository().join(file)) else { continue };
        for name in test_names(&text) {
            count += 1;
            assert!(name.len() <= 60, "{file}: {name} has {} characters", name.len());
        }
    }
    assert!(count > 0, "no test was found");
}

/// `xtask` is in a workspace of its own: docs/decisions/0026-xtask-without-clap.md.
#[test]
fn every_program_reads_its_arguments_with_clap() {
    let metadata = metadata();
    let members: Vec<&Value> = metadata["workspace_members"].as_array().unwrap().iter().collect();
    for package in metadata["packages"].as_array().unwrap() {
        let has = |list: &str, is: fn(&Value) -> bool| package[list].as_array().unwrap().iter().any(is);
        let is_program = has("targets", |target| target["kind"][0] == "bin");
        let has_clap = has("dependencies", |one| one["name"] == "clap" && one["kind"].is_null());
        if members.contains(&&package["id"]) {
            assert!(!is_program || has_clap, "{} has a program without clap", package["name"]);
        }
    }
}

#[test]
fn xtask_has_the_lints_and_versions_of_the_workspace() {
    let section = |text: &str, name: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| *line != name).skip(1);
        lines
            .take_while(|line| !line.starts_with(['[', '#']))
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let read = |file: &str| fs::read_to_string(repository().join(file)).unwrap();
    let (workspace, xtask) = (read("Cargo.toml"), read("provisioning/xtask/Cargo.toml"));
    for lints in ["rust", "clippy"] {
        let ours = section(&workspace, &format!("[workspace.lints.{lints}]"));
        assert!(!ours.is_empty(), "no lints of {lints}");
        assert_eq!(ours, section(&xtask, &format!("[lints.{lints}]")), "{lints}");
    }
    let package = section(&workspace, "[workspace.package]");
    assert_eq!(
        package.iter().filter(|line| !xtask.contains(line.as_str())).collect::<Vec<_>>(),
        [] as [&String; 0]
    );
}
