//! Debian packages, by what needs them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::progress::{Phase, Progress};

/// To build: C libraries and what finds them.
const BUILD: &[&str] = &[
    "clang",
    "libclang-dev",
    "libdrm-dev",
    "libfontconfig-dev",
    "libgbm-dev",
    "libinput-dev",
    "libpcsclite-dev",
    "libseat-dev",
    "libudev-dev",
    "libv4l-dev",
    "libxkbcommon-dev",
    "libxkbcommon-x11-dev",
    "pkg-config",
];

/// To run the demo: the smart card service with its virtual reader, an X display and the libraries that the kiosk loads
/// for it at its start, an IPP printer, fonts, and the accessibility bus by which the screen is read.
const DEMO: &[&str] = &[
    "at-spi2-core",
    "avahi-daemon",
    "cups-ipp-utils",
    "dbus",
    "fonts-noto-cjk",
    "iproute2",
    "libx11-6",
    "libx11-xcb1",
    "libxcursor1",
    "libxi6",
    "libxrandr2",
    "pcscd",
    "poppler-utils",
    "util-linux",
    "vsmartcard-vpcd",
    "xvfb",
];

/// To run the tests: what else they compare with, drive or check.
const TEST: &[&str] =
    &["chromium", "faketime", "git", "opensc", "openssl", "python3-venv", "systemd", "zbar-tools"];

/// Programs that the tests compare with, and the packages that have them. Where a program is there already, from wherever
/// it came, its package is not asked for.
const TEST_PROGRAMS: &[(&str, &str)] = &[("node", "nodejs"), ("npm", "npm"), ("pip3", "python3-pip")];

/// Runs apt-get with its status on standard output, and everything else on standard error. Set inside the shell, because sudo
/// passes on neither variables nor other descriptors. The status has a descriptor of its own: apt closes that one for the
/// packages' scripts, and a script without a standard output fails.
const APT_GET: &str = "export DEBIAN_FRONTEND=noninteractive; exec apt-get -o APT::Status-Fd=3 -o Dpkg::Use-Pty=0 \
                       -o DPkg::Lock::Timeout=300 \"$@\" 3>&1 1>&2";
/// A failure of apt-get shows this many of its last lines.
const ERROR_LINES: usize = 30;

/// What the packages are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Compile all programs, and run the demo.
    Demo,
    /// All of that, and run all tests and scenarios.
    Test,
}

/// Installs what is missing. Quiet when nothing is.
pub(crate) fn install(purpose: Purpose, progress: &Progress) -> Result<()> {
    let missing = missing(purpose);
    if missing.is_empty() {
        return Ok(());
    }
    let words = format!("installing {} Debian packages: {}", missing.len(), missing.join(" "));
    progress.begin(Phase::Install, "%", &words);
    apt(&["update", "-qq"], progress)?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(&arguments, progress)?;
    progress.finish(&missing.join(" "));
    Ok(())
}

fn missing(purpose: Purpose) -> Vec<&'static str> {
    let mut packages = [BUILD, DEMO].concat();
    if purpose == Purpose::Test {
        packages.extend(TEST);
    }
    packages.retain(|package| !is_installed(package));
    if purpose == Purpose::Test {
        packages.extend(
            TEST_PROGRAMS.iter().filter(|(program, _)| !is_program(program)).map(|(_, package)| *package),
        );
    }
    packages
}

fn is_installed(package: &str) -> bool {
    let query = Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]).output();
    query.is_ok_and(|output| output.stdout == b"installed")
}

fn is_program(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|at| at.join(name).is_file()))
}

fn apt(arguments: &[&str], progress: &Progress) -> Result<()> {
    let mut command = if is_root()? {
        Command::new("sh")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("sh");
        sudo
    };
    let mut child = command
        .args(["-c", APT_GET, "apt-get"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context(
            "packages are missing and apt-get cannot be started: this needs Debian, as root or with sudo",
        )?;
    let (output, mut errors) = (child.stdout.take(), child.stderr.take());
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(errors) = &mut errors {
            errors.read_to_end(&mut text).ok();
        }
        text
    });
    for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
        if let Some((percent, what)) = status(&line.context("cannot read what apt-get prints")?) {
            progress.advance(percent, 100, &what);
        }
    }
    if child.wait().context("cannot wait for apt-get")?.success() {
        return Ok(());
    }
    let errors = errors.join().unwrap_or_default();
    let errors = String::from_utf8_lossy(&errors);
    let lines: Vec<&str> = errors.lines().collect();
    let last = lines.get(lines.len().saturating_sub(ERROR_LINES)..).unwrap_or_default();
    bail!("apt-get {} failed:\n{}", arguments.join(" "), last.join("\n"))
}

/// A line of `APT::Status-Fd`: `dlstatus:number:percent:text` while packages are fetched, `pmstatus:package:percent:text` while
/// they are installed (apt's README.progress-reporting). Fetching counts as the first half.
fn status(line: &str) -> Option<(u32, String)> {
    let mut parts = line.splitn(4, ':');
    let offset = match parts.next()? {
        "dlstatus" => 0,
        "pmstatus" => 50,
        _ => return None,
    };
    let percent: u32 = parts.nth(1)?.split('.').next()?.parse().ok()?;
    Some((offset + percent.min(100) / 2, parts.next()?.to_owned()))
}

fn is_root() -> Result<bool> {
    // `USER` may be unset in a container; `id` is always there.
    let output = Command::new("id").arg("-u").output().context("cannot start `id`")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_status_fetching_is_the_first_half() {
        let fetched = status("dlstatus:3:40.5000:Retrieving file 3 of 22").unwrap();
        assert_eq!(fetched, (20, "Retrieving file 3 of 22".to_owned()));
        let installed = status("pmstatus:pcscd:45.8333:Unpacking pcscd: amd64").unwrap();
        assert_eq!(installed, (72, "Unpacking pcscd: amd64".to_owned()));
    }

    #[test]
    fn apt_status_of_other_lines_is_none() {
        for line in ["", "Reading package lists...", "dlstatus:3", "pmstatus:a:b:c", "dlstatus:1:"] {
            assert_eq!(status(line), None, "{line}");
        }
    }
}
