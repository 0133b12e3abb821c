//! The ID reader driver behind an emulated serial line, with the ID cards of the demo residents.

use std::path::Path;
use std::time::Duration;

use device::wire::{Attention, DeviceConfig, Event, Fault, FromDevice, Health, IdHolder, Work};
use id_reader::Refusal;
use system_tests::driver::Driver;
use system_tests::process::wait_until;
use tempfile::TempDir;
use virtual_hardware::faults::Faults;
use virtual_hardware::id_card::{IdFlaw, VirtualIdCard};
use virtual_hardware::id_reader::VirtualIdReader;
use virtual_hardware::residents::{self, Resident};

struct IdReaderFixture {
    driver: Driver,
    reader: VirtualIdReader,
    faults: Faults,
    residents: Vec<Resident>,
    _port: TempDir,
}

impl IdReaderFixture {
    fn start() -> Self {
        let port = tempfile::tempdir().unwrap();
        let tty = port.path().join("id-reader");
        let faults = Faults::default();
        let reader = VirtualIdReader::plug_in(&tty, faults.clone()).unwrap();
        let config = DeviceConfig::IdReader { tty: tty.display().to_string(), baud: 115_200 };
        let driver = Driver::start(config).unwrap();
        driver.wait_for_health(Health::Ready).unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/residents.toml");
        let fixture =
            Self { driver, reader, faults, residents: residents::read(&file).unwrap(), _port: port };
        fixture.lift();
        fixture
    }

    fn lay(&self, id: &str, flaw: IdFlaw) {
        let one = self.residents.iter().find(|one| one.id == id).unwrap();
        self.reader.lay(VirtualIdCard::of(one, flaw));
    }

    /// Lifts the card and waits until the driver must have noticed.
    fn lift(&self) {
        self.reader.lift();
        wait_until("polls without a card", Duration::from_secs(30), || {
            Ok((self.reader.empty_looks() >= 4).then_some(()))
        })
        .unwrap();
    }

    fn event(&self) -> Event {
        self.driver
            .wait("an event", |message| match message {
                FromDevice::Event(event) => Some(event),
                FromDevice::Health(_) | FromDevice::Answer(..) | FromDevice::Pong(_) => None,
            })
            .unwrap()
    }

    /// The outcome of reading the ID card; the driver first reports that a card is present.
    fn outcome(&self) -> Result<Box<IdHolder>, Refusal> {
        assert!(matches!(self.event(), Event::IdCardSeen));
        match self.event() {
            Event::IdCardRead(holder) => Ok(holder),
            Event::IdCardRefused(refusal) => Err(refusal),
            Event::CardInserted
            | Event::CardNeedsAuthority(_)
            | Event::CardRead(_)
            | Event::CardRefused(_)
            | Event::StaffCard(_)
            | Event::CardRemoved
            | Event::Code(_)
            | Event::CodeHint(_)
            | Event::Preview(_)
            | Event::IdCardSeen => panic!("an ID reader must not send other events"),
        }
    }

    fn fault(&self, name: &str, on: bool) {
        self.faults.switch(name, on).unwrap();
    }
}

#[test]
fn every_demo_id_card_is_read_once() {
    let fixture = IdReaderFixture::start();
    for one in &fixture.residents {
        fixture.lay(&one.id, IdFlaw::None);
        let holder = fixture.outcome().ok().unwrap();
        assert_eq!(
            (holder.number.as_str(), holder.name.as_str()),
            (one.id_number.as_str(), one.name.as_str())
        );
        let expected = (one.id_card.valid_to != "长期").then(|| one.id_card.valid_to.clone());
        assert_eq!(holder.valid_to, expected);
        fixture.lift();
    }
}

#[test]
fn unusable_id_card_is_refused_with_the_reason() {
    for (flaw, fault, expected) in [
        (IdFlaw::Foreign, None, Refusal::NotAnIdCard),
        (IdFlaw::WrongNumber, None, Refusal::Garbage),
        (IdFlaw::None, Some("id-card-lifted"), Refusal::Unreadable),
        (IdFlaw::None, Some("id-reader-read-silence"), Refusal::Unreadable),
        (IdFlaw::None, Some("id-reader-read-garbage"), Refusal::Unreadable),
        (IdFlaw::None, Some("id-reader-read-truncation"), Refusal::Unreadable),
        (IdFlaw::None, Some("id-reader-read-wrong-answer"), Refusal::Unreadable),
        (IdFlaw::None, Some("id-reader-read-disconnection"), Refusal::Unreadable),
        (IdFlaw::None, Some("id-reader-select-wrong-answer"), Refusal::Unreadable),
        (IdFlaw::None, Some("id-reader-select-garbage"), Refusal::Unreadable),
    ] {
        let fixture = IdReaderFixture::start();
        if let Some(fault) = fault {
            fixture.fault(fault, true);
        }
        fixture.lay("zhang-guiying", flaw);
        assert_eq!(fixture.outcome().err(), Some(expected), "{flaw:?} {fault:?}");
        fixture.faults.clear();
        fixture.lift();
        fixture.lay("li-yan", IdFlaw::None);
        assert_eq!(fixture.outcome().ok().unwrap().name.as_str(), "李䶮", "after {fault:?}");
    }
}

#[test]
fn slow_or_flooding_reader_is_read() {
    for fault in ["id-reader-slow", "id-reader-read-flood", "id-reader-read-delay"] {
        let fixture = IdReaderFixture::start();
        fixture.fault(fault, true);
        fixture.lay("zhang-guiying", IdFlaw::None);
        assert_eq!(fixture.outcome().ok().unwrap().number.as_str(), "500112194803150422", "{fault}");
    }
}

#[test]
fn id_reader_fault_is_reported_and_recovers() {
    for (fault, health) in [
        ("id-reader-find-silence", Health::NeedsAttention(Attention::Mute)),
        ("id-reader-checksum", Health::Failed),
        ("id-reader-length", Health::Failed),
        ("id-reader-foreign-status", Health::Failed),
        ("id-reader-self-test", Health::Failed),
        ("id-reader-find-garbage", Health::Failed),
        ("id-reader-unplugged", Health::Absent),
        ("id-reader-find-disconnection", Health::Absent),
    ] {
        let mut fixture = IdReaderFixture::start();
        fixture.fault(fault, true);
        fixture.driver.wait_for_health(health).unwrap();
        // The process responds: it refuses requests for other devices, or all requests while the reader is absent.
        let refused = fixture.driver.ask(Work::Scan(true)).unwrap();
        assert!(matches!(refused, Err(Fault::NotMine | Fault::Unavailable)), "{fault}");
        fixture.fault(fault, false);
        fixture.driver.wait_for_health(Health::Ready).unwrap();
        fixture.lift();
        fixture.lay("wang-jianguo", IdFlaw::None);
        assert_eq!(fixture.outcome().ok().unwrap().name.as_str(), "王建国", "{fault}");
    }
}
