//! `kiosk-acquirer`: the sandbox acquirer as a process.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use sandbox::acquirer::{ChargeLedger, router};
use sandbox::shell;

/// Sandbox acquirer: charges each order once, fences an order on inquiry, injects faults on request.
#[derive(Parser)]
#[command(name = "acquirer", version)]
struct Arguments {
    /// Address and port on which the service listens.
    #[arg(long, default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
    /// The SQLite database file; created if it does not exist.
    #[arg(long)]
    db: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    shell::start_tracing();
    let arguments = Arguments::parse();
    let ledger = ChargeLedger::open(shell::open_private_database(&arguments.db)?)?;
    shell::run(arguments.listen, router(ledger)).await
}
