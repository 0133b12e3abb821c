//! The simulation: time, the network, and the injected faults.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Confirmation, ReceiptId, UnixMs, sm3};
use engine::platform_api::{OutgoingRequest, RequestKind, ResponseHead};
use engine::{ExchangeTiming, InputEvent, Output};
use server::{PeerAnswer, PeerCall, PeerUnreachable, PlatformReply, PlatformResponse};
use session::{
    DeviceKind, DeviceState, Effect, Event, Failure, FaultReason, PinAnswer, PrintResult, CardWork, Work, WorkAnswer,
};
use view::{Body, Text, TextId};

use super::SimRng;
use super::kiosk::{START_MS, SimKiosk};
use super::peers::{SimCity, device_key, kiosk_id};
use super::phone::SimPhone;
use super::residents;

const KIOSKS: usize = 2;

/// Number of a kiosk's request that waits for an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestNumber(u64);

struct AwaitedRequest {
    kiosk: usize,
    life: u64,
    asked: RequestKind,
    sent: UnixMs,
}

enum SimEvent {
    Wake {
        kiosk: usize,
        life: u64,
    },
    ResidentActs(usize),
    Device {
        kiosk: usize,
        life: u64,
        event: Event,
    },
    PrintDone {
        kiosk: usize,
        life: u64,
        receipt: ReceiptId,
        marked: bool,
        result: PrintResult,
        comes_out: bool,
    },
    /// A request reaches the platform; for a duplicate no kiosk waits.
    Request {
        request: server::PlatformRequest,
        wait: Option<RequestNumber>,
        fate: SimulatedFate,
    },
    Answer {
        wait: RequestNumber,
        response: Option<PlatformResponse>,
    },
    /// A call reaches a system behind the platform.
    Call {
        call: PeerCall,
        wait: Option<RequestNumber>,
        fate: SimulatedFate,
    },
    CallAnswered {
        call: PeerCall,
        answer: Option<PeerAnswer>,
        wait: Option<RequestNumber>,
        platform: u64,
        fate: SimulatedFate,
    },
    PlatformJobs,
    InjectFault,
    Start(usize),
    Repair(usize),
}

/// Whether a message and its answer are delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SimulatedFate {
    Arrives,
    LostOnTheWay,
    AnswerLost,
    AnswerGarbled,
}

pub(crate) struct Simulator {
    pub(crate) rng: SimRng,
    pub(crate) city: SimCity,
    pub(crate) kiosks: Vec<SimKiosk>,
    /// Phones by resident; none for a resident without a card in force.
    pub(crate) phones: Vec<Option<SimPhone>>,
    /// All codes that were shown, oldest first.
    pub(crate) codes: Vec<String>,
    now: u64,
    queue: BTreeMap<(u64, u64), SimEvent>,
    events_queued: u64,
    waiting: BTreeMap<RequestNumber, AwaitedRequest>,
    /// Number of process starts of the platform; an answer to a call of an earlier process is dropped.
    platform_generation: u64,
    faults_enabled: bool,
    acquirer_reachable: bool,
    pub(crate) counts: FaultCounts,
    /// Violations found on a screen during the run.
    pub(crate) violations: BTreeSet<String>,
}

/// Counts of faults and of views about them in a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FaultCounts {
    pub(crate) crashes: u64,
    pub(crate) platform_crashes: u64,
    pub(crate) disk_faults: u64,
    pub(crate) messages_lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) out_of_service: u64,
    pub(crate) shown_as_paid: u64,
}

impl Simulator {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = SimRng::new(seed);
        let terminals = (0..KIOSKS).map(|number| SimKiosk::new(number, dice.below(4_000))).collect();
        let mut city = SimCity::new(KIOSKS);
        let residents = city.residents.len();
        let bind = |resident| SimPhone::bind(&mut city, resident, UnixMs(START_MS + resident as u64));
        let phones = (0..residents).map(bind).collect();
        let mut world = Self {
            rng: dice,
            city,
            phones,
            kiosks: terminals,
            codes: Vec::new(),
            now: 0,
            queue: BTreeMap::new(),
            events_queued: 0,
            waiting: BTreeMap::new(),
            platform_generation: 0,
            faults_enabled: true,
            acquirer_reachable: true,
            counts: FaultCounts::default(),
            violations: BTreeSet::new(),
        };
        for kiosk in 0..KIOSKS {
            world.schedule(0, SimEvent::Start(kiosk));
            world.schedule(5_000, SimEvent::ResidentActs(kiosk));
        }
        world.schedule(1_000, SimEvent::PlatformJobs);
        world.schedule(15_000, SimEvent::InjectFault);
        world
    }

    pub(crate) fn wall(&self) -> UnixMs {
        UnixMs(START_MS + self.now)
    }

    /// Runs with faults and residents.
    pub(crate) fn run_with_faults(&mut self, ms: u64) {
        self.run(ms);
    }

    /// Runs without faults and without new residents, until all work is done.
    pub(crate) fn run_clean(&mut self, ms: u64) {
        self.faults_enabled = false;
        self.acquirer_reachable = true;
        for kiosk in 0..KIOSKS {
            self.repair(kiosk);
            self.set_paper(kiosk, true);
            if self.kiosks[kiosk].card.is_some() {
                self.remove_card(kiosk);
            }
        }
        self.run(ms);
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some((&(at, number), _)) = self.queue.first_key_value() {
            if at > end {
                break;
            }
            self.now = at.max(self.now);
            let Some(happening) = self.queue.remove(&(at, number)) else { break };
            self.handle_event(happening);
        }
        self.now = end;
    }

    fn schedule(&mut self, delay: u64, happening: SimEvent) {
        self.events_queued += 1;
        self.queue.insert((self.now + delay, self.events_queued), happening);
    }

    fn handle_event(&mut self, happening: SimEvent) {
        match happening {
            SimEvent::Wake { kiosk, life } => {
                let terminal = &self.kiosks[kiosk];
                if terminal.generation == life && terminal.wake().is_some_and(|at| at <= self.now) {
                    self.turn(kiosk, InputEvent::Tick);
                }
            }
            SimEvent::ResidentActs(kiosk) => {
                if self.faults_enabled {
                    self.resident_acts(kiosk);
                    let pause = residents::pause(&mut self.rng);
                    self.schedule(pause, SimEvent::ResidentActs(kiosk));
                }
            }
            SimEvent::Device { kiosk, life, event } => {
                if self.kiosks[kiosk].generation == life {
                    self.event(kiosk, event);
                }
            }
            SimEvent::PrintDone { kiosk, life, receipt, marked, result, comes_out } => {
                // The copy is printed even if the kiosk's process has crashed in the meantime.
                if comes_out {
                    self.kiosks[kiosk].printed.push((receipt, marked));
                }
                if self.kiosks[kiosk].generation == life {
                    self.event(kiosk, Event::PrintFinished(receipt, result));
                }
            }
            SimEvent::Request { request, wait, fate } => self.request_arrives(&request, wait, fate),
            SimEvent::Answer { wait, response } => self.answer_arrives(wait, response),
            SimEvent::Call { call, wait, fate } => self.call_arrives(call, wait, fate),
            SimEvent::CallAnswered { call, answer, wait, platform, fate } => {
                if platform == self.platform_generation {
                    let (now, entropy) = (self.wall(), self.rng.next_u128());
                    let reply = self.city.platform.resume(&call, answer.ok_or(PeerUnreachable), now, entropy);
                    self.platform_replies(reply, wait, fate);
                }
            }
            SimEvent::PlatformJobs => {
                for call in self.city.platform.due_calls(self.wall()) {
                    self.send_call(call, None, SimulatedFate::Arrives);
                }
                self.schedule(2_000, SimEvent::PlatformJobs);
            }
            SimEvent::InjectFault => {
                if self.faults_enabled {
                    self.inject_fault();
                    let next = 2_000 + self.rng.below(12_000);
                    self.schedule(next, SimEvent::InjectFault);
                }
            }
            SimEvent::Start(kiosk) => {
                if !self.kiosks[kiosk].is_running() {
                    let entropy = self.rng.next_u128();
                    let out = self.kiosks[kiosk].start(self.now, entropy);
                    self.execute_outputs(kiosk, out);
                }
            }
            SimEvent::Repair(kiosk) => self.repair(kiosk),
        }
    }

    pub(crate) fn event(&mut self, kiosk: usize, event: Event) {
        self.turn(kiosk, InputEvent::Kiosk(event));
    }

    fn turn(&mut self, kiosk: usize, what: InputEvent) {
        let entropy = self.rng.next_u128();
        let out = self.kiosks[kiosk].turn(self.now, entropy, what);
        self.execute_outputs(kiosk, out);
    }

    fn execute_outputs(&mut self, kiosk: usize, out: Vec<Output>) {
        self.check_screen(kiosk);
        for out in out {
            match out {
                Output::Effect(effect) => self.execute_effect(kiosk, effect),
                Output::Send(request) => self.send(kiosk, OutgoingRequest::uplink(request)),
                Output::Show(_) | Output::Cache(_) => {}
            }
        }
        let life = self.kiosks[kiosk].generation;
        if let Some(wake) = self.kiosks[kiosk].wake() {
            let delay = wake.saturating_sub(self.now).max(1);
            self.schedule(delay, SimEvent::Wake { kiosk, life });
        }
    }

    fn check_screen(&mut self, kiosk: usize) {
        let Some(view) = &self.kiosks[kiosk].view else { return };
        if matches!(view.body, Body::Welcome(_)) && view.header.resident.is_some() {
            self.violations.insert("the welcome view names a resident".into());
        }
        let shown = format!("{view:?}");
        for resident in &self.city.residents {
            if shown.contains(&resident.name) || shown.contains(&resident.id_number) {
                self.violations.insert(format!("{} is on the screen unmasked", resident.slug));
            }
        }
        if let Body::Outcome(outcome) = &view.body {
            self.counts.shown_as_paid += u64::from(outcome.headline == Text::Id(TextId::Paid));
            self.counts.out_of_service += u64::from(outcome.kind == view::OutcomeKind::Closed);
        }
    }

    fn execute_effect(&mut self, kiosk: usize, effect: Effect) {
        let life = self.kiosks[kiosk].generation;
        match effect {
            Effect::StartWork { ticket, work: Work::Card(CardWork::VerifyPin(_)) | Work::Card(CardWork::ChangePin { .. }), .. } => {
                let answer = if self.rng.percent(80) {
                    PinAnswer::Verified
                } else {
                    PinAnswer::Wrong { tries_left: 5 }
                };
                let event = Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(answer)));
                self.schedule(300, SimEvent::Device { kiosk, life, event });
            }
            Effect::StartWork { ticket, work, .. } => {
                if let Some(request) = OutgoingRequest::work(ticket, &work) {
                    self.send(kiosk, request);
                }
            }
            Effect::Charge(charge) => self.send(kiosk, OutgoingRequest::charge(&charge)),
            Effect::Inquire(order) => self.send(kiosk, OutgoingRequest::inquire(order)),
            Effect::Print { receipt, copy_mark: mark, .. } => {
                let (comes_out, result) = match self.rng.below(10) {
                    _ if !self.kiosks[kiosk].has_paper => (false, PrintResult::NotStarted),
                    0 => (false, PrintResult::NotStarted),
                    1 => (self.rng.percent(50), PrintResult::Unconfirmed),
                    _ => (true, PrintResult::Printed(Confirmation::BarrierAnswered)),
                };
                let paper =
                    SimEvent::PrintDone { kiosk, life, receipt, marked: mark.is_some(), result, comes_out };
                self.schedule(1_200, paper);
            }
            Effect::CancelWork(_) => {}
        }
    }

    /// A kiosk sends a request to the platform.
    fn send(&mut self, kiosk: usize, request: OutgoingRequest) {
        let terminal = &self.kiosks[kiosk];
        let (life, sent) = (terminal.generation, terminal.clock_at(self.now).wall);
        let wait = RequestNumber(self.events_queued);
        self.waiting.insert(wait, AwaitedRequest { kiosk, life, asked: request.kind, sent });
        let patience = u64::try_from(request.limits.time.as_millis()).unwrap();
        self.schedule(patience, SimEvent::Answer { wait, response: None });
        let time = sent.0.to_string();
        let signed = contract::request_bytes_to_sign(request.method, &request.path, &time, &request.body);
        let signature = device_key(kiosk).sign(&signed);
        let request = server::PlatformRequest {
            method: request.method,
            target: request.path,
            device: Some(kiosk_id(kiosk).to_string()),
            time: Some(time),
            signature: Some(signature.to_string()),
            body: request.body.to_vec(),
        };
        let fate = if self.kiosks[kiosk].online { self.draw_fate() } else { SimulatedFate::LostOnTheWay };
        if fate == SimulatedFate::LostOnTheWay {
            return;
        }
        if self.faults_enabled && self.rng.percent(3) {
            self.counts.duplicates += 1;
            let (late, request) = (self.rng.below(60_000), request.clone());
            self.schedule(late, SimEvent::Request { request, wait: None, fate: SimulatedFate::AnswerLost });
        }
        let delay = self.draw_delay();
        self.schedule(delay, SimEvent::Request { request, wait: Some(wait), fate });
    }

    fn draw_fate(&mut self) -> SimulatedFate {
        if !self.faults_enabled {
            return SimulatedFate::Arrives;
        }
        let fate = match self.rng.below(100) {
            0..=3 => SimulatedFate::LostOnTheWay,
            4..=8 => SimulatedFate::AnswerLost,
            9 => SimulatedFate::AnswerGarbled,
            _ => SimulatedFate::Arrives,
        };
        self.counts.messages_lost += u64::from(fate != SimulatedFate::Arrives);
        fate
    }

    fn draw_delay(&mut self) -> u64 {
        let slow = self.faults_enabled && self.rng.percent(4);
        if slow { self.rng.below(25_000) } else { 5 + self.rng.below(250) }
    }

    fn request_arrives(
        &mut self,
        request: &server::PlatformRequest,
        wait: Option<RequestNumber>,
        fate: SimulatedFate,
    ) {
        let (now, entropy) = (self.wall(), self.rng.next_u128());
        let reply = self.city.platform.handle(request, now, entropy);
        self.platform_replies(reply, wait, fate);
    }

    fn platform_replies(&mut self, reply: PlatformReply, wait: Option<RequestNumber>, fate: SimulatedFate) {
        match reply {
            PlatformReply::CallPeer(call) => self.send_call(call, wait, fate),
            PlatformReply::Answer(mut response) => {
                let Some(wait) = wait else { return };
                match fate {
                    SimulatedFate::AnswerLost | SimulatedFate::LostOnTheWay => return,
                    SimulatedFate::AnswerGarbled => response.body.truncate(response.body.len() / 2),
                    SimulatedFate::Arrives => {}
                }
                let delay = self.draw_delay();
                self.schedule(delay, SimEvent::Answer { wait, response: Some(response) });
            }
        }
    }

    fn send_call(&mut self, call: PeerCall, wait: Option<RequestNumber>, fate: SimulatedFate) {
        let delay = self.draw_delay();
        self.schedule(delay, SimEvent::Call { call, wait, fate });
    }

    fn call_arrives(&mut self, call: PeerCall, wait: Option<RequestNumber>, fate: SimulatedFate) {
        let peer_delivery =
            if self.acquirer_reachable { self.draw_fate() } else { SimulatedFate::LostOnTheWay };
        let answer = if peer_delivery == SimulatedFate::LostOnTheWay {
            None
        } else {
            let (accepts, now) = (!self.faults_enabled || self.rng.percent(85), self.wall());
            let answer = self.city.serve(&call, accepts, now);
            (peer_delivery != SimulatedFate::AnswerLost).then_some(answer)
        };
        let (delay, platform) = (self.draw_delay(), self.platform_generation);
        self.schedule(delay, SimEvent::CallAnswered { call, answer, wait, platform, fate });
    }

    fn answer_arrives(&mut self, wait: RequestNumber, response: Option<PlatformResponse>) {
        let Some(AwaitedRequest { kiosk, life, asked, sent }) = self.waiting.remove(&wait) else { return };
        let terminal = &self.kiosks[kiosk];
        if terminal.generation != life || !terminal.is_running() {
            return;
        }
        let exchange = ExchangeTiming { sent, received: terminal.clock_at(self.now).wall };
        let what = match &response {
            Some(response) => {
                let head =
                    ResponseHead { status: response.status, content_type: Some(response.content_type) };
                asked.decode_response(exchange, Ok((head, &response.body)))
            }
            None => asked.failure_event(exchange, Failure::Unreachable),
        };
        self.turn(kiosk, what);
    }

    /// Injects one fault, or clears one.
    fn inject_fault(&mut self) {
        let kiosk = usize::try_from(self.rng.below(KIOSKS as u64)).unwrap();
        match self.rng.below(10) {
            0 | 1 => self.crash_kiosk(kiosk),
            2 | 3 => {
                let up = self.rng.percent(60);
                self.kiosks[kiosk].online = up;
            }
            4 => {
                self.platform_generation += 1;
                self.counts.platform_crashes += 1;
            }
            5 => self.acquirer_reachable = self.rng.percent(50),
            6 => {
                self.counts.disk_faults += 1;
                let left = usize::try_from(self.rng.below(4)).unwrap();
                if self.rng.percent(50) {
                    self.kiosks[kiosk].disk.lock().limit_syncs(Some(left));
                } else {
                    self.kiosks[kiosk].disk.lock().limit_space(Some(left * 150));
                }
                let healed = 3_000 + self.rng.below(10_000);
                self.schedule(healed, SimEvent::Repair(kiosk));
            }
            7 => {
                let has_paper = self.rng.percent(60);
                self.set_paper(kiosk, has_paper);
            }
            _ => self.repair(kiosk),
        }
    }

    fn crash_kiosk(&mut self, kiosk: usize) {
        if self.kiosks[kiosk].is_running() {
            self.counts.crashes += 1;
            let (seed, cache) = (self.rng.below(1 << 30), self.rng.percent(66));
            self.kiosks[kiosk].crash(seed, cache);
            // The resident takes the card along.
            self.kiosks[kiosk].card = None;
            let pause = 1_000 + self.rng.below(15_000);
            self.schedule(pause, SimEvent::Start(kiosk));
        }
    }

    fn repair(&mut self, kiosk: usize) {
        self.kiosks[kiosk].online = true;
        self.acquirer_reachable = true;
        let mut disk = self.kiosks[kiosk].disk.lock();
        disk.limit_space(None);
        disk.limit_syncs(None);
    }

    fn set_paper(&mut self, kiosk: usize, has_paper: bool) {
        self.kiosks[kiosk].has_paper = has_paper;
        let health = if has_paper { DeviceState::Ready } else { DeviceState::Faulty(FaultReason::PaperOut) };
        self.event(kiosk, Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, health));
    }

    /// A hash over all charges, records and disks: equal for runs with the same seed.
    pub(crate) fn fingerprint(&mut self) -> [u8; 32] {
        let charges = format!("{:?}", self.city.acquirer.entries().unwrap());
        let mut parts = vec![charges.into_bytes()];
        for kiosk in 0..KIOSKS {
            let (now, entropy) = (self.wall(), 1);
            parts.push(self.city.page(&format!("/v1/audit/{}", kiosk_id(kiosk)), now, entropy));
            parts.push(self.kiosks[kiosk].disk.lock().all_bytes());
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        sm3(&parts)
    }
}
