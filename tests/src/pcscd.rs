//! pcscd with Debian's virtual reader (vpcd). Runs only inside a [`namespace`].

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::namespace;
use crate::process::{ManagedProcess, wait_until};

/// TCP port of vpcd's first slot; the second slot has the next port.
pub const VPCD_PORT: u16 = 35963;

const START_TIMEOUT: Duration = Duration::from_secs(30);
/// `TCP_LISTEN` in `/proc/net/tcp`.
const TCP_LISTEN: &str = "0A";

/// Starts pcscd; it sees only the virtual reader.
///
/// # Errors
/// When this process is outside a namespace, or pcscd does not start.
pub fn start(logs: &Path) -> Result<ManagedProcess> {
    ensure!(namespace::is_inside(), "pcscd would be visible to the whole machine: enter a namespace first");
    let mut pcscd = Command::new("/usr/sbin/pcscd");
    pcscd.arg("--foreground");
    // Newer versions of pcscd ask polkit, which does not run inside the namespace.
    let help = Command::new("/usr/sbin/pcscd").arg("--help").output()?;
    if String::from_utf8_lossy(&help.stdout).contains("--disable-polkit") {
        pcscd.arg("--disable-polkit");
    }
    let mut process = ManagedProcess::start("pcscd", pcscd, logs)?;
    wait_until("pcscd and its virtual reader", START_TIMEOUT, || {
        process.check_running()?;
        let up = Path::new("/run/pcscd/pcscd.comm").exists() && is_listening(VPCD_PORT);
        Ok(up.then_some(()))
    })?;
    Ok(process)
}

/// Reads `/proc/net/tcp`, since vpcd would take a test connection for a card, and a test listener would occupy the
/// port.
fn is_listening(port: u16) -> bool {
    let port = format!(":{port:04X}");
    let sockets =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    sockets.iter().flat_map(|table| table.lines()).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _, state) = (fields.next(), fields.next(), fields.next());
        local.is_some_and(|local| local.ends_with(&port)) && state == Some(TCP_LISTEN)
    })
}
