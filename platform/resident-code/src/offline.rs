//! The offline code: proves by itself who issued it, to which phone, and that this phone showed it just now.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | version and mode, `0x12` |
//! | 1 | 1 | id of the issuer's key |
//! | 2 | 2 | capabilities |
//! | 4 | 8 | alias, random for each certificate |
//! | 12 | 4 | issued at, Unix seconds |
//! | 16 | 1 | lifetime in quarters of an hour, 1..=96 |
//! | 17 | 33 | the phone's session key, compressed SM2 point |
//! | 50 | 64 | the issuer's signature over bytes 0..50 |
//! | 114 | 2 | slot: when it was shown, in 4-second steps since it was issued |
//! | 116 | 64 | the session key's signature over bytes 0..116 |
//!
//! Numbers are big endian. Bytes 0..114 are the [`SessionCertificate`], which a phone fetches once a day; it
//! makes the rest by itself, anew in every slot. What a verifier must add: that a code was not shown to it
//! before, by alias and slot, and that its alias is not revoked.

use crate::envelope::{self, Mode};
use crate::issuer::{ALIAS_LEN, Alias, Capabilities, Issuer, Issuers, UnixSeconds};
use crate::refusal::Refusal;
use crate::signature::{PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, SigningKey};

/// Bytes of an offline code.
pub const OFFLINE_LEN: usize = 180;
/// Bytes of a session certificate.
pub const CERTIFICATE_LEN: usize = 114;
/// Seconds of a slot: as often as a phone draws its code anew.
pub const SLOT_SECONDS: u32 = 4;
/// Longest life of a session certificate, in quarters of an hour: a day.
pub const LIFETIME_MAX: u8 = 96;
const QUARTER: u32 = 15 * 60;
/// What the issuer signs.
const ISSUED_LEN: usize = 50;
/// What the session key signs.
const SHOWN_LEN: usize = 116;

/// What an issuer says about a session.
#[derive(Clone, Debug)]
pub struct SessionTerms {
    /// What the code may be used for.
    pub capabilities: Capabilities,
    /// By what it names its holder.
    pub alias: Alias,
    /// When the certificate begins.
    pub issued_at: UnixSeconds,
    /// How long it lives, in quarters of an hour, 1..=[`LIFETIME_MAX`].
    pub lifetime: u8,
    /// The key that the phone made for this session.
    pub session_key: PublicKey,
}

/// 制码: what a phone fetches, once a day, to show codes without a link.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionCertificate([u8; CERTIFICATE_LEN]);

impl SessionCertificate {
    /// Issues a certificate.
    ///
    /// # Errors
    /// [`Refusal::Lifetime`] when it is 0 or above a day.
    pub fn issue(terms: &SessionTerms, issuer: &Issuer) -> Result<Self, Refusal> {
        if !(1..=LIFETIME_MAX).contains(&terms.lifetime) {
            return Err(Refusal::Lifetime(terms.lifetime));
        }
        let mut bytes = Vec::with_capacity(CERTIFICATE_LEN);
        bytes.extend([Mode::Offline.first_byte(), issuer.id]);
        bytes.extend(terms.capabilities.0.to_be_bytes());
        bytes.extend(terms.alias.0);
        bytes.extend(terms.issued_at.to_be_bytes());
        bytes.push(terms.lifetime);
        bytes.extend(terms.session_key.to_bytes());
        bytes.extend(issuer.key.sign(&bytes));
        Self::from_slice(&bytes)
    }

    fn from_slice(bytes: &[u8]) -> Result<Self, Refusal> {
        let wrong = |_| Refusal::Length { expected: CERTIFICATE_LEN, got: bytes.len() };
        bytes.try_into().map(Self).map_err(wrong)
    }

    /// Reads a certificate as it came from the platform. Nothing is verified: whoever reads the code will.
    ///
    /// # Errors
    /// [`Refusal::Version`], [`Refusal::Mode`], [`Refusal::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        match bytes.first().copied().map(Mode::of).transpose()? {
            Some(Mode::Offline) | None => Self::from_slice(bytes),
            Some(mode @ (Mode::Online | Mode::Paper | Mode::Answer)) => Err(Refusal::Mode(mode.number())),
        }
    }

    /// The 114 bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; CERTIFICATE_LEN] {
        self.0
    }

    /// 亮码: the code of this moment, by the phone that holds the session's secret key.
    ///
    /// # Errors
    /// [`Refusal::Early`] before the certificate begins, [`Refusal::Expired`] after its end.
    pub fn present(&self, session: &SigningKey, now: UnixSeconds) -> Result<OfflineCode, Refusal> {
        let mut bytes = self.0.to_vec();
        bytes.extend(self.slot(now)?.to_be_bytes());
        bytes.extend(session.sign(&bytes));
        OfflineCode::from_slice(&bytes)
    }

    /// The slot of this moment.
    pub(crate) fn slot(&self, now: UnixSeconds) -> Result<u16, Refusal> {
        let fields = Fields::of(&self.0);
        let age = now.checked_sub(fields.issued_at).ok_or(Refusal::Early)?;
        if age >= fields.lives() {
            return Err(Refusal::Expired);
        }
        u16::try_from(age / SLOT_SECONDS).map_err(|_| Refusal::Expired)
    }
}

/// How far the slot of a code may lie from a verifier's clock, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Shown so long ago: the time a resident needs, and a relayed picture wants.
    pub past: u32,
    /// Shown so far ahead: what two clocks may differ by.
    pub ahead: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self { past: 15, ahead: 15 }
    }
}

/// What a genuine code says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// What it may be used for.
    pub capabilities: Capabilities,
    /// By what it names its holder.
    pub alias: Alias,
    /// In which slot it was shown: with the alias, what tells a code shown again.
    pub slot: u16,
    /// When that slot began.
    pub shown_at: UnixSeconds,
    /// When its certificate ends.
    pub expires_at: UnixSeconds,
}

/// 离线码: an offline code as shown or as read. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct OfflineCode([u8; OFFLINE_LEN]);

impl OfflineCode {
    /// Reads the text of an offline code. Nothing is verified yet.
    ///
    /// # Errors
    /// The check that failed; [`Refusal::Mode`] for a code of another mode.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        match envelope::unwrap(text)? {
            (Mode::Offline, bytes) => Self::from_slice(&bytes),
            (mode @ (Mode::Online | Mode::Paper | Mode::Answer), _) => Err(Refusal::Mode(mode.number())),
        }
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, Refusal> {
        let wrong = |_| Refusal::Length { expected: OFFLINE_LEN, got: bytes.len() };
        bytes.try_into().map(Self).map_err(wrong)
    }

    /// The text that a QR code carries, 274 characters.
    #[must_use]
    pub fn to_text(&self) -> String {
        envelope::wrap(&self.0)
    }

    /// The 180 bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; OFFLINE_LEN] {
        self.0
    }

    /// 验码: whether the city issued it and its phone showed it within the window. The cheap checks come first.
    ///
    /// # Errors
    /// The check that failed.
    pub fn verify(&self, issuers: &Issuers, now: UnixSeconds, window: Window) -> Result<Presented, Refusal> {
        let (signed, signature) =
            self.0.split_last_chunk::<SIGNATURE_LEN>().expect("a code ends with its signature");
        let (certificate, slot) =
            signed.split_first_chunk::<CERTIFICATE_LEN>().expect("a code begins with its certificate");
        debug_assert_eq!(signed.len(), SHOWN_LEN);
        let slot = u16::from_be_bytes(*slot.first_chunk().expect("the slot follows"));
        Shown { certificate, slot, signed, signature }.verify(issuers, now, window)
    }
}

/// What a phone made: its certificate, a slot, and its signature over whatever it was made for.
pub(crate) struct Shown<'a> {
    pub(crate) certificate: &'a [u8; CERTIFICATE_LEN],
    pub(crate) slot: u16,
    pub(crate) signed: &'a [u8],
    pub(crate) signature: &'a [u8; SIGNATURE_LEN],
}

impl Shown<'_> {
    /// The cheap checks come first.
    pub(crate) fn verify(
        &self,
        issuers: &Issuers,
        now: UnixSeconds,
        window: Window,
    ) -> Result<Presented, Refusal> {
        let [_, issuer_id, ..] = *self.certificate;
        let issuer = issuers.get(issuer_id).ok_or(Refusal::Key(issuer_id))?;
        let fields = Fields::of(self.certificate);
        if !(1..=LIFETIME_MAX).contains(&fields.lifetime) {
            return Err(Refusal::Lifetime(fields.lifetime));
        }
        let age = u32::from(self.slot) * SLOT_SECONDS;
        let (shown_at, expires_at) = (
            fields.issued_at.checked_add(age).ok_or(Refusal::Early)?,
            fields.issued_at.checked_add(fields.lives()).ok_or(Refusal::Early)?,
        );
        if shown_at > now.saturating_add(window.ahead) {
            return Err(Refusal::Early);
        }
        if age >= fields.lives() || now >= expires_at.saturating_add(window.past) {
            return Err(Refusal::Expired);
        }
        if shown_at.saturating_add(window.past) < now {
            return Err(Refusal::Stale);
        }
        let (issued, issuer_signature) = self
            .certificate
            .split_last_chunk::<SIGNATURE_LEN>()
            .expect("a certificate ends with its signature");
        debug_assert_eq!(issued.len(), ISSUED_LEN);
        if !issuer.verifies(issued, issuer_signature) {
            return Err(Refusal::IssuerSignature);
        }
        let session = PublicKey::from_bytes(&fields.session_key).map_err(|_| Refusal::SessionKey)?;
        if !session.verifies(self.signed, self.signature) {
            return Err(Refusal::SessionSignature);
        }
        let (alias, capabilities, slot) = (fields.alias, fields.capabilities, self.slot);
        Ok(Presented { capabilities, alias, slot, shown_at, expires_at })
    }
}

impl std::fmt::Debug for OfflineCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OfflineCode(…)")
    }
}

/// The fields of a certificate, as they stand there.
struct Fields {
    capabilities: Capabilities,
    alias: Alias,
    issued_at: UnixSeconds,
    lifetime: u8,
    session_key: [u8; PUBLIC_KEY_LEN],
}

impl Fields {
    fn of(certificate: &[u8; CERTIFICATE_LEN]) -> Self {
        Self {
            capabilities: Capabilities(u16::from_be_bytes(at::<2, 2>(certificate))),
            alias: Alias(at::<4, ALIAS_LEN>(certificate)),
            issued_at: u32::from_be_bytes(at::<12, 4>(certificate)),
            lifetime: u8::from_be_bytes(at::<16, 1>(certificate)),
            session_key: at::<17, PUBLIC_KEY_LEN>(certificate),
        }
    }

    /// Seconds.
    fn lives(&self) -> u32 {
        u32::from(self.lifetime) * QUARTER
    }
}

/// The `N` bytes at `AT`.
fn at<const AT: usize, const N: usize>(certificate: &[u8; CERTIFICATE_LEN]) -> [u8; N] {
    const { assert!(AT + N <= CERTIFICATE_LEN, "a field lies within the certificate") };
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(certificate.iter().skip(AT)) {
        *to = *from;
    }
    bytes
}
