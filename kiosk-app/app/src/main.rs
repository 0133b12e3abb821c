//! The `kiosk` program: one kiosk with its threads, its device processes and its screen.
//!
//! | thread | does |
//! |---|---|
//! | main | draws the screen, receives touches |
//! | engine | runs the [`engine`]: kiosk, journal, uplink; writes the journal |
//! | net | sends requests to the platform |
//! | cache | stores values that can be rebuilt: the feed state |
//! | supervisors | one per device: starts the device process, reads its frames, restarts it |
//!
//! Only this program knows all of drivers, session, platform and screen. It converts between them and takes no
//! decisions. Configuration is paths, not modes: there is no test mode.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::panic)
)]

mod cache_thread;
mod clock;
mod config;
mod devices;
mod engine_thread;
mod inbox;
mod message;
mod net;
mod privacy;
mod watchdog;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result};
use clap::Parser;
use engine::{EngineConfig, JournalOpener};
use journal::{JournalLimits, RealDisk};
use session::Event;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::cache_thread::{CacheThread, PendingSnapshot};
use crate::config::KioskConfig;
use crate::devices::Devices;
use crate::engine_thread::Executor;
use crate::inbox::Inbox;
use crate::message::EngineMessage;
use crate::net::{Net, PlatformClient, REQUESTS_MAX};

/// Touches that may wait for the engine: more than a person makes during one turn of it.
const TOUCHES_MAX: usize = 8;

/// A self-service kiosk of the city.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Path of the site file (TOML): the configuration of this kiosk.
    #[arg(long)]
    site: PathBuf,
    /// Directory for the kiosk's journal and cache; it must survive a reboot.
    #[arg(long)]
    state: PathBuf,
    /// Directory of the keys: `device.key`, `wrap.key`, `tls.key`, `tls.pem`, `city-ca.pem`.
    #[arg(long)]
    keys: PathBuf,
    /// Path of the device program; the default is `kiosk-device` in the directory of this program.
    #[arg(long)]
    device_program: Option<PathBuf>,
    /// Opens a window of this size in pixels, WIDTHxHEIGHT, instead of using the full screen.
    #[arg(long, value_parser = size)]
    size: Option<(u32, u32)>,
    /// Checks the site file and the keys, then exits.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_env_filter(filter).init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = Arguments::parse();
    privacy::forbid_dumps().context("cannot disable core files")?;
    privacy::end_on_panic();
    let (config, credentials) = KioskConfig::read(&arguments.site, &arguments.keys)?;
    let site = &config.site;
    let platform = PlatformClient::new(
        &site.platform.url,
        site.device,
        Arc::clone(&config.device_key),
        site.platform.envelope.clone(),
        credentials,
    )?;
    if arguments.check {
        return Ok(());
    }
    let program = match arguments.device_program {
        Some(path) => path,
        None => std::env::current_exe()
            .context("cannot find the path of this program: pass --device-program")?
            .with_file_name("kiosk-device"),
    };
    tracing::info!(device = %site.device, profile = ?site.profile, "kiosk starting");
    let (cache, snapshot) = CacheThread::start(arguments.state.join("cache"), config.wrap_key.clone())
        .context("cannot start the cache thread")?;
    let inbox = Inbox::new();
    let (touches, closed) = (inbox.sender(TOUCHES_MAX), inbox.sender(1));
    let window = screen::Screen::new(arguments.size)?;
    window.set_touch_handler(move |on, intent| {
        // A touch over the quota was made on a view that is about to change, and is dropped.
        let _ = touches.try_send(Event::Touch { view: on, intent }.into());
    });
    let executor = Executor {
        net: Net::start(platform, inbox.sender(REQUESTS_MAX), inbox.sender(1))
            .context("cannot start the net thread")?,
        devices: Devices::start(&site.devices, &program, &inbox)
            .context("cannot start the device supervisors")?,
        cache,
        screen: window.handle(),
        screen_heartbeat: inbox.sender(1),
        inbox,
    };
    let log = arguments.state.join("log");
    let engine = thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || engine_thread::run(engine_config(config, log, snapshot), executor))?;
    window.run()?;
    // Usually the engine closed the window; otherwise this message ends the engine.
    let _ = closed.try_send(EngineMessage::Stop);
    engine.join().map_err(|_| anyhow::anyhow!("engine thread panicked"))
}

/// Configuration of the engine. Waits a bounded time for the cached values.
fn engine_config(config: KioskConfig, log: PathBuf, snapshot: PendingSnapshot) -> EngineConfig<RealDisk> {
    let setup = Arc::new(config.setup());
    EngineConfig {
        journal: JournalOpener {
            disk: Box::new(move || RealDisk::open(&log)),
            wrap_key: config.wrap_key,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            configuration: config.digest,
            limits: JournalLimits::new(u64::from(config.site.log.high_water_mib) * 1024 * 1024),
        },
        setup,
        device_key: config.device_key,
        catalogue_key: config.site.platform.catalogue_key,
        cached: snapshot.wait(),
    }
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let dimensions =
        text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    dimensions.ok_or_else(|| "expected WIDTHxHEIGHT in pixels, for example 1080x1920".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_width_x_height() {
        assert_eq!(size("1080x1920"), Ok((1080, 1920)));
        for bad in ["", "1080", "x", "1080x", "1080x1920x3", "-1x5"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn arguments_definition_is_valid() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
