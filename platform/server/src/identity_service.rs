//! The trusted identity service (可信身份认证): which person a ticket of its stands for.

use serde::Deserialize;

use crate::context::RequestContext;
use crate::peer_calls::{Peer, PeerAnswer, PeerCall, PlatformReply};
use crate::request_error::RequestError;

/// The call that redeems a ticket, which the service issued after it had verified a person. The answer goes into `then`;
/// [`VerifiedPerson`] reads it.
pub(crate) fn redeem_ticket(
    ticket: &str,
    then: impl Fn(&mut RequestContext<'_>, Option<&PeerAnswer>) -> Result<PlatformReply, RequestError>
    + Send
    + Sync
    + 'static,
) -> PeerCall {
    let body = serde_json::json!({ "ticket": ticket }).to_string().into_bytes();
    PeerCall::new(Peer::Identity, "/tickets/redeem", body, then)
}

/// The trusted identity service's answer to a ticket.
#[derive(Deserialize)]
pub(crate) struct VerifiedPerson {
    pub(crate) assurance: String,
    pub(crate) name: String,
    pub(crate) id_number: String,
    /// Credential (身份凭证), by which the platform later asks whether the verification is still valid.
    #[serde(default)]
    pub(crate) credential: Option<String>,
}

impl VerifiedPerson {
    /// The person, if the service verified them in person; `None` for any other answer.
    pub(crate) fn in_person(answer: &PeerAnswer) -> Option<Self> {
        let person: Option<Self> =
            (answer.status == 200).then(|| serde_json::from_slice(&answer.body).ok()).flatten();
        person.filter(|person| person.assurance == "in-person")
    }
}
