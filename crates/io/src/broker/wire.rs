//! One connection to a broker: TCP, and TLS where the address wants it.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::BrokerError;

/// No line of a broker is longer, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// What can be spoken over.
trait Link: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Link for T {}

/// A connection.
pub(super) struct Wire(BufReader<Box<dyn Link>>);

impl Wire {
    /// Connects to the host of the address.
    pub(super) async fn connect(url: &Url, usual_port: u16) -> Result<Self, BrokerError> {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let link = TcpStream::connect((host, url.port().unwrap_or(usual_port))).await?;
        link.set_nodelay(true)?;
        let secure = ["rediss", "tls", "amqps"].contains(&url.scheme());
        let link: Box<dyn Link> =
            if secure { Box::new(Self::secured(link, host).await?) } else { Box::new(link) };
        Ok(Self(BufReader::new(link)))
    }

    async fn secured(
        link: TcpStream,
        host: &str,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, BrokerError> {
        let wrong = |error: String| BrokerError::Config(error);
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned()).map_err(|error| wrong(error.to_string()))?;
        Ok(TlsConnector::from(Arc::new(config)).connect(name, link).await?)
    }

    /// Sends all of it.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), BrokerError> {
        self.0.write_all(bytes).await?;
        Ok(self.0.flush().await?)
    }

    /// A line without its end.
    pub(super) async fn line(&mut self) -> Result<String, BrokerError> {
        let mut line = Vec::new();
        (&mut self.0).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Err(BrokerError::Away("the connection ended".to_owned()));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// So many bytes.
    pub(super) async fn bytes(&mut self, len: usize) -> Result<Vec<u8>, BrokerError> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).await?;
        Ok(bytes)
    }
}
