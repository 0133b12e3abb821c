//! The simulation: time, the network, and the injected faults.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Confirmation, ReceiptId, UnixMs, sm3};
use engine::wire::{Asked, Head, Request};
use engine::{Exchange, Out, What};
use server::{OutAnswer, OutCall, Reply, Response, Unreachable, Verb};
use session::{Answer, Device, Effect, Event, Failure, Health, PinAnswer, PrintResult, Trouble, Work};
use view::{Body, Text, TextId};

use super::Dice;
use super::city::{City, device, device_key};
use super::person;
use super::phone::Phone;
use super::terminal::{BEGIN, Terminal};

const KIOSKS: usize = 2;

/// Number of a kiosk's request that waits for an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wait(u64);

struct Waiting {
    kiosk: usize,
    life: u64,
    asked: Asked,
    sent: UnixMs,
}

enum Happening {
    Wake {
        kiosk: usize,
        life: u64,
    },
    Person(usize),
    Device {
        kiosk: usize,
        life: u64,
        event: Event,
    },
    Paper {
        kiosk: usize,
        life: u64,
        receipt: ReceiptId,
        marked: bool,
        result: PrintResult,
        comes_out: bool,
    },
    /// A request reaches the platform; for a duplicate no kiosk waits.
    Request {
        request: server::Request,
        wait: Option<Wait>,
        fate: Fate,
    },
    Answer {
        wait: Wait,
        response: Option<Response>,
    },
    /// A call reaches a system behind the platform.
    Call {
        call: OutCall,
        wait: Option<Wait>,
        fate: Fate,
    },
    Called {
        call: OutCall,
        answer: Option<OutAnswer>,
        wait: Option<Wait>,
        platform: u64,
        fate: Fate,
    },
    PlatformDue,
    Weather,
    Start(usize),
    Heal(usize),
}

/// Whether a message and its answer are delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    LostOnTheWay,
    AnswerLost,
    AnswerGarbled,
}

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) city: City,
    pub(crate) terminals: Vec<Terminal>,
    /// Phones by resident; none for a resident without a card in force.
    pub(crate) phones: Vec<Option<Phone>>,
    /// All codes that were shown, oldest first.
    pub(crate) codes: Vec<String>,
    now: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    queued: u64,
    waiting: BTreeMap<Wait, Waiting>,
    /// Number of process starts of the platform; an answer to a call of an earlier process is dropped.
    platform_life: u64,
    storm: bool,
    acquirer_reachable: bool,
    pub(crate) counts: Counts,
    /// Violations found on a screen during the run.
    pub(crate) offences: BTreeSet<String>,
}

/// Counts of faults and of views about them in a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) deaths: u64,
    pub(crate) platform_deaths: u64,
    pub(crate) disk_faults: u64,
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) out_of_service: u64,
    pub(crate) told_paid: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let terminals = (0..KIOSKS).map(|number| Terminal::new(number, dice.below(4_000))).collect();
        let mut city = City::new(KIOSKS);
        let residents = city.residents.len();
        let bind = |resident| Phone::bind(&mut city, resident, UnixMs(BEGIN + resident as u64));
        let phones = (0..residents).map(bind).collect();
        let mut world = Self {
            dice,
            city,
            phones,
            terminals,
            codes: Vec::new(),
            now: 0,
            queue: BTreeMap::new(),
            queued: 0,
            waiting: BTreeMap::new(),
            platform_life: 0,
            storm: true,
            acquirer_reachable: true,
            counts: Counts::default(),
            offences: BTreeSet::new(),
        };
        for kiosk in 0..KIOSKS {
            world.at(0, Happening::Start(kiosk));
            world.at(5_000, Happening::Person(kiosk));
        }
        world.at(1_000, Happening::PlatformDue);
        world.at(15_000, Happening::Weather);
        world
    }

    pub(crate) fn wall(&self) -> UnixMs {
        UnixMs(BEGIN + self.now)
    }

    /// Runs with faults and residents.
    pub(crate) fn storm(&mut self, ms: u64) {
        self.run(ms);
    }

    /// Runs without faults and without new residents, until all work is done.
    pub(crate) fn calm(&mut self, ms: u64) {
        self.storm = false;
        self.acquirer_reachable = true;
        for kiosk in 0..KIOSKS {
            self.heal(kiosk);
            self.paper(kiosk, true);
            if self.terminals[kiosk].card.is_some() {
                self.take_card(kiosk);
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
            self.happen(happening);
        }
        self.now = end;
    }

    fn at(&mut self, delay: u64, happening: Happening) {
        self.queued += 1;
        self.queue.insert((self.now + delay, self.queued), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake { kiosk, life } => {
                let terminal = &self.terminals[kiosk];
                if terminal.life == life && terminal.wake().is_some_and(|at| at <= self.now) {
                    self.turn(kiosk, What::Tick);
                }
            }
            Happening::Person(kiosk) => {
                if self.storm {
                    self.person_acts(kiosk);
                    let pause = person::pause(&mut self.dice);
                    self.at(pause, Happening::Person(kiosk));
                }
            }
            Happening::Device { kiosk, life, event } => {
                if self.terminals[kiosk].life == life {
                    self.event(kiosk, event);
                }
            }
            Happening::Paper { kiosk, life, receipt, marked, result, comes_out } => {
                // The copy is printed even if the kiosk's process has crashed in the meantime.
                if comes_out {
                    self.terminals[kiosk].papers.push((receipt, marked));
                }
                if self.terminals[kiosk].life == life {
                    self.event(kiosk, Event::Paper(receipt, result));
                }
            }
            Happening::Request { request, wait, fate } => self.request_arrives(&request, wait, fate),
            Happening::Answer { wait, response } => self.answer_arrives(wait, response),
            Happening::Call { call, wait, fate } => self.call_arrives(call, wait, fate),
            Happening::Called { call, answer, wait, platform, fate } => {
                if platform == self.platform_life {
                    let (now, entropy) = (self.wall(), self.dice.wide());
                    let reply = self.city.platform.resume(&call, answer.ok_or(Unreachable), now, entropy);
                    self.platform_replies(reply, wait, fate);
                }
            }
            Happening::PlatformDue => {
                for call in self.city.platform.due(self.wall()) {
                    self.call_out(call, None, Fate::Arrives);
                }
                self.at(2_000, Happening::PlatformDue);
            }
            Happening::Weather => {
                if self.storm {
                    self.weather();
                    let next = 2_000 + self.dice.below(12_000);
                    self.at(next, Happening::Weather);
                }
            }
            Happening::Start(kiosk) => {
                if !self.terminals[kiosk].alive() {
                    let entropy = self.dice.wide();
                    let out = self.terminals[kiosk].start(self.now, entropy);
                    self.take(kiosk, out);
                }
            }
            Happening::Heal(kiosk) => self.heal(kiosk),
        }
    }

    pub(crate) fn event(&mut self, kiosk: usize, event: Event) {
        self.turn(kiosk, What::Event(event));
    }

    fn turn(&mut self, kiosk: usize, what: What) {
        let entropy = self.dice.wide();
        let out = self.terminals[kiosk].turn(self.now, entropy, what);
        self.take(kiosk, out);
    }

    fn take(&mut self, kiosk: usize, out: Vec<Out>) {
        self.look_at_screen(kiosk);
        for out in out {
            match out {
                Out::Effect(effect) => self.perform(kiosk, effect),
                Out::Send(request) => self.send(kiosk, Request::uplink(request)),
                Out::Show(_) | Out::Remember(_) => {}
            }
        }
        let life = self.terminals[kiosk].life;
        if let Some(wake) = self.terminals[kiosk].wake() {
            let delay = wake.saturating_sub(self.now).max(1);
            self.at(delay, Happening::Wake { kiosk, life });
        }
    }

    fn look_at_screen(&mut self, kiosk: usize) {
        let Some(view) = &self.terminals[kiosk].view else { return };
        if matches!(view.body, Body::Welcome(_)) && view.header.who.is_some() {
            self.offences.insert("the welcome view names a resident".into());
        }
        let shown = format!("{view:?}");
        for resident in &self.city.residents {
            if shown.contains(&resident.name) || shown.contains(&resident.id_number) {
                self.offences.insert(format!("{} is on the screen unmasked", resident.slug));
            }
        }
        if let Body::Outcome(outcome) = &view.body {
            self.counts.told_paid += u64::from(outcome.word == Text::Id(TextId::Paid));
            self.counts.out_of_service += u64::from(outcome.verdict == view::Verdict::Closed);
        }
    }

    fn perform(&mut self, kiosk: usize, effect: Effect) {
        let life = self.terminals[kiosk].life;
        match effect {
            Effect::Do { ticket, work: Work::VerifyPin(_) | Work::ChangePin { .. }, .. } => {
                let answer = if self.dice.percent(80) {
                    PinAnswer::Verified
                } else {
                    PinAnswer::Wrong { tries_left: 5 }
                };
                let event = Event::Answer(ticket, Ok(Answer::Pin(answer)));
                self.at(300, Happening::Device { kiosk, life, event });
            }
            Effect::Do { ticket, work, .. } => {
                if let Some(request) = Request::work(ticket, &work) {
                    self.send(kiosk, request);
                }
            }
            Effect::Charge(charge) => self.send(kiosk, Request::charge(&charge)),
            Effect::Inquire(order) => self.send(kiosk, Request::inquire(order)),
            Effect::Print { receipt, mark, .. } => {
                let (comes_out, result) = match self.dice.below(10) {
                    _ if !self.terminals[kiosk].paper => (false, PrintResult::NotStarted),
                    0 => (false, PrintResult::NotStarted),
                    1 => (self.dice.percent(50), PrintResult::Unconfirmed),
                    _ => (true, PrintResult::Printed(Confirmation::Fenced)),
                };
                let paper =
                    Happening::Paper { kiosk, life, receipt, marked: mark.is_some(), result, comes_out };
                self.at(1_200, paper);
            }
            Effect::Cancel(_) => {}
        }
    }

    /// A kiosk sends a request to the platform.
    fn send(&mut self, kiosk: usize, request: Request) {
        let terminal = &self.terminals[kiosk];
        let (life, sent) = (terminal.life, terminal.at(self.now).wall);
        let wait = Wait(self.queued);
        self.waiting.insert(wait, Waiting { kiosk, life, asked: request.asked, sent });
        let patience = u64::try_from(request.limits.time.as_millis()).unwrap();
        self.at(patience, Happening::Answer { wait, response: None });
        let signature =
            device_key(kiosk).sign(&sync::signed_text(request.method, &request.path, sent, &request.body));
        let request = server::Request {
            verb: if request.method == "GET" { Verb::Get } else { Verb::Post },
            target: request.path,
            device: Some(device(kiosk).to_string()),
            time: Some(sent.0.to_string()),
            signature: Some(signature.to_string()),
            body: request.body.to_vec(),
        };
        let fate = if self.terminals[kiosk].link { self.fate() } else { Fate::LostOnTheWay };
        if fate == Fate::LostOnTheWay {
            return;
        }
        if self.storm && self.dice.percent(3) {
            self.counts.repeated += 1;
            let (late, request) = (self.dice.below(60_000), request.clone());
            self.at(late, Happening::Request { request, wait: None, fate: Fate::AnswerLost });
        }
        let delay = self.delay();
        self.at(delay, Happening::Request { request, wait: Some(wait), fate });
    }

    fn fate(&mut self) -> Fate {
        if !self.storm {
            return Fate::Arrives;
        }
        let fate = match self.dice.below(100) {
            0..=3 => Fate::LostOnTheWay,
            4..=8 => Fate::AnswerLost,
            9 => Fate::AnswerGarbled,
            _ => Fate::Arrives,
        };
        self.counts.lost += u64::from(fate != Fate::Arrives);
        fate
    }

    fn delay(&mut self) -> u64 {
        let slow = self.storm && self.dice.percent(4);
        if slow { self.dice.below(25_000) } else { 5 + self.dice.below(250) }
    }

    fn request_arrives(&mut self, request: &server::Request, wait: Option<Wait>, fate: Fate) {
        let (now, entropy) = (self.wall(), self.dice.wide());
        let reply = self.city.platform.handle(request, now, entropy);
        self.platform_replies(reply, wait, fate);
    }

    fn platform_replies(&mut self, reply: Reply, wait: Option<Wait>, fate: Fate) {
        match reply {
            Reply::Ask(call) => self.call_out(call, wait, fate),
            Reply::Done(mut response) => {
                let Some(wait) = wait else { return };
                match fate {
                    Fate::AnswerLost | Fate::LostOnTheWay => return,
                    Fate::AnswerGarbled => response.body.truncate(response.body.len() / 2),
                    Fate::Arrives => {}
                }
                let delay = self.delay();
                self.at(delay, Happening::Answer { wait, response: Some(response) });
            }
        }
    }

    fn call_out(&mut self, call: OutCall, wait: Option<Wait>, fate: Fate) {
        let delay = self.delay();
        self.at(delay, Happening::Call { call, wait, fate });
    }

    fn call_arrives(&mut self, call: OutCall, wait: Option<Wait>, fate: Fate) {
        let peer_delivery = if self.acquirer_reachable { self.fate() } else { Fate::LostOnTheWay };
        let answer = if peer_delivery == Fate::LostOnTheWay {
            None
        } else {
            let (accepts, now) = (!self.storm || self.dice.percent(85), self.wall());
            let answer = self.city.serve(&call, accepts, now);
            (peer_delivery != Fate::AnswerLost).then_some(answer)
        };
        let (delay, platform) = (self.delay(), self.platform_life);
        self.at(delay, Happening::Called { call, answer, wait, platform, fate });
    }

    fn answer_arrives(&mut self, wait: Wait, response: Option<Response>) {
        let Some(Waiting { kiosk, life, asked, sent }) = self.waiting.remove(&wait) else { return };
        let terminal = &self.terminals[kiosk];
        if terminal.life != life || !terminal.alive() {
            return;
        }
        let exchange = Exchange { sent, received: terminal.at(self.now).wall };
        let what = match &response {
            Some(response) => {
                let head = Head { status: response.status, content_type: Some(response.content_type) };
                asked.answered(exchange, Ok((head, &response.body)))
            }
            None => asked.failed(exchange, Failure::Unreachable),
        };
        self.turn(kiosk, what);
    }

    /// Injects one fault, or clears one.
    fn weather(&mut self) {
        let kiosk = usize::try_from(self.dice.below(KIOSKS as u64)).unwrap();
        match self.dice.below(10) {
            0 | 1 => self.die(kiosk),
            2 | 3 => {
                let up = self.dice.percent(60);
                self.terminals[kiosk].link = up;
            }
            4 => {
                self.platform_life += 1;
                self.counts.platform_deaths += 1;
            }
            5 => self.acquirer_reachable = self.dice.percent(50),
            6 => {
                self.counts.disk_faults += 1;
                let left = usize::try_from(self.dice.below(4)).unwrap();
                if self.dice.percent(50) {
                    self.terminals[kiosk].disk.lock().limit_syncs(Some(left));
                } else {
                    self.terminals[kiosk].disk.lock().limit_space(Some(left * 150));
                }
                let healed = 3_000 + self.dice.below(10_000);
                self.at(healed, Happening::Heal(kiosk));
            }
            7 => {
                let has_paper = self.dice.percent(60);
                self.paper(kiosk, has_paper);
            }
            _ => self.heal(kiosk),
        }
    }

    fn die(&mut self, kiosk: usize) {
        if self.terminals[kiosk].alive() {
            self.counts.deaths += 1;
            let (seed, cache) = (self.dice.below(1 << 30), self.dice.percent(66));
            self.terminals[kiosk].die(seed, cache);
            // The resident takes the card along.
            self.terminals[kiosk].card = None;
            let pause = 1_000 + self.dice.below(15_000);
            self.at(pause, Happening::Start(kiosk));
        }
    }

    fn heal(&mut self, kiosk: usize) {
        self.terminals[kiosk].link = true;
        self.acquirer_reachable = true;
        let mut disk = self.terminals[kiosk].disk.lock();
        disk.limit_space(None);
        disk.limit_syncs(None);
    }

    fn paper(&mut self, kiosk: usize, has_paper: bool) {
        self.terminals[kiosk].paper = has_paper;
        let health = if has_paper { Health::Ready } else { Health::Trouble(Trouble::PaperOut) };
        self.event(kiosk, Event::Health(Device::Printer, health));
    }

    /// A hash over all charges, records and disks: equal for runs with the same seed.
    pub(crate) fn fingerprint(&mut self) -> [u8; 32] {
        let charges = format!("{:?}", self.city.acquirer.entries().unwrap());
        let mut parts = vec![charges.into_bytes()];
        for kiosk in 0..KIOSKS {
            let (now, entropy) = (self.wall(), 1);
            parts.push(self.city.page(&format!("/v1/audit/{}", device(kiosk)), now, entropy));
            parts.push(self.terminals[kiosk].disk.lock().all_bytes());
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        sm3(&parts)
    }
}
