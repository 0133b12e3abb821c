//! Views of a visit, its end, and the removal of its data.

use contract::{CloseReason, Entry};
use session::{CardEvent, Device, Event, Failure, Health, Trouble};
use view::{Body, Foot, Intent, Lang, Text, TextId, Theme, Verdict, View};

use crate::bench::{Bench, ID_NUMBER, NAME};

fn shows_text(view: &View, words: &str) -> bool {
    // `Debug` of a view hides data on purpose, so the texts themselves are searched.
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
    all.iter().any(|text| text.contains(words))
}

#[test]
fn resident_name_is_masked_and_shown_only_during_visit() {
    let mut fixture = Bench::new();
    fixture.by_card();
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert!(shows_text(&fixture.view(), "张*丰"));
    assert!(!shows_text(&fixture.view(), NAME));

    fixture.event(Event::Card(CardEvent::Removed));
    assert_eq!(fixture.title(), TextId::WelcomeTitle);
    assert!(!shows_text(&fixture.view(), "张"));
    assert_eq!(fixture.view().header.who, None);
}

#[test]
fn card_removed_at_any_view_ends_visit() {
    let to: [fn(&mut Bench); 7] = [
        |fixture| fixture.insert_card(),
        |fixture| fixture.by_card(),
        |fixture| {
            fixture.by_card();
            fixture.open("参保证明");
        },
        |fixture| {
            fixture.by_card();
            fixture.bills();
        },
        |fixture| {
            fixture.by_card();
            fixture.bills();
            fixture.touch(Intent::Toggle(0));
            fixture.touch(Intent::Go);
        },
        |fixture| {
            fixture.by_card();
            fixture.bills();
            fixture.touch(Intent::Toggle(0));
            fixture.touch(Intent::Go);
            fixture.touch(Intent::Go);
            fixture.touch(Intent::Digit(1));
        },
        |fixture| {
            fixture.by_card();
            fixture.open("水费缴纳");
        },
    ];
    for go in to {
        let mut fixture = Bench::new();
        go(&mut fixture);
        fixture.event(Event::Card(CardEvent::Removed));
        assert!(matches!(fixture.view().body, Body::Welcome(_)), "{:?}", fixture.view().title);
        let identified = fixture.count(|entry| matches!(entry, Entry::Identified { .. }));
        let closed =
            fixture.count(|entry| matches!(entry, Entry::VisitClosed { reason: CloseReason::CardTaken, .. }));
        assert_eq!(identified, closed);
    }
}

#[test]
fn late_answer_after_visit_is_ignored() {
    let mut fixture = Bench::new();
    fixture.insert_card();
    let (ticket, _) = fixture.work();
    fixture.event(Event::Card(CardEvent::Removed));
    fixture.event(Event::Answer(ticket, Err(Failure::Nonsense)));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn idle_visit_counts_down_and_ends() {
    let mut fixture = Bench::new();
    fixture.by_code(1);
    fixture.wait(39_000);
    assert_eq!(fixture.view().seconds_left, None);
    fixture.wait(2_000);
    assert_eq!(fixture.view().seconds_left, Some(19));
    fixture.touch(Intent::More);
    assert_eq!(fixture.view().seconds_left, None);
    fixture.wait(59_999);
    assert_eq!(fixture.view().seconds_left, Some(1));
    fixture.wait(1);
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
    assert_eq!(fixture.count(|e| matches!(e, Entry::VisitClosed { reason: CloseReason::TimedOut, .. })), 1);
}

#[test]
fn idle_timeout_with_card_inserted_asks_to_take_card() {
    let mut fixture = Bench::new();
    fixture.by_card();
    fixture.wait(61_000);
    assert_eq!(fixture.title(), TextId::TakeCardTitle);
    assert_eq!(fixture.view().header.who, None);
    fixture.event(Event::Card(CardEvent::Removed));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn pending_work_stops_countdown() {
    let mut fixture = Bench::new();
    fixture.insert_card();
    fixture.wait(9_000);
    assert_eq!(fixture.view().seconds_left, None);
    assert_eq!(fixture.outcome().verdict, Verdict::Working);
}

#[test]
fn identification_without_answer_shows_no_link_and_ends() {
    let mut fixture = Bench::new();
    fixture.insert_card();
    fixture.wait(10_000);
    assert_eq!(fixture.outcome().word, TextId::NoLink.into());
    fixture.wait(8_000);
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn failed_query_can_be_retried() {
    let mut fixture = Bench::new();
    fixture.by_code(1);
    fixture.open("水费缴纳");
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Err(Failure::Unreachable)));
    assert_eq!(fixture.outcome().verdict, Verdict::Sorry);
    fixture.touch(Intent::Go);
    fixture.answer_rows(&[]);
    assert_eq!(fixture.outcome().word, Text::Data("没有待缴的水费".into()));
}

#[test]
fn rows_not_matching_document_show_invalid_response() {
    let mut fixture = Bench::new();
    fixture.by_code(1);
    fixture.open("水费缴纳");
    fixture.answer_rows(&[&[("bill", "w-10"), ("payee", "x"), ("period", "p"), ("amount", "-5")]]);
    assert_eq!(fixture.outcome().word, TextId::Nonsense.into());
}

#[test]
fn personal_query_starts_after_consent_is_recorded() {
    let mut fixture = Bench::new();
    fixture.by_code(1);
    fixture.open("参保证明");
    assert!(matches!(fixture.view().body, Body::Consent(_)));
    assert!(!fixture.effects.iter().any(|e| matches!(e, session::Effect::Do { .. })));
    fixture.touch(Intent::Go);
    let consent = fixture.log.iter().find_map(|entry| match entry {
        Entry::Consented { consent, .. } => Some(*consent),
        _ => None,
    });
    let (_, work) = fixture.work();
    match work {
        session::Work::Call(call) => assert_eq!(call.consent, consent),
        _ => panic!("expected an operation"),
    }
    assert!(consent.is_some());
}

#[test]
fn declined_consent_is_recorded_and_returns_to_menu() {
    for no in [Intent::Other, Intent::Back, Intent::Home] {
        let mut fixture = Bench::new();
        fixture.by_code(1);
        fixture.open("参保证明");
        fixture.touch(no);
        assert_eq!(fixture.title(), TextId::MenuTitle);
        assert_eq!(fixture.view().banners[0].title, TextId::ConsentDeclined.into());
        assert_eq!(fixture.count(|e| matches!(e, Entry::ConsentDeclined { .. })), 1);
        assert!(!fixture.effects.iter().any(|e| matches!(e, session::Effect::Do { .. })));
    }
}

#[test]
fn language_and_theme_reset_after_visit() {
    let mut fixture = Bench::new();
    fixture.by_card();
    fixture.touch(Intent::SwitchLanguage);
    fixture.touch(Intent::SwitchTheme);
    assert_eq!((fixture.view().lang, fixture.view().theme), (Lang::En, Theme::Elder));
    fixture.event(Event::Card(CardEvent::Removed));
    assert_eq!((fixture.view().lang, fixture.view().theme), (Lang::Zh, Theme::Standard));
}

#[test]
fn language_chosen_on_idle_screen_lasts_visit_or_times_out() {
    let mut fixture = Bench::new();
    fixture.touch(Intent::SwitchLanguage);
    fixture.by_card();
    assert_eq!(fixture.view().lang, Lang::En);

    let mut fixture = Bench::new();
    fixture.touch(Intent::SwitchLanguage);
    fixture.wait(61_000);
    assert_eq!(fixture.view().lang, Lang::Zh);
}

#[test]
fn touch_on_older_view_is_dropped() {
    let mut fixture = Bench::new();
    fixture.by_code(1);
    fixture.bills();
    fixture.touch(Intent::Toggle(0));
    let old = fixture.view().id;
    fixture.event(Event::Touch { on: old, intent: Intent::Go });
    fixture.event(Event::Touch { on: old, intent: Intent::Go });
    assert!(matches!(fixture.view().body, Body::Confirm(_)), "the second touch must not confirm the payment");
    assert!(fixture.charges().is_empty());
}

#[test]
fn pin_digits_on_same_view_all_count_and_stay_hidden() {
    let mut fixture = Bench::new();
    fixture.by_card();
    fixture.bills();
    fixture.touch(Intent::Toggle(0));
    fixture.touch(Intent::Go);
    fixture.touch(Intent::Go);
    let on = fixture.view().id;
    for digit in [1, 2, 3, 4, 5, 6, 7] {
        fixture.event(Event::Touch { on, intent: Intent::Digit(digit) });
    }
    match fixture.view().body {
        Body::Pin(pad) => assert_eq!((pad.entered, pad.length), (6, 6)),
        other => panic!("{other:?}"),
    }
    fixture.touch(Intent::Go);
    match fixture.work().1 {
        session::Work::VerifyPin(pin) => assert_eq!(pin.as_slice(), b"123456"),
        _ => panic!("expected a PIN verification"),
    }
}

#[test]
fn idle_screen_offers_only_working_readers() {
    let mut fixture = Bench::new();
    fixture.event(Event::Health(Device::CardReader, Health::Trouble(Trouble::Gone)));
    match fixture.view().body {
        Body::Welcome(cards) => {
            assert_eq!(cards[0].broken, Some(TextId::WayBroken.into()));
            assert_eq!(cards[1].broken, None);
        }
        other => panic!("{other:?}"),
    }
    for device in [Device::CodeReader, Device::IdReader] {
        fixture.event(Event::Health(device, Health::Trouble(Trouble::Gone)));
    }
    assert_eq!(fixture.outcome().verdict, Verdict::Closed);
    fixture.event(Event::Health(Device::CodeReader, Health::Ready));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn card_reader_lost_ends_visit_by_card() {
    let mut fixture = Bench::new();
    fixture.by_card();
    fixture.event(Event::Health(Device::CardReader, Health::Trouble(Trouble::Gone)));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn link_lost_disables_services() {
    let mut fixture = Bench::new();
    fixture.by_card();
    fixture.event(Event::Link(false));
    let Body::Menu(tiles) = fixture.view().body else { panic!("expected the menu") };
    assert!(tiles.iter().all(|tile| !tile.enabled && tile.detail == TextId::TileNeedsLink.into()));
    fixture.touch(tiles[0].intent);
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn help_call_is_recorded_once_and_shown_by_link_state() {
    let mut fixture = Bench::new();
    fixture.touch(Intent::Help);
    fixture.touch(Intent::Help);
    assert_eq!(fixture.count(|e| matches!(e, Entry::HelpCalled { .. })), 1);
    assert_eq!(fixture.view().banners[0].title, TextId::HelpCalled.into());
    fixture.event(Event::Link(false));
    assert_eq!(fixture.view().banners[0].title, TextId::HelpQueued.into());
    fixture.wait(10_001);
    assert!(fixture.view().banners.is_empty());
}

#[test]
fn menu_and_service_views_show_exit_button() {
    let mut fixture = Bench::new();
    fixture.by_card();
    for view in [fixture.view(), {
        fixture.bills();
        fixture.view()
    }] {
        assert!(view.footer.contains(&Foot::TakeCard));
    }
}

#[test]
fn records_contain_no_personal_data() {
    let mut fixture = Bench::new();
    fixture.by_card();
    fixture.bills();
    fixture.touch(Intent::Home);
    fixture.open("参保证明");
    fixture.touch(Intent::Go);
    fixture.answer_rows(&[&[("months", "36")]]);
    fixture.touch(Intent::Go);
    fixture.event(Event::Card(CardEvent::Removed));
    assert!(fixture.log.len() >= 6);
    for entry in &fixture.log {
        let body = String::from_utf8(entry.encode()).unwrap();
        for secret in [NAME, ID_NUMBER, "A12345678", "500000D156"] {
            assert!(!body.contains(secret), "{body}");
        }
    }
}
