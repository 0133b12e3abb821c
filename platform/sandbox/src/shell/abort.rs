//! A response that closes the connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;

/// Closes the connection without a byte of an answer: the response head is not sent before the body, which fails at
/// once.
pub(crate) fn abort_connection() -> Response {
    struct AbortedBody;
    impl http_body::Body for AbortedBody {
        type Data = Bytes;
        type Error = io::Error;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
            Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
        }
    }
    Response::new(Body::new(AbortedBody))
}
