//! Recordings of device links: a recording holds no personal data, and its replay has the recorded outcome.
//!
//! `tests/recordings` holds recordings made on emulated hardware, one for each case that had to be analysed.
//! `UPDATE_RECORDINGS=1` records them again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::printer::{
    PrintConfirmation, PrintFailure, PrintOutcome, PrintableReceipt, PrinterProfile, ReceiptBlock,
    ReceiptPrinter,
};
use card::{
    AuthAnswer, AuthRequest, AuthorityFault, CardAuthority, CardReadRefusal, CardTransport, HolderData,
    Nonces, Psam, ReadFault, TransportFault,
};
use device::record::card::CardRecorder;
use device::record::id_reader::{IdReaderRequest, IdReaderTape};
use device::record::link::{OPENED_NOTE, RecordedLink};
use device::record::printer::{PrinterTape, print_request};
use device::record::replay;
use device::record::{Recorder, Recording, WireEvent};
use emulator::card::{CardFlaw, EmulatedCard};
use emulator::card_keys::CityCardKeys;
use emulator::demo_residents::{self, BenchResident};
use emulator::faults::FaultSwitches;
use emulator::id_card::{EmulatedIdCard, IdCardFlaw};
use emulator::id_reader::EmulatedIdReader;
use emulator::printer::EmulatedPrinter;
use emulator::roll::WIDTH_80_MM_DOTS;
use id_reader::{IdCardFault, IdReader, Validity};
use serial_link::{FlowControl, SerialLink};
use system_tests::repository::{repository, residents_file};
use system_tests::scenarios;

fn demo_residents() -> Vec<BenchResident> {
    demo_residents::read_residents(&residents_file()).unwrap()
}

/// An emulated card without a reader, whose commands and responses are recorded.
struct RecordedCard {
    card: EmulatedCard,
    tape: CardRecorder,
}

impl CardTransport for RecordedCard {
    fn transmit(&mut self, command: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
        let answer = self.card.respond(command);
        self.tape.record_exchange(command, Ok(&answer));
        response.extend_from_slice(&answer);
        Ok(())
    }
}

/// Waits until the only recording in a directory is complete.
fn finished(directory: &Path, is_whole: impl Fn(&Recording) -> bool) -> (Recording, PathBuf) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        for file in fs::read_dir(directory).into_iter().flatten().flatten() {
            let recording = Recording::read(File::open(file.path()).unwrap());
            if let Some(recording) = recording.ok().filter(|recording| is_whole(recording)) {
                return (recording, file.path());
            }
        }
        assert!(Instant::now() < until, "the recording is not complete after 30 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ends_with_note(recording: &Recording, note: &str) -> bool {
    recording.entries.last().is_some_and(|entry| entry.what == WireEvent::Note(note.into()))
}

/// The city's PSAM, whose own commands are not recorded.
struct TestPsam;

impl CardAuthority for TestPsam {
    fn authenticate(&mut self, request: &AuthRequest) -> Result<AuthAnswer, AuthorityFault> {
        let tape = CardRecorder::new(Recorder::off());
        Psam(&mut RecordedCard { card: EmulatedCard::new_psam(&CityCardKeys::for_tests()), tape })
            .authenticate(request)
    }
}

fn record_card(directory: &Path, resident: &BenchResident, flaw: CardFlaw) -> (Recording, PathBuf) {
    let recorder = Recorder::begin(directory, "card");
    recorder.record(WireEvent::Note(OPENED_NOTE.into()));
    let mut contact = RecordedCard {
        card: EmulatedCard::for_resident(resident, flaw),
        tape: CardRecorder::new(recorder.clone()),
    };
    let _ = card::read_card(&mut contact, &mut TestPsam, Nonces::from([7; 24])).is_ok();
    recorder.record(WireEvent::Request(serde_json::json!({ "verify-pin": resident.card.pin.len() })));
    let _ = card::verify_pin(&mut contact, resident.card.pin.as_bytes()).is_ok();
    recorder.record(WireEvent::Note("closed".into()));
    finished(directory, |recording| ends_with_note(recording, "closed"))
}

fn receipt_for(resident: &BenchResident) -> PrintableReceipt {
    PrintableReceipt {
        blocks: vec![
            ReceiptBlock::Title("缴费凭条".into()),
            ReceiptBlock::Pair { label: "姓名".into(), value: resident.name.clone() },
            ReceiptBlock::Pair { label: "身份证号".into(), value: resident.id_number.clone() },
            ReceiptBlock::Pair { label: "卡号".into(), value: resident.card.number.clone() },
            ReceiptBlock::Amount { label: "合计".into(), value: "¥86.40".into() },
            ReceiptBlock::Qr(format!("http://platform.invalid/r/{}", resident.card.number)),
        ],
        copy_mark: None,
    }
}

fn record_print(
    directory: &Path,
    resident: &BenchResident,
    fault: Option<&str>,
    profile: &str,
) -> (Recording, PathBuf, PrintOutcome) {
    let port = tempfile::tempdir().unwrap();
    let tty = port.path().join("receipt");
    let faults = FaultSwitches::default();
    let _printer = EmulatedPrinter::open_pty_with_faults(&tty, WIDTH_80_MM_DOTS, faults.clone()).unwrap();
    if let Some(fault) = fault {
        faults.set_active(fault, true).unwrap();
    }
    let recorder = Recorder::begin(directory, "receipt-printer");
    let link = SerialLink::open(&tty.display().to_string(), 115_200, FlowControl::XonXoff).unwrap();
    let link = RecordedLink::new(link, PrinterTape::new(recorder.clone()));
    let mut printer = ReceiptPrinter::open(Box::new(link), PrinterProfile::by_name(profile).unwrap());
    let receipt = receipt_for(resident);
    recorder.record(print_request(&receipt));
    let outcome = printer.print(&receipt, &mut |_| {});
    recorder.record(WireEvent::Note("closed".into()));
    let (recording, file) = finished(directory, |recording| ends_with_note(recording, "closed"));
    (recording, file, outcome)
}

fn record_id_card(directory: &Path, resident: &BenchResident, flaw: IdCardFlaw) -> (Recording, PathBuf) {
    let port = tempfile::tempdir().unwrap();
    let tty = port.path().join("id-reader");
    let reader_emulator = EmulatedIdReader::open_pty(&tty, FaultSwitches::default()).unwrap();
    let recorder = Recorder::begin(directory, "id-reader");
    let link = SerialLink::open(&tty.display().to_string(), 115_200, FlowControl::None).unwrap();
    let tape = IdReaderTape::new(recorder.clone());
    let link = RecordedLink::new(link, tape.clone());
    let mut reader = IdReader::new(link);
    tape.record_request(IdReaderRequest::SamId);
    reader.sam_id().unwrap();
    reader_emulator.place_card(EmulatedIdCard::for_resident(resident, flaw));
    loop {
        tape.record_request(IdReaderRequest::Find);
        if reader.find().unwrap() {
            break;
        }
    }
    tape.record_request(IdReaderRequest::Read);
    let _ = reader.read().is_ok();
    // The last bytes received are recorded when the driver begins another operation.
    tape.record_request(IdReaderRequest::Find);
    recorder.record(WireEvent::Note("closed".into()));
    finished(directory, |recording| ends_with_note(recording, "closed"))
}

#[test]
fn id_card_recording_replays_with_its_outcome() {
    for (flaw, expected) in [
        (IdCardFlaw::None, None),
        (IdCardFlaw::Expired, None),
        (IdCardFlaw::WrongNumber, Some(IdCardFault::Card(id_reader::IdReadRefusal::InvalidData))),
    ] {
        for resident in &demo_residents() {
            let directory = tempfile::tempdir().unwrap();
            let (recording, _) = record_id_card(directory.path(), resident, flaw);
            let read = replay::replay_id_cards(&recording).unwrap();
            assert_eq!(read.len(), 1);
            match &read[0] {
                Ok(reading) => {
                    assert_eq!(expected, None);
                    assert_ne!(reading.card.number(), resident.id_number);
                    let until = match reading.card.valid_to() {
                        Validity::Until(day) => day.to_yyyymmdd(),
                        Validity::LongTerm => "长期".to_owned(),
                    };
                    let was =
                        if flaw == IdCardFlaw::Expired { "20160101" } else { &resident.id_card.valid_to };
                    assert_eq!(until, was, "the recording must keep the validity");
                }
                Err(fault) => assert_eq!(Some(*fault), expected),
            }
        }
    }
}

#[test]
fn recordings_hold_no_personal_data() {
    let demo_residents = demo_residents();
    let personal_data = scenarios::read_residents(&residents_file()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (resident, data) in demo_residents.iter().zip(&personal_data) {
        let place = directory.path().join(&resident.id);
        let (_, card) = record_card(&place.join("card"), resident, CardFlaw::None);
        let (_, print, _) = record_print(&place.join("print"), resident, None, "generic-80");
        let (_, id_card) = record_id_card(&place.join("id-card"), resident, IdCardFlaw::None);
        let texts =
            [&data.name, &data.id_number, &data.card.identification, &data.card.number, &data.card.pin];
        for file in [card, print, id_card] {
            let written = fs::read(&file).unwrap();
            // The file holds bytes as hexadecimal digits, so the search covers both the file and the decoded bytes.
            let plain = bytes_of(&written);
            for text in texts {
                let gb = encoding_rs::GB18030.encode(text).0.into_owned();
                let bcd: Vec<u8> = packed(text);
                let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                for needle in [text.as_bytes(), gb.as_slice(), bcd.as_slice(), utf16.as_slice()] {
                    if needle.len() < 3 {
                        continue;
                    }
                    let found = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
                    assert!(!found(&written) && !found(&plain), "{}: {}", resident.id, file.display());
                }
            }
        }
    }
}

/// All bytes that a recording holds as hexadecimal digits, concatenated.
fn bytes_of(written: &[u8]) -> Vec<u8> {
    let recording = Recording::read(written).unwrap();
    let moved = |what: &WireEvent| match what {
        WireEvent::Out(bytes) | WireEvent::In(bytes) => bytes.0.clone(),
        WireEvent::OutFailed(_) | WireEvent::InFailed(_) | WireEvent::Request(_) | WireEvent::Note(_) => {
            Vec::new()
        }
    };
    recording.entries.iter().flat_map(|entry| moved(&entry.what)).collect()
}

/// Digits in packed BCD, as a card holds them.
fn packed(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn card_recording_replays_with_its_outcome() {
    let demo_residents = demo_residents();
    for (flaw, expected) in [
        (CardFlaw::None, None),
        (CardFlaw::ApplicationLocked, Some(CardReadRefusal::Blocked)),
        (CardFlaw::TruncatedRecord, Some(CardReadRefusal::Incomplete)),
        (CardFlaw::Garbage, Some(CardReadRefusal::InvalidData)),
        (CardFlaw::Cloned, Some(CardReadRefusal::AuthenticationFailed)),
        (CardFlaw::Replayed, Some(CardReadRefusal::AuthenticationFailed)),
    ] {
        for resident in &demo_residents {
            // A second-generation card has no card authentication, so a copy cannot be detected.
            let second = resident.card.version == "2.00";
            if second && matches!(flaw, CardFlaw::Cloned | CardFlaw::Replayed) {
                continue;
            }
            let directory = tempfile::tempdir().unwrap();
            let (recording, _) = record_card(directory.path(), resident, flaw);
            let read = replay::replay_cards(&recording).unwrap();
            assert_eq!(read.len(), 1);
            match (&read[0], expected) {
                (Ok(card), None) => assert!(matches!(card.holder, HolderData::Read(_)), "{}", resident.id),
                (Err(ReadFault::Refused(refusal)), Some(expected)) => assert_eq!(*refusal, expected),
                (other, _) => panic!("{}: {flaw:?}: {:?}", resident.id, other.as_ref().err()),
            }
        }
    }
}

#[test]
fn receipt_recording_replays_with_its_outcome() {
    let demo_residents = demo_residents();
    for (fault, profile, certain) in [
        (None, "generic-80", Some(PrintOutcome::Printed { confirmation: PrintConfirmation::Barrier })),
        (None, "epson-80", Some(PrintOutcome::Printed { confirmation: PrintConfirmation::ProcessId })),
        (Some("paper-out"), "generic-80", Some(PrintOutcome::NotStarted(PrintFailure::PaperOut))),
        // The outcome of these depends on timing; the replay must have the outcome of the recording.
        (Some("paper-ends"), "generic-80", None),
        (Some("printer-cut-wrong-answer"), "generic-80", None),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (recording, _, was) = record_print(directory.path(), &demo_residents[0], fault, profile);
        let printed = replay::replay_receipts(&recording, &PrinterProfile::by_name(profile).unwrap());
        assert_eq!(printed, Ok(vec![was]), "{fault:?} on {profile}");
        match certain {
            Some(certain) => assert_eq!(was, certain, "{fault:?} on {profile}"),
            None => assert!(matches!(was, PrintOutcome::Unconfirmed(_)), "{fault:?} on {profile}: {was:?}"),
        }
    }
}

#[test]
fn replay_detects_a_driver_that_deviates() {
    let directory = tempfile::tempdir().unwrap();
    let (mut recording, _, _) = record_print(directory.path(), &demo_residents()[0], None, "generic-80");
    let sent = recording.entries.iter_mut().rev().find_map(|entry| match &mut entry.what {
        WireEvent::Out(bytes) if bytes.0.len() > 8 => Some(bytes),
        _ => None,
    });
    sent.unwrap().0[0] ^= 1;
    assert!(replay::replay_receipts(&recording, &PrinterProfile::by_name("generic-80").unwrap()).is_err());
}

/// The committed recordings, and how each was made.
const COMMITTED: &[(&str, RecordedCase)] = &[
    ("card-second-generation", RecordedCase::Card(CardFlaw::None)),
    ("card-half-a-record", RecordedCase::Card(CardFlaw::TruncatedRecord)),
    ("receipt-paper-ends", RecordedCase::Receipt("paper-ends")),
];

#[derive(Clone, Copy)]
enum RecordedCase {
    Card(CardFlaw),
    Receipt(&'static str),
}

#[test]
fn committed_recordings_replay_with_their_outcome() {
    let folder = repository().join("tests/recordings");
    let demo_residents = demo_residents();
    for (name, case) in COMMITTED {
        let path = folder.join(format!("{name}.jsonl"));
        if std::env::var_os("UPDATE_RECORDINGS").is_some() {
            let directory = tempfile::tempdir().unwrap();
            let (_, file) = match case {
                RecordedCase::Card(flaw) => record_card(directory.path(), &demo_residents[0], *flaw),
                RecordedCase::Receipt(fault) => {
                    let (recording, file, _) =
                        record_print(directory.path(), &demo_residents[0], Some(fault), "generic-80");
                    (recording, file)
                }
            };
            fs::create_dir_all(&folder).unwrap();
            fs::copy(file, &path).unwrap();
        }
        let recording = Recording::read(File::open(&path).unwrap()).unwrap();
        match case {
            RecordedCase::Card(flaw) => {
                let read = replay::replay_cards(&recording).unwrap();
                let refused = matches!(read[0], Err(ReadFault::Refused(CardReadRefusal::Incomplete)));
                assert!(
                    read[0].is_ok() && *flaw == CardFlaw::None
                        || refused && *flaw == CardFlaw::TruncatedRecord,
                    "{name}"
                );
            }
            RecordedCase::Receipt(_) => {
                let printed =
                    replay::replay_receipts(&recording, &PrinterProfile::by_name("generic-80").unwrap());
                assert!(
                    matches!(printed.as_deref(), Ok([PrintOutcome::Unconfirmed(_)])),
                    "{name}: {printed:?}"
                );
            }
        }
    }
}
