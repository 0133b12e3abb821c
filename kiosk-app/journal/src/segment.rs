//! The bytes of a segment: one file of the journal.
//!
//! | at | bytes | head of a segment |
//! |---|---|---|
//! | 0 | 4 | `KJS1` |
//! | 4 | 4 | reserved, 0 |
//! | 8 | 16 | device, zero-padded |
//! | 24 | 8 | epoch |
//! | 32 | 8 | number of its first record |
//! | 40 | 32 | chain hash before its first record |
//! | 72 | 12 | nonce of the wrapping |
//! | 84 | 32 | the segment's SM4 key, wrapped with SM4-GCM: 16 bytes and their tag |
//! | 116 | 4 | CRC-32C over the 116 bytes before |
//!
//! A record is `header 48 ‖ sealed(salt 16 ‖ body) ‖ CRC-32C over both, 4`. Sealing is SM4-GCM with a
//! 16-byte tag, the header as associated data, and the record's number as nonce: a segment has its own
//! key and contains each number once, because opening a journal always begins a new segment.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload, consts::U12};
use aes_gcm::{AesGcm, Nonce};
use contract::{HEADER_LEN, Head, KioskId, Record, RecordHeader, SALT_LEN};
use sm4::Sm4;
use zeroize::Zeroizing;

type Sm4Gcm = AesGcm<Sm4, U12>;

/// Bytes of a segment's head.
pub(crate) const HEAD_LEN: usize = 120;
const MAGIC: &[u8; 8] = b"KJS1\0\0\0\0";
const TAG_LEN: usize = 16;
const CRC_LEN: usize = 4;
/// Longest body of a record in bytes: far above any entry, and a bound on the length in a damaged header.
pub(crate) const BODY_MAX: usize = 256 * 1024;

/// Why a segment, or a record in it, cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SegmentError {
    /// The file ends within the head or a record: a torn tail, if it is the last segment.
    #[error("the segment ends in the middle of a record")]
    Torn,
    /// The CRC-32C does not match: the bytes are not those that were written.
    #[error("the checksum does not match")]
    Checksum,
    /// The CRC-32C matches but decryption fails: written with another key, or forged.
    #[error("the segment does not decrypt with this key")]
    Unseal,
    /// Not a segment, or a record of another journal.
    #[error("the file is not a segment of this journal")]
    Foreign,
}

/// SM4 key of 16 bytes; wiped on drop.
pub(crate) type SegmentKey = Zeroizing<[u8; 16]>;

/// The decrypted head of a segment.
pub(crate) struct SegmentHead {
    pub(crate) before: Head,
    pub(crate) sealer: RecordSealer,
}

/// Encrypts and decrypts the records of one segment.
pub(crate) struct RecordSealer(Sm4Gcm);

impl RecordSealer {
    pub(crate) fn new(key: &SegmentKey) -> Self {
        Self(Sm4Gcm::new(&(**key).into()))
    }

    /// Encrypts a record to the bytes that are stored.
    pub(crate) fn seal(&self, record: &Record) -> Option<Vec<u8>> {
        let header = record.header.encode();
        let plain = Zeroizing::new([record.salt.as_slice(), &record.body].concat());
        let payload = Payload { msg: &plain, aad: &header };
        let sealed = self.0.encrypt(&nonce(record.header.seq), payload).ok()?;
        let mut bytes = header.to_vec();
        bytes.extend_from_slice(&sealed);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        Some(bytes)
    }

    /// Decrypts the record at the front of the bytes. Returns it and the bytes after it.
    pub(crate) fn open<'a>(&self, bytes: &'a [u8]) -> Result<(Record, &'a [u8]), SegmentError> {
        let (header_bytes, rest) = bytes.split_at_checked(HEADER_LEN).ok_or(SegmentError::Torn)?;
        // A damaged length in the header may point beyond the end of the file, so a damaged record can look like
        // a torn tail. Recovery distinguishes them by looking for intact records after it.
        let header = RecordHeader::decode(header_bytes).map_err(|_| SegmentError::Checksum)?;
        let body_len = usize::try_from(header.body_len).map_err(|_| SegmentError::Checksum)?;
        if body_len > BODY_MAX {
            return Err(SegmentError::Checksum);
        }
        let sealed_len = SALT_LEN + body_len + TAG_LEN;
        let (sealed, rest) = rest.split_at_checked(sealed_len).ok_or(SegmentError::Torn)?;
        let (checksum, rest) = rest.split_first_chunk::<CRC_LEN>().ok_or(SegmentError::Torn)?;
        let stored = bytes.get(..HEADER_LEN + sealed_len).ok_or(SegmentError::Torn)?;
        if crc32c::crc32c(stored) != u32::from_be_bytes(*checksum) {
            return Err(SegmentError::Checksum);
        }
        let payload = Payload { msg: sealed, aad: header_bytes };
        let plain =
            Zeroizing::new(self.0.decrypt(&nonce(header.seq), payload).map_err(|_| SegmentError::Unseal)?);
        let (salt, body) = plain.split_first_chunk::<SALT_LEN>().ok_or(SegmentError::Unseal)?;
        Ok((Record { header, salt: *salt, body: body.to_vec() }, rest))
    }
}

fn nonce(seq: u64) -> Nonce<U12> {
    let mut bytes = [0; 12];
    for (to, from) in bytes.iter_mut().skip(4).zip(seq.to_be_bytes()) {
        *to = from;
    }
    bytes.into()
}

/// Encodes the head of a new segment whose chain continues from `before`.
pub(crate) fn encode_head(
    before: &Head,
    key: &SegmentKey,
    wrap: &SegmentKey,
    wrap_nonce: [u8; 12],
) -> Option<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&before.device.to_bytes());
    bytes.extend_from_slice(&before.epoch.to_be_bytes());
    bytes.extend_from_slice(&before.seq.saturating_add(1).to_be_bytes());
    bytes.extend_from_slice(&before.hash);
    let payload = Payload { msg: key.as_slice(), aad: &bytes };
    let wrapped = Sm4Gcm::new(&(**wrap).into()).encrypt(&wrap_nonce.into(), payload).ok()?;
    bytes.extend_from_slice(&wrap_nonce);
    bytes.extend_from_slice(&wrapped);
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    Some(bytes)
}

/// Decodes and decrypts the head of a segment. Returns it and the bytes of the records.
pub(crate) fn decode_head<'a>(
    bytes: &'a [u8],
    wrap: &SegmentKey,
) -> Result<(SegmentHead, &'a [u8]), SegmentError> {
    let (head, records) = bytes.split_at_checked(HEAD_LEN).ok_or(SegmentError::Torn)?;
    let (signed, checksum) = head.split_last_chunk::<CRC_LEN>().ok_or(SegmentError::Torn)?;
    if crc32c::crc32c(signed) != u32::from_be_bytes(*checksum) {
        return Err(SegmentError::Checksum);
    }
    let (clear, sealed) = signed.split_at_checked(72).ok_or(SegmentError::Torn)?;
    let (wrap_nonce, wrapped) = sealed.split_first_chunk::<12>().ok_or(SegmentError::Torn)?;
    let rest = clear.strip_prefix(MAGIC).ok_or(SegmentError::Foreign)?;
    let (device, rest) = rest.split_first_chunk::<16>().ok_or(SegmentError::Torn)?;
    let (epoch, rest) = rest.split_first_chunk::<8>().ok_or(SegmentError::Torn)?;
    let (first, rest) = rest.split_first_chunk::<8>().ok_or(SegmentError::Torn)?;
    let hash: &[u8; 32] = rest.first_chunk().ok_or(SegmentError::Torn)?;
    let payload = Payload { msg: wrapped, aad: clear };
    let plain = Sm4Gcm::new(&(**wrap).into())
        .decrypt(&(*wrap_nonce).into(), payload)
        .map(Zeroizing::new)
        .map_err(|_| SegmentError::Unseal)?;
    let key: &[u8; 16] = plain.first_chunk().ok_or(SegmentError::Unseal)?;
    let before = Head {
        device: KioskId::from_bytes(*device).map_err(|_| SegmentError::Foreign)?,
        epoch: u64::from_be_bytes(*epoch),
        seq: u64::from_be_bytes(*first).checked_sub(1).ok_or(SegmentError::Foreign)?,
        hash: *hash,
    };
    Ok((SegmentHead { before, sealer: RecordSealer::new(&Zeroizing::new(*key)) }, records))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Chain, RecordKind, UnixMs};
    use proptest::prelude::*;

    fn key(byte: u8) -> SegmentKey {
        Zeroizing::new([byte; 16])
    }

    fn record(seq: u64, body: &[u8]) -> Record {
        let header = RecordHeader {
            kind: RecordKind(30),
            body_len: u32::try_from(body.len()).unwrap(),
            device: "K-1".parse().unwrap(),
            epoch: 5,
            seq,
            time: UnixMs(9),
        };
        Record { header, salt: [3; SALT_LEN], body: body.to_vec() }
    }

    #[test]
    fn head_decrypts_with_its_key_only() {
        let before = Chain::genesis("K-1".parse().unwrap(), 5).head();
        let bytes = encode_head(&before, &key(1), &key(2), [7; 12]).unwrap();
        assert_eq!(bytes.len(), HEAD_LEN);
        let (opened, rest) = decode_head(&bytes, &key(2)).unwrap();
        assert_eq!((opened.before, rest.len()), (before, 0));
        assert_eq!(decode_head(&bytes, &key(3)).err(), Some(SegmentError::Unseal));
        for len in 0..HEAD_LEN {
            assert_eq!(decode_head(&bytes[..len], &key(2)).err(), Some(SegmentError::Torn));
        }
        for at in 0..HEAD_LEN {
            let mut tampered = bytes.clone();
            tampered[at] ^= 1;
            assert_eq!(decode_head(&tampered, &key(2)).err(), Some(SegmentError::Checksum));
        }
    }

    #[test]
    fn tampered_or_truncated_record_does_not_decrypt() {
        let sealer = RecordSealer::new(&key(1));
        let bytes = sealer.seal(&record(1, "张三丰".as_bytes())).unwrap();
        assert!(!bytes.windows(9).any(|window| window == "张三丰".as_bytes()));
        assert!(sealer.open(&bytes).unwrap().0 == record(1, "张三丰".as_bytes()));
        for len in 0..bytes.len() {
            assert!(sealer.open(&bytes[..len]).is_err());
        }
        for at in 0..bytes.len() {
            let mut tampered = bytes.clone();
            tampered[at] ^= 0x10;
            assert!(sealer.open(&tampered).is_err(), "byte {at}");
        }
    }

    #[test]
    fn record_with_changed_number_does_not_decrypt() {
        let sealer = RecordSealer::new(&key(1));
        let mut bytes = sealer.seal(&record(1, b"{}")).unwrap();
        bytes[39] = 2;
        let end = bytes.len() - CRC_LEN;
        let checksum = crc32c::crc32c(&bytes[..end]).to_be_bytes();
        bytes[end..].copy_from_slice(&checksum);
        assert_eq!(sealer.open(&bytes).err(), Some(SegmentError::Unseal));
    }

    proptest! {
        #[test]
        fn decode_garbage_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode_head(&bytes, &key(2)).is_ok();
            let _ = RecordSealer::new(&key(1)).open(&bytes).is_ok();
        }
    }
}
