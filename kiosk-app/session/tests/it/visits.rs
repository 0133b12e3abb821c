//! Views of a visit, its end, and the removal of its data.

use contract::{CloseReason, Entry};
use session::{CardEvent, DeviceKind, DeviceState, Event, Failure, FaultReason};
use view::{Body, FooterButton, Intent, Lang, OutcomeKind, Text, TextId, Theme, View};

use crate::fixture::{Fixture, ID_NUMBER, NAME};

fn shows_text(view: &View, words: &str) -> bool {
    // `Debug` of a view hides data on purpose, so the texts themselves are searched.
    let texts = view::Texts::built_in();
    let mut all = vec![texts.render(Lang::Zh, &view.title)];
    all.extend(view.lead.iter().map(|text| texts.render(Lang::Zh, text)));
    all.extend(view.header.resident.iter().map(|text| texts.render(Lang::Zh, text)));
    match &view.body {
        Body::Details(pairs) => all.extend(pairs.iter().map(|pair| texts.render(Lang::Zh, &pair.value))),
        Body::Menu(tiles) => all.extend(tiles.iter().map(|tile| texts.render(Lang::Zh, &tile.title))),
        Body::Rows(rows) => all.extend(rows.rows.iter().map(|row| texts.render(Lang::Zh, &row.title))),
        _ => {}
    }
    all.iter().any(|text| text.contains(words))
}

#[test]
fn resident_name_is_masked_and_shown_only_during_visit() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert!(shows_text(&fixture.view(), "张*丰"));
    assert!(!shows_text(&fixture.view(), NAME));

    fixture.event(Event::Card(CardEvent::Removed));
    assert_eq!(fixture.title(), TextId::WelcomeTitle);
    assert!(!shows_text(&fixture.view(), "张"));
    assert_eq!(fixture.view().header.resident, None);
}

#[test]
fn card_removed_at_any_view_ends_visit() {
    let to: [fn(&mut Fixture); 7] = [
        |fixture| fixture.insert_card(),
        |fixture| fixture.begin_by_card(),
        |fixture| {
            fixture.begin_by_card();
            fixture.open("参保证明");
        },
        |fixture| {
            fixture.begin_by_card();
            fixture.open_bills();
        },
        |fixture| {
            fixture.begin_by_card();
            fixture.open_bills();
            fixture.touch(Intent::ToggleRow(0));
            fixture.touch(Intent::Primary);
        },
        |fixture| {
            fixture.begin_by_card();
            fixture.open_bills();
            fixture.touch(Intent::ToggleRow(0));
            fixture.touch(Intent::Primary);
            fixture.touch(Intent::Primary);
            fixture.touch(Intent::PinDigit(1));
        },
        |fixture| {
            fixture.begin_by_card();
            fixture.open("水费缴纳");
        },
    ];
    for go in to {
        let mut fixture = Fixture::new();
        go(&mut fixture);
        fixture.event(Event::Card(CardEvent::Removed));
        assert!(matches!(fixture.view().body, Body::Welcome(_)), "{:?}", fixture.view().title);
        let identified = fixture.count(|entry| matches!(entry, Entry::Identified { .. }));
        let closed = fixture
            .count(|entry| matches!(entry, Entry::VisitClosed { reason: CloseReason::CardRemoved, .. }));
        assert_eq!(identified, closed);
    }
}

#[test]
fn late_answer_after_visit_is_ignored() {
    let mut fixture = Fixture::new();
    fixture.insert_card();
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::Card(CardEvent::Removed));
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::InvalidResponse)));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn idle_visit_counts_down_and_ends() {
    let mut fixture = Fixture::new();
    fixture.begin_by_code(1);
    fixture.wait(39_000);
    assert_eq!(fixture.view().seconds_left, None);
    fixture.wait(2_000);
    assert_eq!(fixture.view().seconds_left, Some(19));
    fixture.touch(Intent::StillHere);
    assert_eq!(fixture.view().seconds_left, None);
    fixture.wait(59_999);
    assert_eq!(fixture.view().seconds_left, Some(1));
    fixture.wait(1);
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
    assert_eq!(fixture.count(|e| matches!(e, Entry::VisitClosed { reason: CloseReason::TimedOut, .. })), 1);
}

#[test]
fn idle_timeout_with_card_inserted_asks_to_take_card() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.wait(61_000);
    assert_eq!(fixture.title(), TextId::TakeCardTitle);
    assert_eq!(fixture.view().header.resident, None);
    fixture.event(Event::Card(CardEvent::Removed));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn pending_work_stops_countdown() {
    let mut fixture = Fixture::new();
    fixture.insert_card();
    fixture.wait(9_000);
    assert_eq!(fixture.view().seconds_left, None);
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Working);
}

#[test]
fn identification_without_answer_shows_no_link_and_ends() {
    let mut fixture = Fixture::new();
    fixture.insert_card();
    fixture.wait(10_000);
    assert_eq!(fixture.shown_outcome().headline, TextId::NoLink.into());
    fixture.wait(8_000);
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn failed_query_can_be_retried() {
    let mut fixture = Fixture::new();
    fixture.begin_by_code(1);
    fixture.open("水费缴纳");
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::Unreachable)));
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::NotDone);
    fixture.touch(Intent::Primary);
    fixture.answer_rows(&[]);
    assert_eq!(fixture.shown_outcome().headline, Text::Data("没有待缴的水费".into()));
}

#[test]
fn rows_not_matching_document_show_invalid_response() {
    let mut fixture = Fixture::new();
    fixture.begin_by_code(1);
    fixture.open("水费缴纳");
    fixture.answer_rows(&[&[("bill", "w-10"), ("payee", "x"), ("period", "p"), ("amount", "-5")]]);
    assert_eq!(fixture.shown_outcome().headline, TextId::Nonsense.into());
}

#[test]
fn personal_query_starts_after_consent_is_recorded() {
    let mut fixture = Fixture::new();
    fixture.begin_by_code(1);
    fixture.open("参保证明");
    assert!(matches!(fixture.view().body, Body::Consent(_)));
    assert!(!fixture.effects.iter().any(|e| matches!(e, session::Effect::StartWork { .. })));
    fixture.touch(Intent::Primary);
    let consent = fixture.log.iter().find_map(|entry| match entry {
        Entry::Consented { consent, .. } => Some(*consent),
        _ => None,
    });
    let (_, work) = fixture.pending_work();
    match work {
        session::Work::Platform(session::PlatformWork::CallOperation(call)) => {
            assert_eq!(call.consent, consent)
        }
        _ => panic!("expected an operation"),
    }
    assert!(consent.is_some());
}

#[test]
fn declined_consent_is_recorded_and_returns_to_menu() {
    for no in [Intent::Secondary, Intent::Back, Intent::Home] {
        let mut fixture = Fixture::new();
        fixture.begin_by_code(1);
        fixture.open("参保证明");
        fixture.touch(no);
        assert_eq!(fixture.title(), TextId::MenuTitle);
        assert_eq!(fixture.view().banners[0].title, TextId::ConsentDeclined.into());
        assert_eq!(fixture.count(|e| matches!(e, Entry::ConsentDeclined { .. })), 1);
        assert!(!fixture.effects.iter().any(|e| matches!(e, session::Effect::StartWork { .. })));
    }
}

#[test]
fn language_and_theme_reset_after_visit() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.touch(Intent::SwitchLanguage);
    fixture.touch(Intent::SwitchTheme);
    assert_eq!((fixture.view().lang, fixture.view().theme), (Lang::En, Theme::Elder));
    fixture.event(Event::Card(CardEvent::Removed));
    assert_eq!((fixture.view().lang, fixture.view().theme), (Lang::Zh, Theme::Standard));
}

#[test]
fn language_chosen_on_idle_screen_lasts_visit_or_times_out() {
    let mut fixture = Fixture::new();
    fixture.touch(Intent::SwitchLanguage);
    fixture.begin_by_card();
    assert_eq!(fixture.view().lang, Lang::En);

    let mut fixture = Fixture::new();
    fixture.touch(Intent::SwitchLanguage);
    fixture.wait(61_000);
    assert_eq!(fixture.view().lang, Lang::Zh);
}

#[test]
fn touch_on_older_view_is_dropped() {
    let mut fixture = Fixture::new();
    fixture.begin_by_code(1);
    fixture.open_bills();
    fixture.touch(Intent::ToggleRow(0));
    let old = fixture.view().id;
    fixture.event(Event::Touch { view: old, intent: Intent::Primary });
    fixture.event(Event::Touch { view: old, intent: Intent::Primary });
    assert!(matches!(fixture.view().body, Body::Confirm(_)), "the second touch must not confirm the payment");
    assert!(fixture.charges().is_empty());
}

#[test]
fn pin_digits_on_same_view_all_count_and_stay_hidden() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.open_bills();
    fixture.touch(Intent::ToggleRow(0));
    fixture.touch(Intent::Primary);
    fixture.touch(Intent::Primary);
    let on = fixture.view().id;
    for digit in [1, 2, 3, 4, 5, 6, 7] {
        fixture.event(Event::Touch { view: on, intent: Intent::PinDigit(digit) });
    }
    match fixture.view().body {
        Body::Pin(pad) => assert_eq!((pad.entered, pad.length), (6, 6)),
        other => panic!("{other:?}"),
    }
    fixture.touch(Intent::Primary);
    match fixture.pending_work().1 {
        session::Work::Card(session::CardWork::VerifyPin(pin)) => assert_eq!(pin.as_slice(), b"123456"),
        _ => panic!("expected a PIN verification"),
    }
}

#[test]
fn idle_screen_offers_only_working_readers() {
    let mut fixture = Fixture::new();
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::CardReader,
        DeviceState::Faulty(FaultReason::Unavailable),
    ));
    match fixture.view().body {
        Body::Welcome(cards) => {
            assert_eq!(cards[0].unavailable, Some(TextId::WayBroken.into()));
            assert_eq!(cards[1].unavailable, None);
        }
        other => panic!("{other:?}"),
    }
    for device in [DeviceKind::CodeReader, DeviceKind::IdReader] {
        fixture.event(Event::DeviceStateChanged(device, DeviceState::Faulty(FaultReason::Unavailable)));
    }
    assert_eq!(fixture.shown_outcome().kind, OutcomeKind::Closed);
    fixture.event(Event::DeviceStateChanged(DeviceKind::CodeReader, DeviceState::Ready));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn card_reader_lost_ends_visit_by_card() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.event(Event::DeviceStateChanged(
        DeviceKind::CardReader,
        DeviceState::Faulty(FaultReason::Unavailable),
    ));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn link_lost_disables_services() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.event(Event::LinkChanged(false));
    let Body::Menu(tiles) = fixture.view().body else { panic!("expected the menu") };
    assert!(tiles.iter().all(|tile| !tile.enabled && tile.detail == TextId::TileNeedsLink.into()));
    fixture.touch(tiles[0].intent);
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn help_call_is_recorded_once_and_shown_by_link_state() {
    let mut fixture = Fixture::new();
    fixture.touch(Intent::Help);
    fixture.touch(Intent::Help);
    assert_eq!(fixture.count(|e| matches!(e, Entry::HelpRequested { .. })), 1);
    assert_eq!(fixture.view().banners[0].title, TextId::HelpCalled.into());
    fixture.event(Event::LinkChanged(false));
    assert_eq!(fixture.view().banners[0].title, TextId::HelpQueued.into());
    fixture.wait(10_001);
    assert!(fixture.view().banners.is_empty());
}

#[test]
fn menu_and_service_views_show_exit_button() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    for view in [fixture.view(), {
        fixture.open_bills();
        fixture.view()
    }] {
        assert!(view.footer.contains(&FooterButton::TakeCard));
    }
}

#[test]
fn records_contain_no_personal_data() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    fixture.open_bills();
    fixture.touch(Intent::Home);
    fixture.open("参保证明");
    fixture.touch(Intent::Primary);
    fixture.answer_rows(&[&[("months", "36")]]);
    fixture.touch(Intent::Primary);
    fixture.event(Event::Card(CardEvent::Removed));
    assert!(fixture.log.len() >= 6);
    for entry in &fixture.log {
        let body = String::from_utf8(entry.encode()).unwrap();
        for secret in [NAME, ID_NUMBER, "A12345678", "500000D156"] {
            assert!(!body.contains(secret), "{body}");
        }
    }
}
