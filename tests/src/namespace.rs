//! A network and mount namespace for everything that talks to pcscd.
//!
//! Debian's virtual reader listens on every address, and pcscd knows one path for its socket: inside, neither
//! is seen by anybody else, and two rigs do not meet.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Set inside.
const INSIDE: &str = "KIOSK_RIG_INSIDE";

/// Whether this process runs inside.
#[must_use]
pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// A command that runs this program inside. What is started there begins with [`furnish`].
#[must_use]
pub fn command(program: &Path) -> Command {
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--net", "--mount", "--"]).arg(program).env(INSIDE, "1");
    unshare
}

/// Makes a new namespace fit to work in: loopback, and a `/run` of its own for the sockets of pcscd and others.
///
/// # Errors
/// When the namespace does not allow it.
pub fn furnish() -> Result<()> {
    run("ip", &["link", "set", "lo", "up"])?;
    run("mount", &["-t", "tmpfs", "tmpfs", "/run"])?;
    Ok(fs::create_dir("/run/pcscd")?)
}

/// Runs this program again inside, with the same arguments, unless it is there already.
///
/// # Errors
/// When namespaces cannot be made: this needs root, or a kernel that gives them to users.
pub fn enter() -> Result<()> {
    if is_inside() {
        return furnish();
    }
    // Only comes back when it fails.
    Err(command(&env::current_exe()?).args(env::args_os().skip(1)).exec())
        .context("cannot make namespaces with `unshare`: this needs root, or user namespaces")
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
