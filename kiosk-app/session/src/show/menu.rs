//! Content of the menu: the services, and whether each is available.

use contract::{Scene, ServiceDocument};
use view::{Banner, Body, Foot, Icon, Intent, Text, TextId, Tile, Tone};

use super::{Frame, lobby, way_out};
use crate::kiosk::Kiosk;
use crate::mask;
use crate::prove::Standing;
use crate::visit::{Visit, in_lang};

pub(super) fn frame(kiosk: &Kiosk, visit: &Visit, declined: bool) -> Frame {
    let offered = kiosk.catalogue.offered(kiosk.setup.profile);
    let tiles =
        offered.iter().zip(0_u16..).map(|(doc, at)| tile(kiosk, visit, doc, Intent::Open(at))).collect();
    let mut banners = Vec::new();
    if visit.help_until.is_some() {
        banners.push(lobby::help(kiosk.online));
    }
    banners.extend(lobby::printer_off(kiosk));
    banners.extend(lobby::sheet_printer_off(kiosk));
    if declined {
        let title = TextId::ConsentDeclined.into();
        banners.push(Banner { tone: Tone::Note, icon: Icon::ShieldCheck, title, detail: None });
    }
    let known = visit.person.as_ref().filter(|person| person.key.is_some());
    let lead = match known {
        Some(person) => Text::With(TextId::MenuLead, vec![mask::name(&person.name)]),
        None => TextId::MenuLeadOffline.into(),
    };
    Frame {
        steps: None,
        title: TextId::MenuTitle.into(),
        lead: Some(lead),
        banners,
        body: Body::Menu(tiles),
        actions: Vec::new(),
        footer: vec![Foot::Language, Foot::Theme, Foot::Help, way_out(visit)],
    }
}

fn tile(kiosk: &Kiosk, visit: &Visit, doc: &ServiceDocument, intent: Intent) -> Tile {
    let standing = kiosk.standing(doc, visit);
    let detail = match standing {
        Standing::NeedsLink => TextId::TileNeedsLink.into(),
        Standing::NeedsCodeAgain => TextId::TileCodeAgain.into(),
        Standing::NeedsCard => TextId::TileNeedsCard.into(),
        Standing::NeedsLevel => TextId::TileNeedsLevel.into(),
        Standing::NeedsPhone => TextId::TileNeedsPhone.into(),
        Standing::NeedsPin => TextId::TileNeedsPin.into(),
        Standing::Open => Text::Data(in_lang(&doc.hint, visit.lang).to_owned()),
    };
    Tile {
        icon: icon(doc),
        title: Text::Data(in_lang(&doc.title, visit.lang).to_owned()),
        detail,
        enabled: matches!(standing, Standing::Open | Standing::NeedsPhone | Standing::NeedsPin),
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
