//! `kiosk-bench`: the emulated devices of one kiosk, and the bench page that operates them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use clap::Parser;
use emulator::bench::{Bench, FrameSource, router};
use emulator::camera::EmulatedCamera;
use emulator::card_keys::{self, CityCardKeys};
use emulator::card_slot::EmulatedCardSlot;
use emulator::demo_residents;
use emulator::document_printer::DocumentTray;
use emulator::faults::FaultSwitches;
use emulator::id_reader::EmulatedIdReader;
use emulator::printer::EmulatedPrinter;
use emulator::psam_slot::EmulatedPsamSlot;
use emulator::relay_board::EmulatedRelayBoard;
use emulator::rig_control::RigClient;
use emulator::roll::WIDTH_80_MM_DOTS;
use emulator::scanner::EmulatedScanner;
use emulator::x_display::XDisplay;

/// Emulates the devices of one kiosk and serves the bench page that operates them.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address on which the bench page is served.
    #[arg(long, default_value = "127.0.0.1:8800")]
    listen: SocketAddr,
    /// X display of the kiosk, for example `:90`.
    #[arg(long)]
    display: String,
    /// File of the demo residents (TOML).
    #[arg(long)]
    residents: PathBuf,
    /// TCP port of vpcd's slot for cards.
    #[arg(long, default_value_t = 35963)]
    vpcd: u16,
    /// TCP port of vpcd's slot for the city's PSAM. Without it the kiosk has no PSAM.
    #[arg(long)]
    psam: Option<u16>,
    /// Path of the receipt printer's serial line; a symbolic link to a pty is created there.
    #[arg(long)]
    printer: PathBuf,
    /// Path of the camera's UNIX socket, which is created.
    #[arg(long)]
    camera: PathBuf,
    /// Path of the scanner's serial line; a symbolic link to a pty is created there. Without it the kiosk has no
    /// scanner.
    #[arg(long)]
    scanner: Option<PathBuf>,
    /// Path of the ID reader's serial line; a symbolic link to a pty is created there. Without it the kiosk has no ID
    /// reader.
    #[arg(long)]
    id_reader: Option<PathBuf>,
    /// Spool directory of the document printer (A4). Without it the kiosk has no document printer.
    #[arg(long)]
    sheets: Option<PathBuf>,
    /// Path of the relay board's serial line; a symbolic link to a pty is created there. Without it the kiosk has no
    /// lights.
    #[arg(long)]
    relays: Option<PathBuf>,
    /// Base URL of the platform.
    #[arg(long)]
    platform: String,
    /// File with the root key of the city's cards, `card.key` of `provision city-keys`. Without it the test key is
    /// used.
    #[arg(long)]
    card_key: Option<PathBuf>,
    /// File with the private key of a staff card, 64 hexadecimal digits. Without it there is no staff card.
    #[arg(long)]
    staff_key: Option<PathBuf>,
    /// UNIX socket of the rig around the bench, which unplugs card readers, cuts power and links, and reads ledgers.
    /// Without it the bench has devices only.
    #[arg(long)]
    control: Option<PathBuf>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let arguments = Arguments::parse();
    let faults = FaultSwitches::default();
    let scanner = arguments.scanner.map(|link| EmulatedScanner::open_pty(&link, faults.clone())).transpose();
    let id_reader =
        arguments.id_reader.map(|link| EmulatedIdReader::open_pty(&link, faults.clone())).transpose();
    let relays = arguments.relays.map(|link| EmulatedRelayBoard::open_pty(&link, faults.clone())).transpose();
    let city = match &arguments.card_key {
        Some(path) => CityCardKeys::read_key_file(path)?,
        None => CityCardKeys::for_tests(),
    };
    let bench = Bench {
        relay_board: relays.context("cannot emulate the relay board")?,
        residents: demo_residents::read_residents(&arguments.residents)?,
        psam_slot: arguments.psam.map(|port| EmulatedPsamSlot::start(port, &city, faults.clone())),
        card_keys: city,
        staff_key: arguments.staff_key.as_deref().map(card_keys::read_staff_key).transpose()?.map(Arc::new),
        card_slot: Mutex::new(EmulatedCardSlot::with_faults(arguments.vpcd, faults.clone())),
        printer: EmulatedPrinter::open_pty_with_faults(&arguments.printer, WIDTH_80_MM_DOTS, faults.clone())
            .context("cannot emulate the receipt printer")?,
        camera: EmulatedCamera::open_with_faults(&arguments.camera, faults.clone())
            .context("cannot emulate the camera")?,
        scanner: scanner.context("cannot emulate the scanner")?,
        id_reader: id_reader.context("cannot emulate the ID reader")?,
        document_tray: arguments.sheets.map(DocumentTray::new),
        faults,
        display: Mutex::new(XDisplay::open(&arguments.display)?),
        platform: arguments.platform.trim_end_matches('/').to_owned(),
        frames: FrameSource::start(XDisplay::open(&arguments.display)?),
        rig: arguments.control.map(RigClient::new),
        presented: Mutex::default(),
        pages: AtomicUsize::new(0),
    };
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    tracing::info!(address = %listener.local_addr()?, "bench page is served");
    let stop = async {
        // If no handler can be installed, the default action of the signal ends the process.
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
