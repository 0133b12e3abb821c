//! Random events in random order: the invariants hold after every sequence.

use std::collections::{BTreeMap, BTreeSet};

use contract::{ChargeState, Confirmation, Entry, Evidence, ProblemCode, Settlement, UnixMs, VoidReason};
use session::{
    CardEvent, CardRefusal, DeviceKind, DeviceState, Effect, Event, Failure, FaultReason, PinAnswer,
    PrintResult, WorkAnswer,
};
use view::{Body, Intent, TextId};

use crate::fixture::{Fixture, code, evidence, identified};

pub(crate) struct SimRng(pub(crate) u64);

impl SimRng {
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        // xorshift64*: any seed but 0, sufficient for tests.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

pub(crate) fn touchable(fixture: &Fixture) -> Vec<Intent> {
    let view = fixture.view();
    let mut intents: Vec<Intent> = view.footer.iter().map(|foot| foot.intent()).collect();
    intents.push(Intent::StillHere);
    intents.extend(view.actions.iter().filter(|action| action.enabled).flat_map(|a| [a.intent; 12]));
    match view.body {
        Body::Menu(tiles) => intents.extend(tiles.iter().flat_map(|tile| [tile.intent; 6])),
        Body::Rows(rows) => intents.extend(rows.rows.iter().flat_map(|row| [row.intent; 6])),
        Body::Entry(_) => {
            intents.extend([[Intent::EntryDigit(1); 30].as_slice(), &[Intent::EntryErase]].concat())
        }
        Body::Pin(_) => intents.extend([[Intent::PinDigit(1); 30].as_slice(), &[Intent::PinErase]].concat()),
        _ => {}
    }
    intents
}

fn failure(rng: &mut SimRng) -> Failure {
    match rng.below(4) {
        0 => Failure::InvalidResponse,
        1 => Failure::Problem(ProblemCode::Unavailable),
        2 => Failure::Problem(ProblemCode::BillBusy),
        _ => Failure::Unreachable,
    }
}

/// Answers an effect as the platform or a device would, with faults. This platform charges at most once per order.
fn answer(fixture: &mut Fixture, rng: &mut SimRng, outcomes: &mut BTreeMap<contract::OrderId, Settlement>) {
    if fixture.effects.is_empty() {
        return;
    }
    // Mostly the newest effect, as in operation; sometimes any effect, so that answers come late or out of order.
    let newest = fixture.effects.len() - 1;
    let any = usize::try_from(rng.below(fixture.effects.len() as u64)).unwrap();
    let at = if rng.below(4) == 0 { any } else { newest };
    let effect = fixture.effects.remove(at);
    match effect {
        Effect::StartWork { ticket, work, .. } => {
            let outcome = if rng.below(5) == 0 {
                Err(failure(rng))
            } else {
                match work {
                    session::Work::Platform(session::PlatformWork::Identify(_)) => {
                        Ok(WorkAnswer::Identified(identified(Evidence::CardRead)))
                    }
                    session::Work::Platform(session::PlatformWork::ReportEvidence(_))
                    | session::Work::Platform(session::PlatformWork::RequestCardAuthentication(_))
                    | session::Work::Card(session::CardWork::Authenticate(_)) => Err(failure(rng)),
                    session::Work::Card(session::CardWork::VerifyPin(_))
                    | session::Work::Card(session::CardWork::ChangePin { .. }) => {
                        Ok(WorkAnswer::Pin(match rng.below(3) {
                            0 => PinAnswer::Wrong { tries_left: 2 },
                            _ => PinAnswer::Verified,
                        }))
                    }
                    session::Work::Platform(session::PlatformWork::CallOperation(call)) => {
                        let row: contract::AnswerRow = if call.operation == "water.bills" {
                            [("bill", "w-1"), ("payee", "水"), ("period", "10月"), ("amount", "100")]
                                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                                .into()
                        } else {
                            [("months".to_owned(), "3".to_owned())].into()
                        };
                        Ok(WorkAnswer::CallAnswered(contract::CallAnswer {
                            rows: vec![row],
                            next: None,
                            refused: None,
                        }))
                    }
                }
            };
            fixture.event(Event::WorkAnswered(ticket, outcome));
        }
        Effect::Charge(request) => {
            let settlement = match rng.below(3) {
                0 => Settlement::Void { reason: VoidReason::Declined },
                _ => Settlement::Paid { reference: "A".into(), at: UnixMs(1) },
            };
            match rng.below(4) {
                0 => fixture.event(Event::PaymentAnswered(request.order, Err(Failure::Unreachable))),
                1 => {
                    outcomes.insert(request.order, settlement);
                    fixture.event(Event::PaymentAnswered(request.order, Err(Failure::Unreachable)));
                }
                _ => {
                    outcomes.insert(request.order, settlement.clone());
                    fixture.event(Event::PaymentAnswered(
                        request.order,
                        Ok(ChargeState::Settled { settlement }),
                    ));
                }
            }
        }
        Effect::Inquire(order) => {
            if rng.below(3) == 0 {
                fixture.event(Event::PaymentAnswered(order, Err(failure(rng))));
            } else {
                let settlement =
                    outcomes.entry(order).or_insert(Settlement::Void { reason: VoidReason::Fenced }).clone();
                fixture.event(Event::PaymentAnswered(order, Ok(ChargeState::Settled { settlement })));
            }
        }
        Effect::Print { receipt, .. } => {
            let result = match rng.below(4) {
                0 => PrintResult::NotStarted,
                1 => PrintResult::Unconfirmed,
                _ => PrintResult::Printed(Confirmation::BarrierAnswered),
            };
            fixture.event(Event::PrintFinished(receipt, result));
        }
        Effect::CancelWork(_) => {}
    }
}

fn step(fixture: &mut Fixture, rng: &mut SimRng, outcomes: &mut BTreeMap<contract::OrderId, Settlement>) {
    // The most likely next act of a resident is preferred; every other event is possible.
    let title = fixture.view().title;
    if title == TextId::WelcomeTitle.into() && rng.below(2) == 0 {
        return match rng.below(2) {
            0 => fixture.insert_card(),
            _ => fixture
                .event(Event::CodeScanned(code(u8::try_from(rng.below(256)).unwrap()).into_bytes().into())),
        };
    }
    if title == TextId::TakeCardTitle.into() && rng.below(3) == 0 {
        return fixture.event(Event::Card(CardEvent::Removed));
    }
    match rng.below(60) {
        0 if rng.below(3) == 0 => fixture.event(Event::Card(CardEvent::Inserted)),
        1 => fixture.event(Event::Card(CardEvent::Read { evidence: evidence(), valid_to: None })),
        2 if rng.below(2) == 0 => fixture.event(Event::Card(CardEvent::Removed)),
        3 if rng.below(4) == 0 => fixture.event(Event::Card(CardEvent::Refused(CardRefusal::Unsupported))),
        4 => {
            fixture.event(Event::CodeScanned(code(u8::try_from(rng.below(200)).unwrap()).into_bytes().into()))
        }
        5 if rng.below(4) == 0 => fixture.event(Event::LinkChanged(rng.below(3) > 0)),
        6 if rng.below(3) == 0 => {
            let health = [DeviceState::Ready, DeviceState::Ready, DeviceState::Faulty(FaultReason::PaperOut)];
            let device = [
                DeviceKind::ReceiptPrinter,
                DeviceKind::ReceiptPrinter,
                DeviceKind::CardReader,
                DeviceKind::CodeReader,
            ];
            let health = health[usize::try_from(rng.below(3)).unwrap()];
            fixture.event(Event::DeviceStateChanged(device[usize::try_from(rng.below(4)).unwrap()], health));
        }
        7 if rng.below(2) == 0 => fixture.wait(rng.below(15_000)),
        8..=24 => answer(fixture, rng, outcomes),
        _ => {
            let intents = touchable(fixture);
            if !intents.is_empty() {
                let at = usize::try_from(rng.below(intents.len() as u64)).unwrap();
                fixture.touch(intents[at]);
            }
        }
    }
}

fn check(fixture: &Fixture, charged: &mut BTreeSet<contract::OrderId>) {
    let mut created = BTreeSet::new();
    let mut settled = BTreeSet::new();
    let mut without_copy_mark: BTreeMap<contract::ReceiptId, u32> = BTreeMap::new();
    let mut open_copy: BTreeMap<contract::ReceiptId, u32> = BTreeMap::new();
    for entry in &fixture.log {
        match entry {
            Entry::OrderCreated { order, .. } => {
                assert!(created.insert(*order), "an order id is used once")
            }
            Entry::OrderSettled { order, .. } => {
                assert!(created.contains(order), "an order is settled only after it was created");
                assert!(settled.insert(*order), "an order is settled once");
            }
            Entry::PrintStarted { receipt, copy, .. } => {
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
        let mut rng = SimRng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut fixture = Fixture::new();
        let mut outcomes = BTreeMap::new();
        let mut charged = BTreeSet::new();
        for _ in 0..1_500 {
            step(&mut fixture, &mut rng, &mut outcomes);
        }
        check(&fixture, &mut charged);
        // Without further events every effect is answered, and every order must be settled.
        fixture.event(Event::LinkChanged(true));
        for _ in 0..400 {
            answer(&mut fixture, &mut rng, &mut outcomes);
            fixture.wait(2_000);
        }
        check(&fixture, &mut charged);
        let created = fixture.count(|e| matches!(e, Entry::OrderCreated { .. }));
        let known = fixture.count(|e| matches!(e, Entry::OrderSettled { .. }));
        assert_eq!(created, known, "seed {seed}: an order was not settled");
        settled += known;
        consents += fixture.count(|e| matches!(e, Entry::Consented { .. }));
    }
    assert!(settled > 50 && consents > 20, "insufficient coverage: {settled} payments, {consents} consents");
}

#[test]
fn same_seed_gives_same_log() {
    let run = || {
        let mut rng = SimRng(42);
        let mut fixture = Fixture::new();
        let mut outcomes = BTreeMap::new();
        for _ in 0..500 {
            step(&mut fixture, &mut rng, &mut outcomes);
        }
        fixture.log
    };
    assert_eq!(run(), run());
}
