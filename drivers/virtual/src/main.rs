//! `kiosk-bench`: virtual devices for one kiosk, and the page to play with them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use clap::Parser;
use virtual_hardware::bench::{Bench, router};
use virtual_hardware::camera::VirtualCamera;
use virtual_hardware::display::Display;
use virtual_hardware::faults::Faults;
use virtual_hardware::id_reader::VirtualIdReader;
use virtual_hardware::keys::{self, CityKey};
use virtual_hardware::paper::WIDTH_80;
use virtual_hardware::printer::VirtualPrinter;
use virtual_hardware::relays::VirtualRelays;
use virtual_hardware::residents;
use virtual_hardware::sam_slot::SamSlot;
use virtual_hardware::scanner::VirtualScanner;
use virtual_hardware::sheet_printer::Tray;
use virtual_hardware::slot::Slot;

/// Virtual devices for one kiosk, and the page to play with them.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the page is served.
    #[arg(long, default_value = "127.0.0.1:8800")]
    listen: SocketAddr,
    /// The X display of the kiosk, for example `:90`.
    #[arg(long)]
    display: String,
    /// The demo residents.
    #[arg(long)]
    residents: PathBuf,
    /// Port of vpcd's slot.
    #[arg(long, default_value_t = 35963)]
    vpcd: u16,
    /// Port of vpcd's slot that holds a PSAM of the city's; none: the kiosk has no PSAM.
    #[arg(long)]
    psam: Option<u16>,
    /// Where the printer's port is made (a symbolic link).
    #[arg(long)]
    printer: PathBuf,
    /// Where the camera's socket is made.
    #[arg(long)]
    camera: PathBuf,
    /// Where the scanner's port is made (a symbolic link); none: the kiosk has no scanner.
    #[arg(long)]
    scanner: Option<PathBuf>,
    /// Where the ID reader's port is made (a symbolic link); none: the kiosk has no ID reader.
    #[arg(long)]
    id_reader: Option<PathBuf>,
    /// Where the A4 printer keeps the files of its jobs; none: the kiosk has no A4 printer.
    #[arg(long)]
    sheets: Option<PathBuf>,
    /// Where the relay board's port is made (a symbolic link); none: the kiosk has no light.
    #[arg(long)]
    relays: Option<PathBuf>,
    /// Base URL of the platform.
    #[arg(long)]
    platform: String,
    /// File with the root key of the city's cards, card.key of `provision city-keys`; none: that of the tests.
    #[arg(long)]
    card_key: Option<PathBuf>,
    /// File with the key of a staff card, 64 hexadecimal digits; none: there is no staff card.
    #[arg(long)]
    staff_key: Option<PathBuf>,
    /// A file that is made while the readers are to be gone; whoever runs pcscd minds it.
    #[arg(long)]
    unplugged: Option<PathBuf>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let arguments = Arguments::parse();
    let faults = Faults::default();
    let scanner = arguments.scanner.map(|link| VirtualScanner::plug_in(&link, faults.clone())).transpose();
    let id_reader =
        arguments.id_reader.map(|link| VirtualIdReader::plug_in(&link, faults.clone())).transpose();
    let relays = arguments.relays.map(|link| VirtualRelays::plug_in(&link, faults.clone())).transpose();
    let city = match &arguments.card_key {
        Some(path) => CityKey::read(path)?,
        None => CityKey::test(),
    };
    let bench = Bench {
        relays: relays.context("the virtual relay board")?,
        residents: residents::read(&arguments.residents)?,
        psam: arguments.psam.map(|port| SamSlot::keep(port, &city, faults.clone())),
        city,
        staff: arguments.staff_key.as_deref().map(keys::staff).transpose()?.map(Arc::new),
        slot: Mutex::new(Slot::with(arguments.vpcd, faults.clone())),
        printer: VirtualPrinter::with(&arguments.printer, WIDTH_80, faults.clone())
            .context("the virtual printer")?,
        camera: VirtualCamera::with(&arguments.camera, faults.clone()).context("the virtual camera")?,
        scanner: scanner.context("the virtual scanner")?,
        id_reader: id_reader.context("the virtual ID reader")?,
        tray: arguments.sheets.map(Tray::of),
        faults,
        display: Mutex::new(Display::open(&arguments.display)?),
        platform: arguments.platform.trim_end_matches('/').to_owned(),
        unplugged: arguments.unplugged,
    };
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    tracing::info!(address = %listener.local_addr()?, "bench");
    let stop = async {
        // Without a signal handler the default ends the process all the same.
        if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
    };
    tokio::select! {
        served = axum::serve(listener, router(Arc::new(bench))).into_future() => served?,
        () = stop => {}
    }
    Ok(())
}
