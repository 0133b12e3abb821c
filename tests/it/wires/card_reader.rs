//! Social security cards and others, behind pcscd.

use std::time::Duration;

use card::{AuthAnswer, AuthRequest, CardHolder, Holder, OlderCards, PinOutcome, Proof, Refusal, SocialCard};
use contract::{CardChallenge, HexBytes};
use device::wire::{Answer, DeviceConfig, Event, Fault, FromDevice, Health, Work};
use server::CardKey;
use system_tests::driver::Driver;
use system_tests::process::{Process, wait_until};
use system_tests::readers::{self, VPCD_PORT};
use tempfile::TempDir;
use virtual_hardware::card::{Flaw, VirtualCard};
use virtual_hardware::keys::CityKey;
use virtual_hardware::residents::{self, Resident};
use virtual_hardware::slot::Slot;
use zeroize::Zeroizing;

use super::{alone, repository};

/// Whatever is waited for comes within this time, even on two busy cores.
const PATIENCE: Duration = Duration::from_secs(30);

/// A slot with pcscd behind it and the driver before it.
struct Rig {
    driver: Driver,
    slot: Slot,
    /// The second slot, for the PSAM.
    psam: Slot,
    pcscd: Option<Process>,
    logs: TempDir,
}

impl Rig {
    /// With the city's PSAM in the second slot.
    fn start() -> Self {
        let mut rig = Self::set_up(Some("Virtual PCD 00 01"), OlderCards::Limit);
        rig.insert_psam(&CityKey::test());
        rig
    }

    fn insert_psam(&mut self, city: &CityKey) {
        self.psam.insert("psam", VirtualCard::psam(city)).unwrap();
        wait_until("power for the PSAM", PATIENCE, || Ok(self.psam.has_power().then_some(()))).unwrap();
    }

    /// A reader alone: the kiosk is asked.
    fn without_psam() -> Self {
        Self::set_up(None, OlderCards::Limit)
    }

    fn set_up(psam: Option<&str>, older: OlderCards) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let pcscd = Some(readers::start(logs.path()).unwrap());
        let (reader, psam) = ("Virtual PCD 00 00".to_owned(), psam.map(str::to_owned));
        let driver = Driver::start(DeviceConfig::Card { reader, psam, older }).unwrap();
        driver.wait_for_health(Health::Ready).unwrap();
        let (slot, psam) = (Slot::new(VPCD_PORT), Slot::new(VPCD_PORT + 1));
        Self { driver, slot, psam, pcscd, logs }
    }

    /// What the driver wants its authority to answer.
    fn question(&self) -> AuthRequest {
        self.driver
            .wait("a question", |message| match message {
                FromDevice::Event(Event::CardNeedsAuthority(request)) => Some(*request),
                FromDevice::Event(_)
                | FromDevice::Health(_)
                | FromDevice::Answer(..)
                | FromDevice::Pong(_) => None,
            })
            .unwrap()
    }

    /// Puts in a card that is not as it should be, under a name of its own.
    fn insert_bad(&mut self, resident: &Resident, flaw: Flaw) {
        let name = format!("{} {flaw:?}", resident.id);
        self.slot.insert(&name, VirtualCard::of(resident, flaw)).unwrap();
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

/// The platform's answer to what the kiosk would ask of it.
fn hsm(key: &CardKey, request: &AuthRequest) -> AuthAnswer {
    let identification = format!("\"{}\"", request.identification.as_str());
    let nonces = &request.nonces;
    let answer = key.answer(&CardChallenge {
        area: request.area.clone(),
        identification: serde_json::from_str(&identification).unwrap(),
        version: request.version.as_str().to_owned(),
        algorithm: request.algorithm.number(),
        atr_history: String::new(),
        challenge: HexBytes(request.challenge),
        internal_factor: HexBytes(nonces.internal_factor),
        internal_source: HexBytes(nonces.internal_source),
        external_factor: HexBytes(nonces.external_factor),
    });
    AuthAnswer { internal: answer.internal.0.into(), external: answer.external.0.into() }
}

#[test]
fn every_demo_card_is_read_wholly_with_a_psam_in_few_commands() {
    alone("wires::card_reader::every_demo_card_is_read_wholly_with_a_psam_in_few_commands", || {
        let mut rig = Rig::start();
        for resident in demo_residents() {
            rig.insert(&resident);
            let card = rig.reading().unwrap();
            assert_eq!(*card.number, resident.card.number, "{}", resident.id);
            assert_eq!(card.version.as_str(), resident.card.version, "{}", resident.id);
            let third = resident.card.version == "3.00";
            assert_eq!(card.proof == Proof::Authenticated, third, "{}", resident.id);
            let holder = holder(card).unwrap();
            assert_eq!(*holder.name, resident.name);
            assert_eq!(*holder.id_number, resident.id_number);
            // Nine and twelve commands, and over T=0 a GET RESPONSE for the FCI and for what the card says.
            let long = holder.name.chars().count() > 13;
            assert_eq!(rig.slot.commands(), if third { 14 } else { 10 } + u32::from(long), "{}", resident.id);
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

#[test]
fn without_a_psam_the_platform_vouches_and_an_answer_serves_once() {
    alone("wires::card_reader::without_a_psam_the_platform_vouches_and_an_answer_serves_once", || {
        let mut rig = Rig::without_psam();
        let resident = of_version("3.00");
        let key = CardKey::new(&CityKey::TEST_BYTES);

        rig.insert(&resident);
        let first = rig.question();
        assert_eq!(first.area, resident.card.identification[..6]);
        assert_eq!(*first.identification, resident.card.identification);
        assert_eq!(first.atr_history.len(), 13);
        let answer = hsm(&key, &first);
        let replayed = answer.clone();
        rig.driver.post(Work::Authenticate(Some(answer))).unwrap();
        let card = rig.reading().unwrap();
        assert_eq!(card.proof, Proof::Authenticated);
        assert_eq!(*holder(card).unwrap().name, resident.name);
        rig.take(|_| {});

        // The same card again draws other numbers: what opened it once does not open it twice.
        rig.insert(&resident);
        let second = rig.question();
        assert_ne!(first.challenge, second.challenge);
        assert_ne!(first.nonces.internal_source, second.nonces.internal_source);
        rig.driver.post(Work::Authenticate(Some(replayed))).unwrap();
        assert_eq!(rig.reading().err(), Some(Refusal::Unproven));
        rig.take(|_| {});

        // Nobody vouches: the card says only who it is.
        rig.insert(&resident);
        rig.question();
        rig.driver.post(Work::Authenticate(None)).unwrap();
        let card = rig.reading().unwrap();
        assert_eq!(card.proof, Proof::None);
        assert!(holder(card).is_none());
        rig.take(|_| {});

        // Taken while it waits: an answer that comes then finds nobody.
        rig.insert(&resident);
        let late = hsm(&key, &rig.question());
        rig.take(|event| assert!(!matches!(event, Event::CardRead(_) | Event::CardRefused(_))));
        assert_eq!(rig.driver.ask(Work::Authenticate(Some(late))).unwrap(), Err(Fault::NoCard));
    });
}

#[test]
fn copies_do_not_prove_themselves_to_the_psam_nor_to_the_platform() {
    alone("wires::card_reader::copies_do_not_prove_themselves_to_the_psam_nor_to_the_platform", || {
        let resident = of_version("3.00");
        let key = CardKey::new(&CityKey::TEST_BYTES);
        let mut rig = Rig::start();
        for flaw in [Flaw::Cloned, Flaw::Recorded] {
            rig.insert_bad(&resident, flaw);
            assert_eq!(rig.reading().err(), Some(Refusal::Unproven), "{flaw:?}");
            rig.take(|_| {});
        }
        // The PSAM is taken: the platform is asked instead, and does not believe them either.
        rig.psam.remove();
        for flaw in [Flaw::Cloned, Flaw::Recorded] {
            rig.insert_bad(&resident, flaw);
            let answer = hsm(&key, &rig.question());
            rig.driver.post(Work::Authenticate(Some(answer))).unwrap();
            assert_eq!(rig.reading().err(), Some(Refusal::Unproven), "{flaw:?}");
            rig.take(|_| {});
        }
        rig.insert(&resident);
        let answer = hsm(&key, &rig.question());
        rig.driver.post(Work::Authenticate(Some(answer))).unwrap();
        assert_eq!(rig.reading().unwrap().proof, Proof::Authenticated, "the right card after copies");
    });
}

#[test]
fn a_deaf_card_is_never_read_and_taking_it_ends_the_wait() {
    alone("wires::card_reader::a_deaf_card_is_never_read_and_taking_it_ends_the_wait", || {
        let resident = of_version("3.00");
        let mut rig = Rig::start();
        rig.insert_bad(&resident, Flaw::Deaf);
        wait_until("the question to the card", PATIENCE, || Ok((rig.slot.commands() >= 9).then_some(())))
            .unwrap();
        rig.take(|event| assert!(!matches!(event, Event::CardRead(_) | Event::CardRefused(_))));
        rig.insert(&resident);
        assert_eq!(rig.reading().unwrap().proof, Proof::Authenticated, "the reader is as it was");
    });
}

#[test]
fn anothers_psam_opens_no_card_and_uses_up_none_of_its_tries() {
    alone("wires::card_reader::anothers_psam_opens_no_card_and_uses_up_none_of_its_tries", || {
        let resident = of_version("3.00");
        let mut rig = Rig::set_up(Some("Virtual PCD 00 01"), OlderCards::Limit);
        rig.insert_psam(&CityKey::new(&[3; 32]));
        rig.insert(&resident);
        assert_eq!(rig.reading().err(), Some(Refusal::Unproven));
        // Select, the issuer's file, the challenge and INTERNAL AUTHENTICATE, and not one more.
        assert_eq!(rig.slot.commands(), 10);
    });
}
