//! One printer on one line: asked before, watched while, and asked after it prints.
//!
//! The course of a receipt: two clean answers to `DLE EOT 1..4`; if a command may have been left half sent, its end
//! and a reset; the commands one by one with a question in between; the fence. Whatever goes wrong after the first
//! byte was taken makes the outcome unconfirmed, and the printer is told to forget what it has not printed, so that
//! the rest of one receipt does not come out on the next roll.
//!
//! Not noticed: a printer that loses its power in the middle of a receipt and is back within [`MUTE_AFTER`] questions.
//! It answers the fence of a receipt whose head it has forgotten.

use std::time::{Duration, Instant};

use crate::answers::{Answer, AnswerParser, Status};
use crate::compose::{self, COMMAND_MAX, Document, FENCE, ProcessId};
use crate::link::{Link, LinkFault};
use crate::outcome::{Confirmation, Outcome, Progress, Why};
use crate::profile::{Evidence, Profile, StatusQuery};
use crate::receipt::Receipt;

/// A printer answers a real-time question within this, or it is mute: two that were not answered are told within a
/// second.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(350);

/// Questions in a row without an answer that make a printer mute while it prints, when some answer late.
const MUTE_AFTER: u32 = 6;

/// A printer that takes no byte for this long while it prints has stalled.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest single wait on the line: how often progress is reported.
const SLICE: Duration = Duration::from_millis(500);

/// Bytes after which the printer is asked again whether it still prints, at the next end of a command.
const ASK_EVERY: usize = 256;

/// What a printer may take for a line of text, from the slowest models of the profiles (guessed: 60 mm/s).
const LINE_TIME: Duration = Duration::from_millis(50);

/// What a printer may take besides: wake up, cut, answer.
const REST_TIME: Duration = Duration::from_secs(5);

/// How long after the fence the process id may come: it is sent when the paper stands still.
const ECHO_GRACE: Duration = Duration::from_secs(2);

/// Most bytes that are read at once and thrown away at once: more than this is a line that babbles.
const DRAIN_MAX: usize = 4096;

/// `DLE DC4` function 8: forget everything received and not printed. Answered by the block `37h 25h`. All of it is
/// control characters, so a printer that does not know it prints nothing.
const CLEAR_BUFFERS: [u8; 10] = [0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8];

/// Identifier of the block that answers [`CLEAR_BUFFERS`].
const CLEARED: [u8; 2] = [0x37, 0x25];

/// Identifier of the block that echoes a process id.
const ECHO: [u8; 2] = [0x37, 0x22];

/// `ESC @`: back to the defaults.
const INITIALIZE: [u8; 2] = [0x1B, b'@'];

/// A printer.
pub struct Printer {
    link: Box<dyn Link + Send>,
    profile: Profile,
    parser: AnswerParser,
    heard: Heard,
    left_over: LeftOver,
    receipts: u32,
}

/// What an earlier receipt may have left in the printer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeftOver {
    Nothing,
    /// This line was opened anew: another process may have died in the middle of a command.
    Unknown,
    /// A receipt was broken off: there is a part of it on the paper, too.
    Fragment,
}

/// Evidence that came in since the fence was sent.
#[derive(Default)]
struct Heard {
    /// Answers to `GS r 1`; a line that loses power sends NULs, which look the same.
    fences: u32,
    /// Bytes that no printer sends. Then the others are not believed either, a process id excepted.
    noise: bool,
    echo: Option<ProcessId>,
    cleared: bool,
}

impl Printer {
    /// Takes a printer on an open line. Sends nothing yet.
    pub fn open(link: Box<dyn Link + Send>, profile: Profile) -> Self {
        Self {
            link,
            profile,
            parser: AnswerParser::default(),
            heard: Heard::default(),
            left_over: LeftOver::Unknown,
            // An echo that is still under way from an earlier process should not match.
            receipts: std::process::id(),
        }
    }

    /// Takes the same printer on a line that was opened again, and remembers what an earlier receipt may have left in it.
    pub fn relink(&mut self, link: Box<dyn Link + Send>) {
        self.link = link;
        self.parser = AnswerParser::default();
        if self.left_over == LeftOver::Nothing {
            self.left_over = LeftOver::Unknown;
        }
    }

    /// Asks the printer how it is. One that has no status counts as ready.
    ///
    /// # Errors
    /// [`LinkFault::TimedOut`] if it does not answer, others if the line is gone: then open it again.
    pub fn status(&mut self) -> Result<Status, LinkFault> {
        self.drain()?;
        self.ask()
    }

    /// Prints one receipt, whole, once. Returns after seconds as a rule; after a minute or so at worst, if a slow
    /// line or printer has to be waited for. `progress` is called at least every few seconds meanwhile.
    pub fn print(&mut self, receipt: &Receipt, progress: &mut dyn FnMut(Progress)) -> Outcome {
        self.receipts = self.receipts.wrapping_add(1);
        let process_id = ProcessId::nth(self.receipts);
        let document = match compose::compose(receipt, &self.profile, process_id) {
            Ok(document) => document,
            Err(fault) => {
                tracing::warn!(fault = &fault as &dyn std::error::Error, "a receipt cannot be drawn");
                return Outcome::NotStarted(Why::Unprintable);
            }
        };
        progress(Progress::Asking);
        if let Err(why) = self.get_ready(progress) {
            return Outcome::NotStarted(why);
        }
        let mut sending = Sending::of(&document);
        let result = self
            .send(&document, &mut sending, progress)
            .and_then(|()| self.confirm(&document, process_id, progress));
        match result {
            Ok(Some(confirmation)) => Outcome::Printed { confirmation },
            Ok(None) => Outcome::Unconfirmed(Why::NoEvidence),
            Err(why) if sending.sent_bytes == 0 => Outcome::NotStarted(why),
            Err(why) => {
                self.abandon(why);
                Outcome::Unconfirmed(why)
            }
        }
    }

    /// Two clean answers in a row, with what was left over cleared in between.
    fn get_ready(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), Why> {
        match self.status() {
            Ok(status) => status.obstacle().map_or(Ok(()), Err)?,
            // A printer in the middle of a command may take the question for its data.
            Err(LinkFault::TimedOut) if self.left_over != LeftOver::Nothing => {}
            Err(fault) => return Err(why_not(fault)),
        }
        if self.left_over != LeftOver::Nothing {
            self.clear_left_over(progress)?;
        }
        let status = self.status().map_err(why_not)?;
        status.obstacle().map_or(Ok(()), Err)
    }

    /// Ends a command that was broken off (NUL is white in a picture and nothing between commands), clears, resets,
    /// and moves a fragment of another receipt out of the way.
    fn clear_left_over(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), Why> {
        let mut sending = Sending { sent_bytes: 0, total_bytes: COMMAND_MAX };
        self.write(&[0; COMMAND_MAX], &mut sending, &mut |_| progress(Progress::Asking))?;
        self.heard.cleared = false;
        self.write(&CLEAR_BUFFERS, &mut sending, &mut |_| progress(Progress::Asking))?;
        // What is sent before the answer may be cleared with the rest. Few clones answer: not to is no fault.
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

    /// Sends the commands, and asks now and then whether they are still being printed.
    fn send(
        &mut self,
        document: &Document,
        sending: &mut Sending,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Why> {
        let mut asked_at = 0;
        for step in &document.steps {
            if sending.sent_bytes - asked_at >= ASK_EVERY {
                self.still_printing()?;
                asked_at = sending.sent_bytes;
            }
            self.write(step, sending, progress)?;
        }
        self.still_printing()?;
        // Whatever came before this moment is no evidence of this receipt.
        self.drain().map_err(why_not)?;
        self.heard = Heard::default();
        self.write(&document.fence, sending, progress)
    }

    /// Hands all bytes to the line; counts what it took even if it stops.
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

    /// Whether the printer is on line; if not, why.
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

    /// Waits for the best evidence that this printer gives. `None` if it gives none at all.
    fn confirm(
        &mut self,
        document: &Document,
        process_id: ProcessId,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<Confirmation>, Why> {
        progress(Progress::Confirming);
        match self.profile.evidence {
            Evidence::Blind => Ok(None),
            // The question comes after the last byte on the line, so its answer says that all have arrived.
            Evidence::Received => {
                self.still_printing()?;
                self.undisturbed(Confirmation::Received).map(Some)
            }
            Evidence::Fence | Evidence::ProcessId => {
                let confirmation = self.await_fence(document, process_id, progress)?;
                self.still_printing()?;
                self.undisturbed(confirmation).map(Some)
            }
        }
    }

    /// A confirmation, if the line carried nothing else: what babbles says *printed* sooner or later, too.
    fn undisturbed(&self, confirmation: Confirmation) -> Result<Confirmation, Why> {
        let believed =
            confirmation == Confirmation::ProcessId || (!self.heard.noise && self.heard.fences == 0);
        if believed { Ok(confirmation) } else { Err(Why::NoEvidence) }
    }

    /// Waits for the fence. A line that loses power sends NULs, and a NUL is what a fence looks like: so the fence is
    /// put a second time after the first answer, and each must be answered exactly once. A process id cannot be mistaken.
    fn await_fence(
        &mut self,
        document: &Document,
        process_id: ProcessId,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Confirmation, Why> {
        let mut sending = Sending::of(document);
        let deadline = self.link.now() + self.time_allowed(document);
        let mut first_fence_at: Option<Instant> = None;
        let mut second_fence = false;
        let mut unanswered = 0;
        loop {
            progress(Progress::Confirming);
            if self.heard.echo == Some(process_id) {
                return Ok(Confirmation::ProcessId);
            }
            let now = self.link.now();
            let echo_hoped_for = self.profile.evidence == Evidence::ProcessId;
            match (first_fence_at, second_fence) {
                (None, _) if self.heard.fences > 0 => {
                    self.drain().map_err(why_not)?;
                    self.take_one_fence()?;
                    first_fence_at = Some(now);
                    self.write(&FENCE, &mut sending, &mut |_| progress(Progress::Confirming))?;
                    continue;
                }
                (Some(_), false) if self.heard.fences > 0 => {
                    self.take_one_fence()?;
                    second_fence = true;
                    continue;
                }
                (Some(at), true) if !(echo_hoped_for && now < at + ECHO_GRACE) => {
                    return Ok(Confirmation::Fence);
                }
                (None | Some(_), _) => {}
            }
            if now >= deadline {
                return Err(self.reason_for_standstill(Why::NoEvidence));
            }
            if self.hear_until(deadline.min(now + SLICE)).map_err(why_not)?.is_none() {
                // Silence: still printing, or something a person must see to.
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

    /// Counts one answer to a fence; more than were asked for are none.
    fn take_one_fence(&mut self) -> Result<(), Why> {
        match std::mem::take(&mut self.heard.fences) {
            1 => Ok(()),
            _ => Err(Why::NoEvidence),
        }
    }

    fn time_allowed(&self, document: &Document) -> Duration {
        let bytes = u32::try_from(document.total_bytes()).unwrap_or(u32::MAX);
        let on_the_line = Duration::from_secs(1) * bytes / self.link.bytes_per_second().max(1);
        on_the_line + LINE_TIME * document.lines + REST_TIME
    }

    /// Why nothing moves: what the printer says, or `otherwise` if it says that all is well.
    fn reason_for_standstill(&mut self, otherwise: Why) -> Why {
        match self.status() {
            Ok(status) => status.obstacle().unwrap_or(otherwise),
            Err(fault) => why_not(fault),
        }
    }

    /// After a receipt was broken off: the printer shall forget what it has not printed. Best effort; what follows on
    /// this line is cleared once more before the next receipt.
    fn abandon(&mut self, why: Why) {
        self.left_over = LeftOver::Fragment;
        self.link.discard();
        if why != Why::Gone {
            let mut rest = &CLEAR_BUFFERS[..];
            while let Ok(count) = self.link.write_some(rest, SLICE) {
                rest = rest.get(count..).unwrap_or_default();
                if rest.is_empty() {
                    break;
                }
            }
        }
    }

    /// Asks `DLE EOT` 1 to 4.
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
        // An answer that came too late belongs to an earlier question.
        self.drain()?;
        let question = [0x10, 0x04, n];
        let deadline = self.link.now() + ANSWER_TIMEOUT;
        let mut rest = &question[..];
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

    /// Hears what is already there, without waiting.
    fn drain(&mut self) -> Result<(), LinkFault> {
        for _ in 0..DRAIN_MAX {
            if self.hear_until(self.link.now())?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Reads one byte and keeps what it says as evidence. `None` if none came by `deadline`; `Some(Some(_))` if it is
    /// the answer to a real-time question.
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

/// How far a receipt has gone out.
struct Sending {
    sent_bytes: usize,
    total_bytes: usize,
}

impl Sending {
    fn of(document: &Document) -> Self {
        Self { sent_bytes: 0, total_bytes: document.total_bytes() }
    }
}

/// What a fault of the line means for a receipt.
fn why_not(fault: LinkFault) -> Why {
    match fault {
        LinkFault::TimedOut => Why::Mute,
        LinkFault::Absent | LinkFault::Busy | LinkFault::Gone | LinkFault::Failed(_) => Why::Gone,
    }
}
