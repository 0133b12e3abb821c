//! A scripted reader on a link, with a simulated clock and one fault at a time.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use id_reader::IdReader;
use serial_link::{Link, LinkFault};

/// A fault of the reader's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFault {
    /// No answer is sent.
    Silent,
    /// The reader is unplugged.
    Unplugged,
    /// These bytes are sent instead of the answer.
    Instead(Vec<u8>),
    /// These bytes are sent before each answer.
    Before(Vec<u8>),
    /// The checksum is wrong.
    Checksum,
    /// Each answer ends after this number of bytes.
    Truncated(usize),
    /// The length field differs by this number of bytes.
    Length(i16),
    /// Each byte takes this number of milliseconds.
    Slow(u64),
    /// Endless noise is sent.
    Flood,
}

/// State of the scripted reader; shared between the test and the link.
pub(crate) struct ScriptedReaderState {
    now: Instant,
    /// Received commands: CMD and PARA.
    pub(crate) commands: Vec<[u8; 2]>,
    /// Answers to commands, by CMD and PARA.
    replies: Vec<([u8; 2], VecDeque<Vec<u8>>)>,
    pub(crate) fault: Option<AnswerFault>,
    /// Number of answers after which the fault ends.
    pub(crate) fault_answers: u32,
    out: VecDeque<u8>,
}

impl ScriptedReaderState {
    /// Sets the answer to a command.
    pub(crate) fn set_answer(&mut self, command: [u8; 2], body: &[u8]) {
        self.set_answers(command, &[body]);
    }

    /// Sets the answers to a command, in order; the last one is repeated.
    pub(crate) fn set_answers(&mut self, command: [u8; 2], bodies: &[&[u8]]) {
        self.replies.retain(|(known, _)| *known != command);
        self.replies.push((command, bodies.iter().map(|body| body.to_vec()).collect()));
    }

    /// Sends bytes without a command.
    pub(crate) fn send_unsolicited(&mut self, bytes: &[u8]) {
        self.out.extend(bytes);
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    fn handle_command(&mut self, frame: &[u8]) {
        let [0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x03, cmd, para, sum] = *frame else {
            panic!("{frame:02X?}")
        };
        assert_eq!(sum, 3 ^ cmd ^ para);
        self.commands.push([cmd, para]);
        let body = match self.replies.iter_mut().find(|(command, _)| *command == [cmd, para]) {
            Some((_, bodies)) if bodies.len() > 1 => bodies.pop_front().unwrap(),
            Some((_, bodies)) => bodies[0].clone(),
            None => vec![0, 0, 0x21],
        };
        let mut answer = framed(&body);
        let fault = self.fault.clone();
        if fault.is_some() {
            self.fault_answers = self.fault_answers.saturating_sub(1);
            if self.fault_answers == 0 {
                self.fault = None;
            }
        }
        match fault {
            Some(AnswerFault::Silent | AnswerFault::Unplugged | AnswerFault::Flood) => return,
            Some(AnswerFault::Instead(bytes)) => answer = bytes,
            Some(AnswerFault::Before(bytes)) => answer = [bytes, answer].concat(),
            Some(AnswerFault::Checksum) => *answer.last_mut().unwrap() ^= 1,
            Some(AnswerFault::Truncated(length)) => answer.truncate(length),
            Some(AnswerFault::Length(by)) => {
                let length = u16::from_be_bytes([answer[5], answer[6]]).wrapping_add_signed(by);
                answer[5..7].copy_from_slice(&length.to_be_bytes());
            }
            Some(AnswerFault::Slow(_)) | None => {}
        }
        self.out.extend(answer);
    }
}

/// The reader's end of the link.
#[derive(Clone)]
pub(crate) struct ScriptedReader(Rc<RefCell<ScriptedReaderState>>);

impl ScriptedReader {
    /// A reader without a card.
    pub(crate) fn new() -> Self {
        let mut state = ScriptedReaderState {
            now: Instant::now(),
            commands: Vec::new(),
            replies: Vec::new(),
            fault: None,
            fault_answers: u32::MAX,
            out: VecDeque::new(),
        };
        state.set_answer([0x11, 0xFF], &[0, 0, 0x90]);
        state.set_answer([0x20, 0x01], &[0, 0, 0x80]);
        Self(Rc::new(RefCell::new(state)))
    }

    pub(crate) fn reader(&self) -> IdReader<Self> {
        IdReader::new(self.clone())
    }

    pub(crate) fn state(&self) -> RefMut<'_, ScriptedReaderState> {
        self.0.borrow_mut()
    }

    /// Places a card with this text on the reader.
    pub(crate) fn place_card(&self, text: &[u8]) {
        let mut state = self.state();
        state.set_answer([0x20, 0x01], &[0, 0, 0x9F, 0, 0, 0, 0]);
        state.set_answer([0x20, 0x02], &[0, 0, 0x90, 0, 0, 0, 0, 0, 0, 0, 0]);
        state.set_answer([0x30, 0x01], &reading_answer(text));
    }
}

impl Link for ScriptedReader {
    fn write_some(&mut self, bytes: &[u8], _timeout: Duration) -> Result<usize, LinkFault> {
        let mut state = self.state();
        if state.fault == Some(AnswerFault::Unplugged) {
            return Err(LinkFault::Gone);
        }
        state.handle_command(bytes);
        Ok(bytes.len())
    }

    fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
        assert!(timeout <= Duration::from_millis(200) && !buffer.is_empty());
        let mut state = self.state();
        match state.fault {
            Some(AnswerFault::Unplugged) => return Err(LinkFault::Gone),
            Some(AnswerFault::Flood) => {
                state.now += Duration::from_millis(1);
                buffer.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 31) as u8);
                return Ok(buffer.len());
            }
            Some(AnswerFault::Slow(ms)) if !state.out.is_empty() => {
                state.now += Duration::from_millis(ms);
                buffer[0] = state.out.pop_front().unwrap();
                return Ok(1);
            }
            Some(_) | None => {}
        }
        if state.out.is_empty() {
            state.now += timeout;
            return Err(LinkFault::TimedOut);
        }
        let count = buffer.len().min(state.out.len());
        for (byte, sent) in buffer.iter_mut().zip(state.out.drain(..count)) {
            *byte = sent;
        }
        Ok(count)
    }

    fn bytes_per_second(&self) -> u32 {
        11_520
    }

    fn now(&self) -> Instant {
        self.0.borrow().now
    }
}

pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let summed = [&(body.len() as u16 + 1).to_be_bytes(), body].concat();
    let sum = summed.iter().fold(0, |sum, byte| sum ^ byte);
    [&[0xAA, 0xAA, 0xAA, 0x96, 0x69], summed.as_slice(), &[sum]].concat()
}

/// The good answer to a reading.
pub(crate) fn reading_answer(text: &[u8]) -> Vec<u8> {
    [&[0, 0, 0x90, 1, 0, 4, 0], text, photo().as_slice()].concat()
}

/// A photo in which every byte value and a preamble occur.
pub(crate) fn photo() -> Vec<u8> {
    let mut photo: Vec<u8> = (0..1024_u32).map(|at| at as u8).collect();
    photo[500..507].copy_from_slice(&[0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x04]);
    photo
}

/// The text of an invented resident.
pub(crate) fn resident_text() -> Vec<u8> {
    [
        ("张三丰", 15),
        ("1", 1),
        ("01", 2),
        ("19900307", 8),
        ("重庆市渝中区人民路二三二号", 35),
        ("500103199003070017", 18),
        ("重庆市公安局渝中区分局", 15),
        ("20200101", 8),
        ("20400101", 8),
        ("", 18),
    ]
    .iter()
    .flat_map(|(words, units)| {
        let mut field: Vec<u16> = words.encode_utf16().collect();
        field.resize(*units, 0x20);
        field
    })
    .flat_map(u16::to_le_bytes)
    .collect()
}
