//! A server of one file over TLS, or TLS in front of another server; the certificate is for `localhost` and signed by an authority of our own.
//!
//! `tls/` holds both, made with OpenSSL for a hundred years; the authority's key was thrown away.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The authority, as PEM.
pub(crate) const AUTHORITY: &str = include_str!("tls/authority.pem");

/// A running server.
#[derive(Debug)]
pub(crate) struct Secure {
    pub(crate) port: u16,
    asked: Arc<AtomicUsize>,
}

impl Secure {
    /// Serves this file under every path.
    pub(crate) fn start(file: Vec<u8>) -> Self {
        Self::answering(move |_| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len());
            Ok([head.as_bytes(), &file].concat())
        })
    }

    /// Hands every request to the server at this port of our own.
    pub(crate) fn before(port: u16) -> Self {
        Self::answering(move |request| {
            let mut inner = TcpStream::connect(("127.0.0.1", port))?;
            let end = request.windows(2).position(|two| two == b"\r\n").unwrap_or_default() + 2;
            // One request for each connection: then the end of the answer is the end of the connection.
            inner.write_all(&[&request[..end], b"Connection: close\r\n", &request[end..]].concat())?;
            let mut answer = Vec::new();
            inner.read_to_end(&mut answer)?;
            Ok(answer)
        })
    }

    fn answering(answer: impl Fn(&[u8]) -> std::io::Result<Vec<u8>> + Send + Sync + 'static) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/localhost.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/localhost.key")).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (config, asked) = (Arc::new(config), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&asked);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, seen, answer) = (Arc::clone(&config), Arc::clone(&seen), Arc::clone(&answer));
                // One that ends in the handshake is one that does not trust us.
                std::thread::spawn(move || drop(talk(stream, &config, &seen, &*answer)));
            }
        });
        Self { port, asked }
    }

    /// How many requests came; a client that does not trust us makes none.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn talk(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    asked: &AtomicUsize,
    answer: &dyn Fn(&[u8]) -> std::io::Result<Vec<u8>>,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let mut body = vec![0; length(&request)];
    stream.read_exact(&mut body)?;
    request.extend(body);
    asked.fetch_add(1, Ordering::Relaxed);
    stream.write_all(&answer(&request)?)?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// How many bytes follow a head.
fn length(head: &[u8]) -> usize {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let said = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    said.and_then(|said| said.trim().parse().ok()).unwrap_or(0)
}
