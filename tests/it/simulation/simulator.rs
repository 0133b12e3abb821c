//! The simulation: time, the network, and the injected faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use contract::{Confirmation, Receipt, ReceiptId, UnixMs, sm3};
use engine::platform_api::OutgoingRequest;
use engine::{InputEvent, Output};
use server::{PeerAnswer, PeerCall, PeerUnreachable, PlatformResponse};
use session::{
    CardWork, DeviceKind, DeviceState, Effect, Event, FaultReason, PinAnswer, PrintResult, Work, WorkAnswer,
};
use view::{Body, Text, TextId};

use super::answer_checks::PlatformAnswers;
use super::kiosk::{START_MS, SimKiosk};
use super::network::{AwaitedRequest, RequestNumber, SimulatedFate};
use super::peers::{KIOSKS, SimCity, kiosk_id};
use super::phone::SimPhone;
use super::rates::Rates;
use super::recording::SimRng;
use super::residents;
use super::screen_checks::{Statement, statements};

/// Time after a start in which a kiosk exchanges with the platform what there is.
const FIRST_MS: u64 = 40_000;

pub(crate) enum SimEvent {
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
    Crash(usize),
    /// Records of a kiosk rot. `is_crash`: its process ends first.
    Rot {
        kiosk: usize,
        is_crash: bool,
    },
    RestorePlatform,
    Repair(usize),
}

/// What happened, for the recording of a run.
impl fmt::Display for SimEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wake { kiosk, .. } => write!(f, "kiosk {kiosk}: deadline"),
            Self::ResidentActs(kiosk) => write!(f, "kiosk {kiosk}: resident acts"),
            Self::Device { kiosk, .. } => write!(f, "kiosk {kiosk}: device answers"),
            Self::PrintDone { kiosk, receipt, result, .. } => {
                write!(f, "kiosk {kiosk}: print of {}: {result:?}", receipt.number(kiosk_id(*kiosk)))
            }
            Self::Request { request, fate, .. } => write!(f, "request {}: {fate:?}", request.target),
            Self::Answer { wait, response } => {
                write!(
                    f,
                    "answer to request {}: {:?}",
                    wait.0,
                    response.as_ref().map(|response| response.status)
                )
            }
            Self::Call { call, .. } => write!(f, "call of {:?} {}", call.peer, call.target),
            Self::CallAnswered { call, answer, .. } => {
                let status = answer.as_ref().map(|answer| answer.status);
                write!(f, "answer of {:?} {}: {status:?}", call.peer, call.target)
            }
            Self::PlatformJobs => write!(f, "platform jobs"),
            Self::InjectFault => write!(f, "fault"),
            Self::Start(kiosk) => write!(f, "kiosk {kiosk}: start"),
            Self::Crash(kiosk) => write!(f, "kiosk {kiosk}: crash"),
            Self::Rot { kiosk, .. } => write!(f, "kiosk {kiosk}: records rot"),
            Self::RestorePlatform => write!(f, "platform restored"),
            Self::Repair(kiosk) => write!(f, "kiosk {kiosk}: repair"),
        }
    }
}

pub(crate) struct Simulator {
    pub(crate) rng: SimRng,
    pub(crate) city: SimCity,
    pub(crate) kiosks: Vec<SimKiosk>,
    /// Phones by resident; none for a resident without a card in force.
    pub(crate) phones: Vec<Option<SimPhone>>,
    /// All codes that were shown, oldest first.
    pub(crate) codes: Vec<String>,
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), SimEvent>,
    pub(crate) events_queued: u64,
    pub(crate) waiting: BTreeMap<RequestNumber, AwaitedRequest>,
    /// Number of process starts of the platform; an answer to a call of an earlier process is dropped.
    pub(crate) platform_generation: u64,
    pub(crate) faults_enabled: bool,
    pub(crate) acquirer_reachable: bool,
    /// Kiosks of this run lose records that the platform does not have.
    pub(crate) loses_records: bool,
    pub(crate) rates: Rates,
    pub(crate) counts: FaultCounts,
    /// Violations found on a screen during the run.
    pub(crate) violations: BTreeSet<String>,
    /// The receipt numbers of the orders that were shown as paid.
    pub(crate) shown_as_paid: BTreeSet<String>,
    pub(crate) answers: PlatformAnswers,
    is_complete: bool,
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
    pub(crate) held_back: u64,
    pub(crate) late_devices: u64,
    pub(crate) clock_jumps: u64,
    pub(crate) bits_rotten: u64,
    pub(crate) read_errors: u64,
    pub(crate) catalogue_changes: u64,
    pub(crate) restores: u64,
    /// Disks of kiosks that were restored from a copy, and orders that were recovered from the platform.
    pub(crate) disks_restored: u64,
    pub(crate) recovered: u64,
    /// Times that a kiosk knew that its log lacks no order.
    pub(crate) reconciled: u64,
    pub(crate) refusals: u64,
    /// Fitting papers that were held to a code reader where a service asked for one.
    pub(crate) papers_scanned: u64,
    pub(crate) rests: u64,
    /// Segments that were begun by rotation, and segments that were deleted.
    pub(crate) rotated: u64,
    pub(crate) deleted: u64,
    /// Runs that went on after the end of the issuer's key.
    pub(crate) issuer_ended: u64,
    /// Checks that were made.
    pub(crate) checks: u64,
}

impl Simulator {
    pub(crate) fn new(mut dice: SimRng) -> Self {
        let terminals = (0..KIOSKS)
            .map(|number| SimKiosk::new(number, i64::try_from(dice.below(4_000)).unwrap()))
            .collect();
        let loses_records = dice.percent(45);
        let (city, phones) = SimCity::new(&mut dice);
        let rates = Rates::draw(&mut dice, city.residents.len());
        let mut world = Self { kiosks: terminals, loses_records, rates, ..Self::empty(dice, city, phones) };
        for kiosk in 0..KIOSKS {
            world.schedule(0, SimEvent::Start(kiosk));
        }
        world.schedule(1_000, SimEvent::PlatformJobs);
        if world.rng.percent(50) {
            // The kiosks have been in service for some time, and know that they lack no order.
            world.run(FIRST_MS);
            world.rest();
            world.run(FIRST_MS);
        }
        for kiosk in 0..KIOSKS {
            world.schedule(5_000, SimEvent::ResidentActs(kiosk));
        }
        world.schedule(15_000, SimEvent::InjectFault);
        world
    }

    /// A city in which nothing has happened and nothing is planned.
    fn empty(mut rng: SimRng, city: SimCity, phones: Vec<Option<SimPhone>>) -> Self {
        let rates = Rates::draw(&mut rng, city.residents.len());
        Self {
            rng,
            city,
            phones,
            kiosks: (0..KIOSKS).map(|number| SimKiosk::new(number, 0)).collect(),
            codes: Vec::new(),
            now: 0,
            queue: BTreeMap::new(),
            events_queued: 0,
            waiting: BTreeMap::new(),
            platform_generation: 0,
            faults_enabled: true,
            acquirer_reachable: true,
            loses_records: false,
            rates,
            counts: FaultCounts::default(),
            violations: BTreeSet::new(),
            shown_as_paid: BTreeSet::new(),
            answers: PlatformAnswers::default(),
            is_complete: true,
        }
    }

    /// A city without faults and without residents who come by themselves, which begins at this time.
    pub(crate) fn calm(city: SimCity, now: u64) -> Self {
        let mut world = Self::empty(SimRng::new(1), city, Vec::new());
        (world.now, world.faults_enabled) = (now, false);
        for kiosk in 0..KIOSKS {
            world.schedule(0, SimEvent::Start(kiosk));
        }
        world.schedule(1_000, SimEvent::PlatformJobs);
        world
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.run(ms);
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
            if self.kiosks[kiosk].has_lost_records && self.rng.percent(60) {
                // Damage behind the newest record is found by the next process.
                self.crash_kiosk(kiosk);
                self.kiosks[kiosk].is_reopened = true;
            }
        }
        self.run(ms);
    }

    /// Nobody comes for hours or days: the machines are suspended, and what is on its way arrives afterwards.
    pub(crate) fn rest(&mut self) {
        let hours = 8 + self.rng.below(15 * 24);
        let ms = hours * 3_600_000;
        let queue = std::mem::take(&mut self.queue);
        self.queue = queue.into_iter().map(|((at, number), event)| ((at + ms, number), event)).collect();
        self.now += ms;
        self.kiosks.iter_mut().for_each(|kiosk| kiosk.suspend(ms));
        self.counts.rests += 1;
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some((&(at, number), _)) = self.queue.first_key_value() {
            if at > end {
                break;
            }
            let Some(happening) = self.queue.remove(&(at, number)) else { break };
            self.now = at.max(self.now);
            self.is_complete = self.rng.begin_event(self.now, || happening.to_string());
            if !self.is_complete {
                return;
            }
            self.handle_event(happening);
        }
        self.now = end;
    }

    pub(crate) fn schedule(&mut self, delay: u64, happening: SimEvent) {
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
                self.schedule(5_000, SimEvent::PlatformJobs);
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
            SimEvent::Crash(kiosk) => {
                if self.faults_enabled {
                    self.crash_kiosk(kiosk);
                }
            }
            SimEvent::Rot { kiosk, is_crash } => {
                if self.faults_enabled {
                    self.damage_any_segment(kiosk, is_crash);
                }
            }
            SimEvent::RestorePlatform => {
                if self.faults_enabled {
                    self.back_up_or_restore_platform();
                }
            }
            SimEvent::Repair(kiosk) => self.repair(kiosk),
        }
    }

    pub(crate) fn event(&mut self, kiosk: usize, event: Event) {
        self.turn(kiosk, InputEvent::Kiosk(event));
    }

    pub(crate) fn turn(&mut self, kiosk: usize, what: InputEvent) {
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
                Output::Reconcile => self.send(kiosk, OutgoingRequest::unreported_orders()),
                Output::Show(_) | Output::Cache(_) => {}
            }
        }
        let life = self.kiosks[kiosk].generation;
        if let Some(wake) = self.kiosks[kiosk].wake() {
            let delay = wake.saturating_sub(self.now).max(1);
            self.schedule(delay, SimEvent::Wake { kiosk, life });
        }
    }

    /// Checks the views that a kiosk has shown in this turn.
    fn check_screen(&mut self, kiosk: usize) {
        let mut is_read = false;
        for view in std::mem::take(&mut self.kiosks[kiosk].unchecked) {
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
            let terminal = &mut self.kiosks[kiosk];
            self.counts.checks += 2;
            self.violations.extend(terminal.settings.next_view(&view));
            let said = statements(&view);
            let is_checked = !terminal.is_unreadable;
            for new in said.iter().filter(|one| is_checked && !terminal.said.contains(one)) {
                if !is_read {
                    terminal.durable.update(terminal.disk.lock().durable_copy(), kiosk);
                    is_read = true;
                }
                self.counts.checks += 1;
                self.violations.extend(terminal.durable.contradiction(new));
                if let Statement::Paid { number, .. } = new {
                    self.shown_as_paid.insert(number.clone());
                }
            }
            terminal.said = said;
        }
        assert!(self.violations.is_empty(), "kiosk {kiosk}: {:?}", self.violations);
    }

    fn execute_effect(&mut self, kiosk: usize, effect: Effect) {
        let life = self.kiosks[kiosk].generation;
        match effect {
            Effect::StartWork { ticket, work: Work::Card(work), .. } => {
                if matches!(work, CardWork::Authenticate(_)) {
                    return;
                }
                let answer = if !self.faults_enabled || self.rng.percent(80) {
                    PinAnswer::Verified
                } else {
                    PinAnswer::Wrong { tries_left: 5 }
                };
                let event = Event::WorkAnswered(ticket, Ok(WorkAnswer::Pin(answer)));
                let delay = self.device_delay(300);
                self.schedule(delay, SimEvent::Device { kiosk, life, event });
            }
            Effect::StartWork { ticket, work: Work::Platform(work), .. } => {
                self.send(kiosk, OutgoingRequest::work(ticket, &work));
            }
            Effect::Charge(charge) => self.send(kiosk, OutgoingRequest::charge(&charge)),
            Effect::Inquire(order) => self.send(kiosk, OutgoingRequest::inquire(order)),
            Effect::Print { receipt, content, copy_mark: mark, .. } => {
                self.check_print(kiosk, receipt, &content, mark.is_some());
                self.kiosks[kiosk].papers.push(content.clone());
                let is_failed = self.faults_enabled && self.rng.percent(self.rates.failed_prints);
                let (comes_out, result) = match self.rng.below(5) {
                    _ if !self.kiosks[kiosk].has_paper => (false, PrintResult::NotStarted),
                    0 | 1 if is_failed => (false, PrintResult::NotStarted),
                    _ if is_failed => (self.rng.percent(50), PrintResult::Unconfirmed),
                    _ => (true, PrintResult::Printed(Confirmation::BarrierAnswered)),
                };
                let paper =
                    SimEvent::PrintDone { kiosk, life, receipt, marked: mark.is_some(), result, comes_out };
                let delay = self.device_delay(1_200);
                self.schedule(delay, paper);
                if result == PrintResult::NotStarted && self.kiosks[kiosk].has_paper {
                    // The cover was open, and somebody closes it.
                    let ready = delay + 500 + self.rng.below(4_000);
                    let states =
                        [(delay, DeviceState::Faulty(FaultReason::CoverOpen)), (ready, DeviceState::Ready)];
                    for (delay, state) in states {
                        let event = Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, state);
                        self.schedule(delay, SimEvent::Device { kiosk, life, event });
                    }
                }
            }
            Effect::CancelWork(_) => {}
        }
    }

    /// How long a device takes. Some answers come when the kiosk waits no longer, or after the visit.
    fn device_delay(&mut self, usual: u64) -> u64 {
        if !self.faults_enabled || !self.rng.percent(15) {
            return usual;
        }
        self.counts.late_devices += 1;
        20_000 + self.rng.below(160_000)
    }

    fn check_print(&mut self, kiosk: usize, receipt: ReceiptId, content: &Receipt, is_marked: bool) {
        let terminal = &mut self.kiosks[kiosk];
        if terminal.is_unreadable {
            return;
        }
        terminal.durable.update(terminal.disk.lock().durable_copy(), kiosk);
        let found = terminal.durable.print_contradiction(receipt, content, is_marked, terminal.view.as_ref());
        self.counts.checks += 1;
        assert!(found.is_none(), "kiosk {kiosk}: {found:?}");
    }

    /// False when the run was a replay of a part and has reached its end.
    pub(crate) const fn is_complete(&self) -> bool {
        self.is_complete
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
