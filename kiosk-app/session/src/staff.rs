//! Staff sign-in: a staff card proves possession of a key that the site file lists, and opens the staff view with the
//! state of the kiosk. No data of residents is shown, and the view offers no privileged action.

use contract::{Entry, StaffProof, Way};

use crate::closing::{Closing, LastWords, Refusal};
use crate::event::Mono;
use crate::kiosk::{Kiosk, Turn};

/// The staff view ends after this time even if the card is still in the slot.
const SHOWN_MS: u64 = 5 * 60_000;

/// A sign-in of staff (工作人员).
pub(crate) struct Staff {
    pub(crate) until: Mono,
}

impl Kiosk {
    /// Handles a staff card. It is ignored unless a card is being read for a new visit.
    pub(crate) fn on_staff_card(&mut self, builder: &mut Turn, proof: &StaffProof) {
        if !self.reading(Way::Card) {
            return;
        }
        let listed = self.setup.staff.iter().find(|known| known.name == proof.name);
        if listed.is_none_or(|known| proof.verify(&known.key).is_err()) {
            return self.refuse(builder, Refusal::CardForeign);
        }
        // Nobody was identified: this visit has nothing to record and nothing to wipe.
        self.visit = None;
        self.closing = None;
        builder.out.record(Entry::StaffCame { card: proof.name.clone() });
        self.staff = Some(Staff { until: builder.now.mono.plus_ms(SHOWN_MS) });
    }

    /// Ends the staff view: the card was removed, or its time is over.
    pub(crate) fn end_staff(&mut self) {
        if self.staff.take().is_some() && self.devices.card_in {
            let (lang, theme) = (self.lobby.lang, self.lobby.theme);
            self.closing = Some(Closing { words: LastWords::TakeCard, lang, theme, until: None });
        }
    }
}
