//! Time until a reader notices a card, and until the driver has read it, without a kiosk.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use device::wire::{DeviceConfig, Event, FromDevice, Health};
use system_tests::driver::Driver;
use system_tests::readers::VPCD_PORT;
use virtual_hardware::card::{Flaw, VirtualCard};
use virtual_hardware::residents;
use virtual_hardware::slot::Slot;

use super::report;

const CARDS: u32 = 20;
/// Polling interval of pcscd for readers without events.
const ROUND: Duration = Duration::from_millis(400);

pub(super) fn split(residents: &Path) -> Result<()> {
    let resident =
        residents::read(residents)?.into_iter().next().context("the file of demo residents is empty")?;
    let mut slot = Slot::new(VPCD_PORT + 1);
    let driver = Driver::start(DeviceConfig::Card {
        reader: "Virtual PCD 00 01".into(),
        psam: None,
        older: card::OlderCards::Limit,
    })?;
    driver.wait_for_health(Health::Ready)?;
    let (mut noticed, mut read) = (Vec::new(), Vec::new());
    for card in 0..CARDS {
        // pcscd notices a removal when it polls; each card is inserted at another phase of the polling interval.
        std::thread::sleep(ROUND * card / CARDS);
        let begun = Instant::now();
        slot.insert(&resident.id, VirtualCard::of(&resident, Flaw::None))?;
        driver.wait("CardInserted", |message| {
            matches!(message, FromDevice::Event(Event::CardInserted)).then_some(())
        })?;
        noticed.push(begun.elapsed());
        let begun = Instant::now();
        driver.wait("CardRead", |message| {
            matches!(message, FromDevice::Event(Event::CardRead(_))).then_some(())
        })?;
        read.push(begun.elapsed());
        slot.remove();
        driver.wait("CardRemoved", |message| {
            matches!(message, FromDevice::Event(Event::CardRemoved)).then_some(())
        })?;
    }
    report("card: in the slot → noticed (pcscd polls every 400 ms)", noticed)?;
    report("card: noticed → read by the driver", read)
}
