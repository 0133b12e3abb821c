//! Operations that services call: checked against the service document and the operation, answered by a department or by the platform.

use std::collections::BTreeMap;

use contract::{
    AnswerRow, CallAnswer, CallRequest, Level, Operation, OperationKind, PlatformOperation, ProblemCode,
    ServiceDocument, Step,
};

use super::licence_calls::LicenceCall;
use super::platform_operation::PlatformCall;
use crate::city_time::city_date;
use crate::config::kiosks::RegisteredKiosk;
use crate::consents::kiosk::use_consent;
use crate::context::RequestContext;
use crate::departments::answers::{OperationAnswer, parse_answer, unavailable_reply};
use crate::departments::calls::{DepartmentAnswer, call_department};
use crate::departments::requests::{Asker, operation_request};
use crate::messages::PlatformResponse;
use crate::payments::bills::list_bills;
use crate::peer_calls::PlatformReply;
use crate::request_error::{RequestError, malformed_request, parse_body};
use crate::visits::identify::{OpenVisit, open_visit};

/// Longest text of an input, in characters.
const INPUT_MAX: usize = 200;

pub(crate) fn call_operation(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    let request: CallRequest = parse_body(body)?;
    let visit = open_visit(context, kiosk, &request.key)?;
    let config = context.config;
    let document = config
        .publication
        .document(&request.service)
        .filter(|document| document.is_offered(kiosk.id, kiosk.profile, &city_date(context.now)))
        .filter(|document| calls_of(document, &request.operation).next().is_some())
        .ok_or_else(|| not_offered("no service offered at this kiosk calls this operation"))?;
    if let Some(call) = LicenceCall::from_request(config, &request)? {
        return call.ask_library(context, kiosk, &visit, document, &request);
    }
    if let Some(operation) = PlatformOperation::from_name(&request.operation) {
        let call = PlatformCall { operation, kiosk, visit: &visit, document, request: &request };
        return Ok(PlatformResponse::json(&call.answer(context)?).into());
    }
    let operation = config
        .operations()
        .get(&request.operation)
        .ok_or_else(|| not_offered("there is no such operation"))?;
    check_level(&visit, document.level.max(operation.level))?;
    check_input(operation.input.iter().map(String::as_str), &request.input)?;
    if request.ticket.is_some() != (operation.kind == OperationKind::Ticket) {
        return Err(malformed_request(
            "exactly the operations that give tickets are called with the id of one",
        ));
    }
    if operation.kind == OperationKind::Submit {
        return Err(malformed_request("a submission comes as a record, and not as a call"));
    }
    if operation.personal {
        use_consent(context, kiosk, visit.resident, &request.service, request.consent)?;
    }
    call_operation_of_department(context, kiosk, &visit, document, operation, &request)
}

fn call_operation_of_department(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    visit: &OpenVisit,
    document: &ServiceDocument,
    operation: &Operation,
    request: &CallRequest,
) -> Result<PlatformReply, RequestError> {
    let asker = Asker {
        resident: visit.resident,
        level: visit.level,
        kiosk: Some(kiosk.id),
        service: Some(&request.service),
        consent: request.consent.filter(|_| operation.personal),
    };
    let call = operation_request(context, operation, &asker, &request.input, request.ticket)?;
    let asked = AskedOperation {
        operation: operation.name.clone(),
        service: document.id.clone(),
        resident: visit.resident,
        input: request.input.clone(),
    };
    let call = call_department(context.config, context.now, call, move |context, answer| {
        asked.on_answer(context, answer)
    });
    Ok(PlatformReply::CallPeer(call))
}

/// An operation whose answer is awaited.
struct AskedOperation {
    operation: String,
    service: String,
    resident: i64,
    input: BTreeMap<String, String>,
}

impl AskedOperation {
    fn on_answer(
        &self,
        context: &RequestContext<'_>,
        answer: Option<DepartmentAnswer>,
    ) -> Result<PlatformReply, RequestError> {
        let config = context.config;
        let found = config.operations().get(&self.operation).zip(config.publication.document(&self.service));
        let Some((operation, document)) = found else {
            return Err(not_offered("there is no such operation"));
        };
        let answer = match parse_answer(context, operation, answer)? {
            OperationAnswer::Unavailable => return Ok(unavailable_reply()),
            OperationAnswer::Refused(words) => {
                CallAnswer { rows: Vec::new(), next: None, refused: Some(words) }
            }
            OperationAnswer::Rows { mut rows, next } => {
                if operation.kind == OperationKind::Bills {
                    rows = list_bills(context, operation, self.resident, &self.input, rows)?;
                }
                let rows =
                    rows.into_iter().map(|row| declared_fields(document, &operation.name, row)).collect();
                CallAnswer { rows, next, refused: None }
            }
        };
        Ok(PlatformResponse::json(&answer).into())
    }
}

/// The fields that the service document declares: a service gets no more than it shows or uses.
pub(super) fn declared_fields(document: &ServiceDocument, operation: &str, row: AnswerRow) -> AnswerRow {
    let is_declared = |name: &str| {
        calls_of(document, operation)
            .any(|step| document.answer_schema(step.id()).is_some_and(|answer| answer.contains_key(name)))
    };
    row.into_iter().filter(|(name, _)| is_declared(name)).collect()
}

/// The steps of a document that call an operation.
pub(super) fn calls_of<'a>(
    document: &'a ServiceDocument,
    operation: &'a str,
) -> impl Iterator<Item = &'a Step> {
    let is_call = move |step: &&Step| matches!(step, Step::Query { call, .. } | Step::Ticket { call, .. } if call == operation);
    document.steps.iter().filter(is_call)
}

pub(super) fn check_level(visit: &OpenVisit, needed: Level) -> Result<(), RequestError> {
    if visit.level < needed {
        return Err(ProblemCode::LevelTooLow
            .into_problem("the visit's level is too low for this operation")
            .into());
    }
    Ok(())
}

/// Checks that the inputs are those that the operation declares, each a short text.
pub(super) fn check_input<'a>(
    declared: impl ExactSizeIterator<Item = &'a str>,
    input: &BTreeMap<String, String>,
) -> Result<(), RequestError> {
    let is_text = |text: &String| {
        let length = text.chars().count();
        (1..=INPUT_MAX).contains(&length) && !text.chars().any(char::is_control)
    };
    let mut declared = declared;
    let is_whole = declared.len() == input.len() && declared.all(|name| input.get(name).is_some_and(is_text));
    if is_whole { Ok(()) } else { Err(malformed_request("the inputs are not those of the operation")) }
}

pub(super) fn not_offered(title: &str) -> RequestError {
    ProblemCode::NotOffered.into_problem(title).into()
}
