//! Child processes of the rig, stopped by process id.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Time between SIGTERM and SIGKILL.
const STOP_GRACE: Duration = Duration::from_secs(4);
/// Time in which a started server must accept connections.
pub(crate) const SERVER_START_TIMEOUT: Duration = Duration::from_secs(30);

/// One child process. It is stopped when dropped.
pub struct ManagedProcess {
    name: String,
    child: Child,
    log: PathBuf,
}

impl ManagedProcess {
    /// Starts a program; its standard output and error go to `<logs>/<name>.log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, mut command: Command, logs: &Path) -> Result<Self> {
        fs::create_dir_all(logs)?;
        let log = logs.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Kills it with SIGKILL, as a power loss would end it.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Checks that the process still runs.
    ///
    /// # Errors
    /// When it has ended; the error holds the last lines of its log.
    pub fn check_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(12).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                bail!("{} ended with {status}:\n{}", self.name, tail.join("\n"))
            }
        }
    }

    fn stop(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // The process may end between `try_wait` and the signal.
            kill_process(pid, Signal::TERM).ok();
        }
        let until = Instant::now() + STOP_GRACE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() >= until {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for ManagedProcess {
    fn drop(&mut self) {
        // Nothing more can be done for a child that cannot be waited for.
        self.stop().ok();
    }
}

/// A server that can be started anew.
pub(crate) struct ServerProcess {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    address: SocketAddr,
    logs: PathBuf,
    process: Option<ManagedProcess>,
}

impl ServerProcess {
    /// Starts a server and waits until it accepts connections at `address`.
    pub(crate) fn start(name: &str, command: &Command, address: SocketAddr, logs: &Path) -> Result<Self> {
        let mut server = Self {
            name: name.to_owned(),
            program: command.get_program().to_owned(),
            arguments: command.get_args().map(OsStr::to_owned).collect(),
            address,
            logs: logs.to_owned(),
            process: None,
        };
        server.restart()?;
        Ok(server)
    }

    /// Id of its process; `None` while it is not running.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// Ends the server and starts it again.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.process = None;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        let mut process = ManagedProcess::start(&self.name, command, &self.logs)?;
        wait_until(&self.name, SERVER_START_TIMEOUT, || {
            process.check_running()?;
            Ok(TcpStream::connect(self.address).ok())
        })?;
        self.process = Some(process);
        Ok(())
    }
}

/// Directory of the workspace's programs, which is that of the running program.
///
/// # Errors
/// When the path of the running program is not known.
pub fn programs_directory() -> Result<PathBuf> {
    let here = env::current_exe()?.parent().context("the path of this program has no directory")?.to_owned();
    // Test and benchmark binaries are in the subdirectory `deps`.
    Ok(if here.ends_with("deps") { here.join("..") } else { here })
}

/// Calls `ask` every 50 ms until it returns a value.
///
/// # Errors
/// When `ask` fails, or returns no value within `timeout`; `what` names it in the error.
pub fn wait_until<T>(what: &str, timeout: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let until = Instant::now() + timeout;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() >= until {
            bail!("timed out after {} s waiting for {what}", timeout.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
}
