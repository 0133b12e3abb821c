//! The *out of service* view while the kiosk cannot write records: there is no kiosk then.

use contract::UnixMs;
use view::{Body, Lang, OutcomeKind, TextId, Theme, View, ViewId};

use crate::content::plain_outcome;
use crate::kiosk::header;
use crate::setup::KioskSetup;

/// The *out of service* view while the kiosk cannot write records.
#[must_use]
pub fn out_of_service_view(setup: &KioskSetup, wall: UnixMs) -> View {
    View {
        id: ViewId(u64::MAX),
        lang: Lang::Zh,
        theme: Theme::Standard,
        header: header(setup, Lang::Zh, wall, false),
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
