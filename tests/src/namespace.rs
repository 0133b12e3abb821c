//! A network and mount namespace for all programs that talk to pcscd.
//!
//! Debian's virtual reader listens on all addresses, and pcscd has one fixed socket path. Inside a namespace neither is
//! visible to other programs, and several rigs can run at a time.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Environment variable that is set inside the namespace.
const INSIDE_VARIABLE: &str = "KIOSK_RIG_INSIDE";

/// Whether this process runs inside the namespace.
#[must_use]
pub fn is_inside() -> bool {
    env::var_os(INSIDE_VARIABLE).is_some()
}

/// A command that runs this program inside a new namespace. The program must call [`prepare`] first.
#[must_use]
pub fn command_inside(program: &Path) -> Command {
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--net", "--mount", "--"]).arg(program).env(INSIDE_VARIABLE, "1");
    unshare
}

/// Prepares a new namespace: brings loopback up and mounts a separate `/run` for the sockets of pcscd and others.
///
/// # Errors
/// When `ip` or `mount` fails.
pub fn prepare() -> Result<()> {
    run("ip", &["link", "set", "lo", "up"])?;
    run("mount", &["-t", "tmpfs", "tmpfs", "/run"])?;
    Ok(fs::create_dir("/run/pcscd")?)
}

/// Runs this program again inside a new namespace with the same arguments; prepares the namespace if already inside.
///
/// # Errors
/// When the namespace cannot be created: this needs root, or unprivileged user namespaces.
pub fn enter() -> Result<()> {
    if is_inside() {
        return prepare();
    }
    // `exec` returns only on failure.
    Err(command_inside(&env::current_exe()?).args(env::args_os().skip(1)).exec())
        .context("cannot create namespaces with `unshare`: this needs root, or unprivileged user namespaces")
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
