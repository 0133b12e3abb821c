//! Both TLS endpoints of a relay between kiosks and platform. Towards a kiosk the relay presents the platform's
//! certificate, towards the platform the certificate of the calling kiosk.

use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned, version,
};

/// The connection with a kiosk.
pub type KioskTlsStream = StreamOwned<ServerConnection, TcpStream>;
/// The connection with the platform.
pub type PlatformTlsStream = StreamOwned<ClientConnection, TcpStream>;

/// The certificates and keys for both handshakes.
pub struct RelayEndpoints {
    server: Arc<ServerConfig>,
    kiosks: Vec<(CertificateDer<'static>, Arc<ClientConfig>)>,
    platform: ServerName<'static>,
}

impl RelayEndpoints {
    /// Reads the platform's certificate from `city` and each kiosk's from its directory of keys.
    ///
    /// # Errors
    /// When a file is missing or invalid, or a key does not match its certificate.
    pub fn read(city: &Path, keys: &[PathBuf], platform: &str) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in read_certificate_chain(&city.join("ca.pem"))? {
            roots.add(authority)?;
        }
        let roots = Arc::new(roots);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider)).build()?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                read_certificate_chain(&city.join("platform.pem"))?,
                read_private_key(&city.join("platform.key"))?,
            )?;
        let mut kiosks = Vec::new();
        for keys in keys {
            let own = read_certificate_chain(&keys.join("tls.pem"))?;
            let first = own.first().context("tls.pem holds a certificate")?.clone();
            let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&version::TLS13])?
                .with_root_certificates(Arc::clone(&roots))
                .with_client_auth_cert(own, read_private_key(&keys.join("tls.key"))?)?;
            kiosks.push((first, Arc::new(config)));
        }
        let platform = ServerName::try_from(platform.to_owned())?;
        Ok(Self { server: Arc::new(server), kiosks, platform })
    }

    /// Accepts a kiosk's connection; the handshake happens at the first read.
    ///
    /// # Errors
    /// When the TLS session cannot be created.
    pub fn accept_kiosk(&self, socket: TcpStream) -> io::Result<KioskTlsStream> {
        let connection = ServerConnection::new(Arc::clone(&self.server)).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, socket))
    }

    /// Connects to the platform with the certificate of the calling kiosk.
    ///
    /// # Errors
    /// When the caller's certificate belongs to no known kiosk.
    pub fn connect_as_caller(
        &self,
        caller: &KioskTlsStream,
        socket: TcpStream,
    ) -> io::Result<PlatformTlsStream> {
        let certificate = caller.conn.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
        let kiosk = self.kiosks.iter().position(|(own, _)| Some(own) == certificate);
        let kiosk =
            kiosk.ok_or_else(|| io::Error::other("the caller's certificate belongs to no known kiosk"))?;
        self.connect_as_kiosk(kiosk, socket)
    }

    /// Connects to the platform with the certificate of the n-th kiosk; the handshake happens at the first byte.
    ///
    /// # Errors
    /// When there is no such kiosk.
    pub fn connect_as_kiosk(&self, kiosk: usize, socket: TcpStream) -> io::Result<PlatformTlsStream> {
        let (_, config) = self.kiosks.get(kiosk).ok_or(io::ErrorKind::NotFound)?;
        let connection =
            ClientConnection::new(Arc::clone(config), self.platform.clone()).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, socket))
    }
}

fn read_certificate_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).with_context(|| file.display().to_string())?.collect();
    certificates.with_context(|| file.display().to_string())
}

fn read_private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file).with_context(|| file.display().to_string())
}
