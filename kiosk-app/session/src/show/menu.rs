//! Content of the menu: the services, and whether each is available.

use contract::{Scene, ServiceDocument};
use view::{Banner, Body, FooterButton, Icon, Intent, Text, TextId, Tile, Tone};

use super::{ViewContent, exit_button, idle_screen};
use crate::kiosk::Kiosk;
use crate::mask;
use crate::step_up::Availability;
use crate::visit::{Visit, in_language};

pub(super) fn menu_content(kiosk: &Kiosk, visit: &Visit, declined: bool) -> ViewContent {
    let offered = kiosk.catalogue.offered(kiosk.setup.profile);
    let tiles =
        offered.iter().zip(0_u16..).map(|(doc, at)| tile(kiosk, visit, doc, Intent::OpenTile(at))).collect();
    let mut banners = Vec::new();
    if visit.help_until.is_some() {
        banners.push(idle_screen::help_banner(kiosk.online));
    }
    banners.extend(idle_screen::printer_fault_banner(kiosk));
    banners.extend(idle_screen::document_printer_fault_banner(kiosk));
    if declined {
        let title = TextId::ConsentDeclined.into();
        banners.push(Banner { tone: Tone::Note, icon: Icon::ShieldCheck, title, detail: None });
    }
    let known = visit.resident.as_ref().filter(|person| person.visit_key.is_some());
    let lead = match known {
        Some(person) => Text::With(TextId::MenuLead, vec![mask::name(&person.name)]),
        None => TextId::MenuLeadOffline.into(),
    };
    ViewContent {
        steps: None,
        title: TextId::MenuTitle.into(),
        lead: Some(lead),
        banners,
        body: Body::Menu(tiles),
        actions: Vec::new(),
        footer: vec![FooterButton::Language, FooterButton::Theme, FooterButton::Help, exit_button(visit)],
    }
}

fn tile(kiosk: &Kiosk, visit: &Visit, doc: &ServiceDocument, intent: Intent) -> Tile {
    let standing = kiosk.availability(doc, visit);
    let detail = match standing {
        Availability::NeedsLink => TextId::TileNeedsLink.into(),
        Availability::NeedsCodeAgain => TextId::TileCodeAgain.into(),
        Availability::NeedsCard => TextId::TileNeedsCard.into(),
        Availability::NeedsLevel => TextId::TileNeedsLevel.into(),
        Availability::NeedsPhone => TextId::TileNeedsPhone.into(),
        Availability::NeedsPin => TextId::TileNeedsPin.into(),
        Availability::Available => Text::Data(in_language(&doc.hint, visit.lang).to_owned()),
    };
    Tile {
        icon: icon(doc),
        title: Text::Data(in_language(&doc.title, visit.lang).to_owned()),
        detail,
        enabled: matches!(
            standing,
            Availability::Available | Availability::NeedsPhone | Availability::NeedsPin
        ),
        intent,
    }
}

/// The icon of a service, by its scene.
pub(super) const fn icon(doc: &ServiceDocument) -> Icon {
    match doc.scene {
        Scene::Medical => Icon::HeartPulse,
        Scene::SocialInsurance => Icon::ShieldCheck,
        Scene::Living => Icon::Droplets,
        Scene::Tax => Icon::Building,
        Scene::Fines => Icon::Receipt,
        Scene::Certificates => Icon::FileBadge,
        Scene::Transport => Icon::Bus,
        Scene::Culture => Icon::Ticket,
    }
}
