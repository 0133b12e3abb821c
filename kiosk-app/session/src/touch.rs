//! Touches. The view decides what can be touched; this module executes the intent in the current state.

use contract::{CloseReason, Entry, OfflinePolicy, Step};
use view::{Intent, Lang, Theme};

use crate::kiosk::{HELP_SHOWN_MS, Kiosk, TransitionBuilder};
use crate::show::page_size;
use crate::step_up::Availability;
use crate::visit::{StepState, Task, Visit};

impl Kiosk {
    pub(crate) fn on_touch(&mut self, builder: &mut TransitionBuilder, intent: Intent) {
        self.reset_idle_timer();
        match intent {
            Intent::SwitchLanguage => self.switch_language(),
            Intent::SwitchTheme => self.switch_theme(),
            Intent::Help => self.call_help(builder),
            Intent::StillHere => {}
            Intent::ExplainSignIn(method) => self.idle_screen.explained_method = Some(method),
            Intent::EndVisit if self.staff_sign_in.is_some() => self.end_staff_sign_in(),
            Intent::EndVisit => {
                if !self.is_charging() {
                    self.end_visit(builder, CloseReason::Exit);
                }
            }
            Intent::Home => self.on_home(builder),
            Intent::Back => self.on_back(builder),
            Intent::OpenTile(at) => self.open_tile(builder, usize::from(at)),
            Intent::ToggleRow(at) => self.toggle_row(usize::from(at)),
            Intent::ShowPage(to) => self.turn_page(usize::from(to)),
            Intent::ChooseMethod(at) => self.choose_method(usize::from(at)),
            Intent::PinDigit(digit) => self.enter_digit(digit),
            Intent::PinErase => self.erase_digit(),
            Intent::Primary => self.on_primary_action(builder),
            Intent::Secondary => self.on_other_action(builder),
        }
    }

    fn switch_language(&mut self) {
        let lang = match (&mut self.visit, &mut self.notice) {
            (Some(visit), _) => &mut visit.lang,
            (None, Some(notice)) => &mut notice.lang,
            (None, None) => &mut self.idle_screen.lang,
        };
        *lang = match lang {
            Lang::Zh => Lang::En,
            Lang::En => Lang::Zh,
        };
    }

    fn switch_theme(&mut self) {
        let theme = match (&mut self.visit, &mut self.notice) {
            (Some(visit), _) => &mut visit.theme,
            (None, Some(notice)) => &mut notice.theme,
            (None, None) => &mut self.idle_screen.theme,
        };
        *theme = match theme {
            Theme::Standard => Theme::Elder,
            Theme::Elder => Theme::Standard,
        };
        // Elder pages hold fewer rows, so a page number does not carry over.
        if let Some(running) = self.running_service_mut()
            && let StepState::Choose { page, .. } = &mut running.state
        {
            *page = 0;
        }
    }

    fn call_help(&mut self, builder: &mut TransitionBuilder) {
        let until = Some(builder.now.mono.plus_ms(HELP_SHOWN_MS));
        let (visit, shown) = match &mut self.visit {
            Some(visit) => (visit.recorded.then_some(visit.id), &mut visit.help_until),
            None => (None, &mut self.idle_screen.help_until),
        };
        if shown.is_none() {
            builder.record(&mut self.durable, Entry::HelpRequested { visit });
        }
        *shown = until;
    }

    /// True while an order is being charged: in these few seconds, a touch meant for something else must not leave the
    /// payment.
    fn is_charging(&self) -> bool {
        let running = self.visit.as_ref().and_then(Visit::running_service);
        running.is_some_and(|running| matches!(running.state, StepState::Paying { slow: false, .. }))
    }

    fn on_home(&mut self, builder: &mut TransitionBuilder) {
        let Some(visit) = &self.visit else {
            self.notice = None;
            return;
        };
        if self.is_charging() {
            return;
        }
        match visit.running_service().map(|running| &running.state) {
            Some(StepState::Consent) => self.decline_consent(builder),
            Some(_) => self.show_menu(false),
            None => self.cancel_step_up(),
        }
    }

    /// Cancels the step-up; a later answer code is ignored.
    fn cancel_step_up(&mut self) {
        if self.step_up().is_some_and(|step_up| step_up.pending.is_none()) {
            self.show_menu(false);
        }
    }

    fn on_back(&mut self, builder: &mut TransitionBuilder) {
        self.cancel_step_up();
        let Some(running) = self.running_service_mut() else { return };
        match running.state {
            StepState::Consent => self.decline_consent(builder),
            StepState::Pin { method, .. } => running.state = StepState::Confirm { method },
            StepState::Confirm { .. } => {
                running.step_index = running.step_index.saturating_sub(1);
                self.enter_step(builder);
            }
            StepState::Show
            | StepState::ShowCode
            | StepState::Choose { .. }
            | StepState::QueryFailed(_)
            | StepState::NothingFound(_)
            | StepState::NoPaymentMethod
            | StepState::PaymentsSuspended
            | StepState::PinLocked
            | StepState::PinFailed
            | StepState::PinChangeEntry(_)
            | StepState::PinChangeFailed(_) => self.show_menu(false),
            StepState::Querying { .. }
            | StepState::PinVerifying { .. }
            | StepState::PinChanging { .. }
            | StepState::PinChanged
            | StepState::Paying { .. }
            | StepState::Settled { .. }
            | StepState::Printing { .. } => {}
        }
    }

    fn open_tile(&mut self, builder: &mut TransitionBuilder, at: usize) {
        let Some(visit) = &self.visit else { return };
        let Task::Menu { .. } = &visit.task else { return };
        let Some(doc) = self.catalogue.offered(self.setup.profile).get(at).cloned() else { return };
        match self.availability(&doc, visit) {
            Availability::Available => self.open_service(builder, doc),
            Availability::NeedsPhone => self.start_phone_step_up(builder, doc),
            Availability::NeedsPin => self.start_pin_step_up(builder, doc),
            Availability::NeedsLink
            | Availability::NeedsCodeAgain
            | Availability::NeedsCard
            | Availability::NeedsLevel => {}
        }
    }

    fn toggle_row(&mut self, at: usize) {
        let Some(running) = self.running_service_mut() else { return };
        let Some(Step::Choose { from, max, .. }) = running.doc.steps.get(running.step_index) else { return };
        let (rows, max) = (running.rows_of_step(from).len(), usize::from(*max));
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
        let Some(running) = self.running_service_mut() else { return };
        let Some(Step::Choose { from, .. }) = running.doc.steps.get(running.step_index) else { return };
        let pages = running.rows_of_step(from).len().div_ceil(size);
        if let StepState::Choose { page, .. } = &mut running.state
            && to < pages
        {
            *page = to;
        }
    }

    fn choose_method(&mut self, at: usize) {
        let count = self.payment_methods().len();
        if let Some(running) = self.running_service_mut()
            && let StepState::Confirm { method } = &mut running.state
            && at < count
        {
            *method = at;
        }
    }

    fn enter_digit(&mut self, digit: u8) {
        if let Some(entry) = self.pin_entry_mut() {
            entry.push_digit(digit);
        }
    }

    fn erase_digit(&mut self) {
        if let Some(entry) = self.pin_entry_mut() {
            entry.erase_digit();
        }
    }

    /// Handles the primary action of the view.
    fn on_primary_action(&mut self, builder: &mut TransitionBuilder) {
        if self.step_up().is_some() {
            return self.advance_pin_step_up(builder);
        }
        let Some(running) = self.running_service_mut() else {
            if self.visit.is_none() && !self.notice.as_ref().is_some_and(|c| c.ends_on_card_removal()) {
                self.notice = None;
            }
            return;
        };
        let last = running.step_index + 1 >= running.doc.steps.len();
        match &running.state {
            StepState::Consent => self.give_consent(builder),
            StepState::Show | StepState::ShowCode if last => self.show_menu(false),
            StepState::Show | StepState::ShowCode => self.next_step(builder),
            StepState::Choose { .. } => self.finish_choice(builder),
            StepState::Confirm { method } => {
                let method = *method;
                self.confirm_payment(builder, method);
            }
            StepState::Pin { .. } => self.verify_payment_pin(builder),
            StepState::PinChangeEntry(_) => self.advance_pin_change(builder),
            StepState::PinChanged => self.next_step(builder),
            StepState::QueryFailed(_) => self.enter_step(builder),
            StepState::Paying { slow: true, .. } => self.end_visit(builder, CloseReason::Exit),
            StepState::PinFailed
            | StepState::PinLocked
            | StepState::PinChangeFailed(_)
            | StepState::NoPaymentMethod
            | StepState::PaymentsSuspended
            | StepState::NothingFound(_)
            | StepState::Settled { .. }
            | StepState::Printing { .. } => self.show_menu(false),
            StepState::Querying { .. }
            | StepState::PinVerifying { .. }
            | StepState::PinChanging { .. }
            | StepState::Paying { .. } => {}
        }
    }

    /// Handles the other action of the view.
    fn on_other_action(&mut self, builder: &mut TransitionBuilder) {
        let Some(running) = self.running_service_mut() else { return };
        match running.state {
            StepState::Consent => self.decline_consent(builder),
            StepState::Show => self.show_menu(false),
            StepState::Settled { receipt, .. } | StepState::Printing { receipt } => {
                self.print_again(builder, receipt);
            }
            StepState::Querying { .. }
            | StepState::QueryFailed(_)
            | StepState::NothingFound(_)
            | StepState::ShowCode
            | StepState::Choose { .. }
            | StepState::NoPaymentMethod
            | StepState::PaymentsSuspended
            | StepState::Confirm { .. }
            | StepState::Pin { .. }
            | StepState::PinVerifying { .. }
            | StepState::PinLocked
            | StepState::PinFailed
            | StepState::PinChangeEntry(_)
            | StepState::PinChanging { .. }
            | StepState::PinChanged
            | StepState::PinChangeFailed(_)
            | StepState::Paying { .. } => {}
        }
    }
}

/// True when a service needs the link. All services do: a queued request would need a `submit` step, and a
/// cached answer the sealed cache, and the interpreter has neither.
pub(crate) const fn needs_link(offline: OfflinePolicy) -> bool {
    match offline {
        OfflinePolicy::Refuse | OfflinePolicy::Queue | OfflinePolicy::AnswerFromCache => true,
    }
}
