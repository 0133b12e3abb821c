//! A row of an answer as a card: its most important fields, in a text that fits on every panel.

use contract::AnswerFieldType;
use view::{Intent, RowCard, Text, Theme};

use crate::front::visit::menu::icon;
use crate::front::visit::step::StepView;
use crate::rows::{CheckedRow, labelled_fields};
use crate::text_width::{half_widths, shortened};

/// Longest title of a card, in half widths, and for each title up to some length the longest detail: cards of all panels have
/// room for so many lines, fewer beside an amount.
const fn longest_texts(theme: Theme, has_amount: bool) -> (usize, &'static [(usize, usize)]) {
    match (theme, has_amount) {
        (Theme::Standard, true) => (34, &[(17, 70), (34, 26)]),
        (Theme::Standard, false) => (46, &[(30, 80), (46, 38)]),
        (Theme::Elder, true) => (20, &[(10, 80), (20, 44)]),
        (Theme::Elder, false) => (44, &[(22, 120), (44, 110)]),
    }
}

/// The card of the row at this place among all rows: the first field that is no amount, the others, and the amount.
pub(super) fn row_card(
    view: StepView<'_>,
    from: &str,
    show: &[String],
    (at, row): (usize, &CheckedRow),
) -> Option<RowCard> {
    let declared = view.progress.doc.answer_schema(from)?;
    let fields = || labelled_fields(row, show, declared, view.data.lang);
    let mut words = fields().filter(|(_, kind, _)| *kind != AnswerFieldType::Money);
    let amount = fields().find(|(_, kind, _)| *kind == AnswerFieldType::Money).map(|(.., value)| value);
    let title = words.next().map(|(_, _, value)| value).or_else(|| amount.clone())?;
    let mut rest: Vec<String> = words.map(|(_, _, value)| value).filter(|value| !value.is_empty()).collect();
    if let Some(payee) = row.get("payee") {
        rest.push(payee.to_string());
    }
    let (title_max, details) = longest_texts(view.data.theme, amount.is_some());
    let title = shortened(&title, title_max);
    let width = half_widths(&title);
    let detail_max = details.iter().find(|(title, _)| width <= *title).map_or(0, |(_, detail)| *detail);
    let detail = shortened(&rest.join(" · "), detail_max);
    Some(RowCard {
        icon: icon(&view.progress.doc),
        title: Text::Data(title),
        detail: (!rest.is_empty()).then_some(Text::Data(detail)),
        amount,
        chosen: false,
        opens: false,
        intent: Intent::ToggleRow(saturating_u16(at)),
    })
}

pub(super) fn saturating_u16(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
