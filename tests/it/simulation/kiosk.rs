//! One kiosk of the simulation: its engine, the storage that survives a crash, and its devices.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use contract::{Bilingual, CodeRules, Head, Receipt, ReceiptId, SiteProfile, UnixMs};
use engine::{CacheEntry, CacheKey, CacheSnapshot, Engine, EngineConfig, InputEvent, JournalOpener, Output};
use faulty_disk::{FaultyDisk, SharedDisk};
use journal::{Disk as _, JournalLimits};
use session::{DeviceKind, DeviceState, Equipment, Event, KioskSetup, MonotonicMs, Now, TimeLimits};
use view::{Texts, View};

use super::peers::{catalogue_key, device_key, kiosk_id, root_key};
use super::screen_checks::{DurableRecords, Statement, VisitSettings};

/// The platform's clock at the start of a run.
pub(crate) const START_MS: u64 = 1_795_500_000_000;
/// Size of a full segment: much smaller than a real one, so that minutes of visits fill some.
const SEGMENT_BYTES: u64 = 16 * 1024;
/// The last unit of a segment, and the newest ones, are in about so many bytes at its end.
const LAST_BYTES: usize = 300;
const NEWEST_BYTES: usize = 1_500;
/// Key that wraps the keys of every journal.
pub(crate) const WRAP_KEY: [u8; 16] = [9; 16];

static TEXTS: LazyLock<Arc<Texts>> = LazyLock::new(|| Arc::new(Texts::built_in()));

pub(crate) struct SimKiosk {
    number: usize,
    engine: Option<Engine<SharedDisk>>,
    pub(crate) disk: SharedDisk,
    /// Content of the cache. It may or may not survive a crash.
    cache: CacheSnapshot,
    /// Number of process starts; an answer to an earlier process is dropped.
    pub(crate) generation: u64,
    started_at: u64,
    /// Difference of the kiosk's clock to the platform's at a time, in milliseconds, and how much it gains from then on, in
    /// millionths.
    clock: (u64, i64, i64),
    /// A segment was damaged of which the platform had all records.
    pub(crate) is_damaged: bool,
    /// Records were lost that the platform may not have had, or the disk was restored from a copy.
    pub(crate) has_lost_records: bool,
    /// A segment was damaged of which the platform may not have had all.
    pub(crate) is_rotten: bool,
    /// A record of the segment that is written rotted: what this process records after it cannot be read from the disk.
    pub(crate) is_unreadable: bool,
    /// The process was started after the last fault.
    pub(crate) is_reopened: bool,
    /// Epoch and number of the head that was noted last.
    newest: (u64, u64),
    /// Hashes of the heads of the journal after each turn, by epoch and number, as far as they must be on the disk.
    pub(crate) heads: BTreeMap<(u64, u64), [u8; 32]>,
    /// A copy of the disk, as an operator makes one.
    copy: Option<FaultyDisk>,
    pub(crate) view: Option<View>,
    /// The views that were shown since the last check.
    pub(crate) unchecked: Vec<View>,
    /// The durable records as far as they were read in this process.
    pub(crate) durable: DurableRecords,
    /// What the last view said.
    pub(crate) said: Vec<Statement>,
    pub(crate) settings: VisitSettings,
    pub(crate) online: bool,
    pub(crate) has_paper: bool,
    /// Index of the resident who came last.
    pub(crate) visitor: Option<usize>,
    /// Index of the resident whose card is in the slot.
    pub(crate) card: Option<usize>,
    /// Index of the resident whose phone showed a code last.
    pub(crate) phone: Option<usize>,
    /// The printed copies: receipt, and whether it has the copy mark.
    pub(crate) printed: Vec<(ReceiptId, bool)>,
    /// What stood on the papers that were sent to the printer.
    pub(crate) papers: Vec<Receipt>,
}

impl SimKiosk {
    pub(crate) fn new(number: usize, ahead_ms: i64) -> Self {
        Self {
            number,
            engine: None,
            disk: SharedDisk::default(),
            cache: CacheSnapshot::default(),
            generation: 0,
            started_at: 0,
            clock: (0, ahead_ms, 0),
            is_damaged: false,
            has_lost_records: false,
            is_rotten: false,
            is_unreadable: false,
            is_reopened: false,
            newest: (0, 0),
            heads: BTreeMap::new(),
            copy: None,
            view: None,
            unchecked: Vec::new(),
            durable: DurableRecords::default(),
            said: Vec::new(),
            settings: VisitSettings::default(),
            online: true,
            has_paper: true,
            visitor: None,
            card: None,
            phone: None,
            printed: Vec::new(),
            papers: Vec::new(),
        }
    }

    pub(crate) fn clock_at(&self, now: u64) -> Now {
        let (since, ahead_ms, drift) = self.clock;
        let gained = i64::try_from(now - since).unwrap() * drift / 1_000_000;
        let wall = (START_MS + now).saturating_add_signed(ahead_ms + gained);
        Now { mono: MonotonicMs(now - self.started_at + 1_000), wall: UnixMs(wall) }
    }

    /// Sets the wall clock: so much ahead of the platform's, gaining so many millionths.
    pub(crate) const fn set_clock(&mut self, now: u64, ahead_ms: i64, drift: i64) {
        self.clock = (now, ahead_ms, drift);
    }

    /// Next wake-up of the engine, in simulated milliseconds.
    pub(crate) fn wake(&self) -> Option<u64> {
        let wake = self.engine.as_ref()?.next_deadline();
        (wake.0 < u64::MAX / 2).then(|| (wake.0 + self.started_at).saturating_sub(1_000))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.engine.is_some()
    }

    pub(crate) fn start(&mut self, now: u64, entropy: u128) -> Vec<Output> {
        self.started_at = now;
        self.generation += 1;
        self.is_unreadable = false;
        let (engine, out) = Engine::start(self.engine_config(), self.clock_at(now), entropy);
        self.engine = Some(engine);
        self.note_head();
        let mut out = self.store_outputs(out);
        let printer = if self.has_paper {
            DeviceState::Ready
        } else {
            DeviceState::Faulty(session::FaultReason::PaperOut)
        };
        let devices = [
            (DeviceKind::CardReader, DeviceState::Ready),
            (DeviceKind::CodeReader, DeviceState::Ready),
            (DeviceKind::IdReader, DeviceState::Ready),
            (DeviceKind::ReceiptPrinter, printer),
        ];
        for (at, (device, health)) in (1_u128..).zip(devices) {
            out.extend(self.turn(
                now,
                entropy ^ at,
                InputEvent::Kiosk(Event::DeviceStateChanged(device, health)),
            ));
        }
        out
    }

    pub(crate) fn turn(&mut self, now: u64, entropy: u128, what: InputEvent) -> Vec<Output> {
        let at = self.clock_at(now);
        let Some(engine) = &mut self.engine else { return Vec::new() };
        let out = engine.turn(engine::EngineInput { at, entropy, event: what });
        assert!(engine.is_durable_state_recorded(), "the durable state is what the records fold to");
        self.note_head();
        self.store_outputs(out)
    }

    /// I2: what was durable stays in the chain of its epoch.
    fn note_head(&mut self) {
        let Some(Head { epoch, seq, hash, .. }) = self.head() else { return };
        let mut after = self.heads.range((epoch, seq)..=(epoch, u64::MAX));
        let lost = after.find(|(_, other)| **other != hash);
        let number = self.number;
        assert!(lost.is_none(), "kiosk {number}: {lost:x?} was durable and is not before record {seq}");
        if self.newest != (epoch, seq) {
            self.newest = (epoch, seq);
            self.heads.insert(self.newest, hash);
        }
    }

    /// The machine is suspended: the monotonic clock stands still.
    pub(crate) const fn suspend(&mut self, ms: u64) {
        self.started_at += ms;
    }

    /// The process crashes, or the power fails.
    pub(crate) fn crash(&mut self, seed: u64, cache_survives: bool) {
        self.engine = None;
        self.view = None;
        self.said.clear();
        self.durable = DurableRecords::default();
        self.disk.lock().power_cut(seed);
        if !cache_survives {
            self.cache = CacheSnapshot::default();
        }
    }

    /// The newest head of the journal of the running process.
    pub(crate) fn head(&self) -> Option<Head> {
        self.engine.as_ref()?.journal_head()
    }

    pub(crate) const fn has_copy(&self) -> bool {
        self.copy.is_some()
    }

    /// Copies the disk, or, while the process does not run, restores it from its copy. True when it was restored.
    pub(crate) fn copy_or_restore_disk(&mut self) -> bool {
        let copy = if self.is_running() { None } else { self.copy.take() };
        let is_restored = copy.is_some();
        if let Some(copy) = copy {
            *self.disk.lock() = copy;
            self.durable = DurableRecords::default();
            self.has_lost_records = true;
            self.heads.clear();
        } else {
            self.copy = Some(self.disk.lock().backup());
        }
        is_restored
    }

    /// Turns a bit of any segment, or makes it unreadable: the platform may not have its records. Returns whether it was a bit.
    pub(crate) fn damage_any_segment(&mut self, draw: &mut dyn FnMut(usize) -> usize) -> Option<bool> {
        let is_running = self.is_running();
        if is_running {
            // What was shown so far was durable.
            self.durable.update(self.disk.lock().durable_copy(), self.number);
        }
        let mut disk = self.disk.lock();
        let mut names = disk.list().ok()?;
        names.sort();
        // The newest records are the likeliest that the platform does not have.
        let back = match draw(4) {
            0 | 1 => 0,
            2 => 1,
            _ => draw(names.len().max(1)),
        };
        let name = names.iter().nth_back(back)?;
        self.is_unreadable |= is_running && Some(name) == names.last();
        self.has_lost_records = true;
        self.is_rotten = true;
        // If the last unit rots, it is cut as the end of an unfinished write.
        let last =
            self.heads.range((self.newest.0, 0)..=(self.newest.0, u64::MAX)).next_back().map(|(at, _)| *at);
        last.and_then(|at| self.heads.remove(&at));
        let is_bit = draw(4) > 0;
        if is_bit {
            let length = disk.file_len(name).max(1);
            let within = [LAST_BYTES, NEWEST_BYTES, length, length][draw(4)].min(length);
            disk.flip_bit(name, length - 1 - draw(within));
        } else {
            disk.fail_reads(name);
        }
        Some(is_bit)
    }

    /// Stores outputs for the screen and the cache; returns the others.
    fn store_outputs(&mut self, out: Vec<Output>) -> Vec<Output> {
        let mut rest = Vec::new();
        for out in out {
            match out {
                Output::Show(view) => {
                    self.unchecked.push((*view).clone());
                    self.view = Some(*view);
                }
                Output::Cache(CacheEntry { key: CacheKey::Feed, bytes }) => self.cache.feed = Some(bytes),
                Output::Effect(_) | Output::Send(_) | Output::Reconcile => rest.push(out),
            }
        }
        rest
    }

    /// Number of journal segments that were begun so far.
    pub(crate) fn segments_begun(&self) -> u64 {
        let names = self.disk.lock().list().unwrap();
        let last = names.iter().filter_map(|name| name.split('-').next()?.parse::<u64>().ok()).max();
        last.map_or(0, |last| last + 1)
    }

    fn engine_config(&self) -> EngineConfig<SharedDisk> {
        let setup = KioskSetup {
            kiosk: kiosk_id(self.number),
            profile: SiteProfile::DistrictHall,
            hall: Bilingual { zh: "渝北区政务服务大厅".into(), en: "Yubei".into() },
            utc_offset_minutes: 480,
            receipt_url: "http://127.0.0.1/r/".into(),
            code_rules: Some(CodeRules {
                root_key: root_key().public(),
                city: "YK".into(),
                past_s: 15,
                ahead_s: 15,
                unsynced_hours: 72,
            }),
            gate_rules: None,
            equipment: Equipment {
                card_reader: true,
                code_reader: true,
                id_reader: true,
                receipt_printer: true,
                ..Equipment::default()
            },
            time_limits: TimeLimits::default(),
            staff_keys: Vec::new(),
            texts: Arc::clone(&TEXTS),
        };
        let disk = self.disk.clone();
        EngineConfig {
            setup: Arc::new(setup),
            journal: JournalOpener {
                disk: Box::new(move || Ok(disk.clone())),
                wrap_key: WRAP_KEY.into(),
                software: "simulation".into(),
                configuration: "00".into(),
                limits: JournalLimits { segment_bytes: SEGMENT_BYTES, ..JournalLimits::new(u64::MAX) },
            },
            device_key: device_key(self.number),
            catalogue_key: catalogue_key().public(),
            cached: self.cache.clone(),
        }
    }

    /// Number of printed copies without copy mark, by receipt.
    pub(crate) fn unmarked_copies(&self) -> BTreeMap<ReceiptId, u32> {
        let mut copies = BTreeMap::new();
        for (receipt, _) in self.printed.iter().filter(|(_, marked)| !marked) {
            *copies.entry(*receipt).or_default() += 1;
        }
        copies
    }
}
