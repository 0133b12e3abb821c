//! A receipt printer on a serial, USB or TCP link.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use device::record::Recorder;
use device::record::link::RecordedLink;
use device::record::printer::{PrinterTape, print_request};
use device::wire::{Attention, DeviceAnswer, DeviceFault, DeviceHealth, DeviceWork, PrinterLinkConfig};
use printer::{PrintFailure, PrinterProfile, PrinterStatus, ReceiptPrinter, TcpLink, UsbLink};
use serial_link::{FlowControl, Link, LinkFault, SerialLink};

use crate::host::{DeviceHost, KioskDisconnected};

/// Interval at which an idle printer is asked for its status.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// Pause before the link is opened again.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);
/// Number of status requests in a row without an answer after which the printer counts as not responding.
const UNANSWERED_MAX: u32 = 2;

/// Runs until the kiosk closes the connection.
///
/// # Errors
/// When the site file names a profile that does not exist: a restart does not help.
pub(crate) fn run(
    host: &DeviceHost,
    recorder: &Recorder,
    link: &PrinterLinkConfig,
    profile: &str,
) -> Result<()> {
    let profile = PrinterProfile::by_name(profile)
        .with_context(|| format!("unknown printer profile `{profile}`: correct the site file"))?;
    // Kept when the link is opened again: the driver knows whether the printer holds a fragment of a receipt.
    let mut printer = None;
    loop {
        let Ok(fault) = serve(host, recorder, link, &profile, &mut printer) else { return Ok(()) };
        let health = if fault == LinkFault::Busy { DeviceHealth::Failed } else { DeviceHealth::Absent };
        if host.report_health(health).is_err() || host.refuse_requests(REOPEN_PAUSE).is_err() {
            return Ok(());
        }
    }
}

/// Returns the link's fault when the link has to be opened again.
fn serve(
    host: &DeviceHost,
    recorder: &Recorder,
    link: &PrinterLinkConfig,
    profile: &PrinterProfile,
    printer: &mut Option<ReceiptPrinter>,
) -> Result<LinkFault, KioskDisconnected> {
    let link = match open_link(link) {
        Ok(link) => Box::new(RecordedLink::new(link, PrinterTape::new(recorder.clone()))),
        Err(fault) => return Ok(fault),
    };
    let printer = match printer {
        Some(printer) => {
            printer.relink(link);
            printer
        }
        None => printer.insert(ReceiptPrinter::open(link, profile.clone())),
    };
    let mut ask_at = Instant::now();
    let mut unanswered = 0;
    loop {
        if let Some((id, work)) = host.next_request(ask_at.saturating_duration_since(Instant::now()))? {
            let answer = if let DeviceWork::PrintReceipt(receipt) = work {
                host.report_health(DeviceHealth::Busy)?;
                if recorder.is_on() {
                    recorder.record(print_request(&receipt));
                }
                Ok(DeviceAnswer::Printed(printer.print(&receipt, &mut |_| host.heartbeat())))
            } else {
                Err(DeviceFault::Unsupported)
            };
            host.send_answer(id, answer)?;
            ask_at = Instant::now();
        }
        if Instant::now() < ask_at {
            continue;
        }
        match printer.status() {
            Ok(status) => {
                unanswered = 0;
                host.report_health(health_of(status))?;
            }
            Err(LinkFault::TimedOut) => {
                unanswered += 1;
                if unanswered < UNANSWERED_MAX {
                    // Ask again at once: the resident is to be informed within a second.
                    continue;
                }
                host.report_health(DeviceHealth::NeedsAttention(Attention::NotResponding))?;
            }
            Err(fault @ (LinkFault::Absent | LinkFault::Busy | LinkFault::Gone | LinkFault::Failed(_))) => {
                return Ok(fault);
            }
        }
        ask_at = Instant::now() + STATUS_INTERVAL;
    }
}

fn open_link(link: &PrinterLinkConfig) -> Result<Box<dyn Link + Send>, LinkFault> {
    Ok(match link {
        // XON/XOFF is harmless for printers that do not use it: status bytes are never 11h or 13h.
        PrinterLinkConfig::Serial { tty, baud } => {
            Box::new(SerialLink::open(tty, *baud, FlowControl::XonXoff)?)
        }
        PrinterLinkConfig::Usb { port } => Box::new(UsbLink::open(port)?),
        PrinterLinkConfig::Tcp { address } => Box::new(TcpLink::connect(address)?),
    })
}

fn health_of(status: PrinterStatus) -> DeviceHealth {
    match status.blocking_failure() {
        Some(PrintFailure::PaperOut) => DeviceHealth::NeedsAttention(Attention::PaperOut),
        Some(PrintFailure::CoverOpen) => DeviceHealth::NeedsAttention(Attention::CoverOpen),
        Some(PrintFailure::Jammed) => DeviceHealth::NeedsAttention(Attention::Jammed),
        Some(
            PrintFailure::Overheated
            | PrintFailure::Failed
            | PrintFailure::TonerOut
            | PrintFailure::Offline
            | PrintFailure::NotResponding
            | PrintFailure::Stalled
            | PrintFailure::Disconnected
            | PrintFailure::Unprintable
            | PrintFailure::NoConfirmation,
        ) => DeviceHealth::Failed,
        None if status.paper_low => DeviceHealth::NeedsAttention(Attention::PaperLow),
        None => DeviceHealth::Ready,
    }
}
