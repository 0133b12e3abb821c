//! `kiosk-department`: the water department as a process.

use std::fs::OpenOptions;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use department::{BillLedger, parse_bills, shell};
use tokio::signal::unix::{SignalKind, signal};

/// Time for running requests to finish after a stop was requested.
const GRACE: Duration = Duration::from_secs(3);

/// Sandbox water department: owns the bills, books each payment once, injects faults on request.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address and port on which the service listens.
    #[arg(long, default_value = "127.0.0.1:8083")]
    listen: SocketAddr,
    /// The SQLite database file; created if it does not exist.
    #[arg(long)]
    db: PathBuf,
    /// File of the demo residents, whose bills are issued if they do not exist yet.
    #[arg(long)]
    residents: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let db = open_private(&arguments.db)
        .with_context(|| format!("cannot open the database {}", arguments.db.display()))?;
    let mut books = BillLedger::open(db)?;
    if let Some(path) = &arguments.residents {
        let text = std::fs::read_to_string(path).context("cannot read the file of demo residents")?;
        for (id_number, bill) in parse_bills(&text)? {
            books.issue(&id_number, &bill)?;
        }
    }
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    tracing::info!(address = %listener.local_addr()?, "listening");

    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, mut stopped) = tokio::sync::watch::channel(());
    let mut stopping = stopped.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        let _ = stop.send(());
    });
    let serving = shell::serve(listener, books, async move {
        let _ = stopping.changed().await;
    });
    let grace_over = async move {
        let _ = stopped.changed().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => served?,
        () = grace_over => {}
    }
    Ok(())
}

/// Opens the database, created with mode 0600; SQLite gives its other files the same mode.
fn open_private(path: &Path) -> anyhow::Result<rusqlite::Connection> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    Ok(rusqlite::Connection::open(path)?)
}
