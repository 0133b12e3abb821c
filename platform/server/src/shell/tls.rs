//! The TLS listener for kiosks: TLS 1.3 by rustls, with certificates of the city's authority on both
//! ends. Sessions are not resumed, so each connection proves again that its certificate is valid.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Time after which a handshake is aborted; a slow link needs two seconds.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Most concurrent handshakes. Connections that send nothing occupy these for at most [`HANDSHAKE_TIMEOUT`].
const HANDSHAKES_MAX: usize = 512;
/// Pause after a failed `accept`, as when the system has no file descriptors left.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);

/// Certificates of the platform and of the authority that certifies kiosks.
pub struct PlatformCertificates {
    /// The platform's certificate, then those up to the authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// Private key of the platform's certificate.
    pub key: PrivateKeyDer<'static>,
    /// Certificates of the authority that certifies kiosks.
    pub kiosk_authority: Vec<CertificateDer<'static>>,
}

/// Why the kiosk listener cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum KioskListenerError {
    /// rustls refuses the platform's certificate or key.
    #[error("the platform's certificate or private key is invalid")]
    PlatformCertificate(#[source] rustls::Error),
    /// The socket has no local address.
    #[error("cannot get the listener's local address")]
    Socket(#[source] io::Error),
    /// A certificate of the kiosk authority is malformed.
    #[error("cannot parse a certificate of the kiosk authority")]
    KioskAuthority(#[source] rustls::Error),
    /// No certificate of the kiosk authority is configured.
    #[error("no certificate of the kiosk authority is configured; no kiosk could connect")]
    NoKioskAuthority(#[source] rustls::server::VerifierBuilderError),
}

impl PlatformCertificates {
    fn config(self) -> Result<ServerConfig, KioskListenerError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in self.kiosk_authority {
            roots.add(authority).map_err(KioskListenerError::KioskAuthority)?;
        }
        let kiosks = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(KioskListenerError::NoKioskAuthority)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(KioskListenerError::PlatformCertificate)?
            .with_client_cert_verifier(kiosks)
            .with_single_cert(self.chain, self.key)
            .map_err(KioskListenerError::PlatformCertificate)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

/// Accepts TLS connections whose client certificate was issued by the kiosk authority.
pub struct KioskListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, KioskPeer)>,
    accepting: JoinHandle<()>,
}

/// Client certificate of a connection.
#[derive(Clone, Debug)]
pub struct KioskPeer {
    /// The kiosk's certificate; `None` only for the listener itself.
    pub(crate) certificate: Option<CertificateDer<'static>>,
}

impl KioskListener {
    /// Starts accepting connections in a task of its own.
    ///
    /// # Errors
    /// [`KioskListenerError`], when a certificate or key is invalid or the socket has no address.
    pub fn new(
        listener: TcpListener,
        certificates: PlatformCertificates,
    ) -> Result<Self, KioskListenerError> {
        let acceptor = TlsAcceptor::from(Arc::new(certificates.config()?));
        let address = listener.local_addr().map_err(KioskListenerError::Socket)?;
        let (accepted_tx, ready) = mpsc::channel(1);
        Ok(Self {
            address,
            ready,
            accepting: tokio::spawn(accept_connections(listener, acceptor, accepted_tx)),
        })
    }

    /// Local address of the listener.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for KioskListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener for KioskListener {
    type Io = TlsStream<TcpStream>;
    type Addr = KioskPeer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accepting task ends only when it is aborted; after that there are no connections.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(KioskPeer { certificate: None })
    }
}

impl Connected<IncomingStream<'_, KioskListener>> for KioskPeer {
    fn connect_info(stream: IncomingStream<'_, KioskListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Accepts connections. Each handshake runs in a task of its own, so that a slow peer does not block others.
async fn accept_connections(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    accepted_tx: mpsc::Sender<(TlsStream<TcpStream>, KioskPeer)>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else { return };
        let (socket, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a kiosk connection; retrying");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            }
        };
        let (acceptor, accepted_tx) = (acceptor.clone(), accepted_tx.clone());
        tokio::spawn(async move {
            let _permit = permit;
            // TCP_NODELAY: otherwise a small answer waits for the acknowledgement of the one before.
            let _ = socket.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await {
                Ok(Ok(stream)) => {
                    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                    let certificate = chain.first().cloned().map(CertificateDer::into_owned);
                    // The receiver is dropped when the platform stops.
                    let _ = accepted_tx.send((stream, KioskPeer { certificate })).await;
                }
                Ok(Err(error)) => {
                    tracing::info!(%from, %error, "TLS handshake with a kiosk failed; connection closed")
                }
                Err(_) => tracing::debug!(%from, "TLS handshake timed out; connection closed"),
            }
        });
    }
}
