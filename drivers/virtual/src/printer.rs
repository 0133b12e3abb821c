//! A receipt printer behind a pty or on the network: interprets ESC/POS, tells its state honestly, keeps the paper.
//!
//! Out of paper it buffers and answers no fence; mute it swallows everything. Real-time status (`DLE EOT`)
//! is answered out of band, as a device does.

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

/// Bytes that wait while there is no paper; more are lost, as in a device.
const BUFFER_MAX: usize = 64 * 1024;
/// What a slow printer takes for a line of text.
const SLOW_LINE: Duration = Duration::from_millis(300);
/// How much paper is left when the roll is to end in the middle of a receipt, in dots.
const HALF_A_RECEIPT: u32 = 240;
/// Bytes that a printer takes for a picture which has ended.
const OVERREAD: usize = 600;
/// An automatic status (`GS a`) that nobody asked for: off line, paper out.
const AUTOMATIC: [u8; 4] = [0x18, 0x00, 0x0C, 0x00];

/// What can be wrong with the printer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    /// 缺纸.
    pub paper_out: bool,
    /// The cover is open.
    pub cover_open: bool,
    /// It swallows everything and answers nothing.
    pub mute: bool,
    /// The cutter is blocked.
    pub cutter: bool,
    /// The roll ends after so many more dots of paper; then it is out of paper.
    pub paper_left: Option<u32>,
    /// That end was switched by name, and ends with the switch.
    ending: bool,
}

struct State {
    troubles: Troubles,
    faults: Faults,
    sheets: Vec<Sheet>,
    interpreter: Interpreter,
}

/// The printer. Its port is a symbolic link to the pty, or an address.
pub struct VirtualPrinter {
    state: Arc<Mutex<State>>,
    /// What holds it in its place.
    plug: Plug,
}

enum Plug {
    Tty { _port: Port },
    Network(Listener),
}

impl VirtualPrinter {
    /// Plugs a printer in at this path.
    ///
    /// # Errors
    /// When no pty can be had, or the path is taken by something else than a link.
    pub fn plug_in(link: &Path, width: u32) -> anyhow::Result<Self> {
        Self::with(link, width, Faults::default())
    }

    /// The same, failing as it is switched.
    ///
    /// # Errors
    /// As above.
    pub fn with(link: &Path, width: u32, faults: Faults) -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(State::new(Roll::new(width)?, faults)));
        let port = Port::plug_in(link, Wire(Arc::clone(&state)))?;
        Ok(Self { state, plug: Plug::Tty { _port: port } })
    }

    /// Puts a printer on the network; port 0 is any free one.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn listen(address: SocketAddr, width: u32) -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(State::new(Roll::new(width)?, Faults::default())));
        let listener = Listener::listen(address, Wire(Arc::clone(&state)))?;
        Ok(Self { state, plug: Plug::Network(listener) })
    }

    /// Where it listens, if it is on the network.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match &self.plug {
            Plug::Tty { .. } => None,
            Plug::Network(listener) => Some(listener.address),
        }
    }

    /// Changes what is wrong with it; a new roll lets go on what waited.
    pub fn set(&self, change: impl FnOnce(&mut Troubles)) {
        change(&mut locked(&self.state).troubles);
    }

    /// The sheets that were cut off, oldest first.
    #[must_use]
    pub fn sheets(&self) -> Vec<Sheet> {
        locked(&self.state).sheets.clone()
    }
}

/// The printer's end of its line.
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
                // It fails when somebody speaks to it and not before.
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

    /// What is wrong with it, those states included that are switched by name.
    fn switched(&mut self) -> Troubles {
        let is = |step| self.faults.at(step).is_some();
        match (is(&steps::PAPER_ENDS), self.troubles.ending) {
            (true, false) => {
                (self.troubles.ending, self.troubles.paper_left) = (true, Some(HALF_A_RECEIPT));
            }
            (false, true) => {
                // There is a new roll in it.
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

/// The device's program.
struct Interpreter {
    buffer: VecDeque<u8>,
    roll: Roll,
    style: Style,
    kanji: bool,
    line: Vec<u8>,
    qr: Vec<u8>,
    qr_module: u32,
    faults: Faults,
    /// What it has to say, in order.
    said: Vec<Bent>,
    /// So many bytes are still taken for a picture that has ended.
    overread: usize,
    /// The beginning of a real-time command whose end has not come yet.
    held: Vec<u8>,
    /// What it last said by itself (`GS a`), once it is asked to.
    automatic: Option<Vec<u8>>,
    bars: Bars,
}

/// How bar codes are printed.
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

    /// Takes bytes in; real-time commands act at once, wherever they stand.
    fn receive(&mut self, bytes: &[u8], troubles: Troubles) {
        let mut rest = bytes;
        loop {
            match rest {
                [0x10, 0x04, n @ 1..=4, tail @ ..] => {
                    let (step, lie) = match n {
                        1 => (&steps::STATUS, 0x1A),
                        2 => (&steps::OFFLINE_CAUSE, 0x52),
                        3 => (&steps::ERROR_CAUSE, 0x32),
                        _ => (&steps::PAPER_SENSOR, 0x72),
                    };
                    // A lie is a status that contradicts the three others.
                    let answer = vec![status(*n, troubles)];
                    self.said.push(bend(self.faults.at(step), answer, &[lie], &[0x12]));
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

    /// Prints what is whole in the buffer, as far as the roll reaches.
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
                // The end of the roll falls out with what is on it.
                sheets.extend(self.roll.cut());
                troubles.paper_out = true;
                return;
            }
        }
    }

    /// What needs no paper is obeyed without it, as far as nothing waits in front of it.
    fn set(&mut self) {
        while let [0x1B, b'@', ..] | [0x1D, b'a', _, ..] = self.buffer.make_contiguous() {
            let Some(used) = length_of(self.buffer.make_contiguous(), self.kanji) else { return };
            let command: Vec<u8> = self.buffer.drain(..used).collect();
            self.execute(&command, &mut Vec::new());
        }
    }

    /// Says by itself how it is, if it was asked to and that has changed.
    fn tell_changes(&mut self, troubles: Troubles) {
        let now = automatic_status(troubles);
        if self.automatic.as_ref().is_some_and(|last| *last != now) {
            self.automatic = Some(now.clone());
            self.said.push(Bent { bytes: now, ..Bent::default() });
        }
    }

    /// A fault of the command just executed keeps the rest from being printed.
    fn is_stuck(&self) -> bool {
        let holds = |step, kind| self.faults.holds(step, kind);
        [&steps::BODY, &steps::QR, &steps::RASTER, &steps::CUT]
            .into_iter()
            .any(|step| holds(step, Kind::Silence))
            || holds(&steps::CUT, Kind::WrongAnswer)
            || self.said.last().is_some_and(|bent| bent.leaves)
    }

    /// A line of the receipt is to be printed.
    fn body(&mut self) {
        let unasked = |bytes| Bent { bytes, ..Bent::default() };
        if self.faults.at(&steps::POWER_DIP).is_some() {
            self.forget();
        }
        match self.faults.at(&steps::BODY) {
            None | Some(Kind::State | Kind::Silence) => {}
            Some(Kind::Garbage) => self.said.push(unasked(garbage(16))),
            Some(Kind::Truncation) => self.buffer.clear(),
            Some(Kind::Disconnection) => self.said.push(Bent { leaves: true, ..Bent::default() }),
            Some(Kind::Delay) => self.said.push(Bent { wait: SLOW_LINE, ..Bent::default() }),
            Some(Kind::WrongAnswer) => self.said.push(unasked(AUTOMATIC.to_vec())),
            Some(Kind::Flood) => self.said.push(bend(Some(Kind::Flood), Vec::new(), &[], &AUTOMATIC)),
        }
    }

    /// Something slow or large is to be printed.
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
            // Letters by ESC, Chinese characters by FS: whoever wants a line underlined sends both.
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
                // The paper sensor's two bits are in this answer, too: a wrong one says that there is none.
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

    /// What stands in the line is printed before anything that is no text; an empty one feeds nothing.
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

/// The pieces of paper that these bytes make on a printer of this width with nothing wrong.
///
/// # Errors
/// When the font of the paper is not installed.
pub fn print(bytes: &[u8], width: u32) -> anyhow::Result<Vec<Sheet>> {
    let mut state = State::new(Roll::new(width)?, Faults::default());
    state.take(bytes);
    let mut sheets = state.sheets;
    // Where nothing cuts, somebody tears it off.
    sheets.extend(state.interpreter.roll.cut());
    Ok(sheets)
}

#[cfg(test)]
mod tests;
