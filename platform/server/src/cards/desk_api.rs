//! The paths by which the service desks of the card issuer maintain the card-holder base.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /base/v1/issue` | [`life_cycle::IssueRequest`] | `{}`; the trusted identity service verifies the person's name first |
//! | `POST /base/v1/activate`, `lose`, `restore`, `cancel` | [`life_cycle::CardNumberRequest`] | `{}` |
//! | `POST /base/v1/reissue` | [`life_cycle::ReissueRequest`] | `{}`; the old card is cancelled, the new one must be activated |
//! | `POST /base/v1/pin-reset` | [`pin_reset::PinResetRequest`] | [`pin_reset::PinResetAnswer`]: data with which the desk's terminal resets the card's PIN |
//! | `POST /base/v1/paper-code` | [`life_cycle::CardNumberRequest`] | a paper code to be printed, see [`paper_codes`](crate::codes::paper_codes); revokes the one before |
//! | `POST /base/v1/paper-lost` | [`life_cycle::CardNumberRequest`] | `{}` |
//! | `POST /base/v1/import` | lines of a table, see [`import`] | [`import::ImportReport`] |
//!
//! Requests are signed like those of a relying party (see [`request_signature`](crate::request_signature)), whose
//! registration must have `cards = true`. All requests are idempotent: a lost answer is recovered by repeating the
//! request. Each change is logged with the desk that made it.

use contract::ProblemCode;

use super::{import, life_cycle, pin_reset};
use crate::context::RequestContext;
use crate::messages::PlatformRequest;
use crate::peer_calls::PlatformReply;
use crate::recovery_state::refuse_while_recovering;
use crate::request_error::RequestError;
use crate::request_signature::{check_request_time, verified_signer};

/// Handles `POST /base/v1/…`.
pub(crate) fn route_base_request(
    context: &mut RequestContext<'_>,
    name: &str,
    request: &PlatformRequest,
) -> Result<PlatformReply, RequestError> {
    let relying_party = verified_signer(&context.config.relying_parties, request)?;
    check_request_time(request, context.now)?;
    if !relying_party.cards {
        return Err(ProblemCode::NotOffered
            .into_problem("the relying party is not registered to maintain cards")
            .into());
    }
    // A loss is still taken: it only takes away.
    if !["lose", "paper-lost"].contains(&name) {
        refuse_while_recovering(context)?;
    }
    match name {
        "issue" => life_cycle::request_name_check(relying_party, &request.body),
        "reissue" => life_cycle::reissue_card(context, relying_party, &request.body),
        "pin-reset" => pin_reset::request_pin_reset(relying_party, &request.body),
        "import" => import::import_table(context, relying_party, &request.body),
        "paper-code" => life_cycle::issue_paper_code_for_card(context, relying_party, &request.body),
        "paper-lost" => life_cycle::report_paper_code_lost(context, relying_party, &request.body),
        _ => match life_cycle::CardAction::from_name(name) {
            Some(step) => life_cycle::apply_card_action(context, relying_party, step, &request.body),
            None => Err(ProblemCode::NotOffered.into_problem("no such path").into()),
        },
    }
}
