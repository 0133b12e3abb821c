//! What cargo-mutants says: its exit code, the lines that it prints, and the files of its results.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::VERSION;

/// How cargo-mutants ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It tried every mutation.
    Finished,
    /// The tests fail without a mutation.
    BaselineFailed,
    /// A file changed after the diff was made.
    ChangesOutdated,
    /// Another error, with this exit code.
    Failed(Option<i32>),
}

/// By the exit codes of cargo-mutants. 2 and 3 are survivors and timeouts, which its files name.
pub(super) fn ended(code: Option<i32>) -> Ended {
    match code {
        Some(0 | 2 | 3) => Ended::Finished,
        Some(4) => Ended::BaselineFailed,
        Some(5) => Ended::ChangesOutdated,
        code => Ended::Failed(code),
    }
}

/// A line that cargo-mutants prints.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MutantLine {
    /// How many mutations there are.
    Total(u32),
    /// One mutation was tried.
    Done { is_noticed: bool },
    /// Anything else.
    Other,
}

/// Reads one line that cargo-mutants prints.
pub(super) fn mutant_line(line: &str) -> MutantLine {
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some("Found"), Some(count)) => count.parse().map_or(MutantLine::Other, MutantLine::Total),
        (Some("caught" | "unviable"), Some(_)) => MutantLine::Done { is_noticed: true },
        (Some("MISSED" | "TIMEOUT"), Some(_)) => MutantLine::Done { is_noticed: false },
        _ => MutantLine::Other,
    }
}

/// A mutation that no test noticed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Survivor {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) mutation: String,
}

/// What became of the mutations.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) caught: usize,
    /// The tests did not end: noticed too.
    pub(super) timed_out: usize,
    /// The mutation does not compile.
    pub(super) unviable: usize,
    pub(super) survivors: Vec<Survivor>,
}

impl Outcome {
    /// Reads the files of a run. A run without mutations leaves none.
    pub(super) fn read(output: &Path) -> Result<Self> {
        let results = output.join("mutants.out");
        let read = |name: &str| match fs::read_to_string(results.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            text => text.with_context(|| format!("cannot read {}", results.join(name).display())),
        };
        let missed = read("missed.txt")?;
        Ok(Self {
            caught: read("caught.txt")?.lines().count() + read("previously_caught.txt")?.lines().count(),
            timed_out: read("timeout.txt")?.lines().count(),
            unviable: read("unviable.txt")?.lines().count(),
            survivors: missed.lines().map(survivor).collect::<Result<_>>()?,
        })
    }
}

/// Parses `FILE:LINE:COLUMN: MUTATION`.
fn survivor(text: &str) -> Result<Survivor> {
    let mut parts = text.splitn(4, ':');
    let mut part = || parts.next().map(str::trim);
    let parsed = (|| {
        let (file, line, _column, mutation) = (part()?, part()?, part()?, part()?);
        Some(Survivor { file: file.to_owned(), line: line.parse().ok()?, mutation: mutation.to_owned() })
    })();
    parsed.with_context(|| format!("cargo-mutants {VERSION} is expected to write no line such as `{text}`"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn exit_codes_distinguish_survivors_and_errors() {
        for (code, expected) in [
            (Some(0), Ended::Finished),
            (Some(2), Ended::Finished),
            (Some(3), Ended::Finished),
            (Some(4), Ended::BaselineFailed),
            (Some(5), Ended::ChangesOutdated),
            (Some(1), Ended::Failed(Some(1))),
            (Some(70), Ended::Failed(Some(70))),
            (None, Ended::Failed(None)),
        ] {
            assert_eq!(ended(code), expected, "{code:?}");
        }
    }

    #[test]
    fn lines_of_cargo_mutants_are_counted() {
        for (line, expected) in [
            ("Found 37 mutants to test", MutantLine::Total(37)),
            ("ok       Unmutated baseline in 15s build + 2s test", MutantLine::Other),
            ("caught   a/src/b.rs:1:2: replace f with () in 1s build", MutantLine::Done { is_noticed: true }),
            ("unviable a/src/b.rs:1:2: replace f with 1 in 1s build", MutantLine::Done { is_noticed: true }),
            (
                "MISSED   a/src/b.rs:1:2: replace f with () in 1s build",
                MutantLine::Done { is_noticed: false },
            ),
            ("TIMEOUT  a/src/b.rs:1:2: replace < with > in 1s build", MutantLine::Done { is_noticed: false }),
            ("", MutantLine::Other),
        ] {
            assert_eq!(mutant_line(line), expected, "{line}");
        }
    }

    #[test]
    fn survivor_line_gives_file_line_and_mutation() {
        assert_eq!(
            survivor("kiosk-app/sync/src/clock.rs:31:9: replace Clock::now -> a::B with Default::default()")
                .unwrap(),
            Survivor {
                file: "kiosk-app/sync/src/clock.rs".into(),
                line: 31,
                mutation: "replace Clock::now -> a::B with Default::default()".into()
            }
        );
        for text in ["", "clock.rs", "clock.rs:x:1: replace", "clock.rs:1:1"] {
            assert!(survivor(text).is_err(), "{text}");
        }
    }

    /// A directory of results with these files, removed by its owner's test.
    pub(crate) fn results(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let output = std::env::temp_dir().join(format!("xtask-mutants-{}-{name}", std::process::id()));
        fs::create_dir_all(output.join("mutants.out")).unwrap();
        for (file, text) in files {
            fs::write(output.join("mutants.out").join(file), text).unwrap();
        }
        output
    }

    #[test]
    fn outcome_counts_lines_of_each_file() {
        let files = [
            ("caught.txt", "a\nb\n"),
            ("previously_caught.txt", "c\n"),
            ("timeout.txt", "d\n"),
            ("unviable.txt", ""),
            ("missed.txt", "s.rs:3:1: replace + with -\n"),
        ];
        let output = results("counts", &files);
        let outcome = Outcome::read(&output).unwrap();
        fs::remove_dir_all(&output).unwrap();

        assert_eq!((outcome.caught, outcome.timed_out, outcome.unviable), (3, 1, 0));
        assert_eq!(
            outcome.survivors,
            [Survivor { file: "s.rs".into(), line: 3, mutation: "replace + with -".into() }]
        );
    }
}
