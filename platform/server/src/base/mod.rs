//! 持卡人基础库: residents and their cards, worked on by the desks of the card's issuers.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /base/v1/issue` | [`cards::Issue`] | `{}`; the person is checked with the trusted identity service first |
//! | `POST /base/v1/activate`, `lose`, `restore`, `cancel` | [`cards::OfCard`] | `{}` |
//! | `POST /base/v1/reissue` | [`cards::Reissue`] | `{}`; the old card ends, the new one waits to be activated |
//! | `POST /base/v1/pin-reset` | [`pins::PinReset`] | [`pins::Opens`]: what lets the desk's terminal set the card's PIN anew |
//! | `POST /base/v1/paper-code` | [`cards::OfCard`] | a code to be printed, see [`codes`](crate::codes); ends the one before |
//! | `POST /base/v1/paper-lost` | [`cards::OfCard`] | `{}` |
//! | `POST /base/v1/import` | lines of a table, see [`import`] | [`import::Report`] |
//!
//! Requests are signed as a client's of [`codes`](crate::codes), whose registration must say `cards = true`. Doing a
//! thing again does nothing, so an answer that was lost is asked for by the same request. Each change is written down
//! with who made it.
//!
//! Card and code go in step: while a resident has no card in force, no code of theirs is accepted and none is issued;
//! when the card is found again, or a new one activated, the phone that is bound fetches a new certificate.

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

/// `POST /base/v1/…`.
pub(crate) fn route(turn: &mut Turn<'_>, name: &str, request: &Request) -> Result<Reply, Fail> {
    let client = device::signer(&turn.city.clients, request)?;
    fresh(request, turn.now)?;
    if !client.cards {
        return Err(ProblemCode::NotOffered.because("the client is not registered to work on cards").into());
    }
    match name {
        "issue" => cards::issue(client, &request.body),
        "reissue" => cards::reissue(turn, client, &request.body),
        "pin-reset" => pins::reset(client, &request.body),
        "import" => import::import(turn, client, &request.body),
        "paper-code" => cards::paper(turn, client, &request.body),
        "paper-lost" => cards::paper_lost(turn, client, &request.body),
        _ => match cards::Step::named(name) {
            Some(step) => cards::step(turn, client, step, &request.body),
            None => Err(ProblemCode::NotOffered.because("there is no such path").into()),
        },
    }
}

/// Writes down what a desk did to a card. `what` names nobody.
fn note(turn: &Turn<'_>, client: &Client, resident: i64, number: &str, what: &str) -> rusqlite::Result<()> {
    turn.tx.execute(
        "INSERT INTO card_changes (resident, number, at_ms, client, what) VALUES (?1, ?2, ?3, ?4, ?5)",
        rusqlite::params![resident, number, crate::columns::ms(turn.now), client.id.to_string(), what],
    )?;
    Ok(())
}
