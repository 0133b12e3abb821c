//! The bytes of a segment: one file of the journal. Written in version 2; version 1 is still read.
//!
//! | at | bytes | head of a segment |
//! |---|---|---|
//! | 0 | 4 | `KJS2`, or `KJS1` |
//! | 4 | 4 | reserved, 0 |
//! | 8 | 16 | device, zero-padded |
//! | 24 | 8 | epoch |
//! | 32 | 8 | number of its first record |
//! | 40 | 32 | chain hash before its first record |
//! | 72 | 12 | nonce of the wrapping |
//! | 84 | 32 | the segment's SM4 key, wrapped with SM4-GCM: 16 bytes and their tag |
//! | 116 | 4 | CRC-32C over the 116 bytes before |
//!
//! The snapshot follows: the state before the first record.
//!
//! | at | bytes | snapshot |
//! |---|---|---|
//! | 0 | 4 | length n |
//! | 4 | n | JSON, sealed with the 120 bytes of the head as associated data |
//! | 4 + n | 4 | CRC-32C over the bytes before |
//!
//! Then units follow. The records of one unit became durable together: of a unit that is not whole, none is read.
//!
//! | at | bytes | unit |
//! |---|---|---|
//! | 0 | 4 | number of records, 1 or more |
//! | 4 | 4 | length n of the records |
//! | 8 | 4 | CRC-32C over the 8 bytes before |
//! | 12 | n | records |
//!
//! A record is `header 48 ‖ sealed(salt 16 ‖ body) ‖ CRC-32C over both, 4`. Sealing is SM4-GCM with a 16-byte tag, the
//! header as associated data, and the record's number after four zero bytes as nonce; the snapshot's nonce is the number
//! of the first record after four bytes of 0xFF. A segment has its own key and contains each number once, because
//! opening a journal always begins a new segment.
//!
//! Version 1 has neither snapshot nor units: records follow the head, and each counts as a unit.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload, consts::U12};
use aes_gcm::{AesGcm, Nonce};
use contract::{HEADER_LEN, Head, KioskId, RECORD_BYTES_MAX, Record, RecordHeader, SALT_LEN};
use sm4::Sm4;
use zeroize::Zeroizing;

type Sm4Gcm = AesGcm<Sm4, U12>;

/// Bytes of a segment's head.
pub(crate) const HEAD_LEN: usize = 120;
const MAGIC: &[u8; 8] = b"KJS2\0\0\0\0";
const MAGIC_V1: &[u8; 8] = b"KJS1\0\0\0\0";
/// Bytes before the records of a unit.
const UNIT_HEAD_LEN: usize = 12;
/// Longest snapshot in bytes, a bound on the length in a damaged segment.
const SNAPSHOT_MAX: usize = 32 * 1024 * 1024;
const TAG_LEN: usize = 16;
const CRC_LEN: usize = 4;

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

/// Version of a segment's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Records follow the head.
    V1,
    /// A snapshot follows the head, then units.
    V2,
}

/// The decrypted head of a segment.
pub(crate) struct SegmentHead {
    /// Head of the chain before the first record.
    pub(crate) before: Head,
    sealer: RecordSealer,
    version: Version,
    /// The encoded head: associated data of the snapshot.
    encoded: Vec<u8>,
}

/// A decrypted snapshot.
pub(crate) struct OpenedSnapshot<'a> {
    /// JSON of the state before the first record.
    pub(crate) json: Zeroizing<Vec<u8>>,
    /// The bytes after the snapshot.
    pub(crate) units: &'a [u8],
}

impl SegmentHead {
    /// Decrypts the snapshot at the front of the bytes after the head. `None` in version 1.
    pub(crate) fn open_snapshot<'a>(
        &self,
        bytes: &'a [u8],
    ) -> Result<Option<OpenedSnapshot<'a>>, SegmentError> {
        if self.version == Version::V1 {
            return Ok(None);
        }
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or(SegmentError::Torn)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| SegmentError::Checksum)?;
        if length > SNAPSHOT_MAX {
            return Err(SegmentError::Checksum);
        }
        let (sealed, rest) = rest.split_at_checked(length).ok_or(SegmentError::Torn)?;
        let (checksum, rest) = rest.split_first_chunk::<CRC_LEN>().ok_or(SegmentError::Torn)?;
        let stored = bytes.get(..4 + length).ok_or(SegmentError::Torn)?;
        if crc32c::crc32c(stored) != u32::from_be_bytes(*checksum) {
            return Err(SegmentError::Checksum);
        }
        let payload = Payload { msg: sealed, aad: &self.encoded };
        let plain = self.sealer.0.decrypt(&snapshot_nonce(&self.before), payload);
        let json = plain.map(Zeroizing::new).map_err(|_| SegmentError::Unseal)?;
        Ok(Some(OpenedSnapshot { json, units: rest }))
    }

    /// Decrypts the unit at the front of the bytes. Returns its records and the bytes after it.
    pub(crate) fn open_unit<'a>(&self, bytes: &'a [u8]) -> Result<(Vec<Record>, &'a [u8]), SegmentError> {
        if self.version == Version::V1 {
            return self.sealer.open(bytes).map(|(record, rest)| (vec![record], rest));
        }
        let (count, mut records_bytes, rest) = split_unit(bytes)?;
        let mut records = Vec::new();
        while !records_bytes.is_empty() {
            // The unit's head is whole, so nothing in it can be torn.
            let (record, next) = self.sealer.open(records_bytes).map_err(|error| match error {
                SegmentError::Torn => SegmentError::Checksum,
                SegmentError::Checksum | SegmentError::Unseal | SegmentError::Foreign => error,
            })?;
            records.push(record);
            records_bytes = next;
        }
        if records.len() == count { Ok((records, rest)) } else { Err(SegmentError::Checksum) }
    }

    /// Checks that a unit was written whole.
    pub(crate) fn check_first_unit(&self, units: &[u8]) -> Result<(), SegmentError> {
        match self.open_unit(units) {
            Err(error) if !self.intact_unit_follows(units) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Distinguishes damage from a torn tail: an intact unit follows damage, none follows a torn write.
    pub(crate) fn intact_unit_follows(&self, broken: &[u8]) -> bool {
        (1..broken.len()).any(|at| broken.get(at..).is_some_and(|rest| self.open_unit(rest).is_ok()))
    }
}

/// The number of records of the unit at the front of the bytes, their bytes, and the bytes after the unit.
fn split_unit(bytes: &[u8]) -> Result<(usize, &[u8], &[u8]), SegmentError> {
    let (head, rest) = bytes.split_at_checked(UNIT_HEAD_LEN).ok_or(SegmentError::Torn)?;
    let (lengths, checksum) = head.split_last_chunk::<CRC_LEN>().ok_or(SegmentError::Torn)?;
    if crc32c::crc32c(lengths) != u32::from_be_bytes(*checksum) {
        return Err(SegmentError::Checksum);
    }
    let (count, length) = lengths.split_first_chunk::<4>().ok_or(SegmentError::Torn)?;
    let length = length.first_chunk::<4>().ok_or(SegmentError::Torn)?;
    let number =
        |bytes: [u8; 4]| usize::try_from(u32::from_be_bytes(bytes)).map_err(|_| SegmentError::Checksum);
    let count = number(*count)?;
    if count == 0 {
        return Err(SegmentError::Checksum);
    }
    let (records, rest) = rest.split_at_checked(number(*length)?).ok_or(SegmentError::Torn)?;
    Ok((count, records, rest))
}

fn snapshot_nonce(before: &Head) -> Nonce<U12> {
    let mut nonce = nonce(before.seq.saturating_add(1));
    nonce.iter_mut().take(4).for_each(|byte| *byte = 0xFF);
    nonce
}

/// Encrypts and decrypts the records of one segment.
pub(crate) struct RecordSealer(Sm4Gcm);

impl RecordSealer {
    pub(crate) fn new(key: &SegmentKey) -> Self {
        Self(Sm4Gcm::new(&(**key).into()))
    }

    /// Encrypts a unit to the bytes that are stored. `None` when it is empty or far too long.
    pub(crate) fn seal_unit(&self, records: &[Record]) -> Option<Vec<u8>> {
        let mut sealed = Vec::new();
        for record in records {
            sealed.extend(self.seal(record)?);
        }
        let count = u32::try_from(records.len()).ok().filter(|count| *count > 0)?;
        let mut bytes = count.to_be_bytes().to_vec();
        bytes.extend(u32::try_from(sealed.len()).ok()?.to_be_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        bytes.extend(sealed);
        Some(bytes)
    }

    /// Encrypts a record to the bytes that are stored.
    fn seal(&self, record: &Record) -> Option<Vec<u8>> {
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
    fn open<'a>(&self, bytes: &'a [u8]) -> Result<(Record, &'a [u8]), SegmentError> {
        let (header_bytes, rest) = bytes.split_at_checked(HEADER_LEN).ok_or(SegmentError::Torn)?;
        // A damaged length in the header may point beyond the end of the file, so a damaged record can look like
        // a torn tail. Recovery distinguishes them by looking for intact records after it.
        let header = RecordHeader::decode(header_bytes).map_err(|_| SegmentError::Checksum)?;
        let body_len = usize::try_from(header.body_len).map_err(|_| SegmentError::Checksum)?;
        if body_len > RECORD_BYTES_MAX {
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

/// Encodes the head of a new segment whose chain continues from `before`, and its snapshot.
pub(crate) fn encode_head(
    before: &Head,
    snapshot: &[u8],
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
    bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
    let payload = Payload { msg: snapshot, aad: &bytes };
    let sealed = RecordSealer::new(key).0.encrypt(&snapshot_nonce(before), payload).ok()?;
    let mut block = u32::try_from(sealed.len()).ok()?.to_be_bytes().to_vec();
    block.extend(sealed);
    block.extend(crc32c::crc32c(&block).to_be_bytes());
    bytes.extend(block);
    Some(bytes)
}

/// Decodes and decrypts the head of a segment. Returns it and the bytes after it.
pub(crate) fn decode_head<'a>(
    bytes: &'a [u8],
    wrap: &SegmentKey,
) -> Result<(SegmentHead, &'a [u8]), SegmentError> {
    let (encoded, records) = bytes.split_at_checked(HEAD_LEN).ok_or(SegmentError::Torn)?;
    let (signed, checksum) = encoded.split_last_chunk::<CRC_LEN>().ok_or(SegmentError::Torn)?;
    if crc32c::crc32c(signed) != u32::from_be_bytes(*checksum) {
        return Err(SegmentError::Checksum);
    }
    let (clear, sealed) = signed.split_at_checked(72).ok_or(SegmentError::Torn)?;
    let (wrap_nonce, wrapped) = sealed.split_first_chunk::<12>().ok_or(SegmentError::Torn)?;
    let (version, rest) = match (clear.strip_prefix(MAGIC), clear.strip_prefix(MAGIC_V1)) {
        (Some(rest), _) => (Version::V2, rest),
        (None, Some(rest)) => (Version::V1, rest),
        (None, None) => return Err(SegmentError::Foreign),
    };
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
    let sealer = RecordSealer::new(&Zeroizing::new(*key));
    Ok((SegmentHead { before, sealer, version, encoded: encoded.to_vec() }, records))
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
        let bytes = encode_head(&before, b"{}", &key(1), &key(2), [7; 12]).unwrap();
        let (opened, rest) = decode_head(&bytes, &key(2)).unwrap();
        assert_eq!(opened.before, before);
        let snapshot = opened.open_snapshot(rest).unwrap().unwrap();
        assert_eq!((snapshot.json.as_slice(), snapshot.units.len()), (b"{}".as_slice(), 0));
        for len in 0..rest.len() {
            assert_eq!(opened.open_snapshot(&rest[..len]).err(), Some(SegmentError::Torn));
        }
        for at in 0..rest.len() {
            let mut tampered = rest.to_vec();
            tampered[at] ^= 1;
            assert!(opened.open_snapshot(&tampered).is_err(), "byte {at}");
        }
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

    /// A torn snapshot is that of an opening that failed, whose file is deleted. An impossible length is damage.
    #[test]
    fn snapshot_longer_than_32_mebibytes_is_damage() {
        for (length, expected) in [
            (33_554_432_u32, SegmentError::Torn),
            (33_554_433, SegmentError::Checksum),
            (u32::MAX, SegmentError::Checksum),
        ] {
            let bytes = [length.to_be_bytes().as_slice(), &[1; 60]].concat();
            assert_eq!(head().open_snapshot(&bytes).err(), Some(expected), "{length} bytes");
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

    fn head() -> SegmentHead {
        let before = Chain::genesis("K-1".parse().unwrap(), 5).head();
        let bytes = encode_head(&before, b"{}", &key(1), &key(2), [7; 12]).unwrap();
        decode_head(&bytes, &key(2)).unwrap().0
    }

    #[test]
    fn unit_is_read_whole_or_not_at_all() {
        let records = [record(1, b"a"), record(2, b"bb"), record(3, b"")];
        let bytes = RecordSealer::new(&key(1)).seal_unit(&records).unwrap();
        let (opened, rest) = head().open_unit(&bytes).unwrap();
        assert!(opened == records && rest.is_empty());
        for len in 0..bytes.len() {
            assert_eq!(head().open_unit(&bytes[..len]).err(), Some(SegmentError::Torn), "{len}");
            assert!(!head().intact_unit_follows(&bytes[..len]), "{len}: a record of a torn unit is no unit");
        }
        for at in 0..bytes.len() {
            let mut tampered = bytes.clone();
            tampered[at] ^= 1;
            assert!(head().open_unit(&tampered).is_err(), "byte {at}");
            tampered.extend(&bytes);
            assert!(head().intact_unit_follows(&tampered), "byte {at}");
        }
        assert!(RecordSealer::new(&key(1)).seal_unit(&[]).is_none());
    }

    /// A segment of version 1, as kiosks have them on their disks.
    #[test]
    fn segment_of_version_1_is_read_record_by_record() {
        let before = Chain::genesis("K-1".parse().unwrap(), 5).head();
        let mut bytes = encode_head(&before, b"", &key(1), &key(2), [7; 12]).unwrap();
        bytes.truncate(HEAD_LEN - CRC_LEN);
        bytes[3] = b'1';
        // The magic is associated data of the wrapped key: it is wrapped again.
        let clear = bytes[..72].to_vec();
        let own = key(1);
        let payload = Payload { msg: own.as_slice(), aad: &clear };
        let wrapped = Sm4Gcm::new(&(*key(2)).into()).encrypt(&[7; 12].into(), payload).unwrap();
        bytes.splice(84.., wrapped);
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        let sealer = RecordSealer::new(&key(1));
        let stored = [record(1, b"a"), record(2, b"bb")];
        stored.iter().for_each(|record| bytes.extend(sealer.seal(record).unwrap()));
        let (opened, rest) = decode_head(&bytes, &key(2)).unwrap();
        assert!(opened.open_snapshot(rest).unwrap().is_none());
        let (first, rest) = opened.open_unit(rest).unwrap();
        let (second, rest) = opened.open_unit(rest).unwrap();
        assert!([first, second].concat() == stored && rest.is_empty());
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
            let _ = head().open_snapshot(&bytes).is_ok();
            let _ = head().open_unit(&bytes).is_ok();
        }
    }
}
