//! `kiosk-department`: the water department as a process.

use std::fs::OpenOptions;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use department::{Books, bills_of, shell};
use tokio::signal::unix::{SignalKind, signal};

/// Requests in hand get this long to finish after a stop was asked for.
const GRACE: Duration = Duration::from_secs(3);

/// Sandbox water department: owns the bills, books each payment once, fails on request.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8083")]
    listen: SocketAddr,
    /// The database; made when it is not there.
    #[arg(long)]
    db: PathBuf,
    /// The demo residents, whose bills are written when they are not there yet.
    #[arg(long)]
    residents: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let db = open_private(&arguments.db).context("the database cannot be opened")?;
    let mut books = Books::open(db)?;
    if let Some(path) = &arguments.residents {
        let text = std::fs::read_to_string(path).context("the file of demo residents cannot be read")?;
        for (id_number, bill) in bills_of(&text)? {
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
    let out_of_patience = async move {
        let _ = stopped.changed().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => served?,
        () = out_of_patience => {}
    }
    Ok(())
}

/// Opens the database, made so that only its owner reads it; SQLite gives its other files the same mode.
fn open_private(path: &Path) -> anyhow::Result<rusqlite::Connection> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    Ok(rusqlite::Connection::open(path)?)
}
