//! Time until a reader notices a card, and until the driver has read it, without a kiosk.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use device::wire::{DeviceConfig, DeviceEvent, DeviceHealth, FromDevice};
use emulator::card::{CardFlaw, EmulatedCard};
use emulator::card_slot::EmulatedCardSlot;
use emulator::demo_residents;
use system_tests::driver_process::DriverProcess;
use system_tests::pcscd::VPCD_PORT;

use super::report;

const CARDS: u32 = 20;
/// Polling interval of pcscd for readers without events.
const ROUND: Duration = Duration::from_millis(400);

pub(super) fn split(residents: &Path) -> Result<()> {
    let resident = demo_residents::read_residents(residents)?
        .into_iter()
        .next()
        .context("the file of demo residents is empty")?;
    let mut slot = EmulatedCardSlot::new(VPCD_PORT + 1);
    let driver = DriverProcess::start(DeviceConfig::Card {
        reader: "Virtual PCD 00 01".into(),
        psam: None,
        older: card::OldAlgorithmPolicy::Limit,
    })?;
    driver.wait_for_health(DeviceHealth::Ready)?;
    let (mut noticed, mut read) = (Vec::new(), Vec::new());
    for card in 0..CARDS {
        // pcscd notices a removal when it polls; each card is inserted at another phase of the polling interval.
        std::thread::sleep(ROUND * card / CARDS);
        let begun = Instant::now();
        slot.insert(&resident.id, EmulatedCard::for_resident(&resident, CardFlaw::None))?;
        driver.wait_for_message("CardInserted", |message| {
            matches!(message, FromDevice::Event(DeviceEvent::CardInserted)).then_some(())
        })?;
        noticed.push(begun.elapsed());
        let begun = Instant::now();
        driver.wait_for_message("CardRead", |message| {
            matches!(message, FromDevice::Event(DeviceEvent::CardRead(_))).then_some(())
        })?;
        read.push(begun.elapsed());
        slot.remove();
        driver.wait_for_message("CardRemoved", |message| {
            matches!(message, FromDevice::Event(DeviceEvent::CardRemoved)).then_some(())
        })?;
    }
    report("card: in the slot → noticed (pcscd polls every 400 ms)", noticed)?;
    report("card: noticed → read by the driver", read)
}
