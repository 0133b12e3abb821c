//! Behaviour of the contract's codecs from outside.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod envelope;
mod openssl;
