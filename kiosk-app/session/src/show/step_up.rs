//! Content of the step-up views: a challenge to a phone, or a card's PIN.

use contract::Challenge;
use view::{Banner, Body, FooterButton, Icon, Scan, Text, TextId, Tone};

use super::outcome::working_content;
use super::service::{failure_content, pin_pad};
use super::{ViewContent, exit_button, idle_screen};
use crate::event::Failure;
use crate::identification::refusal_for_failure;
use crate::kiosk::Kiosk;
use crate::pin::PinStepUp;
use crate::step_up::{ProofMethod, StepUp};
use crate::visit::Visit;

pub(super) fn step_up_content(kiosk: &Kiosk, visit: &Visit, step_up: &StepUp) -> ViewContent {
    let mut frame = match &step_up.method {
        ProofMethod::Phone { .. } if step_up.pending.is_some() => {
            working_content(visit, TextId::ProveCheck, TextId::IdentifyingDetail)
        }
        ProofMethod::Phone { challenge, problem } => phone_content(visit, challenge, *problem),
        ProofMethod::Pin(proof) => pin_content(visit, proof),
    };
    if visit.help_until.is_some() {
        frame.banners.insert(0, idle_screen::help_banner(kiosk.online));
    }
    frame
}

fn pin_content(visit: &Visit, proof: &PinStepUp) -> ViewContent {
    match proof {
        PinStepUp::Entering(entry) => pin_pad(visit, TextId::PinTitle, TextId::ProvePinLead, entry),
        PinStepUp::CardVerifying | PinStepUp::Reporting => {
            working_content(visit, TextId::PinCheck, TextId::IdentifyingDetail)
        }
        PinStepUp::Locked => failure_content(visit, TextId::PinLocked, TextId::ProvePinLockedDetail, None),
        PinStepUp::Failed(Failure::DeviceFailed) => {
            failure_content(visit, TextId::PinFailed, TextId::ProvePinFailedDetail, None)
        }
        PinStepUp::Failed(failure) => {
            let (word, detail) = refusal_for_failure(*failure).texts();
            failure_content(visit, word, detail, None)
        }
    }
}

fn phone_content(visit: &Visit, challenge: &Challenge, problem: Option<TextId>) -> ViewContent {
    let mut banners = Vec::new();
    if let Some(problem) = problem {
        let title = problem.into();
        banners.push(Banner { tone: Tone::Wait, icon: Icon::TriangleAlert, title, detail: None });
    }
    // The phone shows which kiosk posed the challenge; a relayed challenge names another kiosk.
    let agree = Text::With(TextId::ProveStepAgree, vec![challenge.device.to_string()]);
    let steps = [TextId::ProveStepScan.into(), agree, TextId::ProveStepShow.into()];
    ViewContent {
        steps: None,
        title: TextId::ProveTitle.into(),
        // The problem text says what to do now; more text would push the code off a small panel.
        lead: problem.is_none().then(|| TextId::ProveLead.into()),
        banners,
        body: Body::Scan(Scan { qr: challenge.to_string(), steps: steps.into() }),
        actions: Vec::new(),
        footer: vec![FooterButton::Back, FooterButton::Home, FooterButton::Help, exit_button(visit)],
    }
}
