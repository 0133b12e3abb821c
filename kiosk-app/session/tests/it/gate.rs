//! A gate: one sign, by itself, for one person once.

use std::sync::Arc;

use contract::{Admitted, CardName, Entry, Evidence, GateRules, ProblemCode, Profile, Pseudonym, UnixMs};
use session::{Answer, CardEvent, Device, Equipment, Event, Failure, Health, OpenWork, Work};
use view::{Body, Light, TextId};

use crate::bench::{Bench, WALL, code, evidence, identified, setup_with_codes};
use crate::cards::{challenge, read, vouched};
use crate::codes::{DAY, Phone, stops, trust};

fn gate_with(open: OpenWork) -> Bench {
    let mut setup = Arc::into_inner(setup_with_codes()).unwrap();
    setup.profile = Profile::Gate;
    setup.has = Equipment { code_reader: true, card_reader: true, ..Equipment::default() };
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
fn a_gate_is_closed_when_it_can_neither_see_nor_feel() {
    let mut bench = gate();
    bench.event(Event::Health(Device::CardReader, Health::Ready));
    assert_eq!(sign(&bench), (Light::Ready, TextId::GateReadyBothDetail.into()));
    bench.event(Event::Health(Device::CodeReader, Health::Trouble(session::Trouble::Gone)));
    assert_eq!(sign(&bench), (Light::Ready, TextId::GateTapDetail.into()), "cards are still felt");
    bench.event(Event::Health(Device::CardReader, Health::Trouble(session::Trouble::Gone)));
    assert_eq!(bench.title(), TextId::ClosedTitle);
}

fn card() -> CardName {
    evidence().card().unwrap()
}

#[test]
fn a_card_that_proved_itself_opens_the_gate_without_a_link_until_it_is_stopped() {
    let mut bench = gate();
    bench.event(read(true));
    let offline = (Light::Stop, TextId::GateCardOffline.into());
    assert_eq!(sign(&bench), offline, "nobody said yet which cards are stopped");
    bench.event(stops(&[], UnixMs(WALL + DAY)));
    bench.event(read(false));
    assert_eq!(sign(&bench), offline, "what was only read can be a copy");
    bench.event(read(true));
    assert_eq!(sign(&bench).0, Light::Go);
    assert!(bench.effects.is_empty(), "nobody was asked");
    assert_eq!(admitted(&bench), [Admitted::Card(card())]);
    bench.event(read(true));
    assert_eq!(sign(&bench), (Light::Stop, TextId::GatePassback.into()));

    bench.event(stops(&[(card(), UnixMs(WALL + DAY))], UnixMs(WALL + DAY)));
    bench.wait(300_000);
    bench.event(read(true));
    assert_eq!(sign(&bench), (Light::Stop, TextId::CardStopped.into()));
    bench.event(stops(&[(card(), UnixMs(WALL + DAY)), (card(), UnixMs(0))], UnixMs(WALL + DAY)));
    bench.event(read(true));
    assert_eq!(sign(&bench).0, Light::Go, "it was found again");
    bench.event(stops(&[], UnixMs(WALL + 1)));
    bench.wait(300_000);
    bench.event(read(true));
    assert_eq!(sign(&bench), offline, "what was said is too old");
}

#[test]
fn a_card_is_let_through_once_although_the_link_comes_and_goes() {
    let mut bench = gate();
    bench.event(stops(&[], UnixMs(WALL + DAY)));
    bench.event(Event::Link(true));
    bench.event(read(true));
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Ok(Answer::Identified(identified(Evidence::CardAuthenticated)))));
    assert_eq!(sign(&bench).0, Light::Go);
    bench.event(Event::Link(false));
    bench.event(read(true));
    assert_eq!(sign(&bench), (Light::Stop, TextId::GatePassback.into()));
    assert_eq!(admitted(&bench), [Admitted::Resident(Pseudonym::from_entropy(77))]);

    let mut bench = gate();
    bench.event(stops(&[], UnixMs(WALL + DAY)));
    bench.event(read(true));
    bench.event(Event::Link(true));
    bench.event(read(true));
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Ok(Answer::Identified(identified(Evidence::CardAuthenticated)))));
    assert_eq!(sign(&bench), (Light::Stop, TextId::GatePassback.into()));
    assert_eq!(admitted(&bench), [Admitted::Card(card())]);
}

#[test]
fn what_a_gate_records_of_a_card_is_never_more_than_it_saw_whatever_the_platform_says() {
    for (seen, expected) in [(false, Evidence::CardRead), (true, Evidence::CardAuthenticated)] {
        let mut bench = gate();
        bench.event(Event::Link(true));
        bench.event(read(seen));
        let (ticket, _) = bench.work();
        bench.event(Event::Answer(ticket, Ok(Answer::Identified(identified(Evidence::CardAuthenticated)))));
        let recorded = bench.log.iter().find_map(|entry| match entry {
            Entry::Admitted { evidence, .. } => Some(*evidence),
            _ => None,
        });
        assert_eq!(recorded, Some(expected));
    }
}

#[test]
fn a_link_that_goes_this_moment_does_not_keep_a_card_out_that_proved_itself() {
    for (authenticated, light) in [(true, Light::Go), (false, Light::Stop)] {
        let mut bench = gate();
        bench.event(stops(&[], UnixMs(WALL + DAY)));
        bench.event(Event::Link(true));
        bench.event(read(authenticated));
        bench.wait(3_000);
        assert_eq!(sign(&bench).0, light);
    }
}

#[test]
fn without_a_psam_the_platform_is_asked_what_a_card_has_to_answer() {
    let mut bench = gate();
    bench.event(Event::Link(true));
    bench.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
    assert_eq!(sign(&bench).0, Light::Wait);
    let (ticket, Work::AskAuthority(_)) = bench.work() else { panic!("the platform is not asked") };
    bench.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
    assert!(matches!(bench.work().1, Work::Authenticate(Some(_))));
    bench.event(read(true));
    assert!(matches!(bench.work().1, Work::Identify(_)));
}

#[test]
fn a_card_that_the_platform_does_not_vouch_for_is_stopped_or_only_read() {
    for (failure, stopped) in [
        (Failure::Problem(ProblemCode::CardStopped), true),
        (Failure::Problem(ProblemCode::ChallengeFailed), true),
        (Failure::Problem(ProblemCode::NotOffered), false),
        (Failure::Problem(ProblemCode::Unavailable), false),
        (Failure::Unreachable, false),
    ] {
        let mut bench = gate();
        bench.event(Event::Link(true));
        bench.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
        let (ticket, _) = bench.work();
        bench.event(Event::Answer(ticket, Err(failure)));
        if stopped {
            assert_eq!(sign(&bench).0, Light::Stop, "{failure:?}");
        } else {
            assert!(matches!(bench.work().1, Work::Authenticate(None)), "{failure:?}");
        }
    }
    let mut bench = gate();
    bench.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
    assert!(matches!(bench.work().1, Work::Authenticate(None)), "without a link nobody is asked");
}
