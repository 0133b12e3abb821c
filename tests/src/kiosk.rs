//! One kiosk of a [rig](crate::rig): its program, started and ended like any other's.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use contract::{ScreenSize, Site};

use crate::process::Process;
use crate::station::Station;

/// Of Debian's package `faketime`; the linker knows what `$LIB` is.
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// One kiosk with its screen and its bench.
pub struct Kiosk {
    /// What a person does and sees there.
    pub station: Station,
    /// Its site.
    pub site: Site,
    /// The program; none while it is stopped.
    program: Option<Process>,
    start: KioskStart,
    _around: Vec<Process>,
}

/// Everything needed to start the program again.
pub(crate) struct KioskStart {
    pub(crate) programs: PathBuf,
    pub(crate) display: String,
    pub(crate) session_bus: String,
    pub(crate) runtime: PathBuf,
    pub(crate) site: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) keys: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) screen: ScreenSize,
}

impl Kiosk {
    /// One that is not started yet; `around` are its screen and its bench, which end with it.
    pub(crate) const fn new(station: Station, site: Site, start: KioskStart, around: Vec<Process>) -> Self {
        Self { station, site, program: None, start, _around: around }
    }

    /// Starts the program.
    ///
    /// # Errors
    /// When it ends at once.
    pub fn start(&mut self) -> Result<()> {
        let program = Command::new(self.start.programs.join("kiosk"));
        self.start_by(program)
    }

    /// Starts it on a machine whose clock is off by so many seconds.
    ///
    /// # Errors
    /// As above.
    pub fn start_with_clock_off(&mut self, seconds: i64) -> Result<()> {
        let mut program = Command::new(self.start.programs.join("kiosk"));
        // The library alone: the command of its name stays in between, and who ends that leaves the kiosk running.
        program.env("LD_PRELOAD", FAKETIME).env("FAKETIME", format!("{seconds:+}s"));
        // The clock that never jumps goes on as it is.
        program.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        self.start_by(program)
    }

    fn start_by(&mut self, mut command: Command) -> Result<()> {
        let start = &self.start;
        command.arg("--site").arg(&start.site).arg("--state").arg(&start.state);
        command.arg("--keys").arg(&start.keys);
        command.arg("--size").arg(format!("{}x{}", start.screen.width, start.screen.height));
        command.env("DISPLAY", &start.display).env("DBUS_SESSION_BUS_ADDRESS", &start.session_bus);
        command.env("XDG_RUNTIME_DIR", &start.runtime).env("SLINT_BACKEND", "winit-software");
        self.program = Some(Process::start(self.station.name(), command, &start.logs)?);
        Ok(())
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.program.as_ref().map(Process::id)
    }

    /// The X display that it draws on.
    #[must_use]
    pub fn display(&self) -> &str {
        &self.start.display
    }

    /// Kills the program, as a power cut would.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(program) = self.program.take() {
            program.kill()?;
        }
        Ok(())
    }

    /// Fails when the program is not running.
    ///
    /// # Errors
    /// With the end of its log.
    pub fn check(&mut self) -> Result<()> {
        match &mut self.program {
            Some(program) => program.check(),
            None => bail!("the kiosk is not started"),
        }
    }
}
