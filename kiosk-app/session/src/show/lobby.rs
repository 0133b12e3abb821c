//! Content of the idle screen.

use contract::Form;
use view::{Banner, Body, Foot, Icon, Text, TextId, Tone, Verdict, Way, WayCard};

use super::{Frame, plain};
use crate::event::{CodeHint, Health, Trouble};
use crate::kiosk::Kiosk;

pub(super) fn frame(kiosk: &Kiosk) -> Frame {
    let (has, devices) = (kiosk.setup.has, &kiosk.devices);
    let mut methods = Vec::new();
    if has.card_reader {
        methods.push((Way::Card, devices.card_reader));
    }
    if has.id_reader {
        methods.push((Way::IdCard, devices.id_reader));
    }
    if has.code_reader {
        methods.push((Way::Code, devices.code_reader));
    }
    if methods.iter().all(|(_, health)| matches!(health, Health::Trouble(_))) {
        return closed();
    }
    let cards = methods
        .into_iter()
        .map(|(method, health)| card(kiosk, method, broken(kiosk, method, health)))
        .collect();
    Frame {
        steps: None,
        title: TextId::WelcomeTitle.into(),
        lead: Some(TextId::WelcomeLead.into()),
        banners: banners(kiosk),
        body: Body::Welcome(cards),
        actions: Vec::new(),
        footer: vec![Foot::Language, Foot::Theme, Foot::Help],
    }
}

/// Why an identification method is unavailable now; none when it is available. A card needs the platform, and so does a
/// code that the kiosk cannot judge itself.
fn broken(kiosk: &Kiosk, method: Way, health: Health) -> Option<Text> {
    match health {
        Health::Ready if kiosk.online || (method == Way::Code && kiosk.judge().is_ok()) => None,
        Health::Ready => Some(TextId::WayNeedsLink.into()),
        Health::Trouble(_) | Health::Unknown => Some(TextId::WayBroken.into()),
    }
}

fn card(kiosk: &Kiosk, method: Way, broken: Option<Text>) -> WayCard {
    let (title, detail) = match method {
        Way::Card => (TextId::WayCardTitle, TextId::WayCardDetail),
        Way::IdCard => (TextId::WayIdCardTitle, TextId::WayIdCardDetail),
        Way::Code if kiosk.online => (TextId::WayCodeTitle, TextId::WayCodeDetail),
        Way::Code => (TextId::WayCodeTitle, TextId::WayCodeOffline),
    };
    WayCard { way: method, title: title.into(), detail: detail.into(), broken }
}

fn banners(kiosk: &Kiosk) -> Vec<Banner> {
    let mut banners = Vec::new();
    if kiosk.lobby.help_until.is_some() {
        banners.push(help(kiosk.online));
    }
    banners.extend(printer_off(kiosk));
    banners.extend(sheet_printer_off(kiosk));
    let note = |icon, title: TextId| Banner { tone: Tone::Note, icon, title: title.into(), detail: None };
    if let Some(hint) = kiosk.lobby.hint {
        banners.push(note(
            Icon::Phone,
            match hint {
                CodeHint::TooFar => TextId::CodeTooFar,
                CodeHint::TooNear => TextId::CodeTooNear,
                CodeHint::TooDark => TextId::CodeTooDark,
                CodeHint::Glare => TextId::CodeGlare,
                CodeHint::Moving => TextId::CodeMoving,
            },
        ));
    } else if let Some(method) = kiosk.lobby.explain {
        banners.push(match method {
            Way::Card => note(Icon::Card, TextId::ExplainCard),
            Way::IdCard => note(Icon::User, TextId::ExplainIdCard),
            Way::Code => note(Icon::Phone, TextId::ExplainCode),
        });
    }
    banners
}

/// Banner for a fault of the receipt printer: shown before a resident chooses a service that prints, with the remedy
/// for staff.
pub(super) fn printer_off(kiosk: &Kiosk) -> Option<Banner> {
    let (title, detail) = match kiosk.devices.printer {
        Health::Ready | Health::Unknown => return None,
        Health::Trouble(_) if !kiosk.setup.has.printer => return None,
        Health::Trouble(Trouble::PaperOut) => (TextId::PaperOut, Some(TextId::TileNeedsPaper)),
        Health::Trouble(Trouble::CoverOpen) => (TextId::CoverOpen, Some(TextId::TileNeedsPaper)),
        Health::Trouble(Trouble::Jammed) => (TextId::PaperJam, Some(TextId::TileNeedsPaper)),
        Health::Trouble(Trouble::Gone) => (TextId::TileNeedsPaper, None),
    };
    let (title, detail) = (title.into(), detail.map(Text::from));
    Some(Banner { tone: Tone::Wait, icon: Icon::TriangleAlert, title, detail })
}

/// Banner for a fault of the document printer while the receipt printer works: the remedy for staff, and what residents
/// get instead.
pub(super) fn sheet_printer_off(kiosk: &Kiosk) -> Option<Banner> {
    let instead = kiosk.setup.has.sheet_printer && kiosk.printer_for(Form::Receipt).is_some();
    let title = match kiosk.devices.sheet_printer {
        Health::Trouble(Trouble::PaperOut) if instead => TextId::SheetPaperOut,
        Health::Trouble(Trouble::CoverOpen | Trouble::Jammed | Trouble::Gone) if instead => TextId::SheetOff,
        Health::Trouble(_) | Health::Ready | Health::Unknown => return None,
    };
    let detail = Some(TextId::SheetOffDetail.into());
    Some(Banner { tone: Tone::Note, icon: Icon::TriangleAlert, title: title.into(), detail })
}

/// Banner that confirms a call for help: sent, or queued without a link.
pub(super) fn help(online: bool) -> Banner {
    let (tone, title, detail) = if online {
        (Tone::Note, TextId::HelpCalled, TextId::HelpCalledDetail)
    } else {
        (Tone::Wait, TextId::HelpQueued, TextId::HelpQueuedDetail)
    };
    Banner { tone, icon: Icon::Help, title: title.into(), detail: Some(detail.into()) }
}

fn closed() -> Frame {
    Frame {
        steps: None,
        title: TextId::ClosedTitle.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(plain(Verdict::Closed, TextId::Closed, TextId::ClosedDevices)),
        actions: Vec::new(),
        footer: vec![Foot::Language],
    }
}
