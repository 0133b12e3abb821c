//! A receipt printer on a serial, USB or TCP link.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use device::record::Recorder;
use device::record::printer::{RecordedLink, order};
use device::wire::{Answer, Attention, Fault, Health, PrinterLink, Work};
use printer::{Link, LinkFault, Printer, Profile, SerialLink, Status, TcpLink, UsbLink, Why};

use crate::desk::{Desk, Gone};

/// Interval at which an idle printer is asked for its status.
const ASK: Duration = Duration::from_secs(1);
/// Pause before the link is opened again.
const PAUSE: Duration = Duration::from_secs(1);
/// Number of status requests in a row without an answer after which the printer counts as not responding.
const SILENT_MAX: u32 = 2;

/// Runs until the kiosk closes the connection.
///
/// # Errors
/// When the site file names a profile that does not exist: a restart does not help.
pub(crate) fn run(host: &Desk, recorder: &Recorder, link: &PrinterLink, profile: &str) -> Result<()> {
    let profile = Profile::named(profile)
        .with_context(|| format!("unknown printer profile `{profile}`: correct the site file"))?;
    // Kept when the link is opened again: the driver knows whether the printer holds a fragment of a receipt.
    let mut printer = None;
    loop {
        let Ok(fault) = serve(host, recorder, link, &profile, &mut printer) else { return Ok(()) };
        let health = if fault == LinkFault::Busy { Health::Failed } else { Health::Absent };
        if host.health(health).is_err() || host.away(PAUSE).is_err() {
            return Ok(());
        }
    }
}

/// Returns the link's fault when the link has to be opened again.
fn serve(
    host: &Desk,
    recorder: &Recorder,
    link: &PrinterLink,
    profile: &Profile,
    printer: &mut Option<Printer>,
) -> Result<LinkFault, Gone> {
    let link = match open(link) {
        Ok(link) => Box::new(RecordedLink::new(link, recorder.clone())),
        Err(fault) => return Ok(fault),
    };
    let printer = match printer {
        Some(printer) => {
            printer.relink(link);
            printer
        }
        None => printer.insert(Printer::open(link, profile.clone())),
    };
    let mut ask_at = Instant::now();
    let mut unanswered = 0;
    loop {
        if let Some((id, work)) = host.order(ask_at.saturating_duration_since(Instant::now()))? {
            let answer = if let Work::Print(receipt) = work {
                host.health(Health::Busy)?;
                if recorder.is_on() {
                    recorder.note(order(&receipt));
                }
                Ok(Answer::Printed(printer.print(&receipt, &mut |_| host.beat())))
            } else {
                Err(Fault::NotMine)
            };
            host.answer(id, answer)?;
            ask_at = Instant::now();
        }
        if Instant::now() < ask_at {
            continue;
        }
        match printer.status() {
            Ok(status) => {
                unanswered = 0;
                host.health(health_of(status))?;
            }
            Err(LinkFault::TimedOut) => {
                unanswered += 1;
                if unanswered < SILENT_MAX {
                    // Ask again at once: the resident is to be informed within a second.
                    continue;
                }
                host.health(Health::NeedsAttention(Attention::Mute))?;
            }
            Err(fault @ (LinkFault::Absent | LinkFault::Busy | LinkFault::Gone | LinkFault::Failed(_))) => {
                return Ok(fault);
            }
        }
        ask_at = Instant::now() + ASK;
    }
}

fn open(link: &PrinterLink) -> Result<Box<dyn Link + Send>, LinkFault> {
    Ok(match link {
        PrinterLink::Serial { tty, baud } => Box::new(SerialLink::open(tty, *baud)?),
        PrinterLink::Usb { port } => Box::new(UsbLink::open(port)?),
        PrinterLink::Tcp { address } => Box::new(TcpLink::connect(address)?),
    })
}

fn health_of(status: Status) -> Health {
    match status.obstacle() {
        Some(Why::PaperOut) => Health::NeedsAttention(Attention::PaperOut),
        Some(Why::CoverOpen) => Health::NeedsAttention(Attention::CoverOpen),
        Some(Why::Jammed) => Health::NeedsAttention(Attention::Jammed),
        Some(
            Why::Overheated
            | Why::Failed
            | Why::TonerOut
            | Why::Offline
            | Why::Mute
            | Why::Stalled
            | Why::Gone
            | Why::Unprintable
            | Why::NoEvidence,
        ) => Health::Failed,
        None if status.paper_low => Health::NeedsAttention(Attention::PaperLow),
        None => Health::Ready,
    }
}
