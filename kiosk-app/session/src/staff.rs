//! 工作人员: whoever minds the kiosk puts in a staff card, which proves a key that the site lists, and sees how it stands.
//! Nothing of any resident is shown, and nothing can be done here that could not be done without it.

use contract::{Entry, StaffProof, Way};

use crate::closing::{Closing, LastWords, Refusal};
use crate::event::Mono;
use crate::kiosk::{Kiosk, Turn};

/// A card that is left in the slot ends it after so long.
const SHOWN_MS: u64 = 5 * 60_000;

/// Somebody of the staff is there.
pub(crate) struct Staff {
    pub(crate) until: Mono,
}

impl Kiosk {
    /// A staff card was put in. In a resident's visit it is another card in the slot, and not looked at.
    pub(crate) fn on_staff_card(&mut self, turn: &mut Turn, proof: &StaffProof) {
        if !self.reading(Way::Card) {
            return;
        }
        let listed = self.setup.staff.iter().find(|known| known.name == proof.name);
        if listed.is_none_or(|known| proof.verify(&known.key).is_err()) {
            return self.refuse(turn, Refusal::CardForeign);
        }
        // Nobody was identified: there is nothing to record of this visit, and nothing to wipe.
        self.visit = None;
        self.closing = None;
        turn.out.record(Entry::StaffCame { card: proof.name.clone() });
        self.staff = Some(Staff { until: turn.now.mono.plus_ms(SHOWN_MS) });
    }

    /// The card was taken, or has been left there.
    pub(crate) fn end_staff(&mut self) {
        if self.staff.take().is_some() && self.devices.card_in {
            let (lang, theme) = (self.lobby.lang, self.lobby.theme);
            self.closing = Some(Closing { words: LastWords::TakeCard, lang, theme, until: None });
        }
    }
}
