//! A receipt printer on a link: status before printing, monitoring while it prints, confirmation afterwards.
//!
//! The course of a receipt: two clean answers to `DLE EOT 1..4`; if a command may have been interrupted, padding
//! that ends it and a reset; the commands one by one with status queries in between; the print barrier. Any failure
//! after the first accepted byte, or of the write of that byte, makes the outcome unconfirmed. The driver then clears the printer's buffer, so
//! that the rest of one receipt is not printed on the next roll.
//!
//! Not detected: a printer that loses power in the middle of a receipt and restarts within [`UNANSWERED_MAX`] status
//! queries. Such a printer answers the barrier of a receipt whose beginning it has lost.

use std::time::{Duration, Instant};

use serial_link::{Link, LinkFault};

use crate::answers::{AnswerParser, PrinterAnswer, PrinterStatus};
use crate::compose::{self, BARRIER, COMMAND_MAX, EncodedReceipt, ProcessId};
use crate::print_outcome::{PrintConfirmation, PrintFailure, PrintOutcome, PrintProgress};
use crate::profile::{ConfirmationMethod, PrinterProfile, StatusQuery};
use crate::receipt::PrintableReceipt;

/// Timeout of a real-time status query. Short enough to report two unanswered queries within a second.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(350);

/// Consecutive unanswered status queries after which a printing printer counts as not responding. Some models
/// answer late while they print.
const UNANSWERED_MAX: u32 = 6;

/// A printer that accepts no byte for this long while it prints has stalled.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest single wait on the link, and so the interval of progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Bytes between two status queries while sending; the query waits for the end of the current command.
const QUERY_INTERVAL_BYTES: usize = 256;

/// Printing time of a line of text, for the slowest model of the profiles (a guess: 60 mm/s).
const LINE_TIME: Duration = Duration::from_millis(50);

/// Allowance for everything else: wake-up, cut, answer.
const OVERHEAD_TIME: Duration = Duration::from_secs(5);

/// How long the process id may arrive after the barrier: the printer sends it when the paper has stopped.
const ECHO_GRACE: Duration = Duration::from_secs(2);

/// Most bytes that [`ReceiptPrinter::drain`] reads; more than this is a disturbed line.
const DRAIN_BYTES_MAX: usize = 4096;

/// `DLE DC4` function 8: clears everything received and not printed. The printer answers with the block `37h 25h`.
/// The command has control characters only, so a printer that does not support it prints nothing.
const CLEAR_BUFFERS: [u8; 10] = [0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8];

/// Identifier of the block that answers [`CLEAR_BUFFERS`].
const CLEARED_BLOCK: [u8; 2] = [0x37, 0x25];

/// Identifier of the block that echoes a process id.
const PROCESS_ID_BLOCK: [u8; 2] = [0x37, 0x22];

/// `ESC @`: resets the printer to its defaults.
const INITIALIZE: [u8; 2] = [0x1B, b'@'];

/// A receipt printer on a link.
pub struct ReceiptPrinter {
    link: Box<dyn Link + Send>,
    profile: PrinterProfile,
    parser: AnswerParser,
    received: ReceivedAnswers,
    residue: Residue,
    receipts: u32,
}

/// Data of an earlier receipt that may still be in the printer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Residue {
    Nothing,
    /// The link was newly opened: another process may have died in the middle of a command.
    Unknown,
    /// A receipt was interrupted: a part of it is also on the paper.
    Fragment,
}

/// Answers received since the barrier was sent.
#[derive(Default)]
struct ReceivedAnswers {
    /// Answers to `GS r 1`. A line that loses power sends NULs, which look the same.
    barriers: u32,
    /// Whether bytes arrived that no printer sends. Then the other answers do not count either, except a process id.
    noise: bool,
    echo: Option<ProcessId>,
    cleared: bool,
}

impl ReceiptPrinter {
    /// Creates the driver of a printer on an open link. Sends nothing.
    pub fn open(link: Box<dyn Link + Send>, profile: PrinterProfile) -> Self {
        Self {
            link,
            profile,
            parser: AnswerParser::default(),
            received: ReceivedAnswers::default(),
            residue: Residue::Unknown,
            // The echo of an earlier process, still in transit, should not match.
            receipts: std::process::id(),
        }
    }

    /// Continues with the same printer on a newly opened link. Keeps the knowledge of what an earlier receipt may
    /// have left in the printer.
    pub fn relink(&mut self, link: Box<dyn Link + Send>) {
        self.link = link;
        self.parser = AnswerParser::default();
        if self.residue == Residue::Nothing {
            self.residue = Residue::Unknown;
        }
    }

    /// Queries the status of the printer. A model without status queries counts as ready.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if the printer does not answer; another fault if the link ended and must be opened
    /// again.
    pub fn status(&mut self) -> Result<PrinterStatus, LinkFault> {
        self.drain()?;
        self.query_status()
    }

    /// Prints one whole receipt once. Usually returns after seconds; with a slow line or printer after about a
    /// minute at worst. Calls `progress` at least every few seconds.
    pub fn print(
        &mut self,
        receipt: &PrintableReceipt,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> PrintOutcome {
        self.receipts = self.receipts.wrapping_add(1);
        let process_id = ProcessId::nth(self.receipts);
        let encoded = match compose::compose(receipt, &self.profile, process_id) {
            Ok(encoded) => encoded,
            Err(fault) => {
                tracing::warn!(
                    fault = &fault as &dyn std::error::Error,
                    "cannot encode receipt: nothing was sent to the printer"
                );
                return PrintOutcome::NotStarted(PrintFailure::Unprintable);
            }
        };
        progress(PrintProgress::QueryingStatus);
        if let Err(failure) = self.ensure_ready(progress) {
            return PrintOutcome::NotStarted(failure);
        }
        let mut sending = SendProgress::for_receipt(&encoded);
        let result = self
            .send(&encoded, &mut sending, progress)
            .and_then(|()| self.confirm(&encoded, process_id, progress));
        match result {
            Ok(Some(confirmation)) => PrintOutcome::Printed { confirmation },
            Ok(None) => PrintOutcome::Unconfirmed(PrintFailure::NoConfirmation),
            Err(failure) if sending.is_nothing_sent() => PrintOutcome::NotStarted(failure),
            Err(failure) => {
                self.abandon(failure);
                PrintOutcome::Unconfirmed(failure)
            }
        }
    }

    /// Requires two clean status answers, and clears leftover data between them.
    fn ensure_ready(&mut self, progress: &mut dyn FnMut(PrintProgress)) -> Result<(), PrintFailure> {
        match self.status() {
            Ok(status) => status.blocking_failure().map_or(Ok(()), Err)?,
            // A printer in the middle of a command may take the query for data.
            Err(LinkFault::TimedOut) if self.residue != Residue::Nothing => {}
            Err(fault) => return Err(failure_from_link(fault)),
        }
        if self.residue != Residue::Nothing {
            self.clear_residue(progress)?;
        }
        let status = self.status().map_err(failure_from_link)?;
        status.blocking_failure().map_or(Ok(()), Err)
    }

    /// Ends an interrupted command with NULs (white in a bitmap, ignored between commands), clears the buffer,
    /// resets the printer, and cuts off a fragment of an earlier receipt.
    fn clear_residue(&mut self, progress: &mut dyn FnMut(PrintProgress)) -> Result<(), PrintFailure> {
        let mut sending = SendProgress::of(COMMAND_MAX);
        self.write_bytes(&[0; COMMAND_MAX], &mut sending, &mut |_| progress(PrintProgress::QueryingStatus))?;
        self.received.cleared = false;
        self.write_bytes(&CLEAR_BUFFERS, &mut sending, &mut |_| progress(PrintProgress::QueryingStatus))?;
        // Bytes sent before the answer could be cleared too. Few clones answer, so a missing answer is not a fault.
        let deadline = self.link.now() + ANSWER_TIMEOUT;
        while !self.received.cleared && self.read_answer_until(deadline).map_err(failure_from_link)?.is_some()
        {
        }
        self.write_bytes(&INITIALIZE, &mut sending, &mut |_| progress(PrintProgress::QueryingStatus))?;
        if self.residue == Residue::Fragment {
            let ending = compose::receipt_end(self.profile.cutter);
            self.write_bytes(&ending, &mut sending, &mut |_| progress(PrintProgress::QueryingStatus))?;
        }
        self.residue = Residue::Nothing;
        Ok(())
    }

    /// Sends the commands, with a status query after every [`QUERY_INTERVAL_BYTES`].
    fn send(
        &mut self,
        encoded: &EncodedReceipt,
        sending: &mut SendProgress,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Result<(), PrintFailure> {
        let mut queried_at = 0;
        for step in &encoded.commands {
            if sending.sent_bytes - queried_at >= QUERY_INTERVAL_BYTES {
                self.check_printing()?;
                queried_at = sending.sent_bytes;
            }
            self.write_bytes(step, sending, progress)?;
        }
        self.check_printing()?;
        // Answers received before this moment do not confirm this receipt.
        self.drain().map_err(failure_from_link)?;
        self.received = ReceivedAnswers::default();
        self.write_bytes(&encoded.barrier, sending, progress)
    }

    /// Writes all bytes to the link. Counts the accepted bytes even on failure.
    fn write_bytes(
        &mut self,
        bytes: &[u8],
        sending: &mut SendProgress,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Result<(), PrintFailure> {
        let mut rest = bytes;
        let mut moved_at = self.link.now();
        while !rest.is_empty() {
            progress(PrintProgress::Sending {
                sent_bytes: sending.sent_bytes,
                total_bytes: sending.total_bytes,
            });
            match self.link.write_some(rest, PROGRESS_INTERVAL) {
                Ok(count) => {
                    sending.sent_bytes += count;
                    rest = rest.get(count..).unwrap_or_default();
                    moved_at = self.link.now();
                }
                Err(LinkFault::TimedOut) if self.link.now() < moved_at + PROGRESS_TIMEOUT => {}
                Err(LinkFault::TimedOut) => return Err(self.stall_reason(PrintFailure::Stalled)),
                Err(fault) => {
                    sending.has_failed_write = true;
                    return Err(failure_from_link(fault));
                }
            }
        }
        Ok(())
    }

    /// Checks that the printer still prints; the error is the reason why it does not.
    fn check_printing(&mut self) -> Result<(), PrintFailure> {
        for _ in 0..UNANSWERED_MAX {
            match self.query_status() {
                Ok(status) => return status.blocking_failure().map_or(Ok(()), Err),
                Err(LinkFault::TimedOut) => {}
                Err(fault) => return Err(failure_from_link(fault)),
            }
        }
        Err(PrintFailure::NotResponding)
    }

    /// Waits for the strongest confirmation that the model gives. `None` if the model gives none.
    fn confirm(
        &mut self,
        encoded: &EncodedReceipt,
        process_id: ProcessId,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Result<Option<PrintConfirmation>, PrintFailure> {
        progress(PrintProgress::Confirming);
        match self.profile.confirmation_method {
            ConfirmationMethod::None => Ok(None),
            // The query follows the last byte on the line, so the answer means that all bytes have arrived.
            ConfirmationMethod::StatusOnly => {
                self.check_printing()?;
                self.require_clean_line(PrintConfirmation::Received).map(Some)
            }
            ConfirmationMethod::Barrier | ConfirmationMethod::ProcessId => {
                let confirmation = self.await_barrier(encoded, process_id, progress)?;
                self.check_printing()?;
                self.require_clean_line(confirmation).map(Some)
            }
        }
    }

    /// Accepts a confirmation only if nothing else was received: a noisy line sends a confirmation sooner or later
    /// too.
    fn require_clean_line(&self, confirmation: PrintConfirmation) -> Result<PrintConfirmation, PrintFailure> {
        let accepted = confirmation == PrintConfirmation::ProcessId
            || (!self.received.noise && self.received.barriers == 0);
        if accepted { Ok(confirmation) } else { Err(PrintFailure::NoConfirmation) }
    }

    /// Waits for the answer to the barrier. A line that loses power sends NULs, and a NUL looks like that answer.
    /// The barrier is therefore sent a second time after the first answer, and each must be answered exactly once.
    /// A process id is unambiguous.
    fn await_barrier(
        &mut self,
        encoded: &EncodedReceipt,
        process_id: ProcessId,
        progress: &mut dyn FnMut(PrintProgress),
    ) -> Result<PrintConfirmation, PrintFailure> {
        let mut sending = SendProgress::for_receipt(encoded);
        let deadline = self.link.now() + self.print_timeout(encoded);
        let mut first_barrier_at: Option<Instant> = None;
        let mut second_barrier_answered = false;
        let mut unanswered = 0;
        loop {
            progress(PrintProgress::Confirming);
            if self.received.echo == Some(process_id) {
                return Ok(PrintConfirmation::ProcessId);
            }
            let now = self.link.now();
            let echo_expected = self.profile.confirmation_method == ConfirmationMethod::ProcessId;
            match (first_barrier_at, second_barrier_answered) {
                (None, _) if self.received.barriers > 0 => {
                    self.drain().map_err(failure_from_link)?;
                    self.consume_barrier()?;
                    first_barrier_at = Some(now);
                    self.write_bytes(&BARRIER, &mut sending, &mut |_| progress(PrintProgress::Confirming))?;
                    continue;
                }
                (Some(_), false) if self.received.barriers > 0 => {
                    self.consume_barrier()?;
                    second_barrier_answered = true;
                    continue;
                }
                (Some(at), true) if !(echo_expected && now < at + ECHO_GRACE) => {
                    return Ok(PrintConfirmation::Barrier);
                }
                (None | Some(_), _) => {}
            }
            if now >= deadline {
                return Err(self.stall_reason(PrintFailure::NoConfirmation));
            }
            if self
                .read_answer_until(deadline.min(now + PROGRESS_INTERVAL))
                .map_err(failure_from_link)?
                .is_none()
            {
                // No answer yet: the printer still prints, or a person must intervene.
                match self.query_status() {
                    Ok(status) => {
                        unanswered = 0;
                        status.blocking_failure().map_or(Ok(()), Err)?;
                    }
                    Err(LinkFault::TimedOut) if unanswered + 1 < UNANSWERED_MAX => unanswered += 1,
                    Err(fault) => return Err(failure_from_link(fault)),
                }
            }
        }
    }

    /// Takes exactly one barrier answer; more answers than barriers confirm nothing.
    fn consume_barrier(&mut self) -> Result<(), PrintFailure> {
        match std::mem::take(&mut self.received.barriers) {
            1 => Ok(()),
            _ => Err(PrintFailure::NoConfirmation),
        }
    }

    fn print_timeout(&self, encoded: &EncodedReceipt) -> Duration {
        let bytes = u32::try_from(encoded.total_bytes()).unwrap_or(u32::MAX);
        let sending_time = Duration::from_secs(1) * bytes / self.link.bytes_per_second().max(1);
        sending_time + LINE_TIME * encoded.lines + OVERHEAD_TIME
    }

    /// Why the printer has stopped: the condition it reports, or `otherwise` if it reports none.
    fn stall_reason(&mut self, otherwise: PrintFailure) -> PrintFailure {
        match self.status() {
            Ok(status) => status.blocking_failure().unwrap_or(otherwise),
            Err(fault) => failure_from_link(fault),
        }
    }

    /// After an interrupted receipt: clears what the printer has not printed. Best effort; the buffer is cleared
    /// once more before the next receipt.
    fn abandon(&mut self, failure: PrintFailure) {
        self.residue = Residue::Fragment;
        self.link.discard();
        if failure != PrintFailure::Disconnected {
            let mut rest = &CLEAR_BUFFERS[..];
            while let Ok(count) = self.link.write_some(rest, PROGRESS_INTERVAL) {
                rest = rest.get(count..).unwrap_or_default();
                if rest.is_empty() {
                    break;
                }
            }
        }
    }

    /// Queries the status by `DLE EOT` 1 to 4.
    fn query_status(&mut self) -> Result<PrinterStatus, LinkFault> {
        match self.profile.status_query {
            StatusQuery::None => Ok(PrinterStatus::default()),
            StatusQuery::RealTime => {
                let mut answers = [0; 4];
                for (n, answer) in (1..).zip(&mut answers) {
                    *answer = self.query_status_byte(n)?;
                }
                Ok(PrinterStatus::from_answers(answers))
            }
        }
    }

    /// Sends `DLE EOT n` and waits for its answer.
    fn query_status_byte(&mut self, n: u8) -> Result<u8, LinkFault> {
        // A late answer belongs to an earlier query.
        self.drain()?;
        let query = [0x10, 0x04, n];
        let deadline = self.link.now() + ANSWER_TIMEOUT;
        self.link.write_all(&query, ANSWER_TIMEOUT)?;
        loop {
            match self.read_answer_until(deadline)? {
                Some(Some(status)) => return Ok(status),
                Some(None) => {}
                None => return Err(LinkFault::TimedOut),
            }
        }
    }

    /// Processes the bytes that have already arrived, without waiting.
    fn drain(&mut self) -> Result<(), LinkFault> {
        for _ in 0..DRAIN_BYTES_MAX {
            if self.read_answer_until(self.link.now())?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Reads one byte and records the answer that it completes. `None` if no byte arrived by `deadline`;
    /// `Some(Some(_))` if the byte is a real-time status.
    fn read_answer_until(&mut self, deadline: Instant) -> Result<Option<Option<u8>>, LinkFault> {
        let mut byte = [0];
        match self.link.read_some(&mut byte, deadline.saturating_duration_since(self.link.now())) {
            Ok(_) => {}
            Err(LinkFault::TimedOut) => return Ok(None),
            Err(fault) => return Err(fault),
        }
        let [byte] = byte;
        Ok(Some(match self.parser.push(byte) {
            Some(PrinterAnswer::RealTimeStatus(status)) => Some(status),
            Some(PrinterAnswer::Barrier) => {
                self.received.barriers += 1;
                None
            }
            Some(PrinterAnswer::Noise) => {
                self.received.noise = true;
                None
            }
            Some(PrinterAnswer::Block(block)) => {
                self.received.cleared |= block.starts_with(&CLEARED_BLOCK);
                if let Some(id) = block.strip_prefix(&PROCESS_ID_BLOCK[..]) {
                    self.received.echo = <[u8; 4]>::try_from(id).ok().map(ProcessId);
                }
                None
            }
            None => None,
        }))
    }
}

/// Bytes of a receipt sent so far, for progress reports.
struct SendProgress {
    sent_bytes: usize,
    total_bytes: usize,
    /// Whether a write failed other than by a timeout. How many of its bytes reached the printer is unknown: `usblp`
    /// reports the error of a transfer, not how much of it was transferred.
    has_failed_write: bool,
}

impl SendProgress {
    fn for_receipt(encoded: &EncodedReceipt) -> Self {
        Self::of(encoded.total_bytes())
    }

    fn of(total_bytes: usize) -> Self {
        Self { sent_bytes: 0, total_bytes, has_failed_write: false }
    }

    /// Whether no byte can have reached the printer.
    fn is_nothing_sent(&self) -> bool {
        self.sent_bytes == 0 && !self.has_failed_write
    }
}

/// The print failure that a link fault means.
fn failure_from_link(fault: LinkFault) -> PrintFailure {
    match fault {
        LinkFault::TimedOut => PrintFailure::NotResponding,
        LinkFault::Absent | LinkFault::Busy | LinkFault::Gone | LinkFault::Failed(_) => {
            PrintFailure::Disconnected
        }
    }
}
