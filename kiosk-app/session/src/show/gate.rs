//! A gate's one view.

use view::{Body, Light, Sign, TextId};

use super::Frame;
use crate::gate::Verdict;
use crate::kiosk::Kiosk;

pub(super) fn frame(kiosk: &Kiosk) -> Frame {
    let (light, word, detail) = match &kiosk.gate.sign {
        _ if kiosk.gate.waits() => (Light::Wait, TextId::GateWait, TextId::GateWaitDetail),
        None => (Light::Ready, TextId::GateReady, TextId::GateReadyDetail),
        Some(sign) => match sign.verdict {
            Verdict::Go => (Light::Go, TextId::GateGo, TextId::GateGoDetail),
            Verdict::Stop(why) => (Light::Stop, TextId::GateStop, why),
        },
    };
    Frame {
        steps: None,
        title: word.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Sign(Sign { light, word: word.into(), detail: detail.into() }),
        actions: Vec::new(),
        footer: Vec::new(),
    }
}
