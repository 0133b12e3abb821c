//! The menu: what can be done here, by whom, now.

use contract::{Scene, ServiceDocument};
use view::{Banner, Body, Foot, Icon, Intent, Text, TextId, Tile, Tone};

use super::{Frame, lobby, way_out};
use crate::kiosk::Kiosk;
use crate::mask;
use crate::touch::needs_link;
use crate::visit::{Visit, in_lang};

pub(super) fn frame(kiosk: &Kiosk, visit: &Visit, declined: bool) -> Frame {
    let offered = kiosk.catalogue.offered(kiosk.setup.profile);
    let tiles =
        offered.iter().zip(0_u16..).map(|(doc, at)| tile(kiosk, visit, doc, Intent::Open(at))).collect();
    let mut banners = Vec::new();
    if visit.help_until.is_some() {
        banners.push(lobby::help(kiosk.online));
    }
    if declined {
        let title = TextId::ConsentDeclined.into();
        banners.push(Banner { tone: Tone::Note, icon: Icon::ShieldCheck, title, detail: None });
    }
    let name = visit.person.as_ref().map(|person| mask::name(&person.name)).unwrap_or_default();
    Frame {
        steps: None,
        title: TextId::MenuTitle.into(),
        lead: Some(Text::With(TextId::MenuLead, vec![name])),
        banners,
        body: Body::Menu(tiles),
        actions: Vec::new(),
        footer: vec![Foot::Language, Foot::Theme, Foot::Help, way_out(visit)],
    }
}

fn tile(kiosk: &Kiosk, visit: &Visit, doc: &ServiceDocument, intent: Intent) -> Tile {
    let level = visit.person.as_ref().map(|person| person.level).unwrap_or_default();
    let detail = if !kiosk.online && needs_link(doc.offline) {
        TextId::TileNeedsLink.into()
    } else if level < doc.level {
        TextId::TileNeedsLevel.into()
    } else {
        Text::Data(in_lang(&doc.hint, visit.lang).to_owned())
    };
    Tile {
        icon: icon(doc),
        title: Text::Data(in_lang(&doc.title, visit.lang).to_owned()),
        detail,
        enabled: kiosk.opens(doc, level),
        intent,
    }
}

/// The picture of a service: its scene's.
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
