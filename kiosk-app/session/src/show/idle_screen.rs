//! Content of the idle screen.

use contract::PrintForm;
use view::{Banner, Body, FooterButton, Icon, OutcomeKind, SignInCard, SignInMethod, Text, TextId, Tone};

use super::{ViewContent, plain_outcome};
use crate::event::{CodeHint, DeviceState, FaultReason};
use crate::kiosk::Kiosk;

pub(super) fn idle_content(kiosk: &Kiosk) -> ViewContent {
    let (has, devices) = (kiosk.setup.equipment, &kiosk.devices);
    let mut methods = Vec::new();
    if has.card_reader {
        methods.push((SignInMethod::Card, devices.card_reader));
    }
    if has.id_reader {
        methods.push((SignInMethod::IdCard, devices.id_reader));
    }
    if has.code_reader {
        methods.push((SignInMethod::Code, devices.code_reader));
    }
    if methods.iter().all(|(_, health)| matches!(health, DeviceState::Faulty(_))) {
        return out_of_service();
    }
    let cards = methods
        .into_iter()
        .map(|(method, health)| method_card(kiosk, method, unavailable_reason(kiosk, method, health)))
        .collect();
    ViewContent {
        steps: None,
        title: TextId::WelcomeTitle.into(),
        lead: Some(TextId::WelcomeLead.into()),
        banners: banners(kiosk),
        body: Body::Welcome(cards),
        actions: Vec::new(),
        footer: vec![FooterButton::Language, FooterButton::Theme, FooterButton::Help],
    }
}

/// Why an identification method is unavailable now; none when it is available. A card needs the platform, and so does a
/// code that the kiosk cannot judge itself.
fn unavailable_reason(kiosk: &Kiosk, method: SignInMethod, health: DeviceState) -> Option<Text> {
    match health {
        DeviceState::Ready
            if kiosk.online || (method == SignInMethod::Code && kiosk.code_policy().is_ok()) =>
        {
            None
        }
        DeviceState::Ready => Some(TextId::WayNeedsLink.into()),
        DeviceState::Faulty(_) | DeviceState::Unknown => Some(TextId::WayBroken.into()),
    }
}

fn method_card(kiosk: &Kiosk, method: SignInMethod, broken: Option<Text>) -> SignInCard {
    let (title, detail) = match method {
        SignInMethod::Card => (TextId::WayCardTitle, TextId::WayCardDetail),
        SignInMethod::IdCard => (TextId::WayIdCardTitle, TextId::WayIdCardDetail),
        SignInMethod::Code if kiosk.online => (TextId::WayCodeTitle, TextId::WayCodeDetail),
        SignInMethod::Code => (TextId::WayCodeTitle, TextId::WayCodeOffline),
    };
    SignInCard { method, title: title.into(), detail: detail.into(), unavailable: broken }
}

fn banners(kiosk: &Kiosk) -> Vec<Banner> {
    let mut banners = Vec::new();
    if kiosk.idle_screen.help_until.is_some() {
        banners.push(help_banner(kiosk.online));
    }
    banners.extend(printer_fault_banner(kiosk));
    banners.extend(document_printer_fault_banner(kiosk));
    let note = |icon, title: TextId| Banner { tone: Tone::Note, icon, title: title.into(), detail: None };
    if let Some(hint) = kiosk.idle_screen.code_hint {
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
    } else if let Some(method) = kiosk.idle_screen.explained_method {
        banners.push(match method {
            SignInMethod::Card => note(Icon::Card, TextId::ExplainCard),
            SignInMethod::IdCard => note(Icon::User, TextId::ExplainIdCard),
            SignInMethod::Code => note(Icon::Phone, TextId::ExplainCode),
        });
    }
    banners
}

/// Banner for a fault of the receipt printer: shown before a resident chooses a service that prints, with the remedy
/// for staff.
pub(super) fn printer_fault_banner(kiosk: &Kiosk) -> Option<Banner> {
    let (title, detail) = match kiosk.devices.receipt_printer {
        DeviceState::Ready | DeviceState::Unknown => return None,
        DeviceState::Faulty(_) if !kiosk.setup.equipment.receipt_printer => return None,
        DeviceState::Faulty(FaultReason::PaperOut) => (TextId::PaperOut, Some(TextId::TileNeedsPaper)),
        DeviceState::Faulty(FaultReason::CoverOpen) => (TextId::CoverOpen, Some(TextId::TileNeedsPaper)),
        DeviceState::Faulty(FaultReason::Jammed) => (TextId::PaperJam, Some(TextId::TileNeedsPaper)),
        DeviceState::Faulty(FaultReason::Unavailable) => (TextId::TileNeedsPaper, None),
    };
    let (title, detail) = (title.into(), detail.map(Text::from));
    Some(Banner { tone: Tone::Wait, icon: Icon::TriangleAlert, title, detail })
}

/// Banner for a fault of the document printer while the receipt printer works: the remedy for staff, and what residents
/// get instead.
pub(super) fn document_printer_fault_banner(kiosk: &Kiosk) -> Option<Banner> {
    let instead = kiosk.setup.equipment.document_printer && kiosk.printer_for(PrintForm::Receipt).is_some();
    let title = match kiosk.devices.document_printer {
        DeviceState::Faulty(FaultReason::PaperOut) if instead => TextId::SheetPaperOut,
        DeviceState::Faulty(FaultReason::CoverOpen | FaultReason::Jammed | FaultReason::Unavailable)
            if instead =>
        {
            TextId::SheetOff
        }
        DeviceState::Faulty(_) | DeviceState::Ready | DeviceState::Unknown => return None,
    };
    let detail = Some(TextId::SheetOffDetail.into());
    Some(Banner { tone: Tone::Note, icon: Icon::TriangleAlert, title: title.into(), detail })
}

/// Banner that confirms a call for help: sent, or queued without a link.
pub(super) fn help_banner(online: bool) -> Banner {
    let (tone, title, detail) = if online {
        (Tone::Note, TextId::HelpCalled, TextId::HelpCalledDetail)
    } else {
        (Tone::Wait, TextId::HelpQueued, TextId::HelpQueuedDetail)
    };
    Banner { tone, icon: Icon::Help, title: title.into(), detail: Some(detail.into()) }
}

fn out_of_service() -> ViewContent {
    ViewContent {
        steps: None,
        title: TextId::ClosedTitle.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(plain_outcome(OutcomeKind::Closed, TextId::Closed, TextId::ClosedDevices)),
        actions: Vec::new(),
        footer: vec![FooterButton::Language],
    }
}
