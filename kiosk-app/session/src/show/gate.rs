//! Content of a gate's view.

use view::{Body, GateSign, Light, TextId};

use super::ViewContent;
use crate::event::DeviceState;
use crate::gate::GateVerdict;
use crate::kiosk::Kiosk;

/// The sign while the gate is ready: which of codes and cards it accepts.
fn ready_sign(kiosk: &Kiosk) -> (Light, TextId, TextId) {
    let works = |health| !matches!(health, DeviceState::Faulty(_));
    let card = kiosk.setup.equipment.card_reader && works(kiosk.devices.card_reader);
    let code = kiosk.setup.equipment.code_reader && works(kiosk.devices.code_reader);
    let (word, detail) = match (code, card) {
        (false, true) => (TextId::GateTap, TextId::GateTapDetail),
        (true, true) => (TextId::GateReady, TextId::GateReadyBothDetail),
        (_, false) => (TextId::GateReady, TextId::GateReadyDetail),
    };
    (Light::Ready, word, detail)
}

pub(super) fn gate_sign_content(kiosk: &Kiosk) -> ViewContent {
    let (light, word, detail) = match &kiosk.gate.sign {
        _ if kiosk.gate.is_waiting() => (Light::Wait, TextId::GateWait, TextId::GateWaitDetail),
        None => ready_sign(kiosk),
        Some(sign) => match sign.verdict {
            GateVerdict::Go => (Light::Go, TextId::GateGo, TextId::GateGoDetail),
            GateVerdict::Stop(why) => (Light::Stop, TextId::GateStop, why),
        },
    };
    ViewContent {
        steps: None,
        title: word.into(),
        lead: None,
        banners: Vec::new(),
        body: Body::Sign(GateSign { light, headline: word.into(), detail: detail.into() }),
        actions: Vec::new(),
        footer: Vec::new(),
    }
}
