//! One connection to one checked address: TCP, TLS where it is wanted, and one request of HTTP/1.1.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use matinee_core::limits;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::FetchError;

/// Most bytes of a body that are held for one connection.
const READ_BUFFER_BYTES: usize = 128 * 1024;

/// Runs a connection; it ends with its last owner.
pub(super) struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What can be spoken over.
trait Link: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Link for T {}

/// Whom we trust to say who a host is.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// The public authorities, and those of the owner.
    pub(super) fn new(authorities_pem: &str) -> Result<Self, String> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in CertificateDer::pem_slice_iter(authorities_pem.as_bytes()) {
            let certificate =
                certificate.map_err(|error| format!("a certificate cannot be read: {error}"))?;
            roots.add(certificate).map_err(|error| format!("a certificate cannot be used: {error}"))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Sends a request over a connection to the first of these addresses that takes one; with TLS for `secure`, the name
    /// of the host.
    pub(super) async fn send(
        &self,
        addresses: &[SocketAddr],
        secure: Option<&str>,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Driver), FetchError> {
        let link = self.connect(addresses, secure).await?;
        let connecting = hyper::client::conn::http1::Builder::new()
            .max_buf_size(READ_BUFFER_BYTES)
            .handshake(TokioIo::new(link))
            .await;
        let (mut sender, connection) = connecting.map_err(|error| FetchError::Broken(cause(&error)))?;
        let driver = Driver(tokio::spawn(async move {
            // What goes wrong is told to the one who reads the body.
            drop(connection.await);
        }));
        let patience = Duration::from_millis(limits::PULL_HEAD_MS);
        let answer = tokio::time::timeout(patience, sender.send_request(request)).await;
        let answer = answer.map_err(|_| FetchError::Broken("no answer came in time".to_owned()))?;
        Ok((answer.map_err(|error| FetchError::Broken(cause(&error)))?, driver))
    }

    async fn connect(
        &self,
        addresses: &[SocketAddr],
        secure: Option<&str>,
    ) -> Result<Box<dyn Link>, FetchError> {
        let patience = Duration::from_millis(limits::PULL_CONNECT_MS);
        let mut last = FetchError::Unreachable("the name has no address".to_owned());
        for address in addresses {
            let connected = tokio::time::timeout(patience, self.reach(*address, secure)).await;
            let failed = match connected {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(error)) => unreachable(&error),
                Err(_) => FetchError::Unreachable("no connection came about in time".to_owned()),
            };
            // What another address of the same host says tells less.
            if !matches!(last, FetchError::Untrusted(_)) {
                last = failed;
            }
        }
        Err(last)
    }

    async fn reach(&self, address: SocketAddr, secure: Option<&str>) -> std::io::Result<Box<dyn Link>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let Some(host) = secure else { return Ok(Box::new(stream)) };
        let name = match host.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?,
        };
        Ok(Box::new(self.0.connect(name, stream).await?))
    }
}

/// Why no connection came about; a certificate that was refused has words of its own.
fn unreachable(error: &std::io::Error) -> FetchError {
    use CertificateError::{Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(wrong)) = inner else {
        return FetchError::Unreachable(cause(error));
    };
    let words = if matches!(wrong, UnknownIssuer) {
        "nobody who is trusted here has signed it".to_owned()
    } else if matches!(wrong, NotValidForName | NotValidForNameContext { .. }) {
        "it is for another name".to_owned()
    } else if matches!(wrong, Expired | ExpiredContext { .. }) {
        "it has expired".to_owned()
    } else {
        wrong.to_string()
    };
    FetchError::Untrusted(words)
}

/// The innermost reason, which is the one that says something.
pub(super) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
