//! Services with inputs, tickets, refusals and a next service.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{Bilingual, CallAnswer, CallRequest, Entry, ProblemCode, ServiceDocument, TicketId};
use session::{Catalogue, Event, Failure, PlatformWork, Ticket, Work, WorkAnswer};
use view::{Body, EntryPad, Intent, OutcomeKind, Text, TextId};

use crate::fixture::{Fixture, WATER};
use crate::seeded::{SimRng, touchable};

/// Asks for an account and a matter, queries, lets one place be chosen, and takes a ticket there.
pub(crate) const HALL: &str = r#"
id = "hall.ticket"
version = 1
title = { zh = "大厅取号", en = "Take a number" }
hint = { zh = "在大厅排队", en = "Queue in the hall" }
scene = "hall"
profiles = ["village-point"]
level = "recognised"
offline = "refuse"
[[step]]
do = "ask"
id = "matter"
title = { zh = "您要办什么？", en = "What is it about?" }
answer = { kind = "choice", options = [
  { value = "A", zh = "社保", en = "Social insurance" },
  { value = "B", zh = "医保", en = "Medical insurance" },
] }
[[step]]
do = "ask"
id = "account"
title = { zh = "请输入户号", en = "Enter the account number" }
lead = { zh = "户号在账单右上角", en = "It is on the bill" }
answer = { kind = "digits", min = 6, max = 6 }
[[step]]
do = "query"
id = "places"
call = "hall.places"
with = { account = "account" }
many = true
next = ["water.pay"]
answer = { place = "key", name = { type = "text", zh = "地点", en = "Place" } }
none = { zh = "现在没有窗口", en = "No counter is open" }
[[step]]
do = "choose"
id = "place"
from = "places"
title = { zh = "请选择地点", en = "Choose a place" }
show = ["name"]
max = 1
[[step]]
do = "ticket"
id = "ticket"
call = "hall.ticket"
with = { matter = "matter", place = "place" }
answer = { number = { type = "text", zh = "号码", en = "Number" } }
none = { zh = "今天的号已经取完", en = "No numbers are left today" }
[[step]]
do = "show"
id = "shown"
from = "ticket"
title = { zh = "您的号码", en = "Your number" }
show = ["number"]
[[step]]
do = "print"
id = "slip"
title = { zh = "取号凭条", en = "Ticket" }
with = ["ticket"]
show = ["number"]
"#;

pub(crate) fn offer(fixture: &mut Fixture, services: &[&str]) {
    let services = services.iter().map(|text| ServiceDocument::parse(text).unwrap());
    let services = services.map(|doc| (doc.id.clone(), Arc::new(doc))).collect();
    fixture.event(Event::CatalogueChanged(Catalogue { cursor: 9, services, ..Catalogue::default() }));
}

pub(crate) fn type_keys(fixture: &mut Fixture, keys: &str) {
    for key in keys.chars() {
        let intent = match key.to_digit(10).and_then(|digit| u8::try_from(digit).ok()) {
            Some(digit) => Intent::EntryDigit(digit),
            None => Intent::EntryX,
        };
        fixture.touch(intent);
    }
}

pub(crate) fn pad(fixture: &Fixture) -> EntryPad {
    match fixture.view().body {
        Body::Entry(pad) => pad,
        other => panic!("expected a pad: {other:?}"),
    }
}

pub(crate) fn call(fixture: &mut Fixture) -> (Ticket, CallRequest) {
    match fixture.pending_work() {
        (ticket, Work::Platform(PlatformWork::CallOperation(request))) => (ticket, request),
        _ => panic!("expected a call"),
    }
}

pub(crate) fn answer(fixture: &mut Fixture, ticket: Ticket, answer: CallAnswer) {
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::CallAnswered(answer))));
}

fn rows(rows: &[&[(&str, &str)]]) -> CallAnswer {
    let row = |row: &&[(&str, &str)]| row.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    CallAnswer { rows: rows.iter().map(row).collect(), next: None, refused: None }
}

fn no_rows() -> CallAnswer {
    rows(&[])
}

pub(crate) fn refused(zh: &str) -> CallAnswer {
    CallAnswer { refused: Some(Bilingual { zh: zh.into(), en: "No".into() }), ..no_rows() }
}

const TWO_PLACES: &[&[(&str, &str)]] =
    &[&[("place", "p1"), ("name", "一楼")], &[("place", "p2"), ("name", "二楼")]];

pub(crate) fn input(request: &CallRequest) -> Vec<(&str, &str)> {
    request.input.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn shown_pair(fixture: &Fixture) -> Text {
    match fixture.view().body {
        Body::Details(pairs) => pairs[0].value.clone(),
        other => panic!("expected details: {other:?}"),
    }
}

pub(crate) fn title(fixture: &Fixture) -> Text {
    fixture.view().title
}

pub(crate) fn data(text: &str) -> Text {
    Text::Data(text.into())
}

/// A kiosk at the question for the account, in a visit by code.
fn at_account() -> Fixture {
    let mut fixture = Fixture::new();
    offer(&mut fixture, &[HALL, WATER]);
    fixture.begin_by_code(1);
    fixture.open("大厅取号");
    assert_eq!(title(&fixture), data("您要办什么？"));
    fixture.touch(Intent::ChooseOption(1));
    fixture
}

/// A kiosk that waits for the places.
fn at_places() -> Fixture {
    let mut fixture = at_account();
    type_keys(&mut fixture, "045100");
    fixture.touch(Intent::Primary);
    fixture
}

/// A kiosk that asks for the ticket.
fn at_ticket() -> Fixture {
    let mut fixture = at_places();
    let (ticket, _) = call(&mut fixture);
    answer(&mut fixture, ticket, rows(TWO_PLACES));
    fixture.touch(Intent::ToggleRow(1));
    fixture.touch(Intent::Primary);
    fixture
}

fn tickets_taken(fixture: &Fixture) -> Vec<TicketId> {
    let ticket = |entry: &Entry| {
        if let Entry::TicketTaken { ticket, service, call, .. } = entry {
            assert_eq!((service.as_str(), call.as_str()), ("hall.ticket", "hall.ticket"));
            Some(*ticket)
        } else {
            None
        }
    };
    fixture.log.iter().filter_map(ticket).collect()
}

#[test]
fn service_asks_queries_takes_ticket_shows_and_prints() {
    let mut fixture = at_account();
    assert_eq!(fixture.view().lead, Some(data("户号在账单右上角")));
    type_keys(&mut fixture, "0451");
    assert_eq!((pad(&fixture).entered.as_str(), pad(&fixture).missing.as_str()), ("0451 ", "__"));
    let go = fixture.view().actions[0].clone();
    assert_eq!((go.enabled, go.text), (false, Text::With(TextId::AskMissing, vec!["2".into()])));
    fixture.touch(Intent::Primary);
    assert!(fixture.effects.iter().all(|effect| !matches!(effect, session::Effect::StartWork { .. })));
    type_keys(&mut fixture, "00");
    let go = fixture.view().actions[0].clone();
    assert_eq!((go.enabled, go.text), (true, TextId::AskNext.into()));
    fixture.touch(Intent::Primary);

    let (ticket, request) = call(&mut fixture);
    assert_eq!((input(&request), request.ticket), (vec![("account", "045100")], None));
    answer(&mut fixture, ticket, rows(TWO_PLACES));
    let chosen = |fixture: &Fixture| match fixture.view().body {
        Body::Rows(rows) => {
            assert_eq!(rows.summary, None, "one row without an amount has no sum");
            rows.rows.iter().map(|row| row.chosen).collect::<Vec<_>>()
        }
        other => panic!("expected rows: {other:?}"),
    };
    fixture.touch(Intent::ToggleRow(0));
    assert_eq!(chosen(&fixture), [true, false]);
    fixture.touch(Intent::ToggleRow(1));
    assert_eq!(chosen(&fixture), [false, true]);
    assert_eq!(fixture.view().actions[0].text, TextId::AskNext.into());
    assert!(fixture.view().banners.is_empty());
    fixture.touch(Intent::Primary);

    let (ticket, request) = call(&mut fixture);
    assert_eq!(input(&request), [("matter", "B"), ("place", "p2")]);
    let id = request.ticket.expect("the id of the ticket");
    assert!(tickets_taken(&fixture).is_empty());
    answer(&mut fixture, ticket, rows(&[&[("number", "A012")]]));
    assert_eq!(tickets_taken(&fixture), [id]);
    assert_eq!(shown_pair(&fixture), data("A012"));
    fixture.touch(Intent::Primary);
    let printed = format!("{:?}", fixture.prints()[0].1.lines);
    assert!(printed.contains("A012"), "{printed}");
}

#[test]
fn step_bar_names_questions_in_a_row_once() {
    let mut fixture = at_account();
    let bar = fixture.view().steps.unwrap();
    let names =
        [TextId::StepChoose, TextId::StepAsk, TextId::StepChoose, TextId::StepShow, TextId::StepPrint];
    assert_eq!((bar.names, bar.current), (names.map(Text::Id).to_vec(), 1));
    let twice = HALL.replace(
        r#"answer = { kind = "digits", min = 6, max = 6 }"#,
        r#"answer = { kind = "date", latest = 0 }
[[step]]
do = "ask"
id = "phone"
title = { zh = "手机号码", en = "Phone" }
answer = { kind = "phone-number" }"#,
    );
    offer(&mut fixture, &[&twice]);
    fixture.touch(Intent::Home);
    fixture.open("大厅取号");
    fixture.touch(Intent::ChooseOption(0));
    let first = fixture.view().steps.unwrap();
    type_keys(&mut fixture, "20261031");
    fixture.touch(Intent::Primary);
    assert_eq!(title(&fixture), data("手机号码"));
    assert_eq!(fixture.view().steps.unwrap(), first);
    assert_eq!((first.names, first.current), (names.map(Text::Id).to_vec(), 1));
}

#[test]
fn back_leads_to_question_with_its_answer() {
    let mut fixture = at_places();
    let (ticket, _) = call(&mut fixture);
    answer(&mut fixture, ticket, rows(TWO_PLACES));
    assert_eq!(title(&fixture), data("请选择地点"));
    fixture.touch(Intent::Back);
    assert_eq!(pad(&fixture).entered.as_str(), "0451 00");
    fixture.touch(Intent::EntryErase);
    type_keys(&mut fixture, "7");
    fixture.touch(Intent::Primary);
    let (_, request) = call(&mut fixture);
    assert_eq!(input(&request), [("account", "045107")]);

    let mut fixture = at_account();
    fixture.touch(Intent::Back);
    let Body::Menu(tiles) = fixture.view().body else { panic!("expected the options") };
    assert_eq!(
        tiles.iter().map(|tile| tile.icon).collect::<Vec<_>>(),
        [view::Icon::ChevronRight, view::Icon::Check]
    );
    fixture.touch(Intent::Back);
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn ticket_asked_for_again_has_the_same_id() {
    let mut fixture = at_ticket();
    let mut ids = Vec::new();
    for failure in
        [Failure::Unreachable, Failure::InvalidResponse, Failure::Problem(ProblemCode::Unavailable)]
    {
        let (ticket, request) = call(&mut fixture);
        ids.push(request.ticket.unwrap());
        assert_eq!(input(&request), [("matter", "B"), ("place", "p2")]);
        fixture.event(Event::WorkAnswered(ticket, Err(failure)));
        let outcome = fixture.shown_outcome();
        assert_eq!((outcome.kind, outcome.headline), (OutcomeKind::Unknown, TextId::TicketUnclear.into()));
        fixture.touch(Intent::Primary);
    }
    let (ticket, request) = call(&mut fixture);
    ids.push(request.ticket.unwrap());
    answer(&mut fixture, ticket, rows(&[&[("number", "A012")]]));
    ids.dedup();
    assert_eq!((ids.len(), tickets_taken(&fixture)), (1, ids));
}

#[test]
fn ticket_without_answer_in_time_can_be_asked_again() {
    let mut fixture = at_ticket();
    let first = call(&mut fixture).1.ticket;
    fixture.wait(11_000);
    assert_eq!(fixture.shown_outcome().headline, TextId::TicketUnclear.into());
    fixture.touch(Intent::Primary);
    assert_eq!(call(&mut fixture).1.ticket, first);
}

#[test]
fn going_back_from_ticket_takes_no_second_one() {
    let mut fixture = at_ticket();
    let (ticket, _) = call(&mut fixture);
    answer(&mut fixture, ticket, rows(&[&[("number", "A012")]]));
    fixture.touch(Intent::Back);
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert!(fixture.effects.iter().all(|effect| !matches!(effect, session::Effect::StartWork { .. })));
    // Nor from a failure, after which the ticket may exist.
    let mut fixture = at_ticket();
    let (ticket, _) = call(&mut fixture);
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::Unreachable)));
    fixture.touch(Intent::Back);
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn leaving_while_ticket_is_asked_for_says_it_is_unknown() {
    let mut fixture = at_ticket();
    let (ticket, _) = call(&mut fixture);
    fixture.touch(Intent::EndVisit);
    let outcome = fixture.shown_outcome();
    assert_eq!((outcome.kind, outcome.detail), (OutcomeKind::Unknown, TextId::TicketLeftDetail.into()));
    assert_eq!(fixture.view().header.resident, None);
    answer(&mut fixture, ticket, rows(&[&[("number", "A012")]]));
    assert!(tickets_taken(&fixture).is_empty(), "the answer came after the visit");
    fixture.touch(Intent::Primary);
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
}

#[test]
fn two_tickets_of_one_visit_have_different_ids() {
    let mut fixture = at_ticket();
    let first = call(&mut fixture).1.ticket;
    fixture.wait(11_000);
    fixture.touch(Intent::Home);
    fixture.open("大厅取号");
    fixture.touch(Intent::ChooseOption(1));
    type_keys(&mut fixture, "045100");
    fixture.touch(Intent::Primary);
    let (ticket, _) = call(&mut fixture);
    answer(&mut fixture, ticket, rows(TWO_PLACES));
    fixture.touch(Intent::ToggleRow(0));
    fixture.touch(Intent::Primary);
    assert_ne!(call(&mut fixture).1.ticket, first);
}

#[test]
fn answer_without_ticket_says_so_and_records_none() {
    for (given, headline, detail) in [
        (no_rows(), data("今天的号已经取完"), data("")),
        (refused("您已经有一个号"), TextId::Refused.into(), data("您已经有一个号")),
    ] {
        let mut fixture = at_ticket();
        let (ticket, _) = call(&mut fixture);
        answer(&mut fixture, ticket, given);
        let outcome = fixture.shown_outcome();
        assert_eq!(
            (outcome.kind, outcome.headline, outcome.detail),
            (OutcomeKind::NothingToDo, headline, detail)
        );
        assert_eq!(title(&fixture), data("大厅取号"));
        assert!(tickets_taken(&fixture).is_empty());
        fixture.touch(Intent::Primary);
        assert_eq!(fixture.title(), TextId::MenuTitle);
    }
}

#[test]
fn refusal_shows_departments_words_and_what_was_asked() {
    let mut fixture = at_places();
    let (ticket, _) = call(&mut fixture);
    answer(&mut fixture, ticket, refused("这个户号已销户"));
    let outcome = fixture.shown_outcome();
    assert_eq!((outcome.kind, outcome.detail), (OutcomeKind::NothingToDo, data("这个户号已销户")));
    let pairs: Vec<_> = outcome.pairs.into_iter().map(|pair| (pair.label, pair.value)).collect();
    assert_eq!(pairs, [(data("请输入户号"), data("0451 00"))]);
    assert_eq!(fixture.count(|entry| matches!(entry, Entry::Queried { rows: 0, .. })), 1);
    assert_eq!(fixture.count(|entry| matches!(entry, Entry::Queried { .. })), 1);
    let actions: Vec<_> = fixture.view().actions.into_iter().map(|action| action.text).collect();
    assert_eq!(actions, [TextId::BackToMenu.into(), TextId::AskAgain.into()]);
    fixture.touch(Intent::Secondary);
    assert_eq!(pad(&fixture).entered.as_str(), "0451 00");
}

#[test]
fn empty_answer_shows_the_documents_words() {
    let mut fixture = at_places();
    let (ticket, _) = call(&mut fixture);
    answer(&mut fixture, ticket, no_rows());
    assert_eq!(fixture.shown_outcome().headline, data("现在没有窗口"));
    assert_eq!(fixture.title(), TextId::NothingTitle);
}

#[test]
fn refusal_that_cannot_be_shown_is_an_invalid_answer() {
    let long = "长".repeat(201);
    let with_rows = CallAnswer { refused: refused("不").refused, ..rows(TWO_PLACES) };
    for given in [refused(""), refused("a\u{7}b"), refused(&long), with_rows] {
        let mut fixture = at_places();
        let (ticket, _) = call(&mut fixture);
        answer(&mut fixture, ticket, given);
        assert_eq!(fixture.shown_outcome().headline, TextId::Nonsense.into());
        assert_eq!(fixture.count(|entry| matches!(entry, Entry::Queried { .. })), 0);
    }
}

#[test]
fn next_service_opens_in_place_of_the_rest() {
    for given in [no_rows(), rows(TWO_PLACES)] {
        let mut fixture = at_places();
        let (ticket, _) = call(&mut fixture);
        answer(&mut fixture, ticket, CallAnswer { next: Some("water.pay".into()), ..given });
        let (_, request) = call(&mut fixture);
        assert_eq!((request.service.as_str(), request.operation.as_str()), ("water.pay", "water.bills"));
        assert!(request.input.is_empty(), "nothing of the first service is kept");
    }
}

#[test]
fn next_service_that_cannot_open_is_ignored_or_invalid() {
    let elsewhere = WATER.replace("village-point", "district-hall");
    let proven = WATER.replace("level = \"recognised\"", "level = \"proven\"");
    let unlisted = HALL.replace("next = [\"water.pay\"]", "");
    for services in [vec![HALL], vec![HALL, &elsewhere], vec![HALL, &proven], vec![&unlisted, WATER]] {
        let named = |given| CallAnswer { next: Some("water.pay".into()), ..given };
        let mut fixture = at_account();
        offer(&mut fixture, &services);
        fixture.touch(Intent::Home);
        fixture.open("大厅取号");
        fixture.touch(Intent::ChooseOption(0));
        type_keys(&mut fixture, "045100");
        fixture.touch(Intent::Primary);
        let (ticket, _) = call(&mut fixture);
        answer(&mut fixture, ticket, named(no_rows()));
        assert_eq!(fixture.shown_outcome().headline, TextId::Nonsense.into());
        fixture.touch(Intent::Primary);
        let (ticket, _) = call(&mut fixture);
        answer(&mut fixture, ticket, named(rows(TWO_PLACES)));
        assert_eq!(title(&fixture), data("请选择地点"));
    }
}

#[test]
fn services_that_lead_in_a_circle_end() {
    const CIRCLE: &str = r#"
id = "a"
version = 1
title = { zh = "甲", en = "A" }
hint = { zh = "甲", en = "A" }
scene = "hall"
profiles = ["village-point"]
level = "recognised"
offline = "refuse"
[[step]]
do = "query"
id = "asked"
call = "a.a"
next = ["a"]
answer = { x = { type = "text", zh = "甲", en = "A" } }
none = { zh = "无", en = "None" }
"#;
    let mut fixture = Fixture::new();
    offer(&mut fixture, &[CIRCLE]);
    fixture.begin_by_code(1);
    fixture.open("甲");
    for _ in 0..5 {
        let (ticket, _) = call(&mut fixture);
        answer(&mut fixture, ticket, CallAnswer { next: Some("a".into()), ..no_rows() });
    }
    assert_eq!(fixture.shown_outcome().headline, TextId::Nonsense.into());
}

#[test]
fn random_visits_take_each_ticket_once_with_one_input() {
    let (mut taken, mut repeated) = (0, 0);
    for seed in 1..=60 {
        let mut rng = SimRng(seed);
        let mut fixture = Fixture::new();
        offer(&mut fixture, &[HALL]);
        let mut inputs: BTreeMap<TicketId, BTreeMap<String, String>> = BTreeMap::new();
        for token in 1..120 {
            if matches!(fixture.view().body, Body::Welcome(_)) {
                fixture.begin_by_code(token);
            }
            let at = fixture.effects.iter().rposition(|e| matches!(e, session::Effect::StartWork { .. }));
            if at.is_some() {
                let (ticket, request) = call(&mut fixture);
                let found = if request.operation == "hall.places" {
                    rows(TWO_PLACES)
                } else {
                    rows(&[&[("number", "A1")]])
                };
                if let Some(id) = request.ticket {
                    let before = inputs.insert(id, request.input.clone());
                    repeated += usize::from(before.is_some());
                    assert!(before.is_none_or(|before| before == request.input), "seed {seed}");
                }
                match rng.below(8) {
                    0 => fixture.event(Event::WorkAnswered(ticket, Err(Failure::Unreachable))),
                    1 => fixture.wait(11_000),
                    2 => answer(&mut fixture, ticket, no_rows()),
                    3 => answer(&mut fixture, ticket, refused("不")),
                    _ => answer(&mut fixture, ticket, found),
                }
                continue;
            }
            let touchable: Vec<Intent> =
                touchable(&fixture).into_iter().filter(|intent| *intent != Intent::EndVisit).collect();
            let at = usize::try_from(rng.below(touchable.len() as u64)).unwrap();
            fixture.touch(touchable[at]);
        }
        let mut ids = tickets_taken(&fixture);
        taken += ids.len();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "seed {seed}");
        assert!(ids.iter().all(|id| inputs.contains_key(id)), "seed {seed}");
    }
    assert!(taken > 20 && repeated > 5, "{taken} taken, {repeated} asked for again");
}
