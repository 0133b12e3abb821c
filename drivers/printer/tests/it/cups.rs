//! Runs CUPS' own virtual printer (`ippeveprinter`) in private namespaces that end with the test.

use std::process::Command;
use std::time::{Duration, Instant};

use emulator::document_printer::EmulatedDocumentPrinter;
use tempfile::TempDir;

/// Environment variable that is set for the process inside the namespaces.
const INSIDE: &str = "KIOSK_TEST_INSIDE";
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the test with this path (`module::name`) inside private namespaces: the test program starts itself again
/// there, and the second process calls this function again and runs `body`.
pub(crate) fn run_in_namespaces(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        set_up_namespaces();
        return body();
    }
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    let program = std::env::current_exe().unwrap();
    let output =
        unshare.arg(program).args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let message = [output.stdout, output.stderr].concat();
    let message = String::from_utf8_lossy(&message);
    assert!(output.status.success() && message.contains("1 passed"), "{message}");
}

fn set_up_namespaces() {
    run("ip", &["link", "set", "lo", "up"]);
    run("mount", &["-t", "tmpfs", "tmpfs", "/run"]);
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Starts the printer with this command for its jobs; returns the printer and its directory.
pub(crate) fn start(command: &str) -> (EmulatedDocumentPrinter, TempDir) {
    let place = tempfile::tempdir().unwrap();
    (EmulatedDocumentPrinter::start(place.path(), command).unwrap(), place)
}

pub(crate) fn wait(what: &str, mut is_ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !is_ready() {
        assert!(Instant::now() < deadline, "{what} did not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
}
