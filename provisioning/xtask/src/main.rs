//! Developer commands. `cargo xtask --help` lists them.
//!
//! Each command first installs the Debian packages that it needs and that are missing, says which, and does nothing when all are
//! there. No command is silent for more than ten seconds.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cargo;
mod debian;
mod first_page;
mod progress;

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::{Arg, ArgAction, ArgMatches};

use crate::debian::Purpose;
use crate::first_page::{ADDRESS, FirstPage};
use crate::progress::{Phase, Progress};

/// The demo prints this line when everything runs; then the bench takes the address of the first page.
const RUNNING: &str = "everything runs";

fn main() -> ExitCode {
    let progress = Progress::printed();
    match run(&commands().get_matches(), &progress) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress.finish("");
            progress.say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn commands() -> clap::Command {
    let command = clap::Command::new;
    let rest = |help: &'static str| {
        Arg::new("arguments")
            .help(help)
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true)
            .action(ArgAction::Append)
    };
    clap::Command::new("cargo xtask")
        .about("Developer commands. Each installs the Debian packages that it needs and that are missing.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(command("install").about("Install the Debian packages that all commands need"))
        .subcommand(
            command("demo")
                .about("Start the whole system on emulated hardware and print the address of the bench")
                .arg(rest("--script plays the scenarios unattended; the demo's own --help lists the rest")),
        )
        .subcommand(
            command("test")
                .about("Run all tests, with nextest where it is installed")
                .arg(rest("Arguments for the test runner, for example the name of a test")),
        )
        .subcommand(
            command("faults")
                .about("Run each named device fault against the running kiosk; the table is in target/faults")
                .arg(rest("--only PART runs those whose name contains PART")),
        )
        .subcommand(
            command("fuzz").about("Fuzz everything that reads bytes from outside; needs cargo-fuzz").arg(
                Arg::new("seconds")
                    .help("Seconds for each target")
                    .value_parser(clap::value_parser!(u32))
                    .default_value("60"),
            ),
        )
        .subcommand(
            command("bench")
                .about("Measure the whole system on this machine, optimised")
                .arg(rest("Arguments for the benchmark, for example the name of a part")),
        )
        .subcommand(command("golden").about("Draw all golden pictures anew"))
        .subcommand(
            command("ci")
                .about("Check what must hold before a change lands: format, lints, documents, tests"),
        )
}

fn run(matches: &ArgMatches, progress: &Progress) -> Result<()> {
    let (name, matches) = matches.subcommand().context("name a command; `cargo xtask --help` lists them")?;
    let rest = || -> Vec<String> {
        matches.get_many::<String>("arguments").into_iter().flatten().cloned().collect()
    };
    match name {
        "install" => debian::install(Purpose::Test, progress),
        "demo" => demo(&rest(), progress),
        "test" => test(&rest(), progress),
        "faults" => faults(&rest(), progress),
        "fuzz" => fuzz(*matches.get_one("seconds").context("seconds have a default")?, progress),
        "bench" => bench(&rest(), progress),
        "golden" => golden(progress),
        "ci" => ci(progress),
        other => bail!("the command `{other}` is listed but not built in"),
    }
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
        &[
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--status-level",
            "pass",
            "--final-status-level",
            "fail",
        ]
    } else {
        &["test", "--workspace", "--no-fail-fast"]
    };
    cargo::test(&[runner, words(rest).as_slice()].concat(), progress)
}

fn demo(rest: &[String], progress: &Progress) -> Result<()> {
    let repository = repository()?;
    if rest.iter().any(|word| word == "--script" || word == "--help") {
        debian::install(Purpose::Test, progress)?;
        build_programs(progress)?;
        // Not by `cargo run --package`: with the features of one package alone, half the tree is built again.
        return execute(Command::new(program("demo")?).args(rest), "the demo");
    }
    let page = FirstPage::serve(progress.clone(), &repository)?;
    progress.say(&format!("the demo: http://{ADDRESS}   (Ctrl-C stops everything)"));
    if let Err(error) = prepare_demo(progress) {
        // The reader of the page may not see the terminal; the page ends with this process.
        progress.fail(&format!("{error:#}"));
        progress.say(&format!("xtask: {error:#}"));
        progress.say("the page shows this, too; Ctrl-C ends it");
        page.wait();
        bail!("the demo could not be prepared");
    }
    run_demo(rest, page, progress)
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
fn run_demo(rest: &[String], page: FirstPage, progress: &Progress) -> Result<()> {
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
    let mut page = Some(page);
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
fn fuzz(seconds: u32, progress: &Progress) -> Result<()> {
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
    let build = ["bench", "--workspace", "--bench", "whole", "--no-run"];
    cargo::build(&build, "building the benchmark", progress)?;
    let arguments = ["bench", "--quiet", "--workspace", "--bench", "whole", "--"];
    execute(Command::new("cargo").args(arguments).args(rest), "the benchmark")
}

fn golden(progress: &Progress) -> Result<()> {
    debian::install(Purpose::Test, progress)?;
    cargo::build(&["build", "--workspace", "--tests"], "building the tests", progress)?;
    let mut tests = Command::new("cargo");
    tests.args(["test", "--quiet", "--workspace", "--test", "it", "golden"]).env("UPDATE_GOLDEN", "1");
    execute(&mut tests, "drawing the golden pictures")
}

fn ci(progress: &Progress) -> Result<()> {
    debian::install(Purpose::Test, progress)?;
    let format =
        Command::new("cargo").args(["fmt", "--all", "--check"]).status().context("cannot start cargo fmt")?;
    if !format.success() {
        bail!("files are not formatted: run `cargo fmt --all`");
    }
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    cargo::build(&clippy, "checking lints", progress)?;
    let documents = ["doc", "--workspace", "--no-deps"];
    cargo::build_with(&documents, &[("RUSTDOCFLAGS", "-D warnings")], "checking documents", progress)?;
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

    #[test]
    fn command_line_definition_is_valid() {
        commands().debug_assert();
    }

    /// xtask depends on no crate of ours, so that it is compiled in seconds; therefore the two sides write these twice.
    #[test]
    fn line_and_address_are_those_of_the_demo() {
        let demo = include_str!("../../../tests/src/bin/demo.rs");
        for text in [RUNNING, ADDRESS] {
            assert!(demo.contains(&format!("\"{text}\"")), "{text}");
        }
    }

    #[test]
    fn arguments_after_a_command_are_passed_on() {
        let matches = commands().try_get_matches_from(["xtask", "demo", "--script", "--only", "x"]).unwrap();
        let (_, demo) = matches.subcommand().unwrap();
        let rest: Vec<&String> = demo.get_many("arguments").unwrap().collect();
        assert_eq!(rest, ["--script", "--only", "x"]);
    }
}
