//! How far a command is: for the terminal, at least every ten seconds, and for the page of [`first_page`](crate::first_page).

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// No command is silent for longer than this while it works.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// On a terminal one line is rewritten this often.
const REDRAW: Duration = Duration::from_millis(500);
/// A remaining time is estimated only once this much of the work is done, in percent.
const ESTIMATE_FROM: u32 = 5;

/// A phase of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Debian packages are installed.
    Install,
    /// Programs are compiled.
    Build,
    /// Tests run.
    Test,
    /// Mutations are tested.
    Mutate,
    /// Programs are started.
    Start,
}

impl Phase {
    fn verb(self) -> &'static str {
        match self {
            Self::Install => "installing",
            Self::Build => "building",
            Self::Test => "testing",
            Self::Mutate => "mutating",
            Self::Start => "starting",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Build => "build",
            Self::Test => "test",
            Self::Mutate => "mutate",
            Self::Start => "start",
        }
    }
}

/// The phase that runs now.
#[derive(Clone)]
struct Running {
    phase: Phase,
    began: Instant,
    /// When `done` last changed.
    advanced: Instant,
    done: u32,
    total: u32,
    unit: &'static str,
    detail: String,
}

impl Running {
    /// Seconds that the phase may still take, by what it took so far.
    fn seconds_left(&self) -> Option<u64> {
        let far_enough = self.total > 0 && self.done * 100 >= self.total * ESTIMATE_FROM;
        let left = u64::from(self.total.saturating_sub(self.done));
        let by_rate = self.began.elapsed().as_secs() * left / u64::from(self.done.max(1));
        // A large unit at the end takes at least as long again as it has taken.
        far_enough.then(|| by_rate.max(self.advanced.elapsed().as_secs()))
    }

    fn line(&self) -> String {
        let mut line = self.phase.verb().to_owned();
        if self.total > 0 {
            let _ = write!(line, ": {} of {} {}", self.done, self.total, self.unit);
        }
        let _ = write!(line, ", {}", spoken(self.began.elapsed().as_secs()));
        if let Some(left) = self.seconds_left() {
            let _ = write!(line, ", about {} left", spoken(left));
        }
        if !self.detail.is_empty() {
            let _ = write!(line, " ({})", self.detail);
        }
        line
    }
}

fn spoken(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}

/// A phase that is over.
struct Done {
    phase: Phase,
    seconds: u64,
    /// What it did: the names of packages, the number of crates.
    words: String,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// Phases that are over.
    done: Vec<Done>,
    failure: Option<String>,
    /// What the terminal shows last is a line that may be rewritten.
    line_open: bool,
}

/// Progress of one command, shared by its threads.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<State>>);

impl Progress {
    /// Starts a thread that prints the progress.
    pub(crate) fn printed() -> Self {
        let progress = Self::default();
        let printer = progress.clone();
        thread::spawn(move || printer.print());
        progress
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self) {
        let terminal = std::io::stderr().is_terminal();
        let pause = if terminal { REDRAW } else { SILENCE_MAX };
        loop {
            thread::sleep(pause);
            let mut state = self.state();
            let Some(running) = &state.running else { continue };
            let line = running.line();
            let mut out = std::io::stderr().lock();
            // A closed standard error stops the words, not the work.
            let _ = if terminal { write!(out, "\r\x1b[K{line}") } else { writeln!(out, "{line}") };
            let _ = out.flush();
            state.line_open = terminal;
        }
    }

    /// Prints a line of its own, without tearing the progress line.
    pub(crate) fn say(&self, text: &str) {
        let mut state = self.state();
        let mut out = std::io::stderr().lock();
        if std::mem::take(&mut state.line_open) {
            let _ = write!(out, "\r\x1b[K");
        }
        let _ = writeln!(out, "{text}");
    }

    /// A phase begins; what runs before it ends.
    pub(crate) fn begin(&self, phase: Phase, unit: &'static str, words: &str) {
        self.say(words);
        let now = Instant::now();
        let running =
            Running { phase, began: now, advanced: now, done: 0, total: 0, unit, detail: String::new() };
        self.state().running = Some(running);
    }

    /// The phase that runs has done so much of so much.
    pub(crate) fn advance(&self, done: u32, total: u32, detail: &str) {
        if let Some(running) = &mut self.state().running {
            if running.done != done {
                running.advanced = Instant::now();
            }
            (running.done, running.total) = (done, total);
            detail.clone_into(&mut running.detail);
        }
    }

    /// The phase that runs is over, and did this.
    pub(crate) fn finish(&self, words: &str) {
        let mut state = self.state();
        let mut out = std::io::stderr().lock();
        if std::mem::take(&mut state.line_open) {
            let _ = write!(out, "\r\x1b[K");
        }
        if let Some(running) = state.running.take() {
            let seconds = running.began.elapsed().as_secs();
            state.done.push(Done { phase: running.phase, seconds, words: words.to_owned() });
        }
    }

    /// The command fails for this reason.
    pub(crate) fn fail(&self, reason: &str) {
        let mut state = self.state();
        state.failure = Some(reason.to_owned());
    }

    /// The state for the page, as JSON.
    pub(crate) fn json(&self) -> String {
        let state = self.state();
        let done: Vec<String> = state
            .done
            .iter()
            .map(|Done { phase, seconds, words }| {
                format!(r#"{{"phase":"{}","seconds":{seconds},"words":{}}}"#, phase.name(), quoted(words))
            })
            .collect();
        let running = state.running.as_ref().map_or_else(
            || "null".to_owned(),
            |one| {
                let left = one.seconds_left().map_or_else(|| "null".to_owned(), |left| left.to_string());
                format!(
                    r#"{{"phase":"{}","done":{},"total":{},"seconds":{},"left":{left},"detail":{}}}"#,
                    one.phase.name(),
                    one.done,
                    one.total,
                    one.began.elapsed().as_secs(),
                    quoted(&one.detail),
                )
            },
        );
        let failure = state.failure.as_deref().map_or_else(|| "null".to_owned(), quoted);
        format!(r#"{{"done":[{}],"running":{running},"failure":{failure}}}"#, done.join(","))
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(done: u32, total: u32, seconds: u64) -> Running {
        let began = Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        Running {
            phase: Phase::Build,
            began,
            advanced: Instant::now(),
            done,
            total,
            unit: "crates",
            detail: "slint".to_owned(),
        }
    }

    #[test]
    fn progress_line_says_how_far_and_how_long() {
        assert_eq!(
            running(100, 400, 90).line(),
            "building: 100 of 400 crates, 1 min 30 s, about 4 min 30 s left (slint)"
        );
    }

    #[test]
    fn estimate_with_little_done_is_none() {
        assert_eq!(running(1, 400, 3).seconds_left(), None);
        assert_eq!(running(0, 0, 3).seconds_left(), None);
    }

    #[test]
    fn json_of_all_states_is_well_formed() {
        let progress = Progress::default();
        assert_eq!(progress.json(), r#"{"done":[],"running":null,"failure":null}"#);
        progress.begin(Phase::Install, "packages", "installing");
        progress.advance(1, 2, "a \"quoted\"\tname");
        progress.finish("2 packages");
        progress.fail("no\nspace");
        let expected = r#"{"done":[{"phase":"install","seconds":0,"words":"2 packages"}],"running":null,"failure":"no\u000aspace"}"#;
        assert_eq!(progress.json(), expected);
    }
}
