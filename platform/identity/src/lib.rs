//! A sandbox trusted identity service (可信身份认证): it has a register of persons, sees a person, and tells those who
//! may know whom it saw.
//!
//! It stands for the state's own, so it is a process of its own and shares no code with the platform: what they agree
//! on is the wire alone. It has no camera: whoever fills in the name and number of a person in its register counts as
//! seen. The real one looks at a face, and that is the only difference its callers would notice.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | `POST /names` | [`Claim`] | 实名核验: `{"match": true}` when name and number are one person's |
//! | `GET /check?return=URL&state=S` | – | 实人核验: a page for the person; it goes back to `URL#ticket=…&state=S` |
//! | `POST /tickets` | [`Claim`] | what that page does: `{"ticket"}` for a person it has seen, 403 for others |
//! | `POST /tickets/redeem` | [`Redeem`] | [`Seen`], once; 410 afterwards and after five minutes |
//! | `POST /credentials` | [`Credential`] | 身份凭证: [`Standing`] of what [`Seen`] gave |
//! | `POST /credentials/end` | [`Claim`] | the person's document was lost, or the person died: 204 |
//!
//! Who is asked about is named in a body, never in a path, so that no identity number gets into an access log.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod register;
pub mod shell;

pub use register::{Claim, Credential, Redeem, Register, SeedError, Seen, Standing};
