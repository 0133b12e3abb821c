//! The fixture of these tests, in memory: platform, acquirer, department and three kiosks, which exchange bytes, and a
//! clock that only the test advances.

use acquirer::{Charge, Ledger, Outcome};
use contract::{
    CallAnswer, CallRequest, CardEvidence, ChargeRequest, ChargeState, ConsentId, DeviceId, Identified,
    IdentifyRequest, InquireRequest, Method, Money, OrderId, OrderItem, Presented, Problem, ProblemCode,
    Profile, Row, SecretKey, UnixMs, VisitId, VisitKey,
};
use department::{BillsRequest, Booking, Books, Payment};
use resident_code::FormatKey;
use rusqlite::Connection;
use serde::{Serialize, de::DeserializeOwned};
use server::{
    Device, OutAnswer, OutCall, Peer, Platform, Reply, Request, Response, Setup, Unreachable, Verb,
    residents_of,
};

pub(crate) const RESIDENTS: &str = include_str!("../../../../assets/residents.toml");
pub(crate) const DOCUMENTS: [&str; 3] = [
    include_str!("../../../../assets/services/insurance-proof.toml"),
    include_str!("../../../../assets/services/medical-balance.toml"),
    include_str!("../../../../assets/services/water-pay.toml"),
];
/// A resident of the demo file with bills and a card that gives all data without authentication.
pub(crate) const ZHANG: Person = Person { slug: "zhang-guiying", card: 0 };
/// A resident whose card gives its holder's data only after card authentication.
pub(crate) const WANG: Person = Person { slug: "wang-jianguo", card: 1 };

/// A resident whose ID number ends with an X.
pub(crate) const RAN: Person = Person { slug: "ran-guangming", card: 4 };

#[derive(Clone, Copy)]
pub(crate) struct Person {
    pub(crate) slug: &'static str,
    card: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kiosk {
    One,
    Two,
    /// A kiosk with a profile for which no service is offered.
    Gate,
}

impl Kiosk {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "K-1",
            Self::Two => "K-2",
            Self::Gate => "K-3",
        }
    }

    pub(crate) fn id(self) -> DeviceId {
        self.name().parse().unwrap()
    }

    pub(crate) fn key(self) -> SecretKey {
        let byte = self.name().as_bytes()[2];
        SecretKey::from_bytes(&[byte; 32]).unwrap()
    }
}

pub(crate) fn setup() -> Setup {
    let profile = |kiosk| if kiosk == Kiosk::Gate { Profile::Gate } else { Profile::DistrictHall };
    let devices = [Kiosk::One, Kiosk::Two, Kiosk::Gate].map(|kiosk| Device {
        id: kiosk.id(),
        key: kiosk.key().public(),
        name: "大厅".into(),
        profile: profile(kiosk),
    });
    Setup {
        catalogue: SecretKey::from_bytes(&[9; 32]).unwrap(),
        format: FormatKey::new(1, [5; 32]),
        devices: devices.into(),
        documents: DOCUMENTS.map(str::to_owned).into(),
        residents: residents_of(RESIDENTS).unwrap(),
        codes: None,
        clients: Vec::new(),
        cards: None,
    }
}

pub(crate) fn books() -> Books {
    let mut books = Books::open(Connection::open_in_memory().unwrap()).unwrap();
    for (id_number, bill) in department::bills_of(RESIDENTS).unwrap() {
        books.issue(&id_number, &bill).unwrap();
    }
    books
}

pub(crate) struct City {
    pub(crate) platform: Platform,
    pub(crate) acquirer: Ledger,
    pub(crate) department: Books,
    pub(crate) now: UnixMs,
    /// Whether the acquirer accepts a charge.
    pub(crate) accepts: bool,
    drawn: u128,
}

impl City {
    pub(crate) fn new() -> Self {
        Self::with(setup())
    }

    pub(crate) fn with(setup: Setup) -> Self {
        Self::over(Connection::open_in_memory().unwrap(), setup)
    }

    /// A city on a database that already holds data.
    pub(crate) fn over(db: Connection, setup: Setup) -> Self {
        Self {
            platform: Platform::open(db, setup).unwrap(),
            acquirer: Ledger::open(Connection::open_in_memory().unwrap()).unwrap(),
            department: books(),
            now: UnixMs(1_795_500_000_000),
            accepts: true,
            drawn: 0,
        }
    }

    pub(crate) fn draw(&mut self) -> u128 {
        self.drawn += 1;
        self.drawn
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    /// Sends a request to the platform and returns its first reply.
    pub(crate) fn handle(&mut self, request: &Request) -> Reply {
        let entropy = self.draw();
        self.platform.handle(request, self.now, entropy)
    }

    pub(crate) fn resume(&mut self, call: &OutCall, result: Result<OutAnswer, Unreachable>) -> Reply {
        let entropy = self.draw();
        self.platform.resume(call, result, self.now, entropy)
    }

    /// A system behind the platform executes a call and answers it.
    pub(crate) fn serve(&mut self, call: &OutCall) -> OutAnswer {
        let json = |status, body| OutAnswer { status, body };
        match (call.peer, call.target.as_str()) {
            (Peer::Acquirer, "/charges") => {
                let charge: Charge = serde_json::from_slice(&call.body).unwrap();
                let answer = self.acquirer.charge(&charge, self.accepts, self.now.0).unwrap();
                json(200, serde_json::to_vec(&answer).unwrap())
            }
            (Peer::Acquirer, target) => {
                let order = target.strip_prefix("/charges/").and_then(|rest| rest.strip_suffix("/inquire"));
                let answer = self.acquirer.inquire(order.unwrap(), self.now.0).unwrap();
                json(200, serde_json::to_vec(&answer).unwrap())
            }
            (Peer::Department, "/bills") => {
                let request: BillsRequest = serde_json::from_slice(&call.body).unwrap();
                json(200, serde_json::to_vec(&self.department.open_bills(&request).unwrap()).unwrap())
            }
            // Tests that need a ticket pass the identity service's answer themselves.
            (Peer::Identity, _) => json(410, Vec::new()),
            (Peer::Department, _) => {
                let payment: Payment = serde_json::from_slice(&call.body).unwrap();
                json(if self.department.book(&payment).is_ok() { 204 } else { 409 }, Vec::new())
            }
        }
    }

    /// Continues until the platform responds; all systems behind the platform work.
    pub(crate) fn conclude(&mut self, mut reply: Reply) -> Response {
        loop {
            match reply {
                Reply::Done(response) => return response,
                Reply::Ask(call) => {
                    let answer = self.serve(&call);
                    reply = self.resume(&call, Ok(answer));
                }
            }
        }
    }

    /// Sends a kiosk's request and returns its answer.
    pub(crate) fn ask<T: Serialize, A: DeserializeOwned>(
        &mut self,
        kiosk: Kiosk,
        target: &str,
        body: &T,
    ) -> Result<A, ProblemCode> {
        let request = self.post(kiosk, target, body);
        let reply = self.handle(&request);
        outcome(&self.conclude(reply))
    }

    pub(crate) fn post<T: Serialize>(&self, kiosk: Kiosk, target: &str, body: &T) -> Request {
        let body = serde_json::to_vec(body).unwrap();
        Request::signed(Verb::Post, target, body, kiosk.name(), &kiosk.key(), self.now)
    }

    /// Runs the platform's background jobs for one hour of the clock; all systems behind the platform work.
    pub(crate) fn settle(&mut self) {
        for _ in 0..60 {
            self.pass(60_000);
            for call in self.platform.due(self.now) {
                self.conclude(Reply::Ask(call));
            }
        }
    }

    pub(crate) fn visit_by_card(&mut self, kiosk: Kiosk, person: Person) -> Identified {
        let visit = VisitId::from_entropy(self.draw());
        let presented = Presented::Card(card(person));
        self.ask(kiosk, "/v1/identify", &IdentifyRequest { visit, presented }).unwrap()
    }

    /// 亮码: the text of the online token that the person's phone shows now.
    pub(crate) fn code(&mut self, person: Person) -> String {
        let reply = self.handle(&Request::get(format!("/phone/{}/token", person.slug)));
        let shown: serde_json::Value = serde_json::from_slice(&self.conclude(reply).body).unwrap();
        shown["text"].as_str().unwrap().to_owned()
    }

    pub(crate) fn call(
        &mut self,
        kiosk: Kiosk,
        key: &VisitKey,
        service: &str,
        operation: &str,
        consent: Option<ConsentId>,
    ) -> Result<Vec<Row>, ProblemCode> {
        let (operation, service) = (operation.to_owned(), service.to_owned());
        let request = CallRequest { key: key.clone(), operation, consent, service };
        self.ask(kiosk, "/v1/calls", &request).map(|answer: CallAnswer| answer.rows)
    }

    pub(crate) fn bills(&mut self, kiosk: Kiosk, key: &VisitKey) -> Vec<Row> {
        self.call(kiosk, key, "water.pay", "water.bills", None).unwrap()
    }

    /// A charge request for one bill of the person at this kiosk.
    pub(crate) fn order(&mut self, kiosk: Kiosk, person: Person, bill: usize) -> ChargeRequest {
        let key = self.visit_by_card(kiosk, person).key.clone();
        let rows = self.bills(kiosk, &key);
        let order = OrderId::from_entropy(self.draw());
        order_for(order, key, &rows[bill..=bill])
    }

    pub(crate) fn inquire(&mut self, kiosk: Kiosk, order: OrderId) -> Result<ChargeState, ProblemCode> {
        self.ask(kiosk, "/v1/inquiries", &InquireRequest { order })
    }

    pub(crate) fn charge(
        &mut self,
        kiosk: Kiosk,
        request: &ChargeRequest,
    ) -> Result<ChargeState, ProblemCode> {
        self.ask(kiosk, "/v1/charges", request)
    }

    /// The orders that the acquirer charged for a bill.
    pub(crate) fn charged(&self, bill: &str) -> Vec<String> {
        let entries = self.acquirer.entries().unwrap();
        let paid = entries.iter().filter(|entry| matches!(entry.answer.outcome, Outcome::Paid { .. }));
        paid.filter(|entry| entry.bills.iter().any(|key| key == bill))
            .map(|entry| entry.answer.order.clone())
            .collect()
    }

    pub(crate) fn booked(&self, bill: &str) -> Vec<Booking> {
        self.department.bookings().unwrap().into_iter().filter(|booking| booking.key == bill).collect()
    }

    pub(crate) fn page(&mut self, target: &str) -> (u16, String) {
        let reply = self.handle(&Request::get(target));
        let response = self.conclude(reply);
        (response.status, String::from_utf8(response.body).unwrap())
    }
}

pub(crate) fn outcome<A: DeserializeOwned>(response: &Response) -> Result<A, ProblemCode> {
    if response.status == 200 {
        return Ok(serde_json::from_slice(&response.body).unwrap());
    }
    let problem: Problem = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((problem.status, problem.code.status()), (response.status, response.status));
    Err(problem.code)
}

pub(crate) fn order_for(order: OrderId, key: VisitKey, rows: &[Row]) -> ChargeRequest {
    let items: Vec<OrderItem> = rows
        .iter()
        .map(|row| OrderItem {
            key: row["bill"].clone(),
            label: row["period"].clone(),
            payee: row["payee"].clone(),
            amount: Money::from_fen(row["amount"].parse().unwrap()).unwrap(),
        })
        .collect();
    let total = Money::sum(items.iter().map(|item| item.amount)).unwrap();
    ChargeRequest { order, key, items, total, method: Method::CardAccount }
}

/// The evidence that a card reader reads from the person's card.
pub(crate) fn card(person: Person) -> CardEvidence {
    let file: toml::Table = RESIDENTS.parse().unwrap();
    let found = &file["resident"][person.card];
    assert_eq!(found["id"].as_str(), Some(person.slug));
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let version = text(&found["card"]["version"]);
    let whole = version != "3.00";
    CardEvidence {
        identification: text(&found["card"]["identification"]),
        number: text(&found["card"]["number"]),
        version,
        id_number: whole.then(|| text(&found["id_number"])),
        name: whole.then(|| text(&found["name"])),
        authenticated: false,
    }
}
