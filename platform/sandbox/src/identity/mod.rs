//! A sandbox trusted identity service (可信身份认证): it has a register of persons, verifies a person, and reports the
//! verified person to the services that hold the ticket.
//!
//! The sandbox stands for the state's service. It has no camera: anyone who enters the name and number of a person in
//! the register counts as verified. The real service compares a face, and callers would notice no other difference.
//! It has no database, and no faults are injected: a person who is not verified tries again.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | `POST /names` | [`PersonIdentity`] | 实名核验: `{"match": true}` when name and number belong to one person |
//! | `GET /check?return=URL&state=S` | – | 实人核验: a page for the person; it redirects to `URL#ticket=…&state=S` |
//! | `POST /tickets` | [`PersonIdentity`] | the request of that page: `{"ticket"}` for a person in the register, 403 for others |
//! | `POST /tickets/redeem` | [`RedeemRequest`] | [`RedeemAnswer`], once; 410 afterwards and after five minutes |
//! | `POST /credentials` | [`CredentialQuery`] | 身份凭证: [`CredentialState`] of the credential in a [`RedeemAnswer`] |
//! | `POST /credentials/end` | [`PersonIdentity`] | ends the person's credentials (document lost, person died): 204 |
//!
//! A person is named in the body, never in the path, so that no identity number gets into an access log.

mod http;
mod register;

pub use http::router;
pub use register::{CredentialQuery, CredentialState, PersonIdentity, RedeemAnswer, RedeemRequest, Register};
