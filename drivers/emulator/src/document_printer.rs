//! Emulated document printer (A4): `ippeveprinter` of CUPS (Debian `cups-ipp-utils`), and the tray of its documents.
//!
//! `ippeveprinter` registers by DNS-SD and needs Avahi, which needs D-Bus. All three are started here. The caller
//! must run in a separate network and mount namespace, where they are not visible to other programs.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const IPP_PORT: u16 = 8631;
/// Time in which each of the three programs must be ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Resolution of pictures of documents, in dots per inch; text of 10 points stays readable.
const RESOLUTION_DPI: &str = "80";

/// Configuration of a system bus that allows everything to all programs of the namespace.
const BUS_CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true"/><allow receive_requested_reply="true"/><allow receive_type="signal"/>
<allow receive_type="method_call"/></policy></busconfig>"#;

/// Print command that prints every job: a shell command that reports on its standard error, as a CUPS filter does.
pub const PRINT_COMMAND: &str = "echo 'ATTR: job-impressions=1 job-impressions-completed=1' >&2; exit 0";
/// Print command of a printer without paper until a file `paper` exists beside the spool directory.
pub const PAPER_OUT_COMMAND: &str = "echo 'STATE: +media-empty' >&2
while ! test -e \"$KIOSK_SPOOL/../paper\"; do sleep 0.1; done
echo 'STATE: -media-empty' >&2
echo 'ATTR: job-impressions=1 job-impressions-completed=1' >&2";

/// The printer and the programs that it needs. They end when this value is dropped.
pub struct EmulatedDocumentPrinter {
    /// The processes, the printer first.
    processes: Vec<Child>,
    directory: PathBuf,
}

impl EmulatedDocumentPrinter {
    /// Starts the printer. `place` is an empty directory for its files, `command` the print command. `/run` must be
    /// private to the caller, and empty.
    ///
    /// # Errors
    /// When one of the programs is missing or does not start.
    pub fn start(place: &Path, command: &str) -> io::Result<Self> {
        let (spool, script, bus) = (place.join("spool"), place.join("print"), place.join("bus.conf"));
        for directory in [&spool, Path::new("/run/dbus"), Path::new("/run/avahi-daemon")] {
            fs::create_dir_all(directory)?;
        }
        fs::write(&bus, BUS_CONFIG)?;
        fs::write(&script, format!("#!/bin/sh\nKIOSK_SPOOL={}\n{command}\n", spool.display()))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let mut printer = Self { processes: Vec::new(), directory: place.to_owned() };
        let config = format!("--config-file={}", bus.display());
        printer.spawn("dbus-daemon", &[&config, "--nofork", "--nopidfile"])?;
        wait_until_ready("D-Bus", || Path::new("/run/dbus/system_bus_socket").exists())?;
        let rootless = ["--no-drop-root", "--no-chroot", "--no-rlimits", "--no-proc-title"];
        printer.spawn("/usr/sbin/avahi-daemon", &rootless)?;
        wait_until_ready("Avahi", || Path::new("/run/avahi-daemon/socket").exists())?;
        let (port, spool, script) =
            (IPP_PORT.to_string(), spool.display().to_string(), script.display().to_string());
        let served = ["-p", &port, "-n", "localhost", "-f", "application/pdf"];
        let kept = ["-k", "-d", &spool, "-c", &script, "a4"];
        printer.spawn("ippeveprinter", &[served.as_slice(), &kept].concat())?;
        wait_until_ready("ippeveprinter", || TcpStream::connect((Ipv4Addr::LOCALHOST, IPP_PORT)).is_ok())?;
        Ok(printer)
    }

    fn spawn(&mut self, program: &str, arguments: &[&str]) -> io::Result<()> {
        let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = File::create(self.directory.join(format!("{name}.log")))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child =
            command.spawn().map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        self.processes.insert(0, child);
        Ok(())
    }

    /// IPP address of the printer.
    #[must_use]
    pub fn address(&self) -> String {
        format!("ipp://localhost:{IPP_PORT}/ipp/print")
    }

    /// The tray with the printed documents.
    #[must_use]
    pub fn tray(&self) -> DocumentTray {
        DocumentTray { spool: self.directory.join("spool") }
    }

    /// Ends the lack of paper of [`PAPER_OUT_COMMAND`].
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn refill_paper(&self) -> io::Result<()> {
        fs::write(self.directory.join("paper"), "")
    }

    /// Kills the printer's process, as a power loss would end it.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop(&mut self) -> io::Result<()> {
        let Some(printer) = self.processes.first_mut() else { return Ok(()) };
        printer.kill()?;
        printer.wait().map(drop)
    }
}

impl Drop for EmulatedDocumentPrinter {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // Errors of a process that has already ended are irrelevant.
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// The spooled job files of a document printer.
#[derive(Clone, Debug)]
pub struct DocumentTray {
    spool: PathBuf,
}

impl DocumentTray {
    /// The tray of the printer with this spool directory.
    #[must_use]
    pub fn new(spool: PathBuf) -> Self {
        Self { spool }
    }

    /// The spool directory.
    #[must_use]
    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// The PDF files of all jobs, oldest first. Other files in the spool directory, such as those of the print
    /// command, are skipped.
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

    /// The jobs that arrived completely (their PDF ends with `%%EOF`), oldest first.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn documents(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut jobs = self.jobs()?;
        jobs.retain(|bytes| bytes.trim_ascii_end().ends_with(b"%%EOF"));
        Ok(jobs)
    }

    /// The text of a document, by Poppler's `pdftotext`.
    ///
    /// # Errors
    /// When Poppler cannot read it.
    pub fn extract_text(sheet: &[u8]) -> io::Result<String> {
        let output = run_poppler(Command::new("pdftotext").args(["-layout", "-", "-"]), sheet)?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// A picture (PNG) of the first page, by Poppler's `pdftoppm`.
    ///
    /// # Errors
    /// When Poppler cannot read it.
    pub fn render_png(sheet: &[u8]) -> io::Result<Vec<u8>> {
        run_poppler(Command::new("pdftoppm").args(["-png", "-singlefile", "-r", RESOLUTION_DPI]), sheet)
    }
}

/// Runs a Poppler command with this document as standard input, and returns its standard output.
fn run_poppler(command: &mut Command, sheet: &[u8]) -> io::Result<Vec<u8>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Poppler reads the whole file before it writes, so that no pipe fills up during this write.
    child.stdin.take().map_or(Ok(()), |mut input| input.write_all(sheet))?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

fn wait_until_ready(what: &str, mut is_there: impl FnMut() -> bool) -> io::Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    while !is_there() {
        if Instant::now() >= deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{what} did not start within {} s", START_TIMEOUT.as_secs()),
            ));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
