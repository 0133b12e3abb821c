//! 数字信封: a request's body as only the platform can read it, and an answer as only that kiosk can.
//!
//! What is personal or about money stays sealed wherever TLS ends: in a gateway, in a proxy's log. Each
//! request has an SM4 key of its own, encrypted to the platform's SM2 key (GB/T 32918.4); the answer comes
//! back under the same key, so it can come from nobody but the platform, and be read by nobody but the kiosk
//! that asked. Path, status and lengths are not hidden.
//!
//! The device signs the request *as sent*: the platform refuses what no kiosk signed without opening it, and
//! a signature over a body of little choice cannot be used to guess it.
//!
//! | request: bytes | hold |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | id of the platform's key |
//! | 2..67 | `C1`, a point, uncompressed: `04 ‖ x ‖ y` |
//! | 67..99 | `C3`, SM3 |
//! | 99..115 | `C2`, the SM4 key encrypted |
//! | 115..n−16 | the body under SM4-GCM (RFC 8998), nonce `01 ‖ 0¹¹` |
//! | n−16..n | tag; it also covers [`REQUEST`] ‖ bytes 0..115 ‖ method `\n` target `\n` device `\n` time |
//!
//! | answer: bytes | hold |
//! |---|---|
//! | 0 | version, 1 |
//! | 1..12 | 11 random bytes `r` |
//! | 12..n−16 | the body under SM4-GCM, nonce `02 ‖ r` |
//! | n−16..n | tag; it also covers [`ANSWER`] ‖ SM3 of the sealed request ‖ HTTP status, two bytes |
//!
//! A request's nonce may be constant: its key is used for one request. Its answer's may not: who repeats a
//! captured request is answered again.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload, consts::U12};
use aes_gcm::{AesGcm, Nonce};
use serde::{Deserialize, Serialize};
use sm2::elliptic_curve::rand_core::{TryCryptoRng, TryRng};
use sm2::pke::{DecryptingKey, EncryptingKey};
use sm4::Sm4;
use zeroize::Zeroizing;

use crate::sign::{PublicKey, SignError, sm3};

/// Media type of sealed bodies, in both directions.
pub const SEALED_TYPE: &str = "application/vnd.kiosk.sealed";

/// Bytes by which a sealed answer is longer than the answer.
pub const ANSWER_OVERHEAD: usize = 1 + ANSWER_RANDOM + TAG;

const REQUEST: &[u8] = b"kiosk envelope: request\n";
const ANSWER: &[u8] = b"kiosk envelope: answer\n";
const VERSION: u8 = 1;
/// `C1 ‖ C3 ‖ C2` of a 16-byte key.
const WRAPPED: usize = 65 + 32 + 16;
const HEAD: usize = 2 + WRAPPED;
const TAG: usize = 16;
const ANSWER_RANDOM: usize = 11;

type Sm4Gcm = AesGcm<Sm4, U12>;

/// The platform's public key for envelopes, and the number by which envelopes name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeKey {
    /// Keys are renewed; the platform opens with the one that is named.
    pub id: u8,
    /// An SM2 key of its own, never one that signs.
    pub key: PublicKey,
}

/// The platform's secret key for envelopes. No `Debug`, no `Serialize`; lives as long as its process.
pub struct EnvelopeSecret {
    id: u8,
    key: DecryptingKey,
}

/// What a request's envelope belongs to, as the HTTP request has it.
#[derive(Clone, Copy)]
pub struct Addressed<'a> {
    /// `POST`.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// `X-Device`.
    pub device: &'a str,
    /// `X-Time`.
    pub time: &'a str,
}

/// What seals and opens the answer to one request. No `Debug`; wiped on drop.
pub struct AnswerKey {
    key: Zeroizing<[u8; 16]>,
    /// SM3 of the request as sent.
    request: [u8; 32],
}

/// Why an envelope stays closed. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Shorter than an empty one.
    #[error("{0} bytes are too few for an envelope")]
    Short(usize),
    /// Of another version.
    #[error("an envelope of version {0} is not understood; this side speaks version {VERSION}")]
    Version(u8),
    /// Sealed to a key that is not here.
    #[error(
        "the envelope is sealed to key {0}, which the platform does not hold: renew the kiosk's site file"
    )]
    Key(u8),
    /// It does not open.
    #[error("the envelope does not open: it was changed, or belongs to another request, device or key")]
    Broken,
}

impl EnvelopeKey {
    /// Seals a request's body. `entropy` must be fresh: everything secret is drawn from it.
    #[must_use]
    pub fn seal(
        &self,
        body: &[u8],
        to: Addressed<'_>,
        entropy: &Zeroizing<[u8; 32]>,
    ) -> (Vec<u8>, AnswerKey) {
        let mut drawn = Drawn { seed: entropy, block: 0 };
        let mut key = Zeroizing::new([0; 16]);
        drawn.fill(key.as_mut_slice());
        let wrapped = EncryptingKey::new(self.key.point()).encrypt(&mut drawn, key.as_slice()).expect(
            "a point other than infinity, a message that is not empty, randomness that does not fail",
        );
        let mut sealed = [&[VERSION, self.id][..], &wrapped].concat();
        let aad = request_aad(&sealed, to);
        let inner = cipher(&key)
            .encrypt(&request_nonce(), Payload { msg: body, aad: &aad })
            .expect("no body comes near the 64 GiB of GCM");
        sealed.extend(inner);
        let request = sm3(&[&sealed]);
        (sealed, AnswerKey { key, request })
    }
}

impl EnvelopeSecret {
    /// # Errors
    /// [`SignError::BadSecret`] when the scalar is 0 or not below the group order.
    pub fn new(id: u8, scalar: &[u8; 32]) -> Result<Self, SignError> {
        DecryptingKey::from_slice(scalar).map(|key| Self { id, key }).map_err(|_| SignError::BadSecret)
    }

    /// The number by which envelopes name it.
    #[must_use]
    pub const fn id(&self) -> u8 {
        self.id
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> EnvelopeKey {
        let point = self.key.encrypting_key().to_sec1_bytes();
        let key = PublicKey::from_sec1(&point).expect("the public half of a key is a point");
        EnvelopeKey { id: self.id, key }
    }

    /// Opens a request's body with whichever of the keys it names.
    ///
    /// # Errors
    /// When it is no envelope, is sealed to another key, or is not as the kiosk sealed it.
    pub fn open(
        keys: &[Self],
        sealed: &[u8],
        to: Addressed<'_>,
    ) -> Result<(Zeroizing<Vec<u8>>, AnswerKey), EnvelopeError> {
        let Some((head, inner)) = sealed.split_at_checked(HEAD).filter(|(_, inner)| inner.len() >= TAG)
        else {
            return Err(EnvelopeError::Short(sealed.len()));
        };
        let (&[version, id], wrapped) = head.split_first_chunk().ok_or(EnvelopeError::Short(sealed.len()))?;
        if version != VERSION {
            return Err(EnvelopeError::Version(version));
        }
        let secret = keys.iter().find(|key| key.id == id).ok_or(EnvelopeError::Key(id))?;
        let unwrapped = Zeroizing::new(secret.key.decrypt(wrapped).map_err(|_| EnvelopeError::Broken)?);
        let key =
            Zeroizing::new(<[u8; 16]>::try_from(unwrapped.as_slice()).map_err(|_| EnvelopeError::Broken)?);
        let aad = request_aad(head, to);
        let body = cipher(&key).decrypt(&request_nonce(), Payload { msg: inner, aad: &aad });
        let body = Zeroizing::new(body.map_err(|_| EnvelopeError::Broken)?);
        Ok((body, AnswerKey { key, request: sm3(&[sealed]) }))
    }
}

impl AnswerKey {
    /// Seals the answer's body. `random` must be fresh for every answer, also to the same request.
    #[must_use]
    pub fn seal(&self, status: u16, body: &[u8], random: &[u8; ANSWER_RANDOM]) -> Vec<u8> {
        let aad = self.answer_aad(status);
        let inner = cipher(&self.key)
            .encrypt(&answer_nonce(random), Payload { msg: body, aad: &aad })
            .expect("no body comes near the 64 GiB of GCM");
        [&[VERSION][..], random, &inner].concat()
    }

    /// Opens the answer's body.
    ///
    /// # Errors
    /// When it is not the platform's answer to this request with this status.
    pub fn open(&self, status: u16, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        if sealed.len() < ANSWER_OVERHEAD {
            return Err(EnvelopeError::Short(sealed.len()));
        }
        let short = EnvelopeError::Short(sealed.len());
        let (&[version], rest) = sealed.split_first_chunk().ok_or(short)?;
        let (random, inner) = rest.split_first_chunk().ok_or(short)?;
        if version != VERSION {
            return Err(EnvelopeError::Version(version));
        }
        let aad = self.answer_aad(status);
        let body = cipher(&self.key).decrypt(&answer_nonce(random), Payload { msg: inner, aad: &aad });
        body.map(Zeroizing::new).map_err(|_| EnvelopeError::Broken)
    }

    fn answer_aad(&self, status: u16) -> Vec<u8> {
        [ANSWER, &self.request, &status.to_be_bytes()].concat()
    }
}

fn cipher(key: &[u8; 16]) -> Sm4Gcm {
    Sm4Gcm::new(&(*key).into())
}

fn request_nonce() -> Nonce<U12> {
    let mut nonce = [0; 12];
    nonce[0] = 1;
    nonce.into()
}

fn answer_nonce(random: &[u8; ANSWER_RANDOM]) -> Nonce<U12> {
    let mut nonce = [0; 12];
    let (direction, rest) = nonce.split_at_mut(1);
    direction.copy_from_slice(&[2]);
    rest.copy_from_slice(random);
    nonce.into()
}

fn request_aad(head: &[u8], to: Addressed<'_>) -> Vec<u8> {
    // None of the four can hold a line's end: HTTP would not carry it.
    let Addressed { method, target, device, time } = to;
    [REQUEST, head, format!("{method}\n{target}\n{device}\n{time}").as_bytes()].concat()
}

/// Bytes drawn from a seed: `SM3(seed ‖ counter)`, so that sealing reads no system's generator.
struct Drawn<'a> {
    seed: &'a [u8; 32],
    block: u32,
}

impl Drawn<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = Zeroizing::new(sm3(&[self.seed, &self.block.to_be_bytes()]));
            self.block = self.block.wrapping_add(1);
            chunk.iter_mut().zip(block.iter()).for_each(|(byte, drawn)| *byte = *drawn);
        }
    }
}

impl TryRng for Drawn<'_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Drawn<'_> {}
