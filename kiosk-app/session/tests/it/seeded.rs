//! Random events in random order: whatever happens, the invariants hold.

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
        // xorshift64*: any seed but 0, good enough to shuffle a test.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

fn touchable(bench: &Bench) -> Vec<Intent> {
    let view = bench.view();
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

fn failure(dice: &mut Dice) -> Failure {
    match dice.roll(4) {
        0 => Failure::Nonsense,
        1 => Failure::Problem(ProblemCode::Unavailable),
        2 => Failure::Problem(ProblemCode::BillBusy),
        _ => Failure::Unreachable,
    }
}

/// The far side of every effect, with its faults: a platform that charges at most once per order.
fn answer(bench: &mut Bench, dice: &mut Dice, outcomes: &mut BTreeMap<contract::OrderId, Settlement>) {
    if bench.effects.is_empty() {
        return;
    }
    // Mostly the newest, as an answer comes in life; now and then any, late or out of order.
    let newest = bench.effects.len() - 1;
    let any = usize::try_from(dice.roll(bench.effects.len() as u64)).unwrap();
    let at = if dice.roll(4) == 0 { any } else { newest };
    let effect = bench.effects.remove(at);
    match effect {
        Effect::Do { ticket, work, .. } => {
            let outcome = if dice.roll(5) == 0 {
                Err(failure(dice))
            } else {
                match work {
                    session::Work::Identify(_) => Ok(Answer::Identified(identified(Evidence::CardRead))),
                    session::Work::Prove(_)
                    | session::Work::AskAuthority(_)
                    | session::Work::Authenticate(_) => Err(failure(dice)),
                    session::Work::VerifyPin(_) | session::Work::ChangePin { .. } => {
                        Ok(Answer::Pin(match dice.roll(3) {
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
            bench.event(Event::Answer(ticket, outcome));
        }
        Effect::Charge(request) => {
            let settlement = match dice.roll(3) {
                0 => Settlement::Void { reason: VoidReason::Declined },
                _ => Settlement::Paid { reference: "A".into(), at: UnixMs(1) },
            };
            match dice.roll(4) {
                0 => bench.event(Event::Payment(request.order, Err(Failure::Unreachable))),
                1 => {
                    outcomes.insert(request.order, settlement);
                    bench.event(Event::Payment(request.order, Err(Failure::Unreachable)));
                }
                _ => {
                    outcomes.insert(request.order, settlement.clone());
                    bench.event(Event::Payment(request.order, Ok(ChargeState::Settled { settlement })));
                }
            }
        }
        Effect::Inquire(order) => {
            if dice.roll(3) == 0 {
                bench.event(Event::Payment(order, Err(failure(dice))));
            } else {
                let settlement =
                    outcomes.entry(order).or_insert(Settlement::Void { reason: VoidReason::Fenced }).clone();
                bench.event(Event::Payment(order, Ok(ChargeState::Settled { settlement })));
            }
        }
        Effect::Print { receipt, .. } => {
            let result = match dice.roll(4) {
                0 => PrintResult::NotStarted,
                1 => PrintResult::Unconfirmed,
                _ => PrintResult::Printed(Confirmation::Fenced),
            };
            bench.event(Event::Paper(receipt, result));
        }
        Effect::Cancel(_) => {}
    }
}

fn step(bench: &mut Bench, dice: &mut Dice, outcomes: &mut BTreeMap<contract::OrderId, Settlement>) {
    // What a person would most likely do next; everything else can happen too.
    let title = bench.view().title;
    if title == TextId::WelcomeTitle.into() && dice.roll(2) == 0 {
        return match dice.roll(2) {
            0 => bench.insert_card(),
            _ => bench.event(Event::Code(code(u8::try_from(dice.roll(256)).unwrap()).into_bytes().into())),
        };
    }
    if title == TextId::TakeCardTitle.into() && dice.roll(3) == 0 {
        return bench.event(Event::Card(CardEvent::Removed));
    }
    match dice.roll(60) {
        0 if dice.roll(3) == 0 => bench.event(Event::Card(CardEvent::Inserted)),
        1 => bench.event(Event::Card(CardEvent::Read { evidence: evidence(), valid_to: None })),
        2 if dice.roll(2) == 0 => bench.event(Event::Card(CardEvent::Removed)),
        3 if dice.roll(4) == 0 => bench.event(Event::Card(CardEvent::Refused(CardRefusal::Foreign))),
        4 => bench.event(Event::Code(code(u8::try_from(dice.roll(200)).unwrap()).into_bytes().into())),
        5 if dice.roll(4) == 0 => bench.event(Event::Link(dice.roll(3) > 0)),
        6 if dice.roll(3) == 0 => {
            let health = [Health::Ready, Health::Ready, Health::Trouble(Trouble::PaperOut)];
            let device = [Device::Printer, Device::Printer, Device::CardReader, Device::CodeReader];
            let health = health[usize::try_from(dice.roll(3)).unwrap()];
            bench.event(Event::Health(device[usize::try_from(dice.roll(4)).unwrap()], health));
        }
        7 if dice.roll(2) == 0 => bench.wait(dice.roll(15_000)),
        8..=24 => answer(bench, dice, outcomes),
        _ => {
            let intents = touchable(bench);
            if !intents.is_empty() {
                let at = usize::try_from(dice.roll(intents.len() as u64)).unwrap();
                bench.touch(intents[at]);
            }
        }
    }
}

fn check(bench: &Bench, charged: &mut BTreeSet<contract::OrderId>) {
    let mut intended = BTreeSet::new();
    let mut settled = BTreeSet::new();
    let mut unmarked: BTreeMap<contract::ReceiptId, u32> = BTreeMap::new();
    let mut open_copy: BTreeMap<contract::ReceiptId, u32> = BTreeMap::new();
    for entry in &bench.log {
        match entry {
            Entry::PaymentIntended { order, .. } => {
                assert!(intended.insert(*order), "an order id is used once")
            }
            Entry::PaymentSettled { order, .. } => {
                assert!(intended.contains(order), "settled without a record of the intention");
                assert!(settled.insert(*order), "settled twice");
            }
            Entry::PrintStarted { receipt, copy } => {
                if *copy == 1 {
                    *unmarked.entry(*receipt).or_default() += 1;
                }
                assert!(open_copy.insert(*receipt, *copy).is_none(), "two copies at once");
            }
            Entry::PrintNotStarted { receipt, copy } => {
                open_copy.remove(receipt);
                if *copy == 1 {
                    *unmarked.entry(*receipt).or_default() -= 1;
                }
            }
            Entry::Printed { receipt, .. } | Entry::PrintUnconfirmed { receipt, .. } => {
                open_copy.remove(receipt);
            }
            _ => {}
        }
    }
    assert!(unmarked.values().all(|copies| *copies <= 1), "two unmarked copies");
    for charge in bench.charges() {
        charged.insert(charge.order);
        assert!(intended.contains(&charge.order), "a charge without a record");
    }
}

#[test]
fn random_visits_keep_the_invariants() {
    let mut settled = 0;
    let mut consents = 0;
    for seed in 1..=60_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut bench = Bench::new();
        let mut outcomes = BTreeMap::new();
        let mut charged = BTreeSet::new();
        for _ in 0..1_500 {
            step(&mut bench, &mut dice, &mut outcomes);
        }
        check(&bench, &mut charged);
        // Calm: everything answers; every order must come to its end.
        bench.event(Event::Link(true));
        for _ in 0..400 {
            answer(&mut bench, &mut dice, &mut outcomes);
            bench.wait(2_000);
        }
        check(&bench, &mut charged);
        let intended = bench.count(|e| matches!(e, Entry::PaymentIntended { .. }));
        let known = bench.count(|e| matches!(e, Entry::PaymentSettled { .. }));
        assert_eq!(intended, known, "seed {seed}: an order without an end");
        settled += known;
        consents += bench.count(|e| matches!(e, Entry::Consented { .. }));
    }
    assert!(
        settled > 50 && consents > 20,
        "the dice must reach payments ({settled}) and consents ({consents})"
    );
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let run = || {
        let mut dice = Dice(42);
        let mut bench = Bench::new();
        let mut outcomes = BTreeMap::new();
        for _ in 0..500 {
            step(&mut bench, &mut dice, &mut outcomes);
        }
        bench.log
    };
    assert_eq!(run(), run());
}
