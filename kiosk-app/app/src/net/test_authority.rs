//! Certificate authority for tests: issues certificates with any validity and names.

use std::sync::{Arc, OnceLock};

use contract::KioskId;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;

use super::tls::TlsCredentials;

/// A certificate and its key.
pub(crate) type CertificateAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Validity from the first day of one year to the first day of another.
pub(crate) type ValidityYears = (i32, i32);
const LONG: ValidityYears = (2000, 2100);

pub(crate) struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl TestAuthority {
    /// The authority that all tests share.
    pub(crate) fn shared() -> &'static Self {
        static CITY: OnceLock<TestAuthority> = OnceLock::new();
        CITY.get_or_init(Self::generate)
    }

    pub(crate) fn generate() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    pub(crate) fn root_certificates(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    pub(crate) fn issue(
        &self,
        name: &str,
        use_: ExtendedKeyUsagePurpose,
        years: ValidityYears,
    ) -> CertificateAndKey {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        params.extended_key_usages = vec![use_];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// Credentials of a kiosk, valid for 100 years.
    pub(crate) fn kiosk(&self, device: KioskId) -> TlsCredentials {
        self.kiosk_with(&device.certificate_name(), ExtendedKeyUsagePurpose::ClientAuth, LONG)
    }

    pub(crate) fn kiosk_with(
        &self,
        name: &str,
        use_: ExtendedKeyUsagePurpose,
        years: ValidityYears,
    ) -> TlsCredentials {
        let (chain, key) = self.issue(name, use_, years);
        TlsCredentials { authority: self.root_certificates(), chain, key }
    }

    /// TLS configuration of a platform at 127.0.0.1.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.server_named("127.0.0.1")
    }

    pub(crate) fn server_named(&self, name: &str) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let kiosks = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let (chain, key) = self.issue(name, ExtendedKeyUsagePurpose::ServerAuth, LONG);
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(kiosks.build().unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }
}
