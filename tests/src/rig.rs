//! The rig: a small city on one machine. Platform, acquirer and department; pcscd with virtual cards; for
//! each kiosk a screen (Xvfb), a bench and the real program. Every wire is the production one.
//!
//! It runs inside a [`namespace`](crate::namespace) of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use contract::{
    CardReaderPath, CodeReaderPath, EnvelopeKey, IdReaderPath, OlderCards, PrinterLink, ScannerLine,
    ScreenSize, Site, StaffKey,
};
use tempfile::TempDir;
use virtual_hardware::sheet_printer::{CupsPrinter, PRINTS};

use crate::desk;
use crate::desktop::{start_display, start_session_bus};
use crate::ends::Ends;
use crate::eyes::Eyes;
use crate::kiosk::{Kiosk, KioskStart};
use crate::process::{Process, programs, wait_until};
use crate::proxy::{Gateway, Proxy};
use crate::readers::{self, VPCD_PORT};
use crate::station::Station;

/// The sites whose kiosks are registered beforehand, as a city would.
const SITES: [&str; 4] = ["district-hall", "township-center", "village-point", "gate"];
/// The id of the city's key for envelopes.
const ENVELOPE_ID: u8 = 1;
/// A program that was started gets this long to answer.
pub(crate) const READY: Duration = Duration::from_secs(30);

/// The city. Everything stops when it is dropped, the kiosks first.
pub struct Rig {
    /// The kiosks, in the order in which they were added.
    pub kiosks: Vec<Kiosk>,
    /// The link between the kiosks and the platform.
    pub platform_link: Proxy,
    /// The link between the platform and the acquirer.
    pub acquirer_link: Proxy,
    /// Where the platform's pages are.
    pub platform: SocketAddr,
    /// Where the acquirer is, without the link.
    pub acquirer: SocketAddr,
    /// Where the trusted identity service is.
    pub identity: SocketAddr,
    pcscd: Option<Process>,
    sheet_printer: Option<CupsPrinter>,
    servers: Vec<Process>,
    sockets: TempDir,
    state: PathBuf,
    programs: PathBuf,
    repository: PathBuf,
    /// Given back when the rig is gone.
    _lock: File,
}

/// Which kiosk to add.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Name of a file in `provisioning/sites`, without its ending.
    pub site: &'a str,
    /// The panel; none: as the site says.
    pub screen: Option<ScreenSize>,
    /// Slot of the virtual reader, 0 or 1; none: no card reader.
    pub slot: Option<u16>,
    /// What else is another than in the site's file.
    pub fitting: Fitting,
}

/// Devices that a kiosk is fitted with instead of those of its site's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fitting {
    /// A serial scanner in place of the camera.
    pub scanner: bool,
    /// Profile of another printer.
    pub printer: Option<&'static str>,
    /// The A4 printer of the site's file, which is left out otherwise: one kiosk of a rig can have it.
    pub sheet_printer: bool,
    /// A PSAM in the slot that the kiosk's cards are not put in.
    pub psam: bool,
}

impl Rig {
    /// Starts the city without a kiosk. The state directory is made anew.
    ///
    /// # Errors
    /// When another rig uses the directory, or a program does not start or does not answer.
    pub fn start(state: &Path) -> Result<Self> {
        Self::start_at(state, free_port()?, free_port()?)
    }

    /// The same, with the pages for people at these addresses: the platform's, and the trusted identity service's.
    ///
    /// # Errors
    /// As above.
    pub fn start_at(state: &Path, platform: SocketAddr, identity: SocketAddr) -> Result<Self> {
        let lock = lock(state)?;
        if state.exists() {
            fs::remove_dir_all(state)?;
        }
        fs::create_dir_all(state)?;
        let repository =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the directory of the tests package has no parent")?;
        let sockets = tempfile::Builder::new().prefix("kiosk-").tempdir()?;
        let (acquirer, department, for_kiosks) = (free_port()?, free_port()?, free_port()?);
        let programs = programs()?;
        make_keys(&programs, repository, state)?;
        let keys: Vec<PathBuf> = SITES.iter().map(|site| state.join("keys").join(site)).collect();
        let ends = Ends::read(&state.join("city"), &keys, "127.0.0.1")?;
        fs::create_dir(state.join("wire"))?;
        let gateway = Gateway::new(ends, File::create(state.join("wire/kiosk-platform"))?);
        let acquirer_link = Proxy::start(acquirer)?;
        let platform_link = Proxy::start_tls(for_kiosks, gateway)?;
        let mut rig = Self {
            kiosks: Vec::new(),
            platform_link,
            acquirer_link,
            platform,
            acquirer,
            identity,
            pcscd: None,
            sheet_printer: None,
            servers: Vec::new(),
            sockets,
            state: state.to_owned(),
            programs,
            repository: repository.to_owned(),
            _lock: lock,
        };
        rig.start_pcscd()?;
        rig.serve_acquirer(acquirer)?;
        rig.serve_department(department)?;
        rig.serve_identity()?;
        rig.serve_platform(platform, for_kiosks, department)?;
        Ok(rig)
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    fn city(&self, file: &str) -> PathBuf {
        self.state.join("city").join(file)
    }

    fn start_pcscd(&mut self) -> Result<()> {
        self.pcscd = Some(readers::start(&self.logs())?);
        Ok(())
    }

    /// Unplugs the readers, or plugs them in again, as the benches have it: pcscd goes and comes.
    ///
    /// # Errors
    /// When pcscd does not come up.
    pub fn mind_readers(&mut self) -> Result<()> {
        let unplugged = self.unplugged().exists();
        if unplugged {
            self.pcscd = None;
        } else if self.pcscd.is_none() {
            self.start_pcscd()?;
        }
        Ok(())
    }

    fn unplugged(&self) -> PathBuf {
        self.sockets.path().join("unplugged")
    }

    fn serve_acquirer(&mut self, at: SocketAddr) -> Result<()> {
        let mut command = self.program("kiosk-acquirer");
        command.arg("--listen").arg(at.to_string()).arg("--db").arg(self.city("acquirer.db"));
        self.serve("acquirer", command, at)
    }

    fn serve_department(&mut self, at: SocketAddr) -> Result<()> {
        let mut command = self.program("kiosk-department");
        command.arg("--listen").arg(at.to_string()).arg("--db").arg(self.city("department.db"));
        command.arg("--residents").arg(self.repository.join("assets/residents.toml"));
        self.serve("department", command, at)
    }

    fn serve_identity(&mut self) -> Result<()> {
        let mut command = self.program("kiosk-identity");
        command.arg("--listen").arg(self.identity.to_string());
        command.arg("--residents").arg(self.repository.join("assets/residents.toml"));
        command.arg("--returns-to").arg(format!("http://{}/", self.platform));
        self.serve("identity", command, self.identity)
    }

    fn serve_platform(
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
        fs::write(self.city("devices.toml"), registered)?;
        let mut command = self.program("kiosk-platform");
        command.arg("--listen").arg(at.to_string()).arg("--db").arg(self.city("platform.db"));
        command.arg("--residents").arg(self.repository.join("assets/residents.toml"));
        command.arg("--services").arg(self.repository.join("assets/services"));
        command.arg("--tls-listen").arg(for_kiosks.to_string());
        command.arg("--tls-certificate").arg(self.city("platform.pem"));
        command.arg("--tls-key").arg(self.city("platform.key"));
        command.arg("--kiosk-authority").arg(self.city("ca.pem"));
        let envelope = self.city("envelope.key");
        command.arg("--envelope-key").arg(format!("{ENVELOPE_ID}={}", envelope.display()));
        command.arg("--catalogue-key").arg(self.city("catalogue.key"));
        command.arg("--format-key").arg(self.city("format.key"));
        command.arg("--card-key").arg(self.city("card.key"));
        command.arg("--devices").arg(self.city("devices.toml"));
        fs::write(self.city("clients.toml"), desk::clients(&self.desk_keys())?)?;
        command.arg("--clients").arg(self.city("clients.toml"));
        let rules = fs::read_to_string(self.repository.join("provisioning/codes.toml"))?;
        let rules = rules
            .replace("127.0.0.1:8084", &self.identity.to_string())
            .replace("127.0.0.1:8081", &self.platform.to_string());
        fs::write(self.city("codes.toml"), rules)?;
        command.arg("--code-rules").arg(self.city("codes.toml"));
        command.arg("--issuer-keys").arg(self.city("codes"));
        command.arg("--root-key").arg(self.state.join("root/root.pub"));
        command.arg("--identity").arg(format!("http://{}", self.identity));
        command.arg("--acquirer").arg(self.acquirer_link.url());
        command.arg("--department").arg(format!("http://{department}"));
        self.serve("platform", command, at)
    }

    fn serve(&mut self, name: &str, command: Command, at: SocketAddr) -> Result<()> {
        let mut process = Process::start(name, command, &self.logs())?;
        wait_until(name, READY, || {
            process.check()?;
            Ok(TcpStream::connect(at).ok())
        })?;
        self.servers.push(process);
        Ok(())
    }

    fn read_site(&self, name: &str) -> Result<Site> {
        read_site(&self.repository, name)
    }

    /// Adds a kiosk and starts it.
    ///
    /// # Errors
    /// When one of its programs does not start.
    pub fn add(&mut self, plan: Plan<'_>) -> Result<usize> {
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
        site.platform.catalogue_key = fs::read_to_string(self.city("catalogue.pub"))?.trim().parse()?;
        site.platform.envelope = EnvelopeKey {
            id: ENVELOPE_ID,
            key: fs::read_to_string(self.city("envelope.pub"))?.trim().parse()?,
        };
        if let Some(codes) = &mut site.codes {
            codes.root_key = fs::read_to_string(self.state.join("root/root.pub"))?.trim().parse()?;
        }
        site.devices.card_reader = plan.slot.map(|slot| CardReaderPath {
            reader: format!("Virtual PCD 00 0{slot}"),
            psam: plan.fitting.psam.then(|| format!("Virtual PCD 00 0{}", psam_slot(slot))),
            older_cards: OlderCards::Limit,
        });
        let staff = fs::read_to_string(self.state.join("staff/device.pub"))?.trim().parse()?;
        site.staff = vec![StaffKey { name: virtual_hardware::bench::STAFF.to_owned(), key: staff }];
        let scanner = plan.fitting.scanner.then(|| runtime.join("scanner"));
        site.devices.code_reader = Some(match &scanner {
            Some(tty) => CodeReaderPath::Scanner {
                tty: tty.display().to_string(),
                baud: 115_200,
                line: ScannerLine::default(),
            },
            None => CodeReaderPath::Camera { source: camera.display().to_string(), exposure: None },
        });
        let id_reader = runtime.join("id-reader");
        if let Some(path) = &mut site.devices.id_reader {
            *path = IdReaderPath { tty: id_reader.display().to_string(), ..path.clone() };
        }
        if let Some(path) = &mut site.devices.printer {
            if let Some(profile) = plan.fitting.printer {
                path.profile = profile.to_owned();
            }
            path.link = PrinterLink::Serial { tty: printer.display().to_string(), baud: 115_200 };
        }
        let relays = runtime.join("relays");
        if let Some(path) = &mut site.devices.signal {
            path.tty = relays.display().to_string();
        }
        if !plan.fitting.sheet_printer {
            site.devices.sheet_printer = None;
        }
        if let Some(path) = &mut site.devices.sheet_printer {
            let place = self.sockets.path().join("sheet-printer");
            fs::create_dir(&place)?;
            let printer = CupsPrinter::start(&place, PRINTS).context("the A4 printer")?;
            path.url = printer.address();
            self.sheet_printer = Some(printer);
        }
        let site_file = home.join("site.toml");
        fs::write(&site_file, toml::to_string(&site)?)?;

        let mut around = Vec::new();
        let display = start_display(&mut around, &name, site.screen, &self.logs())?;
        let session_bus = start_session_bus(&mut around, &name, &runtime, &display, &self.logs())?;
        let bench_at = free_port()?;
        let mut bench = self.program("kiosk-bench");
        bench.arg("--listen").arg(bench_at.to_string()).arg("--display").arg(&display);
        bench.arg("--residents").arg(self.repository.join("assets/residents.toml"));
        bench.arg("--vpcd").arg((VPCD_PORT + plan.slot.unwrap_or(1)).to_string());
        if let Some(slot) = plan.slot.filter(|_| plan.fitting.psam) {
            bench.arg("--psam").arg((VPCD_PORT + psam_slot(slot)).to_string());
        }
        bench.arg("--printer").arg(&printer).arg("--camera").arg(&camera);
        if site.devices.id_reader.is_some() {
            bench.arg("--id-reader").arg(&id_reader);
        }
        if site.devices.signal.is_some() {
            bench.arg("--relays").arg(&relays);
        }
        bench.arg("--unplugged").arg(self.unplugged());
        bench.arg("--card-key").arg(self.city("card.key"));
        bench.arg("--staff-key").arg(self.state.join("staff/device.key"));
        if let Some(scanner) = &scanner {
            bench.arg("--scanner").arg(scanner);
        }
        if let Some(printer) = site.devices.sheet_printer.as_ref().and(self.sheet_printer.as_ref()) {
            bench.arg("--sheets").arg(printer.tray().spool());
        }
        bench.arg("--platform").arg(format!("http://{}", self.platform));
        around.push(Process::start(&format!("{name}-bench"), bench, &self.logs())?);
        wait_until("the bench", READY, || {
            if let Some(bench) = around.last_mut() {
                bench.check()?;
            }
            Ok(TcpStream::connect(bench_at).ok())
        })?;
        let eyes = wait_until("the accessibility bus", READY, || Ok(Eyes::open(&session_bus).ok()))?;
        let start = KioskStart {
            programs: self.programs.clone(),
            display,
            session_bus,
            runtime,
            site: site_file,
            state: home.join("state"),
            keys: self.state.join("keys").join(&name),
            logs: self.logs(),
            screen: site.screen,
        };
        let station = Station::new(&name, eyes, bench_at, self.platform)?;
        let mut kiosk = Kiosk::new(station, site, start, around);
        kiosk.start()?;
        self.kiosks.push(kiosk);
        Ok(self.kiosks.len() - 1)
    }

    /// Has a desk of the cards' issuer take a step with a card: `lose`, `restore`, …
    ///
    /// # Errors
    /// When the platform refuses.
    pub fn at_desk(&self, step: &str, number: &str) -> Result<()> {
        desk::step(self.platform, &self.desk_keys(), step, number)
    }

    fn desk_keys(&self) -> PathBuf {
        self.state.join("desk")
    }

    /// Where a phone finds the page of the city code.
    #[must_use]
    pub fn code_page(&self) -> String {
        format!("http://{}/code/", self.platform)
    }

    /// What is built and run here.
    #[must_use]
    pub fn repository(&self) -> &Path {
        &self.repository
    }

    /// Where everything is kept.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Makes the acquirer answer its next charge only after so many milliseconds.
    ///
    /// # Errors
    /// When it does not take the order.
    pub fn slow_acquirer(&self, ms: u64) -> Result<()> {
        let order = serde_json::json!({ "fault": "delay", "ms": ms, "count": 1 });
        let http = reqwest::blocking::Client::builder().no_proxy().build()?;
        http.post(format!("http://{}/faults", self.acquirer)).json(&order).send()?.error_for_status()?;
        Ok(())
    }

    /// Whether the operator's page comes to show these words within the time.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn admin_shows(&self, words: &str, within: Duration) -> Result<bool> {
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
        Ok(fs::read_to_string(self.state.join(format!("keys/{name}/device.pub")))?.trim().to_owned())
    }

    /// Runs the independent verifier over an export.
    ///
    /// # Errors
    /// When it does not accept the export; the error holds what it said.
    pub fn verify(&self, export: &Path, key: &str) -> Result<String> {
        let mut verifier = self.program("provision");
        verifier.arg("verify").arg("--export").arg(export).arg("--key").arg(key);
        let output = verifier.output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kiosks.clear();
    }
}

/// One rig a state directory: a second one would empty it under the first.
fn lock(state: &Path) -> Result<File> {
    let path = state.with_extension("lock");
    fs::create_dir_all(path.parent().context("a state directory lies in another")?)?;
    let file = File::create(&path)?;
    file.try_lock()
        .with_context(|| format!("{} is in use: another demo runs; stop it first", state.display()))?;
    Ok(file)
}

/// What the city's desk does before anything runs: the city's keys, the platform's certificate, and for each
/// kiosk its keys and the certificate that it asked for.
fn make_keys(programs: &Path, repository: &Path, state: &Path) -> Result<()> {
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
    // A key pair is a key pair: that of a card is made as a kiosk's is.
    provision(&["device-keys", "--device", "S-0001", "staff"])?;
    provision(&["device-keys", "--device", desk::DESK, "desk"])?;
    provision(&["issuer-keys", "--root", "root/root.key", "city/codes"])?;
    for site in SITES {
        let device = read_site(repository, site)?.device.to_string();
        let (keys, request) = (format!("keys/{site}"), format!("keys/{site}/tls.csr"));
        provision(&["device-keys", "--device", &device, &keys])?;
        provision(&["certify", "--city", "city", "--device", &device, &request])?;
    }
    Ok(())
}

/// Debian's virtual reader has two slots.
const fn psam_slot(of_cards: u16) -> u16 {
    1 - of_cards % 2
}

fn read_site(repository: &Path, name: &str) -> Result<Site> {
    let path = repository.join(format!("provisioning/sites/{name}.toml"));
    Ok(Site::parse(&fs::read_to_string(path)?)?)
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
