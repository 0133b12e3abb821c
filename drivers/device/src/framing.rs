//! Frames of the device protocol: `length: u32 big-endian`, then that many bytes of postcard.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::wire::{FRAME_MAX, VERSION};

/// Size of the length field in bytes.
const LENGTH_BYTES: usize = 4;

/// Initial capacity in bytes: enough for every message except a document or a long code.
const SMALL_MESSAGE_BYTES: usize = 1024;

/// Why the connection cannot be used any longer. The connection is closed, and a new process is started.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The other side closed the connection.
    #[error("device connection closed by the other side")]
    Disconnected(#[source] io::Error),
    /// A length of zero or more than [`FRAME_MAX`].
    #[error("invalid frame length on the device connection: {0} bytes, allowed are 1 to {FRAME_MAX}")]
    Length(u64),
    /// The content of a frame is not a message of this version.
    #[error("malformed message on the device connection")]
    Malformed(#[source] postcard::Error),
    /// The other side uses another version: the programs are not from one package.
    #[error(
        "device protocol version mismatch: {VERSION} here, {0} on the other side: install both programs from one package"
    )]
    Version(u16),
}

/// Writes one message and flushes it.
///
/// # Errors
/// When the other side closed the connection or the message is longer than a frame.
pub fn write_frame<T: Serialize>(to: &mut impl Write, message: &T) -> Result<(), WireError> {
    // A PIN fits into this capacity: growing the buffer would leave copies of the PIN in freed memory.
    let mut frame = Vec::with_capacity(SMALL_MESSAGE_BYTES);
    frame.extend_from_slice(&[0; LENGTH_BYTES]);
    let mut frame = Zeroizing::new(postcard::to_extend(message, frame).map_err(WireError::Malformed)?);
    let bytes = frame.len() - LENGTH_BYTES;
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= FRAME_MAX);
    let length = length.ok_or(WireError::Length(bytes as u64))?;
    for (place, byte) in frame.iter_mut().zip(length.to_be_bytes()) {
        *place = byte;
    }
    to.write_all(&frame).and_then(|()| to.flush()).map_err(WireError::Disconnected)
}

/// Reads one message.
///
/// # Errors
/// When the other side closed the connection, or its bytes are not a message.
pub fn read_frame<T: DeserializeOwned>(from: &mut impl Read) -> Result<T, WireError> {
    let mut length = [0; LENGTH_BYTES];
    from.read_exact(&mut length).map_err(WireError::Disconnected)?;
    let length = u32::from_be_bytes(length);
    let bytes = usize::try_from(length).ok().filter(|bytes| (1..=FRAME_MAX).contains(bytes));
    let bytes = bytes.ok_or(WireError::Length(length.into()))?;
    let mut body = Zeroizing::new(vec![0; bytes]);
    from.read_exact(&mut body).map_err(WireError::Disconnected)?;
    match postcard::take_from_bytes(&body) {
        Ok((message, [])) => Ok(message),
        Ok((_, _)) => Err(WireError::Malformed(postcard::Error::DeserializeBadEncoding)),
        Err(error) => Err(WireError::Malformed(error)),
    }
}

/// Sends this side's version.
///
/// # Errors
/// When the other side closed the connection.
pub fn write_version(to: &mut impl Write) -> Result<(), WireError> {
    to.write_all(&VERSION.to_be_bytes()).and_then(|()| to.flush()).map_err(WireError::Disconnected)
}

/// Reads the other side's version.
///
/// # Errors
/// When the other side closed the connection, or uses another version.
pub fn read_version(from: &mut impl Read) -> Result<(), WireError> {
    let mut bytes = [0; 2];
    from.read_exact(&mut bytes).map_err(WireError::Disconnected)?;
    let version = u16::from_be_bytes(bytes);
    if version == VERSION { Ok(()) } else { Err(WireError::Version(version)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Attention, DeviceHealth, DeviceWork, FromDevice, ToDevice};
    use proptest::prelude::*;

    #[test]
    fn message_round_trips_and_every_truncation_is_rejected() {
        let mut bytes = Vec::new();
        let pin = Zeroizing::new(b"123456".to_vec());
        write_frame(&mut bytes, &ToDevice::Request(7, DeviceWork::VerifyPin(pin))).unwrap();
        for cut in 0..bytes.len() {
            assert!(read_frame::<ToDevice>(&mut &bytes[..cut]).is_err());
        }
        match read_frame(&mut bytes.as_slice()).unwrap() {
            ToDevice::Request(7, DeviceWork::VerifyPin(pin)) => assert_eq!(pin.as_slice(), b"123456"),
            ToDevice::Open(_) | ToDevice::Request(..) | ToDevice::Ping(_) => {
                panic!("unexpected message")
            }
        }
    }

    #[test]
    fn frame_with_trailing_bytes_is_malformed() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &ToDevice::Ping(1)).unwrap();
        bytes[3] += 1;
        bytes.push(0);
        assert!(matches!(read_frame::<ToDevice>(&mut bytes.as_slice()), Err(WireError::Malformed(_))));
    }

    #[test]
    fn consecutive_frames_are_read_in_order() {
        let sent = [
            DeviceHealth::Ready,
            DeviceHealth::Busy,
            DeviceHealth::NeedsAttention(Attention::PaperOut),
            DeviceHealth::Absent,
            DeviceHealth::Failed,
        ];
        let mut bytes = Vec::new();
        for health in sent {
            write_frame(&mut bytes, &FromDevice::Health(health)).unwrap();
        }
        let mut wire = bytes.as_slice();
        for health in sent {
            let read = read_frame(&mut wire).unwrap();
            assert!(matches!(read, FromDevice::Health(seen) if seen == health));
        }
        assert!(wire.is_empty());
    }

    #[test]
    fn message_longer_than_frame_max_is_not_sent() {
        let mut bytes = Vec::new();
        let pin = Zeroizing::new(vec![b'1'; FRAME_MAX]);
        let error = write_frame(&mut bytes, &ToDevice::Request(1, DeviceWork::VerifyPin(pin))).err();
        assert!(matches!(error, Some(WireError::Length(_))));
        assert!(bytes.is_empty());
    }

    #[test]
    fn invalid_frame_length_is_rejected() {
        for length in [0, FRAME_MAX as u32 + 1, u32::MAX] {
            let error = read_frame::<FromDevice>(&mut length.to_be_bytes().as_slice()).err();
            assert!(matches!(error, Some(WireError::Length(_))), "{length}");
        }
    }

    #[test]
    fn other_protocol_version_is_rejected() {
        let mut bytes = Vec::new();
        write_version(&mut bytes).unwrap();
        assert!(read_version(&mut bytes.as_slice()).is_ok());
        assert!(matches!(read_version(&mut [0x7F, 0xFF].as_slice()), Err(WireError::Version(0x7FFF))));
    }

    proptest! {
        #[test]
        fn arbitrary_content_of_a_valid_frame_never_panics(body in proptest::collection::vec(any::<u8>(), 1..200)) {
            let bytes = [&(body.len() as u32).to_be_bytes(), body.as_slice()].concat();
            let _ = read_frame::<FromDevice>(&mut bytes.as_slice()).is_ok();
            let _ = read_frame::<ToDevice>(&mut bytes.as_slice()).is_ok();
        }
    }
}
