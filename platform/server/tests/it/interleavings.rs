//! No order of events charges a bill twice, and what was said to be final is final (I1).

use std::collections::BTreeMap;

use contract::{ChargeRequest, ChargeState, InquireRequest, OrderId, ProblemCode, Settlement};
use server::{OutAnswer, OutCall, Reply, Request, Response, Unreachable};

use crate::city::{City, Kiosk, ZHANG, outcome};

/// What kiosks were told of their orders so far.
#[derive(Default)]
struct Told(BTreeMap<OrderId, Result<Settlement, ProblemCode>>);

impl Told {
    /// Takes an answer in; an answer that a kiosk takes for final must never be followed by another.
    fn hear(&mut self, order: OrderId, asked: Asked, response: &Response) {
        let heard = match (outcome::<ChargeState>(response), asked) {
            (Ok(ChargeState::Settled { settlement }), _) => Ok(settlement),
            (Ok(ChargeState::Pending), Asked::Charge) => return,
            (Ok(ChargeState::Pending), Asked::Inquiry) => panic!("an inquiry was answered with pending"),
            (Err(ProblemCode::Unavailable), Asked::Inquiry) => return,
            (Err(code), _) => Err(code),
        };
        let before = self.0.entry(order).or_insert_with(|| heard.clone());
        let both_unpaid = unpaid(before) && unpaid(&heard);
        assert!(*before == heard || both_unpaid, "order {order}: {before:?}, then {heard:?}");
    }
}

fn unpaid(told: &Result<Settlement, ProblemCode>) -> bool {
    !matches!(told, Ok(Settlement::Paid { .. }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Charge,
    Inquiry,
}

/// When everything has come to rest: charged at most once per bill, booked as charged, told as charged.
fn check(city: &mut City, told: &mut Told, orders: &[(Kiosk, ChargeRequest)]) {
    city.settle();
    for (kiosk, request) in orders {
        let inquiry = city.post(*kiosk, "/v1/inquiries", &InquireRequest { order: request.order });
        let reply = city.handle(&inquiry);
        let response = city.conclude(reply);
        assert_eq!(response.status, 200, "what has come to rest has an outcome");
        told.hear(request.order, Asked::Inquiry, &response);

        let order = request.order.to_string();
        for item in &request.items {
            let charged = city.charged(&item.key);
            assert!(charged.len() <= 1, "bill {} was charged {} times", item.key, charged.len());
            let booked: Vec<String> = city.booked(&item.key).into_iter().map(|one| one.order).collect();
            assert_eq!(booked, charged, "booked as charged");
            assert_eq!(!unpaid(&told.0[&request.order]), charged.contains(&order), "told as charged");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Arrives,
    LostOnTheWay,
    AnswerLost,
}

const FATES: [Fate; 3] = [Fate::Arrives, Fate::LostOnTheWay, Fate::AnswerLost];

fn suffer(city: &mut City, call: &OutCall, fate: Fate) -> Result<OutAnswer, Unreachable> {
    match fate {
        Fate::Arrives => Ok(city.serve(call)),
        Fate::LostOnTheWay => Err(Unreachable),
        Fate::AnswerLost => {
            city.serve(call);
            Err(Unreachable)
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
fn no_order_of_charge_lost_answer_inquiry_late_charge_and_second_kiosk_charges_twice() {
    let mut seen_paid = [0, 0];
    for order in permutations(&['c', 'a', 'i', 'd', '2']) {
        for fate in FATES {
            let mut city = City::new();
            let mut told = Told::default();
            let first = city.order(Kiosk::One, ZHANG, 0);
            let second = city.order(Kiosk::Two, ZHANG, 0);
            let charge = city.post(Kiosk::One, "/v1/charges", &first);
            let mut at_acquirer: Option<OutCall> = None;
            for event in &order {
                match event {
                    // The charge and its repetition by the network.
                    'c' | 'd' => match city.handle(&charge) {
                        Reply::Done(response) => told.hear(first.order, Asked::Charge, &response),
                        Reply::Ask(call) => at_acquirer = Some(call),
                    },
                    'a' => {
                        if let Some(call) = at_acquirer.take() {
                            let result = suffer(&mut city, &call, fate);
                            let reply = city.resume(&call, result);
                            told.hear(first.order, Asked::Charge, &city.conclude(reply));
                        }
                    }
                    'i' => {
                        let inquiry =
                            city.post(Kiosk::One, "/v1/inquiries", &InquireRequest { order: first.order });
                        let reply = city.handle(&inquiry);
                        told.hear(first.order, Asked::Inquiry, &city.conclude(reply));
                    }
                    _ => {
                        let other = city.post(Kiosk::Two, "/v1/charges", &second);
                        let reply = city.handle(&other);
                        told.hear(second.order, Asked::Charge, &city.conclude(reply));
                    }
                }
            }
            // A charge that is still on its way lands after everything else.
            if let Some(call) = at_acquirer.take() {
                let result = suffer(&mut city, &call, fate);
                let reply = city.resume(&call, result);
                told.hear(first.order, Asked::Charge, &city.conclude(reply));
            }
            let orders = [(Kiosk::One, first), (Kiosk::Two, second)];
            check(&mut city, &mut told, &orders);
            for (count, (_, request)) in seen_paid.iter_mut().zip(&orders) {
                *count += i32::from(!unpaid(&told.0[&request.order]));
            }
        }
    }
    assert!(seen_paid.iter().all(|paid| *paid > 20), "the cases do not exercise both orders: {seen_paid:?}");
}

/// A small generator (xorshift64*), so that a seed names a run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }
}

/// Something on its way.
enum Flight {
    ToPlatform(OrderId, Asked, Request),
    ToPeer(Option<(OrderId, Asked)>, OutCall),
    FromPeer(Option<(OrderId, Asked)>, OutCall, Result<OutAnswer, Unreachable>),
}

struct World {
    city: City,
    told: Told,
    dice: Dice,
    flights: Vec<Flight>,
    orders: Vec<(Kiosk, ChargeRequest)>,
}

impl World {
    fn step(&mut self) {
        match self.dice.roll(16) {
            0 | 1 if self.orders.len() < 4 => self.begin(),
            2 if !self.orders.is_empty() => self.inquire(),
            3 => {
                let now = self.city.now;
                let due = self.city.platform.due(now);
                self.flights.extend(due.into_iter().map(|call| Flight::ToPeer(None, call)));
            }
            4 => {
                let ms = self.dice.roll(40_000) as u64;
                self.city.pass(ms);
            }
            // The platform is killed: what it had asked for may still arrive, but nobody hears the answer.
            5 if self.dice.roll(4) == 0 => {
                let lost = std::mem::take(&mut self.flights);
                for flight in lost {
                    match flight {
                        Flight::ToPlatform(..) => self.flights.push(flight),
                        Flight::ToPeer(_, call) if self.dice.roll(2) == 0 => {
                            self.city.serve(&call);
                        }
                        Flight::ToPeer(..) | Flight::FromPeer(..) => {}
                    }
                }
            }
            6 => self.city.accepts = self.dice.roll(4) != 0,
            _ => self.fly(),
        }
    }

    fn begin(&mut self) {
        let kiosk = if self.dice.roll(2) == 0 { Kiosk::One } else { Kiosk::Two };
        let key = self.city.visit_by_card(kiosk, ZHANG).key.clone();
        let rows = self.city.bills(kiosk, &key);
        let Some(row) = rows.get(self.dice.roll(2)) else { return };
        let order = OrderId::from_entropy(self.city.draw());
        let request = crate::city::order_for(order, key, std::slice::from_ref(row));
        let message = self.city.post(kiosk, "/v1/charges", &request);
        self.orders.push((kiosk, request));
        self.flights.push(Flight::ToPlatform(order, Asked::Charge, message));
    }

    fn inquire(&mut self) {
        let at = self.dice.roll(self.orders.len());
        let (kiosk, order) = (self.orders[at].0, self.orders[at].1.order);
        let message = self.city.post(kiosk, "/v1/inquiries", &InquireRequest { order });
        self.flights.push(Flight::ToPlatform(order, Asked::Inquiry, message));
    }

    /// One of the things on their way arrives, is lost, or arrives and comes again later.
    fn fly(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        let at = self.dice.roll(self.flights.len());
        match self.flights.swap_remove(at) {
            Flight::ToPlatform(order, asked, message) => match self.dice.roll(8) {
                0 => {}
                fate => {
                    if fate == 1 {
                        self.flights.push(Flight::ToPlatform(order, asked, message.clone()));
                    }
                    let reply = self.city.handle(&message);
                    self.on(Some((order, asked)), reply);
                }
            },
            Flight::ToPeer(waiting, call) => {
                let fate = FATES[self.dice.roll(3)];
                let result = suffer(&mut self.city, &call, fate);
                self.flights.push(Flight::FromPeer(waiting, call, result));
            }
            Flight::FromPeer(waiting, call, result) => {
                let reply = self.city.resume(&call, result);
                self.on(waiting, reply);
            }
        }
    }

    fn on(&mut self, waiting: Option<(OrderId, Asked)>, reply: Reply) {
        match (reply, waiting) {
            (Reply::Ask(call), _) => self.flights.push(Flight::ToPeer(waiting, call)),
            (Reply::Done(response), Some((order, asked))) => self.told.hear(order, asked, &response),
            (Reply::Done(_), None) => {}
        }
    }
}

#[test]
fn random_losses_repetitions_delays_and_kills_charge_no_bill_twice() {
    let mut paid = 0;
    for seed in 1..=250_u64 {
        let mut world = World {
            city: City::new(),
            told: Told::default(),
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            flights: Vec::new(),
            orders: Vec::new(),
        };
        for _ in 0..120 {
            world.step();
        }
        // The platform comes to rest first; what is still on its way arrives after that.
        world.city.settle();
        while !world.flights.is_empty() {
            world.fly();
        }
        let run = std::panic::AssertUnwindSafe(|| check(&mut world.city, &mut world.told, &world.orders));
        assert!(std::panic::catch_unwind(run).is_ok(), "seed {seed}");
        paid += world.told.0.values().filter(|told| !unpaid(told)).count();
    }
    assert!(paid > 100, "the runs do not get to pay: {paid}");
}
