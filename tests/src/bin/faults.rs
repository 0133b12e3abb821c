//! `faults`: runs one fault scenario for each named fault against the running kiosk. Called by `cargo xtask faults`.

use std::env;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use system_tests::{faults, namespace};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut only = Vec::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only.push(arguments.next().context("--only needs a part of a fault's name")?),
            unknown => bail!("unknown argument `{unknown}`; expected --only PART, which may be repeated"),
        }
    }
    namespace::enter()?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the directory of the tests package has no parent")?;
    let target = repository.join("target");
    let table = faults::run(&target.join("faults-state"), &target.join("faults"), repository, &only)?;
    write!(io::stdout(), "{table}")?;
    if table.count() == 0 {
        bail!("no fault name contains the given part; the bench page lists all faults");
    }
    if table.failures().is_empty() {
        Ok(())
    } else {
        bail!(
            "{} expectations not met in {} fault scenarios; report: target/faults",
            table.failures().len(),
            table.count()
        )
    }
}
