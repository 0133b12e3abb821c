//! The views of the menu, and whether each service is available in this visit.

use std::sync::Arc;

use contract::{
    DayMinute, Evidence, IdentificationMethod, Level, Opening, Scene, ServiceDocument, Step, WeekDay,
    opening_at,
};
use view::{Banner, Body, FooterButton, Icon, Intent, Lang, Text, TextId, Theme, Tile, Tone};

use crate::components::Status;
use crate::content::{
    ViewContent, document_printer_fault_banner, exit_button, help_banner, page_actions, printer_fault_banner,
    service_footer,
};
use crate::event::{DeviceKind, DeviceState};
use crate::front::visit::data::{IdentifiedResident, VisitData};
use crate::front::visit::menu_place::{
    MenuItem, MenuItems, MenuList, MenuPage, MenuPlace, open_scene, scene_name,
};
use crate::mask;
use crate::text_width::{half_widths, shortened};
use crate::wording::in_language;

/// Most examples on the tile of a list.
const EXAMPLES_MAX: usize = 3;

/// Whether a service can be offered in this visit, and why not (可办状态).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// The service can be opened.
    Available,
    /// The service can be opened after the phone has answered a challenge.
    NeedsPhone,
    /// The service can be opened after the card has verified its PIN.
    NeedsPin,
    /// The service needs the link to the platform.
    NeedsLink,
    /// The platform must know the resident, and the visit began without a link.
    NeedsCodeAgain,
    /// The service acts on the card, and the visit was not begun with one.
    NeedsCard,
    /// The service needs a higher level than this visit can reach.
    NeedsLevel,
    /// It is outside the hours of the service, which opens later today.
    OpensToday(DayMinute),
    /// It is outside the hours of the service, which opens on another day.
    OpensOn(WeekDay, DayMinute),
}

/// The services that this kiosk offers today.
fn offered(status: Status<'_>) -> Vec<Arc<ServiceDocument>> {
    let today = status.local_time().date().to_string();
    status.components.catalogue.offered(status.setup(), &today)
}

/// Whether a service can be opened at this hour, and if not, when next.
fn opening(status: Status<'_>, doc: &ServiceDocument) -> Opening {
    let local = status.local_time();
    let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
    let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
    opening_at(&doc.hours, WeekDay::from_monday(day), DayMinute::from_minutes(minute))
}

/// The service of a tile, and whether it can be opened now.
pub(crate) fn service_of_tile(
    status: Status<'_>,
    data: &VisitData,
    tile: u16,
) -> Option<(Arc<ServiceDocument>, Availability)> {
    let offered = offered(status);
    let doc = offered.get(usize::from(tile))?;
    Some((Arc::clone(doc), availability(status, data, doc)))
}

/// The service with this id, if a resident could open it from the menu now without a step-up.
pub(crate) fn available_service(
    status: Status<'_>,
    data: &VisitData,
    id: &str,
) -> Option<Arc<ServiceDocument>> {
    let offered = offered(status);
    let doc = offered.into_iter().find(|doc| doc.id == id)?;
    (availability(status, data, &doc) == Availability::Available).then_some(doc)
}

/// Whether a service can be opened now, and if not, why.
fn availability(status: Status<'_>, data: &VisitData, doc: &ServiceDocument) -> Availability {
    match opening(status, doc) {
        Opening::Open => {}
        Opening::Today(at) => return Availability::OpensToday(at),
        Opening::On(day, at) => return Availability::OpensOn(day, at),
    }
    let Some(person) = &data.resident else { return Availability::NeedsLevel };
    if data.identification_method != IdentificationMethod::Card
        && doc.steps.iter().any(|step| matches!(step, Step::ChangePin { .. }))
    {
        return Availability::NeedsCard;
    }
    if !is_queued_here(status, doc) {
        if !status.components.online {
            return Availability::NeedsLink;
        }
        if person.visit_key.is_none() {
            return Availability::NeedsCodeAgain;
        }
    }
    let needed = required_level(doc, person);
    if person.level >= needed {
        Availability::Available
    } else if needed == Level::Proven {
        available_step_up(status, data, person)
    } else {
        Availability::NeedsLevel
    }
}

/// Whether the service works here without a link: it only hands something in, and the keys of its departments are known. A cached
/// answer would need the sealed cache, which the kiosk does not have.
fn is_queued_here(status: Status<'_>, doc: &ServiceDocument) -> bool {
    doc.is_queued()
        && doc.steps.iter().all(|step| {
            if let Step::Submit { department, .. } = step {
                status.components.catalogue.department(department).is_some()
            } else {
                true
            }
        })
}

/// The step-up that is possible now: a phone whose answer the kiosk can read and judge, or the PIN of an
/// authenticated card while the platform can be informed of it.
fn available_step_up(status: Status<'_>, data: &VisitData, person: &IdentifiedResident) -> Availability {
    let of_phone = matches!(person.evidence, Evidence::TokenConsumed | Evidence::OfflineCode);
    let authenticated =
        matches!(person.evidence, Evidence::CardAuthenticated | Evidence::AuthenticatedCardPin);
    let code_reader = status.components.devices.state(DeviceKind::CodeReader);
    let phone_can = code_reader == DeviceState::Ready && status.code_policy().is_ok();
    let pin_can = status.components.online && person.visit_key.is_some();
    match data.identification_method {
        IdentificationMethod::Code if of_phone && phone_can => Availability::NeedsPhone,
        IdentificationMethod::Card if authenticated && pin_can => Availability::NeedsPin,
        IdentificationMethod::Code | IdentificationMethod::Card | IdentificationMethod::IdCard => {
            Availability::NeedsLevel
        }
    }
}

/// The level that a service requires of this resident: a code that anybody could have relayed never authorises a
/// payment (I5).
fn required_level(doc: &ServiceDocument, person: &IdentifiedResident) -> Level {
    let pays = doc.steps.iter().any(|step| matches!(step, Step::Pay { .. }));
    match person.evidence {
        Evidence::OfflineCode | Evidence::PaperCode if pays => doc.level.max(Level::Proven),
        Evidence::OfflineCode
        | Evidence::PaperCode
        | Evidence::CardRead
        | Evidence::IdCardRead
        | Evidence::CardPin
        | Evidence::CardAuthenticated
        | Evidence::AuthenticatedCardPin
        | Evidence::TokenConsumed
        | Evidence::ChallengeAnswered => doc.level,
    }
}

/// Most banners above the menu, the most urgent first: in large text one, so that there is room for the tiles.
const fn banners_max(theme: Theme) -> usize {
    match theme {
        Theme::Standard => 2,
        Theme::Elder => 1,
    }
}

/// The page of the menu that is shown below its banners, and how many tiles it has room for.
pub(crate) fn shown_page(
    status: Status<'_>,
    data: &VisitData,
    place: &MenuPlace,
    declined: bool,
    help: bool,
) -> (MenuPage, usize) {
    let offered = offered(status);
    let banners = banners(status, data, declined, help).len();
    let size = status.setup().equipment.screen.panel.tiles(data.theme, banners);
    (place.page(&MenuItems::new(&offered, status.setup(), data.theme), size), size)
}

fn banners(status: Status<'_>, data: &VisitData, declined: bool, help: bool) -> Vec<Banner> {
    let mut banners = Vec::new();
    if help {
        banners.push(help_banner(status.components.online));
    }
    banners.extend(data.orders.iter().filter(|order| order.settlement.is_none()).map(|order| Banner {
        tone: Tone::Wait,
        icon: Icon::Receipt,
        title: Text::With(TextId::MenuChecking, vec![order.total.to_string()]),
        detail: Some(TextId::MenuCheckingDetail.into()),
    }));
    if declined {
        let title = TextId::ConsentDeclined.into();
        banners.push(Banner { tone: Tone::Note, icon: Icon::ShieldCheck, title, detail: None });
    }
    banners.extend(printer_fault_banner(status));
    banners.extend(document_printer_fault_banner(status));
    banners.truncate(banners_max(data.theme));
    banners
}

pub(crate) fn menu_content(
    status: Status<'_>,
    data: &VisitData,
    place: &MenuPlace,
    declined: bool,
    help: bool,
) -> ViewContent {
    let (page, _) = shown_page(status, data, place, declined, help);
    let tiles = page.items.iter().map(|item| match item {
        MenuItem::Service(doc, at) => tile(status, data, doc, Intent::OpenTile(*at)),
        MenuItem::Scene(scene, services) => {
            list_tile(data, scene_icon(*scene), scene_name(*scene), services, open_scene(*scene))
        }
        MenuItem::Lookups(services) => {
            list_tile(data, Icon::Receipt, TextId::MenuLookups, services, Intent::OpenLookups)
        }
    });
    let known = data.resident.as_ref().filter(|person| person.visit_key.is_some());
    let greeting = match known {
        Some(person) => Text::With(TextId::MenuLead, vec![mask::name(&person.name)]),
        None => TextId::MenuLeadOffline.into(),
    };
    let place_in_pages =
        || Text::With(TextId::RowsPage, vec![(page.index + 1).to_string(), page.count.to_string()]);
    let exit = exit_button(data.identification_method);
    let (title, lead, footer) = match page.list {
        MenuList::Home => (
            TextId::MenuTitle,
            Some(if page.index == 0 { greeting } else { place_in_pages() }),
            vec![FooterButton::Language, FooterButton::Theme, FooterButton::Help, exit],
        ),
        MenuList::Scene(scene) => (
            scene_name(scene),
            (page.count > 1).then(place_in_pages),
            service_footer(data.identification_method),
        ),
        MenuList::Lookups(scene) => (
            TextId::MenuLookups,
            Some(if page.count > 1 { place_in_pages() } else { scene_name(scene).into() }),
            service_footer(data.identification_method),
        ),
    };
    ViewContent {
        lead,
        banners: banners(status, data, declined, help),
        actions: page_actions(page.index, page.count),
        footer,
        ..ViewContent::new(title, Body::Menu(tiles.collect()))
    }
}

/// The tile of a list of services, with the first of them as examples.
fn list_tile(
    data: &VisitData,
    icon: Icon,
    name: TextId,
    services: &[Arc<ServiceDocument>],
    intent: Intent,
) -> Tile {
    let titles = services.iter().map(|doc| in_language(&doc.title, data.lang));
    let detail = Text::Data(examples(titles, data.lang, data.theme));
    Tile { icon, title: name.into(), detail, enabled: true, opens_list: true, intent }
}

/// The first names, as many as fit.
fn examples<'a>(names: impl Iterator<Item = &'a str>, lang: Lang, theme: Theme) -> String {
    let between = match lang {
        Lang::Zh => "、",
        Lang::En => ", ",
    };
    let half_widths_max = match theme {
        Theme::Standard => 36,
        Theme::Elder => 60,
    };
    let mut text = String::new();
    for name in names.take(EXAMPLES_MAX) {
        let longer =
            if text.is_empty() { shortened(name, half_widths_max) } else { format!("{text}{between}{name}") };
        if half_widths(&longer) > half_widths_max {
            break;
        }
        text = longer;
    }
    text
}

fn tile(status: Status<'_>, data: &VisitData, doc: &ServiceDocument, intent: Intent) -> Tile {
    let availability = availability(status, data, doc);
    let detail = match availability {
        Availability::NeedsLink => TextId::TileNeedsLink.into(),
        Availability::NeedsCodeAgain => TextId::TileCodeAgain.into(),
        Availability::NeedsCard => TextId::TileNeedsCard.into(),
        Availability::NeedsLevel => TextId::TileNeedsLevel.into(),
        Availability::NeedsPhone => TextId::TileNeedsPhone.into(),
        Availability::NeedsPin => TextId::TileNeedsPin.into(),
        Availability::OpensToday(at) => Text::With(TextId::TileOpensToday, vec![at.to_string()]),
        Availability::OpensOn(day, at) => Text::With(opens_on(day), vec![at.to_string()]),
        Availability::Available => Text::Data(in_language(&doc.hint, data.lang).to_owned()),
    };
    let enabled =
        matches!(availability, Availability::Available | Availability::NeedsPhone | Availability::NeedsPin);
    Tile { icon: icon(doc), title: data.words(&doc.title), detail, enabled, opens_list: false, intent }
}

/// The text that a service opens on this day.
const fn opens_on(day: WeekDay) -> TextId {
    match day {
        WeekDay::Mon => TextId::TileOpensMonday,
        WeekDay::Tue => TextId::TileOpensTuesday,
        WeekDay::Wed => TextId::TileOpensWednesday,
        WeekDay::Thu => TextId::TileOpensThursday,
        WeekDay::Fri => TextId::TileOpensFriday,
        WeekDay::Sat => TextId::TileOpensSaturday,
        WeekDay::Sun => TextId::TileOpensSunday,
    }
}

/// The icon of a service, by its scene.
pub(crate) const fn icon(doc: &ServiceDocument) -> Icon {
    scene_icon(doc.scene)
}

const fn scene_icon(scene: Scene) -> Icon {
    match scene {
        Scene::Medical => Icon::HeartPulse,
        Scene::SocialInsurance => Icon::ShieldCheck,
        Scene::Living => Icon::Droplets,
        Scene::Tax => Icon::Building,
        Scene::Fines => Icon::Receipt,
        Scene::Certificates => Icon::FileBadge,
        Scene::Transport => Icon::Bus,
        Scene::Culture => Icon::Ticket,
        Scene::Hall => Icon::Landmark,
        Scene::Identity => Icon::IdCard,
        Scene::Card => Icon::Card,
        Scene::Community => Icon::Users,
    }
}
