//! The view that asks a phone.

use view::{Banner, Body, Foot, Icon, Scan, Text, TextId, Tone};

use super::outcome::working;
use super::{Frame, lobby, way_out};
use crate::kiosk::Kiosk;
use crate::prove::Proving;
use crate::visit::Visit;

pub(super) fn frame(kiosk: &Kiosk, visit: &Visit, proving: &Proving) -> Frame {
    if proving.check.is_some() {
        return working(visit, TextId::ProveCheck, TextId::IdentifyingDetail);
    }
    let mut banners = Vec::new();
    if visit.help_until.is_some() {
        banners.push(lobby::help(kiosk.online));
    }
    if let Some(problem) = proving.problem {
        let title = problem.into();
        banners.push(Banner { tone: Tone::Wait, icon: Icon::TriangleAlert, title, detail: None });
    }
    // The phone says which kiosk asks it; a relayed challenge names another.
    let agree = Text::With(TextId::ProveStepAgree, vec![proving.challenge.device.to_string()]);
    let steps = [TextId::ProveStepScan.into(), agree, TextId::ProveStepShow.into()];
    Frame {
        steps: None,
        title: TextId::ProveTitle.into(),
        // What was wrong says what to do now; more words would push the code off a small panel.
        lead: proving.problem.is_none().then(|| TextId::ProveLead.into()),
        banners,
        body: Body::Scan(Scan { qr: proving.challenge.to_string(), steps: steps.into() }),
        actions: Vec::new(),
        footer: vec![Foot::Back, Foot::Home, Foot::Help, way_out(visit)],
    }
}
