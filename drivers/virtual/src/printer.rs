//! A receipt printer behind a pty: interprets ESC/POS, tells its state honestly, keeps the paper.
//!
//! Out of paper it buffers and answers no fence; mute it swallows everything. Real-time status (`DLE EOT`)
//! is answered out of band, as a device does.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::paper::{Roll, Sheet, Style};

/// Bytes that wait while there is no paper; more are lost, as in a device.
const BUFFER_MAX: usize = 64 * 1024;

/// What can be wrong with the printer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    /// 缺纸.
    pub paper_out: bool,
    /// The cover is open.
    pub cover_open: bool,
    /// It swallows everything and answers nothing.
    pub mute: bool,
    /// The roll ends after so many more dots of paper; then it is out of paper.
    pub paper_left: Option<u32>,
}

struct State {
    troubles: Troubles,
    sheets: Vec<Sheet>,
    /// Something changed: what waits may go on.
    interpreter: Interpreter,
}

/// The printer. Its port is a symbolic link to the pty.
pub struct VirtualPrinter {
    state: Arc<Mutex<State>>,
    answers: Arc<Mutex<File>>,
    link: PathBuf,
    /// Keeps the pty open while no driver has it open.
    _port: OwnedFd,
}

impl VirtualPrinter {
    /// Plugs a printer in at this path.
    ///
    /// # Errors
    /// When no pty can be had, or the path is taken by something else than a link.
    pub fn plug_in(link: &Path, width: u32) -> anyhow::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?.into_string()?;
        let port = rustix::fs::open(name.as_str(), OFlags::RDWR | OFlags::NOCTTY, rustix::fs::Mode::empty())?;
        let mut settings = tcgetattr(&port)?;
        settings.make_raw();
        tcsetattr(&port, OptionalActions::Now, &settings)?;
        if std::fs::symlink_metadata(link).is_ok_and(|old| old.is_symlink()) {
            std::fs::remove_file(link)?;
        }
        std::os::unix::fs::symlink(&name, link)?;
        let interpreter = Interpreter::new(Roll::new(width)?);
        let state =
            Arc::new(Mutex::new(State { troubles: Troubles::default(), sheets: Vec::new(), interpreter }));
        let mut wire = File::from(master);
        let answers = Arc::new(Mutex::new(wire.try_clone()?));
        let (shared, out) = (Arc::clone(&state), Arc::clone(&answers));
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            // Ends with the process; an error means that the pty is gone.
            while let Ok(read @ 1..) = wire.read(&mut chunk) {
                let answer = locked(&shared).take(chunk.get(..read).unwrap_or_default());
                if !answer.is_empty() && locked(&out).write_all(&answer).is_err() {
                    break;
                }
            }
        });
        Ok(Self { state, answers, link: link.to_owned(), _port: port })
    }

    /// Changes what is wrong with it; a new roll lets go on what waited.
    ///
    /// # Errors
    /// When the pty is gone.
    pub fn set(&self, change: impl FnOnce(&mut Troubles)) -> io::Result<()> {
        let answer = {
            let mut state = locked(&self.state);
            change(&mut state.troubles);
            state.take(&[])
        };
        locked(&self.answers).write_all(&answer)
    }

    /// The sheets that were cut off, oldest first.
    #[must_use]
    pub fn sheets(&self) -> Vec<Sheet> {
        locked(&self.state).sheets.clone()
    }
}

impl Drop for VirtualPrinter {
    fn drop(&mut self) {
        // A link that is left behind points nowhere, which is what an unplugged printer looks like.
        std::fs::remove_file(&self.link).ok();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.troubles.mute {
            return Vec::new();
        }
        let mut answers = Vec::new();
        self.interpreter.receive(bytes, self.troubles, &mut answers);
        let stopped = self.troubles.paper_out || self.troubles.cover_open;
        if !stopped {
            self.interpreter.run(&mut self.troubles, &mut self.sheets, &mut answers);
        }
        answers
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
}

impl Interpreter {
    fn new(roll: Roll) -> Self {
        Self {
            buffer: VecDeque::new(),
            roll,
            style: Style::default(),
            kanji: false,
            line: Vec::new(),
            qr: Vec::new(),
            qr_module: 6,
        }
    }

    /// Takes bytes in; real-time commands act at once, wherever they stand.
    fn receive(&mut self, bytes: &[u8], troubles: Troubles, answers: &mut Vec<u8>) {
        let mut rest = bytes;
        loop {
            match rest {
                [0x10, 0x04, n @ 1..=4, tail @ ..] => {
                    answers.push(status(*n, troubles));
                    rest = tail;
                }
                [0x10, 0x05, _, tail @ ..] => rest = tail,
                [0x10, 0x14, 0x08, 0x01, 0x03, 0x14, 0x01, 0x06, 0x02, 0x08, tail @ ..] => {
                    self.buffer.clear();
                    self.line.clear();
                    answers.extend([0x37, 0x25, 0x00]);
                    rest = tail;
                }
                [byte, tail @ ..] => {
                    if self.buffer.len() < BUFFER_MAX {
                        self.buffer.push_back(*byte);
                    }
                    rest = tail;
                }
                [] => return,
            }
        }
    }

    /// Prints what is whole in the buffer, as far as the roll reaches.
    fn run(&mut self, troubles: &mut Troubles, sheets: &mut Vec<Sheet>, answers: &mut Vec<u8>) {
        loop {
            let bytes = self.buffer.make_contiguous();
            let Some(used) = length_of(bytes, self.kanji) else { return };
            let command: Vec<u8> = self.buffer.drain(..used).collect();
            let before = self.roll.printed();
            self.execute(&command, sheets, answers);
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

    fn execute(&mut self, command: &[u8], sheets: &mut Vec<Sheet>, answers: &mut Vec<u8>) {
        match command {
            [0x0A] => self.end_line(),
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
            [0x1C, b'&'] => self.kanji = true,
            [0x1C, b'.'] => self.kanji = false,
            [0x1D, b'V', ..] => {
                self.end_line();
                sheets.extend(self.roll.cut());
            }
            [0x1D, b'r', 1 | 49] => answers.push(0x00),
            [0x1D, b'(', b'H', _, _, 0x30, 0x30, id @ ..] => {
                answers.extend([0x37, 0x22]);
                answers.extend_from_slice(id);
                answers.push(0x00);
            }
            [0x1D, b'(', b'k', _, _, 0x31, function, data @ ..] => match function {
                0x43 => self.qr_module = data.first().copied().unwrap_or(6).into(),
                0x50 => self.qr = data.get(1..).unwrap_or_default().to_vec(),
                0x51 => {
                    let (content, module) = (std::mem::take(&mut self.qr), self.qr_module);
                    self.roll.qr(&content, module);
                }
                _ => {}
            },
            [0x1D, b'v', b'0', _, xl, xh, _, _, bits @ ..] => {
                self.end_line();
                self.roll.raster(usize::from(u16::from_le_bytes([*xl, *xh])), bits);
            }
            [0x1B | 0x1C | 0x1D | 0x10, ..] | [0x00..=0x1F] => {}
            text => self.line.extend_from_slice(text),
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

/// How many bytes the command or letter at the front has; none while it is not whole.
fn length_of(bytes: &[u8], kanji: bool) -> Option<usize> {
    let whole = |length: usize| (bytes.len() >= length).then_some(length);
    match bytes {
        [] => None,
        [0x1B, b'@', ..] | [0x1C, b'&' | b'.', ..] => whole(2),
        [0x1B | 0x1C | 0x1D | 0x10] | [0x1D, b'V' | b'(' | b'v'] => None,
        [0x1D, b'V', 65 | 66 | 97 | 98, ..] => whole(4),
        [0x1D, b'(', _, low, high, ..] => whole(5 + usize::from(u16::from_le_bytes([*low, *high]))),
        [0x1D, b'(', ..] => None,
        [0x1D, b'v', b'0', _, xl, xh, yl, yh, ..] => {
            let rows = usize::from(u16::from_le_bytes([*yl, *yh]));
            whole(8 + usize::from(u16::from_le_bytes([*xl, *xh])) * rows)
        }
        [0x1D, b'v', ..] => None,
        [0x1B, b'c', ..] => whole(4),
        [
            0x1B,
            b'J' | b'!' | b'a' | b'd' | b'E' | b'-' | b'G' | b'M' | b't' | b'R' | b'3' | b'{' | b'V' | b' ',
            ..,
        ]
        | [0x1D, b'!' | b'B' | b'r' | b'a' | b'I' | b'b' | b'H' | b'h' | b'w' | b'V' | b'f', ..]
        | [0x1C, b'!' | b'-' | b'C' | b'W', ..] => whole(3),
        [0x1D, b'L' | b'W' | b'P', ..] | [0x1B, b'$' | b'\\', ..] | [0x1C, b'S', ..] => whole(4),
        [0x1B | 0x1C | 0x1D | 0x10, ..] => whole(2),
        // GB18030: a lead byte is followed by one more, or by three when that is a digit.
        [0x81..=0xFE, 0x30..=0x39, ..] if kanji => whole(4),
        [0x81..=0xFE, ..] if kanji => whole(2),
        [_, ..] => Some(1),
    }
}

/// `DLE EOT n` (Epson ESC/POS, real-time status).
const fn status(n: u8, troubles: Troubles) -> u8 {
    let offline = troubles.paper_out || troubles.cover_open;
    match n {
        1 => 0x12 | if offline { 0x08 } else { 0 },
        2 => 0x12 | if troubles.cover_open { 0x04 } else { 0 } | if troubles.paper_out { 0x20 } else { 0 },
        3 => 0x12,
        _ => 0x12 | if troubles.paper_out { 0x6C } else { 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::WIDTH_80;

    fn run(bytes: &[u8], troubles: Troubles) -> (Vec<Sheet>, Vec<u8>) {
        let mut state = State {
            troubles,
            sheets: Vec::new(),
            interpreter: Interpreter::new(Roll::new(WIDTH_80).unwrap()),
        };
        let answers = state.take(bytes);
        (state.sheets, answers)
    }

    fn receipt() -> Vec<u8> {
        let mut bytes = vec![0x1B, b'@', 0x1C, b'&'];
        bytes.extend_from_slice(&encoding_rs::GB18030.encode("缴费凭条 李䶮 𠮷田\n¥86.40\n").0);
        bytes.extend([
            0x1D, b'(', b'k', 5, 0, 0x31, 0x50, 0x30, b'h', b'i', 0x1D, b'(', b'k', 3, 0, 0x31, 0x51, 0x30,
        ]);
        bytes.extend([0x1D, b'V', 66, 3, 0x1D, b'(', b'H', 6, 0, 0x30, 0x30, 1, 2, 3, 4, 0x1D, b'r', 1]);
        bytes
    }

    #[test]
    fn a_chinese_receipt_is_cut_off_whole_and_its_fences_are_answered() {
        let (sheets, answers) = run(&receipt(), Troubles::default());
        assert_eq!(sheets.len(), 1);
        assert!(
            sheets[0].text.contains("李䶮 𠮷田") && sheets[0].text.contains("[QR hi]"),
            "{}",
            sheets[0].text
        );
        assert_eq!(answers, [0x37, 0x22, 1, 2, 3, 4, 0x00, 0x00]);
        let picture = image::load_from_memory(&sheets[0].png).unwrap().to_luma8();
        let mut found = rqrr::PreparedImage::prepare(picture);
        assert_eq!(found.detect_grids()[0].decode().unwrap().1, "hi");
    }

    #[test]
    fn status_bytes_are_those_of_the_manual() {
        let ask = [0x10, 4, 1, 0x10, 4, 2, 0x10, 4, 3, 0x10, 4, 4];
        assert_eq!(run(&ask, Troubles::default()).1, [0x12, 0x12, 0x12, 0x12]);
        let out = Troubles { paper_out: true, ..Troubles::default() };
        assert_eq!(run(&ask, out).1, [0x1A, 0x32, 0x12, 0x7E]);
        let open = Troubles { cover_open: true, ..Troubles::default() };
        assert_eq!(run(&ask, open).1, [0x1A, 0x16, 0x12, 0x12]);
        let mute = Troubles { mute: true, ..Troubles::default() };
        assert!(run(&ask, mute).1.is_empty());
    }

    #[test]
    fn without_paper_nothing_comes_out_and_no_fence_is_answered_until_there_is_a_new_roll() {
        let mut state = State {
            troubles: Troubles { paper_out: true, ..Troubles::default() },
            sheets: Vec::new(),
            interpreter: Interpreter::new(Roll::new(WIDTH_80).unwrap()),
        };
        assert!(state.take(&receipt()).is_empty());
        assert!(state.sheets.is_empty());
        state.troubles.paper_out = false;
        assert_eq!(state.take(&[]).len(), 8);
        assert_eq!(state.sheets.len(), 1);
    }

    #[test]
    fn a_roll_that_ends_in_the_middle_leaves_half_a_receipt_and_no_answer() {
        let mut state = State {
            troubles: Troubles { paper_left: Some(20), ..Troubles::default() },
            sheets: Vec::new(),
            interpreter: Interpreter::new(Roll::new(WIDTH_80).unwrap()),
        };
        assert!(state.take(&receipt()).is_empty());
        assert_eq!(state.sheets.len(), 1);
        assert!(state.sheets[0].text.contains("缴费凭条") && !state.sheets[0].text.contains("86.40"));
        assert_eq!(state.take(&[0x10, 4, 4]), [0x7E]);
    }
}
