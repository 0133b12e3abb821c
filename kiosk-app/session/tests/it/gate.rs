//! A gate: one sign, by itself, for one person once.

use std::sync::Arc;

use contract::{Admitted, Entry, Evidence, GateRules, Profile, Pseudonym, UnixMs};
use session::{Answer, Device, Equipment, Event, Failure, Health, OpenWork};
use view::{Body, Light, TextId};

use crate::bench::{Bench, WALL, code, identified, setup_with_codes};
use crate::codes::{Phone, trust};

fn gate_with(open: OpenWork) -> Bench {
    let mut setup = Arc::into_inner(setup_with_codes()).unwrap();
    setup.profile = Profile::Gate;
    setup.has = Equipment { code_reader: true, ..Equipment::default() };
    setup.gate = Some(GateRules { passback_s: 300, verdict_ms: 2_500 });
    let mut bench = Bench::set_up(Arc::new(setup), open);
    bench.event(Event::Health(Device::CodeReader, Health::Ready));
    bench.event(Event::ClockHeard(0));
    bench.event(trust(&[]));
    bench
}

fn gate() -> Bench {
    gate_with(OpenWork::default())
}

fn sign(bench: &Bench) -> (Light, view::Text) {
    match bench.view().body {
        Body::Sign(sign) => (sign.light, sign.detail),
        other => panic!("no sign: {other:?}"),
    }
}

fn admitted(bench: &Bench) -> Vec<Admitted> {
    let who = |entry: &Entry| if let Entry::Admitted { who, .. } = entry { Some(*who) } else { None };
    bench.log.iter().filter_map(who).collect()
}

#[test]
fn a_code_opens_the_gate_without_a_link_and_the_gate_waits_again_by_itself() {
    let (mut bench, phone) = (gate(), Phone::new(3));
    assert_eq!(sign(&bench).0, Light::Ready);
    bench.event(phone.shows(WALL));
    assert_eq!(sign(&bench), (Light::Go, TextId::GateGoDetail.into()));
    assert!(bench.effects.is_empty(), "nobody was asked");
    assert_eq!(admitted(&bench), [Admitted::Holder(phone.holder)]);
    let kinds: Vec<u8> = bench.log.iter().map(|entry| entry.kind().0).collect();
    assert!(kinds.ends_with(&[14, 15, 13]), "marked, admitted, closed: {kinds:?}");
    bench.wait(2_500);
    assert_eq!(sign(&bench).0, Light::Ready);
}

#[test]
fn each_verdict_is_a_view_of_its_own_also_when_it_looks_like_the_last() {
    let mut bench = gate();
    let mut seen = std::collections::BTreeSet::new();
    for number in 3..6 {
        bench.event(Phone::new(number).shows(WALL));
        assert_eq!(sign(&bench).0, Light::Go);
        seen.insert(bench.view().id);
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn the_phone_still_held_up_is_no_second_attempt_and_a_phone_handed_back_is() {
    let (mut bench, phone) = (gate(), Phone::new(3));
    bench.event(phone.shows(WALL));
    bench.wait(4_000);
    bench.event(phone.shows(WALL + 4_000));
    assert_eq!(sign(&bench).0, Light::Ready);
    bench.wait(16_000);
    bench.event(phone.shows(WALL + 20_000));
    assert_eq!(sign(&bench), (Light::Stop, TextId::GatePassback.into()));
    bench.event(Phone::new(4).shows(WALL + 20_000));
    assert_eq!(sign(&bench).0, Light::Go, "the next one ends the verdict");
    bench.wait(300_000);
    bench.event(phone.shows(WALL + 320_000));
    assert_eq!((sign(&bench).0, admitted(&bench).len()), (Light::Go, 3));
}

#[test]
fn a_picture_of_a_code_that_opened_the_gate_opens_it_no_more() {
    let (mut bench, phone) = (gate(), Phone::new(3));
    bench.event(phone.shows(WALL));
    bench.wait(11_000);
    bench.event(phone.shows(WALL));
    assert_eq!(sign(&bench), (Light::Stop, TextId::CodeUsed.into()));
    bench.wait(10_000);
    bench.event(phone.shows(WALL));
    assert_eq!(sign(&bench), (Light::Stop, TextId::CodeStale.into()));
    assert_eq!(admitted(&bench).len(), 1);
}

#[test]
fn whom_a_gate_let_through_it_knows_after_a_crash() {
    let phone = Phone::new(3);
    let who = Admitted::Holder(phone.holder);
    let open = OpenWork { admitted: vec![(who, UnixMs(WALL + 60_000))], ..OpenWork::default() };
    let mut bench = gate_with(open);
    bench.event(phone.shows(WALL));
    assert_eq!(sign(&bench), (Light::Stop, TextId::GatePassback.into()));
    bench.wait(61_000);
    bench.event(phone.shows(WALL + 61_000));
    assert_eq!(sign(&bench).0, Light::Go);
}

#[test]
fn a_token_is_asked_about_and_names_the_resident_only_by_pseudonym() {
    let mut bench = gate();
    bench.event(Event::Code(code(7).into_bytes().into()));
    assert_eq!(sign(&bench), (Light::Stop, TextId::NoLink.into()));
    bench.event(Event::Link(true));
    bench.event(Event::Code(code(7).into_bytes().into()));
    assert_eq!(sign(&bench).0, Light::Wait);
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Ok(Answer::Identified(identified(Evidence::TokenConsumed)))));
    assert_eq!(sign(&bench).0, Light::Go);
    assert_eq!(admitted(&bench), [Admitted::Resident(Pseudonym::from_entropy(77))]);
    assert!(!format!("{:?}", bench.log).contains(crate::bench::NAME));
    assert_eq!(bench.view().header.who, None);
}

#[test]
fn a_platform_that_does_not_answer_holds_the_gate_up_for_its_time_and_no_longer() {
    let mut bench = gate();
    bench.event(Event::Link(true));
    bench.event(Event::Code(code(7).into_bytes().into()));
    bench.wait(3_000);
    assert_eq!(sign(&bench), (Light::Stop, TextId::NoLink.into()));
    bench.wait(2_500);
    assert_eq!(sign(&bench).0, Light::Ready);
    bench.event(Event::Code(code(8).into_bytes().into()));
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Err(Failure::Unreachable)));
    assert_eq!(sign(&bench).0, Light::Stop);
    assert!(admitted(&bench).is_empty());
}

#[test]
fn a_gate_without_its_eye_is_closed() {
    let mut bench = gate();
    bench.event(Event::Health(Device::CodeReader, Health::Trouble(session::Trouble::Gone)));
    assert_eq!(bench.title(), TextId::ClosedTitle);
}
