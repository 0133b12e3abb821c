//! The card-holder base (持卡人基础库): residents and their cards, maintained by the service desks of the card issuer.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /base/v1/issue` | [`cards::IssueRequest`] | `{}`; the trusted identity service verifies the person's name first |
//! | `POST /base/v1/activate`, `lose`, `restore`, `cancel` | [`cards::CardNumberRequest`] | `{}` |
//! | `POST /base/v1/reissue` | [`cards::ReissueRequest`] | `{}`; the old card is cancelled, the new one must be activated |
//! | `POST /base/v1/pin-reset` | [`pin_reset::PinResetRequest`] | [`pin_reset::PinResetAnswer`]: data with which the desk's terminal resets the card's PIN |
//! | `POST /base/v1/paper-code` | [`cards::CardNumberRequest`] | a paper code to be printed, see [`codes`](crate::codes); revokes the one before |
//! | `POST /base/v1/paper-lost` | [`cards::CardNumberRequest`] | `{}` |
//! | `POST /base/v1/import` | lines of a table, see [`import`] | [`import::ImportReport`] |
//!
//! Requests are signed like those of a relying party (see [`codes`](crate::codes)), whose registration must have
//! `cards = true`. All requests are idempotent: a lost answer is recovered by repeating the request. Each change is
//! logged with the desk that made it.
//!
//! Codes depend on cards: while a resident has no card in force, none of the resident's codes is accepted and none is
//! issued. When the card is restored, or a new one activated, the bound phone fetches a new certificate.

mod cards;
mod import;
mod pin_reset;

use contract::ProblemCode;

use crate::codes::{RelyingParty, check_request_time};
use crate::messages::{PlatformReply, PlatformRequest};
use crate::platform::RequestContext;
use crate::registry;
use crate::request_error::RequestError;

pub(crate) use cards::{IssueRequest, has_card_in_force, on_name_check_reply};
pub(crate) use pin_reset::{PinResetRequest, on_pin_reset_reply};

/// Handles `POST /base/v1/…`.
pub(crate) fn route_base_request(
    context: &mut RequestContext<'_>,
    name: &str,
    request: &PlatformRequest,
) -> Result<PlatformReply, RequestError> {
    let relying_party = registry::verified_signer(&context.config.relying_parties, request)?;
    check_request_time(request, context.now)?;
    if !relying_party.cards {
        return Err(ProblemCode::NotOffered
            .into_problem("the relying party is not registered to maintain cards")
            .into());
    }
    match name {
        "issue" => cards::request_name_check(relying_party, &request.body),
        "reissue" => cards::reissue_card(context, relying_party, &request.body),
        "pin-reset" => pin_reset::request_pin_reset(relying_party, &request.body),
        "import" => import::import_table(context, relying_party, &request.body),
        "paper-code" => cards::issue_paper_code_for_card(context, relying_party, &request.body),
        "paper-lost" => cards::report_paper_code_lost(context, relying_party, &request.body),
        _ => match cards::CardAction::from_name(name) {
            Some(step) => cards::apply_card_action(context, relying_party, step, &request.body),
            None => Err(ProblemCode::NotOffered.into_problem("no such path").into()),
        },
    }
}

/// Logs a change that a service desk made to a card. `what` must hold no personal data.
fn log_card_change(
    context: &RequestContext<'_>,
    relying_party: &RelyingParty,
    resident: i64,
    number: &str,
    what: &str,
) -> rusqlite::Result<()> {
    context.tx.execute(
        "INSERT INTO card_changes (resident, number, at_ms, client, what) VALUES (?1, ?2, ?3, ?4, ?5)",
        rusqlite::params![
            resident,
            number,
            crate::columns::to_ms_column(context.now),
            relying_party.id.to_string(),
            what
        ],
    )?;
    Ok(())
}
