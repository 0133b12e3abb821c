//! Content of the step-up views: a challenge to a phone, or a card's PIN.

use contract::Challenge;
use view::{Banner, Body, Foot, Icon, Scan, Text, TextId, Tone};

use super::outcome::working;
use super::service::{pin, sorry};
use super::{Frame, lobby, way_out};
use crate::begin::refusal_of;
use crate::event::Failure;
use crate::kiosk::Kiosk;
use crate::pin::PinProof;
use crate::prove::{By, Proving};
use crate::visit::Visit;

pub(super) fn frame(kiosk: &Kiosk, visit: &Visit, step_up: &Proving) -> Frame {
    let mut frame = match &step_up.by {
        By::Phone { .. } if step_up.check.is_some() => {
            working(visit, TextId::ProveCheck, TextId::IdentifyingDetail)
        }
        By::Phone { challenge, problem } => of_phone(visit, challenge, *problem),
        By::Pin(proof) => of_pin(visit, proof),
    };
    if visit.help_until.is_some() {
        frame.banners.insert(0, lobby::help(kiosk.online));
    }
    frame
}

fn of_pin(visit: &Visit, proof: &PinProof) -> Frame {
    match proof {
        PinProof::Entering(entry) => pin(visit, TextId::PinTitle, TextId::ProvePinLead, entry),
        PinProof::AtCard | PinProof::AtPlatform => {
            working(visit, TextId::PinCheck, TextId::IdentifyingDetail)
        }
        PinProof::Locked => sorry(visit, TextId::PinLocked, TextId::ProvePinLockedDetail, None),
        PinProof::Failed(Failure::Device) => {
            sorry(visit, TextId::PinFailed, TextId::ProvePinFailedDetail, None)
        }
        PinProof::Failed(failure) => {
            let (word, detail) = refusal_of(*failure).words();
            sorry(visit, word, detail, None)
        }
    }
}

fn of_phone(visit: &Visit, challenge: &Challenge, problem: Option<TextId>) -> Frame {
    let mut banners = Vec::new();
    if let Some(problem) = problem {
        let title = problem.into();
        banners.push(Banner { tone: Tone::Wait, icon: Icon::TriangleAlert, title, detail: None });
    }
    // The phone shows which kiosk posed the challenge; a relayed challenge names another kiosk.
    let agree = Text::With(TextId::ProveStepAgree, vec![challenge.device.to_string()]);
    let steps = [TextId::ProveStepScan.into(), agree, TextId::ProveStepShow.into()];
    Frame {
        steps: None,
        title: TextId::ProveTitle.into(),
        // The problem text says what to do now; more text would push the code off a small panel.
        lead: problem.is_none().then(|| TextId::ProveLead.into()),
        banners,
        body: Body::Scan(Scan { qr: challenge.to_string(), steps: steps.into() }),
        actions: Vec::new(),
        footer: vec![Foot::Back, Foot::Home, Foot::Help, way_out(visit)],
    }
}
