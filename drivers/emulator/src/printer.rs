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

use crate::barcode_preview::code_128;
use crate::escpos::{automatic_status, command_len, partial_command_len, realtime_status};
use crate::faults::{
    EmulatedDevice, FaultKind, FaultSwitches, FaultyResponse, LATE_DELAY, apply_fault, garbage_bytes,
    printer as steps,
};
use crate::pty::{LineEmulator, PtyPort};
use crate::roll::{Printout, PrintoutStyle, Roll};
use crate::tcp_line::TcpLine;

/// Bytes that are buffered while there is no paper; further bytes are lost, as in a real device.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Time that a slow printer needs for a line of text.
const SLOW_LINE_DELAY: Duration = Duration::from_millis(300);
/// Paper left, in dots, when the roll is to end in the middle of a receipt.
const HALF_RECEIPT_DOTS: u32 = 240;
/// Bytes after a raster image that a faulty printer takes for image data.
const OVERREAD_BYTES: usize = 600;
/// Automatic status (`GS a`) that was not enabled: off line, paper out.
const UNSOLICITED_STATUS: [u8; 4] = [0x18, 0x00, 0x0C, 0x00];

/// Faults of the printer that are set directly, not by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrinterFaults {
    /// No paper. 缺纸.
    pub paper_out: bool,
    /// The cover is open.
    pub cover_open: bool,
    /// The printer discards all bytes and answers nothing.
    pub unresponsive: bool,
    /// The cutter is jammed.
    pub cutter_jammed: bool,
    /// Dots of paper after which the roll ends; `None`: the roll does not end.
    pub paper_left_dots: Option<u32>,
    /// Whether `paper_left_dots` comes from the named fault `paper-ends`, with which it is cleared.
    roll_end_injected: bool,
}

struct PrinterState {
    faults_set: PrinterFaults,
    fault_switches: FaultSwitches,
    printouts: Vec<Printout>,
    interpreter: EscPosInterpreter,
}

/// The printer, reached by a symbolic link to a pty or by a TCP address.
pub struct EmulatedPrinter {
    state: Arc<Mutex<PrinterState>>,
    /// Keeps the pty or the TCP server open.
    connection: EmulatedPrinterLink,
}

enum EmulatedPrinterLink {
    Tty { _port: PtyPort },
    Network(TcpLine),
}

impl EmulatedPrinter {
    /// Emulates a printer on a pty whose symbolic link is created at `link`; `width` is in dots.
    ///
    /// # Errors
    /// When no pty can be opened, the path exists and is no symbolic link, or the font is not installed.
    pub fn open_pty(link: &Path, width: u32) -> anyhow::Result<Self> {
        Self::open_pty_with_faults(link, width, FaultSwitches::default())
    }

    /// Emulates a printer on a pty, with named faults.
    ///
    /// # Errors
    /// When no pty can be opened, the path exists and is no symbolic link, or the font is not installed.
    pub fn open_pty_with_faults(link: &Path, width: u32, faults: FaultSwitches) -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(PrinterState::new(Roll::new(width)?, faults)));
        let port = PtyPort::open(link, PrinterLine(Arc::clone(&state)))?;
        Ok(Self { state, connection: EmulatedPrinterLink::Tty { _port: port } })
    }

    /// Emulates a printer on a TCP port; port 0 selects a free one.
    ///
    /// # Errors
    /// When the address is in use, or the font is not installed.
    pub fn listen(address: SocketAddr, width: u32) -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(PrinterState::new(Roll::new(width)?, FaultSwitches::default())));
        let listener = TcpLine::listen(address, PrinterLine(Arc::clone(&state)))?;
        Ok(Self { state, connection: EmulatedPrinterLink::Network(listener) })
    }

    /// TCP address, if the printer is on the network.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match &self.connection {
            EmulatedPrinterLink::Tty { .. } => None,
            EmulatedPrinterLink::Network(listener) => Some(listener.address),
        }
    }

    /// Changes the faults. Buffered data is printed once nothing prevents it.
    pub fn set_faults(&self, change: impl FnOnce(&mut PrinterFaults)) {
        change(&mut locked(&self.state).faults_set);
    }

    /// The printouts that were cut off, oldest first.
    #[must_use]
    pub fn printouts(&self) -> Vec<Printout> {
        locked(&self.state).printouts.clone()
    }

    /// Number of printouts that were cut off.
    #[must_use]
    pub fn printout_count(&self) -> usize {
        locked(&self.state).printouts.len()
    }
}

/// The printer as [`LineEmulator`] of a serial line or TCP connection.
struct PrinterLine(Arc<Mutex<PrinterState>>);

impl LineEmulator for PrinterLine {
    fn receive(&mut self, bytes: &[u8]) -> Vec<FaultyResponse> {
        locked(&self.0).receive(bytes)
    }

    fn accepts_input(&self) -> bool {
        !locked(&self.0).fault_switches.is_in_effect(&steps::BODY, FaultKind::Silence)
    }

    fn is_connected(&self) -> bool {
        !locked(&self.0).fault_switches.is_disconnected(EmulatedDevice::Printer)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PrinterState {
    fn new(roll: Roll, fault_switches: FaultSwitches) -> Self {
        let interpreter = EscPosInterpreter::new(roll, fault_switches.clone());
        Self { faults_set: PrinterFaults::default(), fault_switches, printouts: Vec::new(), interpreter }
    }

    fn receive(&mut self, bytes: &[u8]) -> Vec<FaultyResponse> {
        let troubles = self.active_faults();
        let hangs = self.fault_switches.is_in_effect(&steps::QR, FaultKind::Silence)
            || self.fault_switches.is_in_effect(&steps::RASTER, FaultKind::Silence)
            || self.fault_switches.is_in_effect(&steps::CUT, FaultKind::Silence);
        if troubles.unresponsive || hangs {
            if !bytes.is_empty() {
                // The fault takes effect at the first byte that is sent to the printer.
                let _ = self.fault_switches.hit(&steps::UNRESPONSIVE);
            }
            return Vec::new();
        }
        let bytes = [std::mem::take(&mut self.interpreter.partial_command).as_slice(), bytes].concat();
        let (whole, held) = bytes.split_at(bytes.len() - partial_command_len(&bytes));
        self.interpreter.partial_command = held.to_vec();
        self.interpreter.receive(whole, troubles);
        let stopped = troubles.paper_out
            || troubles.cover_open
            || troubles.cutter_jammed
            || self.fault_switches.is_in_effect(&steps::BODY, FaultKind::Silence);
        if stopped {
            self.interpreter.execute_paperless();
        } else {
            self.interpreter.print_buffered(&mut self.faults_set, &mut self.printouts);
        }
        let troubles = self.active_faults();
        self.interpreter.report_status_change(troubles);
        std::mem::take(&mut self.interpreter.responses)
    }

    /// All current faults: those set directly and the named ones.
    fn active_faults(&mut self) -> PrinterFaults {
        let is = |step| self.fault_switches.hit(step).is_some();
        match (is(&steps::PAPER_ENDS), self.faults_set.roll_end_injected) {
            (true, false) => {
                (self.faults_set.roll_end_injected, self.faults_set.paper_left_dots) =
                    (true, Some(HALF_RECEIPT_DOTS));
            }
            (false, true) => {
                // The fault was switched off: a new roll is inserted.
                self.faults_set = PrinterFaults {
                    paper_out: false,
                    paper_left_dots: None,
                    roll_end_injected: false,
                    ..self.faults_set
                };
            }
            (true, true) | (false, false) => {}
        }
        let own = self.faults_set;
        PrinterFaults {
            paper_out: own.paper_out || is(&steps::PAPER_OUT),
            cover_open: own.cover_open || is(&steps::COVER_OPEN),
            unresponsive: own.unresponsive
                || self.fault_switches.is_active(&steps::UNRESPONSIVE, FaultKind::State),
            cutter_jammed: own.cutter_jammed
                || self.fault_switches.is_in_effect(&steps::CUT, FaultKind::WrongAnswer),
            ..own
        }
    }
}

/// The printer's firmware: executes ESC/POS commands.
struct EscPosInterpreter {
    buffer: VecDeque<u8>,
    roll: Roll,
    style: PrintoutStyle,
    kanji: bool,
    line: Vec<u8>,
    qr: Vec<u8>,
    qr_module_dots: u32,
    faults: FaultSwitches,
    /// Responses to send, in order.
    responses: Vec<FaultyResponse>,
    /// Further bytes that are still taken for image data.
    overread_bytes: usize,
    /// The first bytes of a real-time command that is still incomplete.
    partial_command: Vec<u8>,
    /// The last automatic status (`GS a`) that was sent; `None` while automatic status is off.
    last_automatic_status: Option<Vec<u8>>,
    barcode: BarcodeSettings,
}

/// Settings of the next bar code.
#[derive(Clone, Copy)]
struct BarcodeSettings {
    module_dots: u32,
    height_dots: u32,
    text_below: bool,
}

impl EscPosInterpreter {
    fn new(roll: Roll, faults: FaultSwitches) -> Self {
        Self {
            buffer: VecDeque::new(),
            roll,
            style: PrintoutStyle::default(),
            kanji: false,
            line: Vec::new(),
            qr: Vec::new(),
            qr_module_dots: 6,
            faults,
            responses: Vec::new(),
            overread_bytes: 0,
            partial_command: Vec::new(),
            last_automatic_status: None,
            barcode: BarcodeSettings { module_dots: 3, height_dots: 162, text_below: false },
        }
    }

    /// Handles received bytes: real-time commands take effect at once, everything else is buffered.
    fn receive(&mut self, bytes: &[u8], troubles: PrinterFaults) {
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
                    let answer = vec![realtime_status(*n, troubles)];
                    self.responses.push(apply_fault(self.faults.hit(step), answer, &[wrong], &[0x12]));
                    rest = tail;
                }
                [0x10, 0x05, _, tail @ ..] => rest = tail,
                [0x10, 0x14, 0x08, 0x01, 0x03, 0x14, 0x01, 0x06, 0x02, 0x08, tail @ ..] => {
                    self.clear_buffer();
                    let kind = self.faults.hit(&steps::CLEAR);
                    self.responses.push(apply_fault(
                        kind,
                        vec![0x37, 0x25, 0x00],
                        b"\x37\x22A000\x00",
                        &[0x37, 0x25, 0x00],
                    ));
                    rest = tail;
                }
                [byte, tail @ ..] => {
                    if self.overread_bytes > 0 {
                        self.overread_bytes -= 1;
                    } else if self.buffer.len() < BUFFER_BYTES_MAX {
                        self.buffer.push_back(*byte);
                    }
                    rest = tail;
                }
                [] => return,
            }
        }
    }

    fn clear_buffer(&mut self) {
        self.buffer.clear();
        self.line.clear();
    }

    /// Executes the complete commands in the buffer until the roll ends.
    fn print_buffered(&mut self, troubles: &mut PrinterFaults, sheets: &mut Vec<Printout>) {
        loop {
            let bytes = self.buffer.make_contiguous();
            let Some(used) = command_len(bytes, self.kanji) else { return };
            let command: Vec<u8> = self.buffer.drain(..used).collect();
            let before = self.roll.printed_dots();
            self.execute(&command, sheets);
            if self.is_stuck() {
                return;
            }
            let Some(left) = troubles.paper_left_dots else { continue };
            let left = left.saturating_sub(self.roll.printed_dots().saturating_sub(before));
            troubles.paper_left_dots = (left > 0).then_some(left);
            if left == 0 {
                // The rest of the roll comes out with what was printed on it.
                sheets.extend(self.roll.cut());
                troubles.paper_out = true;
                return;
            }
        }
    }

    /// Without paper, executes commands that need none, up to the first one that needs paper.
    fn execute_paperless(&mut self) {
        while let [0x1B, b'@', ..] | [0x1D, b'a', _, ..] = self.buffer.make_contiguous() {
            let Some(used) = command_len(self.buffer.make_contiguous(), self.kanji) else { return };
            let command: Vec<u8> = self.buffer.drain(..used).collect();
            self.execute(&command, &mut Vec::new());
        }
    }

    /// Sends an automatic status if it is enabled and the status has changed.
    fn report_status_change(&mut self, troubles: PrinterFaults) {
        let now = automatic_status(troubles);
        if self.last_automatic_status.as_ref().is_some_and(|last| *last != now) {
            self.last_automatic_status = Some(now.clone());
            self.responses.push(FaultyResponse { bytes: now, ..FaultyResponse::default() });
        }
    }

    /// Whether a fault of the last command prevents further printing.
    fn is_stuck(&self) -> bool {
        let holds = |step, kind| self.faults.is_in_effect(step, kind);
        [&steps::BODY, &steps::QR, &steps::RASTER, &steps::CUT]
            .into_iter()
            .any(|step| holds(step, FaultKind::Silence))
            || holds(&steps::CUT, FaultKind::WrongAnswer)
            || self.responses.last().is_some_and(|bent| bent.disconnects)
    }

    /// Applies the fault of the receipt's text, at each line.
    fn apply_body_fault(&mut self) {
        let unsolicited = |bytes| FaultyResponse { bytes, ..FaultyResponse::default() };
        if self.faults.hit(&steps::POWER_DIP).is_some() {
            self.clear_buffer();
        }
        match self.faults.hit(&steps::BODY) {
            None | Some(FaultKind::State | FaultKind::Silence) => {}
            Some(FaultKind::Garbage) => self.responses.push(unsolicited(garbage_bytes(16))),
            Some(FaultKind::Truncation) => self.buffer.clear(),
            Some(FaultKind::Disconnection) => {
                self.responses.push(FaultyResponse { disconnects: true, ..FaultyResponse::default() })
            }
            Some(FaultKind::Delay) => {
                self.responses.push(FaultyResponse { delay: SLOW_LINE_DELAY, ..FaultyResponse::default() })
            }
            Some(FaultKind::WrongAnswer) => self.responses.push(unsolicited(UNSOLICITED_STATUS.to_vec())),
            Some(FaultKind::Flood) => {
                self.responses.push(apply_fault(Some(FaultKind::Flood), Vec::new(), &[], &UNSOLICITED_STATUS))
            }
        }
    }

    /// Applies the fault of a QR code, a raster image or a cut.
    fn apply_command_fault(&mut self, kind: Option<FaultKind>) {
        match kind {
            None
            | Some(FaultKind::State | FaultKind::Silence | FaultKind::WrongAnswer | FaultKind::Flood) => {}
            Some(FaultKind::Garbage) => {
                self.responses.push(FaultyResponse { bytes: garbage_bytes(16), ..FaultyResponse::default() })
            }
            Some(FaultKind::Truncation) => self.overread_bytes = OVERREAD_BYTES,
            Some(FaultKind::Disconnection) => {
                self.responses.push(FaultyResponse { disconnects: true, ..FaultyResponse::default() })
            }
            Some(FaultKind::Delay) => {
                self.responses.push(FaultyResponse { delay: LATE_DELAY, ..FaultyResponse::default() })
            }
        }
    }

    fn execute(&mut self, command: &[u8], sheets: &mut Vec<Printout>) {
        match command {
            [0x0A] => {
                self.print_line();
                self.apply_body_fault();
            }
            [0x1B, b'@'] => {
                self.line.clear();
                self.style = PrintoutStyle::default();
                self.kanji = false;
            }
            [0x1B, b'a', n] => {
                self.style.centred = n % 48 == 1;
                self.style.right = n % 48 == 2;
            }
            [0x1B, b'd', n] => {
                self.print_line();
                self.roll.feed(u32::from(*n));
            }
            [0x1D, b'!', n] => {
                self.style.double_width = n & 0xF0 != 0;
                self.style.double_height = n & 0x0F != 0;
            }
            [0x1B, b'!', n] => {
                self.style.double_width = n & 0x20 != 0;
                self.style.double_height = n & 0x10 != 0;
            }
            [0x1B, b'E' | b'G', n] => self.style.bold = n & 1 != 0,
            // ESC - underlines ASCII, FS - underlines Chinese characters: to underline a line, both are sent.
            [0x1B, b'-', n] => self.style.underline = n % 48 != 0,
            [0x1D, b'B', n] => self.style.reverse = n & 1 != 0,
            [0x1D, b'a', n] => self.last_automatic_status = (*n != 0).then(Vec::new),
            [0x1D, b'h', n] => self.barcode.height_dots = (*n).into(),
            [0x1D, b'w', n] => self.barcode.module_dots = u32::from(*n).clamp(1, 6),
            [0x1D, b'H', n] => self.barcode.text_below = (n % 48) & 2 != 0,
            [0x1D, b'k', 73, _, data @ ..] => {
                self.flush_line();
                if let Some((text, modules)) = code_128(data) {
                    let BarcodeSettings { module_dots: module, height_dots: height, text_below } =
                        self.barcode;
                    self.roll.print_barcode(&modules, module, height, text_below.then_some(text.as_str()));
                }
            }
            [0x1C, b'&'] => self.kanji = true,
            [0x1C, b'.'] => self.kanji = false,
            [0x1D, b'V', ..] => {
                self.flush_line();
                let kind = self.faults.hit(&steps::CUT);
                if !matches!(kind, Some(FaultKind::Silence | FaultKind::WrongAnswer)) {
                    sheets.extend(self.roll.cut());
                }
                self.apply_command_fault(kind);
            }
            [0x1D, b'r', 1 | 49] => {
                // The answer holds the two bits of the paper sensor: the wrong answer reports no paper.
                self.responses.push(apply_fault(
                    self.faults.hit(&steps::BARRIER),
                    vec![0x00],
                    &[0x0C],
                    &[0x00],
                ));
            }
            [0x1D, b'(', b'H', _, _, 0x30, 0x30, id @ ..] => {
                let echo = [&[0x37, 0x22], id, &[0x00]].concat();
                let kind = self.faults.hit(&steps::PROCESS_ID);
                self.responses.push(apply_fault(kind, echo.clone(), b"\x37\x220000\x00", &echo));
            }
            [0x1D, b'(', b'k', _, _, 0x31, function, data @ ..] => match function {
                0x43 => self.qr_module_dots = data.first().copied().unwrap_or(6).into(),
                0x50 => self.qr = data.get(1..).unwrap_or_default().to_vec(),
                0x51 => {
                    let (content, module) = (std::mem::take(&mut self.qr), self.qr_module_dots);
                    self.roll.print_qr(&content, module);
                    let kind = self.faults.hit(&steps::QR);
                    self.apply_command_fault(kind);
                }
                _ => {}
            },
            [0x1D, b'v', b'0', _, xl, xh, _, _, bits @ ..] => {
                self.flush_line();
                self.roll.print_raster(usize::from(u16::from_le_bytes([*xl, *xh])), bits);
                let kind = self.faults.hit(&steps::RASTER);
                self.apply_command_fault(kind);
            }
            [0x1B | 0x1C | 0x1D | 0x10, ..] | [0x00..=0x1F] => {}
            text => self.line.extend_from_slice(text),
        }
    }

    /// Prints the current line before a command that is not text; an empty line feeds nothing.
    fn flush_line(&mut self) {
        if !self.line.is_empty() {
            self.print_line();
        }
    }

    fn print_line(&mut self) {
        let bytes = std::mem::take(&mut self.line);
        if bytes.is_empty() {
            self.roll.feed(1);
        } else {
            let text = encoding_rs::GB18030.decode_without_bom_handling(&bytes).0;
            self.roll.print_line(&text, self.style);
        }
    }
}

/// The printouts that these bytes produce on a printer without faults; `width` is in dots.
///
/// # Errors
/// When the font is not installed.
pub fn render_printouts(bytes: &[u8], width: u32) -> anyhow::Result<Vec<Printout>> {
    let mut state = PrinterState::new(Roll::new(width)?, FaultSwitches::default());
    state.receive(bytes);
    let mut sheets = state.printouts;
    // Paper that was not cut counts as torn off.
    sheets.extend(state.interpreter.roll.cut());
    Ok(sheets)
}

#[cfg(test)]
mod tests;
