//! Plays visits: touches what a resident would touch, and waits until the kiosk shows what is to be seen.

use std::collections::BTreeSet;

use contract::{ReceiptLine, Step};
use jiff::civil::{Date, date};
use session::{CardEvent, Event};
use view::{Body, FooterButton, Intent, OutcomeKind, View};

use super::DOCUMENTS;
use super::scenario::{Act, PhoneUse, SignIn, Visit};
use super::screen::{choices_of, texts_of, tile_of};
use crate::simulation::peers::{CityPlan, DepartmentFault, SimCity};
use crate::simulation::phone::SimPhone;
use crate::simulation::relying_party;
use crate::simulation::simulator::Simulator;

/// The city's date in every scenario.
pub(crate) const TODAY: Date = date(2026, 12, 1);
/// From the start of the simulated world to this date, in milliseconds.
const UNTIL_TODAY_MS: u64 = 7 * 86_400_000;
/// How long something may take, by the clock of the simulated world: less than until a kiosk gives a visit up.
const PATIENCE_MS: u64 = 40_000;
const LOOK_MS: u64 = 100;
/// Time between two visits, in which what is on its way arrives.
const BETWEEN_MS: u64 = 90_000;
/// The kiosk that is used.
const KIOSK: usize = 0;

/// What does not work.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// The departments answer like this.
    Departments(DepartmentFault),
    /// The kiosk lost its link after the resident signed in.
    NoLink,
}

/// A city with a kiosk, and the resident who stands there.
pub(crate) struct Player {
    world: Simulator,
    /// Papers that were printed before this visit.
    papers_before: usize,
    /// Who stands there.
    visitor: usize,
}

impl Player {
    /// A city that offers these services, and those to which they lead.
    pub(crate) fn new(services: &BTreeSet<&str>) -> Self {
        let leads_to = |id: &str| {
            let steps = DOCUMENTS
                .iter()
                .filter(|document| document.parsed.id == id)
                .flat_map(|one| &one.parsed.steps);
            steps
                .filter_map(|step| if let Step::Query { next, .. } = step { Some(next) } else { None })
                .flatten()
                .cloned()
                .collect::<Vec<String>>()
        };
        let wanted: BTreeSet<String> =
            services.iter().flat_map(|id| leads_to(id).into_iter().chain([(*id).to_owned()])).collect();
        let documents = DOCUMENTS.iter().filter(|document| wanted.contains(&document.parsed.id));
        let documents: Vec<String> = documents.map(|document| document.text.clone()).collect();
        assert_eq!(documents.len(), wanted.len(), "one of these services does not exist: {wanted:?}");
        let plan = CityPlan::demo(documents);
        let mut world = Simulator::calm(SimCity::with_plan(plan), UNTIL_TODAY_MS);
        world.pass(BETWEEN_MS);
        Self { world, papers_before: 0, visitor: 0 }
    }

    /// Plays a visit from signing in to leaving.
    pub(crate) fn visit(&mut self, service: &str, visit: &Visit) -> Result<(), String> {
        self.papers_before = self.papers().len();
        if let Some(what) = visit.phone {
            self.use_phone(&visit.resident, what)?;
        }
        self.sign_in(&visit.resident, visit.sign_in)?;
        self.open(service, visit.sign_in)?;
        for (number, act) in visit.acts()?.iter().enumerate() {
            self.act(act).map_err(|failure| {
                let shown = self.view().map(texts_of).unwrap_or_default().join(" | ");
                format!("step {} {act:?}: {failure}; shown: {shown}", number + 1)
            })?;
        }
        self.leave()
    }

    /// Plays a visit while the departments fail like this, or the kiosk has no link, until a view says that it does not work. What
    /// the resident expects to see is not looked for.
    pub(crate) fn failing_visit(
        &mut self,
        service: &str,
        visit: &Visit,
        trouble: Trouble,
    ) -> Result<(), String> {
        self.sign_in(&visit.resident, visit.sign_in)?;
        match trouble {
            Trouble::Departments(fault) => self.world.city.department_fault = Some(fault),
            Trouble::NoLink => self.world.kiosks[KIOSK].online = false,
        }
        self.open(service, visit.sign_in)?;
        for act in visit.acts()? {
            self.settle();
            if self.says_that_it_failed() {
                break;
            }
            if !matches!(act, Act::See(_) | Act::Paper(_)) {
                self.act(&act)?;
            }
        }
        self.settle();
        if self.says_that_it_failed() {
            return Ok(());
        }
        Err(format!(
            "no view says that it failed: {}",
            self.view().map(texts_of).unwrap_or_default().join(" | ")
        ))
    }

    /// Plays a visit whose link is lost after signing in; then the link is back, and the department gets what was submitted.
    pub(crate) fn visit_without_link(&mut self, service: &str, visit: &Visit) -> Result<(), String> {
        self.sign_in(&visit.resident, visit.sign_in)?;
        self.world.kiosks[KIOSK].online = false;
        self.open(service, visit.sign_in)?;
        for act in visit.acts()? {
            self.act(&act).map_err(|failure| format!("{act:?}: {failure}"))?;
        }
        self.leave()?;
        let delivered = |player: &Self| player.world.city.departments.submissions().unwrap().len();
        if delivered(self) != 0 {
            return Err("it was delivered without a link".to_owned());
        }
        self.world.kiosks[KIOSK].online = true;
        self.world.pass(BETWEEN_MS);
        if delivered(self) == 1 { Ok(()) } else { Err("it was not delivered once".to_owned()) }
    }

    fn says_that_it_failed(&self) -> bool {
        self.view().is_some_and(|view| {
            let is_failure = |kind| matches!(kind, OutcomeKind::NotDone | OutcomeKind::Unknown);
            matches!(&view.body, Body::Outcome(outcome) if is_failure(outcome.kind))
        })
    }

    /// The money that was taken, in fen.
    pub(crate) fn charged(&self) -> i64 {
        let entries = self.world.city.acquirer.entries().unwrap();
        entries.iter().map(|entry| entry.answer.total).sum()
    }

    fn view(&self) -> Option<&View> {
        self.world.kiosks[KIOSK].view.as_ref()
    }

    fn resident(&self, id: &str) -> Result<usize, String> {
        let found = self.world.city.residents.iter().position(|resident| resident.slug == id);
        found.ok_or_else(|| format!("there is no resident `{id}`"))
    }

    fn use_phone(&mut self, id: &str, what: PhoneUse) -> Result<(), String> {
        let (resident, now) = (self.resident(id)?, self.world.wall());
        let phone = SimPhone::bind(&mut self.world.city, resident, now).ok_or("no phone can be bound")?;
        let request = self.world.rng.next_u128();
        if what >= PhoneUse::Verified {
            relying_party::verify_code(&mut self.world.city, &phone, request, now);
        }
        if what >= PhoneUse::Agreed {
            relying_party::ask_and_agree(&mut self.world.city, &phone, request, now);
        }
        Ok(())
    }

    fn sign_in(&mut self, id: &str, how: SignIn) -> Result<(), String> {
        let resident = self.resident(id)?;
        self.visitor = resident;
        self.wait("the welcome view", |view| matches!(view.body, Body::Welcome(_)))?;
        match how {
            SignIn::Card | SignIn::CardPin => {
                self.world.kiosks[KIOSK].card = Some(resident);
                self.world.event(KIOSK, Event::Card(CardEvent::Inserted));
                let one = &self.world.city.residents[resident];
                let authenticated = how == SignIn::CardPin || one.needs_authentication();
                let evidence = one.card_evidence(authenticated);
                self.world.event(KIOSK, Event::Card(CardEvent::Read { evidence, valid_to: None }));
            }
            SignIn::Code => {
                self.scan_resident_code();
            }
        }
        self.wait("the menu", |view| matches!(view.body, Body::Menu(_)) && view.header.resident.is_some())
    }

    fn open(&mut self, service: &str, how: SignIn) -> Result<(), String> {
        let document = DOCUMENTS.iter().find(|document| document.parsed.id == service);
        let title = &document.ok_or("there is no such service")?.parsed.title.zh;
        let intent = self.find_tile(title)?;
        self.touch(intent);
        self.settle();
        if how == SignIn::CardPin && self.view().is_some_and(|view| matches!(view.body, Body::Pin(_))) {
            self.type_text("123456")?;
            self.action(true)?;
        }
        Ok(())
    }

    /// Looks for a tile in the whole menu, as somebody who does not know where it is: page by page, list by list.
    fn find_tile(&mut self, title: &str) -> Result<Intent, String> {
        if let Some(intent) = self.find_in_list(title) {
            return Ok(intent);
        }
        let scenes = self.view().map(choices_of).unwrap_or_default();
        let is_list = |intent: &&Intent| matches!(intent, Intent::OpenScene(_) | Intent::OpenLookups);
        for list in scenes.iter().filter(is_list) {
            self.touch(*list);
            if let Some(intent) = self.find_in_list(title) {
                return Ok(intent);
            }
            if self.view().map(choices_of).unwrap_or_default().contains(&Intent::OpenLookups) {
                self.touch(Intent::OpenLookups);
                if let Some(intent) = self.find_in_list(title) {
                    return Ok(intent);
                }
            }
            self.touch(Intent::Home);
        }
        let shown = self.view().map(texts_of).unwrap_or_default().join(" | ");
        Err(format!("no tile `{title}` can be touched: {shown}"))
    }

    /// Looks for a tile on the pages of the list that is shown.
    fn find_in_list(&mut self, title: &str) -> Option<Intent> {
        for page in 0..20 {
            if let Some(intent) = self.view().and_then(|view| tile_of(view, title)) {
                return Some(intent);
            }
            let next = Intent::ShowPage(page + 1);
            if !self.view()?.actions.iter().any(|action| action.enabled && action.intent == next) {
                return None;
            }
            self.touch(next);
        }
        None
    }

    fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::See(text) => self
                .wait("this text", |view| texts_of(view).iter().any(|shown| shown.contains(text.as_str()))),
            Act::Row(number) => {
                self.settle();
                let choices = self.view().map(choices_of).unwrap_or_default();
                let intent = *choices.get(number - 1).ok_or("there is no such row")?;
                self.touch(intent);
                Ok(())
            }
            Act::Go => self.action(true),
            Act::Other => self.action(false),
            Act::Scan(text) => {
                self.settle();
                self.scan(text.clone());
                Ok(())
            }
            Act::ScanResidentCode => {
                self.settle();
                self.scan_resident_code();
                Ok(())
            }
            Act::Type(text) => self.type_text(text),
            Act::Paper(text) => {
                let mut waited = 0;
                while !self.has_paper_with(text) {
                    if waited >= PATIENCE_MS {
                        return Err(format!("no such paper: {:?}", self.papers()));
                    }
                    self.world.pass(LOOK_MS);
                    waited += LOOK_MS;
                }
                Ok(())
            }
            Act::Back => self.footer(FooterButton::Back),
            // After some views nothing but the menu is left.
            Act::Home if self.is_in_menu() => Ok(()),
            Act::Home => self.footer(FooterButton::Home),
        }
    }

    fn is_in_menu(&self) -> bool {
        self.view().is_some_and(|view| {
            matches!(view.body, Body::Menu(_)) && !view.footer.contains(&FooterButton::Home)
        })
    }

    fn touch(&mut self, intent: Intent) {
        if let Some(id) = self.view().map(|view| view.id) {
            self.world.event(KIOSK, Event::Touch { view: id, intent });
        }
    }

    fn footer(&mut self, button: FooterButton) -> Result<(), String> {
        self.settle();
        if self.view().is_some_and(|view| view.footer.contains(&button)) {
            self.touch(button.intent());
            Ok(())
        } else {
            Err("this button is not there".to_owned())
        }
    }

    fn scan(&mut self, code: String) {
        self.world.event(KIOSK, Event::CodeScanned(code.into_bytes().into()));
    }

    /// Holds a new code of the resident's phone to the code reader.
    fn scan_resident_code(&mut self) {
        let (now, entropy) = (self.world.wall(), self.world.rng.next_u128());
        let code = self.world.city.online_token(self.visitor, now, entropy);
        self.scan(code);
    }

    /// Touches the primary action, or the other one.
    fn action(&mut self, is_primary: bool) -> Result<(), String> {
        self.settle();
        let wanted = |view: &View| view.actions.iter().find(|action| action.primary == is_primary).cloned();
        let action = self.view().and_then(wanted).ok_or("there is no such action")?;
        if !action.enabled {
            return Err("the action cannot be touched".to_owned());
        }
        let intent = action.intent;
        self.touch(intent);
        Ok(())
    }

    fn type_text(&mut self, text: &str) -> Result<(), String> {
        self.settle();
        for key in text.chars() {
            let digit = key.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
            let intent = match (self.view().map(|view| &view.body), digit, key) {
                (Some(Body::Pin(_)), Some(digit), _) => Intent::PinDigit(digit),
                (Some(Body::Entry(_)), Some(digit), _) => Intent::EntryDigit(digit),
                (Some(Body::Entry(_)), None, 'X') => Intent::EntryX,
                _ => return Err(format!("there is no key for `{key}`")),
            };
            self.touch(intent);
        }
        Ok(())
    }

    /// Waits while the kiosk works on something.
    fn settle(&mut self) {
        let mut waited = 0;
        while waited < PATIENCE_MS
            && self.view().is_some_and(
                |view| matches!(&view.body, Body::Outcome(outcome) if outcome.kind == OutcomeKind::Working),
            )
        {
            self.world.pass(LOOK_MS);
            waited += LOOK_MS;
        }
    }

    fn wait(&mut self, what: &str, is_there: impl Fn(&View) -> bool) -> Result<(), String> {
        let mut waited = 0;
        while !self.view().is_some_and(&is_there) {
            if waited >= PATIENCE_MS {
                return Err(format!("{what} did not come"));
            }
            self.world.pass(LOOK_MS);
            waited += LOOK_MS;
        }
        Ok(())
    }

    /// The texts of all papers that were printed.
    fn papers(&self) -> Vec<String> {
        let line = |line: &ReceiptLine| match line {
            ReceiptLine::Pair(label, value) => format!("{label} {value}"),
            ReceiptLine::Amount(text) | ReceiptLine::Text(text) => text.clone(),
            ReceiptLine::Rule => String::new(),
        };
        let of_paper = |paper: &contract::Receipt| {
            [paper.title.clone()]
                .into_iter()
                .chain(paper.lines.iter().map(line))
                .collect::<Vec<_>>()
                .join("\n")
        };
        self.world.kiosks[KIOSK].papers.iter().map(of_paper).collect()
    }

    fn has_paper_with(&self, text: &str) -> bool {
        self.papers().iter().skip(self.papers_before).any(|paper| paper.contains(text))
    }

    /// The resident leaves, and what is on its way arrives.
    fn leave(&mut self) -> Result<(), String> {
        if self.world.kiosks[KIOSK].card.is_some() {
            self.world.remove_card(KIOSK);
        } else if self.view().is_some_and(|view| view.header.resident.is_some()) {
            self.settle();
            self.touch(Intent::EndVisit);
        }
        self.world.pass(BETWEEN_MS);
        self.wait("the welcome view", |view| matches!(view.body, Body::Welcome(_)))
    }
}
