//! `kiosk-identity`: the trusted identity service as a process.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use sandbox::identity::{Register, router};
use sandbox::shell;

/// Sandbox trusted identity service: a register of demo residents, any of whom it verifies without a camera.
#[derive(Parser)]
#[command(name = "identity", version)]
struct Arguments {
    /// Address and port on which the service listens.
    #[arg(long, default_value = "127.0.0.1:8084")]
    listen: SocketAddr,
    /// File of the demo residents, who form the register.
    #[arg(long)]
    residents: PathBuf,
    /// URL prefix to which a verified person may be redirected.
    #[arg(long, default_value = "http://127.0.0.1:8081/")]
    returns_to: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    shell::start_tracing();
    let arguments = Arguments::parse();
    let register = Register::from_toml(&shell::read_residents(&arguments.residents)?)?;
    shell::run(arguments.listen, router(register, &arguments.returns_to)).await
}
