//! Developer commands. `cargo xtask --help` lists them.
//!
//! Each command first installs the Debian packages that it needs and that are missing, says which, and does nothing when all are
//! there. No command is silent for more than ten seconds.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod cargo;
mod debian;
mod first_page;
mod mutants;
mod progress;

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::debian::Purpose;
use crate::first_page::{ADDRESS, FirstPage};
use crate::progress::{Phase, Progress};

/// The demo prints this line when everything runs; then the bench takes the address of the first page.
const RUNNING: &str = "everything runs";
/// These commands are a workspace of their own: docs/decisions/0028-xtask-as-its-own-workspace.md.
const OWN_MANIFEST: &str = "--manifest-path=provisioning/xtask/Cargo.toml";
/// Seconds for each fuzz target, unless others are asked for.
const FUZZ_SECONDS: u32 = 60;

/// A command: its name, its arguments, what it does in words, and what it does.
struct DeveloperCommand {
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: fn(&[String], &Progress) -> Result<()>,
}

/// All commands, as `cargo xtask --help` lists them.
const COMMANDS: &[DeveloperCommand] = &[
    DeveloperCommand {
        name: "demo",
        arguments: "[--landscape] [--script [--only PART]]",
        help: "Start the whole system on emulated hardware and print the address of the bench; --script plays the scenarios",
        run: demo,
    },
    DeveloperCommand {
        name: "test",
        arguments: "[ARGUMENT]...",
        help: "Run all tests, with nextest where it is installed; arguments go to the test runner, as the name of a test",
        run: test,
    },
    DeveloperCommand {
        name: "ci",
        arguments: "",
        help: "Check what must hold before a change lands: format, lints, documents, tests",
        run: ci,
    },
    DeveloperCommand {
        name: "faults",
        arguments: "[--only PART]",
        help: "Run each named device fault against the running kiosk; the table is in target/faults",
        run: faults,
    },
    DeveloperCommand {
        name: "bench",
        arguments: "[PART]",
        help: "Measure the whole system on this machine, optimised",
        run: bench,
    },
    DeveloperCommand {
        name: "fuzz",
        arguments: "[SECONDS]",
        help: "Fuzz everything that reads bytes from outside, 60 seconds for each target; needs cargo-fuzz",
        run: fuzz,
    },
    DeveloperCommand {
        name: "mutants",
        arguments: "[all [SHARD/OF]]",
        help: "Mutate what the working tree changes, or all code of money and the log, and fail where no test notices",
        run: mutants,
    },
    DeveloperCommand { name: "golden", arguments: "", help: "Draw all golden pictures anew", run: golden },
    DeveloperCommand {
        name: "install",
        arguments: "",
        help: "Install the Debian packages that all commands need",
        run: install,
    },
];

/// What to do, by the arguments of `cargo xtask`.
enum Asked<'a> {
    /// Print this and do nothing.
    Help(String),
    /// Run this command with these arguments.
    Run(&'static DeveloperCommand, &'a [String]),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let progress = Progress::printed();
    let done = asked(&arguments).and_then(|asked| match asked {
        Asked::Help(text) => {
            progress.say(text.trim_end());
            Ok(())
        }
        Asked::Run(command, rest) => (command.run)(rest, &progress),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress.finish("");
            progress.say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn asked(arguments: &[String]) -> Result<Asked<'_>> {
    let is_help = |word: &String| word == "--help" || word == "-h";
    let Some((name, rest)) = arguments.split_first().filter(|(name, _)| !is_help(name)) else {
        return Ok(Asked::Help(format!(
            "Developer commands. Each installs the Debian packages that it needs and that are missing.\n\n{}",
            COMMANDS.iter().map(help).collect::<String>()
        )));
    };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        bail!("there is no command `{name}`; `cargo xtask --help` lists the commands");
    };
    if rest.iter().any(is_help) {
        return Ok(Asked::Help(help(command)));
    }
    if command.arguments.is_empty() && !rest.is_empty() {
        bail!("`cargo xtask {name}` takes no arguments");
    }
    Ok(Asked::Run(command, rest))
}

fn help(command: &DeveloperCommand) -> String {
    let DeveloperCommand { name, arguments, help, run: _ } = command;
    format!("  cargo xtask {}\n      {help}\n", format!("{name} {arguments}").trim_end())
}

fn install(_: &[String], progress: &Progress) -> Result<()> {
    debian::install(Purpose::Test, progress)
}

fn test(rest: &[String], progress: &Progress) -> Result<()> {
    debian::install(Purpose::Test, progress)?;
    // The whole-system tests start the programs, which the test runner alone would not build.
    cargo::build(
        &["build", "--workspace", "--bins", "--tests"],
        "building all programs and tests",
        progress,
    )?;
    let runner: &[&str] = if cargo::has("nextest") {
        &["nextest", "run", "--status-level", "pass", "--final-status-level", "fail"]
    } else {
        &["test"]
    };
    let everything: &[&str] = &["--workspace", "--no-fail-fast"];
    // Last what has the most tests: a log ends with its summary. Arguments name tests of the whole system.
    if rest.is_empty() {
        cargo::test(&[runner, &[OWN_MANIFEST], everything].concat(), progress)?;
    }
    cargo::test(&[runner, everything, words(rest).as_slice()].concat(), progress)
}

fn demo(rest: &[String], progress: &Progress) -> Result<()> {
    let repository = repository()?;
    if rest.iter().any(|word| word == "--script") {
        debian::install(Purpose::Test, progress)?;
        build_programs(progress)?;
        // Not by `cargo run --package`: with the features of one package alone, half the tree is built again.
        return execute(Command::new(program("demo")?).args(rest), "the demo");
    }
    let mut page = Some(FirstPage::serve(progress.clone(), &repository)?);
    progress.say(&format!("the demo: http://{ADDRESS}   (Ctrl-C stops everything)"));
    let done = prepare_demo(progress).and_then(|()| run_demo(rest, &mut page, progress));
    if let (Err(error), Some(page)) = (&done, page) {
        // The reader of the page may not see the terminal; the page ends with this process.
        progress.fail(&format!("{error:#}"));
        progress.say(&format!("xtask: {error:#}"));
        progress.say("the page shows this, too; Ctrl-C ends it");
        page.wait();
    }
    done
}

fn prepare_demo(progress: &Progress) -> Result<()> {
    debian::install(Purpose::Demo, progress)?;
    build_programs(progress)
}

fn build_programs(progress: &Progress) -> Result<()> {
    let words = "building the programs (the first time takes some ten minutes on two cores)";
    cargo::build(&["build", "--workspace", "--bins"], words, progress)
}

/// Runs the demo, and gives the address of the page to the bench as soon as everything runs.
fn run_demo(rest: &[String], page: &mut Option<FirstPage>, progress: &Progress) -> Result<()> {
    progress.begin(
        Phase::Start,
        "",
        "starting the platform, the sandboxes, the emulated devices and the kiosk",
    );
    let mut demo = Command::new(program("demo")?)
        .arg("--address-follows")
        .args(rest)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the demo")?;
    if let Some(output) = demo.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("cannot read what the demo prints")?;
            if line == RUNNING {
                progress.finish("");
                if let Some(page) = page.take() {
                    page.close();
                }
            } else {
                progress.say(&line);
            }
        }
    }
    let status = demo.wait().context("cannot wait for the demo")?;
    // Without a code it was ended by a signal: by Ctrl-C.
    if status.success() || status.code().is_none() {
        Ok(())
    } else {
        bail!("the demo failed with {status}; target/demo-state/logs has what its programs printed")
    }
}

fn faults(rest: &[String], progress: &Progress) -> Result<()> {
    debian::install(Purpose::Test, progress)?;
    build_optimised(progress)?;
    execute(Command::new(target()?.join("release/faults")).args(rest), "the run of the fault scenarios")
}

/// The fuzzer's instrumentation is not in the stable compiler, so the compiler is made to accept nightly options. Found inputs
/// are in `target/fuzz`; what is worth keeping goes to `tests/fuzz/seeds`.
fn fuzz(rest: &[String], progress: &Progress) -> Result<()> {
    let seconds: u32 = match rest {
        [] => FUZZ_SECONDS,
        [seconds] => seconds.parse().with_context(|| format!("`{seconds}` is not a number of seconds"))?,
        [_, more, ..] => bail!("`cargo xtask fuzz` takes one argument, the seconds; `{more}` is too much"),
    };
    debian::install(Purpose::Test, progress)?;
    if !cargo::has("fuzz") {
        bail!("cargo-fuzz is missing: run `cargo install cargo-fuzz`");
    }
    let mut targets: Vec<String> = Vec::new();
    for entry in std::fs::read_dir("tests/fuzz/seeds")? {
        targets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    targets.sort();
    for target in targets {
        let (found, seeds) = (format!("target/fuzz/{target}"), format!("tests/fuzz/seeds/{target}"));
        std::fs::create_dir_all(&found)?;
        let arguments =
            ["fuzz", "run", "--fuzz-dir", "tests/fuzz", "--sanitizer", "none", &target, &found, &seeds, "--"];
        let limits =
            [format!("-max_total_time={seconds}"), "-rss_limit_mb=1024".into(), "-timeout=10".into()];
        let mut fuzzer = Command::new("cargo");
        fuzzer.args(arguments).args(limits).env("RUSTC_BOOTSTRAP", "1");
        execute(&mut fuzzer, &format!("the fuzz target {target}"))?;
    }
    Ok(())
}

fn bench(rest: &[String], progress: &Progress) -> Result<()> {
    debian::install(Purpose::Test, progress)?;
    build_optimised(progress)?;
    let benchmarks = ["--workspace", "--bench", "log", "--bench", "whole"];
    let build = [&["bench", "--no-run"], &benchmarks[..]].concat();
    cargo::build(&build, "building the benchmarks", progress)?;
    let arguments = [&["bench", "--quiet"], &benchmarks[..], &["--"]].concat();
    execute(Command::new("cargo").args(arguments).args(rest), "the benchmarks")
}

fn mutants(rest: &[String], progress: &Progress) -> Result<()> {
    debian::install(Purpose::Test, progress)?;
    mutants::run(rest, &repository()?, &target()?, progress)
}

fn golden(_: &[String], progress: &Progress) -> Result<()> {
    debian::install(Purpose::Test, progress)?;
    cargo::build(&["build", "--workspace", "--tests"], "building the tests", progress)?;
    let mut tests = Command::new("cargo");
    tests.args(["test", "--quiet", "--workspace", "--test", "it", "golden"]).env("UPDATE_GOLDEN", "1");
    execute(&mut tests, "drawing the golden pictures")
}

fn ci(_: &[String], progress: &Progress) -> Result<()> {
    debian::install(Purpose::Test, progress)?;
    for workspace in [&[][..], &[OWN_MANIFEST]] {
        let format = ["fmt", "--all", "--check"];
        execute(Command::new("cargo").args(workspace_command(&format, workspace)), "cargo fmt --check")?;
    }
    for workspace in [&[][..], &[OWN_MANIFEST]] {
        let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        cargo::build(&workspace_command(&clippy, workspace), "checking lints", progress)?;
        let documents = ["doc", "--workspace", "--no-deps"];
        let flags = [("RUSTDOCFLAGS", "-D warnings")];
        cargo::build_with(&workspace_command(&documents, workspace), &flags, "checking documents", progress)?;
    }
    // Not in Debian, so not everywhere.
    if cargo::has("deny") {
        let deny = ["deny", "--offline", "check", "licenses", "bans", "sources"];
        cargo::build(&deny, "checking licences and sources of dependencies", progress)?;
    }
    test(&[], progress)
}

fn build_optimised(progress: &Progress) -> Result<()> {
    let words = "building the programs, optimised (the first time takes a quarter of an hour)";
    cargo::build(&["build", "--workspace", "--bins", "--release"], words, progress)
}

/// A cargo command for another workspace than the repository's: its manifest is named after the subcommand.
fn workspace_command<'a>(command: &[&'a str], manifest: &[&'a str]) -> Vec<&'a str> {
    let (subcommand, arguments) = command.split_at(command.len().min(1));
    [subcommand, manifest, arguments].concat()
}

/// Runs a program that prints for itself.
fn execute(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {what}"))?;
    if status.success() { Ok(()) } else { bail!("{what} failed; see the lines above") }
}

/// Root directory of the repository.
fn repository() -> Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(own.parent().and_then(Path::parent).context("xtask is in a folder of the repository")?.to_owned())
}

/// Where cargo puts what it builds.
fn target() -> Result<PathBuf> {
    let own = env::current_exe().context("the program's own path is unknown")?;
    let target = own.parent().and_then(Path::parent);
    Ok(target.context("a program is in a directory of its profile")?.to_owned())
}

/// A program that was built without optimisation.
fn program(name: &str) -> Result<PathBuf> {
    Ok(target()?.join("debug").join(name))
}

fn words(rest: &[String]) -> Vec<&str> {
    rest.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// xtask depends on no crate of ours, so that it is compiled in seconds; therefore the two sides write these twice.
    #[test]
    fn line_and_address_are_those_of_the_demo() {
        let demo = include_str!("../../../tests/src/bin/demo.rs");
        for text in [RUNNING, ADDRESS] {
            assert!(demo.contains(&format!("\"{text}\"")), "{text}");
        }
    }

    /// The help, or the name and the arguments of the command, or the error.
    fn asked_words(words: &[&str]) -> Result<(&'static str, String), String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        match asked(&words) {
            Ok(Asked::Help(text)) => Ok(("help", text)),
            Ok(Asked::Run(command, rest)) => Ok((command.name, rest.join(" "))),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn arguments_after_a_command_are_passed_on() {
        assert_eq!(
            asked_words(&["demo", "--script", "--only", "x"]),
            Ok(("demo", "--script --only x".into()))
        );
        assert_eq!(asked_words(&["ci"]), Ok(("ci", String::new())));
    }

    #[test]
    fn help_lists_all_commands_or_the_one_that_is_named() {
        for words in [&[][..], &["--help"], &["-h", "demo"]] {
            let Ok(("help", text)) = asked_words(words) else { panic!("no help for {words:?}") };
            assert!(COMMANDS.iter().all(|command| text.contains(command.help)), "{text}");
        }
        let Ok(("help", text)) = asked_words(&["test", "--help"]) else { panic!("no help") };
        assert!(text.contains("cargo xtask test [ARGUMENT]...") && !text.contains("demo"), "{text}");
    }

    #[test]
    fn unknown_command_or_argument_is_refused() {
        assert!(asked_words(&["tset"]).unwrap_err().contains("`tset`"));
        assert!(asked_words(&["ci", "now"]).unwrap_err().contains("takes no arguments"));
    }
}
