//! Step kind `choose`: the resident chooses rows, as bills to pay.

use std::collections::BTreeSet;

use contract::{AnswerFieldType, Money, Step};
use view::{Banner, Body, Icon, Intent, Page, RowCard, Rows, Text, TextId, Tone};

use crate::content::{ViewContent, action, nothing_found, page_size, service_footer};
use crate::front::visit::data::StepResult;
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, back_by};
use crate::front::visit::steps::row_card::{row_card, saturating_u16};
use crate::rows::parse_money;

/// Rows chosen so far.
#[derive(Default)]
struct Choose {
    chosen: BTreeSet<usize>,
    page: usize,
    /// The last touch would have chosen more rows than allowed.
    is_full: bool,
}

pub(super) fn enter() -> Entered {
    Entered::state(Choose::default())
}

impl StepState for Choose {
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        if intent == Intent::Primary {
            return self.finish(context);
        }
        let Some(Step::Choose { from, max, .. }) = context.progress.current_step() else {
            return back_by(intent);
        };
        let rows = context.progress.rows_of_step(from).len();
        if let Intent::ToggleRow(at) = intent {
            self.toggle(usize::from(at), rows, usize::from(*max));
        } else if let Intent::ShowPage(page) = intent {
            if usize::from(page) < rows.div_ceil(page_size(context.data.theme)) {
                self.page = usize::from(page);
            }
        } else if intent == Intent::SwitchTheme {
            // Elder pages hold fewer rows, so a page number does not carry over.
            self.page = 0;
        }
        back_by(intent)
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let (method, progress) = (view.data.identification_method, view.progress);
        let Some(Step::Choose { id, from, title, show, max }) = progress.current_step() else {
            return nothing_found(method, "");
        };
        let rows = progress.rows_of_step(from);
        let size = page_size(view.data.theme);
        let pages = rows.len().div_ceil(size);
        let cards = rows
            .iter()
            .enumerate()
            .skip(self.page * size)
            .take(size)
            .filter_map(|(at, row)| {
                Some(RowCard { chosen: self.chosen.contains(&at), ..row_card(view, from, show, (at, row))? })
            })
            .collect();
        let declared = progress.doc.answer_schema(from);
        let money = declared
            .and_then(|fields| fields.iter().find(|(_, field)| field.kind() == AnswerFieldType::Money))
            .map(|(name, _)| name);
        // Rows without an amount are no bills.
        let (chosen_id, max_id) = match money {
            Some(_) => (TextId::RowsSummary, TextId::RowsMax),
            None => (TextId::RowsSummaryItems, TextId::RowsMaxItems),
        };
        let summary = Text::With(chosen_id, vec![self.chosen.len().to_string()]);
        let summary = match money {
            Some(money) => {
                let chosen = self.chosen.iter().filter_map(|at| rows.get(*at));
                let sum = Money::sum(chosen.filter_map(|row| parse_money(row.get(money)?)));
                Some((summary, sum.unwrap_or_default().to_string()))
            }
            // The one row is marked: that says all.
            None if *max == 1 => None,
            None => Some((summary, String::new())),
        };
        let pays =
            progress.doc.steps.iter().any(|step| matches!(step, Step::Pay { items, .. } if items == id));
        let go = if pays { TextId::RowsGo } else { TextId::AskNext };
        let mut go = action(go, true, Intent::Primary);
        go.enabled = !self.chosen.is_empty();
        let full = Banner {
            tone: Tone::Note,
            icon: Icon::Help,
            title: Text::With(max_id, vec![max.to_string()]),
            detail: None,
        };
        let body = Body::Rows(Rows {
            rows: cards,
            summary,
            page: (pages > 1)
                .then(|| Page { index: saturating_u16(self.page), count: saturating_u16(pages) }),
        });
        ViewContent {
            banners: self.is_full.then_some(full).into_iter().collect(),
            actions: vec![go],
            footer: service_footer(method),
            ..ViewContent::new(view.data.words(title), body)
        }
    }
}

impl Choose {
    fn toggle(&mut self, at: usize, rows: usize, max: usize) {
        self.is_full = false;
        if max == 1 && at < rows {
            // Another row takes the place of the one chosen before.
            self.chosen = BTreeSet::from([at]);
            return;
        }
        if at >= rows || self.chosen.remove(&at) {
            return;
        }
        if self.chosen.len() < max {
            self.chosen.insert(at);
        } else {
            self.is_full = true;
        }
    }

    /// Stores the chosen rows and continues; does nothing when none is chosen.
    fn finish(&self, context: &mut StepContext<'_, '_>) -> StepFlow {
        let Some(id) = context.progress.current_step().map(|step| step.id().to_owned()) else {
            return StepFlow::Stay;
        };
        if self.chosen.is_empty() {
            return StepFlow::Stay;
        }
        context.progress.results.insert(id, StepResult::Chosen(self.chosen.iter().copied().collect()));
        StepFlow::Next
    }
}
