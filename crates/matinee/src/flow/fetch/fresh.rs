//! Fresh addresses of files whose old ones are refused: recordings of Zoom, by Server-to-Server OAuth.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use matinee_core::job::retry::Class;
use matinee_core::pull::Place;
use matinee_core::zoom::{Meeting, encoded, in_path};
use matinee_io::fetch::{Ask, FetchError};

use crate::flow::fault::Fault;
use crate::node::Node;

/// Where the file is now, and the right to get it.
pub(super) struct Fresh {
    pub(super) url: String,
    pub(super) bearer: String,
}

/// Asks for a fresh address.
pub(super) async fn ask(node: &Node, place: &Place) -> Result<Fresh, Fault> {
    let Place::Zoom { meeting, file, account: _, size_bytes: _ } = place;
    let zoom = &node.config.zoom;
    if !zoom.has_oauth() {
        return Err(Fault::new(
            Class::Refusal,
            "zoom_token_expired",
            "Zoom does not accept the event's right to download any more.",
            "Set `zoom.account_id`, `zoom.client_id` and `zoom.client_secret`, so that a fresh link can be asked for.",
        ));
    }
    let bearer = access(node).await?;
    let url = format!("{}/meetings/{}/recordings", zoom.api_url, in_path(meeting));
    let ask =
        Ask { method: Method::GET, url, authorization: format!("Bearer {bearer}"), form: String::new() };
    let answer = node.fetch.json(&ask).await.map_err(|error| failed("the recordings", error))?;
    let recordings: Meeting = serde_json::from_value(answer).map_err(|error| {
        Fault::new(
            Class::World,
            "pull_zoom",
            format!("Zoom's answer cannot be read: {error}."),
            super::RETRIED,
        )
    })?;
    let found = recordings.recording_files.iter().find(|known| known.key() == file);
    let url = found.and_then(|found| found.download_url.clone());
    let url = url.ok_or_else(|| {
        Fault::new(
            Class::Refusal,
            "zoom_recording_gone",
            "Zoom has this recording no more.",
            "Look into the trash of the recordings at Zoom; restore it there and have the event sent again.",
        )
    })?;
    Ok(Fresh { url, bearer })
}

/// The right of the account, for an hour.
async fn access(node: &Node) -> Result<String, Fault> {
    let zoom = &node.config.zoom;
    let client = BASE64.encode(format!("{}:{}", zoom.client_id, zoom.client_secret.reveal()));
    let ask = Ask {
        method: Method::POST,
        url: zoom.oauth_url.clone(),
        authorization: format!("Basic {client}"),
        form: format!("grant_type=account_credentials&account_id={}", encoded(&zoom.account_id)),
    };
    let answer = node.fetch.json(&ask).await.map_err(|error| failed("access", error))?;
    let token = answer["access_token"].as_str().map(str::to_owned);
    token.ok_or_else(|| {
        Fault::new(Class::World, "pull_zoom", "Zoom's answer names no access token.", super::RETRIED)
    })
}

fn failed(what: &str, error: FetchError) -> Fault {
    match error {
        FetchError::Status(status @ (400 | 401 | 403 | 404)) => Fault::new(
            Class::Refusal,
            "zoom_refused",
            format!("Zoom refused {what} with status {status}."),
            "Look at `zoom.account_id`, `zoom.client_id`, `zoom.client_secret` and at the scopes of the app at Zoom.",
        ),
        FetchError::Refused(refusal) => refusal.into(),
        error @ (FetchError::Status(_)
        | FetchError::Unreachable(_)
        | FetchError::Untrusted(_)
        | FetchError::Broken(_)) => Fault::new(
            Class::World,
            "pull_zoom",
            format!("Zoom gave no answer about {what}: {error}."),
            super::RETRIED,
        ),
    }
}
