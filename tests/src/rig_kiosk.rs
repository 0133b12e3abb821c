//! One kiosk of a [rig](crate::rig): starts and ends its program.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use contract::{ScreenSize, Site};
use view::TextId;

use crate::bench_client::BenchClient;
use crate::process::{ManagedProcess, wait_until};

/// Library of Debian's package `faketime`; the dynamic linker expands `$LIB`.
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// One kiosk of the rig with its program, X server and bench.
pub struct RigKiosk {
    /// Client of the kiosk's bench and screen.
    pub bench: BenchClient,
    /// The kiosk's site file.
    pub site: Site,
    program: Arc<KioskProgram>,
    _companions: Vec<ManagedProcess>,
}

/// The program of a kiosk. The rig's owner and the rig's control socket both start and kill it.
pub(crate) struct KioskProgram {
    name: String,
    launch: KioskLaunch,
    /// `None` while it is stopped.
    process: Mutex<Option<ManagedProcess>>,
}

/// Arguments and environment of the program.
pub(crate) struct KioskLaunch {
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

impl KioskProgram {
    /// The program of a kiosk, not started yet.
    pub(crate) fn new(name: &str, launch: KioskLaunch) -> Self {
        Self { name: name.to_owned(), launch, process: Mutex::new(None) }
    }

    fn locked(&self) -> MutexGuard<'_, Option<ManagedProcess>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the program.
    pub(crate) fn start(&self) -> Result<()> {
        self.launch(Command::new(self.launch.programs.join("kiosk")))
    }

    fn launch(&self, mut command: Command) -> Result<()> {
        let start = &self.launch;
        command.arg("--site").arg(&start.site).arg("--state").arg(&start.state);
        command.arg("--keys").arg(&start.keys);
        command.arg("--size").arg(format!("{}x{}", start.screen.width, start.screen.height));
        command.env("DISPLAY", &start.display).env("DBUS_SESSION_BUS_ADDRESS", &start.session_bus);
        command.env("XDG_RUNTIME_DIR", &start.runtime).env("SLINT_BACKEND", "winit-software");
        *self.locked() = Some(ManagedProcess::start(&self.name, command, &start.logs)?);
        Ok(())
    }

    /// Kills the program with SIGKILL, as a power loss would end it.
    pub(crate) fn kill(&self) -> Result<()> {
        if let Some(program) = self.locked().take() {
            program.kill()?;
        }
        Ok(())
    }

    /// Checks that the program runs; the error holds the end of its log.
    pub(crate) fn check_running(&self) -> Result<()> {
        match self.locked().as_mut() {
            Some(program) => program.check_running(),
            None => bail!("the kiosk is not started"),
        }
    }
}

impl RigKiosk {
    /// A kiosk; `around` are its X server, buses and bench, which end with it.
    pub(crate) const fn new(
        bench: BenchClient,
        site: Site,
        program: Arc<KioskProgram>,
        around: Vec<ManagedProcess>,
    ) -> Self {
        Self { bench, site, program, _companions: around }
    }

    /// Starts the program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self) -> Result<()> {
        self.program.start()
    }

    /// Starts the program with a wall clock that is off by `seconds`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with_clock_offset(&mut self, seconds: i64) -> Result<()> {
        let mut program = Command::new(self.program.launch.programs.join("kiosk"));
        // The library only: with the command `faketime` in between, killing that command would leave the kiosk running.
        program.env("LD_PRELOAD", FAKETIME).env("FAKETIME", format!("{seconds:+}s"));
        // The monotonic clock stays real.
        program.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        self.program.launch(program)
    }

    /// Process id of the program while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.program.locked().as_ref().map(ManagedProcess::id)
    }

    /// The kiosk's X display, such as `:90`.
    #[must_use]
    pub fn display(&self) -> &str {
        &self.program.launch.display
    }

    /// Kills the program with SIGKILL, as a power loss would end it.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.program.kill()
    }

    /// Waits up to `timeout` until the program shows its first view.
    ///
    /// # Errors
    /// When it ends or does not show it; the error holds the end of its log.
    pub fn wait_for_first_view(&mut self, timeout: Duration) -> Result<()> {
        wait_until("the kiosk's first view", timeout, || {
            self.check_running()?;
            Ok(self.bench.shows_text(TextId::WelcomeTitle)?.then_some(()))
        })
    }

    /// Checks that the program runs.
    ///
    /// # Errors
    /// When it does not run; the error holds the end of its log.
    pub fn check_running(&mut self) -> Result<()> {
        self.program.check_running()
    }
}

impl Drop for RigKiosk {
    fn drop(&mut self) {
        // The control socket may hold the program a moment longer; it ends before its X server does.
        self.program.locked().take();
    }
}
