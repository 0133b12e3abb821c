//! `faults`: every named fault against the running kiosk. Called by `cargo xtask faults`.

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
            "--only" => only.push(arguments.next().context("--only wants a part of a fault's name")?),
            unknown => bail!("`{unknown}` is not known; there is --only PART, which may be repeated"),
        }
    }
    namespace::enter()?;
    let repository =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests lie in a repository")?;
    let target = repository.join("target");
    let table = faults::run(&target.join("faults-state"), &target.join("faults"), repository, &only)?;
    write!(io::stdout(), "{table}")?;
    if table.tried() == 0 {
        bail!("no fault has such a name");
    }
    if table.failures().is_empty() { Ok(()) } else { bail!("not all is met; see target/faults") }
}
