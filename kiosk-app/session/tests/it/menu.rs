//! The menu of all services in `assets/services`: what a resident finds by touches alone, on every panel and in large text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use contract::{ServiceDocument, SiteProfile};
use session::{Catalogue, Event, KioskSetup};
use view::{Body, FooterButton, Intent, Lang, Panel, Text, TextId, Theme, Tile};

use crate::fixture::{Fixture, plain_setup};

const PANELS: [Panel; 3] = [
    Panel { width: 1080, height: 1920 },
    Panel { width: 1920, height: 1080 },
    Panel { width: 1280, height: 800 },
];

// The state machine opens no file; its tests read what is shipped.
#[allow(clippy::disallowed_methods)]
fn shipped_services() -> BTreeMap<String, Arc<ServiceDocument>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/services");
    let files = std::fs::read_dir(directory).unwrap();
    files
        .map(|file| ServiceDocument::parse(&std::fs::read_to_string(file.unwrap().path()).unwrap()).unwrap())
        .map(|doc| (doc.id.clone(), Arc::new(doc)))
        .collect()
}

/// A resident at the menu of all shipped services.
fn at_menu(profile: SiteProfile, panel: Panel, featured: &[&str], (lang, theme): (Lang, Theme)) -> Fixture {
    let mut setup = KioskSetup { profile, ..plain_setup() };
    setup.equipment.screen.panel = panel;
    setup.equipment.screen.featured = featured.iter().map(|id| (*id).to_owned()).collect();
    let mut fixture = Fixture::working(Arc::new(setup));
    let services = shipped_services();
    fixture.event(Event::CatalogueChanged(Catalogue { cursor: 9, services, ..Catalogue::default() }));
    fixture.begin_by_card();
    if lang == Lang::En {
        fixture.touch(Intent::SwitchLanguage);
    }
    if theme == Theme::Elder {
        fixture.touch(Intent::SwitchTheme);
    }
    fixture
}

fn tiles(fixture: &Fixture) -> Vec<Tile> {
    let Body::Menu(tiles) = fixture.view().body else { panic!("expected the menu") };
    tiles
}

fn data(text: &Text) -> String {
    let Text::Data(data) = text else { panic!("expected a text of a document: {text:?}") };
    data.clone()
}

/// The intent of the button that leads to the next page.
fn next_page(fixture: &Fixture) -> Option<Intent> {
    let is_next = |text: &Text| [TextId::MenuMore, TextId::RowsNext].map(Text::Id).contains(text);
    fixture.view().actions.iter().find(|action| is_next(&action.text)).map(|action| action.intent)
}

/// Walks the list that is shown, with all lists behind it, and collects the titles of the services. Ends where it began.
fn walk(fixture: &mut Fixture, tiles_max: usize, found: &mut BTreeSet<String>) {
    for _ in 0..20 {
        let before = fixture.view();
        let shown = tiles(fixture);
        assert!(!shown.is_empty() && shown.len() <= tiles_max, "{} tiles", shown.len());
        for tile in shown {
            if tile.opens_list {
                assert!(!data(&tile.detail).is_empty(), "a list names an example");
                fixture.touch(tile.intent);
                assert!(fixture.view().footer.contains(&FooterButton::Back));
                walk(fixture, tiles_max, found);
                fixture.touch(Intent::Back);
                assert_eq!(fixture.view().body, before.body, "back leads to the same page");
            } else {
                found.insert(data(&tile.title));
            }
        }
        let Some(next) = next_page(fixture) else {
            fixture.touch(Intent::ShowPage(0));
            return;
        };
        fixture.touch(next);
        assert_ne!(fixture.view().id, before.id, "a touch on the page before is dropped");
    }
    panic!("the pages have no end");
}

#[test]
fn every_service_is_reached_from_home_by_touches_alone() {
    let services = shipped_services();
    for profile in [SiteProfile::DistrictHall, SiteProfile::TownshipCenter, SiteProfile::VillagePoint] {
        for panel in PANELS {
            for shown_in in [Lang::Zh, Lang::En]
                .into_iter()
                .flat_map(|lang| [Theme::Standard, Theme::Elder].map(|theme| (lang, theme)))
            {
                let (lang, theme) = shown_in;
                let mut fixture = at_menu(profile, panel, &["water.pay", "museum.book", "no.such"], shown_in);
                let first = data(&tiles(&fixture)[0].title);
                assert_eq!(first, if lang == Lang::Zh { "水费缴纳" } else { "Water bill" });
                let tiles_max = if theme == Theme::Elder { 4 } else { panel.tiles(theme, 0) };
                let mut found = BTreeSet::new();
                walk(&mut fixture, tiles_max, &mut found);
                let offered: BTreeSet<String> = services
                    .values()
                    .filter(|doc| doc.profiles.contains(&profile))
                    .map(|doc| if lang == Lang::Zh { doc.title.zh.clone() } else { doc.title.en.clone() })
                    .collect();
                assert!(offered.len() > 60);
                assert_eq!(found, offered, "{profile:?} {panel:?} {shown_in:?}");
            }
        }
    }
}

const STANDARD: (Lang, Theme) = (Lang::Zh, Theme::Standard);
const ELDER: (Lang, Theme) = (Lang::Zh, Theme::Elder);

fn open_tile(fixture: &mut Fixture, has: impl Fn(&Tile) -> bool) {
    let tile = tiles(fixture).into_iter().find(has).expect("the tile");
    fixture.touch(tile.intent);
}

fn open_scene(fixture: &mut Fixture, scene: TextId) {
    while !tiles(fixture).iter().any(|tile| tile.title == scene.into()) {
        let next = next_page(fixture).expect("a page with the scene");
        fixture.touch(next);
    }
    open_tile(fixture, |tile| tile.title == scene.into());
    assert_eq!(fixture.title(), scene);
}

/// Opens the second list of a scene, behind its last tile.
fn open_lookups(fixture: &mut Fixture) {
    while let Some(next) = next_page(fixture) {
        fixture.touch(next);
    }
    open_tile(fixture, |tile| tile.intent == Intent::OpenLookups);
    assert_eq!(fixture.title(), TextId::MenuLookups);
}

/// Opens the first service on the last page of a list; returns that page.
fn open_service_on_last_page(fixture: &mut Fixture) -> Body {
    while let Some(next) = next_page(fixture) {
        fixture.touch(next);
    }
    let page = fixture.view().body;
    open_tile(fixture, |tile| !tile.opens_list && tile.enabled);
    assert_ne!(fixture.view().body, page);
    page
}

#[test]
fn resident_comes_back_from_a_service_to_its_place() {
    for shown_in in [STANDARD, ELDER] {
        let mut fixture = at_menu(SiteProfile::VillagePoint, PANELS[0], &[], shown_in);
        let home = fixture.view().body;
        open_scene(&mut fixture, TextId::SceneLiving);
        open_lookups(&mut fixture);
        let page = open_service_on_last_page(&mut fixture);
        fixture.answer_rows(&[]);
        fixture.touch(Intent::Back);
        assert_eq!(fixture.view().body, page, "{shown_in:?}");

        open_tile(&mut fixture, |tile| tile.enabled);
        fixture.answer_rows(&[]);
        fixture.touch(Intent::Home);
        assert_eq!(fixture.view().body, home, "the home button leads to the first page of home");
    }
}

#[test]
fn place_in_the_menu_ends_with_the_visit() {
    let mut fixture = at_menu(SiteProfile::VillagePoint, PANELS[0], &[], STANDARD);
    let home = fixture.view().body;
    open_scene(&mut fixture, TextId::SceneMedical);
    fixture.wait(61_000);
    fixture.event(Event::Card(session::CardEvent::Removed));
    assert!(matches!(fixture.view().body, Body::Welcome(_)));
    fixture.begin_by_card();
    assert_eq!(fixture.view().body, home);
}

/// The titles of all tiles of the list that is shown.
fn titles_of_list(fixture: &mut Fixture) -> Vec<Text> {
    let mut titles = Vec::new();
    loop {
        titles.extend(tiles(fixture).into_iter().map(|tile| tile.title));
        let Some(next) = next_page(fixture) else { return titles };
        fixture.touch(next);
    }
}

#[test]
fn long_scene_keeps_its_lookups_in_a_list_of_their_own() {
    let [gas, water] = ["燃气缴费记录", "水费缴费记录"].map(|title| Text::Data(title.into()));
    let mut fixture = at_menu(SiteProfile::VillagePoint, PANELS[1], &["gas.payments"], STANDARD);
    open_scene(&mut fixture, TextId::SceneLiving);
    let titles = titles_of_list(&mut fixture);
    assert!(titles.contains(&gas), "what the site features is not behind");
    assert!(!titles.contains(&water));
    open_lookups(&mut fixture);
    let titles = titles_of_list(&mut fixture);
    assert!(titles.contains(&water) && !titles.contains(&gas));
    fixture.touch(Intent::Back);
    assert_eq!(fixture.title(), TextId::SceneLiving);

    let mut fixture = at_menu(SiteProfile::VillagePoint, PANELS[1], &[], STANDARD);
    open_scene(&mut fixture, TextId::SceneTransport);
    assert!(tiles(&fixture).iter().all(|tile| !tile.opens_list), "a scene that fits has no further list");
}

#[test]
fn featured_services_are_first_in_their_order() {
    let featured = ["museum.book", "tax.pay", "hall.number", "gas.pay", "power.pay"];
    for (panel, shown_in, count) in
        [(PANELS[0], STANDARD, 4), (PANELS[1], STANDARD, 3), (PANELS[2], ELDER, 4), (PANELS[0], ELDER, 4)]
    {
        let fixture = at_menu(SiteProfile::DistrictHall, panel, &featured, shown_in);
        let services = shipped_services();
        let expected: Vec<_> = featured.iter().take(count).map(|id| services[*id].title.zh.clone()).collect();
        let shown: Vec<_> =
            tiles(&fixture).iter().filter(|tile| !tile.opens_list).map(|tile| data(&tile.title)).collect();
        assert_eq!(shown, expected, "{panel:?} {shown_in:?}");
    }
    // Not offered at a village: left out, and the room is filled.
    let fixture = at_menu(SiteProfile::VillagePoint, PANELS[0], &["hall.number", "gas.pay"], STANDARD);
    assert_eq!(data(&tiles(&fixture)[0].title), "燃气费缴纳");
    assert_eq!(tiles(&fixture).iter().filter(|tile| !tile.opens_list).count(), 4);
}

#[test]
fn service_without_a_link_keeps_its_place_and_says_why() {
    let mut fixture = at_menu(SiteProfile::VillagePoint, PANELS[0], &[], STANDARD);
    open_scene(&mut fixture, TextId::SceneFines);
    let titles = |fixture: &Fixture| tiles(fixture).into_iter().map(|tile| tile.title).collect::<Vec<_>>();
    let online = titles(&fixture);
    fixture.event(Event::LinkChanged(false));
    assert_eq!(titles(&fixture), online);
    assert!(tiles(&fixture).iter().all(|tile| !tile.enabled && tile.detail == TextId::TileNeedsLink.into()));
    let before = fixture.view();
    let intent = tiles(&fixture)[0].intent;
    fixture.touch(intent);
    assert_eq!(fixture.view().body, before.body);
}

#[test]
fn menu_makes_room_for_its_banners() {
    for panel in PANELS {
        for (shown_in, banners_max) in [(STANDARD, 2), (ELDER, 1)] {
            let mut fixture = at_menu(SiteProfile::VillagePoint, panel, &[], shown_in);
            let printer = session::DeviceKind::ReceiptPrinter;
            let out_of_paper = session::DeviceState::Faulty(session::FaultReason::PaperOut);
            fixture.event(Event::DeviceStateChanged(printer, out_of_paper));
            fixture.touch(Intent::Help);
            let view = fixture.view();
            assert_eq!(view.banners.len(), banners_max, "{panel:?} {shown_in:?}");
            assert_eq!(view.banners[0].title, TextId::HelpCalled.into());
            let fits = panel.tiles(shown_in.1, banners_max);
            assert_eq!(tiles(&fixture).len(), fits, "{panel:?} {shown_in:?}");
        }
    }
}

#[test]
fn few_services_have_no_scenes() {
    let mut fixture = Fixture::new();
    fixture.begin_by_card();
    for _ in 0..2 {
        assert_eq!(tiles(&fixture).len(), 4);
        assert!(tiles(&fixture).iter().all(|tile| !tile.opens_list));
        assert!(fixture.view().actions.is_empty());
        fixture.touch(Intent::SwitchTheme);
    }
}

#[test]
fn resident_is_at_home_when_the_scene_is_withdrawn() {
    let mut fixture = at_menu(SiteProfile::VillagePoint, PANELS[0], &[], STANDARD);
    open_scene(&mut fixture, TextId::SceneFines);
    let mut services = shipped_services();
    services.retain(|_, doc| doc.scene != contract::Scene::Fines);
    fixture.event(Event::CatalogueChanged(Catalogue { cursor: 10, services, ..Catalogue::default() }));
    assert_eq!(fixture.title(), TextId::MenuTitle);
    let first = fixture.view();
    let next = next_page(&fixture).expect("a second page of home");
    fixture.touch(next);
    assert_ne!(fixture.view().body, first.body);
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

/// A resident at the menu of one service, whose head has these lines.
fn at_menu_of(head: &str) -> Fixture {
    let mut fixture = Fixture::working(plain_setup().into());
    let text = include_str!("../../../../assets/services/medical-balance.toml");
    let text = text.replacen("\nscene = ", &format!("\n{head}\nscene = "), 1);
    let doc = ServiceDocument::parse(&text).unwrap();
    let services = BTreeMap::from([(doc.id.clone(), Arc::new(doc))]);
    fixture.event(Event::CatalogueChanged(Catalogue { cursor: 9, services, ..Catalogue::default() }));
    fixture.begin_by_card();
    fixture
}

/// It is Wednesday, 18 November 2026, 19:06 at the site.
#[test]
fn service_outside_its_hours_says_when_it_opens() {
    let weekdays = r#"days = ["mon", "tue", "wed", "thu", "fri"]"#;
    for (hours, expected) in [
        (
            format!("{{ {weekdays}, from = \"09:00\", to = \"17:00\" }}"),
            Some((TextId::TileOpensThursday, "09:00")),
        ),
        (
            format!("{{ {weekdays}, from = \"19:30\", to = \"21:00\" }}"),
            Some((TextId::TileOpensToday, "19:30")),
        ),
        (
            "{ days = [\"sat\"], from = \"09:00\", to = \"12:00\" }".to_owned(),
            Some((TextId::TileOpensSaturday, "09:00")),
        ),
        (format!("{{ {weekdays}, from = \"19:06\", to = \"19:07\" }}"), None),
    ] {
        let mut fixture = at_menu_of(&format!("hours = [{hours}]"));
        let tile = tiles(&fixture).remove(0);
        match expected {
            Some((id, at)) => {
                assert_eq!(tile.detail, Text::With(id, vec![at.to_owned()]), "{hours}");
                assert!(!tile.enabled, "{hours}");
                fixture.touch(tile.intent);
                assert_eq!(tiles(&fixture).len(), 1, "the menu stays");
            }
            None => {
                assert!(tile.enabled, "{hours}");
                fixture.touch(tile.intent);
                assert!(!matches!(fixture.view().body, Body::Menu(_)), "the service was opened");
            }
        }
    }
}

#[test]
fn service_is_offered_at_its_sites_from_its_first_day() {
    for (head, is_offered) in [
        ("from = \"2026-11-18\"", true),
        ("from = \"2026-11-19\"", false),
        ("sites = [\"K-OTHER\"]", false),
        ("sites = [\"K-OTHER\", \"K-VP-0001\"]", true),
    ] {
        assert_eq!(tiles(&at_menu_of(head)).len(), usize::from(is_offered), "{head}");
    }
}
