//! `docs/operations.md` explains each line that the programs of a kiosk and of the platform log at the default level.

use std::fs;

use system_tests::repository::repository;

use crate::architecture::files;

/// Programs that are not in service.
const NOT_IN_SERVICE: [&str; 3] = ["drivers/emulator/", "platform/sandbox/", "platform/server/benches/"];

/// The text up to the parenthesis that closes the call.
fn arguments(body: &str) -> &str {
    let (mut depth, mut in_text, mut is_escaped) = (1, false, false);
    let end = body.find(|c| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = in_text,
            '"' => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    &body[..end.unwrap_or(body.len())]
}

/// The message of each line logged at `INFO` or above. Messages that consist of an error alone are left out.
fn messages(source: &str) -> Vec<String> {
    let calls = ["tracing::info!(", "tracing::warn!(", "tracing::error!("];
    let bodies = calls.iter().flat_map(|call| source.split(call).skip(1));
    bodies
        .filter_map(|body| arguments(body).rsplit('"').nth(1))
        .map(|message| message.split("\\\n").map(str::trim_start).collect::<String>())
        .filter(|message| !message.starts_with('{'))
        .collect()
}

/// The first column of the tables of log lines.
fn explained(operations: &str) -> Vec<&str> {
    let section = operations.split("\n## ").find(|section| section.starts_with("Program log")).unwrap();
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

#[test]
fn operations_document_explains_each_log_line() {
    let operations = fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let explained = explained(&operations);
    let in_service = |file: &&String| {
        ["kiosk-app/", "drivers/", "platform/"].iter().any(|folder| file.starts_with(folder))
            && file.contains("/src/")
            && file.ends_with(".rs")
            && !NOT_IN_SERVICE.iter().any(|folder| file.starts_with(folder))
    };
    let logged: Vec<String> = files()
        .iter()
        .filter(in_service)
        .flat_map(|file| messages(&fs::read_to_string(repository().join(file)).unwrap()))
        .collect();
    assert!(logged.len() > 60, "the calls of `tracing` were not recognised");
    let missing: Vec<_> = logged.iter().filter(|line| !explained.contains(&line.as_str())).collect();
    assert!(missing.is_empty(), "not in docs/operations.md: {missing:#?}");
    let gone: Vec<_> = explained.iter().filter(|line| !logged.iter().any(|one| one == *line)).collect();
    assert!(gone.is_empty(), "in docs/operations.md, but not logged: {gone:#?}");
}
