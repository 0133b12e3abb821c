//! A document printer (A4) that is reached by IPP.

use std::time::{Duration, Instant};

use anyhow::Result;
use device::wire::{Attention, DeviceAnswer, DeviceFault, DeviceHealth, DeviceWork};
use printer::{DocumentPrinter, DocumentPrinterStatus, PrintFailure};

use crate::host::{DeviceHost, KioskDisconnected};

/// Interval at which an idle printer is asked for its status. Some printers wake up for each request.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);
/// The interval while the printer is not ready: a person may be filling the tray.
const STATUS_INTERVAL_NOT_READY: Duration = Duration::from_secs(1);

/// Runs until the kiosk closes the connection.
///
/// # Errors
/// When the address in the site file is invalid: a restart does not help.
pub(crate) fn run(host: &DeviceHost, url: &str) -> Result<()> {
    let printer = DocumentPrinter::for_address(url)?;
    // The only error is that the kiosk closed the connection, which is the normal end.
    serve(host, &printer).ok();
    Ok(())
}

fn serve(host: &DeviceHost, printer: &DocumentPrinter) -> Result<(), KioskDisconnected> {
    let mut ask_at = Instant::now();
    loop {
        if let Some((id, work)) = host.next_request(ask_at.saturating_duration_since(Instant::now()))? {
            let answer = if let DeviceWork::PrintDocument(document) = work {
                host.report_health(DeviceHealth::Busy)?;
                Ok(DeviceAnswer::Printed(printer.print(&document, &mut |_| host.heartbeat())))
            } else {
                Err(DeviceFault::Unsupported)
            };
            host.send_answer(id, answer)?;
            ask_at = Instant::now();
        }
        if Instant::now() < ask_at {
            continue;
        }
        let health = printer.status(&mut |_| host.heartbeat()).map_or(DeviceHealth::Absent, health_of);
        host.report_health(health)?;
        ask_at = Instant::now()
            + if health == DeviceHealth::Ready { STATUS_INTERVAL } else { STATUS_INTERVAL_NOT_READY };
    }
}

fn health_of(status: DocumentPrinterStatus) -> DeviceHealth {
    match status.blocking_failure() {
        Some(PrintFailure::PaperOut) => DeviceHealth::NeedsAttention(Attention::PaperOut),
        Some(PrintFailure::CoverOpen) => DeviceHealth::NeedsAttention(Attention::CoverOpen),
        Some(PrintFailure::Jammed) => DeviceHealth::NeedsAttention(Attention::Jammed),
        Some(PrintFailure::TonerOut) => DeviceHealth::NeedsAttention(Attention::TonerOut),
        Some(PrintFailure::NotResponding) => DeviceHealth::NeedsAttention(Attention::NotResponding),
        Some(
            PrintFailure::Overheated
            | PrintFailure::Failed
            | PrintFailure::Offline
            | PrintFailure::Stalled
            | PrintFailure::Disconnected
            | PrintFailure::Unprintable
            | PrintFailure::NoConfirmation,
        ) => DeviceHealth::Failed,
        None if status.paper_low => DeviceHealth::NeedsAttention(Attention::PaperLow),
        None if status.toner_low => DeviceHealth::NeedsAttention(Attention::TonerLow),
        None => DeviceHealth::Ready,
    }
}
