//! Tests of the contract's public codecs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod envelope;
mod openssl;
