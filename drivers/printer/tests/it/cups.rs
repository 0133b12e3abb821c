//! CUPS' own virtual printer (`ippeveprinter`, Debian `cups-ipp-utils`), in a network that nobody else sees.
//!
//! It registers by DNS-SD and does not run without Avahi, which does not run without D-Bus: all of them, and the test
//! itself, run in namespaces of their own, which end with the test.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Set inside.
const INSIDE: &str = "KIOSK_TEST_INSIDE";
const PORT: u16 = 8631;
const PATIENCE: Duration = Duration::from_secs(30);

/// A system bus that everybody inside may use.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true"/><allow receive_requested_reply="true"/><allow receive_type="signal"/>
<allow receive_type="method_call"/></policy></busconfig>"#;

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
    fs::create_dir_all("/run/dbus").unwrap();
    fs::create_dir_all("/run/avahi-daemon").unwrap();
    fs::write("/run/bus.conf", BUS).unwrap();
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What the printer does with a job: a shell command that says on its standard error what happens, as a filter does.
pub(crate) const PRINTS: &str = "echo 'ATTR: job-impressions=1 job-impressions-completed=1' >&2; exit 0";
/// The tray is empty until there is a file `paper` beside the spool.
pub(crate) const PAPER_OUT: &str = "echo 'STATE: +media-empty' >&2
while ! test -e \"$KIOSK_SPOOL/../paper\"; do sleep 0.1; done
echo 'STATE: -media-empty' >&2
echo 'ATTR: job-impressions=1 job-impressions-completed=1' >&2";

/// The printer and what it needs.
pub(crate) struct CupsPrinter {
    processes: Vec<Child>,
    place: TempDir,
}

impl CupsPrinter {
    pub(crate) fn start(command: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let (spool, script) = (place.path().join("spool"), place.path().join("print"));
        fs::create_dir(&spool).unwrap();
        let text = format!("#!/bin/sh\nKIOSK_SPOOL={}\n{command}\n", spool.display());
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let log = |name: &str| fs::File::create(place.path().join(name)).unwrap();
        let start = |program: &str, arguments: &[&str]| {
            let name = Path::new(program).file_name().unwrap().to_str().unwrap().to_owned();
            let (out, err) = (log(&format!("{name}.out")), log(&format!("{name}.err")));
            Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(out)
                .stderr(err)
                .spawn()
                .unwrap()
        };
        let bus = start("dbus-daemon", &["--config-file=/run/bus.conf", "--nofork", "--nopidfile"]);
        wait("D-Bus", || Path::new("/run/dbus/system_bus_socket").exists());
        let avahi = start(
            "/usr/sbin/avahi-daemon",
            &["--no-drop-root", "--no-chroot", "--no-rlimits", "--no-proc-title"],
        );
        wait("Avahi", || Path::new("/run/avahi-daemon/socket").exists());
        let (port, spool, script) =
            (PORT.to_string(), spool.display().to_string(), script.display().to_string());
        let arguments = [
            "-p",
            &port,
            "-n",
            "localhost",
            "-f",
            "application/pdf",
            "-k",
            "-d",
            &spool,
            "-c",
            &script,
            "a4",
        ];
        let printer = start("ippeveprinter", &arguments);
        let this = Self { processes: vec![printer, avahi, bus], place };
        wait("the printer of CUPS", || TcpStream::connect(("127.0.0.1", PORT)).is_ok());
        this
    }

    pub(crate) fn address(&self) -> String {
        format!("ipp://localhost:{PORT}/ipp/print")
    }

    /// Files that it took, oldest first.
    pub(crate) fn spooled(&self) -> Vec<Vec<u8>> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.place.path().join("spool"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        // What its command writes is a file too; ours writes nothing.
        let files = files.iter().filter(|path| path.is_file()).map(|path| fs::read(path).unwrap());
        files.filter(|bytes| !bytes.is_empty()).collect()
    }

    pub(crate) fn put_paper_in(&self) {
        fs::write(self.place.path().join("paper"), "").unwrap();
    }

    /// Pulls the plug.
    pub(crate) fn stop(&mut self) {
        let mut printer = self.processes.remove(0);
        printer.kill().unwrap();
        printer.wait().unwrap();
    }
}

impl Drop for CupsPrinter {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // Those that have ended already need nothing.
            process.kill().ok();
            process.wait().ok();
        }
    }
}

pub(crate) fn wait(what: &str, mut is_there: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < deadline, "{what} did not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
}
