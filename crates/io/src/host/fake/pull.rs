//! A fake fetches a file from an address that it is told, by itself, as a host does.

use http::header::ACCEPT_RANGES;
use reqwest::{Response, StatusCode};

use super::vault::Vault;
use crate::host::wire::Wire;

/// Fetches all of it into the vault; else what was wrong. `looks`: whether the size and the right to ask for ranges are looked at
/// first.
pub(crate) async fn fetch(vault: &Vault, id: &str, from: &str, looks: bool) -> Result<(), String> {
    let wire = Wire::new().map_err(|error| error.to_string())?;
    let text = |error: reqwest::Error| error.without_url().to_string();
    if looks {
        let answer = wire.client().head(from).send().await.map_err(text)?;
        size(&answer)?;
        if answer.headers().get(ACCEPT_RANGES).is_none_or(|units| units != "bytes") {
            return Err("the source gives no ranges".to_owned());
        }
    }
    let mut answer = wire.client().get(from).send().await.map_err(text)?;
    let size = size(&answer)?;
    vault.begin(id, size);
    while let Some(bytes) = answer.chunk().await.map_err(text)? {
        let kept = vault.push(id, &bytes).map_err(|error| error.to_string())?;
        kept.ok_or("it was deleted meanwhile")?;
    }
    if vault.item(id).is_some_and(|item| item.is_whole()) { Ok(()) } else { Err("it ends early".to_owned()) }
}

fn size(answer: &Response) -> Result<u64, String> {
    if answer.status() != StatusCode::OK {
        return Err(format!("the source answers {}", answer.status()));
    }
    let size = answer.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    size.ok_or_else(|| "the source does not say its size".to_owned())
}
