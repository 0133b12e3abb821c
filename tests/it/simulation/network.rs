//! The network between kiosks, platform and the systems behind it: messages are delayed, lost, repeated and garbled.

use contract::UnixMs;
use engine::ExchangeTiming;
use engine::platform_api::{OutgoingRequest, RequestKind, ResponseHead};
use server::{Peer, PeerCall, PlatformReply, PlatformResponse};
use session::Failure;

use super::answer_checks::Asked;
use super::peers::{KIOSKS, device_key, kiosk_id};
use super::simulator::{SimEvent, Simulator};

/// Number of a kiosk's request that waits for an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestNumber(pub(crate) u64);

pub(crate) struct AwaitedRequest {
    kiosk: usize,
    life: u64,
    asked: RequestKind,
    checked: Asked,
    sent: UnixMs,
}

/// Whether a message and its answer are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SimulatedFate {
    Arrives,
    LostOnTheWay,
    AnswerLost,
    AnswerGarbled,
}

/// A kiosk's request as the platform receives it.
pub(crate) fn signed_request(
    kiosk: usize,
    request: OutgoingRequest,
    sent: UnixMs,
) -> server::PlatformRequest {
    let OutgoingRequest { method, path, body, .. } = request;
    let (device, key) = (kiosk_id(kiosk).to_string(), device_key(kiosk));
    server::PlatformRequest::signed(method, path, body.to_vec(), &device, &key, sent)
}

impl Simulator {
    /// A kiosk sends a request to the platform.
    pub(crate) fn send(&mut self, kiosk: usize, request: OutgoingRequest) {
        let terminal = &self.kiosks[kiosk];
        let (life, sent) = (terminal.generation, terminal.clock_at(self.now).wall);
        let wait = RequestNumber(self.events_queued);
        let is_charge = matches!(request.kind, RequestKind::Charge(_));
        let checked = Asked::of(&request);
        self.waiting.insert(wait, AwaitedRequest { kiosk, life, asked: request.kind, checked, sent });
        let patience = u64::try_from(request.limits.time.as_millis()).unwrap();
        self.schedule(patience, SimEvent::Answer { wait, response: None });
        let request = signed_request(kiosk, request, sent);
        let fate = if self.kiosks[kiosk].online { self.draw_fate() } else { SimulatedFate::LostOnTheWay };
        if fate == SimulatedFate::LostOnTheWay {
            return;
        }
        if self.faults_enabled && self.rng.percent(if is_charge { self.rates.repeated_charges } else { 3 }) {
            self.counts.duplicates += 1;
            let longest = if self.rng.percent(50) { 3_000 } else { 60_000 };
            let (late, request) = (self.rng.below(longest), request.clone());
            self.schedule(late, SimEvent::Request { request, wait: None, fate: SimulatedFate::AnswerLost });
        }
        if self.faults_enabled && self.rng.percent(if is_charge { 15 } else { 2 }) {
            // Held back instead of lost: the kiosk's inquiry overtakes it.
            self.counts.held_back += 1;
            let late = 40_000 + self.rng.below(200_000);
            self.schedule(late, SimEvent::Request { request, wait: None, fate: SimulatedFate::AnswerLost });
            return;
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
        let slow = self.faults_enabled && self.rng.percent(self.rates.slow_messages);
        if slow { self.rng.below(25_000) } else { 5 + self.rng.below(250) }
    }

    pub(crate) fn request_arrives(
        &mut self,
        request: &server::PlatformRequest,
        wait: Option<RequestNumber>,
        fate: SimulatedFate,
    ) {
        let (now, entropy) = (self.wall(), self.rng.next_u128());
        let reply = self.city.platform.handle(request, now, entropy);
        self.platform_replies(reply, wait, fate);
        if self.faults_enabled && request.target == contract::routes::CHARGES.path {
            self.charge_arrived(request);
        }
    }

    /// Faults that are the likeliest to harm an order.
    fn charge_arrived(&mut self, request: &server::PlatformRequest) {
        if self.rng.percent(self.rates.restores_after_charge) {
            // The order is charged, and the platform has forgotten it when its kiosk asks.
            let soon = 300 + self.rng.below(8_000);
            self.schedule(soon, SimEvent::RestorePlatform);
        }
        let of_kiosk = |kiosk: &usize| request.device == Some(kiosk_id(*kiosk).to_string());
        if self.loses_records
            && self.rng.percent(self.rates.rot_after_charge)
            && let Some(kiosk) = (0..KIOSKS).find(of_kiosk)
        {
            let soon = self.rng.below(800);
            self.schedule(soon, SimEvent::Rot { kiosk, is_crash: true });
        }
    }

    pub(crate) fn platform_replies(
        &mut self,
        reply: PlatformReply,
        wait: Option<RequestNumber>,
        fate: SimulatedFate,
    ) {
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

    pub(crate) fn send_call(&mut self, call: PeerCall, wait: Option<RequestNumber>, fate: SimulatedFate) {
        let delay = self.draw_delay();
        self.schedule(delay, SimEvent::Call { call, wait, fate });
    }

    pub(crate) fn call_arrives(&mut self, call: PeerCall, wait: Option<RequestNumber>, fate: SimulatedFate) {
        let peer_delivery =
            if self.acquirer_reachable { self.draw_fate() } else { SimulatedFate::LostOnTheWay };
        let answer = if peer_delivery == SimulatedFate::LostOnTheWay {
            None
        } else {
            let (accepts, now) = (!self.faults_enabled || self.rng.percent(85), self.wall());
            let refuses =
                self.faults_enabled && matches!(call.peer, Peer::Department(_)) && self.rng.percent(12);
            let answer = self.city.serve(&call, accepts, refuses, now);
            (peer_delivery != SimulatedFate::AnswerLost).then_some(answer)
        };
        // A list of days of payments takes long.
        let is_long = self.faults_enabled && call.target == "/charges/list" && self.rng.percent(50);
        let long = if is_long { self.rng.below(30_000) } else { 0 };
        let (delay, platform) = (long + self.draw_delay(), self.platform_generation);
        self.schedule(delay, SimEvent::CallAnswered { call, answer, wait, platform, fate });
    }

    pub(crate) fn answer_arrives(&mut self, wait: RequestNumber, response: Option<PlatformResponse>) {
        let Some(AwaitedRequest { kiosk, life, asked, checked, sent }) = self.waiting.remove(&wait) else {
            return;
        };
        let terminal = &self.kiosks[kiosk];
        if terminal.generation != life || !terminal.is_running() {
            return;
        }
        if let Some(response) = &response {
            let found = self.answers.note(kiosk, &checked, response, &self.city.acquirer);
            self.counts.checks += 1;
            assert!(found.is_none(), "kiosk {kiosk}: {found:?}");
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
}
