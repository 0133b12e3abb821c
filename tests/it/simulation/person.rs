//! What residents do: they look at the screen and touch what is on it, mostly to get something done.

use session::{CardEvent, Event};
use view::{Body, Intent, TextId, View};

use super::Dice;
use super::world::World;

impl World {
    /// The person at a kiosk, or the next one, does one thing.
    pub(crate) fn person_acts(&mut self, kiosk: usize) {
        let Some(view) = self.terminals[kiosk].view.clone() else { return };
        let title = view.title.clone();
        if self.terminals[kiosk].card.is_some() && title == TextId::TakeCardTitle.into() {
            return self.take_card(kiosk);
        }
        if title == TextId::WelcomeTitle.into() && view.header.who.is_none() {
            if self.dice.percent(60) {
                self.arrive(kiosk);
            }
            return;
        }
        if self.terminals[kiosk].card.is_some() && self.dice.percent(2) {
            return self.take_card(kiosk);
        }
        let intents = touchable(&view);
        if !intents.is_empty() {
            let at = usize::try_from(self.dice.below(intents.len() as u64)).unwrap();
            self.event(kiosk, Event::Touch { on: view.id, intent: intents[at] });
        }
    }

    /// Somebody comes with a card or a code; a few with a code that was shown before.
    fn arrive(&mut self, kiosk: usize) {
        let resident = usize::try_from(self.dice.below(self.city.residents.len() as u64)).unwrap();
        if self.dice.percent(40) {
            self.terminals[kiosk].card = Some(resident);
            self.event(kiosk, Event::Card(CardEvent::Inserted));
            let evidence = self.city.residents[resident].card();
            return self.event(kiosk, Event::Card(CardEvent::Read { evidence, valid_to: None }));
        }
        let seen = self.codes.len() as u64;
        let code = if seen > 0 && self.dice.percent(20) {
            self.codes[usize::try_from(self.dice.below(seen)).unwrap()].clone()
        } else {
            let (wall, entropy) = (self.wall(), self.dice.wide());
            let code = self.city.code(resident, wall, entropy);
            self.codes.push(code.clone());
            code
        };
        self.event(kiosk, Event::Code(code.into_bytes().into()));
    }

    pub(crate) fn take_card(&mut self, kiosk: usize) {
        self.terminals[kiosk].card = None;
        self.event(kiosk, Event::Card(CardEvent::Removed));
    }
}

/// What can be touched, the likelier the more often.
fn touchable(view: &View) -> Vec<Intent> {
    let mut intents: Vec<Intent> = view.footer.iter().map(|foot| foot.intent()).collect();
    intents.push(Intent::More);
    let actions = view.actions.iter().filter(|action| action.enabled);
    intents.extend(actions.flat_map(|action| [action.intent; 14]));
    match &view.body {
        Body::Menu(tiles) => {
            // Most come to pay.
            intents.extend(tiles.iter().flat_map(|tile| [tile.intent; 4]));
            intents.extend(tiles.last().map(|tile| [tile.intent; 12]).into_iter().flatten());
        }
        Body::Rows(rows) => intents.extend(rows.rows.iter().flat_map(|row| [row.intent; 4])),
        Body::Pin(_) => intents.extend([Intent::Digit(1); 60]),
        _ => {}
    }
    intents
}

/// How long until the next touch, in milliseconds.
pub(crate) fn pause(dice: &mut Dice) -> u64 {
    // Now and then somebody walks away.
    if dice.percent(1) { 90_000 } else { 150 + dice.below(1_500) }
}
