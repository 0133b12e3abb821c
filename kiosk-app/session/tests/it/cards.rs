//! Cards that give their holder to an authority only, and what a PIN on them is worth.

use contract::{
    CardAuthAnswer, CardAuthRequest, CardChallenge, Entry, Evidence, HexBytes, Level, ProblemCode,
};
use session::{
    Answer, CardEvent, CardRefusal, Device, Effect, Event, Failure, Health, PinAnswer, Trouble, Work,
};
use view::{Body, TextId};

use crate::bench::{Bench, evidence, identified};

pub(crate) fn challenge() -> CardChallenge {
    CardChallenge {
        area: "500103".into(),
        identification: HexBytes([0x50; 16]),
        version: "3.00".into(),
        algorithm: 3,
        atr_history: "8154".into(),
        challenge: HexBytes([1; 8]),
        internal_factor: HexBytes([2; 8]),
        internal_source: HexBytes([3; 8]),
        external_factor: HexBytes([4; 8]),
    }
}

pub(crate) fn vouched() -> CardAuthAnswer {
    CardAuthAnswer { internal: HexBytes([5; 8]), external: HexBytes([6; 16]) }
}

pub(crate) fn read(authenticated: bool) -> Event {
    let mut evidence = evidence();
    evidence.version = "3.00".into();
    evidence.authenticated = authenticated;
    Event::Card(CardEvent::Read { evidence, valid_to: None })
}

/// A card waits in the slot for its authority.
fn waiting() -> Bench {
    let mut bench = Bench::new();
    bench.event(Event::Card(CardEvent::Inserted));
    bench.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
    bench
}

/// It was read, its holder is recognised, and the platform says this evidence.
pub(crate) fn recognised(authenticated: bool, said: Evidence) -> Bench {
    let mut bench = waiting();
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
    bench.effects.clear();
    bench.event(read(authenticated));
    let (ticket, work) = bench.work();
    assert!(matches!(work, Work::Identify(_)));
    bench.event(Event::Answer(ticket, Ok(Answer::Identified(identified(said)))));
    bench
}

/// The evidence and level that a right PIN leaves behind.
fn after_pin(mut bench: Bench) -> Option<(Evidence, Level)> {
    bench.pay_by_card();
    bench.log.iter().find_map(|entry| match entry {
        Entry::EvidenceGiven { evidence, level, .. } => Some((*evidence, *level)),
        _ => None,
    })
}

#[test]
fn the_platform_is_asked_to_vouch_and_its_answer_goes_to_the_card_that_waits() {
    let mut bench = waiting();
    assert_eq!(bench.outcome().word, TextId::ReadingCard.into());
    let (ticket, work) = bench.work();
    let Work::AskAuthority(CardAuthRequest { card, .. }) = work else { panic!("the platform is asked") };
    assert!(card == challenge());
    bench.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
    let (_, work) = bench.work();
    assert!(matches!(work, Work::Authenticate(Some(answer)) if answer == vouched()));
    assert_eq!(bench.outcome().word, TextId::ReadingCard.into());
    bench.event(read(true));
    assert!(matches!(bench.work().1, Work::Identify(_)));
}

#[test]
fn a_card_that_does_not_prove_itself_is_sent_to_the_desk_and_nothing_is_recorded() {
    let mut bench = waiting();
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
    bench.event(Event::Card(CardEvent::Refused(CardRefusal::Unproven)));
    let outcome = bench.outcome();
    assert_eq!(
        (outcome.word, outcome.detail),
        (TextId::CardUnproven.into(), TextId::CardUnprovenDetail.into())
    );
    bench.wait(120_000);
    assert_eq!(bench.outcome().word, TextId::CardUnproven.into(), "until the card is taken");
    bench.event(Event::Card(CardEvent::Removed));
    assert!(matches!(bench.view().body, Body::Welcome(_)));
    assert!(bench.log.is_empty());
}

#[test]
fn where_nobody_vouches_the_card_is_read_in_part_and_what_else_stops_it_is_said() {
    let mut bench = waiting();
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Err(Failure::Problem(ProblemCode::NotOffered))));
    assert!(matches!(bench.work().1, Work::Authenticate(None)));
    for (failure, word) in [
        (Failure::Problem(ProblemCode::CardStopped), TextId::CardStopped),
        (Failure::Problem(ProblemCode::CardUnknown), TextId::CardUnknown),
        (Failure::Problem(ProblemCode::ChallengeFailed), TextId::NotPermitted),
        (Failure::Problem(ProblemCode::Unavailable), TextId::NoLink),
        (Failure::Unreachable, TextId::NoLink),
        (Failure::Nonsense, TextId::Nonsense),
    ] {
        let mut bench = waiting();
        let (ticket, _) = bench.work();
        bench.event(Event::Answer(ticket, Err(failure)));
        assert_eq!(bench.outcome().word, word.into(), "{failure:?}");
        assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::Do { .. })), "{failure:?}");
    }
}

#[test]
fn the_card_taken_or_the_reader_gone_at_any_moment_ends_it_and_late_answers_match_nothing() {
    let gone =
        [Event::Card(CardEvent::Removed), Event::Health(Device::CardReader, Health::Trouble(Trouble::Gone))];
    for gone in gone {
        let mut bench = waiting();
        let (ticket, _) = bench.work();
        bench.event(gone);
        assert!(bench.effects.iter().any(|effect| matches!(effect, Effect::Cancel(of) if *of == ticket)));
        bench.effects.clear();
        bench.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
        bench.event(read(true));
        assert!(bench.effects.is_empty() && bench.log.is_empty());
    }
}

#[test]
fn neither_the_platform_nor_the_card_is_waited_for_without_end() {
    let mut bench = waiting();
    let (ticket, _) = bench.work();
    bench.wait(11_000);
    assert_eq!(bench.outcome().word, TextId::NoLink.into());
    assert!(bench.effects.iter().any(|effect| matches!(effect, Effect::Cancel(of) if *of == ticket)));

    let mut bench = waiting();
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Ok(Answer::CardAuthority(vouched()))));
    bench.wait(60_000);
    assert_eq!(bench.outcome().word, TextId::CardMute.into(), "a card that is deaf to what it is asked");
}

#[test]
fn a_second_question_about_the_same_card_and_one_without_a_card_are_not_asked() {
    let mut bench = waiting();
    bench.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
    assert_eq!(bench.effects.iter().filter(|effect| matches!(effect, Effect::Do { .. })).count(), 1);
    let mut bench = Bench::new();
    bench.event(Event::Card(CardEvent::NeedsAuthority(challenge())));
    assert!(bench.effects.is_empty());
}

#[test]
fn an_answer_of_the_wrong_kind_opens_no_card() {
    let mut bench = waiting();
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Ok(Answer::Pin(PinAnswer::Verified))));
    assert_eq!(bench.outcome().word, TextId::Nonsense.into());
}

#[test]
fn a_card_that_did_not_wait_is_identified_and_the_question_withdrawn() {
    let mut bench = waiting();
    let (ticket, _) = bench.work();
    bench.event(read(false));
    assert!(bench.effects.iter().any(|effect| matches!(effect, Effect::Cancel(of) if *of == ticket)));
    assert!(matches!(bench.work().1, Work::Identify(_)));
}

#[test]
fn a_payments_pin_is_evidence_of_its_holder_on_an_authenticated_card_and_on_no_other() {
    let authenticated = recognised(true, Evidence::CardAuthenticated);
    assert!(authenticated.log.iter().any(|entry| matches!(
        entry,
        Entry::Identified { evidence: Evidence::CardAuthenticated, level: Level::Recognised, .. }
    )));
    assert_eq!(after_pin(authenticated), Some((Evidence::AuthenticatedCardPin, Level::Recognised)));
    let only_read = recognised(false, Evidence::CardRead);
    assert_eq!(after_pin(only_read), Some((Evidence::CardPin, Level::Recognised)));
}

#[test]
fn the_platforms_word_makes_no_card_authentic_that_the_kiosk_only_read() {
    for said in [Evidence::CardAuthenticated, Evidence::AuthenticatedCardPin] {
        let bench = recognised(false, said);
        assert!(bench.log.iter().any(|entry| matches!(
            entry,
            Entry::Identified { evidence: Evidence::CardRead, level: Level::Recognised, .. }
        )));
        assert_eq!(after_pin(bench), Some((Evidence::CardPin, Level::Recognised)));
    }
}
