//! What services at kiosks ask about the resident's licences: the list, one that was chosen from it, and one of a fixed kind. The
//! licence library is asked; what a kiosk gets is masked, and says what a printout may be used for.
//!
//! | operation | input | rows |
//! |---|---|---|
//! | `licences.mine` | – | `licence` (key), `title`, `issuer`, `standing`, `validity` of each |
//! | `licences.show` | `licence` | `entry`: one line of text of the licences of that kind |
//! | `licence.KIND` | – | the items of the kind; `title`, `issuer`, `standing`, `validity`, `as-of`, `watermark` |

use contract::{
    AnswerRow, CallAnswer, CallRequest, LICENCE_LIST, LicenceKind, ServiceDocument, Step,
    licence_of_operation,
};

use super::operation_calls::{calls_of, check_level, declared_fields, not_offered};
use crate::city_time::city_date;
use crate::config::kiosks::RegisteredKiosk;
use crate::consents::kiosk::use_consent;
use crate::context::{PlatformConfig, RequestContext};
use crate::departments::answers::unavailable_reply;
use crate::departments::calls::DepartmentAnswer;
use crate::departments::requests::Asker;
use crate::e_certificates::held::{HeldLicence, Standing};
use crate::e_certificates::library::{LibraryAnswer, call_library, read_licences, read_list};
use crate::e_certificates::shown::{Use, licence_entries, licence_row, listed_row, not_shown, watermark};
use crate::messages::PlatformResponse;
use crate::peer_calls::PlatformReply;
use crate::request_error::{RequestError, malformed_request};
use crate::visits::identify::OpenVisit;

/// Who gets what a kiosk shows and prints.
const RECIPIENT: &str = "本人";

/// A call about licences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LicenceCall {
    /// The licences that the resident holds.
    List,
    /// Those of the kind that the resident chose.
    Chosen { kind: String },
    /// Those of the kind that the operation names.
    Named { kind: String },
}

impl LicenceCall {
    /// The call that a request makes; `None` when it is not about licences.
    pub(super) fn from_request(
        config: &PlatformConfig,
        request: &CallRequest,
    ) -> Result<Option<Self>, RequestError> {
        let mut input = request.input.clone();
        let call = match request.operation.as_str() {
            "licences.mine" => Self::List,
            "licences.show" => {
                let kind = input.remove("licence");
                Self::Chosen { kind: kind.ok_or_else(|| malformed_request("the input is `licence`"))? }
            }
            operation => match licence_of_operation(operation) {
                Some(kind) => Self::Named { kind: kind.to_owned() },
                None => return Ok(None),
            },
        };
        if !input.is_empty() || request.ticket.is_some() {
            return Err(malformed_request("the inputs are not those of the operation"));
        }
        if let Self::Chosen { kind } | Self::Named { kind } = &call
            && config.operations().licence(kind).is_none()
        {
            return Err(not_offered("there is no licence of this kind"));
        }
        Ok(Some(call))
    }

    /// Asks the library, under the resident's consent.
    pub(super) fn ask_library(
        self,
        context: &mut RequestContext<'_>,
        kiosk: &RegisteredKiosk,
        visit: &OpenVisit,
        document: &ServiceDocument,
        request: &CallRequest,
    ) -> Result<PlatformReply, RequestError> {
        let operations = context.config.operations();
        let name = match &self {
            Self::List => LICENCE_LIST.to_owned(),
            Self::Chosen { kind } | Self::Named { kind } => {
                operations.licence(kind).map(LicenceKind::operation).unwrap_or_default()
            }
        };
        let no_library = || not_offered("this city has no licence library");
        let operation = operations.get(&name).ok_or_else(no_library)?;
        check_level(visit, document.level.max(operation.level))?;
        use_consent(context, kiosk, visit.resident, &request.service, request.consent)?;
        let asker = Asker {
            resident: visit.resident,
            level: visit.level,
            kiosk: Some(kiosk.id),
            service: Some(&request.service),
            consent: request.consent,
        };
        let asked =
            AskedLicences { call: self, service: document.id.clone(), operation: request.operation.clone() };
        let reply =
            call_library(context, &name, &asker, move |context, answer| asked.on_answer(context, answer))?;
        reply.ok_or_else(no_library)
    }
}

/// A call whose answer is awaited.
struct AskedLicences {
    call: LicenceCall,
    service: String,
    /// The operation that the service document calls.
    operation: String,
}

impl AskedLicences {
    fn on_answer(
        &self,
        context: &RequestContext<'_>,
        answer: Option<DepartmentAnswer>,
    ) -> Result<PlatformReply, RequestError> {
        let config = context.config;
        let document = config
            .publication
            .document(&self.service)
            .ok_or_else(|| not_offered("there is no such service"))?;
        let answered = match &self.call {
            LicenceCall::List => match read_list(context, answer)? {
                LibraryAnswer::Found(listed) => {
                    let rows = listed.iter().filter_map(|one| {
                        config.operations().licence(&one.kind).map(|kind| listed_row(kind, one))
                    });
                    LibraryAnswer::Found(rows.collect())
                }
                LibraryAnswer::Refused(words) => LibraryAnswer::Refused(words),
                LibraryAnswer::Unavailable => LibraryAnswer::Unavailable,
            },
            LicenceCall::Chosen { kind } | LicenceCall::Named { kind } => {
                let kind = config
                    .operations()
                    .licence(kind)
                    .ok_or_else(|| not_offered("there is no licence of this kind"))?;
                match read_licences(context, kind, answer)? {
                    LibraryAnswer::Found(held) => self.shown(context, document, kind, &held),
                    LibraryAnswer::Refused(words) => LibraryAnswer::Refused(words),
                    LibraryAnswer::Unavailable => LibraryAnswer::Unavailable,
                }
            }
        };
        let answer = match answered {
            LibraryAnswer::Unavailable => return Ok(unavailable_reply()),
            LibraryAnswer::Refused(words) => {
                CallAnswer { rows: Vec::new(), next: None, refused: Some(words) }
            }
            LibraryAnswer::Found(rows) => {
                let rows = rows.into_iter().map(|row| declared_fields(document, &self.operation, row));
                CallAnswer { rows: rows.collect(), next: None, refused: None }
            }
        };
        Ok(PlatformResponse::json(&answer).into())
    }

    /// The rows of the licences that are in force. Where one is held and none is in force, its holder reads why.
    fn shown(
        &self,
        context: &RequestContext<'_>,
        document: &ServiceDocument,
        kind: &LicenceKind,
        held: &[HeldLicence],
    ) -> LibraryAnswer<AnswerRow> {
        let today = city_date(context.now);
        let of =
            Use { purpose: purpose_of(document, &self.operation), recipient: RECIPIENT, last_day: &today };
        let watermark = watermark(&kind.watermark, &of);
        let in_force = held.iter().filter(|one| one.state.standing == Standing::InForce);
        let rows: Vec<AnswerRow> = match &self.call {
            LicenceCall::Chosen { .. } => {
                in_force.flat_map(|one| licence_entries(kind, one, &watermark, &today)).collect()
            }
            LicenceCall::List | LicenceCall::Named { .. } => {
                in_force.map(|one| licence_row(kind, one, &watermark, &today)).collect()
            }
        };
        match held.first() {
            Some(first) if rows.is_empty() => LibraryAnswer::Refused(not_shown(kind, first.state.standing)),
            Some(_) | None => LibraryAnswer::Found(rows),
        }
    }
}

/// The purpose that the resident agreed to, in Chinese.
fn purpose_of<'a>(document: &'a ServiceDocument, operation: &'a str) -> &'a str {
    let agreed = calls_of(document, operation).find_map(|step| {
        let Step::Query { consent: Some(to), .. } = step else { return None };
        document.steps.iter().find_map(|step| {
            let Step::Consent { id, purpose, .. } = step else { return None };
            (id == to).then_some(purpose.zh.as_str())
        })
    });
    agreed.unwrap_or(&document.title.zh)
}
