//! Staff sign-in: a staff card proves possession of a key that the site file lists, and opens the staff view with the
//! state of the kiosk. No data of residents is shown, and the view offers no privileged action.

use contract::{Entry, IdentificationMethod, StaffProof};

use crate::event::MonotonicMs;
use crate::kiosk::{Kiosk, TransitionBuilder};
use crate::notice::{Notice, NoticeKind, VisitRefusal};

/// The staff view ends after this time even if the card is still in the slot.
const STAFF_SHOWN_MS: u64 = 5 * 60_000;

/// A sign-in of staff (工作人员).
pub(crate) struct StaffSignIn {
    pub(crate) until: MonotonicMs,
}

impl Kiosk {
    /// Handles a staff card. It is ignored unless a card is being read for a new visit.
    pub(crate) fn on_staff_card(&mut self, builder: &mut TransitionBuilder, proof: &StaffProof) {
        if !self.is_reading(IdentificationMethod::Card) {
            return;
        }
        let listed = self.setup.staff_keys.iter().find(|known| known.name == proof.name);
        if listed.is_none_or(|known| proof.verify(&known.key).is_err()) {
            return self.refuse_visit(builder, VisitRefusal::CardUnsupported);
        }
        // Nobody was identified: this visit has nothing to record and nothing to wipe.
        self.visit = None;
        self.notice = None;
        builder.record(&mut self.durable, Entry::StaffSignedIn { card: proof.name.clone() });
        self.staff_sign_in = Some(StaffSignIn { until: builder.now.mono.plus_ms(STAFF_SHOWN_MS) });
    }

    /// Ends the staff view: the card was removed, or its time is over.
    pub(crate) fn end_staff_sign_in(&mut self) {
        if self.staff_sign_in.take().is_some() && self.devices.card_inserted {
            let (lang, theme) = (self.idle_screen.lang, self.idle_screen.theme);
            self.notice = Some(Notice { kind: NoticeKind::TakeCard, lang, theme, until: None });
        }
    }
}
