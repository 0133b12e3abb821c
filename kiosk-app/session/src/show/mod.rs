//! Views: pure functions from the state of the kiosk to the content of the screen.

mod gate;
mod idle_screen;
mod menu;
mod outcome;
mod service;
mod staff;
mod step_up;
mod view_identity;

use contract::{Bilingual, IdentificationMethod, UnixMs};
use view::{
    Body, FooterButton, Header, Lang, LinkStatus, Outcome, OutcomeKind, Text, TextId, Theme, View, ViewId,
};

pub(crate) use view_identity::ViewIdentity;

use crate::kiosk::Kiosk;
use crate::mask;
use crate::receipt::local_time;
use crate::setup::KioskSetup;
use crate::visit::{Task, Visit, in_language};

/// Rows on one page.
pub(crate) const fn page_size(theme: Theme) -> usize {
    match theme {
        Theme::Standard => 4,
        Theme::Elder => 2,
    }
}

/// The parts of a view that depend on the state; header and countdown are added around them.
struct ViewContent {
    steps: Option<view::Steps>,
    title: Text,
    lead: Option<Text>,
    banners: Vec<view::Banner>,
    body: Body,
    actions: Vec<view::Action>,
    footer: Vec<FooterButton>,
}

impl Kiosk {
    /// The current view. Call after the commit, so that nothing is shown that is not durable.
    #[must_use]
    pub fn view(&self) -> View {
        let (lang, theme) = self.language_and_theme();
        let frame = match (&self.visit, &self.notice) {
            (None, None) if self.staff_sign_in.is_some() => staff::staff_content(self),
            (Some(visit), _) => self.visit_content(visit),
            (None, Some(notice)) => outcome::notice_content(self, notice),
            (None, None) if self.setup.gate_rules.is_some() => self.gate_content(),
            (None, None) => idle_screen::idle_content(self),
        };
        View {
            id: self.view_id(),
            lang,
            theme,
            header: Header {
                hall: hall_name(&self.setup.hall, lang),
                clock: clock_text(self.now.wall, self.setup.utc_offset_minutes),
                link: if self.online { LinkStatus::Online } else { LinkStatus::Offline },
                resident: self.visit.as_ref().and_then(masked_resident),
            },
            steps: frame.steps,
            title: frame.title,
            lead: frame.lead,
            banners: frame.banners,
            body: frame.body,
            actions: frame.actions,
            footer: frame.footer,
            seconds_left: self.seconds_left(),
        }
    }

    fn visit_content(&self, visit: &Visit) -> ViewContent {
        match &visit.task {
            Task::Reading { .. } if visit.identification_method == IdentificationMethod::IdCard => {
                outcome::working_content(visit, TextId::ReadingIdCard, TextId::ReadingIdCardDetail)
            }
            Task::Reading { .. } => {
                outcome::working_content(visit, TextId::ReadingCard, TextId::ReadingCardDetail)
            }
            Task::Identifying { .. } => {
                outcome::working_content(visit, TextId::Identifying, TextId::IdentifyingDetail)
            }
            Task::Menu { declined } => menu::menu_content(self, visit, *declined),
            Task::StepUp(step_up) => step_up::step_up_content(self, visit, step_up),
            Task::Service(running) => service::service_content(self, visit, running),
        }
    }

    /// A gate's sign, or *out of service* when no reader works.
    fn gate_content(&self) -> ViewContent {
        let idle = idle_screen::idle_content(self);
        if matches!(idle.body, Body::Outcome(_)) { idle } else { gate::gate_sign_content(self) }
    }

    fn language_and_theme(&self) -> (Lang, Theme) {
        match (&self.visit, &self.notice) {
            (Some(visit), _) => (visit.lang, visit.theme),
            (None, Some(notice)) => (notice.lang, notice.theme),
            (None, None) => (self.idle_screen.lang, self.idle_screen.theme),
        }
    }

    /// The countdown while it is shown: whole seconds, rounded up.
    fn seconds_left(&self) -> Option<u16> {
        let end = self.visit.as_ref()?.idle_until?;
        let left = end.0.saturating_sub(self.now.mono.0);
        (left <= self.setup.time_limits.countdown_ms)
            .then(|| u16::try_from(left.div_ceil(1000)).unwrap_or(u16::MAX))
    }
}

/// The *out of service* view while the kiosk cannot write records.
#[must_use]
pub fn out_of_service_view(setup: &KioskSetup, wall: UnixMs) -> View {
    View {
        id: ViewId(u64::MAX),
        lang: Lang::Zh,
        theme: Theme::Standard,
        header: Header {
            hall: hall_name(&setup.hall, Lang::Zh),
            clock: clock_text(wall, setup.utc_offset_minutes),
            link: LinkStatus::Offline,
            resident: None,
        },
        steps: None,
        title: TextId::ClosedTitle.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(plain_outcome(OutcomeKind::Closed, TextId::Closed, TextId::ClosedRecovering)),
        actions: Vec::new(),
        footer: Vec::new(),
        seconds_left: None,
    }
}

fn plain_outcome(verdict: OutcomeKind, word: TextId, detail: TextId) -> Outcome {
    Outcome {
        kind: verdict,
        headline: word.into(),
        amount: None,
        detail: detail.into(),
        pairs: Vec::new(),
        code: None,
        gesture: None,
    }
}

fn hall_name(words: &Bilingual, lang: Lang) -> Text {
    Text::Data(in_language(words, lang).to_owned())
}

fn clock_text(wall: UnixMs, offset_minutes: i16) -> String {
    local_time(wall, offset_minutes).strftime("%H:%M").to_string()
}

fn masked_resident(visit: &Visit) -> Option<Text> {
    let person = visit.resident.as_ref()?;
    // The name of a holder whose code was verified without the platform is not known.
    Some(if person.visit_key.is_some() {
        Text::Data(mask::name(&person.name))
    } else {
        TextId::WhoByCode.into()
    })
}

/// The button that ends the visit.
const fn exit_button(visit: &Visit) -> FooterButton {
    match visit.identification_method {
        IdentificationMethod::Card => FooterButton::TakeCard,
        IdentificationMethod::Code | IdentificationMethod::IdCard => FooterButton::Exit,
    }
}
