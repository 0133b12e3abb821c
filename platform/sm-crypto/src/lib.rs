//! SM2 signatures (GM/T 0003.2, GB/T 32918.2) over SM3 (GM/T 0004, GB/T 32905), with one signer identity; and the
//! hexadecimal text of keys, hashes and signatures.
//!
//! The only key types of the workspace: codes, records, requests and documents are all signed with them. Pure: no
//! I/O and no randomness.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod hash;
mod hex;
mod keys;

pub use hash::sm3;
pub use hex::{from_hex, to_hex, to_hex_upper};
pub use keys::{COMPRESSED_LEN, PublicKey, SIGNATURE_LEN, SecretKey, SignError, Signature};
