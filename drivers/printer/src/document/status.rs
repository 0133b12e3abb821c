//! Status of an IPP printer and of a job.
//!
//! Keywords: RFC 8011, 5.4.12 (`printer-state-reasons`) and 5.3.7 (`job-state`); PWG 5100.9 for supplies. A suffix
//! gives the severity: `-report` can be ignored, `-warning` does not stop printing, `-error` or no suffix does.

use serde::{Deserialize, Serialize};

use crate::print_outcome::PrintFailure;

/// Status of a document printer, as the printer reports it. All fields false: ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent states of a device")]
pub struct DocumentPrinterStatus {
    /// The printer accepts no jobs or prints none, for one of the reasons below or for one that it does not report.
    pub stopped: bool,
    /// No suitable tray has paper.
    pub paper_out: bool,
    /// The paper is near its end.
    pub paper_low: bool,
    /// A tray is empty and the printer reports that it prints nevertheless. Some printers report this of their only
    /// tray.
    pub tray_empty: bool,
    /// A cover or flap is open.
    pub cover_open: bool,
    /// Paper is jammed, or the output tray is full or missing.
    pub jammed: bool,
    /// The toner or ink has run out.
    pub toner_out: bool,
    /// The toner or ink is near its end.
    pub toner_low: bool,
    /// The queue cannot reach its printer.
    pub unreachable: bool,
}

/// `printer-state` 5: stopped (RFC 8011, 5.4.11).
const STOPPED: i32 = 5;

impl DocumentPrinterStatus {
    /// Decodes `printer-state`, `printer-is-accepting-jobs` and `printer-state-reasons`. Unknown reasons have an
    /// effect only through the state.
    #[must_use]
    pub fn from_attributes<'a>(
        state: i32,
        accepting: bool,
        reasons: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let stopped = state == STOPPED || !accepting;
        let mut status = Self { stopped, ..Self::default() };
        for reason in reasons {
            let (keyword, is_severe) = match reason.rsplit_once('-') {
                Some((_, "report")) => continue,
                // One of several trays, or the last sheets: no fault, unless the printer has stopped.
                Some((keyword, "warning")) => (keyword, stopped),
                Some((keyword, "error")) => (keyword, true),
                Some(_) | None => (reason, true),
            };
            match keyword {
                "media-empty" | "media-needed" | "input-tray-missing" if is_severe => status.paper_out = true,
                "media-empty" | "media-needed" => (status.paper_low, status.tray_empty) = (true, true),
                "media-low" => status.paper_low = true,
                "cover-open" | "door-open" | "interlock-open" => status.cover_open |= is_severe,
                "media-jam" | "output-area-full" | "output-tray-missing" => status.jammed |= is_severe,
                "toner-empty" | "marker-supply-empty" | "developer-empty" if is_severe => {
                    status.toner_out = true
                }
                "toner-empty"
                | "marker-supply-empty"
                | "developer-empty"
                | "toner-low"
                | "marker-supply-low"
                | "developer-low" => status.toner_low = true,
                "offline" | "connecting-to-device" | "timed-out" | "shutdown" => {
                    status.unreachable |= is_severe
                }
                "paused" => status.stopped = true,
                _ => {}
            }
        }
        status
    }

    /// The condition that prevents printing; of several, the one that staff must clear first.
    #[must_use]
    pub fn blocking_failure(&self) -> Option<PrintFailure> {
        [
            (self.jammed, PrintFailure::Jammed),
            (self.cover_open, PrintFailure::CoverOpen),
            (self.paper_out, PrintFailure::PaperOut),
            (self.toner_out, PrintFailure::TonerOut),
            (self.unreachable, PrintFailure::NotResponding),
            (self.stopped, PrintFailure::Offline),
        ]
        .into_iter()
        .find_map(|(applies, failure)| applies.then_some(failure))
    }
}

/// Status of a print job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JobStatus {
    pub(crate) state: JobState,
    /// Whether the printer states that it never processed the job: `time-at-processing` has no value (RFC 8011, 5.3.14).
    /// A count of zero impressions proves less: a page that is not stacked yet is not counted.
    pub(crate) is_unprocessed: bool,
    /// Printed sheets or sides, as the printer counts them.
    pub(crate) sheets_printed: i32,
    /// Whether `job-state-reasons` report that the job ended with errors.
    pub(crate) errors: bool,
}

impl JobStatus {
    /// Whether the job has ended and no part of it is on paper or ever will be.
    pub(crate) fn proves_nothing_printed(self) -> bool {
        self.state == JobState::Ended && self.is_unprocessed && self.sheets_printed == 0
    }
}

/// `job-state` (RFC 8011, 5.3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobState {
    /// 3 pending, 4 pending-held.
    Waiting,
    /// 5 processing, 6 processing-stopped.
    Processing,
    /// 7 canceled, 8 aborted: no further part will be printed.
    Ended,
    /// 9 completed.
    Completed,
}

impl JobState {
    /// Decodes `job-state`. `None` for a number that RFC 8011 does not define.
    pub(crate) fn from_number(state: i32) -> Option<Self> {
        match state {
            3 | 4 => Some(Self::Waiting),
            5 | 6 => Some(Self::Processing),
            7 | 8 => Some(Self::Ended),
            9 => Some(Self::Completed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: i32 = 3;

    #[test]
    fn state_reasons_map_to_most_urgent_failure() {
        for (state, accepting, reasons, expected) in [
            (IDLE, true, vec!["none"], None),
            (STOPPED, true, vec!["media-empty-error", "toner-low-warning"], Some(PrintFailure::PaperOut)),
            (STOPPED, true, vec!["media-empty-warning"], Some(PrintFailure::PaperOut)),
            (IDLE, true, vec!["media-empty-warning"], None),
            (IDLE, true, vec!["media-empty"], Some(PrintFailure::PaperOut)),
            (STOPPED, true, vec!["cover-open", "media-needed"], Some(PrintFailure::CoverOpen)),
            (STOPPED, true, vec!["media-jam-error"], Some(PrintFailure::Jammed)),
            (IDLE, true, vec!["marker-supply-empty-error"], Some(PrintFailure::TonerOut)),
            (IDLE, true, vec!["offline-report"], None),
            (STOPPED, true, vec!["offline-error"], Some(PrintFailure::NotResponding)),
            (STOPPED, true, vec!["x-vendor-trouble"], Some(PrintFailure::Offline)),
            (IDLE, false, vec!["none"], Some(PrintFailure::Offline)),
            (IDLE, true, vec!["paused"], Some(PrintFailure::Offline)),
        ] {
            let status = DocumentPrinterStatus::from_attributes(state, accepting, reasons.iter().copied());
            assert_eq!(status.blocking_failure(), expected, "{state} {accepting} {reasons:?}");
        }
    }

    #[test]
    fn one_empty_tray_is_reported_and_does_not_block() {
        let status = DocumentPrinterStatus::from_attributes(4, true, ["media-empty-warning"]);

        assert!(status.tray_empty && status.blocking_failure().is_none());
    }

    #[test]
    fn low_supplies_are_reported_and_do_not_block() {
        let status = DocumentPrinterStatus::from_attributes(
            IDLE,
            true,
            ["toner-low-warning", "media-low-report", "media-low"],
        );

        assert!(status.toner_low && status.paper_low);
        assert_eq!(status.blocking_failure(), None);
    }
}
