//! The operations that the platform answers itself. All others are departments', see `operations.toml`; those about licences are in
//! `licence_calls.rs`.

use contract::{AnswerRow, Evidence, Level, ProblemCode};

use crate::config::kiosks::RegisteredKiosk;
use crate::context::RequestContext;
use crate::phones::pairings;
use crate::request_error::RequestError;
use crate::submissions::list::submissions_of;
use crate::visits::identify::OpenVisit;

/// An operation of the platform itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlatformOperation {
    /// Pairing a phone for resident codes (开通渝快码).
    PhonePairing,
    /// What the resident has submitted to departments, and its state (我的办件).
    MySubmissions,
}

impl PlatformOperation {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "phone.pairing" => Some(Self::PhonePairing),
            "submissions.mine" => Some(Self::MySubmissions),
            _ => None,
        }
    }

    /// Minimum level of the visit, which a service document cannot lower. Pairing needs a proven identity, so that a
    /// photographed code or a found card cannot bind a phone to another person.
    pub(crate) const fn min_level(self) -> Level {
        match self {
            Self::PhonePairing => Level::Proven,
            Self::MySubmissions => Level::Recognised,
        }
    }

    /// The rows for the visit's resident.
    pub(crate) fn rows(
        self,
        context: &mut RequestContext<'_>,
        kiosk: &RegisteredKiosk,
        visit: &OpenVisit,
    ) -> Result<Vec<AnswerRow>, RequestError> {
        match self {
            Self::PhonePairing => offer_phone_pairing(context, kiosk, visit),
            Self::MySubmissions => Ok(submissions_of(context, visit.resident)?),
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
