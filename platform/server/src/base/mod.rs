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
mod number;
mod pins;

use contract::ProblemCode;

use crate::codes::{Client, fresh};
use crate::device;
use crate::fail::Fail;
use crate::platform::Turn;
use crate::wire::{Reply, Request};

pub(crate) use cards::{Issue, in_force, named};
pub(crate) use pins::{PinReset, seen};

/// Handles `POST /base/v1/…`.
pub(crate) fn route(context: &mut Turn<'_>, name: &str, request: &Request) -> Result<Reply, Fail> {
    let relying_party = device::signer(&context.city.clients, request)?;
    fresh(request, context.now)?;
    if !relying_party.cards {
        return Err(ProblemCode::NotOffered
            .because("the relying party is not registered to maintain cards")
            .into());
    }
    match name {
        "issue" => cards::issue(relying_party, &request.body),
        "reissue" => cards::reissue(context, relying_party, &request.body),
        "pin-reset" => pins::reset(relying_party, &request.body),
        "import" => import::import(context, relying_party, &request.body),
        "paper-code" => cards::paper(context, relying_party, &request.body),
        "paper-lost" => cards::paper_lost(context, relying_party, &request.body),
        _ => match cards::Step::named(name) {
            Some(step) => cards::step(context, relying_party, step, &request.body),
            None => Err(ProblemCode::NotOffered.because("no such path").into()),
        },
    }
}

/// Logs a change that a service desk made to a card. `what` must hold no personal data.
fn note(
    context: &Turn<'_>,
    relying_party: &Client,
    resident: i64,
    number: &str,
    what: &str,
) -> rusqlite::Result<()> {
    context.tx.execute(
        "INSERT INTO card_changes (resident, number, at_ms, client, what) VALUES (?1, ?2, ?3, ?4, ?5)",
        rusqlite::params![
            resident,
            number,
            crate::columns::ms(context.now),
            relying_party.id.to_string(),
            what
        ],
    )?;
    Ok(())
}
