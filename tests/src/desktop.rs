//! The desktop of a kiosk: an X server (Xvfb), and a session bus with the accessibility bus.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use contract::ScreenSize;

use crate::process::{ManagedProcess, wait_until};
use crate::rig::START_TIMEOUT;

/// Starts Xvfb and returns its display name, such as `:90`.
pub(crate) fn start_display(
    around: &mut Vec<ManagedProcess>,
    name: &str,
    screen: ScreenSize,
    logs: &Path,
) -> Result<String> {
    let number = (90..200)
        .find(|number| !Path::new(&format!("/tmp/.X{number}-lock")).exists())
        .context("no free display number")?;
    let mut xvfb = Command::new("Xvfb");
    let size = format!("{}x{}x24", screen.width, screen.height);
    xvfb.arg(format!(":{number}")).args(["-screen", "0", &size, "-nolisten", "tcp", "-noreset"]);
    around.push(ManagedProcess::start(&format!("{name}-xvfb"), xvfb, logs)?);
    let socket = format!("/tmp/.X11-unix/X{number}");
    wait_until("the X server", START_TIMEOUT, || Ok(Path::new(&socket).exists().then_some(())))?;
    Ok(format!(":{number}"))
}

/// Starts a separate session bus and its accessibility bus; returns the address of the session bus.
pub(crate) fn start_session_bus(
    around: &mut Vec<ManagedProcess>,
    name: &str,
    runtime: &Path,
    display: &str,
    logs: &Path,
) -> Result<String> {
    let address = format!("unix:path={}", runtime.join("bus").display());
    let mut bus = Command::new("dbus-daemon");
    bus.args(["--session", "--nofork", "--nopidfile"]).arg(format!("--address={address}"));
    bus.env("XDG_RUNTIME_DIR", runtime);
    around.push(ManagedProcess::start(&format!("{name}-bus"), bus, logs)?);
    wait_until("the session bus", START_TIMEOUT, || Ok(runtime.join("bus").exists().then_some(())))?;
    let mut launcher = Command::new("/usr/libexec/at-spi-bus-launcher");
    launcher.arg("--launch-immediately").env("DBUS_SESSION_BUS_ADDRESS", &address);
    launcher.env("XDG_RUNTIME_DIR", runtime).env("DISPLAY", display).env("GSETTINGS_BACKEND", "memory");
    around.push(ManagedProcess::start(&format!("{name}-a11y"), launcher, logs)?);
    Ok(address)
}
