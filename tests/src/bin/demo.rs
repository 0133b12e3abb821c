//! `demo`: the whole system on one machine, used by hand or run by scenario. Called by `cargo xtask demo`.

use std::env;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use contract::ScreenSize;
use system_tests::rig::{DeviceOptions, KioskPlan, Rig};
use system_tests::{namespace, phone_browser, scenarios};

/// Address of the bench page.
const BENCH: &str = "127.0.0.1:8800";
/// Addresses of the platform's pages (the phone's page among them) and of the trusted identity service. The pages
/// link to each other, so both addresses are the same inside the namespace and outside.
const PLATFORM: &str = "127.0.0.1:8081";
const IDENTITY: &str = "127.0.0.1:8084";
/// Environment variable of the process inside the namespace: directory of the UNIX sockets that connect it with the
/// outside.
const RELAY: &str = "KIOSK_DEMO_RELAY";
/// Interval at which the demo checks whether the bench disconnects the card readers.
const READER_POLL_INTERVAL: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (mut script, mut screen, mut only) = (false, None, Vec::new());
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--script" => script = true,
            "--landscape" => screen = Some(ScreenSize { width: 1920, height: 1080 }),
            "--only" => {
                only.push(arguments.next().context("--only needs a part of a scenario's id or title")?)
            }
            unknown => {
                bail!(
                    "unknown argument `{unknown}`; expected --script, --landscape or, with --script, --only PART"
                )
            }
        }
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the directory of the tests package has no parent")?;
    let target = repository.join("target");
    if script {
        phone_browser::install_playwright(&target)?;
        namespace::enter()?;
        return play(&target, repository, screen, &only);
    }
    match env::var_os(RELAY) {
        None => outside(&target),
        Some(sockets) => {
            namespace::enter()?;
            inside(&target, Path::new(&sockets), screen)
        }
    }
}

fn play(target: &Path, repository: &Path, screen: Option<ScreenSize>, only: &[String]) -> Result<()> {
    let report =
        scenarios::run_scenarios(&target.join("demo-state"), &target.join("demo"), repository, screen, only)?;
    let failures = report.failures();
    let mut out = io::stdout();
    writeln!(
        out,
        "{} expectations, {} not met; report: target/demo/index.html",
        report.expectations(),
        failures.len()
    )?;
    for failure in &failures {
        writeln!(out, "  {failure}")?;
    }
    if failures.is_empty() {
        Ok(())
    } else {
        bail!("scenario expectations not met; see target/demo/index.html")
    }
}

/// Outside the namespace: forwards the TCP ports that a browser uses to UNIX sockets of the process inside.
fn outside(target: &Path) -> Result<()> {
    std::fs::create_dir_all(target)?;
    let sockets = tempfile::Builder::new().prefix("kiosk-demo-").tempdir()?;
    for address in [BENCH, PLATFORM, IDENTITY] {
        let listener = TcpListener::bind(address).with_context(|| {
            format!("cannot listen on {address}: another demo may be running; stop it first")
        })?;
        let socket = sockets.path().join(address);
        thread::spawn(move || {
            for browser in listener.incoming().flatten() {
                if let Ok(inside) = UnixStream::connect(&socket) {
                    relay(browser, inside);
                }
            }
        });
    }
    // Ctrl-C may reach both processes or only this one, and this one may be killed: closing the child's standard input
    // stops the child in each case.
    let stop = stop_signal()?;
    let mut command = Command::new(env::current_exe()?);
    command.args(env::args_os().skip(1)).env(RELAY, sockets.path()).stdin(Stdio::piped());
    let mut city = command.spawn()?;
    let input = city.stdin.take();
    thread::spawn(move || {
        stop.recv().ok();
        drop(input);
    });
    let status = city.wait()?;
    if status.success() || status.code().is_none() { Ok(()) } else { bail!("the demo ended with {status}") }
}

fn inside(target: &Path, sockets: &Path, screen: Option<ScreenSize>) -> Result<()> {
    let stop = stop_signal()?;
    stop_when_input_closes();
    let (platform, identity) = (PLATFORM.parse()?, IDENTITY.parse()?);
    let mut rig = Rig::start_at(&target.join("demo-state"), platform, identity)?;
    let site = "district-hall";
    rig.add_kiosk(KioskPlan {
        site,
        screen,
        slot: Some(0),
        devices: DeviceOptions { document_printer: true, ..DeviceOptions::default() },
    })?;
    let bench = rig.kiosks.first().context("the kiosk that was just added")?.bench.bench_url().to_owned();
    let bench: SocketAddr = bench.trim_start_matches("http://").parse()?;
    for (name, inside) in [(BENCH, bench), (PLATFORM, platform), (IDENTITY, identity)] {
        let listener = UnixListener::bind(sockets.join(name))?;
        thread::spawn(move || {
            for browser in listener.incoming().flatten() {
                if let Ok(inside) = TcpStream::connect(inside) {
                    relay(inside, browser);
                }
            }
        });
    }
    writeln!(io::stdout(), "bench: http://{BENCH}   (Ctrl-C stops everything)")?;
    while stop.recv_timeout(READER_POLL_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        rig.sync_readers()?;
    }
    Ok(())
}

/// Sends SIGINT to this process once its standard input closes, which means that its parent has ended.
fn stop_when_input_closes() {
    thread::spawn(|| {
        io::copy(&mut io::stdin(), &mut io::sink()).ok();
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::INT).ok();
    });
}

/// Copies bytes in both directions until either side closes.
fn relay(tcp: TcpStream, unix: UnixStream) {
    let (Ok(mut tcp_in), Ok(mut unix_in)) = (tcp.try_clone(), unix.try_clone()) else { return };
    let (mut tcp_out, mut unix_out) = (tcp, unix);
    thread::spawn(move || {
        io::copy(&mut tcp_in, &mut unix_out).ok();
        unix_out.shutdown(std::net::Shutdown::Write).ok();
    });
    thread::spawn(move || {
        io::copy(&mut unix_in, &mut tcp_out).ok();
        tcp_out.shutdown(std::net::Shutdown::Write).ok();
    });
}

/// Returns a channel that receives a message on Ctrl-C.
fn stop_signal() -> Result<std::sync::mpsc::Receiver<()>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    ctrlc::set_handler(move || {
        sender.send(()).ok();
    })?;
    Ok(receiver)
}
