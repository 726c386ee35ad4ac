//! The fake of Zoom with the server of a test: its configuration, and events that are delivered to it.

use std::ops::Deref;
use std::time::{Duration, SystemTime};

use matinee_io::fetch::fake::zoom::{ACCOUNT, CLIENT, CLIENT_SECRET, FakeZoom, SECRET, Signed};
pub(crate) use matinee_io::fetch::fake::zoom::{MEETING, hash};
use serde_json::Value;

use super::server::Server;

/// The real one waits so long for an answer, then counts the delivery as failed.
const PATIENCE: Duration = Duration::from_secs(3);

/// A running fake.
#[derive(Clone)]
pub(crate) struct Zoom(FakeZoom);

impl Deref for Zoom {
    type Target = FakeZoom;

    fn deref(&self) -> &FakeZoom {
        &self.0
    }
}

impl Zoom {
    /// An account without recordings.
    pub(crate) async fn start() -> Self {
        Self(FakeZoom::start().await.unwrap())
    }

    /// The configuration of a server that belongs to this account; `oauth` says whether it can ask for fresh links.
    pub(crate) fn configuration(&self, oauth: bool) -> String {
        let [service, bytes] = self.hosts();
        let client = if oauth { CLIENT_SECRET } else { "" };
        format!(
            "[ingest]\nallow_hosts = [\"{service}\", \"{bytes}\"]\n\
             [zoom]\nsecret_token = \"{SECRET}\"\naccount_id = \"{ACCOUNT}\"\nclient_id = \"{CLIENT}\"\n\
             client_secret = \"{client}\"\noauth_url = \"http://{service}/oauth/token\"\n\
             api_url = \"http://{service}/v2\"\n"
        )
    }

    /// Delivers a body with a right signature of this age; the status and the answer.
    pub(crate) async fn deliver(&self, server: &Server, body: &Value, age_s: i64) -> (u16, Value) {
        let Signed { body, signature, timestamp } = FakeZoom::signed(body, age_s);
        self.deliver_signed(server, body, &signature, &timestamp).await
    }

    /// The same with whatever signature.
    pub(crate) async fn deliver_signed(
        &self,
        server: &Server,
        body: String,
        signature: &str,
        at: &str,
    ) -> (u16, Value) {
        let request = server
            .request(reqwest::Method::POST, "/v1/ingest/zoom")
            .header("content-type", "application/json")
            .header("x-zm-signature", signature)
            .header("x-zm-request-timestamp", at)
            .body(body);
        let answer = tokio::time::timeout(PATIENCE, request.send()).await;
        let answer = answer.expect("because Zoom waits 3 seconds for an answer").unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }
}

/// Now, as Zoom writes it.
pub(crate) fn seconds() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}
