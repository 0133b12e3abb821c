//! One kiosk of the simulation: its engine, the storage that survives a crash, and its devices.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{Bilingual, CodeRules, Profile, ReceiptId, UnixMs};
use engine::{Engine, Fittings, LogSettings, Memo, Out, Place, Remembered, What};
use journal::faulty::SharedDisk;
use session::{Device, Equipment, Event, Health, Mono, Now, Setup, Times};
use view::{Texts, View};

use super::city::{catalogue_key, device, device_key, root_key};

/// The platform's clock at the start of a run.
pub(crate) const BEGIN: u64 = 1_795_500_000_000;
/// Key that wraps the keys of every journal.
pub(crate) const WRAP: [u8; 16] = [9; 16];

pub(crate) struct Terminal {
    number: usize,
    engine: Option<Engine<SharedDisk>>,
    pub(crate) disk: SharedDisk,
    /// Content of the cache. It may or may not survive a crash.
    kept: Remembered,
    /// Number of process starts; an answer to an earlier process is dropped.
    pub(crate) life: u64,
    begun: u64,
    /// Difference of the kiosk's clock to the platform's, in milliseconds.
    skew_ms: u64,
    pub(crate) view: Option<View>,
    pub(crate) link: bool,
    pub(crate) paper: bool,
    /// Index of the resident whose card is in the slot.
    pub(crate) card: Option<usize>,
    /// Index of the resident whose phone showed a code last.
    pub(crate) phone: Option<usize>,
    /// The printed copies: receipt, and whether it has the copy mark.
    pub(crate) papers: Vec<(ReceiptId, bool)>,
}

impl Terminal {
    pub(crate) fn new(number: usize, skew_ms: u64) -> Self {
        Self {
            number,
            engine: None,
            disk: SharedDisk::default(),
            kept: Remembered::default(),
            life: 0,
            begun: 0,
            skew_ms,
            view: None,
            link: true,
            paper: true,
            card: None,
            phone: None,
            papers: Vec::new(),
        }
    }

    pub(crate) fn at(&self, now: u64) -> Now {
        Now { mono: Mono(now - self.begun + 1_000), wall: UnixMs(BEGIN + now + self.skew_ms) }
    }

    /// Next wake-up of the engine, in simulated milliseconds.
    pub(crate) fn wake(&self) -> Option<u64> {
        let wake = self.engine.as_ref()?.wake();
        (wake.0 < u64::MAX / 2).then(|| (wake.0 + self.begun).saturating_sub(1_000))
    }

    pub(crate) fn alive(&self) -> bool {
        self.engine.is_some()
    }

    pub(crate) fn start(&mut self, now: u64, entropy: u128) -> Vec<Out> {
        self.begun = now;
        self.life += 1;
        let (engine, out) = Engine::start(self.fittings(), self.at(now), entropy);
        self.engine = Some(engine);
        let mut out = self.note(out);
        let printer = if self.paper { Health::Ready } else { Health::Trouble(session::Trouble::PaperOut) };
        let devices = [
            (Device::CardReader, Health::Ready),
            (Device::CodeReader, Health::Ready),
            (Device::IdReader, Health::Ready),
            (Device::Printer, printer),
        ];
        for (at, (device, health)) in (1_u128..).zip(devices) {
            out.extend(self.turn(now, entropy ^ at, What::Event(Event::Health(device, health))));
        }
        out
    }

    pub(crate) fn turn(&mut self, now: u64, entropy: u128, what: What) -> Vec<Out> {
        let at = self.at(now);
        let Some(engine) = &mut self.engine else { return Vec::new() };
        let out = engine.turn(engine::Input { at, entropy, what });
        self.note(out)
    }

    /// The process crashes, or the power fails.
    pub(crate) fn die(&mut self, seed: u64, cache_survives: bool) {
        self.engine = None;
        self.view = None;
        self.disk.lock().power_cut(seed);
        if !cache_survives {
            self.kept = Remembered::default();
        }
    }

    /// Stores outputs for the screen and the cache; returns the others.
    fn note(&mut self, out: Vec<Out>) -> Vec<Out> {
        let mut rest = Vec::new();
        for out in out {
            match out {
                Out::Show(view) => self.view = Some(*view),
                Out::Remember(Memo { place: Place::Log, bytes }) => self.kept.log = Some(bytes),
                Out::Remember(Memo { place: Place::Shelf, bytes }) => self.kept.shelf = Some(bytes),
                Out::Effect(_) | Out::Send(_) => rest.push(out),
            }
        }
        rest
    }

    fn fittings(&self) -> Fittings<SharedDisk> {
        let setup = Setup {
            device: device(self.number),
            profile: Profile::DistrictHall,
            hall: Bilingual { zh: "渝北区政务服务大厅".into(), en: "Yubei".into() },
            utc_offset_minutes: 480,
            receipt_url: "http://127.0.0.1/r/".into(),
            codes: Some(CodeRules {
                root_key: root_key().public(),
                city: "YK".into(),
                past_s: 15,
                ahead_s: 15,
                unsynced_hours: 72,
            }),
            gate: None,
            has: Equipment {
                card_reader: true,
                code_reader: true,
                id_reader: true,
                printer: true,
                ..Equipment::default()
            },
            times: Times::default(),
            staff: Vec::new(),
            texts: Arc::new(Texts::built_in()),
        };
        let disk = self.disk.clone();
        Fittings {
            setup: Arc::new(setup),
            log: LogSettings {
                disk: Box::new(move || Ok(disk.clone())),
                wrap: WRAP.into(),
                software: "simulation".into(),
                configuration: "00".into(),
                high_water: u64::MAX,
            },
            device_key: Arc::new(device_key(self.number)),
            catalogue_key: catalogue_key().public(),
            remembered: self.kept.clone(),
        }
    }

    /// Number of printed copies without copy mark, by receipt.
    pub(crate) fn unmarked(&self) -> BTreeMap<ReceiptId, u32> {
        let mut copies = BTreeMap::new();
        for (receipt, _) in self.papers.iter().filter(|(_, marked)| !marked) {
            *copies.entry(*receipt).or_default() += 1;
        }
        copies
    }
}
