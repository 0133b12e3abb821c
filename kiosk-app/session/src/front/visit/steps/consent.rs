//! Step kind `consent`: the resident agrees to one purpose, or not (I4).

use contract::{ConsentId, Entry, Step};
use view::{Body, ConsentForm, Intent, Text, TextId};

use crate::content::{ViewContent, action, nothing_found, service_footer};
use crate::front::visit::data::StepResult;
use crate::front::visit::step::{Entered, StepContext, StepFlow, StepState, StepView};
use crate::wording::in_language;

const DAY_MS: u64 = 86_400_000;

/// The consent form is shown.
struct Consent;

pub(super) fn enter() -> Entered {
    Entered::state(Consent)
}

impl StepState for Consent {
    fn on_touch(&mut self, context: &mut StepContext<'_, '_>, intent: Intent) -> StepFlow {
        if intent == Intent::Primary {
            give(context)
        } else if matches!(intent, Intent::Secondary | Intent::Back | Intent::Home) {
            let (visit, service) = (context.data.id, context.progress.doc.id.clone());
            context.turn.record(Entry::ConsentDeclined { visit, service });
            StepFlow::Menu { declined: true }
        } else {
            StepFlow::Stay
        }
    }

    fn content(&self, view: StepView<'_>) -> ViewContent {
        let method = view.data.identification_method;
        let Some(Step::Consent { purpose, items, recipient, days, .. }) = view.progress.current_step() else {
            return nothing_found(method, "");
        };
        let body = Body::Consent(ConsentForm {
            purpose: view.data.words(purpose),
            items: items.iter().map(|item| view.data.words(item)).collect(),
            recipient: view.data.words(recipient),
            duration: match days {
                0 => TextId::ConsentThisVisit.into(),
                days => Text::With(TextId::ConsentDays, vec![days.to_string()]),
            },
        });
        ViewContent {
            lead: Some(TextId::ConsentLead.into()),
            actions: vec![
                action(TextId::ConsentAgree, true, Intent::Primary),
                action(TextId::ConsentDecline, false, Intent::Secondary),
            ],
            footer: service_footer(method),
            ..ViewContent::new(TextId::ConsentTitle, body)
        }
    }
}

/// The consent is recorded before any data is fetched.
fn give(context: &mut StepContext<'_, '_>) -> StepFlow {
    let Some(person) = &context.data.resident else { return StepFlow::Stay };
    let Some(Step::Consent { id, purpose, items, recipient, days }) = context.progress.current_step() else {
        return StepFlow::Stay;
    };
    let (id, lang, doc) = (id.clone(), context.data.lang, &context.progress.doc);
    let consent = ConsentId::from_entropy(context.turn.next_u128());
    let entry = Entry::Consented {
        consent,
        visit: context.data.id,
        resident: person.pseudonym,
        service: doc.id.clone(),
        version: doc.version,
        purpose: in_language(purpose, lang).to_owned(),
        items: items.iter().map(|item| in_language(item, lang).to_owned()).collect(),
        recipient: in_language(recipient, lang).to_owned(),
        // A consent for this visit only ends with the platform's visit, which lasts a day at most.
        until: context.turn.now.wall.plus_ms(u64::from((*days).max(1)) * DAY_MS),
    };
    context.turn.record(entry);
    context.progress.results.insert(id, StepResult::Consent(consent));
    StepFlow::Next
}
