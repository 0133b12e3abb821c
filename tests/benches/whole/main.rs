//! Benchmark of the whole system on this machine, on real interfaces: `cargo xtask bench`.
//!
//! Each line names the measurement, its number of samples, their median and their maximum. The time of a card reading
//! is split by running the driver without a kiosk. The screen is read through the accessibility tree, so that such a
//! time is too long by up to one read of the screen, which is measured, too.

mod gate;
mod kiosk;
mod slot;
mod transport;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use system_tests::namespace;
use system_tests::repository::{repository, residents_file};
use system_tests::rig::{DeviceOptions, KioskPlan, Rig};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    namespace::enter()?;
    let state = repository().join("target/bench-state");
    let mut rig = Rig::start(&state)?;
    gate::verdicts(&state.join("gate"))?;
    transport::measure(&state)?;
    slot::split(&residents_file())?;
    rig.add_kiosk(KioskPlan {
        site: "district-hall",
        screen: None,
        slot: Some(0),
        devices: DeviceOptions::default(),
    })?;
    kiosk::measure(rig.kiosks.first_mut().context("the kiosk that was just added")?)
}

/// Prints one line: measurement, number of samples, median, maximum.
fn report(what: &str, mut times: Vec<Duration>) -> Result<()> {
    times.sort();
    let ms = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0);
    let (median, worst) = (ms(times.get(times.len() / 2)), ms(times.last()));
    writeln!(io::stdout(), "{what:<52} n={:<4} median {median:>9.2} ms  worst {worst:>9.2} ms", times.len())?;
    Ok(())
}

/// Prints one line: measurement, number of samples, 50th and 99th percentile.
fn report_percentiles(what: &str, mut times: Vec<Duration>) -> Result<()> {
    times.sort();
    let at = |share: usize| {
        let time = times.get(times.len() * share / 100).or(times.last());
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    };
    let (p50, p99, n) = (at(50), at(99), times.len());
    writeln!(io::stdout(), "{what:<52} n={n:<4} p50 {p50:>9.2} ms  p99 {p99:>9.2} ms")?;
    Ok(())
}

/// Prints a line with one value.
fn note(what: &str, figure: &str) -> Result<()> {
    writeln!(io::stdout(), "{what:<52} {figure}")?;
    Ok(())
}
