//! The operations that the platform answers itself, called as [`PlatformOperation`] declares them. All others are departments', see
//! `operations.toml`; those about licences are in `licence_calls.rs`.
//!
//! Queries change nothing. Acts change something and are done once, see [`acts`](crate::acts).

use contract::{
    AnswerRow, CallAnswer, CallRequest, Evidence, OperationKind, PlatformOperation,
    PlatformOperationDeclaration, ProblemCode, ServiceDocument,
};

use super::identity::{credential_states, my_identity};
use super::operation_calls::{check_input, check_level, declared_fields, not_offered};
use crate::acts::act_once;
use crate::codes::use_reports::{after_report, listed_uses, report_use};
use crate::config::kiosks::RegisteredKiosk;
use crate::consents::in_effect::{consents_in_effect, withdraw_at_kiosk};
use crate::context::RequestContext;
use crate::phones::pairings;
use crate::phones::stop::{stop_code, stoppable_codes};
use crate::request_error::{RequestError, malformed_request};
use crate::submissions::list::submissions_of;
use crate::visits::identify::OpenVisit;

/// The service that stops a code, to which a report of an unknown use leads on.
const STOPPING_SERVICE: &str = "identity.code-lost";

/// A call of an operation of the platform itself.
pub(super) struct PlatformCall<'a> {
    pub(super) operation: PlatformOperation,
    pub(super) kiosk: &'a RegisteredKiosk,
    pub(super) visit: &'a OpenVisit,
    pub(super) document: &'a ServiceDocument,
    pub(super) request: &'a CallRequest,
}

impl PlatformCall<'_> {
    /// Checks the call against the declaration of the operation, and answers it with the fields that the document declares.
    pub(super) fn answer(&self, context: &mut RequestContext<'_>) -> Result<CallAnswer, RequestError> {
        let PlatformOperationDeclaration { name, kind, level, input, .. } = self.operation.declaration();
        check_level(self.visit, self.document.level.max(level))?;
        check_input(input.iter().copied(), &self.request.input)?;
        let answered = match (kind, self.request.ticket) {
            (OperationKind::Ticket, Some(ticket)) => {
                act_once(context, self.kiosk, self.visit, self.request, ticket, |context| self.act(context))
            }
            (OperationKind::Query | OperationKind::Bills | OperationKind::Submit, None) => {
                self.query(context)
            }
            (_, Some(_) | None) => Err(malformed_request(
                "exactly the operations that act once are called with the id of a ticket",
            )),
        };
        let CallAnswer { rows, next, refused } = answered?;
        let rows = rows.into_iter().map(|row| declared_fields(self.document, name, row)).collect();
        Ok(CallAnswer { rows, next, refused })
    }

    fn query(&self, context: &mut RequestContext<'_>) -> Result<CallAnswer, RequestError> {
        let resident = self.visit.resident;
        let rows = match self.operation {
            PlatformOperation::PhonePairing => offer_phone_pairing(context, self.kiosk, self.visit)?,
            PlatformOperation::MySubmissions => submissions_of(context, resident)?,
            PlatformOperation::MyIdentity => my_identity(context, resident)?,
            PlatformOperation::CredentialStates => credential_states(context, resident)?,
            PlatformOperation::StoppableCodes => stoppable_codes(context, resident)?,
            PlatformOperation::ConsentsInEffect => consents_in_effect(context, resident)?,
            PlatformOperation::CodeUses => listed_uses(context, resident)?,
            PlatformOperation::AfterReport => return after_report(&self.request.input, STOPPING_SERVICE),
            PlatformOperation::StopCode
            | PlatformOperation::WithdrawConsent
            | PlatformOperation::ReportUse
            | PlatformOperation::MyLicences
            | PlatformOperation::ChosenLicence => {
                return Err(not_offered("the operation is no query of the platform"));
            }
        };
        Ok(CallAnswer { rows, next: None, refused: None })
    }

    /// Acts only take something away, or report it: they are done also while the platform recovers from a backup.
    fn act(&self, context: &RequestContext<'_>) -> Result<CallAnswer, RequestError> {
        let (resident, input) = (self.visit.resident, &self.request.input);
        match self.operation {
            PlatformOperation::StopCode => stop_code(context, resident, input),
            PlatformOperation::WithdrawConsent => withdraw_at_kiosk(context, resident, input),
            PlatformOperation::ReportUse => report_use(context, resident, input),
            PlatformOperation::PhonePairing
            | PlatformOperation::MySubmissions
            | PlatformOperation::MyIdentity
            | PlatformOperation::CredentialStates
            | PlatformOperation::StoppableCodes
            | PlatformOperation::ConsentsInEffect
            | PlatformOperation::CodeUses
            | PlatformOperation::AfterReport
            | PlatformOperation::MyLicences
            | PlatformOperation::ChosenLicence => Err(not_offered("the operation is no act of the platform")),
        }
    }
}

/// Offers a pairing code for a phone. Only a visit with an authenticated card and its PIN may bind a phone: a phone
/// that is already bound cannot bind another.
fn offer_phone_pairing(
    context: &mut RequestContext<'_>,
    kiosk: &RegisteredKiosk,
    visit: &OpenVisit,
) -> Result<Vec<AnswerRow>, RequestError> {
    if visit.evidence != Evidence::AuthenticatedCardPin {
        return Err(ProblemCode::NotOffered
            .into_problem("pairing a phone needs a visit with an authenticated card and its PIN")
            .into());
    }
    if context.config.code_authority.is_none() {
        return Err(ProblemCode::NotOffered.into_problem("this platform issues no signed codes").into());
    }
    let code = pairings::offer_pairing(context, kiosk, visit.resident)?;
    Ok(vec![AnswerRow::from([("code".to_owned(), code)])])
}
