//! Emulated receipt printer behind a pty or on the network: interprets ESC/POS, reports its status, keeps the
//! printouts.
//!
//! Without paper the printer buffers data and answers no print barrier; an unresponsive printer discards all bytes.
//! Real-time status requests (`DLE EOT`) are answered out of band, as by a real device.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bars::code_128;
use crate::escpos::{automatic_status, begun, length_of, status};
use crate::faults::{Bent, Device, Faults, Kind, LATE, bend, garbage, printer as steps};
use crate::network::Listener;
use crate::paper::{Roll, Sheet, Style};
use crate::port::{FarSide, Port};

/// Bytes that are buffered while there is no paper; further bytes are lost, as in a real device.
const BUFFER_MAX: usize = 64 * 1024;
/// Time that a slow printer needs for a line of text.
const SLOW_LINE: Duration = Duration::from_millis(300);
/// Paper left, in dots, when the roll is to end in the middle of a receipt.
const HALF_A_RECEIPT: u32 = 240;
/// Bytes after a raster image that a faulty printer takes for image data.
const OVERREAD: usize = 600;
/// Automatic status (`GS a`) that was not enabled: off line, paper out.
const AUTOMATIC: [u8; 4] = [0x18, 0x00, 0x0C, 0x00];

/// Faults of the printer that are set directly, not by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    /// No paper. 缺纸.
    pub paper_out: bool,
    /// The cover is open.
    pub cover_open: bool,
    /// The printer discards all bytes and answers nothing.
    pub mute: bool,
    /// The cutter is jammed.
    pub cutter: bool,
    /// Dots of paper after which the roll ends; `None`: the roll does not end.
    pub paper_left: Option<u32>,
    /// Whether `paper_left_dots` comes from the named fault `paper-ends`, with which it is cleared.
    ending: bool,
}

struct State {
    troubles: Troubles,
    faults: Faults,
    sheets: Vec<Sheet>,
    interpreter: Interpreter,
}

/// The printer, reached by a symbolic link to a pty or by a TCP address.
pub struct VirtualPrinter {
    state: Arc<Mutex<State>>,
    /// Keeps the pty or the TCP server open.
    plug: Plug,
}

enum Plug {
    Tty { _port: Port },
    Network(Listener),
}

impl VirtualPrinter {
    /// Emulates a printer on a pty whose symbolic link is created at `link`; `width` is in dots.
    ///
    /// # Errors
    /// When no pty can be opened, the path exists and is no symbolic link, or the font is not installed.
    pub fn plug_in(link: &Path, width: u32) -> anyhow::Result<Self> {
        Self::with(link, width, Faults::default())
    }

    /// Emulates a printer on a pty, with named faults.
    ///
    /// # Errors
    /// When no pty can be opened, the path exists and is no symbolic link, or the font is not installed.
    pub fn with(link: &Path, width: u32, faults: Faults) -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(State::new(Roll::new(width)?, faults)));
        let port = Port::plug_in(link, Wire(Arc::clone(&state)))?;
        Ok(Self { state, plug: Plug::Tty { _port: port } })
    }

    /// Emulates a printer on a TCP port; port 0 selects a free one.
    ///
    /// # Errors
    /// When the address is in use, or the font is not installed.
    pub fn listen(address: SocketAddr, width: u32) -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(State::new(Roll::new(width)?, Faults::default())));
        let listener = Listener::listen(address, Wire(Arc::clone(&state)))?;
        Ok(Self { state, plug: Plug::Network(listener) })
    }

    /// TCP address, if the printer is on the network.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match &self.plug {
            Plug::Tty { .. } => None,
            Plug::Network(listener) => Some(listener.address),
        }
    }

    /// Changes the faults. Buffered data is printed once nothing prevents it.
    pub fn set(&self, change: impl FnOnce(&mut Troubles)) {
        change(&mut locked(&self.state).troubles);
    }

    /// The printouts that were cut off, oldest first.
    #[must_use]
    pub fn sheets(&self) -> Vec<Sheet> {
        locked(&self.state).sheets.clone()
    }
}

/// The printer as [`LineEmulator`] of a serial line or TCP connection.
struct Wire(Arc<Mutex<State>>);

impl FarSide for Wire {
    fn take(&mut self, bytes: &[u8]) -> Vec<Bent> {
        locked(&self.0).take(bytes)
    }

    fn listens(&self) -> bool {
        !locked(&self.0).faults.holds(&steps::BODY, Kind::Silence)
    }

    fn is_there(&self) -> bool {
        !locked(&self.0).faults.is_away(Device::Printer)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn new(roll: Roll, faults: Faults) -> Self {
        let interpreter = Interpreter::new(roll, faults.clone());
        Self { troubles: Troubles::default(), faults, sheets: Vec::new(), interpreter }
    }

    fn take(&mut self, bytes: &[u8]) -> Vec<Bent> {
        let troubles = self.switched();
        let hangs = self.faults.holds(&steps::QR, Kind::Silence)
            || self.faults.holds(&steps::RASTER, Kind::Silence)
            || self.faults.holds(&steps::CUT, Kind::Silence);
        if troubles.mute || hangs {
            if !bytes.is_empty() {
                // The fault takes effect at the first byte that is sent to the printer.
                let _ = self.faults.at(&steps::MUTE);
            }
            return Vec::new();
        }
        let bytes = [std::mem::take(&mut self.interpreter.held).as_slice(), bytes].concat();
        let (whole, held) = bytes.split_at(bytes.len() - begun(&bytes));
        self.interpreter.held = held.to_vec();
        self.interpreter.receive(whole, troubles);
        let stopped = troubles.paper_out
            || troubles.cover_open
            || troubles.cutter
            || self.faults.holds(&steps::BODY, Kind::Silence);
        if stopped {
            self.interpreter.set();
        } else {
            self.interpreter.run(&mut self.troubles, &mut self.sheets);
        }
        let troubles = self.switched();
        self.interpreter.tell_changes(troubles);
        std::mem::take(&mut self.interpreter.said)
    }

    /// All current faults: those set directly and the named ones.
    fn switched(&mut self) -> Troubles {
        let is = |step| self.faults.at(step).is_some();
        match (is(&steps::PAPER_ENDS), self.troubles.ending) {
            (true, false) => {
                (self.troubles.ending, self.troubles.paper_left) = (true, Some(HALF_A_RECEIPT));
            }
            (false, true) => {
                // The fault was switched off: a new roll is inserted.
                self.troubles =
                    Troubles { paper_out: false, paper_left: None, ending: false, ..self.troubles };
            }
            (true, true) | (false, false) => {}
        }
        let own = self.troubles;
        Troubles {
            paper_out: own.paper_out || is(&steps::PAPER_OUT),
            cover_open: own.cover_open || is(&steps::COVER_OPEN),
            mute: own.mute || self.faults.is_on(&steps::MUTE, Kind::State),
            cutter: own.cutter || self.faults.holds(&steps::CUT, Kind::WrongAnswer),
            ..own
        }
    }
}

/// The printer's firmware: executes ESC/POS commands.
struct Interpreter {
    buffer: VecDeque<u8>,
    roll: Roll,
    style: Style,
    kanji: bool,
    line: Vec<u8>,
    qr: Vec<u8>,
    qr_module: u32,
    faults: Faults,
    /// Responses to send, in order.
    said: Vec<Bent>,
    /// Further bytes that are still taken for image data.
    overread: usize,
    /// The first bytes of a real-time command that is still incomplete.
    held: Vec<u8>,
    /// The last automatic status (`GS a`) that was sent; `None` while automatic status is off.
    automatic: Option<Vec<u8>>,
    bars: Bars,
}

/// Settings of the next bar code.
#[derive(Clone, Copy)]
struct Bars {
    module: u32,
    height: u32,
    text_below: bool,
}

impl Interpreter {
    fn new(roll: Roll, faults: Faults) -> Self {
        Self {
            buffer: VecDeque::new(),
            roll,
            style: Style::default(),
            kanji: false,
            line: Vec::new(),
            qr: Vec::new(),
            qr_module: 6,
            faults,
            said: Vec::new(),
            overread: 0,
            held: Vec::new(),
            automatic: None,
            bars: Bars { module: 3, height: 162, text_below: false },
        }
    }

    /// Handles received bytes: real-time commands take effect at once, everything else is buffered.
    fn receive(&mut self, bytes: &[u8], troubles: Troubles) {
        let mut rest = bytes;
        loop {
            match rest {
                [0x10, 0x04, n @ 1..=4, tail @ ..] => {
                    let (step, wrong) = match n {
                        1 => (&steps::STATUS, 0x1A),
                        2 => (&steps::OFFLINE_CAUSE, 0x52),
                        3 => (&steps::ERROR_CAUSE, 0x32),
                        _ => (&steps::PAPER_SENSOR, 0x72),
                    };
                    // The wrong answer is a status that contradicts the three others.
                    let answer = vec![status(*n, troubles)];
                    self.said.push(bend(self.faults.at(step), answer, &[wrong], &[0x12]));
                    rest = tail;
                }
                [0x10, 0x05, _, tail @ ..] => rest = tail,
                [0x10, 0x14, 0x08, 0x01, 0x03, 0x14, 0x01, 0x06, 0x02, 0x08, tail @ ..] => {
                    self.forget();
                    let kind = self.faults.at(&steps::CLEAR);
                    self.said.push(bend(
                        kind,
                        vec![0x37, 0x25, 0x00],
                        b"\x37\x22A000\x00",
                        &[0x37, 0x25, 0x00],
                    ));
                    rest = tail;
                }
                [byte, tail @ ..] => {
                    if self.overread > 0 {
                        self.overread -= 1;
                    } else if self.buffer.len() < BUFFER_MAX {
                        self.buffer.push_back(*byte);
                    }
                    rest = tail;
                }
                [] => return,
            }
        }
    }

    fn forget(&mut self) {
        self.buffer.clear();
        self.line.clear();
    }

    /// Executes the complete commands in the buffer until the roll ends.
    fn run(&mut self, troubles: &mut Troubles, sheets: &mut Vec<Sheet>) {
        loop {
            let bytes = self.buffer.make_contiguous();
            let Some(used) = length_of(bytes, self.kanji) else { return };
            let command: Vec<u8> = self.buffer.drain(..used).collect();
            let before = self.roll.printed();
            self.execute(&command, sheets);
            if self.is_stuck() {
                return;
            }
            let Some(left) = troubles.paper_left else { continue };
            let left = left.saturating_sub(self.roll.printed().saturating_sub(before));
            troubles.paper_left = (left > 0).then_some(left);
            if left == 0 {
                // The rest of the roll comes out with what was printed on it.
                sheets.extend(self.roll.cut());
                troubles.paper_out = true;
                return;
            }
        }
    }

    /// Without paper, executes commands that need none, up to the first one that needs paper.
    fn set(&mut self) {
        while let [0x1B, b'@', ..] | [0x1D, b'a', _, ..] = self.buffer.make_contiguous() {
            let Some(used) = length_of(self.buffer.make_contiguous(), self.kanji) else { return };
            let command: Vec<u8> = self.buffer.drain(..used).collect();
            self.execute(&command, &mut Vec::new());
        }
    }

    /// Sends an automatic status if it is enabled and the status has changed.
    fn tell_changes(&mut self, troubles: Troubles) {
        let now = automatic_status(troubles);
        if self.automatic.as_ref().is_some_and(|last| *last != now) {
            self.automatic = Some(now.clone());
            self.said.push(Bent { bytes: now, ..Bent::default() });
        }
    }

    /// Whether a fault of the last command prevents further printing.
    fn is_stuck(&self) -> bool {
        let holds = |step, kind| self.faults.holds(step, kind);
        [&steps::BODY, &steps::QR, &steps::RASTER, &steps::CUT]
            .into_iter()
            .any(|step| holds(step, Kind::Silence))
            || holds(&steps::CUT, Kind::WrongAnswer)
            || self.said.last().is_some_and(|bent| bent.leaves)
    }

    /// Applies the fault of the receipt's text, at each line.
    fn body(&mut self) {
        let unsolicited = |bytes| Bent { bytes, ..Bent::default() };
        if self.faults.at(&steps::POWER_DIP).is_some() {
            self.forget();
        }
        match self.faults.at(&steps::BODY) {
            None | Some(Kind::State | Kind::Silence) => {}
            Some(Kind::Garbage) => self.said.push(unsolicited(garbage(16))),
            Some(Kind::Truncation) => self.buffer.clear(),
            Some(Kind::Disconnection) => self.said.push(Bent { leaves: true, ..Bent::default() }),
            Some(Kind::Delay) => self.said.push(Bent { wait: SLOW_LINE, ..Bent::default() }),
            Some(Kind::WrongAnswer) => self.said.push(unsolicited(AUTOMATIC.to_vec())),
            Some(Kind::Flood) => self.said.push(bend(Some(Kind::Flood), Vec::new(), &[], &AUTOMATIC)),
        }
    }

    /// Applies the fault of a QR code, a raster image or a cut.
    fn effort(&mut self, kind: Option<Kind>) {
        match kind {
            None | Some(Kind::State | Kind::Silence | Kind::WrongAnswer | Kind::Flood) => {}
            Some(Kind::Garbage) => self.said.push(Bent { bytes: garbage(16), ..Bent::default() }),
            Some(Kind::Truncation) => self.overread = OVERREAD,
            Some(Kind::Disconnection) => self.said.push(Bent { leaves: true, ..Bent::default() }),
            Some(Kind::Delay) => self.said.push(Bent { wait: LATE, ..Bent::default() }),
        }
    }

    fn execute(&mut self, command: &[u8], sheets: &mut Vec<Sheet>) {
        match command {
            [0x0A] => {
                self.end_line();
                self.body();
            }
            [0x1B, b'@'] => {
                self.line.clear();
                self.style = Style::default();
                self.kanji = false;
            }
            [0x1B, b'a', n] => {
                self.style.centred = n % 48 == 1;
                self.style.right = n % 48 == 2;
            }
            [0x1B, b'd', n] => {
                self.end_line();
                self.roll.feed(u32::from(*n));
            }
            [0x1D, b'!', n] => {
                self.style.wide = n & 0xF0 != 0;
                self.style.high = n & 0x0F != 0;
            }
            [0x1B, b'!', n] => {
                self.style.wide = n & 0x20 != 0;
                self.style.high = n & 0x10 != 0;
            }
            [0x1B, b'E' | b'G', n] => self.style.bold = n & 1 != 0,
            // ESC - underlines ASCII, FS - underlines Chinese characters: to underline a line, both are sent.
            [0x1B, b'-', n] => self.style.underline = n % 48 != 0,
            [0x1D, b'B', n] => self.style.reverse = n & 1 != 0,
            [0x1D, b'a', n] => self.automatic = (*n != 0).then(Vec::new),
            [0x1D, b'h', n] => self.bars.height = (*n).into(),
            [0x1D, b'w', n] => self.bars.module = u32::from(*n).clamp(1, 6),
            [0x1D, b'H', n] => self.bars.text_below = (n % 48) & 2 != 0,
            [0x1D, b'k', 73, _, data @ ..] => {
                self.end_line_if_any();
                if let Some((text, modules)) = code_128(data) {
                    let Bars { module, height, text_below } = self.bars;
                    self.roll.bars(&modules, module, height, text_below.then_some(text.as_str()));
                }
            }
            [0x1C, b'&'] => self.kanji = true,
            [0x1C, b'.'] => self.kanji = false,
            [0x1D, b'V', ..] => {
                self.end_line_if_any();
                let kind = self.faults.at(&steps::CUT);
                if !matches!(kind, Some(Kind::Silence | Kind::WrongAnswer)) {
                    sheets.extend(self.roll.cut());
                }
                self.effort(kind);
            }
            [0x1D, b'r', 1 | 49] => {
                // The answer holds the two bits of the paper sensor: the wrong answer reports no paper.
                self.said.push(bend(self.faults.at(&steps::FENCE), vec![0x00], &[0x0C], &[0x00]));
            }
            [0x1D, b'(', b'H', _, _, 0x30, 0x30, id @ ..] => {
                let echo = [&[0x37, 0x22], id, &[0x00]].concat();
                let kind = self.faults.at(&steps::PROCESS_ID);
                self.said.push(bend(kind, echo.clone(), b"\x37\x220000\x00", &echo));
            }
            [0x1D, b'(', b'k', _, _, 0x31, function, data @ ..] => match function {
                0x43 => self.qr_module = data.first().copied().unwrap_or(6).into(),
                0x50 => self.qr = data.get(1..).unwrap_or_default().to_vec(),
                0x51 => {
                    let (content, module) = (std::mem::take(&mut self.qr), self.qr_module);
                    self.roll.qr(&content, module);
                    let kind = self.faults.at(&steps::QR);
                    self.effort(kind);
                }
                _ => {}
            },
            [0x1D, b'v', b'0', _, xl, xh, _, _, bits @ ..] => {
                self.end_line_if_any();
                self.roll.raster(usize::from(u16::from_le_bytes([*xl, *xh])), bits);
                let kind = self.faults.at(&steps::RASTER);
                self.effort(kind);
            }
            [0x1B | 0x1C | 0x1D | 0x10, ..] | [0x00..=0x1F] => {}
            text => self.line.extend_from_slice(text),
        }
    }

    /// Prints the current line before a command that is not text; an empty line feeds nothing.
    fn end_line_if_any(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.line);
        if bytes.is_empty() {
            self.roll.feed(1);
        } else {
            let text = encoding_rs::GB18030.decode_without_bom_handling(&bytes).0;
            self.roll.line(&text, self.style);
        }
    }
}

/// The printouts that these bytes produce on a printer without faults; `width` is in dots.
///
/// # Errors
/// When the font is not installed.
pub fn print(bytes: &[u8], width: u32) -> anyhow::Result<Vec<Sheet>> {
    let mut state = State::new(Roll::new(width)?, Faults::default());
    state.take(bytes);
    let mut sheets = state.sheets;
    // Paper that was not cut counts as torn off.
    sheets.extend(state.interpreter.roll.cut());
    Ok(sheets)
}

#[cfg(test)]
mod tests;
