//! `kiosk-device NAME`: runs one driver as a process of its own.
//!
//! Standard input is one end of a UNIX socket pair, used for reading and writing. One thread reads the socket, one
//! thread writes it, and the main thread runs the driver. A ping is answered only while the driver's own heartbeat is
//! recent, so that the kiosk detects a driver that hangs. The process ends when the socket is closed.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod camera;
mod card;
mod document_printer;
mod host;
mod id_reader;
mod receipt_printer;
mod scanner;
mod signal;

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use device::framing::{read_frame, read_version, write_version};
use device::record::Recorder;
use device::wire::{DeviceConfig, ToDevice};

use host::DeviceHost;

/// Runs one driver of a kiosk as a process of its own.
///
/// The program `kiosk` starts it, with one end of a UNIX socket pair as standard input, and sends the device's
/// configuration over that socket. It is not started by hand.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Name of the device in log lines and in recordings, for example `card`.
    name: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    match run(&arguments.name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str) -> Result<()> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().context("cannot duplicate standard input")?;
    let mut socket = UnixStream::from(socket);
    write_version(&mut socket)?;
    read_version(&mut socket)?;
    let ToDevice::Open(config) = read_frame(&mut socket)? else {
        bail!("first message from the kiosk is not Open: device configuration missing");
    };
    tracing::info!(%name, "device process started");
    let host = DeviceHost::start(socket)?;
    let recorder = Recorder::from_environment(name);
    match config {
        DeviceConfig::Card { reader, psam, older } => {
            card::run(&host, &recorder, &card::CardReaderConfig { reader, psam, older });
        }
        DeviceConfig::Camera { source, setup } => camera::run(&host, &recorder, &source, setup),
        DeviceConfig::Scanner { tty, baud, line } => scanner::run(&host, &recorder, &tty, baud, &line),
        DeviceConfig::IdReader { tty, baud } => id_reader::run(&host, &recorder, &tty, baud),
        DeviceConfig::ReceiptPrinter { link, profile } => {
            receipt_printer::run(&host, &recorder, &link, &profile)?;
        }
        DeviceConfig::DocumentPrinter { url } => document_printer::run(&host, &url)?,
        DeviceConfig::Signal { tty, baud, relays } => signal::run(&host, &tty, baud, relays),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_definition_is_valid() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
