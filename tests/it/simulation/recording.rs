//! The random numbers of a run, and its recording: what happened, and which numbers were drawn for it.
//!
//! A run is determined by its seed as long as the simulation is not changed. Its recording determines it as long as the same
//! events ask for numbers with the same bounds, and says where that is no longer so.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Environment variable with the path of a recording that is to be replayed.
pub(crate) const REPLAY_VARIABLE: &str = "SIMULATION_REPLAY";

/// Source of the pseudo-random numbers of a run (xorshift64*), or of those of its recording.
pub(crate) struct SimRng {
    state: u64,
    recorded: Vec<RecordedEvent>,
    /// The rest of the recording that is replayed, the event in progress first.
    replayed: Option<VecDeque<RecordedEvent>>,
}

/// An event, and the numbers that were drawn while it was handled.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RecordedEvent {
    /// Simulated time in milliseconds.
    at: u64,
    what: String,
    /// Each number with its bound.
    draws: VecDeque<(u64, u64)>,
}

impl SimRng {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            recorded: Vec::new(),
            replayed: None,
        };
        rng.begin_event(0, || "begin".into());
        rng
    }

    fn replaying(events: VecDeque<RecordedEvent>) -> Self {
        let mut rng = Self::new(0);
        rng.replayed = Some(events);
        rng
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let recorded = self.replayed.as_mut().and_then(|events| replayed_draw(events, bound));
        let number = recorded.unwrap_or_else(|| {
            self.state ^= self.state >> 12;
            self.state ^= self.state << 25;
            self.state ^= self.state >> 27;
            (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
        });
        if let Some(event) = self.recorded.last_mut() {
            event.draws.push_back((number, bound));
        }
        number
    }

    /// True with a probability of `percent` in a hundred.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// An index of a list of this length.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    pub(crate) fn next_u128(&mut self) -> u128 {
        let halves = [self.below(1 << 31), self.below(1 << 31), self.below(1 << 31), self.below(1 << 31)];
        halves.iter().fold(0, |wide, half| wide << 31 | u128::from(*half))
    }

    /// An event begins: the numbers that are drawn from now on belong to it. False when the recording that is replayed has no
    /// further event.
    pub(crate) fn begin_event(&mut self, at: u64, what: impl FnOnce() -> String) -> bool {
        let event = RecordedEvent { at, what: what(), draws: VecDeque::new() };
        if let Some(events) = &mut self.replayed {
            let before = events.pop_front();
            let left = before.map_or(0, |before| before.draws.len());
            assert_eq!(
                left, 0,
                "the recording does not fit this simulation: numbers are left over before {event:?}"
            );
            let Some(next) = events.front() else { return false };
            assert!(
                (next.at, &next.what) == (event.at, &event.what),
                "the recording does not fit this simulation: it has {next:?} in the place of {event:?}"
            );
        }
        self.recorded.push(event);
        true
    }
}

/// The next number of a recording. None when the run failed before it was drawn, and does not fail any more.
fn replayed_draw(events: &mut VecDeque<RecordedEvent>, bound: u64) -> Option<u64> {
    let is_last = events.len() <= 1;
    let event = events.front_mut()?;
    let draw = event.draws.pop_front();
    let (at, what) = (event.at, &event.what);
    assert!(
        draw.map_or(is_last, |(_, recorded)| recorded == bound),
        "the recording does not fit this simulation: {draw:?} for a number below {bound} at {at} ms, {what}"
    );
    draw.map(|(number, _)| number)
}

/// A recording that was read from a file.
pub(crate) struct Recording {
    /// Name of the world.
    pub(crate) world: String,
    pub(crate) seed: u64,
    events: VecDeque<RecordedEvent>,
}

impl Recording {
    /// Reads the recording that the environment names; none when it names none.
    pub(crate) fn from_environment() -> Option<Self> {
        let path = PathBuf::from(std::env::var_os(REPLAY_VARIABLE)?);
        Some(Self::read(&path).unwrap_or_else(|error| panic!("cannot replay {}: {error}", path.display())))
    }

    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let (head, lines) = text.split_once('\n').ok_or("the file is empty")?;
        let (world, seed) =
            head.split_once(" world, seed ").ok_or("the first line is not that of a recording")?;
        let seed = seed.parse().map_err(|_| "the seed is not a number")?;
        let events =
            lines.lines().map(|line| parse_event(line).ok_or_else(|| format!("cannot read {line:?}")));
        Ok(Self { world: world.to_owned(), seed, events: events.collect::<Result<_, _>>()? })
    }

    pub(crate) fn into_rng(self) -> SimRng {
        SimRng::replaying(self.events)
    }
}

/// Writes the recording of a run into a folder, and returns the path of the file.
pub(crate) fn write_recording(
    folder: &Path,
    world: &str,
    seed: u64,
    rng: &SimRng,
) -> std::io::Result<PathBuf> {
    let mut text = format!("{world} world, seed {seed}\n");
    for event in &rng.recorded {
        let draws: Vec<String> =
            event.draws.iter().map(|(number, bound)| format!("{number}/{bound}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}\t{}\t{}", event.at, event.what, draws.join(" "));
    }
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("{world}-{seed}.txt"));
    std::fs::write(&path, text)?;
    Ok(path)
}

fn parse_event(line: &str) -> Option<RecordedEvent> {
    let mut parts = line.split('\t');
    let (at, what, draws) = (parts.next()?.parse().ok()?, parts.next()?.to_owned(), parts.next()?);
    let draw = |text: &str| {
        let (number, bound) = text.split_once('/')?;
        Some((number.parse().ok()?, bound.parse().ok()?))
    };
    Some(RecordedEvent { at, what, draws: draws.split_terminator(' ').map(draw).collect::<Option<_>>()? })
}
