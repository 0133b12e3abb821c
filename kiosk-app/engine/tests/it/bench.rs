//! Test fixture: an engine with a simulated disk, platform and clock.

use std::sync::Arc;

use contract::{CardEvidence, CodeRules, Confirmation, OrderId, Profile, SecretKey, UnixMs};
use engine::{
    Engine, Exchange, Failed, Fittings, Input, LogSettings, Memo, Out, Place, Remembered, UplinkAnswer,
    UplinkRequest, What,
};
pub(crate) use journal::faulty::SharedDisk;
use session::{
    Answer, CardEvent, Device, Effect, Equipment, Event, Health, Mono, Now, PrintResult, Setup, Times, Work,
};
use view::{Body, Intent, Text, TextId, Texts, Verdict, View};

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
pub(crate) enum Charges {
    /// Request and answer arrive.
    Answered,
    /// The request arrives, its answer is lost.
    AnswerLost,
    /// The request is lost.
    RequestLost,
}

pub(crate) struct Bench {
    pub(crate) engine: Engine<SharedDisk>,
    pub(crate) disk: SharedDisk,
    pub(crate) platform: Platform,
    /// Outputs that are not handled yet.
    pub(crate) waiting: Vec<Out>,
    pub(crate) view: Option<View>,
    /// Orders whose charge was requested since the start of this engine.
    pub(crate) charges: Vec<OrderId>,
    pub(crate) inquiries: Vec<OrderId>,
    /// Whether the screen has shown an order as paid.
    pub(crate) told_paid: bool,
    pub(crate) out_of_service: u32,
    /// Whether the uplink's requests are answered.
    pub(crate) link: bool,
    /// The values that a cache would hold now.
    pub(crate) kept: Remembered,
    now: Now,
    entropy: u128,
}

fn fittings(
    disk: &SharedDisk,
    remembered: Remembered,
    high_water: u64,
    codes: Option<CodeRules>,
) -> Fittings<SharedDisk> {
    let setup = Setup {
        device: device(),
        profile: Profile::VillagePoint,
        hall: contract::Bilingual { zh: "龙溪村便民服务点".into(), en: "Longxi".into() },
        utc_offset_minutes: 480,
        receipt_url: "http://127.0.0.1/r/".into(),
        codes,
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
    let disk = disk.clone();
    Fittings {
        setup: Arc::new(setup),
        log: LogSettings {
            disk: Box::new(move || Ok(disk.clone())),
            wrap: [9; 16].into(),
            software: "test".into(),
            configuration: "00".into(),
            high_water,
        },
        device_key: Arc::new(device_key()),
        catalogue_key: city_key().public(),
        remembered,
    }
}

pub(crate) fn device_key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32]).unwrap()
}

impl Bench {
    /// A kiosk in service with one service, healthy devices and link.
    pub(crate) fn new() -> Self {
        Self::on(SharedDisk::default(), Platform::with_services(&[WATER]), 1)
    }

    /// Starts an engine on a disk that may hold a journal. `entropy` seeds its ids.
    pub(crate) fn on(disk: SharedDisk, platform: Platform, entropy: u128) -> Self {
        Self::start(disk, platform, entropy, Remembered::default(), u64::MAX, None)
    }

    pub(crate) fn with_room(disk: SharedDisk, platform: Platform, entropy: u128, high_water: u64) -> Self {
        Self::start(disk, platform, entropy, Remembered::default(), high_water, None)
    }

    /// Starts an engine with cached values.
    pub(crate) fn remembering(disk: SharedDisk, platform: Platform, entropy: u128, kept: Remembered) -> Self {
        Self::start(disk, platform, entropy, kept, u64::MAX, None)
    }

    /// Starts an engine that validates codes offline, with the root key `root`.
    pub(crate) fn judging(
        disk: SharedDisk,
        platform: Platform,
        entropy: u128,
        kept: Remembered,
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
        kept: Remembered,
        high_water: u64,
        codes: Option<CodeRules>,
    ) -> Self {
        let now = Now { mono: Mono(1_000), wall: UnixMs(1_795_000_000_000) };
        let entropy = entropy << 64;
        let (engine, out) = Engine::start(fittings(&disk, kept.clone(), high_water, codes), now, entropy);
        let mut bench = Self {
            engine,
            disk,
            platform,
            waiting: Vec::new(),
            view: None,
            charges: Vec::new(),
            inquiries: Vec::new(),
            told_paid: false,
            out_of_service: 0,
            link: true,
            kept,
            now,
            entropy,
        };
        bench.take(out);
        for device in [Device::CardReader, Device::CodeReader, Device::IdReader, Device::Printer] {
            bench.event(Event::Health(device, Health::Ready));
        }
        bench
    }

    fn take(&mut self, out: Vec<Out>) {
        for out in out {
            match out {
                Out::Show(view) => {
                    match &view.body {
                        Body::Outcome(outcome) if outcome.verdict == Verdict::Closed => {
                            self.out_of_service += 1
                        }
                        Body::Outcome(outcome) if outcome.word == Text::Id(TextId::Paid) => {
                            self.told_paid = true;
                        }
                        _ => {}
                    }
                    self.view = Some(*view);
                }
                Out::Remember(Memo { place: Place::Log, bytes }) => self.kept.log = Some(bytes),
                Out::Remember(Memo { place: Place::Shelf, bytes }) => self.kept.shelf = Some(bytes),
                out => {
                    match &out {
                        Out::Effect(Effect::Charge(charge)) => self.charges.push(charge.order),
                        Out::Effect(Effect::Inquire(order)) => self.inquiries.push(*order),
                        _ => {}
                    }
                    self.waiting.push(out);
                }
            }
        }
    }

    /// The kiosk's wall time.
    pub(crate) fn wall(&self) -> u64 {
        self.now.wall.0
    }

    pub(crate) fn turn(&mut self, what: What) {
        self.entropy += 1;
        let out = self.engine.turn(Input { at: self.now, entropy: self.entropy, what });
        self.take(out);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.turn(What::Event(event));
    }

    pub(crate) fn touch(&mut self, intent: Intent) {
        let on = self.view().id;
        self.event(Event::Touch { on, intent });
    }

    pub(crate) fn view(&self) -> &View {
        self.view.as_ref().unwrap()
    }

    pub(crate) fn closed(&self) -> bool {
        matches!(&self.view().body, Body::Outcome(outcome) if outcome.verdict == Verdict::Closed)
    }

    /// Advances the time: every deadline gets its tick, and there is no other input.
    pub(crate) fn wait(&mut self, ms: u64) {
        let end = self.now.mono.plus_ms(ms);
        for _ in 0..10_000 {
            let to = self.engine.wake().min(end).max(self.now.mono);
            let passed = to.0 - self.now.mono.0;
            self.now = Now { mono: to, wall: self.now.wall.plus_ms(passed) };
            if to == end {
                return self.turn(What::Tick);
            }
            self.turn(What::Tick);
        }
        panic!("the engine ticks in an endless loop");
    }

    /// Answers all waiting outputs, and those that result from the answers.
    pub(crate) fn answer_all(&mut self, charges: Charges) {
        for _ in 0..1_000 {
            if self.waiting.is_empty() {
                return;
            }
            let out = self.waiting.remove(0);
            self.answer(out, charges);
        }
        panic!("the engine sends requests in an endless loop");
    }

    fn answer(&mut self, out: Out, charges: Charges) {
        let exchange = Exchange { sent: self.now.wall, received: self.now.wall };
        match out {
            Out::Effect(Effect::Do { ticket, work, .. }) => {
                let answer = match work {
                    Work::Identify(_) => Answer::Identified(identified("张三丰")),
                    Work::Call(_) => Answer::Called(bills()),
                    Work::Prove(_) => unreachable!("no answer code is shown here"),
                    Work::AskAuthority(_) | Work::Authenticate(_) => {
                        unreachable!("cards of version 2.00 need no authentication")
                    }
                    Work::VerifyPin(_) | Work::ChangePin { .. } => Answer::Pin(session::PinAnswer::Verified),
                };
                self.event(Event::Answer(ticket, Ok(answer)));
            }
            Out::Effect(Effect::Charge(request)) => {
                if charges == Charges::RequestLost {
                    return;
                }
                let state = self.platform.charge(&request);
                if charges == Charges::Answered {
                    self.event(Event::Payment(request.order, Ok(state)));
                }
            }
            Out::Effect(Effect::Inquire(order)) => {
                let state = self.platform.inquire(order);
                self.event(Event::Payment(order, Ok(state)));
            }
            Out::Effect(Effect::Print { receipt, .. }) => {
                self.event(Event::Paper(receipt, PrintResult::Printed(Confirmation::Fenced)));
            }
            Out::Send(UplinkRequest::Changes { since }) => {
                let answer = self.link.then(|| self.platform.changes(since, self.now.wall)).ok_or(Failed);
                self.turn(What::Uplink(UplinkAnswer::Changes(exchange, answer)));
            }
            Out::Send(UplinkRequest::Records(body)) => {
                let now = self.now.wall;
                let answer =
                    self.link.then(|| self.platform.records(&body, &device_key(), now)).ok_or(Failed);
                self.turn(What::Uplink(UplinkAnswer::Records(exchange, answer)));
            }
            Out::Effect(Effect::Cancel(_)) | Out::Show(_) | Out::Remember(_) => {}
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
    pub(crate) fn visit(&mut self, charges: Charges) {
        let key = resident_code::FormatKey::new(1, [9; 32]);
        let token: [u8; 16] = self.entropy.to_be_bytes();
        let code = resident_code::OnlineToken::issue(token, &key).to_text();
        self.event(Event::Code(code.into_bytes().into()));
        self.answer_all(charges);
        for intent in [Intent::Open(0), Intent::Toggle(0), Intent::Go, Intent::Go] {
            self.touch(intent);
            self.answer_all(charges);
        }
        self.touch(Intent::Go);
        self.answer_all(charges);
        self.touch(Intent::Leave);
        self.answer_all(charges);
    }

    /// Advances the time and answers everything, until all open work is finished.
    pub(crate) fn settle(&mut self) {
        for _ in 0..20 {
            self.answer_all(Charges::Answered);
            self.wait(20_000);
        }
        self.answer_all(Charges::Answered);
    }
}
