//! What a visit looks like, and that nothing of it stays.

use contract::{CloseReason, Entry};
use session::{CardEvent, Device, Event, Failure, Health, Trouble};
use view::{Body, Foot, Intent, Lang, Text, TextId, Theme, Verdict, View};

use crate::bench::{Bench, ID_NUMBER, NAME};

fn says(view: &View, words: &str) -> bool {
    // `Debug` of a view hides data on purpose, so look at the texts themselves.
    let texts = view::Texts::built_in();
    let mut all = vec![texts.say(Lang::Zh, &view.title)];
    all.extend(view.lead.iter().map(|text| texts.say(Lang::Zh, text)));
    all.extend(view.header.who.iter().map(|text| texts.say(Lang::Zh, text)));
    match &view.body {
        Body::Sheet(pairs) => all.extend(pairs.iter().map(|pair| texts.say(Lang::Zh, &pair.value))),
        Body::Menu(tiles) => all.extend(tiles.iter().map(|tile| texts.say(Lang::Zh, &tile.title))),
        Body::Rows(rows) => all.extend(rows.rows.iter().map(|row| texts.say(Lang::Zh, &row.title))),
        _ => {}
    }
    all.iter().any(|said| said.contains(words))
}

#[test]
fn a_resident_is_shown_masked_and_only_while_the_visit_lasts() {
    let mut bench = Bench::new();
    bench.by_card();
    assert_eq!(bench.title(), TextId::MenuTitle);
    assert!(says(&bench.view(), "张*丰"));
    assert!(!says(&bench.view(), NAME));

    bench.event(Event::Card(CardEvent::Removed));
    assert_eq!(bench.title(), TextId::WelcomeTitle);
    assert!(!says(&bench.view(), "张"));
    assert_eq!(bench.view().header.who, None);
}

#[test]
fn the_card_taken_at_any_view_ends_the_visit_at_once() {
    let to: [fn(&mut Bench); 7] = [
        |bench| bench.insert_card(),
        |bench| bench.by_card(),
        |bench| {
            bench.by_card();
            bench.open("参保证明");
        },
        |bench| {
            bench.by_card();
            bench.bills();
        },
        |bench| {
            bench.by_card();
            bench.bills();
            bench.touch(Intent::Toggle(0));
            bench.touch(Intent::Go);
        },
        |bench| {
            bench.by_card();
            bench.bills();
            bench.touch(Intent::Toggle(0));
            bench.touch(Intent::Go);
            bench.touch(Intent::Go);
            bench.touch(Intent::Digit(1));
        },
        |bench| {
            bench.by_card();
            bench.open("水费缴纳");
        },
    ];
    for go in to {
        let mut bench = Bench::new();
        go(&mut bench);
        bench.event(Event::Card(CardEvent::Removed));
        assert!(matches!(bench.view().body, Body::Welcome(_)), "{:?}", bench.view().title);
        let identified = bench.count(|entry| matches!(entry, Entry::Identified { .. }));
        let closed =
            bench.count(|entry| matches!(entry, Entry::VisitClosed { reason: CloseReason::CardTaken, .. }));
        assert_eq!(identified, closed);
    }
}

#[test]
fn a_late_answer_to_an_ended_visit_changes_nothing() {
    let mut bench = Bench::new();
    bench.insert_card();
    let (ticket, _) = bench.work();
    bench.event(Event::Card(CardEvent::Removed));
    bench.event(Event::Answer(ticket, Err(Failure::Nonsense)));
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn without_a_touch_the_visit_counts_down_and_ends() {
    let mut bench = Bench::new();
    bench.by_code(1);
    bench.wait(39_000);
    assert_eq!(bench.view().seconds_left, None);
    bench.wait(2_000);
    assert_eq!(bench.view().seconds_left, Some(19));
    bench.touch(Intent::More);
    assert_eq!(bench.view().seconds_left, None);
    bench.wait(59_999);
    assert_eq!(bench.view().seconds_left, Some(1));
    bench.wait(1);
    assert!(matches!(bench.view().body, Body::Welcome(_)));
    assert_eq!(bench.count(|e| matches!(e, Entry::VisitClosed { reason: CloseReason::TimedOut, .. })), 1);
}

#[test]
fn after_a_timeout_with_the_card_in_the_slot_the_resident_is_told_to_take_it() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.wait(61_000);
    assert_eq!(bench.title(), TextId::TakeCardTitle);
    assert_eq!(bench.view().header.who, None);
    bench.event(Event::Card(CardEvent::Removed));
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn nothing_counts_down_while_the_kiosk_itself_is_at_work() {
    let mut bench = Bench::new();
    bench.insert_card();
    bench.wait(9_000);
    assert_eq!(bench.view().seconds_left, None);
    assert_eq!(bench.outcome().verdict, Verdict::Working);
}

#[test]
fn a_platform_that_does_not_answer_ends_in_words_and_a_way_out() {
    let mut bench = Bench::new();
    bench.insert_card();
    bench.wait(10_000);
    assert_eq!(bench.outcome().word, TextId::NoLink.into());
    bench.wait(8_000);
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn a_query_that_fails_can_be_tried_again() {
    let mut bench = Bench::new();
    bench.by_code(1);
    bench.open("水费缴纳");
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Err(Failure::Unreachable)));
    assert_eq!(bench.outcome().verdict, Verdict::Sorry);
    bench.touch(Intent::Go);
    bench.answer_rows(&[]);
    assert_eq!(bench.outcome().word, Text::Data("没有待缴的水费".into()));
}

#[test]
fn rows_that_do_not_fit_the_document_are_nonsense_and_none_is_shown() {
    let mut bench = Bench::new();
    bench.by_code(1);
    bench.open("水费缴纳");
    bench.answer_rows(&[&[("bill", "w-10"), ("payee", "x"), ("period", "p"), ("amount", "-5")]]);
    assert_eq!(bench.outcome().word, TextId::Nonsense.into());
}

#[test]
fn nothing_personal_is_fetched_before_the_consent_is_recorded() {
    let mut bench = Bench::new();
    bench.by_code(1);
    bench.open("参保证明");
    assert!(matches!(bench.view().body, Body::Consent(_)));
    assert!(!bench.effects.iter().any(|e| matches!(e, session::Effect::Do { .. })));
    bench.touch(Intent::Go);
    let consent = bench.log.iter().find_map(|entry| match entry {
        Entry::Consented { consent, .. } => Some(*consent),
        _ => None,
    });
    let (_, work) = bench.work();
    match work {
        session::Work::Call(call) => assert_eq!(call.consent, consent),
        _ => panic!("a call"),
    }
    assert!(consent.is_some());
}

#[test]
fn declining_is_recorded_and_leads_back_to_the_menu() {
    for no in [Intent::Other, Intent::Back, Intent::Home] {
        let mut bench = Bench::new();
        bench.by_code(1);
        bench.open("参保证明");
        bench.touch(no);
        assert_eq!(bench.title(), TextId::MenuTitle);
        assert_eq!(bench.view().banners[0].title, TextId::ConsentDeclined.into());
        assert_eq!(bench.count(|e| matches!(e, Entry::ConsentDeclined { .. })), 1);
        assert!(!bench.effects.iter().any(|e| matches!(e, session::Effect::Do { .. })));
    }
}

#[test]
fn language_and_theme_of_one_visit_do_not_reach_the_next() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.touch(Intent::SwitchLanguage);
    bench.touch(Intent::SwitchTheme);
    assert_eq!((bench.view().lang, bench.view().theme), (Lang::En, Theme::Elder));
    bench.event(Event::Card(CardEvent::Removed));
    assert_eq!((bench.view().lang, bench.view().theme), (Lang::Zh, Theme::Standard));
}

#[test]
fn a_language_chosen_at_the_welcome_view_holds_for_the_visit_and_fades_without_one() {
    let mut bench = Bench::new();
    bench.touch(Intent::SwitchLanguage);
    bench.by_card();
    assert_eq!(bench.view().lang, Lang::En);

    let mut bench = Bench::new();
    bench.touch(Intent::SwitchLanguage);
    bench.wait(61_000);
    assert_eq!(bench.view().lang, Lang::Zh);
}

#[test]
fn a_touch_made_on_an_older_view_is_dropped() {
    let mut bench = Bench::new();
    bench.by_code(1);
    bench.bills();
    bench.touch(Intent::Toggle(0));
    let old = bench.view().id;
    bench.event(Event::Touch { on: old, intent: Intent::Go });
    bench.event(Event::Touch { on: old, intent: Intent::Go });
    assert!(matches!(bench.view().body, Body::Confirm(_)), "the second press confirmed the payment");
    assert!(bench.charges().is_empty());
}

#[test]
fn digits_typed_quickly_all_count_and_none_is_in_the_view() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.bills();
    bench.touch(Intent::Toggle(0));
    bench.touch(Intent::Go);
    bench.touch(Intent::Go);
    let on = bench.view().id;
    for digit in [1, 2, 3, 4, 5, 6, 7] {
        bench.event(Event::Touch { on, intent: Intent::Digit(digit) });
    }
    match bench.view().body {
        Body::Pin(pad) => assert_eq!((pad.entered, pad.length), (6, 6)),
        other => panic!("{other:?}"),
    }
    bench.touch(Intent::Go);
    match bench.work().1 {
        session::Work::VerifyPin(pin) => assert_eq!(pin.as_slice(), b"123456"),
        _ => panic!("a PIN check"),
    }
}

#[test]
fn only_what_works_is_offered() {
    let mut bench = Bench::new();
    bench.event(Event::Health(Device::CardReader, Health::Trouble(Trouble::Gone)));
    match bench.view().body {
        Body::Welcome(ways) => {
            assert_eq!(ways[0].broken, Some(TextId::WayBroken.into()));
            assert_eq!(ways[1].broken, None);
        }
        other => panic!("{other:?}"),
    }
    for device in [Device::CodeReader, Device::IdReader] {
        bench.event(Event::Health(device, Health::Trouble(Trouble::Gone)));
    }
    assert_eq!(bench.outcome().verdict, Verdict::Closed);
    bench.event(Event::Health(Device::CodeReader, Health::Ready));
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn a_reader_that_vanishes_ends_the_visit_of_the_card_in_it() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.event(Event::Health(Device::CardReader, Health::Trouble(Trouble::Gone)));
    assert!(matches!(bench.view().body, Body::Welcome(_)));
}

#[test]
fn without_the_link_services_are_greyed_and_cannot_be_opened() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.event(Event::Link(false));
    let Body::Menu(tiles) = bench.view().body else { panic!("the menu") };
    assert!(tiles.iter().all(|tile| !tile.enabled && tile.detail == TextId::TileNeedsLink.into()));
    bench.touch(tiles[0].intent);
    assert_eq!(bench.title(), TextId::MenuTitle);
}

#[test]
fn help_is_recorded_once_and_promises_only_what_the_link_allows() {
    let mut bench = Bench::new();
    bench.touch(Intent::Help);
    bench.touch(Intent::Help);
    assert_eq!(bench.count(|e| matches!(e, Entry::HelpCalled { .. })), 1);
    assert_eq!(bench.view().banners[0].title, TextId::HelpCalled.into());
    bench.event(Event::Link(false));
    assert_eq!(bench.view().banners[0].title, TextId::HelpQueued.into());
    bench.wait(10_001);
    assert!(bench.view().banners.is_empty());
}

#[test]
fn every_view_of_a_visit_shows_the_way_out_or_is_at_work() {
    let mut bench = Bench::new();
    bench.by_card();
    for view in [bench.view(), {
        bench.bills();
        bench.view()
    }] {
        assert!(view.footer.contains(&Foot::TakeCard));
    }
}

#[test]
fn records_name_nobody() {
    let mut bench = Bench::new();
    bench.by_card();
    bench.bills();
    bench.touch(Intent::Home);
    bench.open("参保证明");
    bench.touch(Intent::Go);
    bench.answer_rows(&[&[("months", "36")]]);
    bench.touch(Intent::Go);
    bench.event(Event::Card(CardEvent::Removed));
    assert!(bench.log.len() >= 6);
    for entry in &bench.log {
        let body = String::from_utf8(entry.encode()).unwrap();
        for secret in [NAME, ID_NUMBER, "A12345678", "500000D156"] {
            assert!(!body.contains(secret), "{body}");
        }
    }
}
