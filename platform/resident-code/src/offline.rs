//! Offline codes: prove without a link who issued them, to which phone, and that this phone shows the code now.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | version and mode, `0x12` |
//! | 1 | 1 | id of the issuer's key |
//! | 2 | 2 | capabilities |
//! | 4 | 8 | alias, random for each certificate |
//! | 12 | 4 | issued at, Unix seconds |
//! | 16 | 1 | lifetime in quarters of an hour, 1..=96 |
//! | 17 | 33 | the phone's session key, a compressed SM2 point |
//! | 50 | 64 | the issuer's signature over bytes 0..50 |
//! | 114 | 2 | time step in which it was shown: number of 4-second steps since it was issued |
//! | 116 | 64 | the session key's signature over bytes 0..116 |
//!
//! Numbers are big endian. Bytes 0..114 are the [`SessionCertificate`], which a phone fetches once a day; the phone
//! adds the rest in every time step, without a link. A verifier must also check that the code was not used before,
//! by alias and time step, and that its alias is not revoked.

use sm_crypto::{COMPRESSED_LEN, PublicKey, SIGNATURE_LEN, SecretKey, Signature};

use crate::envelope::{self, CodeMode};
use crate::issuer::{ALIAS_LEN, Alias, Capabilities, CodeIssuer, CodeIssuers, UnixSeconds};
use crate::refusal::CodeRefusal;

/// Length of an offline code, in bytes.
pub const OFFLINE_LEN: usize = 180;
/// Length of a session certificate, in bytes.
pub const CERTIFICATE_LEN: usize = 114;
/// Length of a time step (时间片) in seconds: the interval in which a phone shows one code.
pub const TIME_STEP_SECONDS: u32 = 4;
/// Longest lifetime of a session certificate, in quarters of an hour: one day.
pub const LIFETIME_QUARTERS_MAX: u8 = 96;
/// A quarter of an hour in seconds.
const QUARTER_SECONDS: u32 = 15 * 60;
/// Length of the part that the issuer signs, in bytes.
const ISSUER_SIGNED_LEN: usize = 50;
/// Length of the part that the session key signs, in bytes.
const SESSION_SIGNED_LEN: usize = 116;

/// The fields of a session certificate that its issuer sets.
#[derive(Clone, Debug)]
pub struct SessionTerms {
    /// What codes of this session may be used for.
    pub capabilities: Capabilities,
    /// Pseudonym of the holder.
    pub alias: Alias,
    /// When the certificate begins, in Unix seconds.
    pub issued_at: UnixSeconds,
    /// Lifetime in quarters of an hour, 1..=[`LIFETIME_QUARTERS_MAX`].
    pub lifetime_quarters: u8,
    /// Public key that the phone generated for this session.
    pub session_key: PublicKey,
}

/// Session certificate (会话证书): certificate of a phone's signing key, fetched once a day, with which the phone
/// shows codes without a link.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionCertificate([u8; CERTIFICATE_LEN]);

impl SessionCertificate {
    /// Issues a certificate (制码).
    ///
    /// # Errors
    /// [`CodeRefusal::Lifetime`] if the lifetime is 0 or above a day.
    pub fn issue(terms: &SessionTerms, issuer: &CodeIssuer) -> Result<Self, CodeRefusal> {
        if !(1..=LIFETIME_QUARTERS_MAX).contains(&terms.lifetime_quarters) {
            return Err(CodeRefusal::Lifetime(terms.lifetime_quarters));
        }
        let mut bytes = Vec::with_capacity(CERTIFICATE_LEN);
        bytes.extend([CodeMode::Offline.first_byte(), issuer.id]);
        bytes.extend(terms.capabilities.0.to_be_bytes());
        bytes.extend(terms.alias.0);
        bytes.extend(terms.issued_at.to_be_bytes());
        bytes.push(terms.lifetime_quarters);
        bytes.extend(terms.session_key.to_compressed());
        bytes.extend(issuer.key.sign(&bytes).0);
        Self::from_slice(&bytes)
    }

    fn from_slice(bytes: &[u8]) -> Result<Self, CodeRefusal> {
        let wrong = |_| CodeRefusal::Length { expected: CERTIFICATE_LEN, got: bytes.len() };
        bytes.try_into().map(Self).map_err(wrong)
    }

    /// Parses a certificate from the platform. Verifies nothing: the verifier of a code checks the signature.
    ///
    /// # Errors
    /// [`CodeRefusal::Version`], [`CodeRefusal::Mode`], [`CodeRefusal::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodeRefusal> {
        match bytes.first().copied().map(CodeMode::from_first_byte).transpose()? {
            Some(CodeMode::Offline) | None => Self::from_slice(bytes),
            Some(mode @ (CodeMode::Online | CodeMode::Paper | CodeMode::Answer)) => {
                Err(CodeRefusal::Mode(mode.number()))
            }
        }
    }

    /// The 114 bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; CERTIFICATE_LEN] {
        self.0
    }

    /// Creates the code of the current time step (亮码). Called on the phone, which holds the session's secret key.
    ///
    /// # Errors
    /// [`CodeRefusal::Early`] before the certificate begins, [`CodeRefusal::Expired`] after its end.
    pub fn present(&self, session: &SecretKey, now: UnixSeconds) -> Result<OfflineCode, CodeRefusal> {
        let mut bytes = self.0.to_vec();
        bytes.extend(self.time_step(now)?.to_be_bytes());
        bytes.extend(session.sign(&bytes).0);
        OfflineCode::from_slice(&bytes)
    }

    /// The time step that contains `now`.
    pub(crate) fn time_step(&self, now: UnixSeconds) -> Result<u16, CodeRefusal> {
        let fields = CertificateFields::parse(&self.0);
        let age = now.checked_sub(fields.issued_at).ok_or(CodeRefusal::Early)?;
        if age >= fields.lifetime_seconds() {
            return Err(CodeRefusal::Expired);
        }
        u16::try_from(age / TIME_STEP_SECONDS).map_err(|_| CodeRefusal::Expired)
    }
}

/// Largest accepted difference between the time step of a code and the verifier's clock, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    /// Into the past: long enough for a resident, short enough to make relaying a picture difficult.
    pub past_seconds: u32,
    /// Into the future: the difference that two clocks may have.
    pub ahead_seconds: u32,
}

impl Default for TimeWindow {
    fn default() -> Self {
        Self { past_seconds: 15, ahead_seconds: 15 }
    }
}

/// The content of a verified offline code or answer code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCode {
    /// What the code may be used for.
    pub capabilities: Capabilities,
    /// Pseudonym of the holder.
    pub alias: Alias,
    /// Number of the time step in which it was shown. With the alias it identifies a code, to detect a second use.
    pub time_step: u16,
    /// When that time step began, in Unix seconds.
    pub shown_at: UnixSeconds,
    /// When the certificate ends, in Unix seconds.
    pub expires_at: UnixSeconds,
}

/// Offline code (离线码), as shown by a phone or read by a verifier. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct OfflineCode([u8; OFFLINE_LEN]);

impl OfflineCode {
    /// Parses the text of an offline code. Verifies nothing.
    ///
    /// # Errors
    /// The check that failed; [`CodeRefusal::Mode`] for a code of another mode.
    pub fn parse(text: &str) -> Result<Self, CodeRefusal> {
        match envelope::decode_text(text)? {
            (CodeMode::Offline, bytes) => Self::from_slice(&bytes),
            (mode @ (CodeMode::Online | CodeMode::Paper | CodeMode::Answer), _) => {
                Err(CodeRefusal::Mode(mode.number()))
            }
        }
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, CodeRefusal> {
        let wrong = |_| CodeRefusal::Length { expected: OFFLINE_LEN, got: bytes.len() };
        bytes.try_into().map(Self).map_err(wrong)
    }

    /// The text for the QR code, 274 characters.
    #[must_use]
    pub fn to_text(&self) -> String {
        envelope::encode_text(&self.0)
    }

    /// The 180 bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; OFFLINE_LEN] {
        self.0
    }

    /// Verifies that the city issued the certificate and that its phone showed the code within the time window
    /// (验码). The cheap checks come first.
    ///
    /// # Errors
    /// The check that failed.
    pub fn verify(
        &self,
        issuers: &CodeIssuers,
        now: UnixSeconds,
        window: TimeWindow,
    ) -> Result<VerifiedCode, CodeRefusal> {
        let (signed, signature) =
            self.0.split_last_chunk::<SIGNATURE_LEN>().expect("a code ends with its signature");
        let (certificate, time_step) =
            signed.split_first_chunk::<CERTIFICATE_LEN>().expect("a code begins with its certificate");
        debug_assert_eq!(signed.len(), SESSION_SIGNED_LEN);
        let time_step = u16::from_be_bytes(*time_step.first_chunk().expect("the time step follows"));
        Presentation { certificate, time_step, signed, signature }.verify(issuers, now, window)
    }
}

/// The parts of an offline code or answer code: certificate, time step, and the phone's signature over the signed
/// bytes.
pub(crate) struct Presentation<'a> {
    pub(crate) certificate: &'a [u8; CERTIFICATE_LEN],
    pub(crate) time_step: u16,
    pub(crate) signed: &'a [u8],
    pub(crate) signature: &'a [u8; SIGNATURE_LEN],
}

impl Presentation<'_> {
    /// Verifies lifetime, time window and both signatures. The cheap checks come first.
    pub(crate) fn verify(
        &self,
        issuers: &CodeIssuers,
        now: UnixSeconds,
        window: TimeWindow,
    ) -> Result<VerifiedCode, CodeRefusal> {
        let [_, issuer_id, ..] = *self.certificate;
        let issuer = issuers.get(issuer_id).ok_or(CodeRefusal::Key(issuer_id))?;
        let fields = CertificateFields::parse(self.certificate);
        if !(1..=LIFETIME_QUARTERS_MAX).contains(&fields.lifetime_quarters) {
            return Err(CodeRefusal::Lifetime(fields.lifetime_quarters));
        }
        let age = u32::from(self.time_step) * TIME_STEP_SECONDS;
        let (shown_at, expires_at) = (
            fields.issued_at.checked_add(age).ok_or(CodeRefusal::Early)?,
            fields.issued_at.checked_add(fields.lifetime_seconds()).ok_or(CodeRefusal::Early)?,
        );
        if shown_at > now.saturating_add(window.ahead_seconds) {
            return Err(CodeRefusal::Early);
        }
        if age >= fields.lifetime_seconds() || now >= expires_at.saturating_add(window.past_seconds) {
            return Err(CodeRefusal::Expired);
        }
        if shown_at.saturating_add(window.past_seconds) < now {
            return Err(CodeRefusal::Stale);
        }
        let (issued, issuer_signature) = self
            .certificate
            .split_last_chunk::<SIGNATURE_LEN>()
            .expect("a certificate ends with its signature");
        debug_assert_eq!(issued.len(), ISSUER_SIGNED_LEN);
        if issuer.verify(issued, &Signature(*issuer_signature)).is_err() {
            return Err(CodeRefusal::IssuerSignature);
        }
        let session = PublicKey::from_compressed(&fields.session_key).map_err(|_| CodeRefusal::SessionKey)?;
        if session.verify(self.signed, &Signature(*self.signature)).is_err() {
            return Err(CodeRefusal::SessionSignature);
        }
        let (alias, capabilities, time_step) = (fields.alias, fields.capabilities, self.time_step);
        Ok(VerifiedCode { capabilities, alias, time_step, shown_at, expires_at })
    }
}

impl std::fmt::Debug for OfflineCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OfflineCode(…)")
    }
}

/// The raw fields of a certificate, without checks.
struct CertificateFields {
    capabilities: Capabilities,
    alias: Alias,
    issued_at: UnixSeconds,
    lifetime_quarters: u8,
    session_key: [u8; COMPRESSED_LEN],
}

impl CertificateFields {
    fn parse(certificate: &[u8; CERTIFICATE_LEN]) -> Self {
        Self {
            capabilities: Capabilities(u16::from_be_bytes(field_at::<2, 2>(certificate))),
            alias: Alias(field_at::<4, ALIAS_LEN>(certificate)),
            issued_at: u32::from_be_bytes(field_at::<12, 4>(certificate)),
            lifetime_quarters: u8::from_be_bytes(field_at::<16, 1>(certificate)),
            session_key: field_at::<17, COMPRESSED_LEN>(certificate),
        }
    }

    /// Lifetime in seconds.
    fn lifetime_seconds(&self) -> u32 {
        u32::from(self.lifetime_quarters) * QUARTER_SECONDS
    }
}

/// The `N` bytes at offset `AT`.
fn field_at<const AT: usize, const N: usize>(certificate: &[u8; CERTIFICATE_LEN]) -> [u8; N] {
    const { assert!(AT + N <= CERTIFICATE_LEN, "a field lies within the certificate") };
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(certificate.iter().skip(AT)) {
        *to = *from;
    }
    bytes
}
