//! The fixture of these tests, in memory: platform, acquirer, departments and three kiosks, which exchange bytes, and a
//! clock that only the test advances.

use std::collections::BTreeMap;

use contract::{
    AnswerRow, CallAnswer, CallRequest, CardEvidence, ChargeRequest, ChargeState, ConsentId, IdentifyAnswer,
    IdentifyRequest, InquiryRequest, KioskId, Money, OrderId, OrderItem, PaymentMethod, PresentedCredential,
    Problem, ProblemCode, SecretKey, SiteProfile, TicketId, UnixMs, VisitId, VisitKey,
};
use contract::{HttpMethod, routes};
use resident_code::FormatKey;
use rusqlite::Connection;
use sandbox::acquirer::{AcquirerChargeRequest, ChargeLedger, OrderOutcome};
use serde::{Serialize, de::DeserializeOwned};
use server::{
    Peer, PeerAnswer, PeerCall, PeerUnreachable, Platform, PlatformReply, PlatformRequest, PlatformResponse,
    PlatformSetup, RegisteredKiosk, parse_demo_residents,
};

use crate::departments::{Departments, platform_key};
use crate::publications::publication;

pub(crate) const RESIDENTS: &str = include_str!("../../../../assets/residents.toml");
pub(crate) const DOCUMENTS: [&str; 3] = [
    include_str!("../../../../assets/services/insurance-proof.toml"),
    include_str!("../../../../assets/services/medical-balance.toml"),
    include_str!("../../../../assets/services/water-pay.toml"),
];
/// A resident of the demo file with bills and a card that gives all data without authentication.
pub(crate) const ZHANG_GUIYING: FixtureResident = FixtureResident { slug: "zhang-guiying", card: 0 };
/// A resident whose card gives its holder's data only after card authentication.
pub(crate) const WANG_JIANGUO: FixtureResident = FixtureResident { slug: "wang-jianguo", card: 1 };

/// A resident whose ID number ends with an X.
pub(crate) const RAN_GUANGMING: FixtureResident = FixtureResident { slug: "ran-guangming", card: 4 };

#[derive(Clone, Copy)]
pub(crate) struct FixtureResident {
    pub(crate) slug: &'static str,
    card: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TestKiosk {
    One,
    Two,
    /// A kiosk with a profile for which no service is offered.
    Gate,
}

impl TestKiosk {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "K-1",
            Self::Two => "K-2",
            Self::Gate => "K-3",
        }
    }

    pub(crate) fn id(self) -> KioskId {
        self.name().parse().unwrap()
    }

    pub(crate) fn key(self) -> SecretKey {
        let byte = self.name().as_bytes()[2];
        SecretKey::from_bytes(&[byte; 32]).unwrap()
    }
}

pub(crate) fn setup() -> PlatformSetup {
    let profile =
        |kiosk| if kiosk == TestKiosk::Gate { SiteProfile::Gate } else { SiteProfile::DistrictHall };
    let devices = [TestKiosk::One, TestKiosk::Two, TestKiosk::Gate].map(|kiosk| RegisteredKiosk {
        id: kiosk.id(),
        key: kiosk.key().public(),
        name: "大厅".into(),
        profile: profile(kiosk),
    });
    PlatformSetup {
        format_key: FormatKey::new(1, [5; 32]),
        kiosks: devices.into(),
        publication: publication(DOCUMENTS.map(str::to_owned)),
        department_key: platform_key(),
        residents: parse_demo_residents(RESIDENTS).unwrap(),
        code_authority: None,
        relying_parties: Vec::new(),
        card_root_keys: None,
    }
}

pub(crate) struct CityFixture {
    pub(crate) platform: Platform,
    pub(crate) acquirer: ChargeLedger,
    pub(crate) departments: Departments,
    pub(crate) now: UnixMs,
    /// Whether the acquirer accepts a charge.
    pub(crate) accepts: bool,
    entropy_count: u128,
}

impl CityFixture {
    pub(crate) fn new() -> Self {
        Self::with(setup())
    }

    pub(crate) fn with(setup: PlatformSetup) -> Self {
        Self::with_database(Connection::open_in_memory().unwrap(), setup)
    }

    /// A city on a database that already holds data.
    pub(crate) fn with_database(db: Connection, setup: PlatformSetup) -> Self {
        Self {
            platform: Platform::open(db, setup).unwrap(),
            acquirer: ChargeLedger::open(Connection::open_in_memory().unwrap()).unwrap(),
            departments: Departments::new(),
            now: UnixMs(1_795_500_000_000),
            accepts: true,
            entropy_count: 0,
        }
    }

    pub(crate) fn next_entropy(&mut self) -> u128 {
        self.entropy_count += 1;
        self.entropy_count
    }

    pub(crate) fn advance(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    /// Sends a request to the platform and returns its first reply.
    pub(crate) fn handle(&mut self, request: &PlatformRequest) -> PlatformReply {
        let entropy = self.next_entropy();
        self.platform.handle(request, self.now, entropy)
    }

    pub(crate) fn resume(
        &mut self,
        call: &PeerCall,
        result: Result<PeerAnswer, PeerUnreachable>,
    ) -> PlatformReply {
        let entropy = self.next_entropy();
        self.platform.resume(call, result, self.now, entropy)
    }

    /// A system behind the platform executes a call and answers it.
    pub(crate) fn serve(&mut self, call: &PeerCall) -> PeerAnswer {
        let json = PeerAnswer::unsigned;
        match (&call.peer, call.target.as_str()) {
            (Peer::Acquirer, "/charges") => {
                let charge: AcquirerChargeRequest = serde_json::from_slice(&call.body).unwrap();
                let answer = self.acquirer.charge(&charge, self.accepts, self.now.0).unwrap();
                json(200, serde_json::to_vec(&answer).unwrap())
            }
            (Peer::Acquirer, "/charges/list") => {
                let request = serde_json::from_slice(&call.body).unwrap();
                json(200, serde_json::to_vec(&self.acquirer.paid_orders(&request).unwrap()).unwrap())
            }
            (Peer::Acquirer, target) => {
                let order = target.strip_prefix("/charges/").and_then(|rest| rest.strip_suffix("/inquire"));
                let answer = self.acquirer.inquire(order.unwrap(), self.now.0).unwrap();
                json(200, serde_json::to_vec(&answer).unwrap())
            }
            // Tests that need a ticket pass the identity service's answer themselves.
            (Peer::Identity, _) => json(410, Vec::new()),
            (Peer::Department(_), _) => self.departments.serve(call, self.now),
        }
    }

    /// Continues until the acquirer must be called or the platform responds; the department works.
    pub(crate) fn continue_to_acquirer(&mut self, mut reply: PlatformReply) -> PlatformReply {
        loop {
            match reply {
                PlatformReply::CallPeer(call) if matches!(call.peer, Peer::Department(_)) => {
                    let answer = self.serve(&call);
                    reply = self.resume(&call, Ok(answer));
                }
                PlatformReply::CallPeer(_) | PlatformReply::Answer(_) => return reply,
            }
        }
    }

    /// Continues until the platform responds; all systems behind the platform work.
    pub(crate) fn complete(&mut self, mut reply: PlatformReply) -> PlatformResponse {
        loop {
            match reply {
                PlatformReply::Answer(response) => return response,
                PlatformReply::CallPeer(call) => {
                    let answer = self.serve(&call);
                    reply = self.resume(&call, Ok(answer));
                }
            }
        }
    }

    /// Sends a kiosk's request and returns its answer.
    pub(crate) fn request<T: Serialize, A: DeserializeOwned>(
        &mut self,
        kiosk: TestKiosk,
        target: &str,
        body: &T,
    ) -> Result<A, ProblemCode> {
        let request = self.signed_post(kiosk, target, body);
        let reply = self.handle(&request);
        answer_or_problem(&self.complete(reply))
    }

    pub(crate) fn signed_post<T: Serialize>(
        &self,
        kiosk: TestKiosk,
        target: &str,
        body: &T,
    ) -> PlatformRequest {
        let body = serde_json::to_vec(body).unwrap();
        PlatformRequest::signed(HttpMethod::Post, target, body, kiosk.name(), &kiosk.key(), self.now)
    }

    /// Runs the platform's background jobs for one hour of the clock; all systems behind the platform work.
    pub(crate) fn run_background_jobs(&mut self) {
        for _ in 0..60 {
            self.advance(60_000);
            for call in self.platform.due_calls(self.now) {
                self.complete(PlatformReply::CallPeer(call));
            }
        }
    }

    pub(crate) fn visit_by_card(&mut self, kiosk: TestKiosk, person: FixtureResident) -> IdentifyAnswer {
        let visit = VisitId::from_entropy(self.next_entropy());
        let presented = PresentedCredential::Card(card_evidence(person));
        self.request(kiosk, routes::IDENTIFY.path, &IdentifyRequest { visit, presented }).unwrap()
    }

    /// 亮码: the text of the online token that the person's phone shows now.
    pub(crate) fn online_token(&mut self, person: FixtureResident) -> String {
        let reply = self.handle(&PlatformRequest::get(format!("/phone/{}/token", person.slug)));
        let shown: serde_json::Value = serde_json::from_slice(&self.complete(reply).body).unwrap();
        shown["text"].as_str().unwrap().to_owned()
    }

    pub(crate) fn call(
        &mut self,
        kiosk: TestKiosk,
        key: &VisitKey,
        service: &str,
        operation: &str,
        consent: Option<ConsentId>,
    ) -> Result<Vec<AnswerRow>, ProblemCode> {
        let request = call_request(key, service, operation, consent);
        self.request(kiosk, routes::CALLS.path, &request).map(|answer: CallAnswer| answer.rows)
    }

    /// Calls an operation with inputs, and with a ticket where one is asked for.
    pub(crate) fn call_with(
        &mut self,
        key: &VisitKey,
        service: &str,
        operation: &str,
        input: &[(&str, &str)],
        ticket: Option<TicketId>,
    ) -> Result<CallAnswer, ProblemCode> {
        let mut request = call_request(key, service, operation, None);
        request.input = input.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        request.ticket = ticket;
        self.request(TestKiosk::One, routes::CALLS.path, &request)
    }

    pub(crate) fn bills(&mut self, kiosk: TestKiosk, key: &VisitKey) -> Vec<AnswerRow> {
        self.call(kiosk, key, "water.pay", "water.bills", None).unwrap()
    }

    /// A charge request for one bill of the person at this kiosk.
    pub(crate) fn charge_request(
        &mut self,
        kiosk: TestKiosk,
        person: FixtureResident,
        bill: usize,
    ) -> ChargeRequest {
        let key = self.visit_by_card(kiosk, person).key.clone();
        let rows = self.bills(kiosk, &key);
        let order = OrderId::from_entropy(self.next_entropy());
        order_for(order, key, &rows[bill..=bill])
    }

    pub(crate) fn inquire(&mut self, kiosk: TestKiosk, order: OrderId) -> Result<ChargeState, ProblemCode> {
        self.request(kiosk, routes::INQUIRIES.path, &InquiryRequest { order })
    }

    pub(crate) fn charge(
        &mut self,
        kiosk: TestKiosk,
        request: &ChargeRequest,
    ) -> Result<ChargeState, ProblemCode> {
        self.request(kiosk, routes::CHARGES.path, request)
    }

    /// The orders that the acquirer charged for a bill.
    pub(crate) fn orders_charged_for(&self, bill: &str) -> Vec<String> {
        let entries = self.acquirer.entries().unwrap();
        let paid = entries.iter().filter(|entry| matches!(entry.answer.outcome, OrderOutcome::Paid { .. }));
        paid.filter(|entry| entry.bills.iter().any(|key| key == bill))
            .map(|entry| entry.answer.order.clone())
            .collect()
    }

    pub(crate) fn page(&mut self, target: &str) -> (u16, String) {
        let reply = self.handle(&PlatformRequest::get(target));
        let response = self.complete(reply);
        (response.status, String::from_utf8(response.body).unwrap())
    }
}

/// A call without inputs.
pub(crate) fn call_request(
    key: &VisitKey,
    service: &str,
    operation: &str,
    consent: Option<ConsentId>,
) -> CallRequest {
    CallRequest {
        key: key.clone(),
        operation: operation.to_owned(),
        consent,
        service: service.to_owned(),
        input: BTreeMap::new(),
        ticket: None,
    }
}

pub(crate) fn answer_or_problem<A: DeserializeOwned>(response: &PlatformResponse) -> Result<A, ProblemCode> {
    if response.status == 200 {
        return Ok(serde_json::from_slice(&response.body).unwrap());
    }
    let problem: Problem = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((problem.status, problem.code.status()), (response.status, response.status));
    Err(problem.code)
}

pub(crate) fn order_for(order: OrderId, key: VisitKey, rows: &[AnswerRow]) -> ChargeRequest {
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
    ChargeRequest { order, key, items, total, method: PaymentMethod::CardAccount }
}

/// The evidence that a card reader reads from the person's card.
pub(crate) fn card_evidence(person: FixtureResident) -> CardEvidence {
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
