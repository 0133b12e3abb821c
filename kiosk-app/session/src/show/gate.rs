//! Content of a gate's view.

use view::{Body, Light, Sign, TextId};

use super::Frame;
use crate::event::Health;
use crate::gate::Verdict;
use crate::kiosk::Kiosk;

/// The sign while the gate is ready: which of codes and cards it accepts.
fn ready(kiosk: &Kiosk) -> (Light, TextId, TextId) {
    let works = |health| !matches!(health, Health::Trouble(_));
    let card = kiosk.setup.has.card_reader && works(kiosk.devices.card_reader);
    let code = kiosk.setup.has.code_reader && works(kiosk.devices.code_reader);
    let (word, detail) = match (code, card) {
        (false, true) => (TextId::GateTap, TextId::GateTapDetail),
        (true, true) => (TextId::GateReady, TextId::GateReadyBothDetail),
        (_, false) => (TextId::GateReady, TextId::GateReadyDetail),
    };
    (Light::Ready, word, detail)
}

pub(super) fn frame(kiosk: &Kiosk) -> Frame {
    let (light, word, detail) = match &kiosk.gate.sign {
        _ if kiosk.gate.waits() => (Light::Wait, TextId::GateWait, TextId::GateWaitDetail),
        None => ready(kiosk),
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
