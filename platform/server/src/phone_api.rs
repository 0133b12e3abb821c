//! The paths that a phone's web app calls.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /code/v1/bindings` | `BindRequest` | `BindAnswer` |
//! | `POST /code/v1/certificates` | `CertifyRequest` | `CertifyAnswer` |
//! | `POST /code/v1/tokens` | `PhoneRequest` | `TokenAnswer` |
//! | `POST /code/v1/uses` | `PhoneRequest` | `UsesAnswer` |
//! | `POST /code/v1/standing` | `SessionRequest` | `SessionStatus` |
//! | `POST /code/v1/losses` | `PhoneRequest` | `{}` |
//! | `POST /code/v1/consents`, `consent`, `withdrawals` | see [`consents::phone`](crate::consents::phone) | |
//! | `POST /code/v1/licences` | see [`e_certificates::wallet`](crate::e_certificates::wallet) | |
//!
//! The types are those of [`requests`]. A phone authenticates itself by a secret, see
//! [`bound_phone`](crate::phones::bound_phone).

use crate::context::RequestContext;
use crate::peer_calls::PlatformReply;
use crate::phone_refusal::PhoneRefusal;
use crate::phones::requests;
use crate::request_error::RequestError;
use crate::{consents, e_certificates};

/// Handles a phone's request `POST /code/v1/…`.
pub(crate) fn route_phone_request(
    context: &mut RequestContext<'_>,
    name: &str,
    body: &[u8],
) -> Result<PlatformReply, RequestError> {
    match name {
        "bindings" => requests::request_binding(context, body),
        "certificates" => requests::request_certificate(context, body),
        "tokens" => requests::issue_token_to_phone(context, body),
        "uses" => requests::list_uses(context, body),
        "losses" => requests::report_loss(context, body),
        "standing" => requests::session_status(context, body),
        "consents" => consents::phone::list_consents(context, body),
        "consent" => consents::phone::decide_consent(context, body),
        "withdrawals" => consents::phone::withdraw_consent(context, body),
        "licences" => e_certificates::wallet::list_e_certificates(context, body),
        _ => Err(PhoneRefusal::NotOffered.into()),
    }
}
