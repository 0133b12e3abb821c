//! What a visit knows of its resident. All data in here is dropped with the visit (I3).

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{
    AnswerFieldType, Bilingual, ConsentId, Entry, Evidence, IdentificationMethod, Level, Money, OrderId,
    Pseudonym, ReceiptId, ServiceDocument, Settlement, Step, SubmissionId, VisitId, VisitKey,
};
use view::{Lang, Text, Theme};
use zeroize::Zeroizing;

use crate::code_verification::LocallyVerifiedCode;
use crate::rows::CheckedRow;
use crate::transition::Turn;
use crate::wording::in_language;

/// What a visit knows, whatever the resident does in it.
pub(crate) struct VisitData {
    pub(crate) id: VisitId,
    pub(crate) identification_method: IdentificationMethod,
    pub(crate) resident: Option<IdentifiedResident>,
    /// The code that the visit began with, when the kiosk verified it itself.
    pub(crate) verified_code: Option<LocallyVerifiedCode>,
    /// The card was authenticated.
    pub(crate) card_authenticated: bool,
    /// A record names this visit, so its end must be recorded too.
    pub(crate) recorded: bool,
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    /// The orders of this visit, oldest first.
    pub(crate) orders: Vec<VisitOrder>,
}

/// The resident of the visit. No `Debug`, no `Serialize`; wiped on drop. For the holder of a code that was verified
/// without the platform, name and ID number are empty and there is no visit key.
pub(crate) struct IdentifiedResident {
    pub(crate) name: Zeroizing<String>,
    pub(crate) id_number: Zeroizing<String>,
    pub(crate) visit_key: Option<VisitKey>,
    pub(crate) pseudonym: Pseudonym,
    pub(crate) evidence: Evidence,
    pub(crate) level: Level,
}

/// An order of the visit, and what its resident has seen of it.
pub(crate) struct VisitOrder {
    pub(crate) order: OrderId,
    pub(crate) receipt: ReceiptId,
    pub(crate) total: Money,
    pub(crate) settlement: Option<Settlement>,
    /// The outcome was shown on a view of its own.
    pub(crate) is_shown: bool,
    pub(crate) doc: Arc<ServiceDocument>,
    /// The step after the payment.
    pub(crate) next_step: usize,
}

/// Progress of a service: its document, the current step, and the results of earlier steps.
pub(crate) struct Progress {
    pub(crate) doc: Arc<ServiceDocument>,
    pub(crate) step_index: usize,
    /// Results of earlier steps, by step id.
    pub(crate) results: BTreeMap<String, StepResult>,
    /// How many services led here, each by an answer that named the next.
    pub(crate) services_before: u8,
}

/// Result of a finished step.
pub(crate) enum StepResult {
    Consent(ConsentId),
    Rows(Vec<CheckedRow>),
    /// What the resident entered or scanned, in the form in which the platform gets it. May be an ID number.
    Answered(Zeroizing<String>),
    /// Indices into the rows of the query it chose from.
    Chosen(Vec<usize>),
    Submitted(SubmissionId),
}

impl VisitData {
    /// Raises the level by new evidence, and records it.
    pub(crate) fn take_evidence(&mut self, turn: &mut Turn<'_>, evidence: Evidence, level: Level) {
        if let Some(person) = &mut self.resident {
            (person.evidence, person.level) = (evidence, level);
            turn.record(Entry::EvidenceGiven { visit: self.id, evidence, level });
        }
    }

    /// The key by which the platform knows this visit.
    pub(crate) fn visit_key(&self) -> Option<VisitKey> {
        self.resident.as_ref()?.visit_key.clone()
    }

    pub(crate) fn words(&self, words: &Bilingual) -> Text {
        Text::Data(in_language(words, self.lang).to_owned())
    }
}

impl Progress {
    pub(crate) const fn new(doc: Arc<ServiceDocument>, step_index: usize) -> Self {
        Self { doc, step_index, results: BTreeMap::new(), services_before: 0 }
    }

    /// The step to which *back* leads: the nearest earlier one that shows or asks something. What was agreed to or done since then
    /// is never asked for again by going back.
    pub(crate) fn step_back(&self) -> Option<usize> {
        let earlier = self.doc.steps.iter().enumerate().take(self.step_index);
        for (index, step) in earlier.rev() {
            match step {
                Step::Ask { .. } | Step::Scan { .. } | Step::Choose { .. } | Step::Show { .. } => {
                    return Some(index);
                }
                Step::Query { .. } | Step::ShowCode { .. } => {}
                Step::Consent { .. }
                | Step::Ticket { .. }
                | Step::Pay { .. }
                | Step::Submit { .. }
                | Step::Print { .. }
                | Step::ChangePin { .. } => return None,
            }
        }
        None
    }

    /// What the resident entered or scanned at a step.
    pub(crate) fn answer_to(&self, step: &str) -> Option<&Zeroizing<String>> {
        if let Some(StepResult::Answered(value)) = self.results.get(step) { Some(value) } else { None }
    }

    /// What an operation gets: for each of its inputs, what was entered at an `ask` step or scanned at a `scan` step, or the key of the row that was chosen.
    pub(crate) fn inputs(&self, with: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
        with.iter().map(|(input, step)| Some((input.clone(), self.input_of(step)?.to_string()))).collect()
    }

    fn input_of(&self, step: &str) -> Option<&Zeroizing<String>> {
        if let Some(answer) = self.answer_to(step) {
            return Some(answer);
        }
        let declared = self.doc.answer_schema(step)?;
        let key = declared.iter().find(|(_, field)| field.kind() == AnswerFieldType::Key)?.0;
        self.rows_of_step(step).first()?.get(key)
    }

    pub(crate) fn current_step(&self) -> Option<&Step> {
        self.doc.steps.get(self.step_index)
    }

    /// The consent that was given in a step.
    pub(crate) fn consent(&self, step: &str) -> Option<ConsentId> {
        if let Some(StepResult::Consent(id)) = self.results.get(step) { Some(*id) } else { None }
    }

    /// The rows that a step refers to: those of its own query, or those chosen from it.
    pub(crate) fn rows_of_step(&self, step: &str) -> Vec<&CheckedRow> {
        let from =
            self.doc.steps.iter().find(|other| other.id() == step).and_then(|step| {
                if let Step::Choose { from, .. } = step { Some(from.as_str()) } else { None }
            });
        match (self.results.get(step), from.and_then(|query| self.results.get(query))) {
            (Some(StepResult::Rows(rows)), _) => rows.iter().collect(),
            (Some(StepResult::Chosen(chosen)), Some(StepResult::Rows(rows))) => {
                chosen.iter().filter_map(|at| rows.get(*at)).collect()
            }
            _ => Vec::new(),
        }
    }
}
