//! Runs a fault scenario for each named fault against the running kiosk. During any fault the screen must react to
//! touches, a waiting resident must be able to leave, and a message must say what to do; after it the device must
//! recover.
//!
//! A [fault scenario](fault_scenario) prepares the kiosk, injects the fault, measures, clears the fault, and waits
//! until the device is offered again. Times count from the moment at which the emulator first applied the fault.

mod drill;
mod figures;
mod words;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use contract::ScreenSize;
use virtual_hardware::faults::{Device, Fault, Kind, Step, camera, catalogue, id_reader, printer};

use crate::finger::Finger;
use crate::kiosk::Kiosk;
use crate::report::Report;
use crate::rig::{Fitting, Plan, Rig};
use crate::script::{self, Stage};

pub use figures::{Figures, Table};

/// Screen size of all kiosks here, on which [`Pointer`] finds the title of every view.
const PANEL: ScreenSize = ScreenSize { width: 1080, height: 1920 };

/// The kiosk variants that are needed to reach every fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cabinet {
    /// Card slot, ID reader, camera, and a printer that prints QR codes itself and answers a print barrier (`GS r 1`).
    Hall,
    /// A scanner, and a printer that echoes a process id (`GS ( H`).
    Township,
    /// A printer that gets QR codes as raster images.
    Village,
    /// The hall's kiosk with a PSAM in the second slot.
    Vouched,
    /// A gate with lights and a buzzer.
    Gate,
}

impl Cabinet {
    /// The variant whose devices can have this fault.
    fn of(fault: &Fault) -> Self {
        let is = |step: &Step| std::ptr::eq(fault.step, step);
        match fault.step.device {
            Device::Scanner => Self::Township,
            Device::Printer if is(&printer::PROCESS_ID) => Self::Township,
            Device::Printer if is(&printer::RASTER) => Self::Village,
            Device::Psam => Self::Vouched,
            Device::Signal => Self::Gate,
            Device::Card | Device::Printer | Device::Camera | Device::IdReader => Self::Hall,
        }
    }

    fn plan(self) -> Plan<'static> {
        let plan = |site, slot, fitting| Plan { site, screen: Some(PANEL), slot, fitting };
        match self {
            Self::Hall => plan("district-hall", Some(0), Fitting::default()),
            Self::Township => plan(
                "township-center",
                None,
                Fitting { scanner: true, printer: Some("epson-80"), ..Fitting::default() },
            ),
            Self::Village => plan("village-point", None, Fitting::default()),
            Self::Vouched => plan("district-hall", Some(0), Fitting { psam: true, ..Fitting::default() }),
            Self::Gate => plan("gate", None, Fitting { scanner: true, ..Fitting::default() }),
        }
    }
}

/// Runs the fault scenarios of all faults whose name contains one of `only`, or of all faults if `only` is empty.
///
/// # Errors
/// When the rig does not start. Failures of fault scenarios are in the returned report.
pub fn run(state: &Path, page: &Path, repository: &Path, only: &[String]) -> Result<Table> {
    let mut chosen: Vec<(Cabinet, Fault)> = catalogue()
        .filter(|fault| only.is_empty() || only.iter().any(|part| fault.name().contains(part.as_str())))
        .map(|fault| (Cabinet::of(&fault), fault))
        .collect();
    chosen.sort_by_key(|(cabinet, _)| *cabinet);
    let mut context = Stage {
        rig: Rig::start(state)?,
        report: Report::begin(page)?,
        residents: script::residents(&repository.join("assets/residents.toml"))?,
    };
    let mut table = Table::default();
    let begun = Instant::now();
    let mut current = None;
    for (cabinet, fault) in chosen {
        if current != Some(cabinet) {
            // One kiosk at a time, so that the others do not affect the measurements.
            context.rig.kiosks.clear();
            context.rig.add(cabinet.plan())?;
            current = Some(cabinet);
        }
        if table.unhurt.is_none() {
            table.unhurt = Some(unhurt(&mut context, &fault)?);
        }
        let figures = Figures { unhurt: table.unhurt, ..one(&mut context, &fault) };
        eprintln!("{:>5} s  {figures}", begun.elapsed().as_secs());
        table.push(figures);
    }
    table.took = begun.elapsed();
    table.audit = script::everything_holds(&mut context);
    let Stage { rig, mut report, residents } = context;
    let state = rig.state().to_owned();
    drop(rig);
    script::nothing_personal(&state, &residents, &mut report);
    table.audit.extend(report.failures());
    table.write(page)?;
    Ok(table)
}

/// Measures the touch latency without a fault.
fn unhurt(context: &mut Stage, fault: &Fault) -> Result<Duration> {
    context.calm()?;
    let kiosk = context.rig.kiosks.first().context("a kiosk")?;
    let finger = Finger::open(kiosk.display())?;
    let mut figures = Figures::default();
    for _ in 0..3 {
        drill::Drill::new(&kiosk.station, &finger, fault, &mut figures).without_fault()?;
    }
    figures.touch().context("no button to touch for the baseline")
}

/// Runs one fault scenario on a kiosk that was reset before.
fn one(context: &mut Stage, fault: &Fault) -> Figures {
    let mut figures = Figures::of(fault);
    let outcome = context.calm().context("cannot reset the kiosk before the fault scenario").and_then(|()| {
        let kiosk = context.rig.kiosks.first().context("a kiosk")?;
        let finger = Finger::open(kiosk.display())?;
        let before = kiosk.process_id();
        let ran = drill::Drill::new(&kiosk.station, &finger, fault, &mut figures).run();
        let cleared = mend(context);
        let after = context.rig.kiosks.first().and_then(Kiosk::process_id);
        figures.restarted =
            after != before || context.rig.kiosks.iter_mut().any(|kiosk| kiosk.check().is_err());
        ran.and(cleared)
    });
    if let Err(error) = outcome {
        figures.problems.push(format!("{error:#}"));
        let name = fault.name();
        context.report.chapter(&name);
        context.shot(&name).ok();
    }
    figures
}

/// Switches all faults of all kiosks off and reconnects the card readers.
fn mend(context: &mut Stage) -> Result<()> {
    for kiosk in &context.rig.kiosks {
        kiosk.station.mend()?;
    }
    context.rig.mind_readers()
}

/// Whether the device may stay usable during this fault, so that no message is required.
fn is_borne(fault: &Fault) -> bool {
    let is_frame = std::ptr::eq(fault.step, &camera::FRAME);
    let slow_or_without_id = [&id_reader::SLOW, &id_reader::SAM_ID];
    fault.kind == Kind::Flood
        || slow_or_without_id.into_iter().any(|step| std::ptr::eq(fault.step, step))
        || is_frame && matches!(fault.kind, Kind::Garbage | Kind::WrongAnswer | Kind::Truncation)
}
