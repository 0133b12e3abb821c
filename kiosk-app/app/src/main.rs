//! The `kiosk` program: one kiosk with its threads, its device processes and its screen.
//!
//! | thread | does |
//! |---|---|
//! | main | draws the screen, takes touches |
//! | engine | runs the [`engine`]: kiosk, log, uplink; writes the log |
//! | net | requests to the platform |
//! | cache | what can be made again but not at once: the fold of the log, the services |
//! | keepers | one per device: start its process, listen to it, start it again |
//!
//! Only this program knows all of drivers, session, platform and screen; it translates between them and
//! decides nothing. Configuration is paths, not modes: there is no test mode.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::panic)
)]

mod cache;
mod clock;
mod config;
mod devices;
mod drive;
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
use engine::{Fittings, LogSettings};
use journal::RealDisk;
use session::Event;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::cache::{Cache, Kept};
use crate::config::Config;
use crate::devices::Devices;
use crate::drive::Hands;
use crate::inbox::Inbox;
use crate::message::Message;
use crate::net::{ERRANDS_MAX, Net, Platform};

/// Touches that may wait for the engine: more than a person makes while it thinks.
const TOUCHES_MAX: usize = 8;

/// A self-service kiosk of the city.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The site file.
    #[arg(long)]
    site: PathBuf,
    /// Where the kiosk keeps its log and its cache.
    #[arg(long)]
    state: PathBuf,
    /// Where the keys lie: `device.key`, `wrap.key`, `tls.key`, `tls.pem`, `city-ca.pem`.
    #[arg(long)]
    keys: PathBuf,
    /// The device program; by default `kiosk-device` beside this one.
    #[arg(long)]
    device_program: Option<PathBuf>,
    /// A window of this size, WIDTHxHEIGHT, instead of the whole screen.
    #[arg(long, value_parser = size)]
    size: Option<(u32, u32)>,
    /// Checks the configuration and ends.
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
    privacy::forbid_dumps().context("the kernel does not let core files be forbidden")?;
    privacy::end_on_panic();
    let (config, credentials) = Config::read(&arguments.site, &arguments.keys)?;
    let site = &config.site;
    let platform = Platform::new(
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
            .context("the program does not know its place")?
            .with_file_name("kiosk-device"),
    };
    tracing::info!(device = %site.device, profile = ?site.profile, "the kiosk starts");
    let (cache, kept) = Cache::start(arguments.state.join("cache"), config.wrap_key.clone())
        .context("the cache's thread cannot be started")?;
    let inbox = Inbox::new();
    let (touches, closed) = (inbox.port(TOUCHES_MAX), inbox.port(1));
    let window = screen::Screen::new(arguments.size)?;
    window.on_touch(move |on, intent| {
        // A touch for which there is no room was made on a view that is about to change.
        let _ = touches.offer(Event::Touch { on, intent }.into());
    });
    let hands = Hands {
        net: Net::start(platform, inbox.port(ERRANDS_MAX), inbox.port(1))
            .context("the net thread cannot be started")?,
        devices: Devices::start(&site.devices, &program, &inbox).context("the devices cannot be started")?,
        cache,
        screen: window.handle(),
        heartbeat: inbox.port(1),
        inbox,
    };
    let log = arguments.state.join("log");
    let engine = thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || drive::run(fittings(config, log, kept), hands))?;
    window.run()?;
    // Mostly the engine closed the window; if something else did, the engine ends with it.
    let _ = closed.offer(Message::Stop);
    engine.join().map_err(|_| anyhow::anyhow!("the engine has panicked"))
}

/// Waits for the cache, a little.
fn fittings(config: Config, log: PathBuf, kept: Kept) -> Fittings<RealDisk> {
    let setup = Arc::new(config.setup());
    Fittings {
        log: LogSettings {
            disk: Box::new(move || RealDisk::open(&log)),
            wrap: config.wrap_key,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            configuration: config.digest,
            high_water: u64::from(config.site.log.high_water_mib) * 1024 * 1024,
        },
        setup,
        device_key: config.device_key,
        catalogue_key: config.site.platform.catalogue_key,
        remembered: kept.wait(),
    }
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides =
        text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides.ok_or_else(|| "a size is WIDTHxHEIGHT in pixels, for example 1080x1920".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_two_numbers() {
        assert_eq!(size("1080x1920"), Ok((1080, 1920)));
        for bad in ["", "1080", "x", "1080x", "1080x1920x3", "-1x5"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_arguments_are_sound() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
