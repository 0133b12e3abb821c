//! Emulated ID reader behind a pty: the SDT protocol of its security module, and the card on it.
//!
//! After a successful reading a card is not found again until it was removed, as with real readers.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::faults::{
    EmulatedDevice, FaultKind, FaultSwitches, FaultyResponse, ProtocolStep, apply_fault, id_reader as steps,
};
use crate::id_card::EmulatedIdCard;
use crate::pty::{LineEmulator, PtyPort};

/// Preamble of a message, in both directions.
const PREAMBLE: [u8; 5] = [0xAA, 0xAA, 0xAA, 0x96, 0x69];
/// Most buffered bytes of an incomplete command.
const PENDING_BYTES_MAX: usize = 256;
/// Bytes that a slow reader sends before each pause of [`CHUNK_PAUSE`].
const CHUNK_BYTES: usize = 48;
const CHUNK_PAUSE: Duration = Duration::from_millis(20);
/// Status bytes SW1 SW2 SW3.
const SW_OK: [u8; 3] = [0x00, 0x00, 0x90];
const SW_CARD_FOUND: [u8; 3] = [0x00, 0x00, 0x9F];
const SW_BAD_CHECKSUM: [u8; 3] = [0x00, 0x00, 0x10];
const SW_BAD_COMMAND: [u8; 3] = [0x00, 0x00, 0x21];
const SW_UNKNOWN_CARD: [u8; 3] = [0x00, 0x00, 0x40];
const SW_READ_FAILED: [u8; 3] = [0x00, 0x00, 0x41];
const SW_SELF_TEST_FAILED: [u8; 3] = [0x00, 0x00, 0x60];
const SW_NO_CARD: [u8; 3] = [0x00, 0x00, 0x80];
const SW_NOT_SELECTED: [u8; 3] = [0x00, 0x00, 0x81];
const SW_NO_CONTENT: [u8; 3] = [0x00, 0x00, 0x91];
/// A status that is not documented.
const SW_UNDOCUMENTED: [u8; 3] = [0x05, 0x05, 0x05];

/// The reader, reached by a symbolic link to a pty.
pub struct EmulatedIdReader {
    plate: Arc<Mutex<ReaderPlate>>,
    _port: PtyPort,
}

/// The plate on which a card is placed.
#[derive(Default)]
struct ReaderPlate {
    placed_card: Option<PlacedCard>,
    /// Number of polls without a card since the last removal.
    empty_polls: u32,
}

/// The placed card, and how far it was read.
struct PlacedCard {
    card: EmulatedIdCard,
    found: bool,
    selected: bool,
    read: bool,
}

impl EmulatedIdReader {
    /// Emulates a reader on a pty whose symbolic link is created at `link`.
    ///
    /// # Errors
    /// When no pty can be opened, or the path exists and is no symbolic link.
    pub fn open_pty(link: &Path, faults: FaultSwitches) -> std::io::Result<Self> {
        let top = Arc::default();
        let module = SecurityModule { plate: Arc::clone(&top), received: Vec::new(), faults };
        Ok(Self { plate: top, _port: PtyPort::open(link, module)? })
    }

    /// Places a card on the reader; replaces the previous one.
    pub fn place_card(&self, card: EmulatedIdCard) {
        locked(&self.plate).placed_card =
            Some(PlacedCard { card, found: false, selected: false, read: false });
    }

    /// Removes the card and resets the number of polls.
    pub fn remove_card(&self) {
        *locked(&self.plate) = ReaderPlate::default();
    }

    /// Whether a card is on the reader.
    #[must_use]
    pub fn has_card(&self) -> bool {
        locked(&self.plate).placed_card.is_some()
    }

    /// Number of polls without a card since the last removal.
    #[must_use]
    pub fn empty_polls(&self) -> u32 {
        locked(&self.plate).empty_polls
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The firmware of the security module.
struct SecurityModule {
    plate: Arc<Mutex<ReaderPlate>>,
    received: Vec<u8>,
    faults: FaultSwitches,
}

impl LineEmulator for SecurityModule {
    fn receive(&mut self, bytes: &[u8]) -> Vec<FaultyResponse> {
        self.received.extend_from_slice(bytes);
        let mut said = Vec::new();
        while let Some(command) = self.next_command() {
            said.extend(self.respond(&command));
        }
        let excess = self.received.len().saturating_sub(PENDING_BYTES_MAX);
        self.received.drain(..excess);
        said
    }

    fn is_connected(&self) -> bool {
        self.faults.hit(&steps::UNPLUGGED).is_none() && !self.faults.is_disconnected(EmulatedDevice::IdReader)
    }
}

/// A received command: its bytes after the length, and whether the checksum is right.
struct ReaderCommand {
    body: Vec<u8>,
    checksum_valid: bool,
}

impl SecurityModule {
    fn next_command(&mut self) -> Option<ReaderCommand> {
        let begin = self.received.windows(PREAMBLE.len()).position(|window| window == PREAMBLE)?;
        self.received.drain(..begin);
        let [high, low] = *self.received.get(5..7)? else { return None };
        let end = 7 + usize::from(u16::from_be_bytes([high, low]));
        if end > PENDING_BYTES_MAX {
            self.received.drain(..1);
            return self.next_command();
        }
        let message: Vec<u8> = self.received.get(..end)?.to_vec();
        self.received.drain(..end);
        let (summed, checksum) = message.get(5..)?.split_at_checked(end - 6)?;
        let sound = checksum == [summed.iter().fold(0, |sum, byte| sum ^ byte)];
        Some(ReaderCommand { body: summed.get(2..)?.to_vec(), checksum_valid: sound })
    }

    fn respond(&mut self, command: &ReaderCommand) -> Vec<FaultyResponse> {
        let (step, mut body): (Option<&ProtocolStep>, Vec<u8>) = match command.body.as_slice() {
            _ if !command.checksum_valid => (None, SW_BAD_CHECKSUM.to_vec()),
            [0x10 | 0x11, 0xFF] => (None, SW_OK.to_vec()),
            [0x12, 0xFF] => (Some(&steps::SAM_ID), [&SW_OK[..], &sam_id()].concat()),
            [0x20, 0x01] => (Some(&steps::FIND), self.find()),
            [0x20, 0x02] => (Some(&steps::SELECT), self.select()),
            [0x30, 0x01] => (Some(&steps::READ), self.read(false)),
            [0x30, 0x10] => (Some(&steps::READ), self.read(true)),
            [0x30, 0x03] => (None, SW_NO_CONTENT.to_vec()),
            _ => (None, SW_BAD_COMMAND.to_vec()),
        };
        if self.faults.hit(&steps::SELF_TEST).is_some() {
            body = SW_SELF_TEST_FAILED.to_vec();
        }
        if self.faults.hit(&steps::UNDOCUMENTED_STATUS).is_some() {
            body = SW_UNDOCUMENTED.to_vec();
        }
        let mut answer = encode_message(&body);
        if self.faults.hit(&steps::CHECKSUM).is_some()
            && let Some(checksum) = answer.last_mut()
        {
            *checksum ^= 0x55;
        }
        if self.faults.hit(&steps::LENGTH).is_some()
            && let Some(low) = answer.get_mut(6)
        {
            *low = low.wrapping_add(9);
        }
        let kind = step.and_then(|step| self.faults.hit(step));
        let bent = apply_fault(kind, answer, &encode_message(&SW_UNDOCUMENTED), &PREAMBLE);
        if self.faults.hit(&steps::SLOW).is_some() && kind.is_none() {
            let piece = |bytes: &[u8]| FaultyResponse {
                delay: CHUNK_PAUSE,
                bytes: bytes.to_vec(),
                disconnects: false,
            };
            return bent.bytes.chunks(CHUNK_BYTES).map(piece).collect();
        }
        vec![bent]
    }

    fn find(&mut self) -> Vec<u8> {
        let mut top = locked(&self.plate);
        match &mut top.placed_card {
            Some(lying) if !lying.read => {
                (lying.found, lying.selected) = (true, false);
                return [&SW_CARD_FOUND[..], &[0; 4]].concat();
            }
            Some(_) => {}
            None => top.empty_polls = top.empty_polls.saturating_add(1),
        }
        SW_NO_CARD.to_vec()
    }

    fn select(&mut self) -> Vec<u8> {
        match &mut locked(&self.plate).placed_card {
            Some(lying) if lying.found && lying.card.is_other_document => SW_UNKNOWN_CARD.to_vec(),
            Some(lying) if lying.found => {
                lying.selected = true;
                [&SW_OK[..], &[0; 8]].concat()
            }
            Some(_) | None => SW_NOT_SELECTED.to_vec(),
        }
    }

    fn read(&mut self, with_fingerprints: bool) -> Vec<u8> {
        let mut top = locked(&self.plate);
        if self.faults.hit(&steps::CARD_LIFTED).is_some() {
            top.placed_card = None;
        }
        match &mut top.placed_card {
            Some(lying) if lying.selected => {
                lying.read = self.faults.hit(&steps::READ).is_none_or(|kind| kind == FaultKind::Delay);
                let mut body = [&SW_OK[..], &[0x01, 0x00, 0x04, 0x00]].concat();
                if with_fingerprints {
                    body.extend([0x00, 0x00]);
                }
                body.extend_from_slice(&lying.card.text);
                body.extend_from_slice(&lying.card.photo);
                body
            }
            Some(_) | None => SW_READ_FAILED.to_vec(),
        }
    }
}

/// Number of the security module, as no real reader has it.
fn sam_id() -> [u8; 16] {
    let numbers = [20_260_101_u32, 1_000_001, 4_000_000_001].map(u32::to_le_bytes);
    let mut id = [0; 16];
    for (place, byte) in id.iter_mut().zip([5, 0, 1, 0].into_iter().chain(numbers.into_iter().flatten())) {
        *place = byte;
    }
    id
}

/// Encodes a message: preamble, length, body, checksum.
fn encode_message(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 1).unwrap_or(u16::MAX).to_be_bytes();
    let checksum = length.iter().chain(body).fold(0, |sum, byte| sum ^ byte);
    [&PREAMBLE[..], &length, body, &[checksum]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo_residents;
    use crate::id_card::IdCardFlaw;

    fn module(fault: Option<&str>) -> SecurityModule {
        let faults = FaultSwitches::default();
        if let Some(fault) = fault {
            faults.set_active(fault, true).unwrap();
        }
        SecurityModule { plate: Arc::default(), received: Vec::new(), faults }
    }

    fn lay(module: &SecurityModule, flaw: IdCardFlaw) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/residents.toml");
        let card = EmulatedIdCard::for_resident(&demo_residents::read_residents(&file).unwrap()[0], flaw);
        locked(&module.plate).placed_card =
            Some(PlacedCard { card, found: false, selected: false, read: false });
    }

    fn ask(module: &mut SecurityModule, hex: &str) -> Vec<u8> {
        let bytes = base16ct::mixed::decode_vec(hex).unwrap();
        module.receive(&bytes).into_iter().flat_map(|bent| bent.bytes).collect()
    }

    fn hex(bytes: &[u8]) -> String {
        contract::to_hex_upper(bytes)
    }

    const FIND: &str = "AAAAAA96690003200122";
    const SELECT: &str = "AAAAAA96690003200221";
    const READ: &str = "AAAAAA96690003300132";

    #[test]
    fn responses_match_published_table() {
        let mut module = module(None);
        assert_eq!(hex(&ask(&mut module, FIND)), "AAAAAA9669000400008084");
        assert_eq!(hex(&ask(&mut module, SELECT)), "AAAAAA9669000400008185");
        assert_eq!(hex(&ask(&mut module, READ)), "AAAAAA9669000400004145");
        assert_eq!(hex(&ask(&mut module, "AAAAAA9669000311FFED")), "AAAAAA9669000400009094");
        lay(&module, IdCardFlaw::None);
        assert_eq!(hex(&ask(&mut module, FIND)), "AAAAAA9669000800009F0000000097");
        assert_eq!(hex(&ask(&mut module, SELECT)), "AAAAAA9669000C00009000000000000000009C");
        let read = ask(&mut module, READ);
        assert_eq!((read.len(), hex(&read[..14])), (1295, "AAAAAA9669050800009001000400".to_owned()));
        assert_eq!(hex(&ask(&mut module, FIND)), "AAAAAA9669000400008084", "read, and not removed yet");
    }

    #[test]
    fn commands_are_parsed_from_pieces_noise_and_bad_checksums() {
        let mut module = module(None);
        assert!(ask(&mut module, "00AAAAAA966900").is_empty());
        assert_eq!(hex(&ask(&mut module, "03200122FF")), "AAAAAA9669000400008084");
        assert_eq!(hex(&ask(&mut module, "AAAAAA96690003200123")), "AAAAAA9669000400001014");
        assert_eq!(hex(&ask(&mut module, "AAAAAA966900037F017D")), "AAAAAA9669000400002125");
        assert!(ask(&mut module, &"AAAAAA9669".repeat(500)).is_empty());
        assert_eq!(hex(&ask(&mut module, FIND)), "AAAAAA9669000400008084");
    }

    #[test]
    fn each_fault_changes_response_as_documented() {
        let good = "AAAAAA9669000400008084";
        for (fault, expected) in [
            ("id-reader-find-silence", ""),
            ("id-reader-find-truncation", "AAAAAA9669"),
            ("id-reader-find-wrong-answer", "AAAAAA9669000405050501"),
            ("id-reader-checksum", "AAAAAA96690004000080D1"),
            ("id-reader-length", "AAAAAA9669000D00008084"),
            ("id-reader-foreign-status", "AAAAAA9669000405050501"),
            ("id-reader-self-test", "AAAAAA9669000400006064"),
            ("id-reader-read-garbage", good),
        ] {
            assert_eq!(hex(&ask(&mut module(Some(fault)), FIND)), expected, "{fault}");
        }
        let mut slow = module(Some("id-reader-slow"));
        lay(&slow, IdCardFlaw::None);
        ask(&mut slow, FIND);
        ask(&mut slow, SELECT);
        assert!(slow.receive(&[0xAA, 0xAA, 0xAA, 0x96, 0x69, 0, 3, 0x30, 1, 0x32]).len() > 20);
        assert!(!module(Some("id-reader-unplugged")).is_connected());
    }

    #[test]
    fn lifted_card_is_not_read_and_other_document_not_selected() {
        let mut lifted = module(Some("id-card-lifted"));
        lay(&lifted, IdCardFlaw::None);
        ask(&mut lifted, FIND);
        ask(&mut lifted, SELECT);
        assert_eq!(hex(&ask(&mut lifted, READ)), "AAAAAA9669000400004145");
        assert!(locked(&lifted.plate).placed_card.is_none());

        let mut foreign = module(None);
        lay(&foreign, IdCardFlaw::OtherDocument);
        ask(&mut foreign, FIND);
        assert_eq!(hex(&ask(&mut foreign, SELECT)), "AAAAAA9669000400004044");
    }
}
