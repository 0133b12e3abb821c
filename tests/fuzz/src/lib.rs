//! One entry for each place where bytes from outside are read. An entry takes any bytes and comes back: it panics when
//! something that must hold does not, and whoever calls it watches that it neither panics nor loops nor hoards.

use std::time::{Duration, Instant};

use card::{AuthAnswer, AuthRequest, AuthorityFault, CardAuthority, CardTransport, TransportFault};
use code_reader::{LineEnd, Lines, Packing, Y4mParser};
use contract::{BatchAck, ChangesAnswer, OrderId, RecordBatch, ServiceDocument, Site, UnixMs};
use device::framing::read_frame;
use device::record::Recording;
use device::wire::{CODE_MAX, FromDevice, ToDevice};
use engine::wire::{Asked, Head};
use printer::{Block, Link, LinkFault, Printer, Profile, Receipt};
use resident_code::{Code, FormatKey, Issuers, Window};
use session::Ticket;
use sync::Exchange;

/// What runs on the bytes.
pub type Entry = fn(&[u8]);

/// All entries by name; seeds of each lie in a folder of that name.
pub const ENTRIES: &[(&str, Entry)] = &[
    ("card", card),
    ("camera-frame", camera_frame),
    ("camera-stream", camera_stream),
    ("code-text", code_text),
    ("device-wire", device_wire),
    ("id-reader", id_reader),
    ("platform-answer", platform_answer),
    ("printer", printer_answers),
    ("recording", recording),
    ("scanner-lines", scanner_lines),
    ("service-document", service_document),
    ("site-file", site_file),
];

/// Most commands that one reading, two PINs and a staff card may take: twenty, each repeated as often as it may be.
const COMMANDS_MAX: usize = 20 * 8;

/// A card that answers with these bytes: a length byte before each answer. The answers come round again.
pub fn card(data: &[u8]) {
    struct Liar<'a> {
        answers: Vec<&'a [u8]>,
        asked: usize,
    }
    impl CardTransport for Liar<'_> {
        fn transmit(&mut self, _: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
            let answer = self.answers.get(self.asked % self.answers.len().max(1));
            self.asked += 1;
            assert!(self.asked <= COMMANDS_MAX, "a card is asked without end");
            response.extend_from_slice(answer.copied().ok_or(TransportFault::CardGone)?);
            Ok(())
        }
    }
    let mut answers = Vec::new();
    let mut rest = data;
    while let Some((length, tail)) = rest.split_first() {
        let (answer, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        answers.push(answer);
        rest = tail;
    }
    /// Says zeros, so that a card that says zeros proves itself.
    struct Anybody;
    impl CardAuthority for Anybody {
        fn authenticate(&mut self, _: &AuthRequest) -> Result<AuthAnswer, AuthorityFault> {
            Ok(AuthAnswer { internal: [0; 8].into(), external: [0; 16].into() })
        }
    }
    let mut liar = Liar { answers, asked: 0 };
    let _ = card::read(&mut liar, &mut Anybody, card::Nonces::from([0; 24])).is_ok();
    let _ = card::verify_pin(&mut liar, b"123456").is_ok();
    let _ = card::change_pin(&mut liar, b"123456", b"271828").is_ok();
    if let Ok(Some(proof)) = card::staff(&mut liar, [7; 32]) {
        assert!((1..=32).contains(&proof.name.len()) && proof.signature.len() == 64);
    }
}

/// An ID reader that says these bytes, a part of them after each command.
pub fn id_reader(data: &[u8]) {
    struct Babbler {
        says: std::collections::VecDeque<u8>,
        now: Instant,
        moved: usize,
        /// Bytes that it still says before it waits for the next command.
        turn: usize,
    }
    impl Babbler {
        fn moves(&mut self) {
            self.moved += 1;
            assert!(self.moved < 50_000, "an ID reader is talked to without end");
        }
    }
    impl id_reader::Link for Babbler {
        fn write_some(&mut self, bytes: &[u8], _: Duration) -> Result<usize, id_reader::LinkFault> {
            self.moves();
            // The length that says how much it answers comes first.
            let [high, low] = [(); 2].map(|()| self.says.pop_front().map_or(0, usize::from));
            self.turn = high << 8 | low;
            Ok(bytes.len())
        }
        fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, id_reader::LinkFault> {
            self.moves();
            let count = self.turn.min(buffer.len()).min(self.says.len());
            if count == 0 {
                self.now += timeout;
                return Err(id_reader::LinkFault::TimedOut);
            }
            self.turn -= count;
            for (place, byte) in buffer.iter_mut().zip(self.says.drain(..count)) {
                *place = byte;
            }
            Ok(count)
        }
        fn now(&self) -> Instant {
            self.now
        }
    }
    let says = data.iter().copied().collect();
    let mut reader = id_reader::IdReader::new(Babbler { says, now: Instant::now(), moved: 0, turn: 0 });
    let _ = reader.sam_id().is_ok();
    let _ = reader.find().is_ok();
    let _ = reader.read_with_fingerprints().is_ok();
    let _ = reader.new_address().is_ok();
}

/// A printer that says these bytes, whenever it is listened to.
pub fn printer_answers(data: &[u8]) {
    struct Babbler {
        says: std::collections::VecDeque<u8>,
        now: Instant,
        moved: usize,
    }
    impl Babbler {
        fn moves(&mut self) {
            self.moved += 1;
            assert!(self.moved < 200_000, "a printer is talked to without end");
        }
    }
    impl Link for Babbler {
        fn write_some(&mut self, bytes: &[u8], _: Duration) -> Result<usize, LinkFault> {
            self.moves();
            Ok(bytes.len())
        }
        fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
            self.moves();
            match (self.says.pop_front(), buffer.first_mut()) {
                (Some(byte), Some(place)) => {
                    *place = byte;
                    Ok(1)
                }
                _ => {
                    self.now += timeout;
                    Err(LinkFault::TimedOut)
                }
            }
        }
        fn bytes_per_second(&self) -> u32 {
            11_520
        }
        fn now(&self) -> Instant {
            self.now
        }
    }
    let Some((which, says)) = data.split_first() else { return };
    let name =
        ["generic-80", "generic-58", "epson-80"].get(usize::from(which % 3)).copied().unwrap_or_default();
    let Some(profile) = Profile::named(name) else { return };
    let link = Babbler { says: says.iter().copied().collect(), now: Instant::now(), moved: 0 };
    let mut printer = Printer::open(Box::new(link), profile);
    let _ = printer.status().is_ok();
    let receipt = Receipt { blocks: vec![Block::Line("hello".into()), Block::Rule], copy_mark: None };
    let _ = printer.print(&receipt, &mut |_| {});
}

/// A camera's stream, in pieces of the length that the first byte says.
pub fn camera_stream(data: &[u8]) {
    let Some((piece, stream)) = data.split_first() else { return };
    let mut parser = Y4mParser::new();
    for mut part in stream.chunks(usize::from(*piece).max(1)) {
        loop {
            match parser.feed(&mut part) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// One frame of a camera as it packs it: packing, width and height in one byte each, and its bytes.
pub fn camera_frame(data: &[u8]) {
    let [packing, width, height, picture @ ..] = data else { return };
    let packing = [Packing::Mjpeg, Packing::Yuyv, Packing::Nv12, Packing::Gray, Packing::Rgb, Packing::Bgr]
        .get(usize::from(packing % 6))
        .copied();
    let Some(packing) = packing else { return };
    let frame = code_reader::unpack(packing, u32::from(*width), u32::from(*height), picture);
    if let Some(frame) = frame {
        let pixels = u64::from(frame.width()) * u64::from(frame.height());
        assert_eq!(u64::try_from(frame.luma().len()).ok(), Some(pixels));
    }
}

/// Text of a code, as bytes and as text; verified with no key that could have made it.
pub fn code_text(data: &[u8]) {
    let _ = Code::from_bytes(data).is_ok();
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Code::parse(text) {
        Ok(Code::Online(token)) => {
            assert!(token.check(&FormatKey::new(1, [7; 32])).is_err() || !token.to_text().is_empty())
        }
        Ok(Code::Offline(code)) => {
            assert!(code.verify(&Issuers::default(), 1_700_000_000, Window::default()).is_err());
        }
        Ok(Code::Paper(code)) => assert!(code.verify(&Issuers::default(), 1_700_000_000, 60).is_err()),
        Ok(Code::Answer(code)) => {
            let (issuers, window) = (Issuers::default(), Window::default());
            assert!(code.verify(&issuers, b"challenge", 1_700_000_000, window).is_err());
        }
        Err(_) => {}
    }
}

/// Frames between kiosk and device process, both ways.
pub fn device_wire(data: &[u8]) {
    let mut wire = data;
    while read_frame::<FromDevice>(&mut wire).is_ok() {}
    let mut wire = data;
    while read_frame::<ToDevice>(&mut wire).is_ok() {}
}

/// What the platform answers: the first byte says to what, the second with which status.
pub fn platform_answer(data: &[u8]) {
    let [asked, status, body @ ..] = data else { return };
    let order = OrderId::from_entropy(7);
    let asked = [
        Asked::Identify(Ticket(1)),
        Asked::Prove(Ticket(1)),
        Asked::Call(Ticket(1)),
        Asked::Charge(order),
        Asked::Inquire(order),
        Asked::Records,
        Asked::Changes,
    ]
    .get(usize::from(asked % 7))
    .copied();
    let Some(asked) = asked else { return };
    let status = if *status < 128 { 200 } else { 400 + u16::from(*status) };
    let head = Head { status, content_type: Some("application/problem+json") };
    let exchange = Exchange { sent: UnixMs(0), received: UnixMs(1) };
    let _ = asked.answered(exchange, Ok((head, body)));
    let _ = serde_json::from_slice::<ChangesAnswer>(body).is_ok();
    let _ = serde_json::from_slice::<BatchAck>(body).is_ok();
    if let Ok(batch) = serde_json::from_slice::<RecordBatch>(body) {
        let _ = batch.check().is_ok();
    }
}

/// A recording of a device's wire, read back and fed to its driver.
pub fn recording(data: &[u8]) {
    let Ok(recording) = Recording::read(data) else { return };
    let _ = device::record::replay::read_cards(&recording).is_ok();
    if let Some(profile) = Profile::named("generic-80") {
        let _ = device::record::replay::print(&recording, &profile).is_ok();
    }
}

/// A serial scanner's line: the first byte says in pieces of which length it comes, the second how codes end.
pub fn scanner_lines(data: &[u8]) {
    let [piece, end, line @ ..] = data else { return };
    let ends =
        [LineEnd::Any, LineEnd::Cr, LineEnd::Lf, LineEnd::CrLf, LineEnd::Tab, LineEnd::Etx, LineEnd::Pause];
    let Some(end) = ends.get(usize::from(end % 7)).copied() else { return };
    let mut lines = Lines::new(end, CODE_MAX);
    let codes: Vec<_> = line.chunks(usize::from(*piece).max(1)).flat_map(|part| lines.take(part)).collect();
    assert!(codes.iter().chain(lines.pause().iter()).all(|code| (1..=CODE_MAX).contains(&code.len())));
}

/// A service's document.
pub fn service_document(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = ServiceDocument::parse(text).is_ok();
    }
}

/// A kiosk's site file.
pub fn site_file(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Site::parse(text).is_ok();
    }
}
