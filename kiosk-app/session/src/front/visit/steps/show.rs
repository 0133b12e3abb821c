//! Step kind `show`: data that was fetched. One row is shown as labelled values; several are shown as cards, each of which opens the
//! labelled values of its row.

use contract::{AnswerFieldType, AnswerSchema, Step};
use view::{Action, Body, Intent, LabelledValue, Page, RowCard, Rows, Text, TextId};

use crate::content::{ViewContent, action, nothing_found, page_size, service_footer};
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView, back_by};
use crate::front::visit::steps::row_card::{row_card, saturating_u16};
use crate::rows::{CheckedRow, labelled_fields};
use crate::text_width::half_widths;

/// The data is shown.
#[derive(Default)]
struct Show {
    /// The page of the cards.
    page: usize,
    /// The row that was opened; none while the cards are shown. A single row needs no opening.
    opened: Option<usize>,
    /// The page of the labelled values.
    values_page: usize,
}

pub(super) fn enter() -> Entered {
    Entered::state(Show::default())
}

impl StepState for Show {
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        let rows = match context.progress.current_step() {
            Some(Step::Show { from, .. }) => context.progress.rows_of_step(from).len(),
            Some(_) | None => 0,
        };
        let are_cards_shown = rows > 1 && self.opened.is_none();
        // Leads back within the step, before it leads out of it.
        let goes_back = matches!(intent, Intent::Back | Intent::Primary) && self.opened.is_some();
        if let Intent::ToggleRow(at) = intent {
            if are_cards_shown && usize::from(at) < rows {
                (self.opened, self.values_page) = (Some(usize::from(at)), 0);
            }
        } else if let Intent::ShowPage(page) = intent {
            *(if are_cards_shown { &mut self.page } else { &mut self.values_page }) = usize::from(page);
        } else if intent == Intent::SwitchTheme {
            (self.page, self.values_page) = (0, 0);
        } else if intent == Intent::Back && !are_cards_shown && self.values_page > 0 {
            self.values_page -= 1;
        } else if goes_back {
            self.opened = None;
        } else if intent == Intent::Primary {
            return StepFlow::Next;
        } else if intent == Intent::Secondary {
            return StepFlow::Menu { declined: false };
        } else {
            return back_by(intent);
        }
        StepFlow::Stay
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let (method, progress) = (view.data.identification_method, view.progress);
        let Some(Step::Show { from, title, show, .. }) = progress.current_step() else {
            return nothing_found(method, "");
        };
        let Some(declared) = progress.doc.answer_schema(from) else { return nothing_found(method, "") };
        let rows = progress.rows_of_step(from);
        let opened = self.opened.and_then(|at| rows.get(at));
        let (body, actions) = match (opened, rows.as_slice()) {
            (Some(row), _) => {
                self.values(view, show, declared, row, vec![action(TextId::ShowList, true, Intent::Primary)])
            }
            (None, [row]) => self.values(view, show, declared, row, closing_actions(view)),
            (None, _) => (Body::Rows(self.cards(view, from, show, &rows)), closing_actions(view)),
        };
        ViewContent {
            actions,
            footer: service_footer(method),
            ..ViewContent::new(view.data.words(title), body)
        }
    }
}

/// The actions after the last page.
fn closing_actions(view: StepView<'_>) -> Vec<Action> {
    let next = view.progress.doc.steps.get(view.progress.step_index + 1);
    if matches!(next, Some(Step::Print { .. })) {
        vec![
            action(TextId::SheetPrint, true, Intent::Primary),
            action(TextId::SheetDone, false, Intent::Secondary),
        ]
    } else {
        vec![action(TextId::SheetDone, true, Intent::Primary)]
    }
}

impl Show {
    fn cards(&self, view: StepView<'_>, from: &str, show: &[String], rows: &[&CheckedRow]) -> Rows {
        let size = page_size(view.data.theme);
        let count = rows.len().div_ceil(size);
        let index = self.page.min(count.saturating_sub(1));
        let shown = rows.iter().enumerate().skip(index * size).take(size);
        let cards = shown.filter_map(|(at, row)| {
            row_card(view, from, show, (at, row)).map(|card| RowCard { opens: true, ..card })
        });
        Rows {
            rows: cards.collect(),
            summary: None,
            page: (count > 1).then(|| Page { index: saturating_u16(index), count: saturating_u16(count) }),
        }
    }

    /// The labelled values of a row on this page, and the actions: `last` below the last page.
    fn values(
        &self,
        view: StepView<'_>,
        show: &[String],
        declared: &AnswerSchema,
        row: &CheckedRow,
        last: Vec<Action>,
    ) -> (Body, Vec<Action>) {
        let fields: Vec<_> = labelled_fields(row, show, declared, view.data.lang).collect();
        let widths: Vec<_> =
            fields.iter().map(|(label, _, value)| (half_widths(label), half_widths(value))).collect();
        let pages = view.status.setup().equipment.screen.panel.pages_of_values(view.data.theme, &widths);
        let page = self.values_page.min(pages.len().saturating_sub(1));
        let first = pages.iter().take(page).sum();
        let count = pages.get(page).copied().unwrap_or_default();
        let values = fields.into_iter().skip(first).take(count).map(|(label, kind, value)| LabelledValue {
            label: Text::Data(label.to_owned()),
            value: Text::Data(value),
            emphasized: kind == AnswerFieldType::Money,
        });
        let actions = if page + 1 < pages.len() {
            vec![action(TextId::ShowNext, true, Intent::ShowPage(saturating_u16(page + 1)))]
        } else {
            last
        };
        (Body::Details(values.collect()), actions)
    }
}
