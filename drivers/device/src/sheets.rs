//! A document printer (A4) that is reached by IPP.

use std::time::{Duration, Instant};

use anyhow::Result;
use device::wire::{Answer, Attention, Fault, Health, Work};
use printer::{SheetPrinter, SheetStatus, Why};

use crate::desk::{Desk, Gone};

/// Interval at which an idle printer is asked for its status. Some printers wake up for each request.
const ASK: Duration = Duration::from_secs(5);
/// The interval while the printer is not ready: a person may be filling the tray.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Runs until the kiosk closes the connection.
///
/// # Errors
/// When the address in the site file is invalid: a restart does not help.
pub(crate) fn run(host: &Desk, url: &str) -> Result<()> {
    let printer = SheetPrinter::at(url)?;
    // The only error is that the kiosk closed the connection, which is the normal end.
    serve(host, &printer).ok();
    Ok(())
}

fn serve(host: &Desk, printer: &SheetPrinter) -> Result<(), Gone> {
    let mut ask_at = Instant::now();
    loop {
        if let Some((id, work)) = host.order(ask_at.saturating_duration_since(Instant::now()))? {
            let answer = if let Work::PrintSheet(document) = work {
                host.health(Health::Busy)?;
                Ok(Answer::Printed(printer.print(&document, &mut |_| host.beat())))
            } else {
                Err(Fault::NotMine)
            };
            host.answer(id, answer)?;
            ask_at = Instant::now();
        }
        if Instant::now() < ask_at {
            continue;
        }
        let health = printer.status(&mut |_| host.beat()).map_or(Health::Absent, health_of);
        host.health(health)?;
        ask_at = Instant::now() + if health == Health::Ready { ASK } else { ASK_AGAIN };
    }
}

fn health_of(status: SheetStatus) -> Health {
    match status.obstacle() {
        Some(Why::PaperOut) => Health::NeedsAttention(Attention::PaperOut),
        Some(Why::CoverOpen) => Health::NeedsAttention(Attention::CoverOpen),
        Some(Why::Jammed) => Health::NeedsAttention(Attention::Jammed),
        Some(Why::TonerOut) => Health::NeedsAttention(Attention::TonerOut),
        Some(Why::Mute) => Health::NeedsAttention(Attention::Mute),
        Some(
            Why::Overheated
            | Why::Failed
            | Why::Offline
            | Why::Stalled
            | Why::Gone
            | Why::Unprintable
            | Why::NoEvidence,
        ) => Health::Failed,
        None if status.paper_low => Health::NeedsAttention(Attention::PaperLow),
        None if status.toner_low => Health::NeedsAttention(Attention::TonerLow),
        None => Health::Ready,
    }
}
