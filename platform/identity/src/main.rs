//! `kiosk-identity`: the trusted identity service as a process.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use identity::{Register, shell};
use tokio::signal::unix::{SignalKind, signal};

/// Sandbox trusted identity service: a register of demo residents, any of whom it verifies without a camera.
#[derive(Parser)]
#[command(version)]
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
    tracing_subscriber::fmt().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let text =
        std::fs::read_to_string(&arguments.residents).context("cannot read the file of demo residents")?;
    let register = Register::from_toml(&text)?;
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    shell::serve(listener, register, &arguments.returns_to, stop).await?;
    Ok(())
}
