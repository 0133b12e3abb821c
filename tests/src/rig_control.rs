//! Control of a rig from its benches: serves the requests of [`emulator::rig_control`] on one UNIX socket for each
//! kiosk, in the demo as in the scenarios.

mod ledgers;
mod log;
mod services;

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use contract::KioskId;
use emulator::rig_control::{RigAnswer, RigLink, RigRequest};
use serde::Serialize;
use serde_json::{Value, json};
use view::TextId;

use crate::a11y_client::A11yClient;
use crate::link_proxy::{LinkCut, LinkProxy};
use crate::pcscd;
use crate::process::{ManagedProcess, ServerProcess};
use crate::publication::CityFiles;
use crate::rig_kiosk::KioskProgram;
use crate::screen_text::{ScreenText, ScreenTexts, TextPattern};

/// Longest request line, in bytes.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// Time without power.
const POWER_OFF: Duration = Duration::from_secs(2);
/// Time in which a resident pays after the power cut was prepared.
const CHARGE_TIMEOUT: Duration = Duration::from_secs(300);
/// Interval at which the acquirer's ledger is read for the charge. The kiosk inquires after a second.
const CHARGE_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Texts that a bench recognises on the screen, whatever the language of the screen.
const RECOGNISED_TEXTS: [TextId; 6] = [
    TextId::WelcomeTitle,
    TextId::MenuTitle,
    TextId::ConfirmTitle,
    TextId::Paid,
    TextId::CodeUnknown,
    TextId::SorryCodeTitle,
];

/// The parts of a rig that its owner and its benches control.
pub(crate) struct SharedRig {
    /// pcscd; `None` while the card readers are disconnected.
    pub(crate) pcscd: Mutex<Option<ManagedProcess>>,
    /// The platform; `None` until it is started.
    pub(crate) platform_server: Mutex<Option<ServerProcess>>,
    /// The departments; `None` until they are started.
    pub(crate) department_server: Mutex<Option<ServerProcess>>,
    /// The files that the city publishes.
    pub(crate) files: CityFiles,
    /// Relay between the kiosks and the platform.
    pub(crate) platform_link: LinkProxy,
    /// Relay between the platform and the acquirer.
    pub(crate) acquirer_link: LinkProxy,
    /// Address of the platform's pages.
    pub(crate) platform: SocketAddr,
    /// Address of the acquirer.
    pub(crate) acquirer: SocketAddr,
    /// The state directory.
    pub(crate) state: PathBuf,
    /// Directory of the programs.
    pub(crate) programs: PathBuf,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedRig {
    /// Starts or stops pcscd, which is what the kiosks see of their card readers.
    pub(crate) fn connect_readers(&self, connected: bool) -> Result<()> {
        let mut pcscd = locked(&self.pcscd);
        if !connected {
            *pcscd = None;
        } else if pcscd.is_none() {
            *pcscd = Some(pcscd::start(&self.state.join("logs"))?);
        }
        Ok(())
    }

    /// The public key with which a kiosk's log is verified.
    pub(crate) fn public_key(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.state.join(format!("keys/{name}/device.pub")))?.trim().to_owned())
    }

    /// Runs the independent verifier on an export; the error of a rejected export holds the verifier's output.
    pub(crate) fn verify_export(&self, export: &Path, key: &str) -> Result<String> {
        let mut verifier = Command::new(self.programs.join("provision"));
        verifier.arg("verify").arg("--export").arg(export).arg("--key").arg(key);
        let output = verifier.output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn link(&self, link: RigLink) -> &LinkProxy {
        match link {
            RigLink::Platform => &self.platform_link,
            RigLink::Acquirer => &self.acquirer_link,
        }
    }
}

/// A power cut that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
enum PowerCut {
    /// None was asked for.
    #[default]
    None,
    /// It waits for the next charge.
    Armed,
    /// The kiosk is without power.
    Off {
        /// The order that had just been charged, if it waited for one.
        order: Option<String>,
    },
    /// The kiosk was started again.
    Restarted {
        /// The order that had just been charged, if it waited for one.
        order: Option<String>,
    },
    /// No charge came in time.
    Expired,
}

/// Serves the requests of one kiosk's bench.
pub(crate) struct RigControl {
    /// Does not keep the rig alive: its programs stop when its owner drops it.
    rig: Weak<SharedRig>,
    kiosk: Weak<KioskProgram>,
    /// Name of the kiosk's site.
    name: String,
    device: KioskId,
    screen: A11yClient,
    /// The words of [`RECOGNISED_TEXTS`], in Chinese and in English.
    texts: Vec<(TextId, [TextPattern; 2])>,
    power: Arc<Mutex<PowerCut>>,
    http: reqwest::blocking::Client,
}

impl RigControl {
    pub(crate) fn new(
        rig: &Arc<SharedRig>,
        kiosk: &Arc<KioskProgram>,
        name: &str,
        device: KioskId,
        screen: A11yClient,
        texts: &ScreenTexts,
    ) -> Result<Self> {
        Ok(Self {
            rig: Arc::downgrade(rig),
            kiosk: Arc::downgrade(kiosk),
            name: name.to_owned(),
            device,
            screen,
            texts: recognised_texts(texts)?,
            power: Arc::default(),
            http: reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?,
        })
    }

    /// Serves the socket, which is created, until the process ends.
    pub(crate) fn serve(self, socket: &Path) -> Result<()> {
        let listener = UnixListener::bind(socket)?;
        let control = Arc::new(self);
        thread::spawn(move || {
            for bench in listener.incoming().flatten() {
                let control = Arc::clone(&control);
                // A bench that goes away needs no answer.
                thread::spawn(move || serve_lines(&bench, |request| control.answer(request)).ok());
            }
        });
        Ok(())
    }

    fn rig(&self) -> Result<Arc<SharedRig>> {
        self.rig.upgrade().context("the rig has ended")
    }

    fn answer(&self, request: RigRequest) -> Result<Value> {
        let rig = self.rig()?;
        match request {
            RigRequest::Status => self.status(&rig),
            RigRequest::Readers { connected } => rig.connect_readers(connected).map(|()| Value::Null),
            RigRequest::CutPower => {
                cut_power(&self.kiosk, &self.power, None)?;
                Ok(Value::Null)
            }
            RigRequest::CutPowerAtCharge => self.cut_power_at_charge(&rig),
            RigRequest::Link { link, cut } => {
                rig.link(link).set_cut(if cut { LinkCut::Down } else { LinkCut::None });
                Ok(Value::Null)
            }
            RigRequest::Ledgers => {
                let export = self.export(&rig)?;
                let orders = self.get(&format!("http://{}/admin/orders", rig.platform))?;
                let charges = self.get(&format!("http://{}/charges", rig.acquirer))?;
                Ok(serde_json::to_value(ledgers::compare(&export, &orders, &charges)?)?)
            }
            RigRequest::Log => log::records(&self.export(&rig)?),
            RigRequest::AlterLog { epoch, record, byte } => {
                log::alter_and_verify(&rig, &self.name, &self.export(&rig)?, epoch, record, byte)
            }
            RigRequest::Services => services::titles(&rig.files.services()),
            RigRequest::ChangeTitle { service, zh, en } => {
                let change = services::change_title(&rig.files.services(), &service, &zh, &en)?;
                rig.files.publish()?;
                Ok(serde_json::to_value(change)?)
            }
        }
    }

    fn get(&self, address: &str) -> Result<String> {
        Ok(self.http.get(address).send()?.error_for_status()?.text()?)
    }

    /// The kiosk's log, as the platform exports it.
    fn export(&self, rig: &SharedRig) -> Result<String> {
        self.get(&format!("http://{}/v1/audit/{}", rig.platform, self.device))
    }

    fn status(&self, rig: &SharedRig) -> Result<Value> {
        let running = self.kiosk.upgrade().is_some_and(|kiosk| kiosk.check_running().is_ok());
        let seen = if running { self.screen.elements().unwrap_or_default() } else { Vec::new() };
        let labels: Vec<String> = seen.into_iter().map(|element| element.label).collect();
        let on_screen = |words: &[TextPattern]| words.iter().any(|words| words.matches_any(&labels));
        let ids: Vec<&str> =
            self.texts.iter().filter(|(_, words)| on_screen(words)).map(|(id, _)| id.key()).collect();
        Ok(json!({
            "running": running,
            "power": *locked(&self.power),
            "readers": locked(&rig.pcscd).is_some(),
            "platform_link_cut": rig.platform_link.is_cut(),
            "acquirer_link_cut": rig.acquirer_link.is_cut(),
            "text_ids": ids,
            "texts": labels,
        }))
    }

    /// Keeps the answer to the next charge from the kiosk, and cuts the power as soon as the acquirer has charged.
    fn cut_power_at_charge(&self, rig: &SharedRig) -> Result<Value> {
        if *locked(&self.power) == PowerCut::Armed {
            return Ok(Value::Null);
        }
        let before = paid_orders(&self.get(&format!("http://{}/charges", rig.acquirer))?)?;
        rig.platform_link.set_cut(LinkCut::DropResponse("/v1/charges".into()));
        *locked(&self.power) = PowerCut::Armed;
        let (rig, kiosk, power) = (self.rig.clone(), self.kiosk.clone(), Arc::clone(&self.power));
        let http = self.http.clone();
        thread::spawn(move || {
            let charged = wait_for_charge(&rig, &http, &before);
            match charged {
                // The error of a kiosk that does not start is its absence, which the bench shows.
                Some(order) => drop(cut_power(&kiosk, &power, Some((order, rig.clone())))),
                None => *locked(&power) = PowerCut::Expired,
            }
            if let Some(rig) = rig.upgrade() {
                rig.platform_link.set_cut(LinkCut::None);
            }
        });
        Ok(Value::Null)
    }
}

/// The words of [`RECOGNISED_TEXTS`], in Chinese and in English.
fn recognised_texts(texts: &ScreenTexts) -> Result<Vec<(TextId, [TextPattern; 2])>> {
    let words = |id: TextId| Ok((id, [texts.pattern(&id.into())?, texts.pattern(&ScreenText::English(id))?]));
    RECOGNISED_TEXTS.into_iter().map(words).collect()
}

/// The orders that the acquirer has charged.
fn paid_orders(charges: &str) -> Result<Vec<String>> {
    let charges: Vec<ledgers::AcquirerEntry> = serde_json::from_str(charges)?;
    Ok(charges.into_iter().filter(ledgers::AcquirerEntry::is_paid).map(|entry| entry.order).collect())
}

/// Waits for an order that is charged and not among `before`.
fn wait_for_charge(
    rig: &Weak<SharedRig>,
    http: &reqwest::blocking::Client,
    before: &[String],
) -> Option<String> {
    let until = Instant::now() + CHARGE_TIMEOUT;
    while Instant::now() < until {
        let acquirer = rig.upgrade()?.acquirer;
        let charges = http.get(format!("http://{acquirer}/charges")).send().and_then(|answer| answer.text());
        let orders = charges.ok().and_then(|text| paid_orders(&text).ok()).unwrap_or_default();
        if let Some(order) = orders.into_iter().find(|order| !before.contains(order)) {
            return Some(order);
        }
        thread::sleep(CHARGE_POLL_INTERVAL);
    }
    None
}

/// Kills the kiosk program and starts it again after [`POWER_OFF`]. With the order that had just been charged comes the
/// rig, whose link to the platform is restored before the start.
fn cut_power(
    kiosk: &Weak<KioskProgram>,
    power: &Mutex<PowerCut>,
    charged: Option<(String, Weak<SharedRig>)>,
) -> Result<()> {
    kiosk.upgrade().context("the kiosk has ended")?.kill()?;
    let (order, rig) = charged.map_or((None, None), |(order, rig)| (Some(order), Some(rig)));
    *locked(power) = PowerCut::Off { order: order.clone() };
    thread::sleep(POWER_OFF);
    if let Some(rig) = rig.and_then(|rig| rig.upgrade()) {
        rig.platform_link.set_cut(LinkCut::None);
    }
    kiosk.upgrade().context("the kiosk has ended")?.start()?;
    *locked(power) = PowerCut::Restarted { order };
    Ok(())
}

/// Answers each request line of a connection.
fn serve_lines(bench: &UnixStream, answer: impl Fn(RigRequest) -> Result<Value>) -> io::Result<()> {
    let mut lines = BufReader::new(bench);
    loop {
        let mut line = String::new();
        if (&mut lines).take(REQUEST_BYTES_MAX).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_str(&line) {
            Ok(request) => answer(request),
            Err(error) => Err(error).context("this is no request to a rig"),
        };
        let answer = match answer {
            Ok(value) => RigAnswer::Ok(value),
            Err(error) => RigAnswer::Error(format!("{error:#}")),
        };
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        let mut bench = bench;
        bench.write_all(&line)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_line_has_one_answer_line() {
        let (bench, rig) = UnixStream::pair().unwrap();
        let serving = thread::spawn(move || {
            serve_lines(
                &rig,
                |request| {
                    if request == RigRequest::Log { Ok(json!([1])) } else { bail!("not now") }
                },
            )
        });
        (&bench).write_all(b"{\"do\":\"log\"}\n{\"do\":\"ledgers\"}\nnonsense\n").unwrap();
        bench.shutdown(std::net::Shutdown::Write).unwrap();
        let answers: Vec<String> = BufReader::new(&bench).lines().map(Result::unwrap).collect();
        assert_eq!(answers.len(), 3);
        assert_eq!(answers[0], "{\"ok\":[1]}");
        assert_eq!(answers[1], "{\"error\":\"not now\"}");
        assert!(answers[2].starts_with("{\"error\":\"this is no request"), "{}", answers[2]);
        serving.join().unwrap().unwrap();
    }

    #[test]
    fn recognised_texts_exist_in_both_languages() {
        let texts = recognised_texts(&ScreenTexts::read().unwrap()).unwrap();
        assert_eq!(texts.len(), RECOGNISED_TEXTS.len());
        assert!(texts.iter().all(|(_, words)| words.iter().all(|words| words.to_string().len() > 3)));
    }
}
