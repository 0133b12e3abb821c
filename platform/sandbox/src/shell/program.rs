//! A sandbox as a process: tracing, listening, the end.

use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Time for running requests to finish after a stop was requested.
const GRACE: Duration = Duration::from_secs(3);

/// Writes the program log to standard error, in colour on a terminal.
pub fn start_tracing() {
    tracing_subscriber::fmt().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).init();
}

/// Serves until SIGTERM or SIGINT; requests that run longer than three seconds after it are dropped.
///
/// # Errors
/// When the address cannot be listened on, or the listener fails.
pub async fn run(address: SocketAddr, router: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "listening");

    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, mut stopped) = watch::channel(());
    let mut stopping = stopped.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        let _ = stop.send(());
    });
    let serving = serve(listener, router, async move {
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

/// Serves until `stop` is ready and the running requests are answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}
