//! Somebody who is told what happens: keeps what came, and answers as the test wants.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;

use super::files::axum_serve;

/// In place of a status: no answer ever comes.
pub(crate) const HANGS: u16 = 0;

/// A message as it arrived.
#[derive(Clone)]
pub(crate) struct Message {
    path: String,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// How many signatures it carries.
    pub(crate) fn signatures(&self) -> usize {
        self.header("webhook-signature").split(' ').count()
    }

    /// Is one of its signatures by this secret, as Standard Webhooks says?
    pub(crate) fn is_signed_by(&self, secret: &str) -> bool {
        let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac: Hmac<Sha256> = Hmac::new_from_slice(&secret).unwrap();
        mac.update(format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp")).as_bytes());
        mac.update(&self.body);
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|signature| signature == wanted)
    }
}

/// Somebody who is told.
#[derive(Clone, Default)]
pub(crate) struct Receiver(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    /// What came.
    heard: Vec<Message>,
    /// The statuses that are answered to each path in turn; the last one stays.
    answers: Vec<(&'static str, Vec<u16>)>,
}

impl Receiver {
    pub(crate) async fn start(answers: &[(&'static str, &[u16])]) -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self::default();
        receiver.0.lock().unwrap().answers =
            answers.iter().map(|(path, all)| (*path, all.to_vec())).collect();
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum_serve(listener, router).await });
        (receiver, port)
    }

    pub(crate) fn of(&self, path: &str) -> Vec<Message> {
        self.0.lock().unwrap().heard.iter().filter(|message| message.path == path).cloned().collect()
    }

    pub(crate) fn answers(&self, path: &str, status: u16) {
        let mut inside = self.0.lock().unwrap();
        inside.answers.iter_mut().find(|(known, _)| *known == path).unwrap().1 = vec![status];
    }

    fn hear(&self, message: Message) -> u16 {
        let mut inside = self.0.lock().unwrap();
        let all = inside.answers.iter_mut().find(|(path, _)| *path == message.path);
        let all = &mut all.unwrap_or_else(|| panic!("nobody may call {}", message.path)).1;
        let status = if all.len() > 1 { all.remove(0) } else { all[0] };
        inside.heard.push(message);
        status
    }
}

async fn take(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let status = receiver.hear(Message { path: uri.path().to_owned(), headers, body });
    if status == HANGS {
        std::future::pending::<()>().await;
    }
    let said = format!("the answer to {}", uri.path());
    (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, "/elsewhere")], said).into_response()
}
