//! Debian packages that the build, the tests and the demo need.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

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

/// To run the demo and the tests: the real components on the far side of every wire.
const RUN: &[&str] = &[
    "at-spi2-core",
    "avahi-daemon",
    "chromium",
    "cups-ipp-utils",
    "dbus",
    "faketime",
    "fonts-noto-cjk",
    "iproute2",
    "opensc",
    "openssl",
    "pcscd",
    "poppler-utils",
    "python3-venv",
    "systemd",
    "util-linux",
    "vsmartcard-vpcd",
    "xvfb",
    "zbar-tools",
];

/// Programs that test against implementations of other houses, and the packages that have them. Where a program is
/// there already, from wherever it came, its package is not asked for.
const PROGRAMS: &[(&str, &str)] = &[("node", "nodejs"), ("npm", "npm"), ("pip3", "python3-pip")];

/// Installs what is missing. Quiet when nothing is.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&str> = BUILD
        .iter()
        .chain(RUN)
        .copied()
        .filter(|package| !is_installed(package))
        .chain(PROGRAMS.iter().filter(|(program, _)| !is_program(program)).map(|(_, package)| *package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing {} Debian packages: {}", missing.len(), missing.join(" "));
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(missing);
    apt(&arguments)
}

fn is_installed(package: &str) -> bool {
    let query = Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]).output();
    query.is_ok_and(|output| output.stdout == b"installed")
}

fn is_program(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|at| at.join(name).is_file()))
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = if is_root()? {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("apt-get");
        sudo
    };
    let output = command
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context(
            "packages are missing and apt-get cannot be started: this needs Debian, as root or with sudo",
        )?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    bail!("apt-get {} failed:\n{said}", arguments.join(" "))
}

fn is_root() -> Result<bool> {
    // `USER` may be unset in a container; `id` is not.
    let output = Command::new("id").arg("-u").output().context("cannot start `id`")?;
    Ok(output.stdout.trim_ascii() == b"0")
}
