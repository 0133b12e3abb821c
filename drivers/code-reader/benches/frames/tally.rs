//! Counts codes read and CPU time of each decoder.

use std::io;

use crate::peer::NAMES;

/// Results of one decoder.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    read: u32,
    wrong: u32,
    costs: Vec<f64>,
}

/// Results of all three decoders on the same pictures.
#[derive(Default)]
pub(crate) struct Tallies {
    shown: u32,
    pub(crate) ours: Tally,
    pub(crate) theirs: [Tally; 2],
}

impl Tally {
    /// Records the result of one frame; returns whether it was correct.
    pub(crate) fn record(&mut self, text: Option<&str>, expected: &str, milliseconds: f64) -> bool {
        self.costs.push(milliseconds);
        let right = text == Some(expected);
        self.read += u32::from(right);
        self.wrong += u32::from(text.is_some() && !right);
        right
    }

    pub(crate) fn median(&mut self) -> f64 {
        self.costs.sort_by(f64::total_cmp);
        self.costs.get(self.costs.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

impl Tallies {
    pub(crate) fn count_shown(&mut self) {
        self.shown += 1;
    }

    /// This decoder, then the peers.
    pub(crate) fn each(&mut self) -> impl Iterator<Item = &mut Tally> {
        std::iter::once(&mut self.ours).chain(&mut self.theirs)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.shown += other.shown;
        let others = std::iter::once(&other.ours).chain(&other.theirs);
        for (tally, other) in self.each().zip(others) {
            tally.read += other.read;
            tally.wrong += other.wrong;
            tally.costs.extend(&other.costs);
        }
    }

    pub(crate) fn print(&mut self, name: &str, with_peers: bool, out: &mut impl io::Write) -> io::Result<()> {
        let shown = self.shown;
        write!(out, "{name:<16}")?;
        let names = std::iter::once("read").chain(NAMES).take(if with_peers { 3 } else { 1 });
        for (name, tally) in names.zip(self.each()) {
            let other = if tally.wrong == 0 { String::new() } else { format!(", {} otherwise", tally.wrong) };
            let median = tally.median();
            write!(out, "   {name} {} of {shown}{other}, {median:.1} ms", tally.read)?;
        }
        writeln!(out)
    }
}
