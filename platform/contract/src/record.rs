//! A journal record, its header, and the hash chain that reveals a missing or changed record.
//!
//! Header, 48 bytes, big-endian:
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 1 | kind, see [`RecordKind`] |
//! | 2 | 2 | reserved, 0 |
//! | 4 | 4 | length of the plain body in bytes |
//! | 8 | 16 | kiosk id, zero-padded |
//! | 24 | 8 | epoch |
//! | 32 | 8 | sequence number in the epoch, from 1, without gaps |
//! | 40 | 8 | wall time, milliseconds since 1970 |
//!
//! The chain commits to the salted plaintext, so an auditor needs no key, and destroying a key does not
//! invalidate the chain: `h_n = SM3(h_{n-1} ‖ header ‖ SM3(salt ‖ body))`, where
//! `h_0 = SM3("kiosk-journal/1" ‖ device ‖ epoch)`.

use serde::{Deserialize, Serialize};

use crate::id::{IdError, KioskId};
use crate::time::UnixMs;
use sm_crypto::sm3;

/// Bytes of an encoded [`RecordHeader`].
pub const HEADER_LEN: usize = 48;
/// Bytes of a record's salt.
pub const SALT_LEN: usize = 16;
const VERSION: u8 = 1;

/// The kind of a record, readable without opening its body. A reader keeps records of unknown kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordKind(pub u8);

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// The kind of the record.
    pub kind: RecordKind,
    /// Length of the plain body in bytes.
    pub body_len: u32,
    /// The kiosk that wrote the record.
    pub device: KioskId,
    /// Number of the epoch, drawn at random when a new chain begins.
    pub epoch: u64,
    /// 1, 2, 3, … within the epoch, never reused.
    pub seq: u64,
    /// The kiosk's wall clock when the record was written.
    pub time: UnixMs,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than a header has.
    #[error("a record header has {HEADER_LEN} bytes, got {0}")]
    Short(usize),
    /// Written in another version of the format.
    #[error("record version {0} is not supported")]
    Version(u8),
    /// The reserved bytes are not zero.
    #[error("the reserved bytes of a record header are not zero")]
    Reserved,
    /// The kiosk id is malformed.
    #[error("the kiosk id in the record is malformed")]
    Device(#[from] IdError),
    /// The length of the body differs from the header.
    #[error("the record's body has {got} bytes, its header states {stated}")]
    Length {
        /// Length in the header, in bytes.
        stated: u32,
        /// Actual length, in bytes.
        got: usize,
    },
    /// A record is missing or repeated, or belongs to another log.
    #[error("expected record {expected}, got {got}: records are missing or out of order")]
    Sequence {
        /// The next sequence number of the chain.
        expected: u64,
        /// The record's sequence number.
        got: u64,
    },
    /// The record belongs to another kiosk or epoch than the chain.
    #[error("the record belongs to another log")]
    OtherChain,
}

impl RecordHeader {
    /// Encodes the header in 48 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let fields: [(usize, &[u8]); 6] = [
            (0, &[VERSION, self.kind.0]),
            (4, &self.body_len.to_be_bytes()),
            (8, &self.device.to_bytes()),
            (24, &self.epoch.to_be_bytes()),
            (32, &self.seq.to_be_bytes()),
            (40, &self.time.0.to_be_bytes()),
        ];
        for (at, field) in fields {
            for (to, from) in bytes.iter_mut().skip(at).zip(field) {
                *to = *from;
            }
        }
        bytes
    }

    /// Reads a header from the front of the bytes.
    ///
    /// # Errors
    /// When there are too few bytes, or they are of another version or malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let head: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(RecordError::Short(bytes.len()))?;
        let [version, kind, reserved_a, reserved_b, rest @ ..] = head;
        if *version != VERSION {
            return Err(RecordError::Version(*version));
        }
        if (*reserved_a, *reserved_b) != (0, 0) {
            return Err(RecordError::Reserved);
        }
        let (body_len, rest) = split_array::<4>(rest);
        let (device, rest) = split_array::<16>(rest);
        let (epoch, rest) = split_array::<8>(rest);
        let (seq, rest) = split_array::<8>(rest);
        let (time, _) = split_array::<8>(rest);
        Ok(Self {
            kind: RecordKind(*kind),
            body_len: u32::from_be_bytes(body_len),
            device: KioskId::from_bytes(device)?,
            epoch: u64::from_be_bytes(epoch),
            seq: u64::from_be_bytes(seq),
            time: UnixMs(u64::from_be_bytes(time)),
        })
    }
}

/// The first `N` bytes and the rest; zeros when there are too few, which no caller allows.
fn split_array<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    bytes.split_first_chunk().map_or(([0; N], &[]), |(head, rest)| (*head, rest))
}

/// 记录: a record in plaintext. The kiosk seals it on its disk; the platform stores it.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The header.
    pub header: RecordHeader,
    /// Random bytes, so that a short body cannot be guessed from the committed hash.
    pub salt: [u8; SALT_LEN],
    /// JSON of an [`Entry`](crate::Entry).
    pub body: Vec<u8>,
}

impl Record {
    /// `SM3(salt ‖ body)`: the chain commits to this value, and an auditor needs nothing else of the body.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        sm3(&[&self.salt, &self.body])
    }
}

/// A point in a kiosk's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The kiosk.
    pub device: KioskId,
    /// The epoch of the chain.
    pub epoch: u64,
    /// The last record that the hash covers; 0 before the first.
    pub seq: u64,
    /// `h_seq` in hexadecimal.
    #[serde(with = "hash_hex")]
    pub hash: [u8; 32],
}

impl Head {
    /// The bytes that a kiosk signs with its device key to confirm its log up to this point.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        let mut bytes = b"kiosk-head/1".to_vec();
        bytes.extend(self.device.to_bytes());
        bytes.extend(self.epoch.to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.hash);
        bytes
    }
}

/// The hash chain of one kiosk and epoch, computed record by record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain(Head);

impl Chain {
    /// The chain before its first record.
    #[must_use]
    pub fn genesis(device: KioskId, epoch: u64) -> Self {
        let hash = sm3(&[b"kiosk-journal/1", &device.to_bytes(), &epoch.to_be_bytes()]);
        Self(Head { device, epoch, seq: 0, hash })
    }

    /// Continues a chain from a head that is already trusted.
    #[must_use]
    pub const fn from_head(head: Head) -> Self {
        Self(head)
    }

    /// The current head of the chain.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.0
    }

    /// Appends the next record.
    ///
    /// # Errors
    /// When the record belongs to another log or is not the next one; the chain is then unchanged.
    pub fn push(&mut self, header: &RecordHeader, commitment: &[u8; 32]) -> Result<(), RecordError> {
        if (header.device, header.epoch) != (self.0.device, self.0.epoch) {
            return Err(RecordError::OtherChain);
        }
        let expected = self.0.seq.saturating_add(1);
        if header.seq != expected {
            return Err(RecordError::Sequence { expected, got: header.seq });
        }
        self.0.hash = sm3(&[&self.0.hash, &header.encode(), commitment]);
        self.0.seq = expected;
        Ok(())
    }
}

mod hash_hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use sm_crypto::SignError;

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&sm_crypto::to_hex(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        sm_crypto::from_hex(&text).ok_or_else(|| D::Error::custom(SignError::NotHex(32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(seq: u64) -> RecordHeader {
        RecordHeader {
            kind: RecordKind(3),
            body_len: 7,
            device: "K-DH-0001".parse().unwrap(),
            epoch: 0x1122_3344_5566_7788,
            seq,
            time: UnixMs(1_795_000_000_000),
        }
    }

    /// Version 1 of the format. If this test fails, do not change the test: the format changed.
    #[test]
    fn header_bytes_of_version_1_are_stable() {
        assert_eq!(
            sm_crypto::to_hex(&header(9).encode()),
            "01030000000000074b2d44482d30303031000000000000001122334455667788\
             0000000000000009000001a1ee565e00"
                .replace(char::is_whitespace, "")
        );
    }

    /// Version 1 of the format. If this test fails, do not change the test: the format changed.
    #[test]
    fn signed_bytes_and_json_of_a_head_are_stable() {
        let head = Chain::genesis("K-DH-0001".parse().unwrap(), 0x1122_3344_5566_7788).head();
        let head = Head { seq: 9, hash: [0xAB; 32], ..head };
        let expected = [
            sm_crypto::to_hex(b"kiosk-head/1"),
            sm_crypto::to_hex(b"K-DH-0001\0\0\0\0\0\0\0"),
            "1122334455667788".to_owned(),
            "0000000000000009".to_owned(),
            "ab".repeat(32),
        ];
        assert_eq!(sm_crypto::to_hex(&head.to_be_signed()), expected.concat());
        let json = serde_json::to_string(&head).unwrap();
        assert_eq!(serde_json::from_str::<Head>(&json).unwrap(), head);
    }

    #[test]
    fn header_decode_refuses_truncation_and_other_versions() {
        let bytes = header(1).encode();
        for len in 0..HEADER_LEN {
            assert_eq!(RecordHeader::decode(&bytes[..len]), Err(RecordError::Short(len)));
        }
        let mut other = bytes;
        other[0] = 2;
        assert_eq!(RecordHeader::decode(&other), Err(RecordError::Version(2)));
        let mut reserved = bytes;
        reserved[3] = 1;
        assert_eq!(RecordHeader::decode(&reserved), Err(RecordError::Reserved));
    }

    #[test]
    fn chain_refuses_missing_or_repeated_record() {
        let mut chain = Chain::genesis(header(1).device, header(1).epoch);
        chain.push(&header(1), &[1; 32]).unwrap();
        assert_eq!(chain.push(&header(3), &[3; 32]), Err(RecordError::Sequence { expected: 2, got: 3 }));
        assert_eq!(chain.push(&header(1), &[1; 32]), Err(RecordError::Sequence { expected: 2, got: 1 }));
        let mut changed = chain;
        chain.push(&header(2), &[2; 32]).unwrap();
        changed.push(&header(2), &[9; 32]).unwrap();
        assert_ne!(chain.head().hash, changed.head().hash);
    }

    proptest! {
        #[test]
        fn header_round_trips_and_any_bytes_do_not_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..64), kind: u8, seq: u64, body_len: u32,
        ) {
            let _ = RecordHeader::decode(&bytes);
            let header = RecordHeader { kind: RecordKind(kind), body_len, ..header(seq) };
            prop_assert_eq!(RecordHeader::decode(&header.encode()), Ok(header));
        }
    }
}
