//! Envelopes (数字信封): the body of a request is encrypted for the platform, and the body of its answer for the kiosk
//! that sent the request.
//!
//! Personal data and payment data stay encrypted where TLS is terminated, for example in a gateway or a proxy's log.
//! Each request has an SM4 key of its own, encrypted to the platform's SM2 key (GB/T 32918.4). The answer is
//! encrypted with the same key, so only the platform can have made it, and only the kiosk that sent the request can
//! read it. Path, status and lengths are not hidden.
//!
//! The kiosk signs the request *as sent*: the platform refuses a request without a kiosk's signature before it opens
//! the envelope, and a signature over a body with few possible contents cannot be used to guess the body.
//!
//! | request: bytes | hold |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | id of the platform's key |
//! | 2..67 | `C1`, a point, uncompressed: `04 ‖ x ‖ y` |
//! | 67..99 | `C3`, SM3 |
//! | 99..115 | `C2`, the SM4 key encrypted |
//! | 115..n−16 | the body under SM4-GCM (RFC 8998), nonce `01 ‖ 0¹¹` |
//! | n−16..n | tag; it also covers [`REQUEST_DOMAIN`] ‖ bytes 0..115 ‖ method `\n` target `\n` device `\n` time |
//!
//! | answer: bytes | hold |
//! |---|---|
//! | 0 | version, 1 |
//! | 1..12 | 11 random bytes `r` |
//! | 12..n−16 | the body under SM4-GCM, nonce `02 ‖ r` |
//! | n−16..n | tag; it also covers [`ANSWER_DOMAIN`] ‖ SM3 of the sealed request ‖ HTTP status, two bytes |
//!
//! The nonce of a request may be constant because its key is used for one request. The nonce of an answer may not be
//! constant: a captured request that is sent again is answered again with the same key.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload, consts::U12};
use aes_gcm::{AesGcm, Nonce};
use serde::{Deserialize, Serialize};
use sm2::elliptic_curve::rand_core::{TryCryptoRng, TryRng};
use sm2::pke::{DecryptingKey, EncryptingKey};
use sm4::Sm4;
use zeroize::Zeroizing;

use sm_crypto::{PublicKey, SignError, sm3};

/// Media type of sealed bodies, in both directions.
pub const SEALED_TYPE: &str = "application/vnd.kiosk.sealed";

/// Number of bytes by which a sealed answer is longer than its body.
pub const ANSWER_OVERHEAD: usize = 1 + ANSWER_RANDOM_LEN + TAG_LEN;

const REQUEST_DOMAIN: &[u8] = b"kiosk envelope: request\n";
const ANSWER_DOMAIN: &[u8] = b"kiosk envelope: answer\n";
const VERSION: u8 = 1;
/// Bytes of `C1 ‖ C3 ‖ C2` for a 16-byte key.
const WRAPPED_KEY_LEN: usize = 65 + 32 + 16;
const HEAD_LEN: usize = 2 + WRAPPED_KEY_LEN;
const TAG_LEN: usize = 16;
const ANSWER_RANDOM_LEN: usize = 11;

type Sm4Gcm = AesGcm<Sm4, U12>;

/// The platform's public key for envelopes, and the id by which an envelope names the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeKey {
    /// Id of the key. Keys are renewed; the platform opens an envelope with the key that it names.
    pub id: u8,
    /// An SM2 key used for envelopes only, never for signatures.
    pub key: PublicKey,
}

/// The platform's secret key for envelopes. No `Debug`, no `Serialize`; kept in memory as long as the process runs.
pub struct EnvelopeSecret {
    id: u8,
    key: DecryptingKey,
}

/// The HTTP request to which an envelope is bound.
#[derive(Clone, Copy)]
pub struct RequestBinding<'a> {
    /// HTTP method, for example `POST`.
    pub method: &'a str,
    /// Path and query of the request.
    pub target: &'a str,
    /// Value of the header `X-Device`.
    pub device: &'a str,
    /// Value of the header `X-Time`.
    pub time: &'a str,
}

/// The key that seals and opens the answer to one request. No `Debug`; wiped on drop.
pub struct AnswerKey {
    key: Zeroizing<[u8; 16]>,
    /// SM3 of the request as sent.
    request: [u8; 32],
}

/// Why an envelope cannot be opened. Reveals nothing of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Shorter than an envelope with an empty body.
    #[error("{0} bytes are too few for an envelope")]
    Short(usize),
    /// The version of the format is not supported.
    #[error("envelope version {0} is not supported; this side supports version {VERSION}")]
    Version(u8),
    /// Sealed to a key that the platform does not hold.
    #[error(
        "the envelope is sealed to key {0}, which the platform does not hold: renew the kiosk's site file"
    )]
    Key(u8),
    /// Decryption or the tag failed.
    #[error("the envelope does not decrypt: it was changed, or belongs to another request, kiosk or key")]
    Broken,
}

impl EnvelopeKey {
    /// Seals a request's body. `entropy` must be fresh: all secret values are derived from it.
    #[must_use]
    pub fn seal(
        &self,
        body: &[u8],
        to: RequestBinding<'_>,
        entropy: &Zeroizing<[u8; 32]>,
    ) -> (Vec<u8>, AnswerKey) {
        let mut drawn = EnvelopeRng::new(entropy);
        let mut key = Zeroizing::new([0; 16]);
        drawn.fill(key.as_mut_slice());
        let wrapped = EncryptingKey::new(self.key.to_curve_key()).encrypt(&mut drawn, key.as_slice()).expect(
            "a point other than infinity, a message that is not empty, randomness that does not fail",
        );
        let mut sealed = [&[VERSION, self.id][..], &wrapped].concat();
        let aad = request_aad(&sealed, to);
        let inner = cipher(&key)
            .encrypt(&request_nonce(), Payload { msg: body, aad: &aad })
            .expect("no body reaches the 64 GiB limit of GCM");
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

    /// The id by which envelopes name this key.
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

    /// Opens a request's body with the one of `keys` that the envelope names.
    ///
    /// # Errors
    /// When the bytes are not an envelope, are sealed to a key that is not in `keys`, or were changed.
    pub fn open(
        keys: &[Self],
        sealed: &[u8],
        to: RequestBinding<'_>,
    ) -> Result<(Zeroizing<Vec<u8>>, AnswerKey), EnvelopeError> {
        let Some((head, inner)) =
            sealed.split_at_checked(HEAD_LEN).filter(|(_, inner)| inner.len() >= TAG_LEN)
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
    pub fn seal(&self, status: u16, body: &[u8], random: &[u8; ANSWER_RANDOM_LEN]) -> Vec<u8> {
        let aad = self.answer_aad(status);
        let inner = cipher(&self.key)
            .encrypt(&answer_nonce(random), Payload { msg: body, aad: &aad })
            .expect("no body reaches the 64 GiB limit of GCM");
        [&[VERSION][..], random, &inner].concat()
    }

    /// Opens the answer's body.
    ///
    /// # Errors
    /// When the bytes are not the platform's answer to this request with this status.
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
        [ANSWER_DOMAIN, &self.request, &status.to_be_bytes()].concat()
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

fn answer_nonce(random: &[u8; ANSWER_RANDOM_LEN]) -> Nonce<U12> {
    let mut nonce = [0; 12];
    let (direction, rest) = nonce.split_at_mut(1);
    direction.copy_from_slice(&[2]);
    rest.copy_from_slice(random);
    nonce.into()
}

fn request_aad(head: &[u8], to: RequestBinding<'_>) -> Vec<u8> {
    // None of the four values can contain a line break: HTTP does not allow it.
    let RequestBinding { method, target, device, time } = to;
    [REQUEST_DOMAIN, head, format!("{method}\n{target}\n{device}\n{time}").as_bytes()].concat()
}

/// Pseudo-random bytes from a seed: `SM3(seed ‖ counter)`, so that sealing does not read the system's random generator.
pub(crate) struct EnvelopeRng<'a> {
    seed: &'a [u8; 32],
    block: u32,
}

impl<'a> EnvelopeRng<'a> {
    /// The bytes of a seed from their beginning.
    pub(crate) const fn new(seed: &'a [u8; 32]) -> Self {
        Self { seed, block: 0 }
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = Zeroizing::new(sm3(&[self.seed, &self.block.to_be_bytes()]));
            self.block = self.block.wrapping_add(1);
            chunk.iter_mut().zip(block.iter()).for_each(|(byte, drawn)| *byte = *drawn);
        }
    }
}

impl TryRng for EnvelopeRng<'_> {
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

impl TryCryptoRng for EnvelopeRng<'_> {}
