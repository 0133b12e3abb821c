//! Visits that begin with an ID card: who is signed in, what is refused and how, and how such a visit ends.

use contract::{CloseReason, Entry, Evidence, Level, Presented, ProblemCode, Way};
use session::{CardEvent, Device, Effect, Event, Failure, Health, IdCardEvent, IdCardRefusal, Trouble, Work};
use view::{Body, Foot, Gesture, Intent, TextId, Verdict};

use crate::bench::{Bench, ID_NUMBER, NAME, code, evidence, id_evidence};

fn seen() -> Event {
    Event::IdCard(IdCardEvent::Seen)
}

fn read(valid_to: Option<&str>) -> Event {
    Event::IdCard(IdCardEvent::Read { evidence: id_evidence(), valid_to: valid_to.map(str::to_owned) })
}

fn refused(why: IdCardRefusal) -> Event {
    Event::IdCard(IdCardEvent::Refused(why))
}

fn ways(bench: &Bench) -> Vec<(view::Way, bool)> {
    let Body::Welcome(ways) = bench.view().body else { panic!("not the welcome view") };
    ways.iter().map(|way| (way.way, way.broken.is_none())).collect()
}

#[test]
fn an_id_card_on_the_reader_signs_its_holder_in_as_recognised() {
    let mut bench = Bench::new();
    bench.event(seen());
    assert_eq!(bench.outcome().word, TextId::ReadingIdCard.into());
    bench.event(read(Some("20360101")));
    let (_, Work::Identify(request)) = bench.work() else { panic!("the platform is asked") };
    let Presented::IdCard(presented) = &request.presented else { panic!("an ID card was presented") };
    assert_eq!((presented.id_number.as_str(), presented.name.as_str()), (ID_NUMBER, NAME));

    let mut bench = Bench::new();
    bench.by_id_card();
    assert_eq!(bench.title(), TextId::MenuTitle);
    let level = bench.log.iter().find_map(|entry| match entry {
        Entry::Identified { way: Way::IdCard, evidence: Evidence::IdCardRead, level, .. } => Some(*level),
        _ => None,
    });
    assert_eq!(level, Some(Level::Recognised));
}

#[test]
fn neither_number_nor_name_of_the_card_is_recorded() {
    let mut bench = Bench::new();
    bench.by_id_card();
    bench.touch(Intent::Leave);
    for entry in &bench.log {
        let text = String::from_utf8(entry.encode()).unwrap();
        assert!(!text.contains(ID_NUMBER) && !text.contains(NAME), "{text}");
    }
}

#[test]
fn the_visit_ends_by_exit_and_the_card_is_not_forgotten() {
    let mut bench = Bench::new();
    bench.by_id_card();
    assert!(bench.view().footer.contains(&Foot::Exit));
    bench.touch(Intent::Leave);
    assert!(matches!(bench.log.last(), Some(Entry::VisitClosed { reason: CloseReason::Exit, .. })));
    assert_eq!(bench.title(), TextId::TakeIdCardTitle);
    assert_eq!(bench.outcome().gesture, Some(Gesture::TakeIdCard));
    assert!(bench.view().header.who.is_none(), "the last words name nobody");
    bench.touch(Intent::Go);
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn the_visit_ends_by_time_out_and_the_last_words_by_themselves() {
    let mut bench = Bench::new();
    bench.by_id_card();
    bench.wait(60_000);
    assert!(matches!(bench.log.last(), Some(Entry::VisitClosed { reason: CloseReason::TimedOut, .. })));
    bench.wait(8_000);
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn the_next_resident_need_not_wait_for_the_last_words() {
    let mut bench = Bench::new();
    bench.by_id_card();
    bench.touch(Intent::Leave);
    bench.event(seen());
    assert_eq!(bench.outcome().word, TextId::ReadingIdCard.into());
}

#[test]
fn a_social_security_card_put_in_or_taken_meanwhile_changes_nothing() {
    let mut bench = Bench::new();
    bench.event(seen());
    bench.event(Event::Card(CardEvent::Inserted));
    bench.event(Event::Card(CardEvent::Read { evidence: evidence(), valid_to: None }));
    assert_eq!(bench.outcome().word, TextId::ReadingIdCard.into(), "another card's data is not this one's");
    assert!(bench.effects.is_empty());
    bench.event(Event::Card(CardEvent::Removed));
    bench.event(read(None));
    assert_eq!(bench.outcome().word, TextId::Identifying.into());
}

#[test]
fn each_refusal_says_what_to_do_and_goes_by_itself() {
    for (refusal, title, word, gesture) in [
        (IdCardRefusal::Foreign, TextId::SorryIdCardTitle, TextId::IdCardForeign, Gesture::LayIdCard),
        (IdCardRefusal::Unread, TextId::SorryIdCardTitle, TextId::IdCardUnread, Gesture::LayIdCard),
        (IdCardRefusal::Damaged, TextId::TakeIdCardTitle, TextId::IdCardDamaged, Gesture::TakeIdCard),
    ] {
        let mut bench = Bench::new();
        bench.event(seen());
        bench.event(refused(refusal));
        assert_eq!((bench.title(), bench.outcome().word), (title, word.into()));
        assert_eq!((bench.outcome().verdict, bench.outcome().gesture), (Verdict::Sorry, Some(gesture)));
        bench.wait(8_000);
        assert!(matches!(bench.view().body, Body::Welcome(_)));
        assert!(bench.log.is_empty() && bench.effects.is_empty(), "nobody was there");
    }
}

#[test]
fn a_card_that_was_not_read_may_be_laid_down_again_at_once() {
    let mut bench = Bench::new();
    bench.event(seen());
    bench.event(refused(IdCardRefusal::Unread));
    bench.by_id_card();
    assert_eq!(bench.title(), TextId::MenuTitle);
}

#[test]
fn an_id_card_past_its_last_day_is_refused_and_without_one_accepted() {
    // The bench's clock stands on 2026-11-18, Chongqing time.
    for (valid_to, accepted) in [(Some("20261117"), false), (Some("20261118"), true), (None, true)] {
        let mut bench = Bench::new();
        bench.event(seen());
        bench.event(read(valid_to));
        let word = if accepted { TextId::Identifying } else { TextId::IdCardExpired };
        assert_eq!(bench.outcome().word, word.into(), "{valid_to:?}");
        assert_eq!(bench.effects.iter().any(|effect| matches!(effect, Effect::Do { .. })), accepted);
    }
}

#[test]
fn who_is_not_registered_is_told_so() {
    let mut bench = Bench::new();
    bench.lay_id_card();
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Err(Failure::Problem(ProblemCode::ResidentUnknown))));
    assert_eq!(bench.outcome().word, TextId::IdCardUnknown.into());
    assert_eq!(bench.title(), TextId::TakeIdCardTitle);
}

#[test]
fn a_reading_that_never_ends_and_a_reader_that_goes_end_the_wait() {
    let mut bench = Bench::new();
    bench.event(seen());
    bench.wait(10_000);
    assert_eq!(bench.outcome().word, TextId::IdCardUnread.into());

    let mut bench = Bench::new();
    bench.event(seen());
    bench.event(Event::Health(Device::IdReader, Health::Trouble(Trouble::Gone)));
    assert_eq!(bench.outcome().word, TextId::IdCardUnread.into());

    let mut bench = Bench::new();
    bench.by_id_card();
    bench.event(Event::Health(Device::IdReader, Health::Trouble(Trouble::Gone)));
    assert_eq!(bench.title(), TextId::MenuTitle, "a card that was read is needed no more");
}

#[test]
fn an_id_card_within_a_visit_or_beside_a_card_in_the_slot_is_not_looked_at() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.lay_id_card();
    assert_eq!(bench.title(), TextId::MenuTitle);
    bench.touch(Intent::Leave);
    bench.lay_id_card();
    assert_eq!(bench.title(), TextId::TakeCardTitle);

    let mut bench = Bench::new();
    bench.by_id_card();
    bench.event(Event::Code(code(3).into_bytes().into()));
    assert_eq!(bench.title(), TextId::MenuTitle);
    assert_eq!(bench.count(|entry| matches!(entry, Entry::CodeAccepted { .. })), 0);
}

#[test]
fn what_was_read_without_having_been_awaited_is_dropped() {
    let mut bench = Bench::new();
    bench.event(read(None));
    bench.event(refused(IdCardRefusal::Unread));
    assert!(matches!(bench.view().body, Body::Welcome(_)));
    assert!(bench.effects.is_empty());
}

#[test]
fn offline_an_id_card_is_told_so_before_it_is_read() {
    let mut bench = Bench::new();
    bench.event(Event::Link(false));
    bench.event(seen());
    assert_eq!(bench.outcome().word, TextId::NoLink.into());
    bench.event(read(None));
    assert!(bench.effects.is_empty());
}

#[test]
fn only_a_reader_that_works_is_offered() {
    let mut bench = Bench::new();
    let all = [view::Way::Card, view::Way::IdCard, view::Way::Code];
    assert_eq!(ways(&bench), all.map(|way| (way, true)));
    bench.event(Event::Health(Device::IdReader, Health::Trouble(Trouble::Gone)));
    assert_eq!(ways(&bench), all.map(|way| (way, way != view::Way::IdCard)));
}

#[test]
fn an_id_card_does_not_pay() {
    let mut bench = Bench::new();
    bench.by_id_card();
    bench.bills();
    bench.touch(Intent::Toggle(0));
    bench.touch(Intent::Go);
    assert_eq!(bench.outcome().word, TextId::NoMethod.into());
    assert!(bench.charges().is_empty());
}
