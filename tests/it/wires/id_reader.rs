//! The ID reader driver behind an emulated serial line, with the ID cards of the demo residents.

use std::time::Duration;

use device::wire::{
    Attention, DeviceConfig, DeviceEvent, DeviceFault, DeviceHealth, DeviceWork, FromDevice, IdCardHolder,
};
use emulator::demo_residents::{self, BenchResident};
use emulator::faults::FaultSwitches;
use emulator::id_card::{EmulatedIdCard, IdCardFlaw};
use emulator::id_reader::EmulatedIdReader;
use id_reader::IdReadRefusal;
use system_tests::driver_process::DriverProcess;
use system_tests::process::wait_until;
use system_tests::repository::residents_file;
use tempfile::TempDir;

struct IdReaderFixture {
    driver: DriverProcess,
    reader: EmulatedIdReader,
    faults: FaultSwitches,
    residents: Vec<BenchResident>,
    _port: TempDir,
}

impl IdReaderFixture {
    fn start() -> Self {
        let port = tempfile::tempdir().unwrap();
        let tty = port.path().join("id-reader");
        let faults = FaultSwitches::default();
        let reader = EmulatedIdReader::open_pty(&tty, faults.clone()).unwrap();
        let config = DeviceConfig::IdReader { tty: tty.display().to_string(), baud: 115_200 };
        let driver = DriverProcess::start(config).unwrap();
        driver.wait_for_health(DeviceHealth::Ready).unwrap();
        let fixture = Self {
            driver,
            reader,
            faults,
            residents: demo_residents::read_residents(&residents_file()).unwrap(),
            _port: port,
        };
        fixture.remove_card();
        fixture
    }

    fn place_card(&self, id: &str, flaw: IdCardFlaw) {
        let one = self.residents.iter().find(|one| one.id == id).unwrap();
        self.reader.place_card(EmulatedIdCard::for_resident(one, flaw));
    }

    /// Lifts the card and waits until the driver must have noticed.
    fn remove_card(&self) {
        self.reader.remove_card();
        wait_until("polls without a card", Duration::from_secs(30), || {
            Ok((self.reader.empty_polls() >= 4).then_some(()))
        })
        .unwrap();
    }

    fn event(&self) -> DeviceEvent {
        self.driver
            .wait_for_message("an event", |message| match message {
                FromDevice::Event(event) => Some(event),
                FromDevice::Health(_) | FromDevice::Answer(..) | FromDevice::Pong(_) => None,
            })
            .unwrap()
    }

    /// The outcome of reading the ID card; the driver first reports that a card is present.
    fn outcome(&self) -> Result<Box<IdCardHolder>, IdReadRefusal> {
        assert!(matches!(self.event(), DeviceEvent::IdCardDetected));
        match self.event() {
            DeviceEvent::IdCardRead(holder) => Ok(holder),
            DeviceEvent::IdCardRefused(refusal) => Err(refusal),
            DeviceEvent::CardInserted
            | DeviceEvent::CardNeedsAuthentication(_)
            | DeviceEvent::CardRead(_)
            | DeviceEvent::CardRefused(_)
            | DeviceEvent::StaffCard(_)
            | DeviceEvent::CardRemoved
            | DeviceEvent::Code(_)
            | DeviceEvent::CodeHint(_)
            | DeviceEvent::IdCardDetected => panic!("an ID reader must not send other events"),
        }
    }

    fn fault(&self, name: &str, on: bool) {
        self.faults.set_active(name, on).unwrap();
    }
}

#[test]
fn every_demo_id_card_is_read_once() {
    let fixture = IdReaderFixture::start();
    for one in &fixture.residents {
        fixture.place_card(&one.id, IdCardFlaw::None);
        let holder = fixture.outcome().ok().unwrap();
        assert_eq!(
            (holder.number.as_str(), holder.name.as_str()),
            (one.id_number.as_str(), one.name.as_str())
        );
        let expected = (one.id_card.valid_to != "长期").then(|| one.id_card.valid_to.clone());
        assert_eq!(holder.valid_to, expected);
        fixture.remove_card();
    }
}

#[test]
fn unusable_id_card_is_refused_with_the_reason() {
    for (flaw, fault, expected) in [
        (IdCardFlaw::OtherDocument, None, IdReadRefusal::NotAnIdCard),
        (IdCardFlaw::WrongNumber, None, IdReadRefusal::InvalidData),
        (IdCardFlaw::None, Some("id-card-lifted"), IdReadRefusal::Unreadable),
        (IdCardFlaw::None, Some("id-reader-read-silence"), IdReadRefusal::Unreadable),
        (IdCardFlaw::None, Some("id-reader-read-garbage"), IdReadRefusal::Unreadable),
        (IdCardFlaw::None, Some("id-reader-read-truncation"), IdReadRefusal::Unreadable),
        (IdCardFlaw::None, Some("id-reader-read-wrong-answer"), IdReadRefusal::Unreadable),
        (IdCardFlaw::None, Some("id-reader-read-disconnection"), IdReadRefusal::Unreadable),
        (IdCardFlaw::None, Some("id-reader-select-wrong-answer"), IdReadRefusal::Unreadable),
        (IdCardFlaw::None, Some("id-reader-select-garbage"), IdReadRefusal::Unreadable),
    ] {
        let fixture = IdReaderFixture::start();
        if let Some(fault) = fault {
            fixture.fault(fault, true);
        }
        fixture.place_card("zhang-guiying", flaw);
        assert_eq!(fixture.outcome().err(), Some(expected), "{flaw:?} {fault:?}");
        fixture.faults.clear_all();
        fixture.remove_card();
        fixture.place_card("li-yan", IdCardFlaw::None);
        assert_eq!(fixture.outcome().ok().unwrap().name.as_str(), "李䶮", "after {fault:?}");
    }
}

#[test]
fn slow_or_flooding_reader_is_read() {
    for fault in ["id-reader-slow", "id-reader-read-flood", "id-reader-read-delay"] {
        let fixture = IdReaderFixture::start();
        fixture.fault(fault, true);
        fixture.place_card("zhang-guiying", IdCardFlaw::None);
        assert_eq!(fixture.outcome().ok().unwrap().number.as_str(), "500112194803150422", "{fault}");
    }
}

#[test]
fn id_reader_fault_is_reported_and_recovers() {
    for (fault, health) in [
        ("id-reader-find-silence", DeviceHealth::NeedsAttention(Attention::NotResponding)),
        ("id-reader-checksum", DeviceHealth::Failed),
        ("id-reader-length", DeviceHealth::Failed),
        ("id-reader-foreign-status", DeviceHealth::Failed),
        ("id-reader-self-test", DeviceHealth::Failed),
        ("id-reader-find-garbage", DeviceHealth::Failed),
        ("id-reader-unplugged", DeviceHealth::Absent),
        ("id-reader-find-disconnection", DeviceHealth::Absent),
    ] {
        let mut fixture = IdReaderFixture::start();
        fixture.fault(fault, true);
        fixture.driver.wait_for_health(health).unwrap();
        // The process responds: it refuses requests for other devices, or all requests while the reader is absent.
        let refused = fixture.driver.request(DeviceWork::ShowSignal(device::wire::Signal::Dark)).unwrap();
        assert!(matches!(refused, Err(DeviceFault::Unsupported | DeviceFault::Unavailable)), "{fault}");
        fixture.fault(fault, false);
        fixture.driver.wait_for_health(DeviceHealth::Ready).unwrap();
        fixture.remove_card();
        fixture.place_card("wang-jianguo", IdCardFlaw::None);
        assert_eq!(fixture.outcome().ok().unwrap().name.as_str(), "王建国", "{fault}");
    }
}
