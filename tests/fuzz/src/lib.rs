//! One fuzz target for each parser of bytes from outside. A target accepts any bytes and returns; it panics when an
//! invariant does not hold. The caller checks that it neither panics nor loops nor exceeds its memory limit.

use std::time::{Duration, Instant};

use card::{AuthAnswer, AuthRequest, AuthorityFault, CardAuthority, CardTransport, TransportFault};
use code_reader::{CodeSplitter, LineEnd, PixelFormat, Y4mParser};
use contract::{BatchAck, ChangesAnswer, OrderId, RecordBatch, ServiceDocument, Site, UnixMs};
use device::framing::read_frame;
use device::record::Recording;
use device::wire::{CODE_MAX, FromDevice, ToDevice};
use engine::ExchangeTiming;
use engine::platform_api::{RequestKind, ResponseHead};
use printer::{PrintableReceipt, PrinterProfile, ReceiptBlock, ReceiptPrinter};
use resident_code::{Code, CodeIssuers, FormatKey, TimeWindow};
use serial_link::{Link, LinkFault};
use session::Ticket;

/// A function that parses arbitrary bytes.
pub type FuzzTarget = fn(&[u8]);

/// All fuzz targets by name; `seeds/NAME` holds the seeds of each.
pub const FUZZ_TARGETS: &[(&str, FuzzTarget)] = &[
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

/// Most commands of a reading, two PIN operations and a staff card: twenty, each with up to eight exchanges.
const COMMANDS_MAX: usize = 20 * 8;

/// A card that sends these responses: a length byte before each. After the last one it starts again with the first.
pub fn card(data: &[u8]) {
    struct ScriptedCard<'a> {
        answers: Vec<&'a [u8]>,
        commands: usize,
    }
    impl CardTransport for ScriptedCard<'_> {
        fn transmit(&mut self, _: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
            let answer = self.answers.get(self.commands % self.answers.len().max(1));
            self.commands += 1;
            assert!(self.commands <= COMMANDS_MAX, "the driver sends more commands than COMMANDS_MAX");
            response.extend_from_slice(answer.copied().ok_or(TransportFault::CardLost)?);
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
    /// Answers with zeros, so that a card that answers zeros counts as genuine.
    struct ZeroAuthority;
    impl CardAuthority for ZeroAuthority {
        fn authenticate(&mut self, _: &AuthRequest) -> Result<AuthAnswer, AuthorityFault> {
            Ok(AuthAnswer { internal: [0; 8].into(), external: [0; 16].into() })
        }
    }
    let mut card = ScriptedCard { answers, commands: 0 };
    let _ = card::read_card(&mut card, &mut ZeroAuthority, card::Nonces::from([0; 24])).is_ok();
    let _ = card::verify_pin(&mut card, b"123456").is_ok();
    let _ = card::change_pin(&mut card, b"123456", b"271828").is_ok();
    if let Ok(Some(proof)) = card::request_staff_proof(&mut card, [7; 32]) {
        assert!((1..=32).contains(&proof.name.len()) && proof.signature.len() == 64);
    }
}

/// An ID reader that sends these bytes, a part of them after each command.
pub fn id_reader(data: &[u8]) {
    struct ScriptedReader {
        output: std::collections::VecDeque<u8>,
        now: Instant,
        exchanges: usize,
        /// Bytes left to send before the next command.
        left: usize,
    }
    impl ScriptedReader {
        fn count_exchange(&mut self) {
            self.exchanges += 1;
            assert!(self.exchanges < 50_000, "the driver exceeds 50,000 reads and writes");
        }
    }
    impl Link for ScriptedReader {
        fn write_some(&mut self, bytes: &[u8], _: Duration) -> Result<usize, LinkFault> {
            self.count_exchange();
            // The first two bytes are the length of the response.
            let [high, low] = [(); 2].map(|()| self.output.pop_front().map_or(0, usize::from));
            self.left = high << 8 | low;
            Ok(bytes.len())
        }
        fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
            self.count_exchange();
            let count = self.left.min(buffer.len()).min(self.output.len());
            if count == 0 {
                self.now += timeout;
                return Err(LinkFault::TimedOut);
            }
            self.left -= count;
            for (place, byte) in buffer.iter_mut().zip(self.output.drain(..count)) {
                *place = byte;
            }
            Ok(count)
        }
        fn bytes_per_second(&self) -> u32 {
            11_520
        }
        fn now(&self) -> Instant {
            self.now
        }
    }
    let output = data.iter().copied().collect();
    let mut reader =
        id_reader::IdReader::new(ScriptedReader { output, now: Instant::now(), exchanges: 0, left: 0 });
    let _ = reader.sam_id().is_ok();
    let _ = reader.find().is_ok();
    let _ = reader.read().is_ok();
    let _ = reader.new_address().is_ok();
}

/// A printer that sends these bytes whenever the driver reads; the first byte selects the profile.
pub fn printer_answers(data: &[u8]) {
    struct ScriptedPrinter {
        output: std::collections::VecDeque<u8>,
        now: Instant,
        exchanges: usize,
    }
    impl ScriptedPrinter {
        fn count_exchange(&mut self) {
            self.exchanges += 1;
            assert!(self.exchanges < 200_000, "the driver exceeds 200,000 reads and writes");
        }
    }
    impl Link for ScriptedPrinter {
        fn write_some(&mut self, bytes: &[u8], _: Duration) -> Result<usize, LinkFault> {
            self.count_exchange();
            Ok(bytes.len())
        }
        fn read_some(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, LinkFault> {
            self.count_exchange();
            match (self.output.pop_front(), buffer.first_mut()) {
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
    let Some((which, output)) = data.split_first() else { return };
    let name =
        ["generic-80", "generic-58", "epson-80"].get(usize::from(which % 3)).copied().unwrap_or_default();
    let Some(profile) = PrinterProfile::by_name(name) else { return };
    let link =
        ScriptedPrinter { output: output.iter().copied().collect(), now: Instant::now(), exchanges: 0 };
    let mut printer = ReceiptPrinter::open(Box::new(link), profile);
    let _ = printer.status().is_ok();
    let receipt = PrintableReceipt {
        blocks: vec![ReceiptBlock::Line("hello".into()), ReceiptBlock::Rule],
        copy_mark: None,
    };
    let _ = printer.print(&receipt, &mut |_| {});
}

/// A camera's stream, in pieces whose length is the first byte.
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

/// One packed camera frame: packing, width and height in one byte each, then the pixels.
pub fn camera_frame(data: &[u8]) {
    let [packing, width, height, picture @ ..] = data else { return };
    let packing = [
        PixelFormat::Mjpeg,
        PixelFormat::Yuyv,
        PixelFormat::Nv12,
        PixelFormat::Gray,
        PixelFormat::Rgb,
        PixelFormat::Bgr,
    ]
    .get(usize::from(packing % 6))
    .copied();
    let Some(packing) = packing else { return };
    let frame = code_reader::unpack(packing, u32::from(*width), u32::from(*height), picture);
    if let Some(frame) = frame {
        let pixels = u64::from(frame.width()) * u64::from(frame.height());
        assert_eq!(u64::try_from(frame.luma().len()).ok(), Some(pixels));
    }
}

/// A resident code, as bytes and as text; verified without the issuer's keys, so that it must be rejected.
pub fn code_text(data: &[u8]) {
    let _ = Code::from_bytes(data).is_ok();
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Code::parse(text) {
        Ok(Code::Online(token)) => {
            assert!(token.check(&FormatKey::new(1, [7; 32])).is_err() || !token.to_text().is_empty())
        }
        Ok(Code::Offline(code)) => {
            assert!(code.verify(&CodeIssuers::default(), 1_700_000_000, TimeWindow::default()).is_err());
        }
        Ok(Code::Paper(code)) => assert!(code.verify(&CodeIssuers::default(), 1_700_000_000, 60).is_err()),
        Ok(Code::Answer(code)) => {
            let (issuers, window) = (CodeIssuers::default(), TimeWindow::default());
            assert!(code.verify(&issuers, b"challenge", 1_700_000_000, window).is_err());
        }
        Err(_) => {}
    }
}

/// Frames between kiosk and device process, in both directions.
pub fn device_wire(data: &[u8]) {
    let mut wire = data;
    while read_frame::<FromDevice>(&mut wire).is_ok() {}
    let mut wire = data;
    while read_frame::<ToDevice>(&mut wire).is_ok() {}
}

/// A response of the platform: the first byte selects the request, the second the HTTP status.
pub fn platform_answer(data: &[u8]) {
    let [asked, status, body @ ..] = data else { return };
    let order = OrderId::from_entropy(7);
    let asked = [
        RequestKind::Identify(Ticket(1)),
        RequestKind::Evidence(Ticket(1)),
        RequestKind::Call(Ticket(1)),
        RequestKind::Charge(order),
        RequestKind::Inquire(order),
        RequestKind::Records,
        RequestKind::Changes,
        RequestKind::UnreportedOrders,
    ]
    .get(usize::from(asked % 8))
    .copied();
    let Some(asked) = asked else { return };
    let status = if *status < 128 { 200 } else { 400 + u16::from(*status) };
    let head = ResponseHead { status, content_type: Some("application/problem+json") };
    let exchange = ExchangeTiming { sent: UnixMs(0), received: UnixMs(1) };
    let _ = asked.decode_response(exchange, Ok((head, body)));
    let _ = serde_json::from_slice::<ChangesAnswer>(body).is_ok();
    let _ = serde_json::from_slice::<BatchAck>(body).is_ok();
    if let Ok(batch) = serde_json::from_slice::<RecordBatch>(body) {
        let _ = batch.verify_chain().is_ok();
    }
}

/// A recording of a device's link, parsed and replayed to its driver.
pub fn recording(data: &[u8]) {
    let Ok(recording) = Recording::read(data) else { return };
    let _ = device::record::replay::replay_cards(&recording).is_ok();
    if let Some(profile) = PrinterProfile::by_name("generic-80") {
        let _ = device::record::replay::replay_receipts(&recording, &profile).is_ok();
    }
}

/// Bytes of a serial scanner: the first byte is the length of the pieces, the second selects the terminator.
pub fn scanner_lines(data: &[u8]) {
    let [piece, end, line @ ..] = data else { return };
    let ends =
        [LineEnd::Any, LineEnd::Cr, LineEnd::Lf, LineEnd::CrLf, LineEnd::Tab, LineEnd::Etx, LineEnd::Pause];
    let Some(end) = ends.get(usize::from(end % 7)).copied() else { return };
    let mut lines = CodeSplitter::new(end, CODE_MAX);
    let codes: Vec<_> =
        line.chunks(usize::from(*piece).max(1)).flat_map(|part| lines.push_bytes(part)).collect();
    assert!(codes.iter().chain(lines.on_pause().iter()).all(|code| (1..=CODE_MAX).contains(&code.len())));
}

/// A service document.
pub fn service_document(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = ServiceDocument::parse(text).is_ok();
    }
}

/// A site file.
pub fn site_file(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Site::parse(text).is_ok();
    }
}
