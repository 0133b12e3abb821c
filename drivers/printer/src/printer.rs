//! A receipt printer on a link: status before printing, monitoring while it prints, confirmation afterwards.
//!
//! The course of a receipt: two clean answers to `DLE EOT 1..4`; if a command may have been interrupted, padding
//! that ends it and a reset; the commands one by one with status queries in between; the print barrier. Any failure
//! after the first accepted byte makes the outcome unconfirmed. The driver then clears the printer's buffer, so
//! that the rest of one receipt is not printed on the next roll.
//!
//! Not detected: a printer that loses power in the middle of a receipt and restarts within [`UNANSWERED_MAX`] status
//! queries. Such a printer answers the barrier of a receipt whose beginning it has lost.

use std::time::{Duration, Instant};

use crate::answers::{Answer, AnswerParser, Status};
use crate::compose::{self, COMMAND_MAX, Document, FENCE, ProcessId};
use crate::link::{Link, LinkFault};
use crate::outcome::{Confirmation, Outcome, Progress, Why};
use crate::profile::{Evidence, Profile, StatusQuery};
use crate::receipt::Receipt;

/// Timeout of a real-time status query. Short enough to report two unanswered queries within a second.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(350);

/// Consecutive unanswered status queries after which a printing printer counts as not responding. Some models
/// answer late while they print.
const MUTE_AFTER: u32 = 6;

/// A printer that accepts no byte for this long while it prints has stalled.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest single wait on the link, and so the interval of progress reports.
const SLICE: Duration = Duration::from_millis(500);

/// Bytes between two status queries while sending; the query waits for the end of the current command.
const ASK_EVERY: usize = 256;

/// Printing time of a line of text, for the slowest model of the profiles (a guess: 60 mm/s).
const LINE_TIME: Duration = Duration::from_millis(50);

/// Allowance for everything else: wake-up, cut, answer.
const REST_TIME: Duration = Duration::from_secs(5);

/// How long the process id may arrive after the barrier: the printer sends it when the paper has stopped.
const ECHO_GRACE: Duration = Duration::from_secs(2);

/// Most bytes that [`ReceiptPrinter::drain`] reads; more than this is a disturbed line.
const DRAIN_MAX: usize = 4096;

/// `DLE DC4` function 8: clears everything received and not printed. The printer answers with the block `37h 25h`.
/// The command has control characters only, so a printer that does not support it prints nothing.
const CLEAR_BUFFERS: [u8; 10] = [0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8];

/// Identifier of the block that answers [`CLEAR_BUFFERS`].
const CLEARED: [u8; 2] = [0x37, 0x25];

/// Identifier of the block that echoes a process id.
const ECHO: [u8; 2] = [0x37, 0x22];

/// `ESC @`: resets the printer to its defaults.
const INITIALIZE: [u8; 2] = [0x1B, b'@'];

/// A receipt printer on a link.
pub struct Printer {
    link: Box<dyn Link + Send>,
    profile: Profile,
    parser: AnswerParser,
    heard: Heard,
    left_over: LeftOver,
    receipts: u32,
}

/// Data of an earlier receipt that may still be in the printer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeftOver {
    Nothing,
    /// The link was newly opened: another process may have died in the middle of a command.
    Unknown,
    /// A receipt was interrupted: a part of it is also on the paper.
    Fragment,
}

/// Answers received since the barrier was sent.
#[derive(Default)]
struct Heard {
    /// Answers to `GS r 1`. A line that loses power sends NULs, which look the same.
    fences: u32,
    /// Whether bytes arrived that no printer sends. Then the other answers do not count either, except a process id.
    noise: bool,
    echo: Option<ProcessId>,
    cleared: bool,
}

impl Printer {
    /// Creates the driver of a printer on an open link. Sends nothing.
    pub fn open(link: Box<dyn Link + Send>, profile: Profile) -> Self {
        Self {
            link,
            profile,
            parser: AnswerParser::default(),
            heard: Heard::default(),
            left_over: LeftOver::Unknown,
            // The echo of an earlier process, still in transit, should not match.
            receipts: std::process::id(),
        }
    }

    /// Continues with the same printer on a newly opened link. Keeps the knowledge of what an earlier receipt may
    /// have left in the printer.
    pub fn relink(&mut self, link: Box<dyn Link + Send>) {
        self.link = link;
        self.parser = AnswerParser::default();
        if self.left_over == LeftOver::Nothing {
            self.left_over = LeftOver::Unknown;
        }
    }

    /// Queries the status of the printer. A model without status queries counts as ready.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if the printer does not answer; another fault if the link ended and must be opened
    /// again.
    pub fn status(&mut self) -> Result<Status, LinkFault> {
        self.drain()?;
        self.ask()
    }

    /// Prints one whole receipt once. Usually returns after seconds; with a slow line or printer after about a
    /// minute at worst. Calls `progress` at least every few seconds.
    pub fn print(&mut self, receipt: &Receipt, progress: &mut dyn FnMut(Progress)) -> Outcome {
        self.receipts = self.receipts.wrapping_add(1);
        let process_id = ProcessId::nth(self.receipts);
        let encoded = match compose::compose(receipt, &self.profile, process_id) {
            Ok(encoded) => encoded,
            Err(fault) => {
                tracing::warn!(
                    fault = &fault as &dyn std::error::Error,
                    "cannot encode receipt: nothing was sent to the printer"
                );
                return Outcome::NotStarted(Why::Unprintable);
            }
        };
        progress(Progress::Asking);
        if let Err(failure) = self.get_ready(progress) {
            return Outcome::NotStarted(failure);
        }
        let mut sending = Sending::of(&encoded);
        let result = self
            .send(&encoded, &mut sending, progress)
            .and_then(|()| self.confirm(&encoded, process_id, progress));
        match result {
            Ok(Some(confirmation)) => Outcome::Printed { confirmation },
            Ok(None) => Outcome::Unconfirmed(Why::NoEvidence),
            Err(failure) if sending.sent_bytes == 0 => Outcome::NotStarted(failure),
            Err(failure) => {
                self.abandon(failure);
                Outcome::Unconfirmed(failure)
            }
        }
    }

    /// Requires two clean status answers, and clears leftover data between them.
    fn get_ready(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), Why> {
        match self.status() {
            Ok(status) => status.obstacle().map_or(Ok(()), Err)?,
            // A printer in the middle of a command may take the query for data.
            Err(LinkFault::TimedOut) if self.left_over != LeftOver::Nothing => {}
            Err(fault) => return Err(why_not(fault)),
        }
        if self.left_over != LeftOver::Nothing {
            self.clear_left_over(progress)?;
        }
        let status = self.status().map_err(why_not)?;
        status.obstacle().map_or(Ok(()), Err)
    }

    /// Ends an interrupted command with NULs (white in a bitmap, ignored between commands), clears the buffer,
    /// resets the printer, and cuts off a fragment of an earlier receipt.
    fn clear_left_over(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), Why> {
        let mut sending = Sending { sent_bytes: 0, total_bytes: COMMAND_MAX };
        self.write(&[0; COMMAND_MAX], &mut sending, &mut |_| progress(Progress::Asking))?;
        self.heard.cleared = false;
        self.write(&CLEAR_BUFFERS, &mut sending, &mut |_| progress(Progress::Asking))?;
        // Bytes sent before the answer could be cleared too. Few clones answer, so a missing answer is not a fault.
        let deadline = self.link.now() + ANSWER_TIMEOUT;
        while !self.heard.cleared && self.hear_until(deadline).map_err(why_not)?.is_some() {}
        self.write(&INITIALIZE, &mut sending, &mut |_| progress(Progress::Asking))?;
        if self.left_over == LeftOver::Fragment {
            let ending = compose::ending(self.profile.cutter);
            self.write(&ending, &mut sending, &mut |_| progress(Progress::Asking))?;
        }
        self.left_over = LeftOver::Nothing;
        Ok(())
    }

    /// Sends the commands, with a status query after every [`QUERY_INTERVAL_BYTES`].
    fn send(
        &mut self,
        encoded: &Document,
        sending: &mut Sending,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Why> {
        let mut queried_at = 0;
        for step in &encoded.steps {
            if sending.sent_bytes - queried_at >= ASK_EVERY {
                self.still_printing()?;
                queried_at = sending.sent_bytes;
            }
            self.write(step, sending, progress)?;
        }
        self.still_printing()?;
        // Answers received before this moment do not confirm this receipt.
        self.drain().map_err(why_not)?;
        self.heard = Heard::default();
        self.write(&encoded.fence, sending, progress)
    }

    /// Writes all bytes to the link. Counts the accepted bytes even on failure.
    fn write(
        &mut self,
        bytes: &[u8],
        sending: &mut Sending,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Why> {
        let mut rest = bytes;
        let mut moved_at = self.link.now();
        while !rest.is_empty() {
            progress(Progress::Sending { sent_bytes: sending.sent_bytes, total_bytes: sending.total_bytes });
            match self.link.write_some(rest, SLICE) {
                Ok(count) => {
                    sending.sent_bytes += count;
                    rest = rest.get(count..).unwrap_or_default();
                    moved_at = self.link.now();
                }
                Err(LinkFault::TimedOut) if self.link.now() < moved_at + PROGRESS_TIMEOUT => {}
                Err(LinkFault::TimedOut) => return Err(self.reason_for_standstill(Why::Stalled)),
                Err(fault) => return Err(why_not(fault)),
            }
        }
        Ok(())
    }

    /// Checks that the printer still prints; the error is the reason why it does not.
    fn still_printing(&mut self) -> Result<(), Why> {
        for _ in 0..MUTE_AFTER {
            match self.ask() {
                Ok(status) => return status.obstacle().map_or(Ok(()), Err),
                Err(LinkFault::TimedOut) => {}
                Err(fault) => return Err(why_not(fault)),
            }
        }
        Err(Why::Mute)
    }

    /// Waits for the strongest confirmation that the model gives. `None` if the model gives none.
    fn confirm(
        &mut self,
        encoded: &Document,
        process_id: ProcessId,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<Confirmation>, Why> {
        progress(Progress::Confirming);
        match self.profile.evidence {
            Evidence::Blind => Ok(None),
            // The query follows the last byte on the line, so the answer means that all bytes have arrived.
            Evidence::Received => {
                self.still_printing()?;
                self.undisturbed(Confirmation::Received).map(Some)
            }
            Evidence::Fence | Evidence::ProcessId => {
                let confirmation = self.await_fence(encoded, process_id, progress)?;
                self.still_printing()?;
                self.undisturbed(confirmation).map(Some)
            }
        }
    }

    /// Accepts a confirmation only if nothing else was received: a noisy line sends a confirmation sooner or later
    /// too.
    fn undisturbed(&self, confirmation: Confirmation) -> Result<Confirmation, Why> {
        let accepted =
            confirmation == Confirmation::ProcessId || (!self.heard.noise && self.heard.fences == 0);
        if accepted { Ok(confirmation) } else { Err(Why::NoEvidence) }
    }

    /// Waits for the answer to the barrier. A line that loses power sends NULs, and a NUL looks like that answer.
    /// The barrier is therefore sent a second time after the first answer, and each must be answered exactly once.
    /// A process id is unambiguous.
    fn await_fence(
        &mut self,
        encoded: &Document,
        process_id: ProcessId,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Confirmation, Why> {
        let mut sending = Sending::of(encoded);
        let deadline = self.link.now() + self.time_allowed(encoded);
        let mut first_barrier_at: Option<Instant> = None;
        let mut second_barrier_answered = false;
        let mut unanswered = 0;
        loop {
            progress(Progress::Confirming);
            if self.heard.echo == Some(process_id) {
                return Ok(Confirmation::ProcessId);
            }
            let now = self.link.now();
            let echo_expected = self.profile.evidence == Evidence::ProcessId;
            match (first_barrier_at, second_barrier_answered) {
                (None, _) if self.heard.fences > 0 => {
                    self.drain().map_err(why_not)?;
                    self.take_one_fence()?;
                    first_barrier_at = Some(now);
                    self.write(&FENCE, &mut sending, &mut |_| progress(Progress::Confirming))?;
                    continue;
                }
                (Some(_), false) if self.heard.fences > 0 => {
                    self.take_one_fence()?;
                    second_barrier_answered = true;
                    continue;
                }
                (Some(at), true) if !(echo_expected && now < at + ECHO_GRACE) => {
                    return Ok(Confirmation::Fence);
                }
                (None | Some(_), _) => {}
            }
            if now >= deadline {
                return Err(self.reason_for_standstill(Why::NoEvidence));
            }
            if self.hear_until(deadline.min(now + SLICE)).map_err(why_not)?.is_none() {
                // No answer yet: the printer still prints, or a person must intervene.
                match self.ask() {
                    Ok(status) => {
                        unanswered = 0;
                        status.obstacle().map_or(Ok(()), Err)?;
                    }
                    Err(LinkFault::TimedOut) if unanswered + 1 < MUTE_AFTER => unanswered += 1,
                    Err(fault) => return Err(why_not(fault)),
                }
            }
        }
    }

    /// Takes exactly one barrier answer; more answers than barriers confirm nothing.
    fn take_one_fence(&mut self) -> Result<(), Why> {
        match std::mem::take(&mut self.heard.fences) {
            1 => Ok(()),
            _ => Err(Why::NoEvidence),
        }
    }

    fn time_allowed(&self, encoded: &Document) -> Duration {
        let bytes = u32::try_from(encoded.total_bytes()).unwrap_or(u32::MAX);
        let sending_time = Duration::from_secs(1) * bytes / self.link.bytes_per_second().max(1);
        sending_time + LINE_TIME * encoded.lines + REST_TIME
    }

    /// Why the printer has stopped: the condition it reports, or `otherwise` if it reports none.
    fn reason_for_standstill(&mut self, otherwise: Why) -> Why {
        match self.status() {
            Ok(status) => status.obstacle().unwrap_or(otherwise),
            Err(fault) => why_not(fault),
        }
    }

    /// After an interrupted receipt: clears what the printer has not printed. Best effort; the buffer is cleared
    /// once more before the next receipt.
    fn abandon(&mut self, failure: Why) {
        self.left_over = LeftOver::Fragment;
        self.link.discard();
        if failure != Why::Gone {
            let mut rest = &CLEAR_BUFFERS[..];
            while let Ok(count) = self.link.write_some(rest, SLICE) {
                rest = rest.get(count..).unwrap_or_default();
                if rest.is_empty() {
                    break;
                }
            }
        }
    }

    /// Queries the status by `DLE EOT` 1 to 4.
    fn ask(&mut self) -> Result<Status, LinkFault> {
        match self.profile.status {
            StatusQuery::None => Ok(Status::default()),
            StatusQuery::RealTime => {
                let mut answers = [0; 4];
                for (n, answer) in (1..).zip(&mut answers) {
                    *answer = self.ask_one(n)?;
                }
                Ok(Status::from_answers(answers))
            }
        }
    }

    /// Sends `DLE EOT n` and waits for its answer.
    fn ask_one(&mut self, n: u8) -> Result<u8, LinkFault> {
        // A late answer belongs to an earlier query.
        self.drain()?;
        let query = [0x10, 0x04, n];
        let deadline = self.link.now() + ANSWER_TIMEOUT;
        let mut rest = &query[..];
        while !rest.is_empty() {
            let count = self.link.write_some(rest, deadline.saturating_duration_since(self.link.now()))?;
            rest = rest.get(count..).unwrap_or_default();
        }
        loop {
            match self.hear_until(deadline)? {
                Some(Some(status)) => return Ok(status),
                Some(None) => {}
                None => return Err(LinkFault::TimedOut),
            }
        }
    }

    /// Processes the bytes that have already arrived, without waiting.
    fn drain(&mut self) -> Result<(), LinkFault> {
        for _ in 0..DRAIN_MAX {
            if self.hear_until(self.link.now())?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Reads one byte and records the answer that it completes. `None` if no byte arrived by `deadline`;
    /// `Some(Some(_))` if the byte is a real-time status.
    fn hear_until(&mut self, deadline: Instant) -> Result<Option<Option<u8>>, LinkFault> {
        let mut byte = [0];
        match self.link.read_some(&mut byte, deadline.saturating_duration_since(self.link.now())) {
            Ok(_) => {}
            Err(LinkFault::TimedOut) => return Ok(None),
            Err(fault) => return Err(fault),
        }
        let [byte] = byte;
        Ok(Some(match self.parser.push(byte) {
            Some(Answer::RealTime(status)) => Some(status),
            Some(Answer::Fence) => {
                self.heard.fences += 1;
                None
            }
            Some(Answer::Noise) => {
                self.heard.noise = true;
                None
            }
            Some(Answer::Block(block)) => {
                self.heard.cleared |= block.starts_with(&CLEARED);
                if let Some(id) = block.strip_prefix(&ECHO[..]) {
                    self.heard.echo = <[u8; 4]>::try_from(id).ok().map(ProcessId);
                }
                None
            }
            None => None,
        }))
    }
}

/// Bytes of a receipt sent so far, for progress reports.
struct Sending {
    sent_bytes: usize,
    total_bytes: usize,
}

impl Sending {
    fn of(encoded: &Document) -> Self {
        Self { sent_bytes: 0, total_bytes: encoded.total_bytes() }
    }
}

/// The print failure that a link fault means.
fn why_not(fault: LinkFault) -> Why {
    match fault {
        LinkFault::TimedOut => Why::Mute,
        LinkFault::Absent | LinkFault::Busy | LinkFault::Gone | LinkFault::Failed(_) => Why::Gone,
    }
}
