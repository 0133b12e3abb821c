//! The kiosks' side of the network: TLS 1.3 by rustls, with certificates of the city's authority on both
//! ends. No session is resumed: each connection proves anew that its certificate is still good.

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

/// A handshake that takes longer is given up: a thin link needs two seconds.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time; whoever connects and says nothing keeps out this many for that long at most.
const HANDSHAKES_MAX: usize = 512;
/// After the system had no socket to give.
const NO_SOCKET: Duration = Duration::from_millis(200);

/// The platform's certificates.
pub struct Certificates {
    /// Its own, with those up to the authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key to it.
    pub key: PrivateKeyDer<'static>,
    /// The authority that certifies kiosks.
    pub kiosk_authority: Vec<CertificateDer<'static>>,
}

/// Why kiosks cannot be listened to.
#[derive(Debug, thiserror::Error)]
pub enum KioskListenerError {
    /// The certificate, or what it is used with.
    #[error("the platform's certificate or key is of no use")]
    Own(#[source] rustls::Error),
    /// The socket is of no use.
    #[error("the listener has no address")]
    Socket(#[source] io::Error),
    /// A certificate of the authority.
    #[error("the authority's certificate cannot be read")]
    Authority(#[source] rustls::Error),
    /// There is none.
    #[error("no kiosk could be recognised: there is no certificate of an authority")]
    NoAuthority(#[source] rustls::server::VerifierBuilderError),
}

impl Certificates {
    fn config(self) -> Result<ServerConfig, KioskListenerError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in self.kiosk_authority {
            roots.add(authority).map_err(KioskListenerError::Authority)?;
        }
        let kiosks = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(KioskListenerError::NoAuthority)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(KioskListenerError::Own)?
            .with_client_cert_verifier(kiosks)
            .with_single_cert(self.chain, self.key)
            .map_err(KioskListenerError::Own)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

/// Accepts connections whose certificate the authority issued.
pub struct KioskListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, Peer)>,
    accepting: JoinHandle<()>,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The device's certificate; none only for the listener itself.
    pub(crate) certificate: Option<CertificateDer<'static>>,
}

impl KioskListener {
    /// Begins to accept.
    ///
    /// # Errors
    /// When the certificates are of no use, or the socket has no address.
    pub fn new(listener: TcpListener, certificates: Certificates) -> Result<Self, KioskListenerError> {
        let acceptor = TlsAcceptor::from(Arc::new(certificates.config()?));
        let address = listener.local_addr().map_err(KioskListenerError::Socket)?;
        let (done, ready) = mpsc::channel(1);
        Ok(Self { address, ready, accepting: tokio::spawn(accept(listener, acceptor, done)) })
    }

    /// Where it listens.
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
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accepting task never ends by itself; without it there is nothing to accept.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Peer { certificate: None })
    }
}

impl Connected<IncomingStream<'_, KioskListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, KioskListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Each handshake runs by itself, so that a slow or silent peer holds up nobody.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    done: mpsc::Sender<(TlsStream<TcpStream>, Peer)>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        // Never closed.
        let Ok(turn) = Arc::clone(&handshakes).acquire_owned().await else { return };
        let (socket, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(NO_SOCKET).await;
                continue;
            }
        };
        let (acceptor, done) = (acceptor.clone(), done.clone());
        tokio::spawn(async move {
            let _turn = turn;
            // Without it each small answer would wait for the acknowledgement of the one before.
            let _ = socket.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
                Ok(Ok(stream)) => {
                    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                    let certificate = chain.first().cloned().map(CertificateDer::into_owned);
                    // Gone when the platform stops.
                    let _ = done.send((stream, Peer { certificate })).await;
                }
                Ok(Err(error)) => tracing::info!(%from, %error, "a connection is refused"),
                Err(_) => tracing::debug!(%from, "a handshake was not finished"),
            }
        });
    }
}
