//! The rig: all programs on emulated hardware, started on one machine. Platform, acquirer, department and identity
//! service; pcscd with emulated cards; for each kiosk an X server (Xvfb), a bench and the real program. All
//! interfaces are the production ones.
//!
//! The rig runs inside a separate [`namespace`](crate::namespace).

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use contract::{
    CardReaderSettings, CodeReaderSettings, EnvelopeKey, IdReaderSettings, LegacyCardPolicy,
    PrinterConnection, ScannerSettings, ScreenSize, Site, StaffKey,
};
use emulator::document_printer::{EmulatedDocumentPrinter, PRINT_COMMAND};
use tempfile::TempDir;

use crate::a11y_client::A11yClient;
use crate::bench_client::BenchClient;
use crate::desk_client;
use crate::desktop::{start_display, start_session_bus};
use crate::link_proxy::{LinkProxy, TlsGateway};
use crate::pcscd::VPCD_PORT;
use crate::process::{ManagedProcess, SERVER_START_TIMEOUT, ServerProcess, programs_directory, wait_until};
use crate::publication::CityFiles;
use crate::relay_endpoints::RelayEndpoints;
use crate::repository::{repository, residents_file};
use crate::rig_control::{RigControl, SharedRig, locked};
use crate::rig_kiosk::{KioskLaunch, KioskProgram, RigKiosk};
use crate::screen_text::ScreenTexts;

/// The sites whose kiosks are registered with the platform before it starts.
const SITES: [&str; 4] = ["district-hall", "township-center", "village-point", "gate"];
/// Ports of the servers of a rig: below the range from which Linux chooses ports, which begins at 32768.
const SERVER_PORTS: Range<u16> = 20_000..30_000;
/// Id of the platform's envelope key.
const ENVELOPE_KEY_ID: u8 = 1;
/// Name under which the platform signs its requests to departments.
const PLATFORM_ID: &str = "PLATFORM";
/// Time in which a started program must be ready.
pub(crate) const START_TIMEOUT: Duration = SERVER_START_TIMEOUT;

/// Says what the rig does while it starts.
pub type Say = fn(&str);

/// All running programs. They stop when the rig is dropped, the kiosks first. 测试台架.
pub struct Rig {
    /// The kiosks, in the order in which they were added.
    pub kiosks: Vec<RigKiosk>,
    /// Relay between the kiosks and the platform.
    pub platform_link: LinkProxy,
    /// Relay between the platform and the acquirer.
    pub acquirer_link: LinkProxy,
    /// Address of the platform's pages.
    pub platform: SocketAddr,
    /// Address of the acquirer itself, not of its relay.
    pub acquirer: SocketAddr,
    /// Address of the trusted identity service.
    pub identity: SocketAddr,
    shared: Arc<SharedRig>,
    document_printer: Option<EmulatedDocumentPrinter>,
    servers: Vec<ManagedProcess>,
    sockets: TempDir,
    state: PathBuf,
    programs: PathBuf,
    say: Say,
    /// Lock on the state directory, released on drop.
    _lock: File,
}

/// The kiosk to add.
#[derive(Clone, Copy)]
pub struct KioskPlan<'a> {
    /// Name of a site file in `provisioning/sites`, without extension.
    pub site: &'a str,
    /// Size of the screen; `None`: as in the site file.
    pub screen: Option<ScreenSize>,
    /// Slot of vpcd's reader, 0 or 1; `None`: no card reader.
    pub slot: Option<u16>,
    /// Devices that differ from the site file.
    pub devices: DeviceOptions,
}

/// Differences between a kiosk's devices and its site file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// A serial scanner in place of the camera.
    pub scanner: bool,
    /// Profile of the receipt printer; `None`: as in the site file.
    pub printer_profile: Option<&'static str>,
    /// Whether to start the document printer of the site file. Only one kiosk of a rig can have it.
    pub document_printer: bool,
    /// A PSAM in the other slot of vpcd's reader.
    pub psam: bool,
}

impl Rig {
    /// Starts all programs except kiosks. The state directory is emptied first.
    ///
    /// # Errors
    /// When another rig uses the directory, or a program does not start or does not answer.
    pub fn start(state: &Path) -> Result<Self> {
        Self::start_at(state, free_port()?, free_port()?, |_| {})
    }

    /// Starts all programs except kiosks, with the pages of the platform and the identity service at these addresses;
    /// `say` is called with a line before each part that takes time.
    ///
    /// # Errors
    /// When another rig uses the directory, or a program does not start or does not answer.
    pub fn start_at(state: &Path, platform: SocketAddr, identity: SocketAddr, say: Say) -> Result<Self> {
        let lock = lock_state_directory(state)?;
        if state.exists() {
            fs::remove_dir_all(state)?;
        }
        fs::create_dir_all(state)?;
        let sockets = tempfile::Builder::new().prefix("kiosk-").tempdir()?;
        let (acquirer, department, for_kiosks) = (free_port()?, free_port()?, free_port()?);
        let programs = programs_directory()?;
        say("making the keys of the city and its kiosks");
        make_keys(&programs, state)?;
        let keys: Vec<PathBuf> = SITES.iter().map(|site| state.join("keys").join(site)).collect();
        let ends = RelayEndpoints::read(&state.join("city"), &keys, "127.0.0.1")?;
        fs::create_dir(state.join("wire"))?;
        let gateway = TlsGateway::new(ends, File::create(state.join("wire/kiosk-platform"))?);
        let acquirer_link = LinkProxy::start(acquirer)?;
        let platform_link = LinkProxy::start_tls(for_kiosks, gateway)?;
        let files = CityFiles::copy(&state.join("city"), &programs)?;
        let shared = Arc::new(SharedRig {
            files,
            pcscd: Mutex::new(None),
            platform_server: Mutex::new(None),
            department_server: Mutex::new(None),
            platform_link: platform_link.clone(),
            acquirer_link: acquirer_link.clone(),
            platform,
            acquirer,
            state: state.to_owned(),
            programs: programs.clone(),
        });
        let mut rig = Self {
            kiosks: Vec::new(),
            platform_link,
            acquirer_link,
            platform,
            acquirer,
            identity,
            shared,
            document_printer: None,
            servers: Vec::new(),
            sockets,
            state: state.to_owned(),
            programs,
            say,
            _lock: lock,
        };
        say("starting the smart card service");
        rig.shared.connect_readers(true)?;
        say("starting the acquirer, the departments and the identity service");
        rig.start_acquirer(acquirer)?;
        rig.start_department(department)?;
        rig.start_identity()?;
        say("starting the platform");
        rig.start_platform(platform, for_kiosks, department)?;
        Ok(rig)
    }

    fn program_command(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    fn log_directory(&self) -> PathBuf {
        self.state.join("logs")
    }

    fn city_file(&self, file: &str) -> PathBuf {
        self.state.join("city").join(file)
    }

    fn start_acquirer(&mut self, at: SocketAddr) -> Result<()> {
        let mut command = self.program_command("kiosk-acquirer");
        command.arg("--listen").arg(at.to_string()).arg("--db").arg(self.city_file("acquirer.db"));
        self.start_server("acquirer", command, at)
    }

    fn start_department(&mut self, at: SocketAddr) -> Result<()> {
        let mut command = self.program_command("kiosk-department");
        command.arg("--listen").arg(at.to_string()).arg("--db").arg(self.city_file("departments.db"));
        command.arg("--residents").arg(residents_file());
        command.arg("--departments").arg(self.shared.files.departments());
        command.arg("--keys").arg(self.city_file("departments"));
        command.arg("--platform").arg(PLATFORM_ID);
        command.arg("--platform-key").arg(self.city_file("department-requests.pub"));
        let server = ServerProcess::start("departments", &command, at, &self.log_directory())?;
        *locked(&self.shared.department_server) = Some(server);
        Ok(())
    }

    /// The files that the city publishes.
    #[must_use]
    pub fn files(&self) -> &CityFiles {
        &self.shared.files
    }

    /// Id of the platform's process.
    ///
    /// # Errors
    /// When it is not running.
    pub fn platform_process_id(&self) -> Result<u32> {
        let server = locked(&self.shared.platform_server);
        server.as_ref().and_then(ServerProcess::process_id).context("the platform is not running")
    }

    /// Starts the departments anew, with the data files as they are now.
    ///
    /// # Errors
    /// When they do not start.
    pub fn restart_departments(&self) -> Result<()> {
        locked(&self.shared.department_server).as_mut().context("the departments are not started")?.restart()
    }

    fn start_identity(&mut self) -> Result<()> {
        let mut command = self.program_command("kiosk-identity");
        command.arg("--listen").arg(self.identity.to_string());
        command.arg("--residents").arg(residents_file());
        command.arg("--returns-to").arg(format!("http://{}/", self.platform));
        self.start_server("identity", command, self.identity)
    }

    fn start_platform(
        &mut self,
        at: SocketAddr,
        for_kiosks: SocketAddr,
        department: SocketAddr,
    ) -> Result<()> {
        let mut registered = String::new();
        for name in SITES {
            let site = self.read_site(name)?;
            let key = fs::read_to_string(self.state.join(format!("keys/{name}/device.pub")))?;
            registered.push_str(&format!(
                "[[device]]\nid = \"{}\"\nkey = \"{}\"\nname = \"{}\"\nprofile = \"{name}\"\n\n",
                site.device,
                key.trim(),
                site.hall.zh
            ));
        }
        fs::write(self.city_file("devices.toml"), registered)?;
        let mut command = self.program_command("kiosk-platform");
        command.arg("--listen").arg(at.to_string()).arg("--db").arg(self.city_file("platform.db"));
        command.arg("--residents").arg(residents_file());
        command.arg("--tls-listen").arg(for_kiosks.to_string());
        command.arg("--tls-certificate").arg(self.city_file("platform.pem"));
        command.arg("--tls-key").arg(self.city_file("platform.key"));
        command.arg("--kiosk-authority").arg(self.city_file("ca.pem"));
        let envelope = self.city_file("envelope.key");
        command.arg("--envelope-key").arg(format!("{ENVELOPE_KEY_ID}={}", envelope.display()));
        self.shared.files.write_department_list(PLATFORM_ID, department)?;
        self.shared.files.publish()?;
        command.arg("--publication").arg(self.shared.files.publication());
        command.arg("--catalogue-key").arg(self.city_file("catalogue.pub"));
        command.arg("--format-key").arg(self.city_file("format.key"));
        command.arg("--card-key").arg(self.city_file("card.key"));
        command.arg("--devices").arg(self.city_file("devices.toml"));
        fs::write(self.city_file("clients.toml"), desk_client::clients_toml(&self.desk_keys())?)?;
        command.arg("--clients").arg(self.city_file("clients.toml"));
        let rules = fs::read_to_string(repository().join("provisioning/codes.toml"))?;
        let rules = rules
            .replace("127.0.0.1:8084", &self.identity.to_string())
            .replace("127.0.0.1:8081", &self.platform.to_string());
        fs::write(self.city_file("codes.toml"), rules)?;
        command.arg("--code-rules").arg(self.city_file("codes.toml"));
        command.arg("--issuer-keys").arg(self.city_file("codes"));
        command.arg("--root-key").arg(self.state.join("root/root.pub"));
        command.arg("--identity").arg(format!("http://{}", self.identity));
        command.arg("--acquirer").arg(self.acquirer_link.url());
        command.arg("--department-key").arg(self.city_file("department-requests.key"));
        let server = ServerProcess::start("platform", &command, at, &self.log_directory())?;
        *locked(&self.shared.platform_server) = Some(server);
        Ok(())
    }

    fn start_server(&mut self, name: &str, command: Command, at: SocketAddr) -> Result<()> {
        let mut process = ManagedProcess::start(name, command, &self.log_directory())?;
        wait_until(name, START_TIMEOUT, || {
            process.check_running()?;
            Ok(TcpStream::connect(at).ok())
        })?;
        self.servers.push(process);
        Ok(())
    }

    fn read_site(&self, name: &str) -> Result<Site> {
        read_site(name)
    }

    /// Adds a kiosk, starts it, and returns its index in [`Rig::kiosks`].
    ///
    /// # Errors
    /// When one of its programs does not start.
    pub fn add_kiosk(&mut self, plan: KioskPlan<'_>) -> Result<usize> {
        let mut site = self.read_site(plan.site)?;
        let name = plan.site.to_owned();
        let home = self.state.join(&name);
        fs::create_dir_all(&home)?;
        let runtime = self.sockets.path().join(&name);
        fs::create_dir_all(&runtime)?;
        site.screen = plan.screen.unwrap_or(site.screen);
        let (printer, camera) = (runtime.join("receipt"), runtime.join("camera.sock"));
        site.platform.url = self.platform_link.url();
        site.platform.receipt_url = format!("http://{}/r/", self.platform);
        site.platform.catalogue_key = fs::read_to_string(self.city_file("catalogue.pub"))?.trim().parse()?;
        site.platform.envelope = EnvelopeKey {
            id: ENVELOPE_KEY_ID,
            key: fs::read_to_string(self.city_file("envelope.pub"))?.trim().parse()?,
        };
        if let Some(codes) = &mut site.codes {
            codes.root_key = fs::read_to_string(self.state.join("root/root.pub"))?.trim().parse()?;
        }
        site.devices.card_reader = plan.slot.map(|slot| CardReaderSettings {
            reader: format!("Virtual PCD 00 0{slot}"),
            psam: plan.devices.psam.then(|| format!("Virtual PCD 00 0{}", psam_slot(slot))),
            older_cards: LegacyCardPolicy::Limit,
        });
        let staff = fs::read_to_string(self.state.join("staff/device.pub"))?.trim().parse()?;
        site.staff = vec![StaffKey { name: emulator::bench::STAFF_CARD_NAME.to_owned(), key: staff }];
        let scanner = plan.devices.scanner.then(|| runtime.join("scanner"));
        site.devices.code_reader = Some(match &scanner {
            Some(tty) => CodeReaderSettings::Scanner {
                tty: tty.display().to_string(),
                baud: 115_200,
                line: ScannerSettings::default(),
            },
            None => CodeReaderSettings::Camera { source: camera.display().to_string(), exposure: None },
        });
        let id_reader = runtime.join("id-reader");
        if let Some(path) = &mut site.devices.id_reader {
            *path = IdReaderSettings { tty: id_reader.display().to_string(), ..path.clone() };
        }
        if let Some(path) = &mut site.devices.printer {
            if let Some(profile) = plan.devices.printer_profile {
                path.profile = profile.to_owned();
            }
            path.connection = PrinterConnection::Serial { tty: printer.display().to_string(), baud: 115_200 };
        }
        let relays = runtime.join("relays");
        if let Some(path) = &mut site.devices.signal {
            path.tty = relays.display().to_string();
        }
        if !plan.devices.document_printer {
            site.devices.document_printer = None;
        }
        if let Some(path) = &mut site.devices.document_printer {
            let place = self.sockets.path().join("sheet-printer");
            fs::create_dir(&place)?;
            let printer = EmulatedDocumentPrinter::start(&place, PRINT_COMMAND)
                .context("cannot start the document printer")?;
            path.url = printer.address();
            self.document_printer = Some(printer);
        }
        let site_file = home.join("site.toml");
        fs::write(&site_file, toml::to_string(&site)?)?;

        (self.say)(&format!("starting the display and the emulated devices of {name}"));
        let mut around = Vec::new();
        let display = start_display(&mut around, &name, site.screen, &self.log_directory())?;
        let session_bus = start_session_bus(&mut around, &name, &runtime, &display, &self.log_directory())?;
        let bench_at = free_port()?;
        let mut bench = self.program_command("kiosk-bench");
        bench.arg("--listen").arg(bench_at.to_string()).arg("--display").arg(&display);
        bench.arg("--residents").arg(residents_file());
        bench.arg("--vpcd").arg((VPCD_PORT + plan.slot.unwrap_or(1)).to_string());
        if let Some(slot) = plan.slot.filter(|_| plan.devices.psam) {
            bench.arg("--psam").arg((VPCD_PORT + psam_slot(slot)).to_string());
        }
        bench.arg("--printer").arg(&printer).arg("--camera").arg(&camera);
        if site.devices.id_reader.is_some() {
            bench.arg("--id-reader").arg(&id_reader);
        }
        if site.devices.signal.is_some() {
            bench.arg("--relays").arg(&relays);
        }
        let control = runtime.join("control");
        bench.arg("--control").arg(&control);
        bench.arg("--card-key").arg(self.city_file("card.key"));
        bench.arg("--staff-key").arg(self.state.join("staff/device.key"));
        if let Some(scanner) = &scanner {
            bench.arg("--scanner").arg(scanner);
        }
        if let Some(printer) = site.devices.document_printer.as_ref().and(self.document_printer.as_ref()) {
            bench.arg("--sheets").arg(printer.tray().spool());
        }
        bench.arg("--platform").arg(format!("http://{}", self.platform));
        around.push(ManagedProcess::start(&format!("{name}-bench"), bench, &self.log_directory())?);
        wait_until("the bench", START_TIMEOUT, || {
            if let Some(bench) = around.last_mut() {
                bench.check_running()?;
            }
            Ok(TcpStream::connect(bench_at).ok())
        })?;
        let a11y =
            wait_until(
                "the accessibility bus",
                START_TIMEOUT,
                || Ok(A11yClient::connect(&session_bus).ok()),
            )?;
        let launch = KioskLaunch {
            programs: self.programs.clone(),
            display,
            session_bus: session_bus.clone(),
            runtime,
            site: site_file,
            state: home.join("state"),
            keys: self.state.join("keys").join(&name),
            logs: self.log_directory(),
            screen: site.screen,
        };
        let texts = ScreenTexts::read()?;
        let program = Arc::new(KioskProgram::new(&name, launch));
        let screen = A11yClient::connect(&session_bus)?;
        RigControl::new(&self.shared, &program, &name, site.device, screen, &texts)?.serve(&control)?;
        let bench = BenchClient::new(&name, a11y, bench_at, self.platform, texts)?;
        (self.say)(&format!("starting the kiosk of {name}"));
        program.start()?;
        self.kiosks.push(RigKiosk::new(bench, site, program, around));
        Ok(self.kiosks.len() - 1)
    }

    /// Changes the status of a card at the service desk of the card issuer; `step` is `activate`, `lose`, `restore` or
    /// `cancel`.
    ///
    /// # Errors
    /// When the platform refuses.
    pub fn change_card_status(&self, step: &str, number: &str) -> Result<()> {
        desk_client::change_card_status(self.platform, &self.desk_keys(), step, number)
    }

    fn desk_keys(&self) -> PathBuf {
        self.state.join("desk")
    }

    /// URL of the phone's page with the resident code.
    #[must_use]
    pub fn code_page(&self) -> String {
        format!("http://{}/code/", self.platform)
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Delays the acquirer's answer to its next charge by `ms` milliseconds.
    ///
    /// # Errors
    /// When the acquirer refuses.
    pub fn delay_next_charge(&self, ms: u64) -> Result<()> {
        let order = serde_json::json!({ "fault": "delay", "ms": ms, "count": 1 });
        let http = reqwest::blocking::Client::builder().no_proxy().build()?;
        http.post(format!("http://{}/faults", self.acquirer)).json(&order).send()?.error_for_status()?;
        Ok(())
    }

    /// Whether the operator's page shows these words within the time.
    ///
    /// # Errors
    /// When the page cannot be loaded.
    pub fn admin_page_shows(&self, words: &str, within: Duration) -> Result<bool> {
        let http = reqwest::blocking::Client::builder().no_proxy().build()?;
        let until = Instant::now() + within;
        loop {
            let page =
                http.get(format!("http://{}/admin", self.platform)).send()?.error_for_status()?.text()?;
            if page.contains(words) || Instant::now() >= until {
                return Ok(page.contains(words));
            }
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// The public key with which a kiosk's log is verified.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn public_key(&self, name: &str) -> Result<String> {
        self.shared.public_key(name)
    }

    /// Runs the independent verifier on an export and returns its output.
    ///
    /// # Errors
    /// When the verifier rejects the export; the error holds its output.
    pub fn verify_export(&self, export: &Path, key: &str) -> Result<String> {
        self.shared.verify_export(export, key)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kiosks.clear();
    }
}

/// Locks the state directory against a second rig, which would empty it.
fn lock_state_directory(state: &Path) -> Result<File> {
    let path = state.with_extension("lock");
    fs::create_dir_all(path.parent().context("the state directory has no parent")?)?;
    let file = File::create(&path)?;
    file.try_lock().with_context(|| {
        format!("{} is in use: another demo or test run uses it; stop that first", state.display())
    })?;
    Ok(file)
}

/// Provisions the rig before any program runs: the city's keys, the platform's certificate, and for each kiosk its
/// keys and its TLS certificate.
fn make_keys(programs: &Path, state: &Path) -> Result<()> {
    let provision = |arguments: &[&str]| -> Result<()> {
        let output = Command::new(programs.join("provision")).args(arguments).current_dir(state).output()?;
        if !output.status.success() {
            bail!("provision {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    };
    provision(&["city-keys", "city"])?;
    provision(&["platform-keys", "city", "127.0.0.1"])?;
    provision(&["root-key", "root"])?;
    // The key pair of a staff card has the same form as that of a kiosk.
    provision(&["device-keys", "--device", "S-0001", "staff"])?;
    provision(&["device-keys", "--device", desk_client::DESK_ID, "desk"])?;
    provision(&["issuer-keys", "--root", "root/root.key", "city/codes"])?;
    for site in SITES {
        let device = read_site(site)?.device.to_string();
        let (keys, request) = (format!("keys/{site}"), format!("keys/{site}/tls.csr"));
        provision(&["device-keys", "--device", &device, &keys])?;
        provision(&["certify", "--city", "city", "--device", &device, &request])?;
    }
    Ok(())
}

/// The other one of the two slots of Debian's virtual reader.
const fn psam_slot(of_cards: u16) -> u16 {
    1 - of_cards % 2
}

fn read_site(name: &str) -> Result<Site> {
    let path = repository().join(format!("provisioning/sites/{name}.toml"));
    Ok(Site::parse(&fs::read_to_string(path)?)?)
}

/// An address for a server that is started later. The system gives the ports that it chooses itself, as those of the
/// relays, from a higher range, so that none of them takes the port before the server does.
fn free_port() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(SERVER_PORTS.start);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if !SERVER_PORTS.contains(&port) {
            bail!("no port is free between {} and {}", SERVER_PORTS.start, SERVER_PORTS.end);
        }
        if let Ok(free) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(free.local_addr()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_ports_are_distinct_and_never_chosen_by_the_system() {
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
        let ports = [free_port().unwrap().port(), free_port().unwrap().port()];
        assert!(ports[0] != ports[1] && ports.iter().all(|port| *port < first), "{ports:?}");
    }
}
