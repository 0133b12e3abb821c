//! Views: pure functions from the state of the kiosk to the content of the screen.

mod gate;
mod lobby;
mod menu;
mod outcome;
mod place;
mod prove;
mod service;
mod staff;

use contract::{Bilingual, UnixMs, Way};
use view::{Body, Foot, Header, Lang, Link, Outcome, Text, TextId, Theme, Verdict, View, ViewId};

pub(crate) use place::Place;

use crate::kiosk::Kiosk;
use crate::mask;
use crate::receipt::local;
use crate::setup::Setup;
use crate::visit::{Task, Visit, in_lang};

/// Rows on one page.
pub(crate) const fn page_size(theme: Theme) -> usize {
    match theme {
        Theme::Standard => 4,
        Theme::Elder => 2,
    }
}

/// The parts of a view that depend on the state; header and countdown are added around them.
struct Frame {
    steps: Option<view::Steps>,
    title: Text,
    lead: Option<Text>,
    banners: Vec<view::Banner>,
    body: Body,
    actions: Vec<view::Action>,
    footer: Vec<Foot>,
}

impl Kiosk {
    /// The current view. Call after the commit, so that nothing is shown that is not durable.
    #[must_use]
    pub fn view(&self) -> View {
        let (lang, theme) = self.manner();
        let frame = match (&self.visit, &self.closing) {
            (None, None) if self.staff.is_some() => staff::frame(self),
            (Some(visit), _) => self.of_visit(visit),
            (None, Some(notice)) => outcome::of_closing(self, notice),
            (None, None) if self.setup.gate.is_some() => self.of_gate(),
            (None, None) => lobby::frame(self),
        };
        View {
            id: self.view_id(),
            lang,
            theme,
            header: Header {
                hall: hall(&self.setup.hall, lang),
                clock: clock(self.now.wall, self.setup.utc_offset_minutes),
                link: if self.online { Link::Online } else { Link::Offline },
                who: self.visit.as_ref().and_then(who),
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

    fn of_visit(&self, visit: &Visit) -> Frame {
        match &visit.task {
            Task::Reading { .. } if visit.way == Way::IdCard => {
                outcome::working(visit, TextId::ReadingIdCard, TextId::ReadingIdCardDetail)
            }
            Task::Reading { .. } => outcome::working(visit, TextId::ReadingCard, TextId::ReadingCardDetail),
            Task::Identifying { .. } => {
                outcome::working(visit, TextId::Identifying, TextId::IdentifyingDetail)
            }
            Task::Menu { declined } => menu::frame(self, visit, *declined),
            Task::Proving(step_up) => prove::frame(self, visit, step_up),
            Task::Service(running) => service::frame(self, visit, running),
        }
    }

    /// A gate's sign, or *out of service* when no reader works.
    fn of_gate(&self) -> Frame {
        let lobby = lobby::frame(self);
        if matches!(lobby.body, Body::Outcome(_)) { lobby } else { gate::frame(self) }
    }

    fn manner(&self) -> (Lang, Theme) {
        match (&self.visit, &self.closing) {
            (Some(visit), _) => (visit.lang, visit.theme),
            (None, Some(notice)) => (notice.lang, notice.theme),
            (None, None) => (self.lobby.lang, self.lobby.theme),
        }
    }

    /// The countdown while it is shown: whole seconds, rounded up.
    fn seconds_left(&self) -> Option<u16> {
        let end = self.visit.as_ref()?.idle_until?;
        let left = end.0.saturating_sub(self.now.mono.0);
        (left <= self.setup.times.countdown_ms)
            .then(|| u16::try_from(left.div_ceil(1000)).unwrap_or(u16::MAX))
    }
}

/// The *out of service* view while the kiosk cannot write records.
#[must_use]
pub fn closed_view(setup: &Setup, wall: UnixMs) -> View {
    View {
        id: ViewId(u64::MAX),
        lang: Lang::Zh,
        theme: Theme::Standard,
        header: Header {
            hall: hall(&setup.hall, Lang::Zh),
            clock: clock(wall, setup.utc_offset_minutes),
            link: Link::Offline,
            who: None,
        },
        steps: None,
        title: TextId::ClosedTitle.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Outcome(plain(Verdict::Closed, TextId::Closed, TextId::ClosedRecovering)),
        actions: Vec::new(),
        footer: Vec::new(),
        seconds_left: None,
    }
}

fn plain(verdict: Verdict, word: TextId, detail: TextId) -> Outcome {
    Outcome {
        verdict,
        word: word.into(),
        amount: None,
        detail: detail.into(),
        pairs: Vec::new(),
        code: None,
        gesture: None,
    }
}

fn hall(words: &Bilingual, lang: Lang) -> Text {
    Text::Data(in_lang(words, lang).to_owned())
}

fn clock(wall: UnixMs, offset_minutes: i16) -> String {
    local(wall, offset_minutes).strftime("%H:%M").to_string()
}

fn who(visit: &Visit) -> Option<Text> {
    let person = visit.person.as_ref()?;
    // The name of a holder whose code was verified without the platform is not known.
    Some(if person.key.is_some() { Text::Data(mask::name(&person.name)) } else { TextId::WhoByCode.into() })
}

/// The button that ends the visit.
const fn way_out(visit: &Visit) -> Foot {
    match visit.way {
        Way::Card => Foot::TakeCard,
        Way::Code | Way::IdCard => Foot::Exit,
    }
}
