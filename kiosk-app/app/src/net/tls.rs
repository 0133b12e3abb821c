//! TLS client of the kiosk: TLS 1.3 with the kiosk's own certificate, and the city's certificate authority as the
//! only trust anchor. The system's list of authorities is not used.
//!
//! A kiosk whose clock battery is dead must still connect, because it learns the time from the platform. So the
//! validity dates of the platform's certificate are checked against the best known time, see [`CertificateClock`];
//! chain, name and key usage are always checked. An attacker with the stolen key of an expired certificate, whom
//! only the dates would stop, could read no request body: bodies are sealed to another key.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contract::KioskId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Longest certificate chain, from the platform's certificate to the authority's.
const CHAIN_MAX: usize = 4;
/// 9999-12-31T23:59:59Z.
const END_OF_TIME: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_799));

/// Credentials that provisioning issued to the kiosk.
pub(crate) struct TlsCredentials {
    /// Certificates of the city's certificate authority.
    pub(crate) authority: Vec<CertificateDer<'static>>,
    /// The kiosk's certificate, followed by the intermediate ones up to the authority.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// Private key of the kiosk's certificate.
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Why the credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsCredentialsError {
    /// The authority's certificate is not a CA certificate.
    #[error(
        "city-ca.pem holds no certificate of a certificate authority: copy it from the city's provisioning"
    )]
    Authority,
    /// The certificate names another kiosk.
    #[error("tls.pem is not the certificate of this kiosk ({0}): have its request certified again")]
    Name(KioskId),
    /// The certificate is not from the city's authority, or not for a kiosk.
    #[error("tls.pem is not issued by the city's authority: have its request certified again")]
    Untrusted(#[source] Error),
    /// Certificate and private key do not match.
    #[error("tls.key does not belong to tls.pem")]
    Key(#[source] Error),
}

impl TlsCredentials {
    /// TLS client configuration, and the clock that its certificate checks use.
    pub(crate) fn config(
        self,
        device: KioskId,
    ) -> Result<(ClientConfig, Arc<CertificateClock>), TlsCredentialsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in self.authority {
            roots.add(authority).map_err(|_| TlsCredentialsError::Authority)?;
        }
        let roots = Arc::new(roots);
        let clock = Arc::new(verify_own_certificate(&self.chain, &roots, &provider, device)?);
        let inner = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|_| TlsCredentialsError::Authority)?;
        let verifier = Arc::new(PlatformCertVerifier { inner, clock: Arc::clone(&clock) });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsCredentialsError::Key)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(self.chain, self.key)
            .map_err(TlsCredentialsError::Key)?;
        config.resumption = Resumption::disabled();
        Ok((config, clock))
    }
}

/// Verifies the kiosk's own certificate as the platform will, independent of the clock, and extracts its validity.
fn verify_own_certificate(
    chain: &[CertificateDer<'static>],
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    device: KioskId,
) -> Result<CertificateClock, TlsCredentialsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .build()
        .map_err(|_| TlsCredentialsError::Authority)?;
    let (own, others) = chain.split_first().ok_or(TlsCredentialsError::Name(device))?;
    let name =
        ServerName::try_from(device.certificate_name()).map_err(|_| TlsCredentialsError::Name(device))?;
    webpki::EndEntityCert::try_from(own)
        .and_then(|own| own.verify_is_valid_for_subject_name(&name))
        .map_err(|_| TlsCredentialsError::Name(device))?;
    let verify = |at| verifier.verify_client_cert(own, others, at).map(drop);
    // Verifying at a time far outside the validity yields the dates in the error.
    let issued = match verify(UnixTime::since_unix_epoch(Duration::ZERO)) {
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => not_before,
        Err(error) => return Err(TlsCredentialsError::Untrusted(error)),
        Ok(()) => UnixTime::since_unix_epoch(Duration::ZERO),
    };
    let expires = match verify(END_OF_TIME) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => not_after,
        Err(error) => return Err(TlsCredentialsError::Untrusted(error)),
        Ok(()) => END_OF_TIME,
    };
    verify(issued).map_err(TlsCredentialsError::Untrusted)?;
    Ok(CertificateClock { issued, expires, synchronised: Mutex::new(None) })
}

/// The time against which certificates are checked. Sources, the most reliable first:
///
/// 1. the platform's time from its last answer since the start of this process, plus the monotonic time since then;
/// 2. the machine's clock, while it is within the validity of the kiosk's own certificate: outside of it either the
///    clock is wrong, or the platform will refuse this kiosk anyway;
/// 3. the day on which the kiosk's own certificate was issued: the present cannot be earlier.
#[derive(Debug)]
pub(crate) struct CertificateClock {
    issued: UnixTime,
    expires: UnixTime,
    synchronised: Mutex<Option<(UnixTime, Instant)>>,
}

impl CertificateClock {
    /// Synchronises with the platform's time, received over a verified connection.
    pub(crate) fn synchronise(&self, time: UnixTime) {
        // Outside its validity the platform would not have accepted this kiosk's certificate.
        if self.is_credible(time) {
            *self.synchronised.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, Instant::now()));
        }
    }

    /// Whether the kiosk's own certificate has expired at this time.
    pub(crate) fn has_expired(&self, clock: UnixTime) -> bool {
        clock > self.expires
    }

    fn best_estimate(&self, clock: UnixTime) -> UnixTime {
        if let Some((time, at)) = *self.synchronised.lock().unwrap_or_else(PoisonError::into_inner) {
            let since = Duration::from_secs(time.as_secs()).saturating_add(at.elapsed());
            return UnixTime::since_unix_epoch(since);
        }
        if self.is_credible(clock) { clock } else { self.issued }
    }

    fn is_credible(&self, time: UnixTime) -> bool {
        self.issued <= time && time <= self.expires
    }
}

/// Verifies the platform's certificate at the best known time.
#[derive(Debug)]
struct PlatformCertVerifier {
    inner: Arc<WebPkiServerVerifier>,
    clock: Arc<CertificateClock>,
}

impl ServerCertVerifier for PlatformCertVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify =
            |at| self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at);
        let mut at = self.clock.best_estimate(now);
        for _ in 0..CHAIN_MAX {
            match verify(at) {
                // The authority does not issue ahead of time: the start of validity is in the past.
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before, ..
                })) if not_before > at => {
                    at = not_before;
                }
                verdict => return verdict,
            }
        }
        verify(at)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::test_authority::{TestAuthority, ValidityYears};
    use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};

    fn device() -> KioskId {
        "K-TEST".parse().unwrap()
    }

    /// The first second of a year.
    fn year(year: i32) -> UnixTime {
        let seconds = rcgen::date_time_ymd(year, 1, 1).unix_timestamp();
        UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap()))
    }

    fn verifier(own: ValidityYears) -> PlatformCertVerifier {
        let ca = TestAuthority::shared();
        let TlsCredentials { authority, chain, .. } = ca.kiosk_with("k-test.kiosk", ClientAuth, own);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        authority.into_iter().for_each(|one| roots.add(one).unwrap());
        let roots = Arc::new(roots);
        let clock = Arc::new(verify_own_certificate(&chain, &roots, &provider, device()).unwrap());
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider).build().unwrap();
        PlatformCertVerifier { inner, clock }
    }

    /// Whether a platform certificate of these years is accepted while the machine's clock shows this year.
    fn accepts(verifier: &PlatformCertVerifier, platform: ValidityYears, clock: UnixTime) -> bool {
        let (chain, _) = TestAuthority::shared().issue("127.0.0.1", ServerAuth, platform);
        let name = ServerName::try_from("127.0.0.1").unwrap();
        verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], clock).is_ok()
    }

    #[test]
    fn verify_with_credible_clock_checks_dates() {
        let verifier = verifier((2020, 2040));
        assert!(accepts(&verifier, (2025, 2035), year(2030)));
        assert!(!accepts(&verifier, (2025, 2029), year(2030)), "expired");
    }

    #[test]
    fn verify_with_wrong_clock_accepts_current_certificate() {
        let verifier = verifier((2028, 2032));
        for clock in [UnixTime::since_unix_epoch(Duration::ZERO), year(2000), year(2099)] {
            assert!(accepts(&verifier, (2027, 2031), clock), "in force when this kiosk's was issued");
            assert!(accepts(&verifier, (2030, 2034), clock), "issued later than this kiosk's");
            assert!(!accepts(&verifier, (2024, 2027), clock), "had expired before this kiosk's was issued");
        }
        assert!(accepts(&verifier, (2031, 2034), year(2029)), "a clock that is a little behind");
    }

    #[test]
    fn verify_prefers_platform_time_to_clock() {
        let verifier = verifier((2020, 2040));
        assert!(!accepts(&verifier, (2025, 2029), year(2035)));
        verifier.clock.synchronise(year(2028));
        assert!(accepts(&verifier, (2025, 2029), year(2035)), "the clock jumped");
        assert!(!accepts(&verifier, (2020, 2027), year(2025)), "the clock went back");
        verifier.clock.synchronise(year(2090));
        assert!(
            accepts(&verifier, (2025, 2029), year(2035)),
            "no time at which this kiosk could be in force"
        );
    }

    #[test]
    fn config_rejects_credentials_platform_would_refuse() {
        let ca = TestAuthority::shared();
        let check = |credentials: TlsCredentials| credentials.config(device()).map(drop);
        let good = || ca.kiosk(device());
        assert!(check(good()).is_ok());
        assert!(
            check(ca.kiosk_with("k-test.kiosk", ClientAuth, (2001, 2002))).is_ok(),
            "the clock decides nothing"
        );
        let other = ca.kiosk_with("k-other.kiosk", ClientAuth, (2000, 2100));
        assert!(matches!(check(other), Err(TlsCredentialsError::Name(_))));
        let server = ca.kiosk_with("k-test.kiosk", ServerAuth, (2000, 2100));
        assert!(matches!(check(server), Err(TlsCredentialsError::Untrusted(_))));
        let foreign = TlsCredentials { authority: TestAuthority::generate().root_certificates(), ..good() };
        assert!(matches!(check(foreign), Err(TlsCredentialsError::Untrusted(_))));
        let mixed = TlsCredentials { key: good().key, ..good() };
        assert!(matches!(check(mixed), Err(TlsCredentialsError::Key(_))));
        let empty = TlsCredentials { chain: Vec::new(), ..good() };
        assert!(matches!(check(empty), Err(TlsCredentialsError::Name(_))));
    }
}
