//! Touches. The view decides what can be touched; this module executes the intent in the current state.

use contract::{CloseReason, Entry, Offline, Step};
use view::{Intent, Lang, Theme};

use crate::kiosk::{HELP_SHOWN_MS, Kiosk, Turn};
use crate::prove::Standing;
use crate::show::page_size;
use crate::visit::{StepState, Task, Visit};

impl Kiosk {
    pub(crate) fn touch(&mut self, builder: &mut Turn, intent: Intent) {
        self.attend();
        match intent {
            Intent::SwitchLanguage => self.switch_language(),
            Intent::SwitchTheme => self.switch_theme(),
            Intent::Help => self.call_help(builder),
            Intent::More => {}
            Intent::Explain(method) => self.lobby.explain = Some(method),
            Intent::Leave if self.staff.is_some() => self.end_staff(),
            Intent::Leave => {
                if !self.charging() {
                    self.end_visit(builder, CloseReason::Exit);
                }
            }
            Intent::Home => self.home(builder),
            Intent::Back => self.back(builder),
            Intent::Open(at) => self.open_tile(builder, usize::from(at)),
            Intent::Toggle(at) => self.toggle(usize::from(at)),
            Intent::Page(to) => self.turn_page(usize::from(to)),
            Intent::Method(at) => self.choose_method(usize::from(at)),
            Intent::Digit(digit) => self.digit(digit),
            Intent::Erase => self.erase(),
            Intent::Go => self.go(builder),
            Intent::Other => self.other(builder),
        }
    }

    fn switch_language(&mut self) {
        let lang = match (&mut self.visit, &mut self.closing) {
            (Some(visit), _) => &mut visit.lang,
            (None, Some(notice)) => &mut notice.lang,
            (None, None) => &mut self.lobby.lang,
        };
        *lang = match lang {
            Lang::Zh => Lang::En,
            Lang::En => Lang::Zh,
        };
    }

    fn switch_theme(&mut self) {
        let theme = match (&mut self.visit, &mut self.closing) {
            (Some(visit), _) => &mut visit.theme,
            (None, Some(notice)) => &mut notice.theme,
            (None, None) => &mut self.lobby.theme,
        };
        *theme = match theme {
            Theme::Standard => Theme::Elder,
            Theme::Elder => Theme::Standard,
        };
        // Elder pages hold fewer rows, so a page number does not carry over.
        if let Some(running) = self.running_mut()
            && let StepState::Choose { page, .. } = &mut running.state
        {
            *page = 0;
        }
    }

    fn call_help(&mut self, builder: &mut Turn) {
        let until = Some(builder.now.mono.plus_ms(HELP_SHOWN_MS));
        let (visit, shown) = match &mut self.visit {
            Some(visit) => (visit.recorded.then_some(visit.id), &mut visit.help_until),
            None => (None, &mut self.lobby.help_until),
        };
        if shown.is_none() {
            builder.out.record(Entry::HelpCalled { visit });
        }
        *shown = until;
    }

    /// True while an order is being charged: in these few seconds, a touch meant for something else must not leave the
    /// payment.
    fn charging(&self) -> bool {
        let running = self.visit.as_ref().and_then(Visit::running);
        running.is_some_and(|running| matches!(running.state, StepState::Paying { slow: false, .. }))
    }

    fn home(&mut self, builder: &mut Turn) {
        let Some(visit) = &self.visit else {
            self.closing = None;
            return;
        };
        if self.charging() {
            return;
        }
        match visit.running().map(|running| &running.state) {
            Some(StepState::Consent) => self.decline(builder),
            Some(_) => self.show_menu(false),
            None => self.stop_proving(),
        }
    }

    /// Cancels the step-up; a later answer code is ignored.
    fn stop_proving(&mut self) {
        if self.proving().is_some_and(|step_up| step_up.check.is_none()) {
            self.show_menu(false);
        }
    }

    fn back(&mut self, builder: &mut Turn) {
        self.stop_proving();
        let Some(running) = self.running_mut() else { return };
        match running.state {
            StepState::Consent => self.decline(builder),
            StepState::Pin { method, .. } => running.state = StepState::Confirm { method },
            StepState::Confirm { .. } => {
                running.at = running.at.saturating_sub(1);
                self.enter(builder);
            }
            StepState::Show
            | StepState::ShowCode
            | StepState::Choose { .. }
            | StepState::QueryFailed(_)
            | StepState::Nothing(_)
            | StepState::NoMethod
            | StepState::MoneyOff
            | StepState::PinLocked
            | StepState::PinFailed
            | StepState::NewPin(_)
            | StepState::PinNotChanged(_) => self.show_menu(false),
            StepState::Querying { .. }
            | StepState::PinCheck { .. }
            | StepState::PinChanging { .. }
            | StepState::PinChanged
            | StepState::Paying { .. }
            | StepState::Settled { .. }
            | StepState::Printing { .. } => {}
        }
    }

    fn open_tile(&mut self, builder: &mut Turn, at: usize) {
        let Some(visit) = &self.visit else { return };
        let Task::Menu { .. } = &visit.task else { return };
        let Some(doc) = self.catalogue.offered(self.setup.profile).get(at).cloned() else { return };
        match self.standing(&doc, visit) {
            Standing::Open => self.open_service(builder, doc),
            Standing::NeedsPhone => self.prove_by_phone(builder, doc),
            Standing::NeedsPin => self.prove_by_pin(builder, doc),
            Standing::NeedsLink | Standing::NeedsCodeAgain | Standing::NeedsCard | Standing::NeedsLevel => {}
        }
    }

    fn toggle(&mut self, at: usize) {
        let Some(running) = self.running_mut() else { return };
        let Some(Step::Choose { from, max, .. }) = running.doc.steps.get(running.at) else { return };
        let (rows, max) = (running.rows(from).len(), usize::from(*max));
        let StepState::Choose { chosen, full, .. } = &mut running.state else { return };
        *full = false;
        if at >= rows || chosen.remove(&at) {
            return;
        }
        if chosen.len() < max {
            chosen.insert(at);
        } else {
            *full = true;
        }
    }

    fn turn_page(&mut self, to: usize) {
        let Some(visit) = &self.visit else { return };
        let size = page_size(visit.theme);
        let Some(running) = self.running_mut() else { return };
        let Some(Step::Choose { from, .. }) = running.doc.steps.get(running.at) else { return };
        let pages = running.rows(from).len().div_ceil(size);
        if let StepState::Choose { page, .. } = &mut running.state
            && to < pages
        {
            *page = to;
        }
    }

    fn choose_method(&mut self, at: usize) {
        let count = self.methods().len();
        if let Some(running) = self.running_mut()
            && let StepState::Confirm { method } = &mut running.state
            && at < count
        {
            *method = at;
        }
    }

    fn digit(&mut self, digit: u8) {
        if let Some(entry) = self.pin_mut() {
            entry.push(digit);
        }
    }

    fn erase(&mut self) {
        if let Some(entry) = self.pin_mut() {
            entry.erase();
        }
    }

    /// Handles the primary action of the view.
    fn go(&mut self, builder: &mut Turn) {
        if self.proving().is_some() {
            return self.go_on_with_pin(builder);
        }
        let Some(running) = self.running_mut() else {
            if self.visit.is_none() && !self.closing.as_ref().is_some_and(|c| c.ends_with_card()) {
                self.closing = None;
            }
            return;
        };
        let last = running.at + 1 >= running.doc.steps.len();
        match &running.state {
            StepState::Consent => self.agree(builder),
            StepState::Show | StepState::ShowCode if last => self.show_menu(false),
            StepState::Show | StepState::ShowCode => self.next_step(builder),
            StepState::Choose { .. } => self.take_choice(builder),
            StepState::Confirm { method } => {
                let method = *method;
                self.confirm(builder, method);
            }
            StepState::Pin { .. } => self.check_pin(builder),
            StepState::NewPin(_) => self.take_new_pin(builder),
            StepState::PinChanged => self.next_step(builder),
            StepState::QueryFailed(_) => self.enter(builder),
            StepState::Paying { slow: true, .. } => self.end_visit(builder, CloseReason::Exit),
            StepState::PinFailed
            | StepState::PinLocked
            | StepState::PinNotChanged(_)
            | StepState::NoMethod
            | StepState::MoneyOff
            | StepState::Nothing(_)
            | StepState::Settled { .. }
            | StepState::Printing { .. } => self.show_menu(false),
            StepState::Querying { .. }
            | StepState::PinCheck { .. }
            | StepState::PinChanging { .. }
            | StepState::Paying { .. } => {}
        }
    }

    /// Handles the other action of the view.
    fn other(&mut self, builder: &mut Turn) {
        let Some(running) = self.running_mut() else { return };
        match running.state {
            StepState::Consent => self.decline(builder),
            StepState::Show => self.show_menu(false),
            StepState::Settled { receipt, .. } | StepState::Printing { receipt } => {
                self.print_again(builder, receipt);
            }
            StepState::Querying { .. }
            | StepState::QueryFailed(_)
            | StepState::Nothing(_)
            | StepState::ShowCode
            | StepState::Choose { .. }
            | StepState::NoMethod
            | StepState::MoneyOff
            | StepState::Confirm { .. }
            | StepState::Pin { .. }
            | StepState::PinCheck { .. }
            | StepState::PinLocked
            | StepState::PinFailed
            | StepState::NewPin(_)
            | StepState::PinChanging { .. }
            | StepState::PinChanged
            | StepState::PinNotChanged(_)
            | StepState::Paying { .. } => {}
        }
    }
}

/// True when a service needs the link. All services do: a queued request would need a `submit` step, and a
/// cached answer the sealed cache, and the interpreter has neither.
pub(crate) const fn needs_link(offline: Offline) -> bool {
    match offline {
        Offline::Refuse | Offline::Queue | Offline::AnswerFromCache => true,
    }
}
