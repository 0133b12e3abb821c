//! Social security cards and others, behind pcscd.

use card::{CardHolder, Holder, PinOutcome, Refusal, SocialCard};
use device::wire::{Answer, DeviceConfig, Event, Fault, FromDevice, Health, Work};
use system_tests::driver::Driver;
use system_tests::process::Process;
use system_tests::readers::{self, VPCD_PORT};
use tempfile::TempDir;
use virtual_hardware::card::{Flaw, VirtualCard};
use virtual_hardware::residents::{self, Resident};
use virtual_hardware::slot::Slot;
use zeroize::Zeroizing;

use super::{alone, repository};

/// A slot with pcscd behind it and the driver before it.
struct Rig {
    driver: Driver,
    slot: Slot,
    pcscd: Option<Process>,
    logs: TempDir,
}

impl Rig {
    fn start() -> Self {
        let logs = tempfile::tempdir().unwrap();
        let pcscd = Some(readers::start(logs.path()).unwrap());
        let driver = Driver::start(DeviceConfig::Card { reader: "Virtual PCD 00 00".into() }).unwrap();
        driver.wait_for_health(Health::Ready).unwrap();
        Self { driver, slot: Slot::new(VPCD_PORT), pcscd, logs }
    }

    fn insert(&mut self, resident: &Resident) {
        self.slot.insert(&resident.id, VirtualCard::of(resident, Flaw::None)).unwrap();
    }

    /// What the driver says of the card that was put in.
    fn reading(&self) -> Result<SocialCard, Refusal> {
        self.driver
            .wait("a reading", |message| match message {
                FromDevice::Event(Event::CardRead(card)) => Some(Ok(*card)),
                FromDevice::Event(Event::CardRefused(refusal)) => Some(Err(refusal)),
                FromDevice::Event(_)
                | FromDevice::Health(_)
                | FromDevice::Answer(..)
                | FromDevice::Pong(_) => None,
            })
            .unwrap()
    }

    /// Takes the card and waits until the driver says so; what it says before is looked at by `also`.
    fn take(&mut self, mut also: impl FnMut(&Event)) {
        self.slot.remove();
        self.driver
            .wait("CardRemoved", |message| match message {
                FromDevice::Event(Event::CardRemoved) => Some(()),
                FromDevice::Event(event) => {
                    also(&event);
                    None
                }
                FromDevice::Health(_) | FromDevice::Answer(..) | FromDevice::Pong(_) => None,
            })
            .unwrap();
    }

    fn verify(&mut self, pin: &str) -> Result<Answer, Fault> {
        self.driver.ask(Work::VerifyPin(Zeroizing::new(pin.as_bytes().to_vec()))).unwrap()
    }
}

fn demo_residents() -> Vec<Resident> {
    residents::read(&repository().join("assets/residents.toml")).unwrap()
}

fn of_version(version: &str) -> Resident {
    demo_residents().into_iter().find(|one| one.card.version == version).unwrap()
}

fn holder(card: SocialCard) -> Option<CardHolder> {
    match card.holder {
        Holder::Read(holder) => Some(holder),
        Holder::NeedsAuthority => None,
    }
}

#[test]
fn every_demo_card_is_read_as_far_as_its_version_allows() {
    alone("wires::card_reader::every_demo_card_is_read_as_far_as_its_version_allows", || {
        let mut rig = Rig::start();
        for resident in demo_residents() {
            rig.insert(&resident);
            let card = rig.reading().unwrap();
            assert_eq!(*card.number, resident.card.number, "{}", resident.id);
            assert_eq!(card.version.as_str(), resident.card.version, "{}", resident.id);
            match holder(card) {
                Some(holder) => {
                    assert_eq!(*holder.name, resident.name);
                    assert_eq!(*holder.id_number, resident.id_number);
                    assert_eq!(resident.card.version, "2.00");
                }
                None => assert_eq!(resident.card.version, "3.00"),
            }
            rig.take(|_| {});
        }
    });
}

#[test]
fn cards_that_are_none_of_ours_are_refused_each_for_its_reason() {
    alone("wires::card_reader::cards_that_are_none_of_ours_are_refused_each_for_its_reason", || {
        let mut rig = Rig::start();
        let resident = of_version("2.00");
        for (name, card, expected) in [
            ("bank", VirtualCard::bank(), Refusal::NotSocialSecurity),
            ("garbage", VirtualCard::of(&resident, Flaw::Garbage), Refusal::Garbage),
            ("locked", VirtualCard::of(&resident, Flaw::Locked), Refusal::Blocked),
            ("half", VirtualCard::of(&resident, Flaw::HalfRecord), Refusal::Incomplete),
        ] {
            rig.slot.insert(name, card).unwrap();
            assert_eq!(rig.reading().err(), Some(expected), "{name}");
            rig.take(|_| {});
        }
        rig.insert(&resident);
        assert!(rig.reading().is_ok(), "a good card after bad ones");
    });
}

#[test]
fn a_card_pulled_in_mid_reading_is_reported_taken_and_never_read() {
    alone("wires::card_reader::a_card_pulled_in_mid_reading_is_reported_taken_and_never_read", || {
        let mut rig = Rig::start();
        let resident = of_version("2.00");
        for commands in [0, 1, 5, 9] {
            rig.insert(&resident);
            rig.slot.pull_after(commands);
            rig.driver
                .wait("CardInserted", |message| {
                    matches!(message, FromDevice::Event(Event::CardInserted)).then_some(())
                })
                .unwrap();
            rig.take(|event| assert!(!matches!(event, Event::CardRead(_)), "read after {commands} commands"));
        }
        rig.insert(&resident);
        assert!(rig.reading().is_ok(), "the same card left in peace");
    });
}

#[test]
fn the_card_itself_judges_the_pin_and_counts_the_tries() {
    alone("wires::card_reader::the_card_itself_judges_the_pin_and_counts_the_tries", || {
        let mut rig = Rig::start();
        let resident = of_version("2.00");
        assert_eq!(rig.verify(&resident.card.pin), Err(Fault::NoCard));
        rig.insert(&resident);
        rig.reading().unwrap();
        let wrong = |tries_left| Ok(Answer::Pin(PinOutcome::Wrong { tries_left }));
        assert_eq!(rig.verify("000000"), wrong(2));
        assert_eq!(rig.verify(&resident.card.pin), Ok(Answer::Pin(PinOutcome::Verified)));
        assert_eq!(rig.verify("000000"), wrong(2));
        // Taking it out does not help.
        rig.take(|_| {});
        rig.insert(&resident);
        rig.reading().unwrap();
        assert_eq!(rig.verify("000000"), wrong(1));
        rig.verify("000000").unwrap();
        assert_eq!(rig.verify(&resident.card.pin), Ok(Answer::Pin(PinOutcome::Locked)));
    });
}

#[test]
fn the_reader_is_back_by_itself_after_pcscd_died_with_a_card_in_it() {
    alone("wires::card_reader::the_reader_is_back_by_itself_after_pcscd_died_with_a_card_in_it", || {
        let mut rig = Rig::start();
        let resident = of_version("2.00");
        rig.insert(&resident);
        rig.reading().unwrap();

        rig.pcscd.take().unwrap().kill().unwrap();
        rig.take(|_| {});
        rig.driver.wait_for_health(Health::Failed).unwrap();

        rig.pcscd = Some(readers::start(rig.logs.path()).unwrap());
        rig.driver.wait_for_health(Health::Ready).unwrap();
        rig.insert(&resident);
        assert!(rig.reading().is_ok());
    });
}
