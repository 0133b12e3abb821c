//! CUPS' own virtual printer, in namespaces that nobody else sees and that end with the test.

use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use virtual_hardware::sheet_printer::CupsPrinter;

/// Set inside.
const INSIDE: &str = "KIOSK_TEST_INSIDE";
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the test of that path (`module::name`) inside namespaces of its own: this program is started again there, and
/// comes by here a second time.
pub(crate) fn inside(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        furnish();
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
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn furnish() {
    run("ip", &["link", "set", "lo", "up"]);
    run("mount", &["-t", "tmpfs", "tmpfs", "/run"]);
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The printer and its directory.
pub(crate) fn start(command: &str) -> (CupsPrinter, TempDir) {
    let place = tempfile::tempdir().unwrap();
    (CupsPrinter::start(place.path(), command).unwrap(), place)
}

pub(crate) fn wait(what: &str, mut is_there: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < deadline, "{what} did not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
}
