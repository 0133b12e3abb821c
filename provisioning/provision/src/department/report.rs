//! What the checks found, for people. ID number and name of the test person are left out of every text.

use std::fmt;

use contract::DepartmentPerson;

/// Longest text of a body in the report, in characters.
const TEXT_MAX: usize = 600;

/// All lines of the report. No `Debug`: it holds the test person.
pub(crate) struct Report {
    person: DepartmentPerson,
    lines: Vec<Line>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its plain name.
    pub(crate) name: String,
    /// What came of it.
    pub(crate) outcome: Outcome,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The adapter does what the contract says.
    Ok,
    /// It could not be checked, and why.
    Skipped(String),
    /// It does not.
    Failed(Failure),
}

/// What an engineer needs to correct the adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The request.
    pub(crate) sent: String,
    /// What the contract says.
    pub(crate) expected: String,
    /// The answer.
    pub(crate) came: String,
    /// What to change.
    pub(crate) change: String,
}

impl Report {
    pub(crate) fn new(person: &DepartmentPerson) -> Self {
        Self { person: person.clone(), lines: Vec::new() }
    }

    /// Adds a check that is fulfilled, or failed.
    pub(crate) fn add(&mut self, name: impl Into<String>, failure: Option<Failure>) {
        let outcome = failure.map_or(Outcome::Ok, |failure| {
            Outcome::Failed(Failure {
                sent: self.shown(&failure.sent),
                expected: self.shown(&failure.expected),
                came: self.shown(&failure.came),
                change: self.shown(&failure.change),
            })
        });
        self.lines.push(Line { name: name.into(), outcome });
    }

    /// Adds a check that could not be made.
    pub(crate) fn skipped(&mut self, name: impl Into<String>, why: &str) {
        self.lines.push(Line { name: name.into(), outcome: Outcome::Skipped(why.to_owned()) });
    }

    /// How many checks failed.
    pub(crate) fn failed(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line.outcome, Outcome::Failed(_))).count()
    }

    /// All checks, in the order in which they were made.
    #[cfg(test)]
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// A text without the person, and without whatever has the form of an ID number.
    fn shown(&self, text: &str) -> String {
        let text = text.replace(&self.person.id_number, "<ID number>").replace(&self.person.name, "<name>");
        let shown = without_id_numbers(&text);
        match shown.char_indices().nth(TEXT_MAX) {
            Some((end, _)) => format!("{} …", shown.get(..end).unwrap_or_default().trim_end()),
            None => shown,
        }
    }
}

/// The text without runs of exactly 17 digits and a digit or X. A run that hexadecimal letters touch is part of a key, a hash or what is
/// sealed, and stays: the request can be sent again as it is shown.
fn without_id_numbers(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        shown.push_str(before);
        let digits = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let has_x = digits == 17 && from.as_bytes().get(17).is_some_and(|byte| matches!(byte, b'X' | b'x'));
        let length = if has_x { 18 } else { digits };
        let (run, after) = from.split_at(length);
        let is_hexadecimal =
            shown.ends_with(is_hexadecimal_letter) || after.starts_with(is_hexadecimal_letter);
        shown.push_str(if length == 18 && !is_hexadecimal { "<ID number>" } else { run });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

const fn is_hexadecimal_letter(letter: char) -> bool {
    matches!(letter, 'a'..='f')
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = [0_usize; 3];
        for Line { name, outcome } in &self.lines {
            match outcome {
                Outcome::Ok => {
                    counts[0] += 1;
                    writeln!(f, "ok       {name}")?;
                }
                Outcome::Failed(failure) => {
                    counts[1] += 1;
                    writeln!(f, "FAILED   {name}")?;
                    writeln!(f, "         sent:     {}", failure.sent)?;
                    writeln!(f, "         expected: {}", failure.expected)?;
                    writeln!(f, "         came:     {}", failure.came)?;
                    writeln!(f, "         change:   {}", failure.change)?;
                }
                Outcome::Skipped(why) => {
                    counts[2] += 1;
                    writeln!(f, "skipped  {name}: {why}")?;
                }
            }
        }
        let [ok, failed, skipped] = counts;
        writeln!(f, "{ok} ok, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_has_no_id_number_and_no_name() {
        let person = DepartmentPerson { id_number: "50011219480315042X".into(), name: "张桂英".into() };
        let mut report = Report::new(&person);
        let text = "50011219480315042X 张桂英 500112194803150422 1795000000000".to_owned();
        let failure =
            Failure { sent: text.clone(), expected: text.clone(), came: text.clone(), change: text };
        report.add("a", Some(failure));
        let shown = report.to_string();
        assert!(!shown.contains("500112") && !shown.contains("张桂英"), "{shown}");
        assert_eq!(shown.matches("<ID number> <name> <ID number> 1795000000000").count(), 4, "{shown}");
    }
}
