//! The idle screen: how a visit can begin, before there is one.

use view::{
    Banner, Body, FooterButton, Icon, Lang, OutcomeKind, SignInCard, SignInMethod, Text, TextId, Theme, Tone,
};

use crate::components::Status;
use crate::content::{
    ViewContent, document_printer_fault_banner, help_banner, plain_outcome, printer_fault_banner,
};
use crate::event::{CodeHint, DeviceKind, DeviceState};
use crate::time::MonotonicMs;

/// State of the idle screen (待机页): settings made before a visit, and hints that concern nobody in particular.
#[derive(Default)]
pub(crate) struct Idle {
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    pub(crate) explained_method: Option<SignInMethod>,
    pub(crate) code_hint: Option<CodeHint>,
    /// Until when the confirmation of a call for help is shown.
    pub(crate) help_until: Option<MonotonicMs>,
    /// When language, theme and hints are reset to their defaults.
    pub(crate) reset_at: Option<MonotonicMs>,
}

impl Idle {
    pub(crate) fn content(&self, status: Status<'_>) -> ViewContent {
        let cards = sign_in_cards(status);
        if cards.is_empty() {
            return out_of_service();
        }
        ViewContent {
            lead: Some(TextId::WelcomeLead.into()),
            banners: self.banners(status),
            footer: vec![FooterButton::Language, FooterButton::Theme, FooterButton::Help],
            ..ViewContent::new(TextId::WelcomeTitle, Body::Welcome(cards))
        }
    }

    fn banners(&self, status: Status<'_>) -> Vec<Banner> {
        let mut banners = Vec::new();
        if self.help_until.is_some() {
            banners.push(help_banner(status.components.online));
        }
        banners.extend(printer_fault_banner(status));
        banners.extend(document_printer_fault_banner(status));
        let note = |icon, title: TextId| Banner { tone: Tone::Note, icon, title: title.into(), detail: None };
        if let Some(hint) = self.code_hint {
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
        } else if let Some(method) = self.explained_method {
            banners.push(match method {
                SignInMethod::Card => note(Icon::Card, TextId::ExplainCard),
                SignInMethod::IdCard => note(Icon::User, TextId::ExplainIdCard),
                SignInMethod::Code => note(Icon::Phone, TextId::ExplainCode),
            });
        }
        banners
    }
}

/// How a visit can begin here, each with its state; empty when no reader works.
pub(crate) fn sign_in_cards(status: Status<'_>) -> Vec<SignInCard> {
    let (has, devices) = (&status.setup().equipment, &status.components.devices);
    let methods: Vec<_> = [
        (has.card_reader, SignInMethod::Card, DeviceKind::CardReader),
        (has.id_reader, SignInMethod::IdCard, DeviceKind::IdReader),
        (has.code_reader, SignInMethod::Code, DeviceKind::CodeReader),
    ]
    .into_iter()
    .filter(|(is_there, ..)| *is_there)
    .map(|(_, method, device)| (method, devices.state(device)))
    .collect();
    if methods.iter().all(|(_, state)| matches!(state, DeviceState::Faulty(_))) {
        return Vec::new();
    }
    let card = |(method, state)| method_card(status, method, unavailable_reason(status, method, state));
    methods.into_iter().map(card).collect()
}

/// Why an identification method is unavailable now; none when it is available. A card needs the platform, and so does a
/// code that the kiosk cannot judge itself.
fn unavailable_reason(status: Status<'_>, method: SignInMethod, state: DeviceState) -> Option<Text> {
    let online = status.components.online;
    match state {
        DeviceState::Ready if online || (method == SignInMethod::Code && status.code_policy().is_ok()) => {
            None
        }
        DeviceState::Ready => Some(TextId::WayNeedsLink.into()),
        DeviceState::Faulty(_) | DeviceState::Unknown => Some(TextId::WayBroken.into()),
    }
}

fn method_card(status: Status<'_>, method: SignInMethod, unavailable: Option<Text>) -> SignInCard {
    let (title, detail) = match method {
        SignInMethod::Card => (TextId::WayCardTitle, TextId::WayCardDetail),
        SignInMethod::IdCard => (TextId::WayIdCardTitle, TextId::WayIdCardDetail),
        SignInMethod::Code if status.components.online => (TextId::WayCodeTitle, TextId::WayCodeDetail),
        SignInMethod::Code => (TextId::WayCodeTitle, TextId::WayCodeOffline),
    };
    SignInCard { method, title: title.into(), detail: detail.into(), unavailable }
}

/// No reader works.
pub(crate) fn out_of_service() -> ViewContent {
    let outcome = plain_outcome(OutcomeKind::Closed, TextId::Closed, TextId::ClosedDevices);
    ViewContent {
        footer: vec![FooterButton::Language],
        ..ViewContent::new(TextId::ClosedTitle, Body::Outcome(outcome))
    }
}
