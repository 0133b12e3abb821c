//! `faults`: runs one fault scenario for each named fault against the running kiosk. Called by `cargo xtask faults`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use system_tests::repository::repository;
use system_tests::{faults, namespace};

/// Injects each named fault of each device into the running kiosk and checks what screen, platform and log then say.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Runs only the faults whose name contains PART; may be repeated.
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    namespace::enter()?;
    let target = repository().join("target");
    let table = faults::run(&target.join("faults-state"), &target.join("faults"), &arguments.only)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_definition_is_valid() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
