//! `kiosk-department`: the water department as a process.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use sandbox::department::{BillLedger, parse_bills, router};
use sandbox::shell;

/// Sandbox water department: owns the bills, books each payment once, injects faults on request.
#[derive(Parser)]
#[command(name = "department", version)]
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
    shell::start_tracing();
    let arguments = Arguments::parse();
    let mut ledger = BillLedger::open(shell::open_private_database(&arguments.db)?)?;
    if let Some(path) = &arguments.residents {
        for (id_number, bill) in parse_bills(&shell::read_residents(path)?)? {
            ledger.issue(&id_number, &bill)?;
        }
    }
    shell::run(arguments.listen, router(ledger)).await
}
