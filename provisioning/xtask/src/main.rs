//! The commands of the workshop. `cargo xtask` without arguments lists them.
//!
//! Each command first installs what Debian 12 lacks for it, says what it installs, and does nothing when
//! all is there.

mod debian;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "cargo xtask <command>

  install            install the Debian packages that the other commands need
  test [ARGS]        run all tests (nextest where it is installed); ARGS go to the runner
  demo [ARGS]        start everything and print the address of the bench; Ctrl-C stops it
       --script      play the scripted visits instead and write target/demo/index.html
       --only PART   of these, only those whose title contains PART; may be repeated
  faults [ARGS]      each named fault of each device against the running kiosk; the table is in target/faults
       --only PART   only those whose name contains PART; may be repeated
  fuzz [SECONDS]     fuzz everything that reads bytes from outside, each for so long (60); needs cargo-fuzz
  bench              measure the whole on this machine, optimised
  golden             draw all golden pictures anew
  ci                 what must hold before a change lands: formatting, lints, tests";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    match command.as_deref() {
        Some("install") => debian::install(),
        Some("test") => test(&rest),
        Some("demo") => demo(&rest),
        Some("faults") => faults(&rest),
        Some("fuzz") => fuzz(&rest),
        Some("bench") => bench(&rest),
        Some("golden") => golden(),
        Some("ci") => ci(),
        _ => {
            eprintln!("{USAGE}");
            bail!("name a command")
        }
    }
}

fn test(rest: &[String]) -> Result<()> {
    debian::install()?;
    // The whole-system tests start the programs, so these are built first; together with the tests, because alone they
    // would be built with fewer features of what they share, and half the tree twice.
    cargo(&["build", "--quiet", "--workspace", "--bins", "--tests"])?;
    if has_cargo("nextest") {
        let arguments = ["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "fail"];
        cargo(&[&arguments, words(rest).as_slice()].concat())
    } else {
        cargo(&[&["test", "--workspace", "--quiet"], words(rest).as_slice()].concat())
    }
}

fn demo(rest: &[String]) -> Result<()> {
    debian::install()?;
    eprintln!("building the programs (the first time takes some minutes)");
    cargo(&["build", "--quiet", "--workspace", "--bins"])?;
    // Not by `cargo run --package`: with the features of one package alone, half the tree is built again.
    let demo = env::current_exe()?.with_file_name("demo");
    let status = Command::new(&demo).args(rest).status().context("cannot start the demo")?;
    if status.success() { Ok(()) } else { bail!("the demo failed") }
}

fn faults(rest: &[String]) -> Result<()> {
    debian::install()?;
    eprintln!("building the programs, optimised (the first time takes a quarter of an hour)");
    cargo(&["build", "--quiet", "--workspace", "--bins", "--release"])?;
    let debug = env::current_exe()?;
    let target =
        debug.parent().and_then(Path::parent).context("a program lies in a directory of its profile")?;
    let faults = target.join("release/faults");
    let status = Command::new(&faults).args(rest).status().context("cannot start the drills")?;
    if status.success() { Ok(()) } else { bail!("not every drill went as it should") }
}

/// The fuzzer's instrumentation is not in the stable compiler, so it is told to behave as the nightly one does. Found
/// inputs lie in `target/fuzz`; what is worth keeping goes to `tests/fuzz/seeds`.
fn fuzz(rest: &[String]) -> Result<()> {
    debian::install()?;
    if !has_cargo("fuzz") {
        bail!("cargo-fuzz is missing: `cargo install cargo-fuzz`");
    }
    let seconds: u32 =
        rest.first().map_or(Ok(60), |seconds| seconds.parse()).context("seconds are a number")?;
    let mut targets: Vec<String> = Vec::new();
    for entry in std::fs::read_dir("tests/fuzz/seeds")? {
        targets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    targets.sort();
    for target in targets {
        let (found, seeds) = (format!("target/fuzz/{target}"), format!("tests/fuzz/seeds/{target}"));
        std::fs::create_dir_all(&found)?;
        let limits =
            [format!("-max_total_time={seconds}"), "-rss_limit_mb=1024".into(), "-timeout=10".into()];
        let status = Command::new("cargo")
            .args([
                "fuzz",
                "run",
                "--fuzz-dir",
                "tests/fuzz",
                "--sanitizer",
                "none",
                &target,
                &found,
                &seeds,
                "--",
            ])
            .args(limits)
            .env("RUSTC_BOOTSTRAP", "1")
            .status()
            .context("cannot start cargo")?;
        if !status.success() {
            bail!("{target}: an input breaks it; see above");
        }
    }
    Ok(())
}

fn bench(rest: &[String]) -> Result<()> {
    debian::install()?;
    eprintln!("building the programs, optimised (the first time takes a quarter of an hour)");
    cargo(&["build", "--quiet", "--workspace", "--bins", "--release"])?;
    let arguments = ["bench", "--quiet", "--workspace", "--bench", "whole", "--"];
    cargo(&[&arguments, words(rest).as_slice()].concat())
}

fn golden() -> Result<()> {
    debian::install()?;
    let status = Command::new("cargo")
        .args(["test", "--quiet", "--workspace", "--test", "it", "golden"])
        .env("UPDATE_GOLDEN", "1")
        .status()
        .context("cannot start cargo")?;
    if status.success() { Ok(()) } else { bail!("drawing the golden pictures failed") }
}

fn ci() -> Result<()> {
    debian::install()?;
    cargo(&["fmt", "--all", "--check"]).context("formatting: run `cargo fmt --all`")?;
    cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    // Not in Debian, so not everywhere.
    if has_cargo("deny") {
        cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"])?;
    }
    test(&[])
}

fn has_cargo(command: &str) -> bool {
    let version = Command::new("cargo").args([command, "--version"]).output();
    version.is_ok_and(|output| output.status.success())
}

fn words(rest: &[String]) -> Vec<&str> {
    rest.iter().map(String::as_str).collect()
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let status = Command::new("cargo").args(arguments).status().context("cannot start cargo")?;
    if status.success() { Ok(()) } else { bail!("`cargo {}` failed", arguments.join(" ")) }
}
