//! Whom we trust to say who a broker is, and what is said of one that nobody vouches for.

use std::error::Error;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::{BrokerError, is_secure};

/// What can be spoken over.
pub(super) trait Link: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Link for T {}

/// Connects to the host of an address, with TLS where it wants that: for a library that would trust either the public
/// authorities or others.
pub(super) async fn connect(
    url: &Url,
    usual_port: u16,
    authorities_pem: &str,
) -> Result<Box<dyn Link>, BrokerError> {
    let away = |error: std::io::Error| BrokerError::away(&error);
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let link = TcpStream::connect((host, url.port().unwrap_or(usual_port))).await.map_err(away)?;
    link.set_nodelay(true).map_err(away)?;
    if !is_secure(url) {
        return Ok(Box::new(link));
    }
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|error| BrokerError::Config(format!("`url` names no host: {error}")))?;
    let connector = TlsConnector::from(Arc::new(tls(authorities_pem)?));
    Ok(Box::new(connector.connect(name, link).await.map_err(away)?))
}

/// TLS with the public authorities, and those of the owner.
pub(super) fn tls(authorities_pem: &str) -> Result<ClientConfig, BrokerError> {
    let wrong = |error: String| BrokerError::Config(format!("a certificate of `authorities` {error}"));
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in CertificateDer::pem_slice_iter(authorities_pem.as_bytes()) {
        let certificate = certificate.map_err(|error| wrong(format!("cannot be read: {error}")))?;
        roots.add(certificate).map_err(|error| wrong(format!("cannot be used: {error}")))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BrokerError::Config(error.to_string()))?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

/// Why a certificate was refused, when that is what an error is about at its bottom.
pub(super) fn refusal(error: &(dyn Error + 'static)) -> Option<String> {
    let mut layer = Some(error);
    while let Some(error) = layer {
        // An error of a socket hides the one inside it: its source is the source of that one.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = error.downcast_ref().or_else(|| inner?.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(wrong)) = tls {
            return Some(words(wrong));
        }
        layer = inner.map_or_else(|| error.source(), |inner| Some(inner as &(dyn Error + 'static)));
    }
    None
}

fn words(wrong: &CertificateError) -> String {
    use CertificateError::{Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer};
    if matches!(wrong, UnknownIssuer) {
        "nobody who is trusted here has signed it; name its authority in `authorities`".to_owned()
    } else if matches!(wrong, NotValidForName | NotValidForNameContext { .. }) {
        "it is for another name than `url` has".to_owned()
    } else if matches!(wrong, Expired | ExpiredContext { .. }) {
        "it has expired".to_owned()
    } else {
        wrong.to_string()
    }
}
