//! Data that is shown: one row as labelled values, several as cards, and texts as long as an answer may have.

use std::sync::Arc;

use session::KioskSetup;
use view::{Body, Intent, Panel, Text, TextId, Theme};

use crate::fixture::{Fixture, plain_setup};

const NOTICES: &str = r#"
id = "community.notices"
version = 1
title = { zh = "社区通知", en = "Notices" }
hint = { zh = "停水停电", en = "Water and power" }
scene = "community"
profiles = ["village-point"]
level = "recognised"
offline = "refuse"
[[step]]
do = "query"
id = "notices"
call = "community.notices"
many = true
answer = { day = { type = "date", zh = "日期", en = "Date" }, subject = { type = "text", zh = "主题", en = "Subject" }, notice = { type = "text", zh = "内容", en = "Text" }, fee = { type = "money", zh = "费用", en = "Fee" } }
none = { zh = "没有通知", en = "No notices" }
[[step]]
do = "show"
id = "shown"
from = "notices"
title = { zh = "最近的通知", en = "Latest notices" }
show = ["subject", "day", "notice", "fee"]
"#;

fn showing(rows: usize, theme: Theme) -> Fixture {
    showing_texts(rows, theme, Panel::default(), ("停水通知", "明天停水"))
}

fn showing_texts(rows: usize, theme: Theme, panel: Panel, (subject, notice): (&str, &str)) -> Fixture {
    let mut setup: KioskSetup = plain_setup();
    setup.equipment.screen.panel = panel;
    let mut fixture = Fixture::working(Arc::new(setup));
    fixture.offer(NOTICES);
    fixture.begin_by_card();
    if theme == Theme::Elder {
        fixture.touch(Intent::SwitchTheme);
    }
    fixture.open("社区通知");
    let days: Vec<_> = (1..=rows).map(|day| format!("2026-11-{day:02}")).collect();
    let rows: Vec<_> = days
        .iter()
        .map(|day| [("day", day.as_str()), ("subject", subject), ("notice", notice), ("fee", "1250")])
        .collect();
    let rows: Vec<&[(&str, &str)]> = rows.iter().map(|row| &row[..]).collect();
    fixture.answer_rows(&rows);
    fixture
}

fn cards(fixture: &Fixture) -> Vec<view::RowCard> {
    let Body::Rows(rows) = fixture.view().body else { panic!("expected cards") };
    assert!(rows.summary.is_none());
    assert!(rows.rows.iter().all(|card| card.opens && !card.chosen));
    rows.rows
}

fn values(fixture: &Fixture) -> Vec<view::LabelledValue> {
    let Body::Details(values) = fixture.view().body else { panic!("expected labelled values") };
    values
}

#[test]
fn one_row_is_shown_as_labelled_values() {
    let mut fixture = showing(1, Theme::Standard);
    assert_eq!(values(&fixture).len(), 4);
    fixture.touch(Intent::Primary);
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn several_rows_are_cards_in_pages_that_open() {
    for (theme, sizes) in [(Theme::Standard, [4, 1]), (Theme::Elder, [2, 2])] {
        let mut fixture = showing(5, theme);
        assert_eq!(cards(&fixture).len(), sizes[0]);
        let card = &cards(&fixture)[0];
        assert_eq!(card.title, Text::Data("停水通知".into()));
        assert_eq!(card.detail, Some(Text::Data("2026年11月1日 · 明天停水".into())));
        assert_eq!(card.amount.as_deref(), Some("¥12.50"));

        fixture.touch(Intent::ShowPage(1));
        let second = fixture.view();
        assert_eq!(cards(&fixture).len(), sizes[1]);
        fixture.touch(cards(&fixture)[0].intent);
        let opened = values(&fixture);
        assert_eq!(opened.len(), 4, "the whole row, with labels");
        assert_ne!(fixture.view().id, second.id);
        for intent in [Intent::Primary, Intent::Back] {
            fixture.touch(intent);
            assert_eq!(fixture.view().body, second.body, "the same page of cards");
            fixture.touch(cards(&fixture)[0].intent);
        }
        fixture.touch(Intent::Back);
        fixture.touch(Intent::Back);
        assert_eq!(fixture.title(), TextId::MenuTitle);
    }
}

#[test]
fn row_that_is_not_there_cannot_be_opened() {
    let mut fixture = showing(2, Theme::Standard);
    let before = fixture.view();
    fixture.touch(Intent::ToggleRow(2));
    fixture.touch(Intent::ToggleRow(u16::MAX));
    assert_eq!(fixture.view(), before);
    fixture.touch(Intent::ShowPage(u16::MAX));
    assert_eq!(cards(&fixture).len(), 2);
}

#[test]
fn longest_texts_are_shortened_on_cards_and_whole_when_open() {
    let long = "因供水管网改造，明天停水。".repeat(16).chars().take(200).collect::<String>();
    for panel in [(1080, 1920), (1920, 1080), (1280, 800)].map(|(width, height)| Panel { width, height }) {
        for theme in [Theme::Standard, Theme::Elder] {
            let mut fixture = showing_texts(3, theme, panel, (&long, &long));
            let card = &cards(&fixture)[0];
            for text in [Some(&card.title), card.detail.as_ref()] {
                let Some(Text::Data(text)) = text else { panic!("a text of the answer") };
                assert!(text.chars().count() <= 45 && text.ends_with('…'), "{text}");
            }
            fixture.touch(Intent::ToggleRow(0));
            let mut shown = Vec::new();
            loop {
                let page = values(&fixture);
                let lengths: Vec<_> = page.iter().map(|value| (8, 2 * text_length(&value.value))).collect();
                assert_eq!(panel.pages_of_values(theme, &lengths).len(), 1, "{panel:?} {theme:?}");
                shown.extend(page);
                let action = fixture.view().actions[0].clone();
                if action.text == TextId::ShowList.into() {
                    break;
                }
                assert_eq!(action.text, TextId::ShowNext.into());
                fixture.touch(action.intent);
            }
            assert_eq!(shown.len(), 4);
            assert_eq!(shown.iter().filter(|value| value.value == Text::Data(long.clone())).count(), 2);
        }
    }
}

fn text_length(text: &Text) -> usize {
    let Text::Data(text) = text else { panic!("a text of the answer") };
    text.chars().count()
}
