//! What was measured, and what of it is good enough.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use virtual_hardware::faults::Fault;

/// A touch is answered within this, and who waits is released within this.
pub(super) const AT_ONCE: Duration = Duration::from_millis(100);
/// The screen says what to do within this.
pub(super) const TOLD: Duration = Duration::from_secs(1);

/// What one fault did to the kiosk.
#[derive(Default)]
pub struct Figures {
    /// Its name.
    pub fault: String,
    /// From touches to pixels, while the fault held.
    pub touches: Vec<Duration>,
    /// From leaving what hung to the next view.
    pub released: Option<Duration>,
    /// From the device's failing to words that say what to do, and those words.
    pub told: Option<(Duration, String)>,
    /// From the device's failing to its outcome: what it could not do, or what it did all the same.
    pub settled: Option<(Duration, String)>,
    /// From the mending to the device's being offered again.
    pub back: Option<Duration>,
    /// How soon a touch is answered on this machine where nothing is wrong.
    pub unhurt: Option<Duration>,
    /// The program was not the same afterwards.
    pub restarted: bool,
    /// What did not go as it should.
    pub problems: Vec<String>,
}

impl Figures {
    pub(super) fn of(fault: &Fault) -> Self {
        Self { fault: fault.name(), ..Self::default() }
    }

    /// The middle one of the touches.
    pub(super) fn touch(&self) -> Option<Duration> {
        let mut touches = self.touches.clone();
        touches.sort();
        touches.get(touches.len() / 2).copied()
    }

    /// What went wrong, however long it took.
    fn wrong(&self) -> Vec<String> {
        let restarted = self.restarted.then(|| "the kiosk was started again".to_owned());
        self.problems.iter().cloned().chain(restarted).collect()
    }

    /// What is not good enough.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = self.wrong();
        let late = |time: Option<Duration>, bound| time.is_some_and(|time: Duration| time > bound);
        // A machine that is slower than that without any fault is not made a quarter slower by one.
        let at_once = self.unhurt.map_or(AT_ONCE, |unhurt| AT_ONCE.max(unhurt * 5 / 4));
        if late(self.touch(), at_once) {
            failures.push("a touch was answered late".into());
        }
        if late(self.released, at_once) {
            failures.push("who waited was released late".into());
        }
        if late(self.told.as_ref().map(|(time, _)| *time), TOLD) {
            failures.push("what to do was told late".into());
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
            "{:<34} touch {:>4}  released {:>4}  told {}  settled {}  back {:>6}",
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

/// All faults that were tried.
#[derive(Default)]
pub struct Table {
    rows: Vec<Figures>,
    pub(super) unhurt: Option<Duration>,
    pub(super) took: Duration,
    /// What of I1 to I9 did not hold in the end.
    pub(super) audit: Vec<String>,
}

impl Table {
    pub(super) fn push(&mut self, row: Figures) {
        self.rows.push(row);
    }

    /// How many faults were tried.
    #[must_use]
    pub fn tried(&self) -> usize {
        self.rows.len()
    }

    /// What went wrong, however long it took: what a test may judge on a machine that has other work, too.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let of = |row: &Figures| -> Vec<String> {
            row.wrong().into_iter().map(|wrong| format!("{}: {wrong}", row.fault)).collect()
        };
        self.rows.iter().flat_map(of).chain(self.audit.iter().cloned()).collect()
    }

    /// What is not good enough, fault by fault, and then of the whole.
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
            writeln!(f, "without a fault a touch is answered here after {} ms", unhurt.as_millis())?;
        }
        let failures = self.failures().len();
        writeln!(
            f,
            "{} faults in {} s; times in milliseconds; {failures} expectations not met",
            self.rows.len(),
            self.took.as_secs()
        )
    }
}
