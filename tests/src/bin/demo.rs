//! `demo`: the whole system on one machine, used by hand or run by scenario. Called by `cargo xtask demo`.

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use contract::ScreenSize;
use system_tests::repository::repository;
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
/// This line says that everything runs. The caller that holds the bench's address for the demo (`cargo xtask demo` shows a page
/// there) gives it free at this line.
const RUNNING: &str = "everything runs";
/// Time in which the bench's address must become free.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which the kiosk must show its first view, on a busy machine.
const FIRST_VIEW_TIMEOUT: Duration = Duration::from_secs(60);
const ADDRESS_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Starts the whole system on emulated hardware and serves the bench, a web page with the kiosk's screen.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Plays the scenarios unattended instead, and writes their report to target/demo.
    #[arg(long)]
    script: bool,
    /// Gives the kiosk a landscape screen (1920×1080).
    #[arg(long)]
    landscape: bool,
    /// Plays only the scenarios whose id or title contains this; may be repeated.
    #[arg(long, value_name = "PART", requires = "script")]
    only: Vec<String>,
    /// The bench's address is held by the caller, who gives it free when everything runs.
    #[arg(long, hide = true, conflicts_with = "script")]
    address_follows: bool,
}

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
    let arguments = Arguments::parse();
    let screen = arguments.landscape.then_some(ScreenSize { width: 1920, height: 1080 });
    let target = repository().join("target");
    if arguments.script {
        phone_browser::install_playwright(&target)?;
        namespace::enter()?;
        return play(&target, screen, &arguments.only);
    }
    match env::var_os(RELAY) {
        None => outside(&target, arguments.address_follows),
        Some(sockets) => {
            namespace::enter()?;
            inside(&target, Path::new(&sockets), screen)
        }
    }
}

fn play(target: &Path, screen: Option<ScreenSize>, only: &[String]) -> Result<()> {
    let report = scenarios::run_scenarios(&target.join("demo-state"), &target.join("demo"), screen, only)?;
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
fn outside(target: &Path, address_follows: bool) -> Result<()> {
    std::fs::create_dir_all(target)?;
    let sockets = tempfile::Builder::new().prefix("kiosk-demo-").tempdir()?;
    let socket = |address: &str| sockets.path().join(address);
    for address in [PLATFORM, IDENTITY] {
        forward(bind(address)?, socket(address));
    }
    if !address_follows {
        forward(bind(BENCH)?, socket(BENCH));
    }
    // Ctrl-C may reach both processes or only this one, and this one may be killed: closing the child's standard input
    // stops the child in each case.
    let stop = stop_signal()?;
    let mut command = Command::new(env::current_exe()?);
    command.args(env::args_os().skip(1)).env(RELAY, sockets.path());
    let mut city = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let input = city.stdin.take();
    thread::spawn(move || {
        stop.recv().ok();
        drop(input);
    });
    let said = BufReader::new(city.stdout.take().context("standard output of the demo is not piped")?);
    for line in said.lines() {
        let line = line?;
        writeln!(io::stdout(), "{line}")?;
        io::stdout().flush()?;
        if line == RUNNING {
            if address_follows {
                forward(bind_when_free(BENCH)?, socket(BENCH));
            }
            writeln!(io::stdout(), "bench: http://{BENCH}   (Ctrl-C stops everything)")?;
        }
    }
    let status = city.wait()?;
    if status.success() || status.code().is_none() { Ok(()) } else { bail!("the demo ended with {status}") }
}

fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}: another demo may be running; stop it first"))
}

/// Binds an address that its holder gives free.
fn bind_when_free(address: &str) -> Result<TcpListener> {
    let until = Instant::now() + ADDRESS_TIMEOUT;
    loop {
        match bind(address) {
            Err(_) if Instant::now() < until => thread::sleep(ADDRESS_RETRY_INTERVAL),
            bound => return bound,
        }
    }
}

fn forward(listener: TcpListener, socket: PathBuf) {
    thread::spawn(move || {
        for browser in listener.incoming().flatten() {
            if let Ok(inside) = UnixStream::connect(&socket) {
                relay(browser, inside);
            }
        }
    });
}

fn inside(target: &Path, sockets: &Path, screen: Option<ScreenSize>) -> Result<()> {
    let stop = stop_signal()?;
    stop_when_input_closes();
    let (platform, identity) = (PLATFORM.parse()?, IDENTITY.parse()?);
    let mut rig = Rig::start_at(&target.join("demo-state"), platform, identity, say)?;
    let devices = DeviceOptions { document_printer: true, ..DeviceOptions::default() };
    rig.add_kiosk(KioskPlan { site: "district-hall", screen, slot: Some(0), devices })?;
    let kiosk = rig.kiosks.first_mut().context("the kiosk that was just added")?;
    kiosk.wait_for_first_view(FIRST_VIEW_TIMEOUT)?;
    let bench: SocketAddr = kiosk.bench.bench_url().trim_start_matches("http://").parse()?;
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
    say(RUNNING);
    stop.recv().ok();
    Ok(())
}

/// Prints a line of progress.
fn say(line: &str) {
    // Nobody may be reading any more.
    writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush()).ok();
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
