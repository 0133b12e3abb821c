//! PIN reset and PIN change: the platform's key, the driver's commands and the emulated card work together.

use card::{CardTransport, PinOutcome, TransportFault, change_pin, reset_pin, verify_pin};
use contract::{CardChallenge, HexBytes};
use emulator::card::{CardFlaw, EmulatedCard};
use emulator::card_keys::CityCardKeys;
use emulator::demo_residents;
use server::CardRootKeys;
use system_tests::repository::residents_file;

/// A card in the slot of a service desk's terminal.
struct DeskSlot(EmulatedCard);

impl CardTransport for DeskSlot {
    fn transmit(&mut self, command: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
        response.extend(self.0.respond(command));
        Ok(())
    }
}

impl DeskSlot {
    fn draw(&mut self) -> [u8; 8] {
        self.0.respond(&[0x00, 0x84, 0x00, 0x00, 0x08]).first_chunk().copied().unwrap()
    }

    fn select(&mut self) {
        assert!(
            matches!(verify_pin(self, b"584216"), Ok(PinOutcome::Verified)),
            "the card must accept its PIN"
        );
    }
}

fn challenge(identification: &str, challenge: [u8; 8]) -> CardChallenge {
    CardChallenge {
        area: identification[..6].into(),
        identification: identification.parse().unwrap(),
        version: "3.00".into(),
        algorithm: 3,
        atr_history: String::new(),
        challenge: HexBytes(challenge),
        internal_factor: HexBytes([2; 8]),
        internal_source: HexBytes([3; 8]),
        external_factor: HexBytes([4; 8]),
    }
}

#[test]
fn pin_reset_cryptogram_opens_the_card_once() {
    let all = demo_residents::read_residents(&residents_file()).unwrap();
    let resident = all.iter().find(|one| one.id == "wang-jianguo").unwrap();
    let city = CardRootKeys::new(&CityCardKeys::TEST_BYTES);
    let mut slot = DeskSlot(EmulatedCard::for_resident(resident, CardFlaw::None));
    slot.select();
    for _ in 0..3 {
        assert!(verify_pin(&mut slot, b"000000").is_ok());
    }
    assert_eq!(verify_pin(&mut slot, b"584216"), Ok(PinOutcome::Locked));

    let nonce = slot.draw();
    let identification = &resident.card.identification;
    let opens = city.external_auth_for_pin_reset(&challenge(identification, nonce));
    assert_eq!(reset_pin(&mut slot, &opens.0, b"271828"), Ok(PinOutcome::Verified));
    assert_eq!(verify_pin(&mut slot, b"271828"), Ok(PinOutcome::Verified));
    assert_ne!(verify_pin(&mut slot, b"584216"), Ok(PinOutcome::Verified));

    // Refused: a replayed cryptogram, the cryptogram for reading, and the cryptogram of another city.
    slot.draw();
    assert_eq!(reset_pin(&mut slot, &opens.0, b"314159"), Ok(PinOutcome::NotPossible));
    let nonce = slot.draw();
    let reads = city.card_cryptogram(&challenge(identification, nonce)).external;
    assert_eq!(reset_pin(&mut slot, &reads.0, b"314159"), Ok(PinOutcome::NotPossible));
    let nonce = slot.draw();
    let other = CardRootKeys::new(&[9; 32]).external_auth_for_pin_reset(&challenge(identification, nonce));
    assert_eq!(reset_pin(&mut slot, &other.0, b"314159"), Ok(PinOutcome::NotPossible));
    assert_eq!(verify_pin(&mut slot, b"271828"), Ok(PinOutcome::Verified), "the PIN must be unchanged");
}

#[test]
fn pin_change_needs_the_old_pin_and_counts_tries() {
    let all = demo_residents::read_residents(&residents_file()).unwrap();
    let resident = all.iter().find(|one| one.id == "zhang-guiying").unwrap();
    let mut slot = DeskSlot(EmulatedCard::for_resident(resident, CardFlaw::None));
    assert_eq!(change_pin(&mut slot, b"000000", b"271828"), Ok(PinOutcome::Wrong { tries_left: 2 }));
    assert_eq!(change_pin(&mut slot, b"730914", b"271828"), Ok(PinOutcome::Verified));
    assert_eq!(verify_pin(&mut slot, b"271828"), Ok(PinOutcome::Verified));
    for tries_left in [2, 1] {
        assert_eq!(change_pin(&mut slot, b"730914", b"111222"), Ok(PinOutcome::Wrong { tries_left }));
    }
    assert_eq!(change_pin(&mut slot, b"730914", b"111222"), Ok(PinOutcome::Locked));
    assert_eq!(change_pin(&mut slot, b"271828", b"111222"), Ok(PinOutcome::Locked));
}
