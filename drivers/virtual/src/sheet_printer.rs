//! An A4 printer: CUPS' own virtual one (`ippeveprinter`, Debian `cups-ipp-utils`), and the tray that its sheets fall
//! into.
//!
//! It registers by DNS-SD and does not run without Avahi, which does not run without D-Bus. All three are started here,
//! by whoever has a network and a mount namespace of their own, where nobody else sees them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PORT: u16 = 8631;
/// Each of the three programs gets this long.
const READY: Duration = Duration::from_secs(30);
/// Dots per inch of a picture of a sheet: a text of 10 points is still read.
const RESOLUTION: &str = "80";

/// A system bus that everybody inside may use.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true"/><allow receive_requested_reply="true"/><allow receive_type="signal"/>
<allow receive_type="method_call"/></policy></busconfig>"#;

/// What the printer does with a job: a shell command that says on its standard error what happens, as a filter does.
pub const PRINTS: &str = "echo 'ATTR: job-impressions=1 job-impressions-completed=1' >&2; exit 0";
/// The tray is empty until there is a file `paper` beside the spool.
pub const PAPER_OUT: &str = "echo 'STATE: +media-empty' >&2
while ! test -e \"$KIOSK_SPOOL/../paper\"; do sleep 0.1; done
echo 'STATE: -media-empty' >&2
echo 'ATTR: job-impressions=1 job-impressions-completed=1' >&2";

/// The printer and what it needs. They end when it is dropped.
pub struct CupsPrinter {
    /// The printer first.
    processes: Vec<Child>,
    place: PathBuf,
}

impl CupsPrinter {
    /// Starts it. `place`: an empty directory for it; `command`: what it does with a job. `/run` must be the caller's
    /// own, and empty.
    ///
    /// # Errors
    /// When one of the programs is missing or does not come up.
    pub fn start(place: &Path, command: &str) -> io::Result<Self> {
        let (spool, script, bus) = (place.join("spool"), place.join("print"), place.join("bus.conf"));
        for directory in [&spool, Path::new("/run/dbus"), Path::new("/run/avahi-daemon")] {
            fs::create_dir_all(directory)?;
        }
        fs::write(&bus, BUS)?;
        fs::write(&script, format!("#!/bin/sh\nKIOSK_SPOOL={}\n{command}\n", spool.display()))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let mut printer = Self { processes: Vec::new(), place: place.to_owned() };
        let config = format!("--config-file={}", bus.display());
        printer.run("dbus-daemon", &[&config, "--nofork", "--nopidfile"])?;
        wait("D-Bus", || Path::new("/run/dbus/system_bus_socket").exists())?;
        let rootless = ["--no-drop-root", "--no-chroot", "--no-rlimits", "--no-proc-title"];
        printer.run("/usr/sbin/avahi-daemon", &rootless)?;
        wait("Avahi", || Path::new("/run/avahi-daemon/socket").exists())?;
        let (port, spool, script) =
            (PORT.to_string(), spool.display().to_string(), script.display().to_string());
        let served = ["-p", &port, "-n", "localhost", "-f", "application/pdf"];
        let kept = ["-k", "-d", &spool, "-c", &script, "a4"];
        printer.run("ippeveprinter", &[served.as_slice(), &kept].concat())?;
        wait("the printer of CUPS", || TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).is_ok())?;
        Ok(printer)
    }

    fn run(&mut self, program: &str, arguments: &[&str]) -> io::Result<()> {
        let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = File::create(self.place.join(format!("{name}.log")))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child =
            command.spawn().map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        self.processes.insert(0, child);
        Ok(())
    }

    /// Its IPP address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("ipp://localhost:{PORT}/ipp/print")
    }

    /// Where its sheets come out.
    #[must_use]
    pub fn tray(&self) -> Tray {
        Tray { spool: self.place.join("spool") }
    }

    /// Ends [`PAPER_OUT`].
    ///
    /// # Errors
    /// When its directory is gone.
    pub fn put_paper_in(&self) -> io::Result<()> {
        fs::write(self.place.join("paper"), "")
    }

    /// Pulls the plug.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop(&mut self) -> io::Result<()> {
        let Some(printer) = self.processes.first_mut() else { return Ok(()) };
        printer.kill()?;
        printer.wait().map(drop)
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

/// The files that a printer took, as the sheets that they are.
#[derive(Clone, Debug)]
pub struct Tray {
    spool: PathBuf,
}

impl Tray {
    /// The tray of the printer that keeps its files there.
    #[must_use]
    pub fn of(spool: PathBuf) -> Self {
        Self { spool }
    }

    /// The directory of [`Tray::of`].
    #[must_use]
    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// The files of all jobs, oldest first. What the printer's command writes is kept beside them and is none.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn jobs(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut jobs = Vec::new();
        for entry in fs::read_dir(&self.spool)? {
            let path = entry?.path();
            let bytes = if path.is_file() { fs::read(&path)? } else { Vec::new() };
            if bytes.starts_with(b"%PDF") {
                jobs.push((fs::metadata(&path)?.modified()?, path, bytes));
            }
        }
        jobs.sort();
        Ok(jobs.into_iter().map(|(.., bytes)| bytes).collect())
    }

    /// Those that arrived whole.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn sheets(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut jobs = self.jobs()?;
        jobs.retain(|bytes| bytes.trim_ascii_end().ends_with(b"%%EOF"));
        Ok(jobs)
    }

    /// The text of a sheet, by Poppler.
    ///
    /// # Errors
    /// When Poppler does not understand it.
    pub fn text(sheet: &[u8]) -> io::Result<String> {
        let output = poppler(Command::new("pdftotext").args(["-layout", "-", "-"]), sheet)?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// A picture (PNG) of its first page, by Poppler.
    ///
    /// # Errors
    /// When Poppler does not understand it.
    pub fn png(sheet: &[u8]) -> io::Result<Vec<u8>> {
        poppler(Command::new("pdftoppm").args(["-png", "-singlefile", "-r", RESOLUTION]), sheet)
    }
}

/// Gives it a sheet and takes what it makes of it.
fn poppler(command: &mut Command, sheet: &[u8]) -> io::Result<Vec<u8>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // It reads all of a file before it writes: no pipe fills up while this one waits.
    child.stdin.take().map_or(Ok(()), |mut input| input.write_all(sheet))?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

fn wait(what: &str, mut is_there: impl FnMut() -> bool) -> io::Result<()> {
    let deadline = Instant::now() + READY;
    while !is_there() {
        if Instant::now() >= deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what} did not come up")));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
