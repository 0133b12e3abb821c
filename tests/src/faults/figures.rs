//! Measurements of fault scenarios, and the limits that they must keep.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use virtual_hardware::faults::Fault;

/// Limit for the touch latency, and for the next view after leaving a blocked one.
pub(super) const AT_ONCE: Duration = Duration::from_millis(100);
/// Limit for the first message that says what to do.
pub(super) const TOLD: Duration = Duration::from_secs(1);

/// Measurements of one fault scenario.
#[derive(Default)]
pub struct Figures {
    /// Name of the fault.
    pub fault: String,
    /// Touch latencies while the fault was active.
    pub touches: Vec<Duration>,
    /// Time from the touch that leaves a blocked view to the next view.
    pub released: Option<Duration>,
    /// Time from the fault taking effect to the first message that says what to do, and the message.
    pub told: Option<(Duration, String)>,
    /// Time from the fault taking effect to the outcome, failed or successful, and its text.
    pub settled: Option<(Duration, String)>,
    /// Time from clearing the fault until the device is offered again.
    pub back: Option<Duration>,
    /// Touch latency on this machine without a fault.
    pub unhurt: Option<Duration>,
    /// Whether the kiosk program ended or was restarted.
    pub restarted: bool,
    /// Errors of the fault scenario.
    pub problems: Vec<String>,
}

impl Figures {
    pub(super) fn of(fault: &Fault) -> Self {
        Self { fault: fault.name(), ..Self::default() }
    }

    /// Median of the touch latencies.
    pub(super) fn touch(&self) -> Option<Duration> {
        let mut touches = self.touches.clone();
        touches.sort();
        touches.get(touches.len() / 2).copied()
    }

    /// Errors, without exceeded limits.
    fn wrong(&self) -> Vec<String> {
        let restarted = self.restarted.then(|| "the kiosk program restarted".to_owned());
        self.problems.iter().cloned().chain(restarted).collect()
    }

    /// Errors and exceeded limits.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = self.wrong();
        let late = |time: Option<Duration>, bound| time.is_some_and(|time: Duration| time > bound);
        // On a machine whose baseline exceeds the limit, a fault may add at most a quarter to the baseline.
        let at_once = self.unhurt.map_or(AT_ONCE, |unhurt| AT_ONCE.max(unhurt * 5 / 4));
        if late(self.touch(), at_once) {
            failures.push("touch latency exceeds the limit".into());
        }
        if late(self.released, at_once) {
            failures.push("leaving the view exceeds the limit".into());
        }
        if late(self.told.as_ref().map(|(time, _)| *time), TOLD) {
            failures.push("first message exceeds the limit".into());
        }
        failures
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms =
            |time: Option<Duration>| time.map_or_else(|| "–".into(), |time| time.as_millis().to_string());
        let worded = |what: &Option<(Duration, String)>| match what {
            Some((time, words)) => format!("{:>6} {words}", time.as_millis()),
            None => format!("{:>6}", "–"),
        };
        write!(
            f,
            "{:<34} touch {:>4}  released {:>4}  notice {}  outcome {}  recovered {:>6}",
            self.fault,
            ms(self.touch()),
            ms(self.released),
            worded(&self.told),
            worded(&self.settled),
            ms(self.back)
        )?;
        let failures = self.failures();
        if failures.is_empty() { Ok(()) } else { write!(f, "  ✗ {}", failures.join("; ")) }
    }
}

/// Measurements of all fault scenarios of a run.
#[derive(Default)]
pub struct Table {
    rows: Vec<Figures>,
    pub(super) unhurt: Option<Duration>,
    pub(super) took: Duration,
    /// Invariants I1 to I9 that did not hold at the end.
    pub(super) audit: Vec<String>,
}

impl Table {
    pub(super) fn push(&mut self, row: Figures) {
        self.rows.push(row);
    }

    /// Number of fault scenarios that ran.
    #[must_use]
    pub fn tried(&self) -> usize {
        self.rows.len()
    }

    /// Errors without exceeded limits, for tests on a machine that runs other programs at the same time.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let of = |row: &Figures| -> Vec<String> {
            row.wrong().into_iter().map(|wrong| format!("{}: {wrong}", row.fault)).collect()
        };
        self.rows.iter().flat_map(of).chain(self.audit.iter().cloned()).collect()
    }

    /// Errors and exceeded limits of each fault scenario, then those of the audit.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let of = |row: &Figures| -> Vec<String> {
            row.failures().into_iter().map(|failure| format!("{}: {failure}", row.fault)).collect()
        };
        self.rows.iter().flat_map(of).chain(self.audit.iter().cloned()).collect()
    }

    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)?;
        fs::write(directory.join("faults.txt"), self.to_string())?;
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        for failure in &self.audit {
            writeln!(f, "✗ {failure}")?;
        }
        if let Some(unhurt) = self.unhurt {
            writeln!(f, "touch latency without a fault: {} ms", unhurt.as_millis())?;
        }
        let failures = self.failures().len();
        writeln!(
            f,
            "{} fault scenarios in {} s; times in ms; {failures} expectations not met",
            self.rows.len(),
            self.took.as_secs()
        )
    }
}
