//! Random events in random order: the invariants hold after every sequence.

use std::collections::{BTreeMap, BTreeSet};

use contract::{ChargeState, Confirmation, Entry, Evidence, ProblemCode, Settlement, UnixMs, VoidReason};
use session::{
    Answer, CardEvent, CardRefusal, Device, Effect, Event, Failure, Health, PinAnswer, PrintResult, Trouble,
};
use view::{Body, Intent, TextId};

use crate::bench::{Bench, code, evidence, identified};

pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64*: any seed but 0, sufficient for tests.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

fn touchable(fixture: &Bench) -> Vec<Intent> {
    let view = fixture.view();
    let mut intents: Vec<Intent> = view.footer.iter().map(|foot| foot.intent()).collect();
    intents.push(Intent::More);
    intents.extend(view.actions.iter().filter(|action| action.enabled).flat_map(|a| [a.intent; 12]));
    match view.body {
        Body::Menu(tiles) => intents.extend(tiles.iter().flat_map(|tile| [tile.intent; 6])),
        Body::Rows(rows) => intents.extend(rows.rows.iter().flat_map(|row| [row.intent; 6])),
        Body::Pin(_) => intents.extend([[Intent::Digit(1); 30].as_slice(), &[Intent::Erase]].concat()),
        _ => {}
    }
    intents
}

fn failure(rng: &mut Dice) -> Failure {
    match rng.roll(4) {
        0 => Failure::Nonsense,
        1 => Failure::Problem(ProblemCode::Unavailable),
        2 => Failure::Problem(ProblemCode::BillBusy),
        _ => Failure::Unreachable,
    }
}

/// Answers an effect as the platform or a device would, with faults. This platform charges at most once per order.
fn answer(fixture: &mut Bench, rng: &mut Dice, outcomes: &mut BTreeMap<contract::OrderId, Settlement>) {
    if fixture.effects.is_empty() {
        return;
    }
    // Mostly the newest effect, as in operation; sometimes any effect, so that answers come late or out of order.
    let newest = fixture.effects.len() - 1;
    let any = usize::try_from(rng.roll(fixture.effects.len() as u64)).unwrap();
    let at = if rng.roll(4) == 0 { any } else { newest };
    let effect = fixture.effects.remove(at);
    match effect {
        Effect::Do { ticket, work, .. } => {
            let outcome = if rng.roll(5) == 0 {
                Err(failure(rng))
            } else {
                match work {
                    session::Work::Identify(_) => Ok(Answer::Identified(identified(Evidence::CardRead))),
                    session::Work::Prove(_)
                    | session::Work::AskAuthority(_)
                    | session::Work::Authenticate(_) => Err(failure(rng)),
                    session::Work::VerifyPin(_) | session::Work::ChangePin { .. } => {
                        Ok(Answer::Pin(match rng.roll(3) {
                            0 => PinAnswer::Wrong { tries_left: 2 },
                            _ => PinAnswer::Verified,
                        }))
                    }
                    session::Work::Call(call) => {
                        let row: contract::Row = if call.operation == "water.bills" {
                            [("bill", "w-1"), ("payee", "水"), ("period", "10月"), ("amount", "100")]
                                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                                .into()
                        } else {
                            [("months".to_owned(), "3".to_owned())].into()
                        };
                        Ok(Answer::Called(contract::CallAnswer { rows: vec![row], next: None }))
                    }
                }
            };
            fixture.event(Event::Answer(ticket, outcome));
        }
        Effect::Charge(request) => {
            let settlement = match rng.roll(3) {
                0 => Settlement::Void { reason: VoidReason::Declined },
                _ => Settlement::Paid { reference: "A".into(), at: UnixMs(1) },
            };
            match rng.roll(4) {
                0 => fixture.event(Event::Payment(request.order, Err(Failure::Unreachable))),
                1 => {
                    outcomes.insert(request.order, settlement);
                    fixture.event(Event::Payment(request.order, Err(Failure::Unreachable)));
                }
                _ => {
                    outcomes.insert(request.order, settlement.clone());
                    fixture.event(Event::Payment(request.order, Ok(ChargeState::Settled { settlement })));
                }
            }
        }
        Effect::Inquire(order) => {
            if rng.roll(3) == 0 {
                fixture.event(Event::Payment(order, Err(failure(rng))));
            } else {
                let settlement =
                    outcomes.entry(order).or_insert(Settlement::Void { reason: VoidReason::Fenced }).clone();
                fixture.event(Event::Payment(order, Ok(ChargeState::Settled { settlement })));
            }
        }
        Effect::Print { receipt, .. } => {
            let result = match rng.roll(4) {
                0 => PrintResult::NotStarted,
                1 => PrintResult::Unconfirmed,
                _ => PrintResult::Printed(Confirmation::Fenced),
            };
            fixture.event(Event::Paper(receipt, result));
        }
        Effect::Cancel(_) => {}
    }
}

fn step(fixture: &mut Bench, rng: &mut Dice, outcomes: &mut BTreeMap<contract::OrderId, Settlement>) {
    // The most likely next act of a resident is preferred; every other event is possible.
    let title = fixture.view().title;
    if title == TextId::WelcomeTitle.into() && rng.roll(2) == 0 {
        return match rng.roll(2) {
            0 => fixture.insert_card(),
            _ => fixture.event(Event::Code(code(u8::try_from(rng.roll(256)).unwrap()).into_bytes().into())),
        };
    }
    if title == TextId::TakeCardTitle.into() && rng.roll(3) == 0 {
        return fixture.event(Event::Card(CardEvent::Removed));
    }
    match rng.roll(60) {
        0 if rng.roll(3) == 0 => fixture.event(Event::Card(CardEvent::Inserted)),
        1 => fixture.event(Event::Card(CardEvent::Read { evidence: evidence(), valid_to: None })),
        2 if rng.roll(2) == 0 => fixture.event(Event::Card(CardEvent::Removed)),
        3 if rng.roll(4) == 0 => fixture.event(Event::Card(CardEvent::Refused(CardRefusal::Foreign))),
        4 => fixture.event(Event::Code(code(u8::try_from(rng.roll(200)).unwrap()).into_bytes().into())),
        5 if rng.roll(4) == 0 => fixture.event(Event::Link(rng.roll(3) > 0)),
        6 if rng.roll(3) == 0 => {
            let health = [Health::Ready, Health::Ready, Health::Trouble(Trouble::PaperOut)];
            let device = [Device::Printer, Device::Printer, Device::CardReader, Device::CodeReader];
            let health = health[usize::try_from(rng.roll(3)).unwrap()];
            fixture.event(Event::Health(device[usize::try_from(rng.roll(4)).unwrap()], health));
        }
        7 if rng.roll(2) == 0 => fixture.wait(rng.roll(15_000)),
        8..=24 => answer(fixture, rng, outcomes),
        _ => {
            let intents = touchable(fixture);
            if !intents.is_empty() {
                let at = usize::try_from(rng.roll(intents.len() as u64)).unwrap();
                fixture.touch(intents[at]);
            }
        }
    }
}

fn check(fixture: &Bench, charged: &mut BTreeSet<contract::OrderId>) {
    let mut created = BTreeSet::new();
    let mut settled = BTreeSet::new();
    let mut without_copy_mark: BTreeMap<contract::ReceiptId, u32> = BTreeMap::new();
    let mut open_copy: BTreeMap<contract::ReceiptId, u32> = BTreeMap::new();
    for entry in &fixture.log {
        match entry {
            Entry::PaymentIntended { order, .. } => {
                assert!(created.insert(*order), "an order id is used once")
            }
            Entry::PaymentSettled { order, .. } => {
                assert!(created.contains(order), "an order is settled only after it was created");
                assert!(settled.insert(*order), "an order is settled once");
            }
            Entry::PrintStarted { receipt, copy } => {
                if *copy == 1 {
                    *without_copy_mark.entry(*receipt).or_default() += 1;
                }
                assert!(open_copy.insert(*receipt, *copy).is_none(), "one copy at a time per receipt");
            }
            Entry::PrintNotStarted { receipt, copy } => {
                open_copy.remove(receipt);
                if *copy == 1 {
                    *without_copy_mark.entry(*receipt).or_default() -= 1;
                }
            }
            Entry::Printed { receipt, .. } | Entry::PrintUnconfirmed { receipt, .. } => {
                open_copy.remove(receipt);
            }
            _ => {}
        }
    }
    assert!(without_copy_mark.values().all(|copies| *copies <= 1), "at most one copy without a copy mark");
    for charge in fixture.charges() {
        charged.insert(charge.order);
        assert!(created.contains(&charge.order), "a charge needs a recorded order");
    }
}

#[test]
fn random_visits_keep_invariants() {
    let mut settled = 0;
    let mut consents = 0;
    for seed in 1..=60_u64 {
        let mut rng = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut fixture = Bench::new();
        let mut outcomes = BTreeMap::new();
        let mut charged = BTreeSet::new();
        for _ in 0..1_500 {
            step(&mut fixture, &mut rng, &mut outcomes);
        }
        check(&fixture, &mut charged);
        // Without further events every effect is answered, and every order must be settled.
        fixture.event(Event::Link(true));
        for _ in 0..400 {
            answer(&mut fixture, &mut rng, &mut outcomes);
            fixture.wait(2_000);
        }
        check(&fixture, &mut charged);
        let created = fixture.count(|e| matches!(e, Entry::PaymentIntended { .. }));
        let known = fixture.count(|e| matches!(e, Entry::PaymentSettled { .. }));
        assert_eq!(created, known, "seed {seed}: an order was not settled");
        settled += known;
        consents += fixture.count(|e| matches!(e, Entry::Consented { .. }));
    }
    assert!(settled > 50 && consents > 20, "insufficient coverage: {settled} payments, {consents} consents");
}

#[test]
fn same_seed_gives_same_log() {
    let run = || {
        let mut rng = Dice(42);
        let mut fixture = Bench::new();
        let mut outcomes = BTreeMap::new();
        for _ in 0..500 {
            step(&mut fixture, &mut rng, &mut outcomes);
        }
        fixture.log
    };
    assert_eq!(run(), run());
}
