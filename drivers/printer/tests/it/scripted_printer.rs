//! A scripted printer behind a link, with a simulated clock and one injected fault.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use printer::{PrintableReceipt, ReceiptBlock};
use serial_link::{Link, LinkFault};

/// A fault that a test injects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InjectedFault {
    /// The link ends.
    Unplugged,
    /// The printer accepts bytes, but neither prints nor answers.
    NotResponding,
    /// Like [`InjectedFault::NotResponding`], and the line receives one NUL from the falling supply voltage.
    NotRespondingWithNul,
    /// The paper runs out: the printer reports it and accepts bytes, but neither prints nor answers a barrier.
    PaperOut,
    /// The cover is opened.
    CoverOpen,
    /// The cutter is blocked.
    CutterStuck,
    /// The printer accepts only status queries, and reports no fault.
    Stalled,
    /// One write fails after the printer has received its bytes, as with `usblp` when a transfer is not answered.
    FailedTransfer,
    /// The printer stops printing, and the line is full of noise.
    NoisyLine,
    /// The printer restarts and loses what it has not printed; afterwards it answers normally.
    Resets,
}

/// Every fault except [`InjectedFault::Resets`], which a printer does not report.
pub(crate) const FAULTS: [InjectedFault; 9] = [
    InjectedFault::Unplugged,
    InjectedFault::NotResponding,
    InjectedFault::NotRespondingWithNul,
    InjectedFault::PaperOut,
    InjectedFault::CoverOpen,
    InjectedFault::CutterStuck,
    InjectedFault::Stalled,
    InjectedFault::FailedTransfer,
    InjectedFault::NoisyLine,
];

/// State of the scripted printer; shared between the test and the link.
pub(crate) struct ScriptedPrinterState {
    now: Instant,
    /// Bytes received, without real-time commands.
    pub(crate) received: Vec<u8>,
    /// How many of the received bytes were printed or executed.
    pub(crate) processed_count: usize,
    /// The printed bytes, in order.
    pub(crate) printed: Vec<u8>,
    /// Bytes that wait to be printed.
    waiting: Vec<u8>,
    noise: u32,
    /// Number of real-time clear commands received.
    pub(crate) cleared: usize,
    real_time: Vec<u8>,
    answers: VecDeque<u8>,
    fault: Option<(usize, InjectedFault)>,
    nul_sent: bool,
    /// Whether the printer supports `GS ( H`.
    pub(crate) supports_process_id: bool,
    /// Whether the printer supports `GS r`.
    pub(crate) supports_barrier: bool,
}

impl ScriptedPrinterState {
    fn active_fault(&self) -> Option<InjectedFault> {
        self.fault.and_then(|(at, fault)| (self.received.len() >= at).then_some(fault))
    }

    /// Injects a fault after this many more received bytes.
    pub(crate) fn inject_after(&mut self, bytes: usize, fault: InjectedFault) {
        self.fault = Some((self.received.len() + bytes, fault));
    }

    /// Sends bytes without a query.
    pub(crate) fn send_unrequested(&mut self, bytes: &[u8]) {
        self.answers.extend(bytes);
    }

    /// Clears the fault; waiting bytes are printed, unless they were cleared.
    pub(crate) fn clear_fault(&mut self) {
        self.fault = None;
        self.processed_count = self.received.len();
        let waiting = std::mem::take(&mut self.waiting);
        self.printed.extend(waiting);
        self.real_time.clear();
        self.answers.clear();
    }

    /// The next byte of a noisy line.
    fn next_noise(&mut self) -> u8 {
        self.noise = self.noise.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (self.noise >> 16) as u8
    }

    /// Bytes received after the first `start` bytes.
    pub(crate) fn received_since(&self, start: usize) -> Vec<u8> {
        self.received[start..].to_vec()
    }

    fn receive(&mut self, byte: u8) {
        self.real_time.push(byte);
        match self.real_time.as_slice() {
            [0x10] | [0x10, 0x04] => {}
            &[0x10, 0x04, n] => {
                self.answer_status(n);
                self.real_time.clear();
            }
            whole @ [0x10, 0x14, ..] => {
                if whole.len() == 10 {
                    self.cleared += 1;
                    self.waiting.clear();
                    self.real_time.clear();
                    if self.supports_process_id {
                        self.answers.extend([0x37, 0x25, 0]);
                    }
                }
            }
            _ => {
                let data = std::mem::take(&mut self.real_time);
                self.waiting.extend(&data);
                self.received.extend(data);
                self.process();
            }
        }
    }

    fn answer_status(&mut self, n: u8) {
        let bytes = match self.active_fault() {
            None | Some(InjectedFault::Stalled | InjectedFault::FailedTransfer | InjectedFault::Resets) => {
                [0x12, 0x12, 0x12, 0x12]
            }
            Some(InjectedFault::PaperOut) => [0x1A, 0x32, 0x12, 0x7E],
            Some(InjectedFault::CoverOpen) => [0x1A, 0x16, 0x12, 0x12],
            Some(InjectedFault::CutterStuck) => [0x1A, 0x52, 0x1A, 0x12],
            Some(
                InjectedFault::Unplugged
                | InjectedFault::NotResponding
                | InjectedFault::NotRespondingWithNul
                | InjectedFault::NoisyLine,
            ) => return,
        };
        self.answers.push_back(bytes[usize::from(n) - 1]);
    }

    /// Executes the received bytes, unless a fault is active.
    fn process(&mut self) {
        if self.active_fault() == Some(InjectedFault::Resets) {
            self.fault = None;
            self.waiting.clear();
            return;
        }
        if self.active_fault().is_some() {
            return;
        }
        self.processed_count = self.received.len();
        let waiting = std::mem::take(&mut self.waiting);
        self.printed.extend(waiting);
        if self.supports_barrier && self.received.ends_with(&[0x1D, b'r', 1]) {
            self.answers.push_back(0);
        }
        if self.supports_process_id && self.received.len() >= 11 {
            let tail = &self.received[self.received.len() - 11..];
            if tail.starts_with(&[0x1D, b'(', b'H', 6, 0, 48, 48]) {
                let id: Vec<u8> = tail[7..].to_vec();
                self.answers.extend([0x37, 0x22]);
                self.answers.extend(id);
                self.answers.push_back(0);
            }
        }
    }
}

/// The link to the scripted printer.
#[derive(Clone)]
pub(crate) struct ScriptedLink(Arc<Mutex<ScriptedPrinterState>>);

impl ScriptedLink {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(ScriptedPrinterState {
            now: Instant::now(),
            received: Vec::new(),
            processed_count: 0,
            printed: Vec::new(),
            waiting: Vec::new(),
            noise: 1,
            cleared: 0,
            real_time: Vec::new(),
            answers: VecDeque::new(),
            fault: None,
            nul_sent: false,
            supports_process_id: false,
            supports_barrier: true,
        })))
    }

    /// The printer with another seed for its noise.
    pub(crate) fn with_noise(self, seed: u32) -> Self {
        self.state().noise = seed;
        self
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ScriptedPrinterState> {
        self.0.lock().unwrap()
    }
}

impl Link for ScriptedLink {
    fn write_some(&mut self, bytes: &[u8], timeout: Duration) -> Result<usize, LinkFault> {
        let mut state = self.state();
        let is_status_query = bytes.first() == Some(&0x10) || !state.real_time.is_empty();
        if state.active_fault() == Some(InjectedFault::FailedTransfer) && !is_status_query {
            state.fault = None;
            bytes.iter().for_each(|&byte| state.receive(byte));
            return Err(LinkFault::Gone);
        }
        for (count, &byte) in bytes.iter().enumerate() {
            let refused = match state.active_fault() {
                Some(InjectedFault::Unplugged) => Some(LinkFault::Gone),
                // Status queries are still accepted.
                Some(InjectedFault::Stalled) if byte != 0x10 && state.real_time.is_empty() => {
                    Some(LinkFault::TimedOut)
                }
                _ => None,
            };
            match refused {
                Some(_) if count > 0 => return Ok(count),
                Some(fault) => {
                    state.now += timeout;
                    return Err(fault);
                }
                None => state.receive(byte),
            }
        }
        Ok(bytes.len())
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        let mut state = self.state();
        match state.active_fault() {
            Some(InjectedFault::Unplugged) => return Err(LinkFault::Gone),
            Some(InjectedFault::NoisyLine) => {
                state.now += Duration::from_millis(1);
                buffer[0] = state.next_noise();
                return Ok(1);
            }
            Some(InjectedFault::NotRespondingWithNul) if !state.nul_sent => {
                state.nul_sent = true;
                buffer[0] = 0;
                return Ok(1);
            }
            _ => {}
        }
        match state.answers.pop_front() {
            Some(byte) => {
                buffer[0] = byte;
                Ok(1)
            }
            None => {
                state.now += timeout;
                Err(LinkFault::TimedOut)
            }
        }
    }

    fn bytes_per_second(&self) -> u32 {
        11_520
    }

    fn now(&self) -> Instant {
        self.state().now
    }
}

/// A receipt with every kind of block that needs no font.
pub(crate) fn water_bill() -> PrintableReceipt {
    let pair = |label: &str, value: &str| ReceiptBlock::Pair { label: label.into(), value: value.into() };
    PrintableReceipt {
        blocks: vec![
            ReceiptBlock::Title("水费缴纳凭条".into()),
            ReceiptBlock::Rule,
            pair("户号", "10023345"),
            pair("户名", "张*三"),
            ReceiptBlock::Line("渝中区人民路一号".into()),
            ReceiptBlock::Amount { label: "实缴".into(), value: "¥86.40".into() },
            ReceiptBlock::Qr("https://example.invalid/r/8F2K".into()),
            ReceiptBlock::Notice("请妥善保管".into()),
            ReceiptBlock::Feed(2),
        ],
        copy_mark: None,
    }
}
