//! The scenarios and the fault scenarios as tests: `scenario::<id>` and `fault::<name>`. Each starts a rig of its own in
//! a network namespace, plays, and ends with the audit and the scan for personal data. By default a sample runs; the
//! rest is ignored, because it takes more than an hour.

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use emulator::faults::{InjectableFault, catalogue};
use libtest_mimic::{Arguments, Failed, Trial};
use system_tests::repository::repository;
use system_tests::scenarios::{self, SCENARIOS, Scenario};
use system_tests::{faults, namespace, phone_browser};

fn main() -> ExitCode {
    if namespace::is_inside() {
        return run_inside();
    }
    let mut arguments = Arguments::from_args();
    // A rig is a dozen programs; two at a time would be too slow for the timeouts of their scenarios.
    arguments.test_threads = Some(1);
    let tests = SCENARIOS.iter().map(scenario_test).chain(catalogue().map(|fault| fault_test(&fault)));
    libtest_mimic::run(&arguments, tests.collect()).exit_code()
}

fn scenario_test(scenario: &'static Scenario) -> Trial {
    let name = format!("scenario::{}", scenario.id);
    test(name, scenario.is_sample, scenario.needs_browser)
}

fn fault_test(fault: &InjectableFault) -> Trial {
    let name = fault.name();
    let is_sample = faults::SAMPLE.contains(&name.as_str());
    test(format!("fault::{name}"), is_sample, false)
}

/// A test that runs this program again in a network namespace, with the name of the test as its argument.
fn test(name: String, is_sample: bool, needs_browser: bool) -> Trial {
    let play = {
        let name = name.clone();
        move || -> Result<(), Failed> {
            if needs_browser {
                // There is no network inside.
                phone_browser::install_playwright(&repository().join("target"))?;
            }
            let output = namespace::command_inside(&env::current_exe()?).arg(&name).output()?;
            if output.status.success() {
                return Ok(());
            }
            Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
        }
    };
    Trial::test(name, play).with_ignored_flag(!is_sample)
}

fn run_inside() -> ExitCode {
    match namespace::prepare().and_then(|()| play()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Plays the scenario or fault scenario that the argument names.
fn play() -> Result<()> {
    let name = env::args().nth(1).context("the name of a test is missing")?;
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scenarios").join(name.replace("::", "-"));
    fs::create_dir_all(&place)?;
    let (state, page) = (place.join("state"), place.join("page"));
    let failures = match name.split_once("::") {
        Some(("scenario", id)) => {
            let scenario = SCENARIOS.iter().find(|scenario| scenario.id == id);
            let scenario = scenario.with_context(|| format!("no scenario is named `{id}`"))?;
            scenarios::run_scenario(&state, &page, scenario)?.failures()
        }
        // Limits of time are for `cargo xtask faults`, which has the machine for itself.
        Some(("fault", fault)) => faults::run_fault(&state, &page, fault)?.errors(),
        _ => bail!("`{name}` is not the name of a test"),
    };
    if failures.is_empty() {
        return Ok(());
    }
    bail!("{}\npictures: {}\nlogs: {}", failures.join("\n"), page.display(), state.join("logs").display())
}
