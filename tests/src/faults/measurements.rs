//! Measurements of fault scenarios, and the limits that they must keep.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use emulator::faults::InjectableFault;

/// Limit for the touch latency, and for the next view after leaving a blocked one.
pub(super) const TOUCH_MAX: Duration = Duration::from_millis(100);
/// Limit for the first message that says what to do.
pub(super) const FIRST_NOTICE_MAX: Duration = Duration::from_secs(1);

/// Measurements of one fault scenario.
#[derive(Default)]
pub struct Measurements {
    /// Name of the fault.
    pub fault: String,
    /// Touch latencies while the fault was active.
    pub touches: Vec<Duration>,
    /// Time from the touch that leaves a blocked view to the next view.
    pub released: Option<Duration>,
    /// Time from the fault taking effect to the first message that says what to do, and the message.
    pub first_notice: Option<(Duration, String)>,
    /// Time from the fault taking effect to the outcome, failed or successful, and its text.
    pub outcome: Option<(Duration, String)>,
    /// Time from clearing the fault until the device is offered again.
    pub recovered_after: Option<Duration>,
    /// Touch latency on this machine without a fault.
    pub baseline: Option<Duration>,
    /// Whether the kiosk program ended or was restarted.
    pub restarted: bool,
    /// Errors of the fault scenario.
    pub problems: Vec<String>,
}

impl Measurements {
    pub(super) fn for_fault(fault: &InjectableFault) -> Self {
        Self { fault: fault.name(), ..Self::default() }
    }

    /// Median of the touch latencies.
    pub(super) fn median_touch(&self) -> Option<Duration> {
        let mut touches = self.touches.clone();
        touches.sort();
        touches.get(touches.len() / 2).copied()
    }

    /// Errors, without exceeded limits.
    fn errors(&self) -> Vec<String> {
        let restarted = self.restarted.then(|| "the kiosk program restarted".to_owned());
        self.problems.iter().cloned().chain(restarted).collect()
    }

    /// Errors and exceeded limits.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = self.errors();
        let late = |time: Option<Duration>, bound| time.is_some_and(|time: Duration| time > bound);
        // On a machine whose baseline exceeds the limit, a fault may add at most a quarter to the baseline.
        let at_once = self.baseline.map_or(TOUCH_MAX, |baseline| TOUCH_MAX.max(baseline * 5 / 4));
        if late(self.median_touch(), at_once) {
            failures.push("touch latency exceeds the limit".into());
        }
        if late(self.released, at_once) {
            failures.push("leaving the view exceeds the limit".into());
        }
        if late(self.first_notice.as_ref().map(|(time, _)| *time), FIRST_NOTICE_MAX) {
            failures.push("first message exceeds the limit".into());
        }
        failures
    }
}

impl fmt::Display for Measurements {
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
            ms(self.median_touch()),
            ms(self.released),
            worded(&self.first_notice),
            worded(&self.outcome),
            ms(self.recovered_after)
        )?;
        let failures = self.failures();
        if failures.is_empty() { Ok(()) } else { write!(f, "  ✗ {}", failures.join("; ")) }
    }
}

/// Measurements of all fault scenarios of a run.
#[derive(Default)]
pub struct FaultReport {
    rows: Vec<Measurements>,
    pub(super) baseline: Option<Duration>,
    pub(super) took: Duration,
    /// Invariants I1 to I9 that did not hold at the end.
    pub(super) audit: Vec<String>,
}

impl FaultReport {
    pub(super) fn push(&mut self, row: Measurements) {
        self.rows.push(row);
    }

    /// Number of fault scenarios that ran.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Errors without exceeded limits, for tests on a machine that runs other programs at the same time.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let of = |row: &Measurements| -> Vec<String> {
            row.errors().into_iter().map(|wrong| format!("{}: {wrong}", row.fault)).collect()
        };
        self.rows.iter().flat_map(of).chain(self.audit.iter().cloned()).collect()
    }

    /// Errors and exceeded limits of each fault scenario, then those of the audit.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let of = |row: &Measurements| -> Vec<String> {
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

impl fmt::Display for FaultReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        for failure in &self.audit {
            writeln!(f, "✗ {failure}")?;
        }
        if let Some(baseline) = self.baseline {
            writeln!(f, "touch latency without a fault: {} ms", baseline.as_millis())?;
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
