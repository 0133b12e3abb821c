//! Behaviour of residents: they touch what the screen offers, with a preference for actions that complete a service.

use std::sync::LazyLock;

use contract::{Challenge, Step};
use serde::Deserialize;
use session::{CardEvent, Event};
use view::{Body, Icon, Intent, OutcomeKind, Text, TextId, Tile, View};

use super::peers::KIOSKS;
use super::recording::SimRng;
use super::simulator::Simulator;
use crate::services::DOCUMENTS;

/// A printed paper of the demo.
#[derive(Deserialize)]
pub(crate) struct Paper {
    /// Id of the service that asks for its code.
    pub(crate) service: String,
    /// Text of its code.
    pub(crate) code: String,
}

#[derive(Deserialize)]
struct PapersFile {
    paper: Vec<Paper>,
}

pub(crate) static PAPERS: LazyLock<Vec<Paper>> = LazyLock::new(|| {
    toml::from_str::<PapersFile>(include_str!("../../../assets/papers.toml")).unwrap().paper
});

/// What a resident holds to the code reader where a service asks for the code of a paper.
enum Held {
    /// A paper that fits.
    Paper,
    /// A paper of something else.
    OtherCode,
    /// The phone.
    ResidentCode,
}

impl Simulator {
    /// The resident at a kiosk, or the next one, performs one action.
    pub(crate) fn resident_acts(&mut self, kiosk: usize) {
        let Some(view) = self.kiosks[kiosk].view.clone() else { return };
        let title = view.title.clone();
        if self.kiosks[kiosk].card.is_some() && title == TextId::TakeCardTitle.into() {
            return self.remove_card(kiosk);
        }
        if title == TextId::WelcomeTitle.into() && view.header.resident.is_none() {
            if self.rng.percent(60) {
                self.arrive(kiosk);
            }
            return;
        }
        if self.kiosks[kiosk].card.is_some() && self.rng.percent(2) {
            return self.remove_card(kiosk);
        }
        if let Body::Scan(scan) = &view.body
            && let Ok(challenge) = scan.qr.parse::<Challenge>()
            && self.rng.percent(70)
        {
            return self.answer_challenge(kiosk, &challenge);
        }
        if let Body::Outcome(outcome) = &view.body
            && outcome.kind == OutcomeKind::Awaiting
            && self.rng.percent(70)
        {
            return self.scan_paper(kiosk, &view.title);
        }
        let wanted = if self.rng.percent(75) { wanted_intents(&view) } else { Vec::new() };
        let intents = if wanted.is_empty() { touchable_intents(&view) } else { wanted };
        if !intents.is_empty() {
            let intent = intents[self.rng.index(intents.len())];
            self.event(kiosk, Event::Touch { view: view.id, intent });
        }
    }

    /// A resident arrives with a card or a code; some use a code that was shown before.
    fn arrive(&mut self, kiosk: usize) {
        let elsewhere = self.kiosks[(kiosk + 1) % KIOSKS].visitor;
        let resident = match elsewhere.filter(|_| self.rng.percent(self.rates.same_visitor)) {
            // Two cards of a household, or one who goes over to the other kiosk.
            Some(resident) => resident,
            None => self.rng.index(self.rates.residents),
        };
        self.kiosks[kiosk].visitor = Some(resident);
        if self.rng.percent(40) {
            self.kiosks[kiosk].card = Some(resident);
            self.event(kiosk, Event::Card(CardEvent::Inserted));
            // Some cards are not authenticated.
            let authenticated = self.city.residents[resident].needs_authentication() && self.rng.percent(80);
            let evidence = self.city.residents[resident].card_evidence(authenticated);
            return self.event(kiosk, Event::Card(CardEvent::Read { evidence, valid_to: None }));
        }
        let seen = self.codes.len() as u64;
        let wall = self.wall();
        let code = if seen > 0 && self.rng.percent(30) {
            // A copy of the newest code has the best chance to be accepted; older codes are tried too.
            let back = if self.rng.percent(70) { 0 } else { self.rng.below(seen) };
            self.codes[usize::try_from(seen - 1 - back).unwrap()].clone()
        } else if let Some(phone) = &mut self.phones[resident]
            && self.rng.percent(45)
            && phone.renew(&mut self.city, wall)
            && let Some(code) = phone.offline_code(wall)
        {
            self.kiosks[kiosk].phone = Some(resident);
            self.codes.push(code.clone());
            code
        } else {
            let entropy = self.rng.next_u128();
            let code = self.city.online_token(resident, wall, entropy);
            self.kiosks[kiosk].phone = Some(resident);
            self.codes.push(code.clone());
            code
        };
        self.event(kiosk, Event::CodeScanned(code.into_bytes().into()));
    }

    /// The phone of the resident at the kiosk answers; sometimes another resident's phone does.
    fn answer_challenge(&mut self, kiosk: usize, challenge: &Challenge) {
        let wall = self.wall();
        let own = self.kiosks[kiosk].phone.filter(|_| self.rng.percent(90));
        let resident = match own {
            Some(resident) => resident,
            None => usize::try_from(self.rng.below(self.phones.len() as u64)).unwrap(),
        };
        if let Some(phone) = &mut self.phones[resident]
            && phone.renew(&mut self.city, wall)
            && let Some(answer) = phone.answer_code(challenge, wall)
        {
            self.event(kiosk, Event::CodeScanned(answer.into_bytes().into()));
        }
    }

    /// The resident scans the paper that the step with this title asks for, or something else. A resident code is refused there:
    /// it is still new, and may begin a visit later.
    fn scan_paper(&mut self, kiosk: usize, title: &Text) {
        let held = match self.rng.below(10) {
            0..=5 => Held::Paper,
            6..=7 => Held::OtherCode,
            _ => Held::ResidentCode,
        };
        let code = match held {
            Held::Paper => {
                let fitting = papers_for(title);
                if fitting.is_empty() {
                    return;
                }
                self.counts.papers_scanned += 1;
                fitting[self.rng.index(fitting.len())].code.clone()
            }
            Held::OtherCode => format!("6901234567{:03}", self.rng.below(1_000)),
            Held::ResidentCode => {
                let (wall, entropy) = (self.wall(), self.rng.next_u128());
                let resident = self.kiosks[kiosk].visitor.unwrap_or_default();
                let code = self.city.online_token(resident, wall, entropy);
                self.codes.push(code.clone());
                code
            }
        };
        self.event(kiosk, Event::CodeScanned(code.into_bytes().into()));
    }

    pub(crate) fn remove_card(&mut self, kiosk: usize) {
        self.kiosks[kiosk].card = None;
        self.event(kiosk, Event::Card(CardEvent::Removed));
    }
}

/// The papers whose code a step with this title asks for.
fn papers_for(title: &Text) -> Vec<&'static Paper> {
    let Text::Data(shown) = title else { return Vec::new() };
    let asks =
        |step: &Step| matches!(step, Step::Scan { title, .. } if title.zh == *shown || title.en == *shown);
    let service = DOCUMENTS.iter().find(|document| document.parsed.steps.iter().any(asks));
    let id = service.map(|document| document.parsed.id.as_str());
    PAPERS.iter().filter(|paper| id == Some(paper.service.as_str())).collect()
}

/// The services that a menu offers.
struct MenuIntents {
    open: Vec<Intent>,
    /// Those of the open ones that are paid for, and those that need a card's PIN.
    pays: Vec<Intent>,
    needs_pin: Vec<Intent>,
}

fn menu_intents(tiles: &[Tile]) -> MenuIntents {
    let open = || tiles.iter().filter(|tile| tile.enabled);
    let needs_pin = Text::from(TextId::TileNeedsPin);
    MenuIntents {
        open: open().map(|tile| tile.intent).collect(),
        pays: open().filter(|tile| tile.icon == Icon::Droplets).map(|tile| tile.intent).collect(),
        needs_pin: open().filter(|tile| tile.detail == needs_pin).map(|tile| tile.intent).collect(),
    }
}

/// The intents of a resident who knows what to do: most come to pay, and the first bill is the likeliest. None where a view has no
/// such intent.
fn wanted_intents(view: &View) -> Vec<Intent> {
    let actions = view.actions.iter().filter(|action| action.enabled).map(|action| action.intent);
    match &view.body {
        Body::Menu(tiles) => {
            let MenuIntents { open, pays, needs_pin } = menu_intents(tiles);
            pays.into_iter().flat_map(|intent| [intent; 3]).chain(needs_pin).chain(open).collect()
        }
        Body::Rows(rows) if !view.actions.iter().any(|action| action.enabled) => {
            let all = rows.rows.iter().map(|row| row.intent);
            all.clone().take(1).cycle().take(rows.rows.len()).chain(all).collect()
        }
        // What was scanned is used, and not scanned again.
        Body::Details(_) if actions.clone().any(|intent| intent == Intent::Primary) => vec![Intent::Primary],
        Body::Pin(_) => vec![Intent::PinDigit(1)],
        Body::Entry(pad) if !view.actions.iter().any(|action| action.enabled) => {
            // Mobile numbers begin with 1.
            let keys = if pad.entered.as_str().is_empty() { 1..=1 } else { 0..=9 };
            keys.map(Intent::EntryDigit).collect()
        }
        _ => actions.collect(),
    }
}

/// The intents that can be touched; likelier ones are repeated in the list.
fn touchable_intents(view: &View) -> Vec<Intent> {
    let mut intents: Vec<Intent> = view.footer.iter().map(|foot| foot.intent()).collect();
    intents.push(Intent::StillHere);
    let actions = view.actions.iter().filter(|action| action.enabled);
    intents.extend(actions.flat_map(|action| [action.intent; 14]));
    match &view.body {
        Body::Menu(tiles) => {
            let MenuIntents { open, pays, needs_pin } = menu_intents(tiles);
            intents.extend(open.into_iter().flat_map(|intent| [intent; 4]));
            // Most residents come to pay.
            intents.extend(pays.into_iter().flat_map(|intent| [intent; 12]));
            // Some residents come for services that need a card and its PIN.
            intents.extend(needs_pin.into_iter().flat_map(|intent| [intent; 20]));
        }
        Body::Rows(rows) => intents.extend(rows.rows.iter().flat_map(|row| [row.intent; 4])),
        Body::Pin(_) => intents.extend([Intent::PinDigit(1); 60]),
        Body::Entry(_) => intents.extend([Intent::EntryDigit(1); 60]),
        _ => {}
    }
    intents
}

/// Time until the next touch, in milliseconds.
pub(crate) fn pause(dice: &mut SimRng) -> u64 {
    // Some residents leave without ending the visit.
    if dice.percent(1) { 90_000 } else { 150 + dice.below(1_500) }
}
