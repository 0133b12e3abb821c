//! Runs a fault scenario for each named fault against the running kiosk. During any fault the screen must react to
//! touches, a waiting resident must be able to leave, and a message must say what to do; after it the device must
//! recover.
//!
//! A fault scenario prepares the kiosk, injects the fault, measures, clears the fault, and waits
//! until the device is offered again. Times count from the moment at which the emulator first applied the fault.

mod fault_scenario;
mod measurements;
mod screen_texts;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use contract::ScreenSize;
use emulator::faults::{
    EmulatedDevice, FaultKind, InjectableFault, ProtocolStep, camera, catalogue, id_reader, printer,
};

use crate::pointer::Pointer;
use crate::repository::residents_file;
use crate::rig::{DeviceOptions, KioskPlan, Rig};
use crate::rig_kiosk::RigKiosk;
use crate::scenario_report::ScenarioReport;
use crate::scenarios::{self, ScenarioContext};

pub use measurements::{FaultReport, Measurements};

/// One fault of each device: the tests run these by default, since a complete run takes long.
pub const SAMPLE: [&str; 7] = [
    "card-read-holder-silence",
    "paper-out",
    "camera-frame-disconnection",
    "scanner-unplugged",
    "id-card-lifted",
    "psam-gone",
    "signal-unplugged",
];

/// Screen size of all kiosks here, on which [`Pointer`] finds the title of every view.
const PANEL_SIZE: ScreenSize = ScreenSize { width: 1080, height: 1920 };

/// The kiosk variants that are needed to reach every fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KioskVariant {
    /// Card slot, ID reader, camera, and a printer that prints QR codes itself and answers a print barrier (`GS r 1`).
    Hall,
    /// A scanner, and a printer that echoes a process id (`GS ( H`).
    Township,
    /// A printer that gets QR codes as raster images.
    Village,
    /// The hall's kiosk with a PSAM in the second slot.
    HallWithPsam,
    /// A gate with lights and a buzzer.
    Gate,
}

impl KioskVariant {
    /// The variant whose devices can have this fault.
    fn for_fault(fault: &InjectableFault) -> Self {
        let is = |step: &ProtocolStep| std::ptr::eq(fault.step, step);
        match fault.step.device {
            EmulatedDevice::Scanner => Self::Township,
            EmulatedDevice::Printer if is(&printer::PROCESS_ID) => Self::Township,
            EmulatedDevice::Printer if is(&printer::RASTER) => Self::Village,
            EmulatedDevice::Psam => Self::HallWithPsam,
            EmulatedDevice::Signal => Self::Gate,
            EmulatedDevice::Card
            | EmulatedDevice::Printer
            | EmulatedDevice::Camera
            | EmulatedDevice::IdReader => Self::Hall,
        }
    }

    fn plan(self) -> KioskPlan<'static> {
        let plan = |site, slot, fitting| KioskPlan { site, screen: Some(PANEL_SIZE), slot, devices: fitting };
        match self {
            Self::Hall => plan("district-hall", Some(0), DeviceOptions::default()),
            Self::Township => plan(
                "township-center",
                None,
                DeviceOptions {
                    scanner: true,
                    printer_profile: Some("epson-80"),
                    ..DeviceOptions::default()
                },
            ),
            Self::Village => plan("village-point", None, DeviceOptions::default()),
            Self::HallWithPsam => {
                plan("district-hall", Some(0), DeviceOptions { psam: true, ..DeviceOptions::default() })
            }
            Self::Gate => plan("gate", None, DeviceOptions { scanner: true, ..DeviceOptions::default() }),
        }
    }
}

/// Runs the fault scenarios of all faults whose name contains one of `only`, or of all faults if `only` is empty.
///
/// # Errors
/// When the rig does not start. Failures of fault scenarios are in the returned report.
pub fn run(state: &Path, page: &Path, only: &[String]) -> Result<FaultReport> {
    let chosen =
        |fault: &InjectableFault| only.is_empty() || only.iter().any(|part| fault.name().contains(part));
    run_faults(state, page, catalogue().filter(chosen))
}

/// Runs the fault scenario of one fault.
///
/// # Errors
/// When no fault has this name, or the rig does not start. Failures of the fault scenario are in the returned report.
pub fn run_fault(state: &Path, page: &Path, name: &str) -> Result<FaultReport> {
    let fault = catalogue().find(|fault| fault.name() == name);
    run_faults(state, page, [fault.with_context(|| format!("no fault is named `{name}`"))?])
}

fn run_faults(
    state: &Path,
    page: &Path,
    faults: impl IntoIterator<Item = InjectableFault>,
) -> Result<FaultReport> {
    let mut chosen: Vec<(KioskVariant, InjectableFault)> =
        faults.into_iter().map(|fault| (KioskVariant::for_fault(&fault), fault)).collect();
    chosen.sort_by_key(|(variant, _)| *variant);
    let mut context = ScenarioContext {
        rig: Rig::start(state)?,
        report: ScenarioReport::create(page)?,
        residents: scenarios::read_residents(&residents_file())?,
    };
    let mut table = FaultReport::default();
    let begun = Instant::now();
    let mut current = None;
    for (variant, fault) in chosen {
        if current != Some(variant) {
            // One kiosk at a time, so that the others do not affect the measurements.
            context.rig.kiosks.clear();
            context.rig.add_kiosk(variant.plan())?;
            current = Some(variant);
        }
        // A gate has nothing to touch.
        if table.baseline.is_none() && variant != KioskVariant::Gate {
            table.baseline = Some(measure_baseline(&mut context, &fault)?);
        }
        let figures = Measurements { baseline: table.baseline, ..run_one(&mut context, &fault) };
        eprintln!("{:>5} s  {figures}", begun.elapsed().as_secs());
        table.push(figures);
    }
    table.took = begun.elapsed();
    table.audit = scenarios::run_audit(&mut context);
    let ScenarioContext { rig, mut report, residents } = context;
    let state = rig.state().to_owned();
    drop(rig);
    scenarios::expect_no_personal_data(&state, &residents, &mut report);
    table.audit.extend(report.failures());
    table.write(page)?;
    Ok(table)
}

/// Measures the touch latency without a fault.
fn measure_baseline(context: &mut ScenarioContext, fault: &InjectableFault) -> Result<Duration> {
    context.reset()?;
    let kiosk = context.rig.kiosks.first().context("a kiosk")?;
    let pointer = Pointer::open(kiosk.display())?;
    let mut figures = Measurements::default();
    for _ in 0..3 {
        fault_scenario::FaultScenario::new(&kiosk.bench, &pointer, fault, &mut figures)
            .run_without_fault()?;
    }
    figures.median_touch().context("no button to touch for the baseline")
}

/// Runs one fault scenario on a kiosk that was reset before.
fn run_one(context: &mut ScenarioContext, fault: &InjectableFault) -> Measurements {
    let mut figures = Measurements::for_fault(fault);
    let outcome =
        context.reset().context("cannot reset the kiosk before the fault scenario").and_then(|()| {
            let kiosk = context.rig.kiosks.first().context("a kiosk")?;
            let pointer = Pointer::open(kiosk.display())?;
            let before = kiosk.process_id();
            let ran = fault_scenario::FaultScenario::new(&kiosk.bench, &pointer, fault, &mut figures).run();
            let cleared = clear_faults(context);
            let after = context.rig.kiosks.first().and_then(RigKiosk::process_id);
            figures.restarted =
                after != before || context.rig.kiosks.iter_mut().any(|kiosk| kiosk.check_running().is_err());
            ran.and(cleared)
        });
    if let Err(error) = outcome {
        figures.problems.push(format!("{error:#}"));
        let name = fault.name();
        context.report.begin_chapter(&name);
        context.capture_screen(&name).ok();
    }
    figures
}

/// Switches all faults of all kiosks off and reconnects the card readers.
fn clear_faults(context: &mut ScenarioContext) -> Result<()> {
    for kiosk in &context.rig.kiosks {
        kiosk.bench.clear_faults()?;
    }
    Ok(())
}

/// Whether the device may stay usable during this fault, so that no message is required.
fn is_tolerated(fault: &InjectableFault) -> bool {
    let is_frame = std::ptr::eq(fault.step, &camera::FRAME);
    let slow_or_without_id = [&id_reader::SLOW, &id_reader::SAM_ID];
    fault.kind == FaultKind::Flood
        || slow_or_without_id.into_iter().any(|step| std::ptr::eq(fault.step, step))
        || is_frame
            && matches!(fault.kind, FaultKind::Garbage | FaultKind::WrongAnswer | FaultKind::Truncation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_has_one_fault_of_each_device() {
        let device = |fault: InjectableFault| fault.step.device.name();
        let mut all: Vec<&str> = catalogue().map(device).collect();
        all.dedup();
        let sample = SAMPLE.map(|name| device(catalogue().find(|fault| fault.name() == name).unwrap()));
        assert_eq!(all, sample);
    }
}
