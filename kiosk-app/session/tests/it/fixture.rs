//! Fixture: a real state machine, with clock and answers under control of the test, and records kept in memory.

use std::sync::Arc;

use contract::{
    CallAnswer, CardEvidence, ChargeRequest, ChargeState, Confirmation, Entry, Evidence, IdCardEvidence,
    IdentifyAnswer, Level, OrderId, PrintForm, Pseudonym, Receipt, ReceiptId, ServiceDocument, Settlement,
    SiteProfile, StaffKey, UnixMs, VisitKey,
};
use session::{
    CardEvent, Catalogue, DeviceKind, DeviceState, Durable, Effect, Equipment, Event, Failure, IdCardEvent,
    Kiosk, KioskInput, KioskSetup, MonotonicMs, Now, PinAnswer, PlatformWork, PrintResult, Ticket,
    TimeLimits, Work, WorkAnswer,
};
use view::{Body, Intent, Outcome, Text, TextId, Texts, View};

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
methods = ["card-account", "resident-code"]
[[step]]
do = "print"
id = "slip"
title = { zh = "缴费凭条", en = "Receipt" }
with = ["paid"]
"#;

pub(crate) const PROOF: &str = r#"
id = "insurance.proof"
version = 2
title = { zh = "参保证明", en = "Proof" }
hint = { zh = "打印参保证明", en = "Print" }
scene = "social-insurance"
profiles = ["village-point"]
level = "recognised"
offline = "refuse"
[[step]]
do = "consent"
id = "agreed"
purpose = { zh = "打印参保证明", en = "Print the proof" }
items = [{ zh = "参保状态", en = "Status" }]
recipient = { zh = "本人", en = "You" }
days = 0
[[step]]
do = "query"
id = "proof"
call = "insurance.proof"
consent = "agreed"
personal = true
answer = { months = { type = "text", zh = "缴费月数", en = "Months" } }
none = { zh = "没有参保记录", en = "No record" }
[[step]]
do = "show"
id = "seen"
from = "proof"
title = { zh = "您的参保信息", en = "Your record" }
show = ["months"]
[[step]]
do = "print"
id = "slip"
form = "sheet"
title = { zh = "参保证明", en = "Proof" }
with = ["proof"]
show = ["months"]
"#;

/// A service that needs a step-up.
pub(crate) const PAIRING: &str = r#"
id = "phone.pairing"
version = 1
title = { zh = "开通手机", en = "Phone" }
hint = { zh = "凭卡和密码开通", en = "Card and PIN" }
scene = "certificates"
profiles = ["village-point"]
level = "proven"
offline = "refuse"
[[step]]
do = "query"
id = "pairing"
call = "phone.pairing"
answer = { code = "key" }
none = { zh = "现在不能开通", en = "Not now" }
[[step]]
do = "show-code"
id = "shown"
from = "pairing"
field = "code"
title = { zh = "请用手机扫这个码", en = "Scan this" }
lead = { zh = "五分钟内有效", en = "Five minutes" }
steps = [{ zh = "对准这个码", en = "Point at it" }]
"#;

/// A service that acts on the card itself.
pub(crate) const NEW_PIN: &str = r#"
id = "social-card.pin"
version = 1
title = { zh = "修改密码", en = "Change PIN" }
hint = { zh = "需要现在的密码", en = "You need the present one" }
scene = "social-insurance"
profiles = ["village-point"]
level = "recognised"
offline = "refuse"
[[step]]
do = "change-pin"
id = "changed"
"#;

pub(crate) const NAME: &str = "张三丰";
pub(crate) const ID_NUMBER: &str = "500101199001011239";

pub(crate) struct Fixture {
    pub(crate) kiosk: Kiosk,
    pub(crate) log: Vec<Entry>,
    /// What the log folds to.
    pub(crate) folded: Durable,
    pub(crate) effects: Vec<Effect>,
    now: Now,
    entropy: u128,
}

/// Wall-clock time at the start of a fixture, in ms.
pub(crate) const WALL: u64 = 1_795_000_000_000;

pub(crate) fn setup() -> Arc<KioskSetup> {
    Arc::new(plain_setup())
}

/// Configuration of a kiosk that judges codes without the platform.
pub(crate) fn setup_with_codes() -> Arc<KioskSetup> {
    let root_key = contract::SecretKey::from_bytes(&[0x0e; 32]).unwrap().public();
    let city = "YK".to_owned();
    let codes = contract::CodeRules { root_key, city, past_s: 15, ahead_s: 15, unsynced_hours: 72 };
    Arc::new(KioskSetup { code_rules: Some(codes), ..plain_setup() })
}

/// Configuration of a kiosk that accepts these staff cards.
pub(crate) fn setup_with_staff(staff: Vec<StaffKey>) -> Arc<KioskSetup> {
    Arc::new(KioskSetup { staff_keys: staff, ..plain_setup() })
}

pub(crate) fn plain_setup() -> KioskSetup {
    KioskSetup {
        kiosk: "K-VP-0001".parse().unwrap(),
        profile: SiteProfile::VillagePoint,
        hall: contract::Bilingual { zh: "龙溪村便民服务点".into(), en: "Longxi".into() },
        utc_offset_minutes: 480,
        receipt_url: "http://127.0.0.1/r/".into(),
        equipment: Equipment {
            card_reader: true,
            code_reader: true,
            id_reader: true,
            receipt_printer: true,
            ..Equipment::default()
        },
        code_rules: None,
        gate_rules: None,
        time_limits: TimeLimits::default(),
        staff_keys: Vec::new(),
        texts: Arc::new(Texts::built_in()),
    }
}

pub(crate) fn catalogue() -> Catalogue {
    let services = [WATER, PROOF, PAIRING, NEW_PIN]
        .map(|text| ServiceDocument::parse(text).unwrap())
        .map(|doc| (doc.id.clone(), Arc::new(doc)))
        .into();
    Catalogue { cursor: 1, services, ..Catalogue::default() }
}

/// What these entries fold to.
pub(crate) fn fold(entries: &[Entry]) -> Durable {
    let mut durable = Durable::default();
    entries.iter().for_each(|entry| durable.apply(entry, UnixMs(WALL)));
    durable
}

impl Fixture {
    /// A kiosk whose devices and link all work.
    pub(crate) fn new() -> Self {
        let mut fixture = Self::recovered(Durable::default());
        fixture.set_devices_ready();
        fixture
    }

    fn set_devices_ready(&mut self) {
        for device in
            [DeviceKind::CardReader, DeviceKind::CodeReader, DeviceKind::IdReader, DeviceKind::ReceiptPrinter]
        {
            self.event(Event::DeviceStateChanged(device, DeviceState::Ready));
        }
        self.event(Event::LinkChanged(true));
    }

    /// A kiosk with this configuration whose devices and link all work.
    pub(crate) fn working(setup: Arc<KioskSetup>) -> Self {
        let mut fixture = Self::set_up(setup, Durable::default());
        fixture.set_devices_ready();
        fixture
    }

    /// A kiosk whose devices and link work, with an A4 printer that has not reported yet.
    pub(crate) fn with_sheet_printer() -> Self {
        let mut setup = plain_setup();
        setup.equipment.document_printer = true;
        let mut fixture = Self::set_up(Arc::new(setup), Durable::default());
        fixture.set_devices_ready();
        fixture
    }

    pub(crate) fn recovered(durable: Durable) -> Self {
        Self::set_up(setup(), durable)
    }

    pub(crate) fn set_up(setup: Arc<KioskSetup>, durable: Durable) -> Self {
        let now = Now { mono: MonotonicMs(1_000), wall: UnixMs(WALL) };
        let (kiosk, transition) = Kiosk::recover(setup, catalogue(), durable.clone(), now);
        let mut fixture =
            Self { kiosk, log: Vec::new(), folded: durable, effects: Vec::new(), now, entropy: 1 };
        fixture.commit(transition);
        fixture
    }

    fn commit(&mut self, transition: session::Transition) {
        let append = |records: &[Entry]| {
            self.log.extend_from_slice(records);
            records.iter().for_each(|entry| self.folded.apply(entry, self.now.wall));
            Ok::<(), ()>(())
        };
        self.effects.extend(transition.commit(append).unwrap());
        assert_eq!(self.kiosk.durable(), &self.folded, "the durable state is what the records fold to");
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.entropy += 1;
        let input = KioskInput { at: self.now, entropy: self.entropy, event };
        let transition = self.kiosk.handle(input);
        self.commit(transition);
    }

    pub(crate) fn touch(&mut self, intent: Intent) {
        let on = self.kiosk.view().id;
        self.event(Event::Touch { view: on, intent });
    }

    /// Lets time pass, with a tick at every deadline.
    pub(crate) fn wait(&mut self, ms: u64) {
        let end = self.now.mono.plus_ms(ms);
        for _ in 0..10_000 {
            let next = self.kiosk.next_deadline().filter(|at| *at <= end);
            let to = next.unwrap_or(end);
            let passed = to.0.saturating_sub(self.now.mono.0);
            self.now =
                Now { mono: MonotonicMs(self.now.mono.0 + passed), wall: self.now.wall.plus_ms(passed) };
            if next.is_none() {
                return;
            }
            self.event(Event::Tick);
        }
        panic!("the kiosk requests ticks without end");
    }

    pub(crate) fn wall(&self) -> u64 {
        self.now.wall.0
    }

    /// Recovers the kiosk after a crash: only the records remain. The wall clock does not go back.
    pub(crate) fn crashed(self, setup: Arc<KioskSetup>) -> Self {
        let now = Now { mono: MonotonicMs(7), wall: self.now.wall };
        let Self { log, folded, entropy, .. } = self;
        let (kiosk, transition) = Kiosk::recover(setup, catalogue(), folded.clone(), now);
        let mut fixture = Self { kiosk, log, folded, effects: Vec::new(), now, entropy };
        fixture.commit(transition);
        fixture
    }

    pub(crate) fn view(&self) -> View {
        self.kiosk.view().clone()
    }

    pub(crate) fn shown_outcome(&self) -> Outcome {
        match self.view().body {
            Body::Outcome(outcome) => outcome,
            other => panic!("expected an outcome: {other:?}"),
        }
    }

    /// Takes the last piece of work that was started.
    pub(crate) fn pending_work(&mut self) -> (Ticket, Work) {
        let at = self
            .effects
            .iter()
            .rposition(|effect| matches!(effect, Effect::StartWork { .. }))
            .expect("work that was started");
        match self.effects.remove(at) {
            Effect::StartWork { ticket, work, .. } => (ticket, work),
            _ => unreachable!(),
        }
    }

    pub(crate) fn charges(&self) -> Vec<&ChargeRequest> {
        self.effects.iter().filter_map(|e| if let Effect::Charge(c) = e { Some(c) } else { None }).collect()
    }

    pub(crate) fn inquiries(&self) -> Vec<OrderId> {
        self.effects.iter().filter_map(|e| if let Effect::Inquire(o) = e { Some(*o) } else { None }).collect()
    }

    pub(crate) fn prints(&self) -> Vec<(ReceiptId, Receipt, Option<String>)> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Print { receipt, content, copy_mark: mark, .. } => {
                    Some((*receipt, content.clone(), mark.clone()))
                }
                _ => None,
            })
            .collect()
    }

    /// The printers of the print effects, in order.
    pub(crate) fn printed_on(&self) -> Vec<PrintForm> {
        let on =
            |effect: &Effect| if let Effect::Print { printer: on, .. } = effect { Some(*on) } else { None };
        self.effects.iter().filter_map(on).collect()
    }

    pub(crate) fn insert_card(&mut self) {
        self.event(Event::Card(CardEvent::Inserted));
        self.event(Event::Card(CardEvent::Read { evidence: evidence(), valid_to: Some("20360101".into()) }));
    }

    pub(crate) fn begin_by_card(&mut self) {
        self.insert_card();
        let (ticket, _) = self.pending_work();
        self.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Identified(identified(Evidence::CardRead)))));
    }

    pub(crate) fn lay_id_card(&mut self) {
        self.event(Event::IdCard(IdCardEvent::Detected));
        let valid_to = Some("20360101".into());
        self.event(Event::IdCard(IdCardEvent::Read { evidence: id_evidence(), valid_to }));
    }

    pub(crate) fn begin_by_id_card(&mut self) {
        self.lay_id_card();
        let (ticket, _) = self.pending_work();
        self.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Identified(identified(Evidence::IdCardRead)))));
    }

    pub(crate) fn begin_by_code(&mut self, token: u8) {
        self.event(Event::CodeScanned(code(token).into_bytes().into()));
        let (ticket, _) = self.pending_work();
        self.event(Event::WorkAnswered(
            ticket,
            Ok(WorkAnswer::Identified(identified(Evidence::TokenConsumed))),
        ));
    }

    /// Opens the service whose tile has this title.
    pub(crate) fn open(&mut self, title: &str) {
        let Body::Menu(tiles) = self.view().body else { panic!("expected the menu") };
        let tile = tiles.iter().find(|tile| tile.title == Text::Data(title.into())).expect("the tile");
        self.touch(tile.intent);
    }

    /// Offers these services, and no others.
    pub(crate) fn offer(&mut self, service: &str) {
        let doc = ServiceDocument::parse(service).unwrap();
        let services = [(doc.id.clone(), Arc::new(doc))].into();
        self.event(Event::CatalogueChanged(Catalogue { cursor: 9, services, ..Catalogue::default() }));
    }

    pub(crate) fn answer_rows(&mut self, rows: &[&[(&str, &str)]]) {
        let (ticket, work) = self.pending_work();
        assert!(matches!(work, Work::Platform(PlatformWork::CallOperation(_))));
        let rows = rows
            .iter()
            .map(|row| row.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
            .collect();
        self.event(Event::WorkAnswered(
            ticket,
            Ok(WorkAnswer::CallAnswered(CallAnswer { rows, next: None, refused: None })),
        ));
    }

    pub(crate) fn open_bills(&mut self) {
        self.open("水费缴纳");
        self.answer_rows(&[
            &[("bill", "w-10"), ("payee", "重庆自来水"), ("period", "2026年10月"), ("amount", "8640")],
            &[("bill", "w-09"), ("payee", "重庆自来水"), ("period", "2026年9月"), ("amount", "8160")],
            &[("bill", "w-08"), ("payee", "重庆自来水"), ("period", "2026年8月"), ("amount", "10230")],
        ]);
    }

    /// Begins a visit by code and charges the first bill; returns the order.
    pub(crate) fn charge(&mut self) -> OrderId {
        self.begin_by_code(1);
        self.charge_in_this_visit()
    }

    pub(crate) fn charge_in_this_visit(&mut self) -> OrderId {
        self.open_bills();
        self.touch(Intent::ToggleRow(0));
        self.touch(Intent::Primary);
        self.touch(Intent::Primary);
        self.charges().last().expect("a charge effect").order
    }

    /// From the menu of a visit by card, pays the first bill with a correct PIN.
    pub(crate) fn pay_by_card(&mut self) {
        self.open_bills();
        for intent in [Intent::ToggleRow(0), Intent::Primary, Intent::Primary] {
            self.touch(intent);
        }
        for digit in [1, 2, 3, 4, 5, 6] {
            self.touch(Intent::PinDigit(digit));
        }
        self.touch(Intent::Primary);
        let (ticket, _) = self.pending_work();
        self.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(PinAnswer::Verified))));
    }

    pub(crate) fn settle_as_paid(&mut self, order: OrderId) {
        let settlement = Settlement::Paid { reference: "A1".into(), at: self.now.wall };
        self.event(Event::PaymentAnswered(order, Ok(ChargeState::Settled { settlement })));
    }

    pub(crate) fn lose_answer(&mut self, order: OrderId) {
        self.event(Event::PaymentAnswered(order, Err(Failure::Unreachable)));
    }

    pub(crate) fn finish_print(&mut self, receipt: ReceiptId) {
        self.event(Event::PrintFinished(receipt, PrintResult::Printed(Confirmation::BarrierAnswered)));
    }

    pub(crate) fn count(&self, of: impl Fn(&Entry) -> bool) -> usize {
        self.log.iter().filter(|entry| of(entry)).count()
    }

    /// The id of the fixed text of the view's title.
    pub(crate) fn title(&self) -> TextId {
        match self.view().title {
            Text::Id(id) | Text::With(id, _) => id,
            Text::Entered(_) => panic!("the title is what a resident entered"),
            Text::Data(data) => panic!("the title is a text of a document: {data}"),
        }
    }
}

pub(crate) fn evidence() -> CardEvidence {
    CardEvidence {
        identification: "500000D1560000050000000000000001".into(),
        number: "A12345678".into(),
        version: "2.00".into(),
        id_number: Some(ID_NUMBER.into()),
        name: Some(NAME.into()),
        authenticated: false,
    }
}

pub(crate) fn id_evidence() -> IdCardEvidence {
    IdCardEvidence { id_number: ID_NUMBER.into(), name: NAME.into() }
}

pub(crate) fn identified(evidence: Evidence) -> IdentifyAnswer {
    IdentifyAnswer {
        key: VisitKey("key".into()),
        resident: Pseudonym::from_entropy(77),
        name: NAME.into(),
        id_number: ID_NUMBER.into(),
        evidence,
        level: Level::Recognised,
        names: Vec::new(),
    }
}

pub(crate) fn code(token: u8) -> String {
    let key = resident_code::FormatKey::new(1, [9; 32]);
    resident_code::OnlineToken::issue([token; 16], &key).to_text()
}
