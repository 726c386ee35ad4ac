//! A server of one file over TLS, whose certificate is for `localhost` and signed by an authority of our own.
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
pub(crate) struct Secure {
    pub(crate) port: u16,
    asked: Arc<AtomicUsize>,
}

impl Secure {
    /// Serves this file under every path.
    pub(crate) fn start(file: Vec<u8>) -> Self {
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
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // One that ends in the handshake is one that does not trust us.
                drop(answer(stream, &config, &file, &seen));
            }
        });
        Self { port, asked }
    }

    /// How many requests came; a client that does not trust us makes none.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    file: &[u8],
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    asked.fetch_add(1, Ordering::Relaxed);
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len())?;
    stream.write_all(file)?;
    stream.conn.send_close_notify();
    stream.flush()
}
