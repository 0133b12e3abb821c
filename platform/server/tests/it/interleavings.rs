//! No sequence of events charges a bill twice, and an outcome that was reported as final never changes (I1).

use std::collections::BTreeMap;

use contract::routes;
use contract::{ChargeRequest, ChargeState, InquiryRequest, OrderId, ProblemCode, Settlement};
use server::{PeerAnswer, PeerCall, PeerUnreachable, PlatformReply, PlatformRequest, PlatformResponse};

use crate::fixture::{CityFixture, TestKiosk, ZHANG_GUIYING, answer_or_problem};

/// The final outcomes that the platform has reported to kiosks so far.
#[derive(Default)]
struct ReportedOutcomes(BTreeMap<OrderId, Result<Settlement, ProblemCode>>);

impl ReportedOutcomes {
    /// Records an answer; after an answer that a kiosk takes for final, no other outcome may follow.
    fn record(&mut self, order: OrderId, kind: KioskRequest, response: &PlatformResponse) {
        let outcome_now = match (answer_or_problem::<ChargeState>(response), kind) {
            (Ok(ChargeState::Settled { settlement }), _) => Ok(settlement),
            (Ok(ChargeState::Pending) | Err(ProblemCode::Unavailable), KioskRequest::Charge) => return,
            (Ok(ChargeState::Pending), KioskRequest::Inquiry) => {
                panic!("an inquiry was answered with pending")
            }
            (Err(ProblemCode::Unavailable), KioskRequest::Inquiry) => return,
            (Err(code), _) => Err(code),
        };
        let before = self.0.entry(order).or_insert_with(|| outcome_now.clone());
        let both_unpaid = unpaid(before) && unpaid(&outcome_now);
        assert!(*before == outcome_now || both_unpaid, "order {order}: {before:?}, then {outcome_now:?}");
    }
}

fn unpaid(reported: &Result<Settlement, ProblemCode>) -> bool {
    !matches!(reported, Ok(Settlement::Paid { .. }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KioskRequest {
    Charge,
    Inquiry,
}

/// Checks the state after all work is done: each bill charged at most once, booked as charged, reported as charged.
fn check(city: &mut CityFixture, reported: &mut ReportedOutcomes, orders: &[(TestKiosk, ChargeRequest)]) {
    city.run_background_jobs();
    for (kiosk, request) in orders {
        let inquiry =
            city.signed_post(*kiosk, routes::INQUIRIES.path, &InquiryRequest { order: request.order });
        let reply = city.handle(&inquiry);
        let response = city.complete(reply);
        assert_eq!(response.status, 200, "every order has an outcome when all work is done");
        reported.record(request.order, KioskRequest::Inquiry, &response);

        let order = request.order.to_string();
        for item in &request.items {
            let charged = city.orders_charged_for(&item.key);
            assert!(charged.len() <= 1, "bill {} was charged {} times", item.key, charged.len());
            let booked: Vec<String> =
                city.departments.bookings_of(&item.key).into_iter().map(|one| one.order).collect();
            assert_eq!(booked, charged, "booked as charged");
            assert_eq!(!unpaid(&reported.0[&request.order]), charged.contains(&order), "reported as charged");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MessageFate {
    Arrives,
    RequestLost,
    AnswerLost,
}

const MESSAGE_FATES: [MessageFate; 3] =
    [MessageFate::Arrives, MessageFate::RequestLost, MessageFate::AnswerLost];

fn deliver_to_peer(
    city: &mut CityFixture,
    call: &PeerCall,
    fate: MessageFate,
) -> Result<PeerAnswer, PeerUnreachable> {
    match fate {
        MessageFate::Arrives => Ok(city.serve(call)),
        MessageFate::RequestLost => Err(PeerUnreachable),
        MessageFate::AnswerLost => {
            city.serve(call);
            Err(PeerUnreachable)
        }
    }
}

fn permutations(events: &[char]) -> Vec<Vec<char>> {
    if events.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, first) in events.iter().enumerate() {
        let rest: Vec<char> = events.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, e)| *e).collect();
        for tail in permutations(&rest) {
            all.push([vec![*first], tail].concat());
        }
    }
    all
}

#[test]
fn no_order_of_events_charges_a_bill_twice() {
    let mut seen_paid = [0, 0];
    for order in permutations(&['c', 'a', 'i', 'd', '2']) {
        for fate in MESSAGE_FATES {
            let mut city = CityFixture::new();
            let mut reported = ReportedOutcomes::default();
            let first = city.charge_request(TestKiosk::One, ZHANG_GUIYING, 0);
            let second = city.charge_request(TestKiosk::Two, ZHANG_GUIYING, 0);
            let charge = city.signed_post(TestKiosk::One, routes::CHARGES.path, &first);
            let mut at_acquirer: Option<PeerCall> = None;
            for event in &order {
                match event {
                    // The charge, and its duplicate by the network.
                    'c' | 'd' => {
                        let reply = city.handle(&charge);
                        match city.continue_to_acquirer(reply) {
                            PlatformReply::Answer(response) => {
                                reported.record(first.order, KioskRequest::Charge, &response);
                            }
                            PlatformReply::CallPeer(call) => at_acquirer = Some(call),
                        }
                    }
                    'a' => {
                        if let Some(call) = at_acquirer.take() {
                            let result = deliver_to_peer(&mut city, &call, fate);
                            let reply = city.resume(&call, result);
                            reported.record(first.order, KioskRequest::Charge, &city.complete(reply));
                        }
                    }
                    'i' => {
                        let inquiry = city.signed_post(
                            TestKiosk::One,
                            routes::INQUIRIES.path,
                            &InquiryRequest { order: first.order },
                        );
                        let reply = city.handle(&inquiry);
                        reported.record(first.order, KioskRequest::Inquiry, &city.complete(reply));
                    }
                    _ => {
                        let other = city.signed_post(TestKiosk::Two, routes::CHARGES.path, &second);
                        let reply = city.handle(&other);
                        reported.record(second.order, KioskRequest::Charge, &city.complete(reply));
                    }
                }
            }
            // A charge that is still in flight arrives after all other events.
            if let Some(call) = at_acquirer.take() {
                let result = deliver_to_peer(&mut city, &call, fate);
                let reply = city.resume(&call, result);
                reported.record(first.order, KioskRequest::Charge, &city.complete(reply));
            }
            let orders = [(TestKiosk::One, first), (TestKiosk::Two, second)];
            check(&mut city, &mut reported, &orders);
            for (count, (_, request)) in seen_paid.iter_mut().zip(&orders) {
                *count += i32::from(!unpaid(&reported.0[&request.order]));
            }
        }
    }
    assert!(seen_paid.iter().all(|paid| *paid > 20), "the cases do not exercise both orders: {seen_paid:?}");
}

/// A seeded generator (xorshift64*), so that a run can be reproduced by its seed.
struct SimRng(u64);

impl SimRng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// A message that is not delivered yet.
enum InFlight {
    ToPlatform(OrderId, KioskRequest, PlatformRequest),
    ToPeer(Option<(OrderId, KioskRequest)>, PeerCall),
    FromPeer(Option<(OrderId, KioskRequest)>, PeerCall, Result<PeerAnswer, PeerUnreachable>),
}

struct FaultySystem {
    city: CityFixture,
    reported: ReportedOutcomes,
    rng: SimRng,
    in_flight: Vec<InFlight>,
    orders: Vec<(TestKiosk, ChargeRequest)>,
}

impl FaultySystem {
    fn step(&mut self) {
        match self.rng.below(16) {
            0 | 1 if self.orders.len() < 4 => self.start_order(),
            2 if !self.orders.is_empty() => self.inquire(),
            3 => {
                let now = self.city.now;
                let due = self.city.platform.due_calls(now);
                self.in_flight.extend(due.into_iter().map(|call| InFlight::ToPeer(None, call)));
            }
            4 => {
                let ms = self.rng.below(40_000) as u64;
                self.city.advance(ms);
            }
            // The platform is killed: its calls may still arrive, but their answers are lost.
            5 if self.rng.below(4) == 0 => {
                let lost = std::mem::take(&mut self.in_flight);
                for message in lost {
                    match message {
                        InFlight::ToPlatform(..) => self.in_flight.push(message),
                        InFlight::ToPeer(_, call) if self.rng.below(2) == 0 => {
                            self.city.serve(&call);
                        }
                        InFlight::ToPeer(..) | InFlight::FromPeer(..) => {}
                    }
                }
            }
            6 => self.city.accepts = self.rng.below(4) != 0,
            _ => self.deliver_one(),
        }
    }

    fn start_order(&mut self) {
        let kiosk = if self.rng.below(2) == 0 { TestKiosk::One } else { TestKiosk::Two };
        let key = self.city.visit_by_card(kiosk, ZHANG_GUIYING).key.clone();
        let rows = self.city.bills(kiosk, &key);
        let Some(row) = rows.get(self.rng.below(2)) else { return };
        let order = OrderId::from_entropy(self.city.next_entropy());
        let request = crate::fixture::order_for(order, key, std::slice::from_ref(row));
        let message = self.city.signed_post(kiosk, routes::CHARGES.path, &request);
        self.orders.push((kiosk, request));
        self.in_flight.push(InFlight::ToPlatform(order, KioskRequest::Charge, message));
    }

    fn inquire(&mut self) {
        let at = self.rng.below(self.orders.len());
        let (kiosk, order) = (self.orders[at].0, self.orders[at].1.order);
        let message = self.city.signed_post(kiosk, routes::INQUIRIES.path, &InquiryRequest { order });
        self.in_flight.push(InFlight::ToPlatform(order, KioskRequest::Inquiry, message));
    }

    /// Delivers one message in flight, loses it, or delivers it and keeps a duplicate for later.
    fn deliver_one(&mut self) {
        if self.in_flight.is_empty() {
            return;
        }
        let at = self.rng.below(self.in_flight.len());
        match self.in_flight.swap_remove(at) {
            InFlight::ToPlatform(order, kind, message) => match self.rng.below(8) {
                0 => {}
                fate => {
                    if fate == 1 {
                        self.in_flight.push(InFlight::ToPlatform(order, kind, message.clone()));
                    }
                    let reply = self.city.handle(&message);
                    self.on(Some((order, kind)), reply);
                }
            },
            InFlight::ToPeer(waiting, call) => {
                let fate = MESSAGE_FATES[self.rng.below(3)];
                let result = deliver_to_peer(&mut self.city, &call, fate);
                self.in_flight.push(InFlight::FromPeer(waiting, call, result));
            }
            InFlight::FromPeer(waiting, call, result) => {
                let reply = self.city.resume(&call, result);
                self.on(waiting, reply);
            }
        }
    }

    fn on(&mut self, waiting: Option<(OrderId, KioskRequest)>, reply: PlatformReply) {
        match (reply, waiting) {
            (PlatformReply::CallPeer(call), _) => self.in_flight.push(InFlight::ToPeer(waiting, call)),
            (PlatformReply::Answer(response), Some((order, kind))) => {
                self.reported.record(order, kind, &response)
            }
            (PlatformReply::Answer(_), None) => {}
        }
    }
}

#[test]
fn random_faults_charge_no_bill_twice() {
    let mut paid = 0;
    for seed in 1..=250_u64 {
        let mut world = FaultySystem {
            city: CityFixture::new(),
            reported: ReportedOutcomes::default(),
            rng: SimRng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            in_flight: Vec::new(),
            orders: Vec::new(),
        };
        for _ in 0..120 {
            world.step();
        }
        // First the platform finishes its work, then the messages still in flight are delivered.
        world.city.run_background_jobs();
        while !world.in_flight.is_empty() {
            world.deliver_one();
        }
        let run = std::panic::AssertUnwindSafe(|| check(&mut world.city, &mut world.reported, &world.orders));
        assert!(std::panic::catch_unwind(run).is_ok(), "seed {seed}");
        paid += world.reported.0.values().filter(|reported| !unpaid(reported)).count();
    }
    assert!(paid > 100, "too few orders were paid: {paid}");
}
