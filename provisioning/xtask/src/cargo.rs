//! Runs cargo and the test runner, and turns what they print into progress.

use std::io::{BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::progress::{Phase, Progress};

/// Runs a cargo command that compiles. Prints its warnings and errors, and how far it is.
pub(crate) fn build(arguments: &[&str], words: &str, progress: &Progress) -> Result<()> {
    build_with(arguments, &[], words, progress)
}

/// Like [`build`], with environment variables.
pub(crate) fn build_with(
    arguments: &[&str],
    environment: &[(&str, &str)],
    words: &str,
    progress: &Progress,
) -> Result<()> {
    progress.begin(Phase::Build, "crates", words);
    let mut child = Command::new("cargo")
        .args(arguments)
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "120")
        .env("CARGO_TERM_COLOR", "never")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut crates = 0;
    if let Some(output) = child.stderr.take() {
        each_line(output, |line| match classify(line) {
            Line::Progress { done, total, names } => {
                crates = total;
                progress.advance(done, total, names);
            }
            Line::Status => {}
            Line::Message => progress.say(line),
        })
        .context("cannot read what cargo prints")?;
    }
    let status = child.wait().context("cannot wait for cargo")?;
    progress.finish(&format!("{crates} crates"));
    if status.success() { Ok(()) } else { bail!("`cargo {}` failed", arguments.join(" ")) }
}

/// Runs tests. Prints failures and the runner's summary, and how many passed so far.
pub(crate) fn test(arguments: &[&str], progress: &Progress) -> Result<()> {
    progress.begin(Phase::Test, "tests", &format!("running `cargo {}`", arguments.join(" ")));
    let mut child = Command::new("cargo")
        .args(arguments)
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let beside = progress.clone();
    // nextest prints to standard error, the tests of `cargo test` to standard output.
    let reader = thread::spawn(move || {
        let mut count = TestCount::default();
        output.map(|output| each_line(output, |line| count.line(line, &beside)))
    });
    let mut count = TestCount::default();
    if let Some(errors) = errors {
        each_line(errors, |line| count.line(line, progress)).context("cannot read what the tests print")?;
    }
    let _ = reader.join();
    let status = child.wait().context("cannot wait for cargo")?;
    progress.finish("");
    if status.success() { Ok(()) } else { bail!("`cargo {}` failed", arguments.join(" ")) }
}

/// How many tests have passed.
#[derive(Default)]
struct TestCount {
    passed: u32,
    total: u32,
}

impl TestCount {
    fn line(&mut self, line: &str, progress: &Progress) {
        match test_line(line) {
            TestLine::Total(total) => {
                self.total = total;
                progress.say(line);
            }
            TestLine::Passed => {
                self.passed += 1;
                progress.advance(self.passed, self.total.max(self.passed), "");
            }
            TestLine::Other => progress.say(line),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum TestLine {
    /// The runner says how many tests there are.
    Total(u32),
    /// One test passed.
    Passed,
    /// Anything else.
    Other,
}

fn test_line(line: &str) -> TestLine {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["Starting", count, "tests", ..] => count.parse().map_or(TestLine::Other, TestLine::Total),
        ["running", count, "tests" | "test"] => count.parse().map_or(TestLine::Other, TestLine::Total),
        ["PASS", ..] | ["test", .., "ok"] => TestLine::Passed,
        _ => TestLine::Other,
    }
}

/// A line that cargo prints while it compiles.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// The progress bar.
    Progress { done: u32, total: u32, names: &'a str },
    /// What it is doing: not worth a line.
    Status,
    /// A warning, an error or a part of one.
    Message,
}

fn classify(line: &str) -> Line<'_> {
    let text = line.trim_start();
    if let Some(bar) = text.strip_prefix("Building [").and_then(|bar| bar.split_once("] ")) {
        let (count, names) = bar.1.trim_end().split_once(": ").unwrap_or((bar.1, ""));
        let numbers = count.trim().split_once('/');
        let numbers = numbers.and_then(|(done, total)| Some((done.parse().ok()?, total.parse().ok()?)));
        return numbers.map_or(Line::Status, |(done, total)| Line::Progress { done, total, names });
    }
    let verbs = [
        "Adding",
        "Blocking",
        "Building",
        "Checking",
        "Compiling",
        "Documenting",
        "Downloaded",
        "Downloading",
        "Finished",
        "Fresh",
        "Generated",
        "Locking",
        "Running",
        "Updating",
    ];
    // Cargo's own lines have their verb set flush right in twelve columns; the compiler's never do.
    let is_status = text.is_empty()
        || line.starts_with(' ') && verbs.iter().any(|verb| text.split(' ').next() == Some(verb));
    if is_status { Line::Status } else { Line::Message }
}

/// Calls back for each line, ended by a line feed or, as progress bars are, by a carriage return.
pub(crate) fn each_line(input: impl Read, mut line: impl FnMut(&str)) -> std::io::Result<()> {
    let mut input = BufReader::new(input);
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let count = input.read(&mut piece)?;
        for byte in piece.iter().take(count) {
            if matches!(byte, b'\n' | b'\r') {
                line(&String::from_utf8_lossy(&text));
                text.clear();
            } else {
                text.push(*byte);
            }
        }
        if count == 0 {
            if !text.is_empty() {
                line(&String::from_utf8_lossy(&text));
            }
            return Ok(());
        }
    }
}

/// Whether cargo has this command.
pub(crate) fn has(command: &str) -> bool {
    let version = Command::new("cargo").args([command, "--version"]).output();
    version.is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_progress_bar_gives_numbers_and_names() {
        assert_eq!(
            classify("   Building [====>       ] 123/640: slint, zbus(build.rs)...   "),
            Line::Progress { done: 123, total: 640, names: "slint, zbus(build.rs)..." }
        );
        assert_eq!(classify("    Building [=>  ] 1/2"), Line::Progress { done: 1, total: 2, names: "" });
    }

    #[test]
    fn cargo_status_lines_are_not_messages() {
        for line in ["", "   Compiling serde v1.0.0", "    Finished `dev` profile", " Downloading 3 crates"] {
            assert_eq!(classify(line), Line::Status, "{line}");
        }
    }

    #[test]
    fn compiler_output_is_a_message() {
        for line in
            ["error[E0425]: cannot find value", "  --> src/main.rs:1:1", "Compiling is mentioned", "   | x"]
        {
            assert_eq!(classify(line), Line::Message, "{line}");
        }
    }

    #[test]
    fn test_runner_lines_are_counted() {
        assert_eq!(test_line("    Starting 1025 tests across 48 binaries"), TestLine::Total(1025));
        assert_eq!(test_line("running 12 tests"), TestLine::Total(12));
        assert_eq!(test_line("        PASS [   0.004s] card apdu::tests::x"), TestLine::Passed);
        assert_eq!(test_line("test apdu::tests::x ... ok"), TestLine::Passed);
        assert_eq!(test_line("        FAIL [   0.004s] card apdu::tests::x"), TestLine::Other);
        assert_eq!(test_line("test result: FAILED"), TestLine::Other);
    }

    #[test]
    fn lines_end_at_feeds_and_returns() {
        let mut lines = Vec::new();
        each_line(&b"a\rb\nc"[..], |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["a", "b", "c"]);
    }
}
