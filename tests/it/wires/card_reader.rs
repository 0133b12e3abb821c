//! The card driver behind pcscd: social security cards and other cards.

use std::time::Duration;

use card::{
    AuthAnswer, AuthRequest, CardHolder, CardProof, CardReadRefusal, HolderData, OldAlgorithmPolicy,
    PinOutcome, SocialCard,
};
use contract::{CardChallenge, HexBytes};
use device::wire::{
    DeviceAnswer, DeviceConfig, DeviceEvent, DeviceFault, DeviceHealth, DeviceWork, FromDevice,
};
use emulator::card::{CardFlaw, EmulatedCard};
use emulator::card_keys::CityCardKeys;
use emulator::card_slot::EmulatedCardSlot;
use emulator::demo_residents::{self, BenchResident};
use server::CardRootKeys;
use system_tests::driver_process::DriverProcess;
use system_tests::pcscd::{self, VPCD_PORT};
use system_tests::process::{ManagedProcess, wait_until};
use system_tests::repository::residents_file;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::in_namespace;

/// Timeout for every expected message, sufficient on two busy cores.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An emulated slot, pcscd and the driver.
struct CardReaderFixture {
    driver: DriverProcess,
    slot: EmulatedCardSlot,
    /// The second slot, for the PSAM.
    psam: EmulatedCardSlot,
    pcscd: Option<ManagedProcess>,
    logs: TempDir,
}

impl CardReaderFixture {
    /// Starts with the city's PSAM in the second slot.
    fn start() -> Self {
        let mut fixture = Self::start_with(Some("Virtual PCD 00 01"), OldAlgorithmPolicy::Limit);
        fixture.insert_psam(&CityCardKeys::for_tests());
        fixture
    }

    fn insert_psam(&mut self, city: &CityCardKeys) {
        self.psam.insert("psam", EmulatedCard::new_psam(city)).unwrap();
        wait_until("power for the PSAM", TIMEOUT, || Ok(self.psam.is_powered().then_some(()))).unwrap();
    }

    /// Starts without a PSAM: the driver requests card authentication from the kiosk.
    fn without_psam() -> Self {
        Self::start_with(None, OldAlgorithmPolicy::Limit)
    }

    fn start_with(psam: Option<&str>, older: OldAlgorithmPolicy) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let pcscd = Some(pcscd::start(logs.path()).unwrap());
        let (reader, psam) = ("Virtual PCD 00 00".to_owned(), psam.map(str::to_owned));
        let driver = DriverProcess::start(DeviceConfig::Card { reader, psam, older }).unwrap();
        driver.wait_for_health(DeviceHealth::Ready).unwrap();
        let (slot, psam) = (EmulatedCardSlot::new(VPCD_PORT), EmulatedCardSlot::new(VPCD_PORT + 1));
        Self { driver, slot, psam, pcscd, logs }
    }

    /// The driver's request for card authentication.
    fn authentication_request(&self) -> AuthRequest {
        self.driver
            .wait_for_message("a request for card authentication", |message| match message {
                FromDevice::Event(DeviceEvent::CardNeedsAuthentication(request)) => Some(*request),
                FromDevice::Event(_)
                | FromDevice::Health(_)
                | FromDevice::Answer(..)
                | FromDevice::Pong(_) => None,
            })
            .unwrap()
    }

    /// Inserts a card with a flaw, under a name of its own.
    fn insert_bad(&mut self, resident: &BenchResident, flaw: CardFlaw) {
        let name = format!("{} {flaw:?}", resident.id);
        self.slot.insert(&name, EmulatedCard::for_resident(resident, flaw)).unwrap();
    }

    fn insert(&mut self, resident: &BenchResident) {
        self.slot.insert(&resident.id, EmulatedCard::for_resident(resident, CardFlaw::None)).unwrap();
    }

    /// The driver's result for the inserted card.
    fn read_result(&self) -> Result<SocialCard, CardReadRefusal> {
        self.driver
            .wait_for_message("a result of reading", |message| match message {
                FromDevice::Event(DeviceEvent::CardRead(card)) => Some(Ok(*card)),
                FromDevice::Event(DeviceEvent::CardRefused(refusal)) => Some(Err(refusal)),
                FromDevice::Event(_)
                | FromDevice::Health(_)
                | FromDevice::Answer(..)
                | FromDevice::Pong(_) => None,
            })
            .unwrap()
    }

    /// Removes the card and waits until the driver reports it; earlier events are passed to `also`.
    fn remove_card(&mut self, mut also: impl FnMut(&DeviceEvent)) {
        self.slot.remove();
        self.driver
            .wait_for_message("CardRemoved", |message| match message {
                FromDevice::Event(DeviceEvent::CardRemoved) => Some(()),
                FromDevice::Event(event) => {
                    also(&event);
                    None
                }
                FromDevice::Health(_) | FromDevice::Answer(..) | FromDevice::Pong(_) => None,
            })
            .unwrap();
    }

    fn verify(&mut self, pin: &str) -> Result<DeviceAnswer, DeviceFault> {
        self.driver.request(DeviceWork::VerifyPin(Zeroizing::new(pin.as_bytes().to_vec()))).unwrap()
    }
}

fn demo_residents() -> Vec<BenchResident> {
    demo_residents::read_residents(&residents_file()).unwrap()
}

fn of_version(version: &str) -> BenchResident {
    demo_residents().into_iter().find(|one| one.card.version == version).unwrap()
}

fn holder(card: SocialCard) -> Option<CardHolder> {
    match card.holder {
        HolderData::Read(holder) => Some(holder),
        HolderData::NeedsAuthentication => None,
    }
}

/// The platform's answer to the request that the kiosk would send.
fn platform_answer(key: &CardRootKeys, request: &AuthRequest) -> AuthAnswer {
    let identification = format!("\"{}\"", request.identification.as_str());
    let nonces = &request.nonces;
    let answer = key.card_cryptogram(&CardChallenge {
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
fn every_demo_card_is_read_with_a_psam_in_few_commands() {
    in_namespace("wires::card_reader::every_demo_card_is_read_with_a_psam_in_few_commands", || {
        let mut fixture = CardReaderFixture::start();
        for resident in demo_residents() {
            fixture.insert(&resident);
            let card = fixture.read_result().unwrap();
            assert_eq!(*card.number, resident.card.number, "{}", resident.id);
            assert_eq!(card.version.as_str(), resident.card.version, "{}", resident.id);
            let third = resident.card.version == "3.00";
            assert_eq!(card.proof == CardProof::Authenticated, third, "{}", resident.id);
            let holder = holder(card).unwrap();
            assert_eq!(*holder.name, resident.name);
            assert_eq!(*holder.id_number, resident.id_number);
            // Nine and twelve commands, and over T=0 a GET RESPONSE for the FCI and for the card's cryptogram.
            let long = holder.name.chars().count() > 13;
            assert_eq!(
                fixture.slot.command_count(),
                if third { 14 } else { 10 } + u32::from(long),
                "{}",
                resident.id
            );
            fixture.remove_card(|_| {});
        }
    });
}

#[test]
fn other_cards_are_refused_with_the_reason() {
    in_namespace("wires::card_reader::other_cards_are_refused_with_the_reason", || {
        let mut fixture = CardReaderFixture::start();
        let resident = of_version("2.00");
        for (name, card, expected) in [
            ("bank", EmulatedCard::new_bank_card(), CardReadRefusal::NotSocialSecurity),
            (
                "garbage",
                EmulatedCard::for_resident(&resident, CardFlaw::Garbage),
                CardReadRefusal::InvalidData,
            ),
            (
                "locked",
                EmulatedCard::for_resident(&resident, CardFlaw::ApplicationLocked),
                CardReadRefusal::Blocked,
            ),
            (
                "half",
                EmulatedCard::for_resident(&resident, CardFlaw::TruncatedRecord),
                CardReadRefusal::Incomplete,
            ),
        ] {
            fixture.slot.insert(name, card).unwrap();
            assert_eq!(fixture.read_result().err(), Some(expected), "{name}");
            fixture.remove_card(|_| {});
        }
        fixture.insert(&resident);
        assert!(fixture.read_result().is_ok(), "a valid card after refused ones");
    });
}

#[test]
fn card_removed_while_reading_is_reported_removed() {
    in_namespace("wires::card_reader::card_removed_while_reading_is_reported_removed", || {
        let mut fixture = CardReaderFixture::start();
        let resident = of_version("2.00");
        for commands in [0, 1, 5, 9] {
            fixture.insert(&resident);
            fixture.slot.remove_after(commands);
            fixture
                .driver
                .wait_for_message("CardInserted", |message| {
                    matches!(message, FromDevice::Event(DeviceEvent::CardInserted)).then_some(())
                })
                .unwrap();
            fixture.remove_card(|event| {
                assert!(!matches!(event, DeviceEvent::CardRead(_)), "read after {commands} commands")
            });
        }
        fixture.insert(&resident);
        assert!(fixture.read_result().is_ok(), "the same card, not removed");
    });
}

#[test]
fn card_verifies_the_pin_and_counts_tries() {
    in_namespace("wires::card_reader::card_verifies_the_pin_and_counts_tries", || {
        let mut fixture = CardReaderFixture::start();
        let resident = of_version("2.00");
        assert_eq!(fixture.verify(&resident.card.pin), Err(DeviceFault::NoCard));
        fixture.insert(&resident);
        fixture.read_result().unwrap();
        let wrong = |tries_left| Ok(DeviceAnswer::Pin(PinOutcome::Wrong { tries_left }));
        assert_eq!(fixture.verify("000000"), wrong(2));
        assert_eq!(fixture.verify(&resident.card.pin), Ok(DeviceAnswer::Pin(PinOutcome::Verified)));
        assert_eq!(fixture.verify("000000"), wrong(2));
        // Removing the card does not reset the counter.
        fixture.remove_card(|_| {});
        fixture.insert(&resident);
        fixture.read_result().unwrap();
        assert_eq!(fixture.verify("000000"), wrong(1));
        fixture.verify("000000").unwrap();
        assert_eq!(fixture.verify(&resident.card.pin), Ok(DeviceAnswer::Pin(PinOutcome::Locked)));
    });
}

#[test]
fn reader_recovers_after_pcscd_was_killed() {
    in_namespace("wires::card_reader::reader_recovers_after_pcscd_was_killed", || {
        let mut fixture = CardReaderFixture::start();
        let resident = of_version("2.00");
        fixture.insert(&resident);
        fixture.read_result().unwrap();

        fixture.pcscd.take().unwrap().kill().unwrap();
        fixture.remove_card(|_| {});
        fixture.driver.wait_for_health(DeviceHealth::Failed).unwrap();

        fixture.pcscd = Some(pcscd::start(fixture.logs.path()).unwrap());
        fixture.driver.wait_for_health(DeviceHealth::Ready).unwrap();
        fixture.insert(&resident);
        assert!(fixture.read_result().is_ok());
    });
}

#[test]
fn platform_answer_authenticates_a_card_once() {
    in_namespace("wires::card_reader::platform_answer_authenticates_a_card_once", || {
        let mut fixture = CardReaderFixture::without_psam();
        let resident = of_version("3.00");
        let key = CardRootKeys::new(&CityCardKeys::TEST_BYTES);

        fixture.insert(&resident);
        let first = fixture.authentication_request();
        assert_eq!(first.area, resident.card.identification[..6]);
        assert_eq!(*first.identification, resident.card.identification);
        assert_eq!(first.atr_history.len(), 13);
        let answer = platform_answer(&key, &first);
        let replayed = answer.clone();
        fixture.driver.send_request(DeviceWork::Authenticate(Some(answer))).unwrap();
        let card = fixture.read_result().unwrap();
        assert_eq!(card.proof, CardProof::Authenticated);
        assert_eq!(*holder(card).unwrap().name, resident.name);
        fixture.remove_card(|_| {});

        // The same card draws a new random number, so the earlier answer does not open it again.
        fixture.insert(&resident);
        let second = fixture.authentication_request();
        assert_ne!(first.challenge, second.challenge);
        assert_ne!(first.nonces.internal_source, second.nonces.internal_source);
        fixture.driver.send_request(DeviceWork::Authenticate(Some(replayed))).unwrap();
        assert_eq!(fixture.read_result().err(), Some(CardReadRefusal::AuthenticationFailed));
        fixture.remove_card(|_| {});

        // Without card authentication the card gives only its public data.
        fixture.insert(&resident);
        fixture.authentication_request();
        fixture.driver.send_request(DeviceWork::Authenticate(None)).unwrap();
        let card = fixture.read_result().unwrap();
        assert_eq!(card.proof, CardProof::NotAuthenticated);
        assert!(holder(card).is_none());
        fixture.remove_card(|_| {});

        // The card is removed while it waits: a later answer is refused.
        fixture.insert(&resident);
        let late = platform_answer(&key, &fixture.authentication_request());
        fixture.remove_card(|event| {
            assert!(!matches!(event, DeviceEvent::CardRead(_) | DeviceEvent::CardRefused(_)))
        });
        assert_eq!(
            fixture.driver.request(DeviceWork::Authenticate(Some(late))).unwrap(),
            Err(DeviceFault::NoCard)
        );
    });
}

#[test]
fn copied_cards_are_refused_by_psam_and_platform() {
    in_namespace("wires::card_reader::copied_cards_are_refused_by_psam_and_platform", || {
        let resident = of_version("3.00");
        let key = CardRootKeys::new(&CityCardKeys::TEST_BYTES);
        let mut fixture = CardReaderFixture::start();
        for flaw in [CardFlaw::Cloned, CardFlaw::Replayed] {
            fixture.insert_bad(&resident, flaw);
            assert_eq!(fixture.read_result().err(), Some(CardReadRefusal::AuthenticationFailed), "{flaw:?}");
            fixture.remove_card(|_| {});
        }
        // The PSAM is removed: the request goes to the platform, which does not authenticate the copies either.
        fixture.psam.remove();
        for flaw in [CardFlaw::Cloned, CardFlaw::Replayed] {
            fixture.insert_bad(&resident, flaw);
            let answer = platform_answer(&key, &fixture.authentication_request());
            fixture.driver.send_request(DeviceWork::Authenticate(Some(answer))).unwrap();
            assert_eq!(fixture.read_result().err(), Some(CardReadRefusal::AuthenticationFailed), "{flaw:?}");
            fixture.remove_card(|_| {});
        }
        fixture.insert(&resident);
        let answer = platform_answer(&key, &fixture.authentication_request());
        fixture.driver.send_request(DeviceWork::Authenticate(Some(answer))).unwrap();
        assert_eq!(
            fixture.read_result().unwrap().proof,
            CardProof::Authenticated,
            "the genuine card after copies"
        );
    });
}

#[test]
fn card_without_response_is_never_read_until_removed() {
    in_namespace("wires::card_reader::card_without_response_is_never_read_until_removed", || {
        let resident = of_version("3.00");
        let mut fixture = CardReaderFixture::start();
        fixture.insert_bad(&resident, CardFlaw::NoAuthentication);
        wait_until("the authentication_request to the card", TIMEOUT, || {
            Ok((fixture.slot.command_count() >= 9).then_some(()))
        })
        .unwrap();
        fixture.remove_card(|event| {
            assert!(!matches!(event, DeviceEvent::CardRead(_) | DeviceEvent::CardRefused(_)))
        });
        fixture.insert(&resident);
        assert_eq!(
            fixture.read_result().unwrap().proof,
            CardProof::Authenticated,
            "the reader must work again"
        );
    });
}

#[test]
fn psam_of_another_city_opens_no_card() {
    in_namespace("wires::card_reader::psam_of_another_city_opens_no_card", || {
        let resident = of_version("3.00");
        let mut fixture = CardReaderFixture::start_with(Some("Virtual PCD 00 01"), OldAlgorithmPolicy::Limit);
        fixture.insert_psam(&CityCardKeys::new(&[3; 32]));
        fixture.insert(&resident);
        assert_eq!(fixture.read_result().err(), Some(CardReadRefusal::AuthenticationFailed));
        // SELECT, the issuer's file, the challenge and INTERNAL AUTHENTICATE, and no further command.
        assert_eq!(fixture.slot.command_count(), 10);
    });
}
