//! `GET /v1/videos/{id}/objects`: what lies in stores for a video.

use axum::Json;
use axum::extract::{Path, State};
use matinee_core::access::Scope;
use matinee_core::hash::hex;
use matinee_core::ledger;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;
use super::request::Caller;
use super::view::{Problems, time};
use crate::flow::kept::{self, Kept};

/// An object in a store.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoredObject {
    /// Its name in the store.
    id: String,
    /// What it is for: `source`, `rendition`, `webm`, `poster`, `caption`, `sheet`, `preview`; while work goes on also
    /// `tail`, `work`, `sidecar`, `chunk` and `audio_part`.
    #[schema(value_type = String)]
    kind: ledger::Kind,
    /// The rendition whose file it is, for example `h264-720`.
    rendition: Option<String>,
    /// `intended` (it may come to exist), `present`, or `to_delete` (it takes room until it is proven gone).
    #[schema(value_type = String)]
    state: ledger::State,
    /// The store that it lies in.
    store: String,
    /// Its key there, below the prefix of the store; null in the data directory.
    key: Option<String>,
    /// The template by which the key was made; that of the store may have changed since.
    key_template: Option<String>,
    /// Its length in bytes, once it is written.
    size_bytes: Option<u64>,
    /// The BLAKE3 hash of its bytes in hex, once it is known.
    blake3: Option<String>,
    /// The SHA-1 of what the store has given back, in hex; only of archives.
    sha1: Option<String>,
    /// The SHA-256 of the same.
    sha256: Option<String>,
    /// When it was intended, as RFC 3339 text.
    created_at: String,
}

/// All objects of a video, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ObjectList {
    /// The objects.
    items: Vec<StoredObject>,
    /// Bytes of all that are present.
    present_bytes: u64,
    /// What these cost each month where they lie, in `currency`; null when that has no price here (`prices.gb_month`, price cards).
    month_cost: Option<f64>,
    /// The word behind a price.
    currency: String,
}

/// Lists what lies in stores for a video: what it takes, and what of it is about to go.
#[utoipa::path(get, path = "/v1/videos/{id}/objects", operation_id = "video_objects", tag = "videos", params(("id" = String, Path, description = "The video.")), responses((status = 200, body = ObjectList), Problems))]
pub(crate) async fn list(
    State(node): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ObjectList>, Problem> {
    let app = caller.permit(Scope::VideoRead)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let all = kept::all(&node, (app, id)).await?;
    let present = all.iter().filter(|kept| kept.lying.state == ledger::State::Present);
    let present_bytes = present.filter_map(|kept| kept.lying.size).sum();
    let (month_cost, currency) = kept::month_cost(&node, &all).await?;
    Ok(Json(ObjectList { items: all.into_iter().map(object).collect(), present_bytes, month_cost, currency }))
}

fn object(kept: Kept) -> StoredObject {
    let Kept { lying, rendition } = kept;
    let (sha1, sha256) = lying.sums.map(|sums| (sums.sha1, sums.sha256)).unzip();
    StoredObject {
        id: lying.object.to_string(),
        kind: lying.kind,
        rendition,
        state: lying.state,
        store: lying.place,
        key: lying.key,
        key_template: lying.template,
        size_bytes: lying.size,
        blake3: lying.blake3.as_ref().map(|hash| hex(hash)),
        sha1,
        sha256,
        created_at: time(lying.created),
    }
}
