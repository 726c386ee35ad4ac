//! A site that is told what happens: it believes what is signed, and remembers it once however often it comes.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, StatusCode};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;

/// A message as it was told.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// What happened.
    pub(crate) topic: String,
    /// The rest of it.
    pub(crate) data: Value,
}

#[derive(Default)]
struct Inside {
    secret: Vec<u8>,
    /// By the ids of the messages.
    heard: BTreeMap<String, Heard>,
    /// The ids in the order in which they came.
    order: Vec<String>,
    /// How often something came that was there already.
    repeated: u32,
    /// How often something came that nobody has signed.
    forged: u32,
    /// So many messages more are refused.
    refuses: u32,
}

/// A running site.
#[derive(Clone)]
pub(crate) struct Site {
    port: u16,
    inside: Arc<Mutex<Inside>>,
}

impl Site {
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let site = Self { port: listener.local_addr()?.port(), inside: Arc::default() };
        let router = Router::new().fallback(hear).with_state(site.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    // A connection that the server's end cuts is what it is.
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Ok(site)
    }

    /// Where it listens, as `host:port`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where it is told.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/matinee", self.host())
    }

    /// From now on it believes what is signed by this secret.
    pub(super) fn believe(&self, secret: &str) -> anyhow::Result<()> {
        let secret = secret.strip_prefix("whsec_").context("a secret begins with whsec_")?;
        self.inside().secret = STANDARD.decode(secret)?;
        Ok(())
    }

    /// It refuses so many messages more.
    pub(crate) fn refuse(&self, messages: u32) {
        self.inside().refuses = messages;
    }

    /// What was told from this place on, each message once.
    pub(crate) fn heard(&self, from: usize) -> Vec<Heard> {
        let inside = self.inside();
        inside.order.iter().skip(from).filter_map(|id| inside.heard.get(id).cloned()).collect()
    }

    /// How often something came again, and how often something came that was not signed.
    pub(crate) fn odd(&self) -> (u32, u32) {
        let inside = self.inside();
        (inside.repeated, inside.forged)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn hear(State(site): State<Site>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let id = header("webhook-id");
    let mut inside = site.inside();
    if inside.refuses > 0 {
        inside.refuses -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let mut mac: Hmac<Sha256> =
        Hmac::new_from_slice(&inside.secret).expect("because a key may have any length");
    mac.update(format!("{id}.{}.", header("webhook-timestamp")).as_bytes());
    mac.update(&body);
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let told = serde_json::from_slice::<Value>(&body).ok();
    let signed = header("webhook-signature").split(' ').any(|signature| signature == wanted);
    let Some(told) = told.filter(|_| signed) else {
        inside.forged += 1;
        return StatusCode::UNAUTHORIZED;
    };
    let topic = told["type"].as_str().unwrap_or_default().to_owned();
    let heard = Heard { topic, data: told["data"].clone() };
    if inside.heard.insert(id.to_owned(), heard).is_some() {
        inside.repeated += 1;
    } else {
        inside.order.push(id.to_owned());
    }
    StatusCode::NO_CONTENT
}
