//! Test fixture: an engine with a simulated disk, platform and clock.

use std::sync::Arc;

use contract::{CardEvidence, CodeRules, Confirmation, OrderId, SecretKey, SiteProfile, UnixMs};
use engine::{
    CacheEntry, CacheKey, CacheSnapshot, Engine, EngineConfig, EngineInput, ExchangeFailed, ExchangeTiming,
    InputEvent, JournalOpener, Output, UplinkAnswer, UplinkRequest,
};
pub(crate) use faulty_disk::SharedDisk;
use journal::JournalLimits;
use session::{
    CardEvent, CardWork, DeviceKind, DeviceState, Effect, Equipment, Event, KioskSetup, MonotonicMs, Now,
    PlatformWork, PrintResult, TimeLimits, Work, WorkAnswer,
};
use view::{Body, Intent, OutcomeKind, Text, TextId, Texts, View};

use crate::platform::{Platform, bills, city_key, device, identified};

pub(crate) const WATER: &str = r#"
id = "water.pay"
version = 1
title = { zh = "水费缴纳", en = "Water bill" }
hint = { zh = "查询并缴纳", en = "See and pay" }
scene = "living"
profiles = ["village-point"]
level = "recognised"
offline = "refuse"
[[step]]
do = "query"
id = "bills"
call = "water.bills"
many = true
answer = { bill = "key", payee = "text", period = { type = "text", zh = "账期", en = "Period" }, amount = { type = "money", zh = "金额", en = "Amount" } }
none = { zh = "没有待缴的水费", en = "Nothing to pay" }
[[step]]
do = "choose"
id = "picked"
from = "bills"
title = { zh = "请选择要缴的水费", en = "Choose" }
show = ["period", "amount"]
max = 2
[[step]]
do = "pay"
id = "paid"
items = "picked"
methods = ["resident-code", "card-account"]
[[step]]
do = "print"
id = "slip"
title = { zh = "缴费凭条", en = "Receipt" }
with = ["paid"]
"#;

/// How the charge of the scripted visit is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChargeOutcome {
    /// Request and answer arrive.
    Answered,
    /// The request arrives, its answer is lost.
    AnswerLost,
    /// The request is lost.
    RequestLost,
}

pub(crate) struct Fixture {
    pub(crate) engine: Engine<SharedDisk>,
    pub(crate) disk: SharedDisk,
    pub(crate) platform: Platform,
    /// Outputs that are not handled yet.
    pub(crate) pending: Vec<Output>,
    pub(crate) view: Option<View>,
    /// Orders whose charge was requested since the start of this engine.
    pub(crate) charges: Vec<OrderId>,
    pub(crate) inquiries: Vec<OrderId>,
    /// Whether the screen has shown an order as paid.
    pub(crate) shown_paid: bool,
    pub(crate) out_of_service: u32,
    /// Whether the uplink's requests are answered.
    pub(crate) link_up: bool,
    /// Batches of records are held back instead of answered.
    pub(crate) holds_records: bool,
    held: Option<Vec<u8>>,
    /// The values that a cache would hold now.
    pub(crate) cached: CacheSnapshot,
    now: Now,
    entropy: u128,
}

fn engine_config(
    disk: &SharedDisk,
    remembered: CacheSnapshot,
    high_water: u64,
    codes: Option<CodeRules>,
) -> EngineConfig<SharedDisk> {
    let setup = KioskSetup {
        kiosk: device(),
        profile: SiteProfile::VillagePoint,
        hall: contract::Bilingual { zh: "龙溪村便民服务点".into(), en: "Longxi".into() },
        utc_offset_minutes: 480,
        receipt_url: "http://127.0.0.1/r/".into(),
        code_rules: codes,
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
        texts: Arc::new(Texts::built_in()),
    };
    let disk = disk.clone();
    EngineConfig {
        setup: Arc::new(setup),
        journal: JournalOpener {
            disk: Box::new(move || Ok(disk.clone())),
            wrap_key: [9; 16].into(),
            software: "test".into(),
            configuration: "00".into(),
            limits: JournalLimits::new(high_water),
        },
        device_key: Arc::new(device_key()),
        catalogue_key: city_key().public(),
        cached: remembered,
    }
}

pub(crate) fn device_key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32]).unwrap()
}

impl Fixture {
    /// A kiosk in service with one service, healthy devices and link.
    pub(crate) fn new() -> Self {
        Self::start_on(SharedDisk::default(), Platform::with_services(&[WATER]), 1)
    }

    /// Starts an engine on a disk that may hold a journal. `entropy` seeds its ids.
    pub(crate) fn start_on(disk: SharedDisk, platform: Platform, entropy: u128) -> Self {
        Self::start(disk, platform, entropy, CacheSnapshot::default(), u64::MAX, None)
    }

    pub(crate) fn with_high_water(
        disk: SharedDisk,
        platform: Platform,
        entropy: u128,
        high_water: u64,
    ) -> Self {
        Self::start(disk, platform, entropy, CacheSnapshot::default(), high_water, None)
    }

    /// Starts an engine with cached values.
    pub(crate) fn with_cache(
        disk: SharedDisk,
        platform: Platform,
        entropy: u128,
        kept: CacheSnapshot,
    ) -> Self {
        Self::start(disk, platform, entropy, kept, u64::MAX, None)
    }

    /// Starts an engine that validates codes offline, with the root key `root`.
    pub(crate) fn with_code_rules(
        disk: SharedDisk,
        platform: Platform,
        entropy: u128,
        kept: CacheSnapshot,
        root: &SecretKey,
    ) -> Self {
        let (root_key, city) = (root.public(), "YK".to_owned());
        let codes = CodeRules { root_key, city, past_s: 15, ahead_s: 15, unsynced_hours: 72 };
        Self::start(disk, platform, entropy, kept, u64::MAX, Some(codes))
    }

    fn start(
        disk: SharedDisk,
        platform: Platform,
        entropy: u128,
        kept: CacheSnapshot,
        high_water: u64,
        codes: Option<CodeRules>,
    ) -> Self {
        let now = Now { mono: MonotonicMs(1_000), wall: UnixMs(1_795_000_000_000) };
        let entropy = entropy << 64;
        let (engine, out) =
            Engine::start(engine_config(&disk, kept.clone(), high_water, codes), now, entropy);
        let mut bench = Self {
            engine,
            disk,
            platform,
            pending: Vec::new(),
            view: None,
            charges: Vec::new(),
            inquiries: Vec::new(),
            shown_paid: false,
            out_of_service: 0,
            link_up: true,
            holds_records: false,
            held: None,
            cached: kept,
            now,
            entropy,
        };
        bench.handle_outputs(out);
        for device in
            [DeviceKind::CardReader, DeviceKind::CodeReader, DeviceKind::IdReader, DeviceKind::ReceiptPrinter]
        {
            bench.event(Event::DeviceStateChanged(device, DeviceState::Ready));
        }
        bench
    }

    fn handle_outputs(&mut self, out: Vec<Output>) {
        for out in out {
            match out {
                Output::Show(view) => {
                    match &view.body {
                        Body::Outcome(outcome) if outcome.kind == OutcomeKind::Closed => {
                            self.out_of_service += 1
                        }
                        Body::Outcome(outcome) if outcome.headline == Text::Id(TextId::Paid) => {
                            self.shown_paid = true;
                        }
                        _ => {}
                    }
                    self.view = Some(*view);
                }
                Output::Cache(CacheEntry { key: CacheKey::Feed, bytes }) => self.cached.feed = Some(bytes),
                out => {
                    match &out {
                        Output::Effect(Effect::Charge(charge)) => self.charges.push(charge.order),
                        Output::Effect(Effect::Inquire(order)) => self.inquiries.push(*order),
                        _ => {}
                    }
                    self.pending.push(out);
                }
            }
        }
    }

    /// The kiosk's wall time.
    pub(crate) fn wall(&self) -> u64 {
        self.now.wall.0
    }

    pub(crate) fn turn(&mut self, what: InputEvent) {
        self.entropy += 1;
        let out = self.engine.turn(EngineInput { at: self.now, entropy: self.entropy, event: what });
        assert!(self.engine.is_durable_state_recorded(), "the durable state is what the records fold to");
        self.handle_outputs(out);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.turn(InputEvent::Kiosk(event));
    }

    pub(crate) fn touch(&mut self, intent: Intent) {
        let on = self.view().id;
        self.event(Event::Touch { view: on, intent });
    }

    pub(crate) fn view(&self) -> &View {
        self.view.as_ref().unwrap()
    }

    pub(crate) fn is_out_of_service(&self) -> bool {
        matches!(&self.view().body, Body::Outcome(outcome) if outcome.kind == OutcomeKind::Closed)
    }

    /// Advances the time: every deadline gets its tick, and there is no other input.
    pub(crate) fn advance(&mut self, ms: u64) {
        let end = self.now.mono.plus_ms(ms);
        for _ in 0..10_000 {
            let to = self.engine.next_deadline().min(end).max(self.now.mono);
            let passed = to.0 - self.now.mono.0;
            self.now = Now { mono: to, wall: self.now.wall.plus_ms(passed) };
            if to == end {
                return self.turn(InputEvent::Tick);
            }
            self.turn(InputEvent::Tick);
        }
        panic!("the engine ticks in an endless loop");
    }

    /// Answers all waiting outputs, and those that result from the answers.
    pub(crate) fn answer_all(&mut self, charges: ChargeOutcome) {
        if !self.holds_records {
            let held = self.held.take().map(|body| Output::Send(UplinkRequest::Records(body)));
            self.pending.extend(held);
        }
        for _ in 0..1_000 {
            if self.pending.is_empty() {
                return;
            }
            let out = self.pending.remove(0);
            self.answer(out, charges);
        }
        panic!("the engine sends requests in an endless loop");
    }

    fn answer(&mut self, out: Output, charges: ChargeOutcome) {
        let exchange = ExchangeTiming { sent: self.now.wall, received: self.now.wall };
        match out {
            Output::Effect(Effect::StartWork { ticket, work, .. }) => {
                let answer = match work {
                    Work::Platform(PlatformWork::Identify(_)) => WorkAnswer::Identified(identified("张三丰")),
                    Work::Platform(PlatformWork::CallOperation(_)) => WorkAnswer::CallAnswered(bills()),
                    Work::Platform(PlatformWork::ReportEvidence(_)) => {
                        unreachable!("no answer code is shown here")
                    }
                    Work::Platform(PlatformWork::RequestCardAuthentication(_))
                    | Work::Card(CardWork::Authenticate(_)) => {
                        unreachable!("cards of version 2.00 need no authentication")
                    }
                    Work::Card(CardWork::VerifyPin(_)) | Work::Card(CardWork::ChangePin { .. }) => {
                        WorkAnswer::Pin(session::PinAnswer::Verified)
                    }
                };
                self.event(Event::WorkAnswered(ticket, Ok(answer)));
            }
            Output::Effect(Effect::Charge(request)) => {
                if charges == ChargeOutcome::RequestLost {
                    return;
                }
                let state = self.platform.charge(&request);
                if charges == ChargeOutcome::Answered {
                    self.event(Event::PaymentAnswered(request.order, Ok(state)));
                }
            }
            Output::Effect(Effect::Inquire(order)) => {
                let state = self.platform.inquire(order);
                self.event(Event::PaymentAnswered(order, Ok(state)));
            }
            Output::Effect(Effect::Print { receipt, .. }) => {
                self.event(Event::PrintFinished(
                    receipt,
                    PrintResult::Printed(Confirmation::BarrierAnswered),
                ));
            }
            Output::Send(UplinkRequest::Changes { since, feed }) => {
                let answer = self
                    .link_up
                    .then(|| self.platform.changes(since, feed, self.now.wall))
                    .ok_or(ExchangeFailed);
                self.turn(InputEvent::Uplink(UplinkAnswer::Changes(exchange, answer)));
            }
            Output::Send(UplinkRequest::Records(body)) => {
                let now = self.now.wall;
                if self.holds_records {
                    self.held = Some(body);
                    return;
                }
                let answer = self
                    .link_up
                    .then(|| self.platform.records(&body, &device_key(), now))
                    .ok_or(ExchangeFailed);
                self.turn(InputEvent::Uplink(UplinkAnswer::Records(exchange, answer)));
            }
            Output::Reconcile => {
                let now = self.now.wall;
                let answer = self.link_up.then(|| self.platform.unreported(now)).ok_or(ExchangeFailed);
                self.turn(InputEvent::Uplink(UplinkAnswer::UnreportedOrders(answer)));
            }
            Output::Effect(Effect::CancelWork(_)) | Output::Show(_) | Output::Cache(_) => {}
        }
    }

    pub(crate) fn insert_card(&mut self) {
        self.event(Event::Card(CardEvent::Inserted));
        let evidence = CardEvidence {
            identification: "500000D1560000050000000000000001".into(),
            number: "A12345678".into(),
            version: "2.00".into(),
            id_number: None,
            name: None,
            authenticated: false,
        };
        self.event(Event::Card(CardEvent::Read { evidence, valid_to: None }));
    }

    /// A scripted visit: a resident shows a code, pays the first bill, takes the receipt and leaves. Touches are made
    /// in any state of the kiosk; the script does not check its progress.
    pub(crate) fn visit(&mut self, charges: ChargeOutcome) {
        let key = resident_code::FormatKey::new(1, [9; 32]);
        let token: [u8; 16] = self.entropy.to_be_bytes();
        let code = resident_code::OnlineToken::issue(token, &key).to_text();
        self.event(Event::CodeScanned(code.into_bytes().into()));
        self.answer_all(charges);
        for intent in [Intent::OpenTile(0), Intent::ToggleRow(0), Intent::Primary, Intent::Primary] {
            self.touch(intent);
            self.answer_all(charges);
        }
        self.touch(Intent::Primary);
        self.answer_all(charges);
        self.touch(Intent::EndVisit);
        self.answer_all(charges);
    }

    /// Advances the time and answers everything, until all open work is finished.
    pub(crate) fn finish_open_work(&mut self) {
        for _ in 0..20 {
            self.answer_all(ChargeOutcome::Answered);
            self.advance(20_000);
        }
        self.answer_all(ChargeOutcome::Answered);
    }
}
