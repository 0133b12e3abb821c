//! A kiosk's side of the connection, written from the documentation alone: TLS, envelope, signature, HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use contract::{
    AnswerKey, EnvelopeError, EnvelopeSecret, HttpMethod, KioskId, RequestBinding, SEALED_TYPE, UnixMs,
};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use server::PlatformRequest;
use server::shell::tls::PlatformCertificates;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use crate::fixture::TestKiosk;

pub(crate) fn envelope() -> EnvelopeSecret {
    EnvelopeSecret::new(1, &[8; 32]).unwrap()
}

/// The city's certificate authority.
pub(crate) struct TestCertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// The TLS identity of a kiosk; without a certificate if absent.
pub(crate) struct TlsIdentity {
    authority: CertificateDer<'static>,
    own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
}

impl TestCertificateAuthority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn issue(
        &self,
        name: &str,
        use_: ExtendedKeyUsagePurpose,
        until: i32,
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(until, 1, 1));
        params.extended_key_usages = vec![use_];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    pub(crate) fn platform(&self) -> PlatformCertificates {
        let (certificate, key) = self.issue("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth, 2100);
        PlatformCertificates {
            chain: vec![certificate],
            key,
            kiosk_authority: vec![self.certificate.clone()],
        }
    }

    pub(crate) fn kiosk(&self, device: KioskId) -> TlsIdentity {
        self.kiosk_until(device, 2100)
    }

    pub(crate) fn kiosk_until(&self, device: KioskId, year: i32) -> TlsIdentity {
        let own = self.issue(&device.certificate_name(), ExtendedKeyUsagePurpose::ClientAuth, year);
        TlsIdentity { authority: self.certificate.clone(), own: Some(own) }
    }

    /// A certificate for the same kiosk, issued by another authority.
    pub(crate) fn forged(&self, device: KioskId) -> TlsIdentity {
        TlsIdentity { authority: self.certificate.clone(), ..Self::new().kiosk(device) }
    }

    /// A certificate with the platform's key usage for a kiosk.
    pub(crate) fn misused(&self, device: KioskId) -> TlsIdentity {
        let own = self.issue(&device.certificate_name(), ExtendedKeyUsagePurpose::ServerAuth, 2100);
        TlsIdentity { authority: self.certificate.clone(), own: Some(own) }
    }

    pub(crate) fn no_identity(&self) -> TlsIdentity {
        TlsIdentity { authority: self.certificate.clone(), own: None }
    }
}

/// A signed and sealed request of a kiosk, which can be sent repeatedly.
pub(crate) struct SealedRequest {
    pub(crate) request: PlatformRequest,
    answer: AnswerKey,
}

impl SealedRequest {
    pub(crate) fn new(kiosk: TestKiosk, target: &str, body: &[u8]) -> Self {
        let time = UnixMs(1);
        let text = time.0.to_string();
        let to = RequestBinding { method: "POST", target, device: kiosk.name(), time: &text };
        let mut entropy = Zeroizing::new([0; 32]);
        getrandom::fill(entropy.as_mut_slice()).unwrap();
        let (sealed, answer) = envelope().public().seal(body, to, &entropy);
        let request =
            PlatformRequest::signed(HttpMethod::Post, target, sealed, kiosk.name(), &kiosk.key(), time);
        Self { request, answer }
    }

    pub(crate) fn opened(&self, status: u16, answer: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        self.answer.open(status, answer).map(|body| body.to_vec())
    }

    fn bytes(&self) -> Vec<u8> {
        let PlatformRequest { target, device, time, signature, body, .. } = &self.request;
        let (device, time) = (device.as_deref().unwrap(), time.as_deref().unwrap());
        let signature = signature.as_deref().unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: platform\r\nconnection: close\r\ncontent-type: {SEALED_TYPE}\r\n\
             x-device: {device}\r\nx-time: {time}\r\nx-signature: {signature}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }
}

/// A connection of a kiosk to the platform.
pub(crate) struct KioskClient {
    to: SocketAddr,
    tls: TlsConnector,
}

impl KioskClient {
    pub(crate) fn new(to: SocketAddr, identity: &TlsIdentity) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(identity.authority.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let config = match &identity.own {
            Some((certificate, key)) => {
                config.with_client_auth_cert(vec![certificate.clone()], key.clone_key()).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        Self { to, tls: Arc::new(config).into() }
    }

    /// Sends a request and returns status and body of the answer.
    pub(crate) async fn send(&self, call: &SealedRequest) -> io::Result<(u16, Vec<u8>)> {
        self.raw(&call.bytes()).await
    }

    pub(crate) async fn raw(&self, request: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = self.tls.connect(name, TcpStream::connect(self.to).await?).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        split_response(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Splits the bytes of an HTTP/1.1 connection into status and body of the answer.
pub(crate) fn split_response(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(answer[..end].to_vec()).ok()?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, answer[end..].to_vec()))
}
