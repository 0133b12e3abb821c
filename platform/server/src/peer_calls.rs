//! Replies of the platform: an answer, or a call to a peer that must be made first.

use std::sync::Arc;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The institution that charges orders.
    Acquirer,
    /// The authority that owns the bills and receives the payments.
    Department,
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
        Self { peer, target: target.into(), body, continuation: Arc::new(then) }
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
}

/// No complete answer came from a peer. It is unknown whether the call arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerUnreachable;
