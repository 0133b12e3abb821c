//! Replies of the platform: an answer, or a call to a peer that must be made first.

use std::sync::Arc;

use contract::{DepartmentId, RelyingPartyId, Signature};

use crate::context::RequestContext;
use crate::messages::PlatformResponse;
use crate::request_error::RequestError;

/// Result of handling a request: an answer, or a call that must be made first.
pub enum PlatformReply {
    /// The answer to the request.
    Answer(PlatformResponse),
    /// A call to a peer; its result goes into [`Platform::resume`](crate::Platform::resume).
    CallPeer(PeerCall),
}

impl From<PlatformResponse> for PlatformReply {
    fn from(response: PlatformResponse) -> Self {
        Self::Answer(response)
    }
}

/// A system that the platform calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The institution that charges orders.
    Acquirer,
    /// A department: it answers queries, and owns bills and receives their payments.
    Department(DepartmentId),
    /// The trusted identity service (可信身份认证), which verifies persons.
    Identity,
}

/// A `POST` of JSON to a peer. No `Debug`: its body may name a person.
///
/// A lost call loses no payment: orders and postings are stored in the database, and [`Platform::due_calls`] repeats
/// their calls.
///
/// [`Platform::due_calls`]: crate::Platform::due_calls
#[derive(Clone)]
pub struct PeerCall {
    /// System to call.
    pub peer: Peer,
    /// Path of the URL.
    pub target: String,
    /// JSON body; may be empty.
    pub body: Vec<u8>,
    /// Headers of a signed request.
    pub headers: Option<SignedHeaders>,
    /// Time in milliseconds after which the peer counts as not answering, where it has one of its own.
    pub timeout_ms: Option<u32>,
    continuation: Arc<Continuation>,
}

impl PeerCall {
    /// A call whose result goes into `then`, with all data that this needs. `then` gets `None` when no complete answer
    /// came.
    pub(crate) fn new(
        peer: Peer,
        target: impl Into<String>,
        body: Vec<u8>,
        then: impl Fn(&mut RequestContext<'_>, Option<&PeerAnswer>) -> Result<PlatformReply, RequestError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let continuation = Arc::new(then);
        Self { peer, target: target.into(), body, headers: None, timeout_ms: None, continuation }
    }

    /// The same call with a signature, and a time-out of its own.
    pub(crate) fn signed(self, headers: SignedHeaders, timeout_ms: u32) -> Self {
        Self { headers: Some(headers), timeout_ms: Some(timeout_ms), ..self }
    }

    /// Continues the work that this call belongs to.
    pub(crate) fn resume(
        &self,
        context: &mut RequestContext<'_>,
        answer: Option<&PeerAnswer>,
    ) -> Result<PlatformReply, RequestError> {
        (self.continuation)(context, answer)
    }
}

/// Who sends a call, when, and the signature over it, see [`contract::request_bytes_to_sign`].
#[derive(Clone, Debug)]
pub struct SignedHeaders {
    /// Header `X-Device`.
    pub device: RelyingPartyId,
    /// Header `X-Time`.
    pub time: String,
    /// Header `X-Signature`.
    pub signature: Signature,
}

/// What to do with the result of a call. A call and its answer are not one transaction, so
/// [`Platform::resume`](crate::Platform::resume) continues from this value in a new one.
///
/// A function and not an enum: the module that makes a call says how its work goes on, so this module imports none of
/// them.
type Continuation =
    dyn Fn(&mut RequestContext<'_>, Option<&PeerAnswer>) -> Result<PlatformReply, RequestError> + Send + Sync;

/// A peer's answer. No `Debug`: its body may hold personal data.
#[derive(Clone)]
pub struct PeerAnswer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
    /// Header `X-Time`, from peers that sign.
    pub time: Option<String>,
    /// Header `X-Signature`, from peers that sign.
    pub signature: Option<String>,
}

impl PeerAnswer {
    /// The answer of a peer that does not sign.
    #[must_use]
    pub const fn unsigned(status: u16, body: Vec<u8>) -> Self {
        Self { status, body, time: None, signature: None }
    }
}

/// No complete answer came from a peer. It is unknown whether the call arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerUnreachable;
