//! The menu: the services, and whether each is available in this visit.

use std::sync::Arc;

use contract::{Evidence, IdentificationMethod, Level, OfflinePolicy, Scene, ServiceDocument, Step};
use view::{Banner, Body, FooterButton, Icon, Intent, Text, TextId, Tile, Tone};

use crate::components::Status;
use crate::content::{
    ViewContent, document_printer_fault_banner, exit_button, help_banner, printer_fault_banner,
};
use crate::event::{DeviceKind, DeviceState};
use crate::front::visit::data::{IdentifiedResident, VisitData};
use crate::mask;
use crate::wording::in_language;

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
}

/// The service of a tile, and whether it can be opened now.
pub(crate) fn service_of_tile(
    status: Status<'_>,
    data: &VisitData,
    tile: u16,
) -> Option<(Arc<ServiceDocument>, Availability)> {
    let offered = status.components.catalogue.offered(status.setup().profile);
    let doc = offered.get(usize::from(tile))?;
    Some((Arc::clone(doc), availability(status, data, doc)))
}

/// The service with this id, if a resident could open it from the menu now without a step-up.
pub(crate) fn available_service(
    status: Status<'_>,
    data: &VisitData,
    id: &str,
) -> Option<Arc<ServiceDocument>> {
    let offered = status.components.catalogue.offered(status.setup().profile);
    let doc = offered.into_iter().find(|doc| doc.id == id)?;
    (availability(status, data, &doc) == Availability::Available).then_some(doc)
}

/// Whether a service can be opened now, and if not, why.
fn availability(status: Status<'_>, data: &VisitData, doc: &ServiceDocument) -> Availability {
    let Some(person) = &data.resident else { return Availability::NeedsLevel };
    if data.identification_method != IdentificationMethod::Card
        && doc.steps.iter().any(|step| matches!(step, Step::ChangePin { .. }))
    {
        return Availability::NeedsCard;
    }
    if needs_link(doc.offline) {
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

/// True when a service needs the link. All services do: a queued request would need a `submit` step, and a
/// cached answer the sealed cache, and the interpreter has neither.
const fn needs_link(offline: OfflinePolicy) -> bool {
    match offline {
        OfflinePolicy::Refuse | OfflinePolicy::Queue | OfflinePolicy::AnswerFromCache => true,
    }
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

pub(crate) fn menu_content(status: Status<'_>, data: &VisitData, declined: bool, help: bool) -> ViewContent {
    let offered = status.components.catalogue.offered(status.setup().profile);
    let tiles = offered.iter().zip(0_u16..).map(|(doc, at)| tile(status, data, doc, Intent::OpenTile(at)));
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
    banners.extend(printer_fault_banner(status));
    banners.extend(document_printer_fault_banner(status));
    if declined {
        let title = TextId::ConsentDeclined.into();
        banners.push(Banner { tone: Tone::Note, icon: Icon::ShieldCheck, title, detail: None });
    }
    let known = data.resident.as_ref().filter(|person| person.visit_key.is_some());
    let lead = match known {
        Some(person) => Text::With(TextId::MenuLead, vec![mask::name(&person.name)]),
        None => TextId::MenuLeadOffline.into(),
    };
    let exit = exit_button(data.identification_method);
    ViewContent {
        lead: Some(lead),
        banners,
        footer: vec![FooterButton::Language, FooterButton::Theme, FooterButton::Help, exit],
        ..ViewContent::new(TextId::MenuTitle, Body::Menu(tiles.collect()))
    }
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
        Availability::Available => Text::Data(in_language(&doc.hint, data.lang).to_owned()),
    };
    let enabled =
        matches!(availability, Availability::Available | Availability::NeedsPhone | Availability::NeedsPin);
    Tile { icon: icon(doc), title: data.words(&doc.title), detail, enabled, intent }
}

/// The icon of a service, by its scene.
pub(crate) const fn icon(doc: &ServiceDocument) -> Icon {
    match doc.scene {
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
