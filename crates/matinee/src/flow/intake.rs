//! How an upload begins: into which collection it goes, and the rows of one whose bytes the server fetches itself.

use matinee_core::access::sender::Allowance;
use matinee_core::id::{AppId, CollectionId};
use matinee_core::limits;
use matinee_core::pull::Place;
use matinee_core::upload::Way;
use matinee_io::db::{NewPull, NewUpload};
use matinee_io::random;
use serde_json::Value;

use super::{Failure, now, upload_key};
use crate::node::Node;

/// What is known of a file that is to be fetched.
pub(crate) struct Source {
    pub(crate) app: AppId,
    pub(crate) collection: CollectionId,
    pub(crate) way: Way,
    pub(crate) title: String,
    pub(crate) facts: Value,
    pub(crate) external_id: Option<String>,
    /// The length that was announced.
    pub(crate) size: Option<u64>,
    pub(crate) url: String,
    pub(crate) bearer: Option<String>,
    pub(crate) place: Option<Place>,
    /// A second wish with the same key is the first one.
    pub(crate) idem_key: Option<String>,
}

/// The living collection of an app with this id or name; the app's first one when none is named.
pub(crate) async fn collection(node: &Node, app: AppId, text: Option<&str>) -> Result<CollectionId, Failure> {
    let Some(text) = text else { return Ok(node.first_collection(app)) };
    if let Ok(id) = text.parse() {
        let (found, _) = node.db.collection(app, id).await?.ok_or(Failure::Absent)?;
        return if found.deleting.is_none() { Ok(found.id) } else { Err(Failure::Absent) };
    }
    Ok(node.db.collection_named(app, text).await?.ok_or(Failure::Absent)?.id)
}

/// The rows to write for it.
pub(crate) fn pull(node: &Node, source: Source) -> NewPull {
    let upload = NewUpload {
        id: random::id(),
        app: source.app,
        collection: source.collection,
        video: random::id(),
        object: random::id(),
        url_key: upload_key(),
        way: source.way,
        title: source.title,
        metadata: String::new(),
        facts: source.facts,
        external_id: source.external_id,
        size: source.size,
        allowance: Allowance::default(),
        repeat_key: None,
        expires: now().plus(lifetime_ms(node)),
        now: now(),
    };
    NewPull {
        upload,
        url: source.url,
        bearer: source.bearer,
        place: source.place.map(|place| serde_json::to_value(place).expect("because a place is plain text")),
        job: random::id(),
        idem_key: source.idem_key,
    }
}

/// An upload that is fetched outlives the patience with its source: its job ends it, and says why.
pub(crate) fn lifetime_ms(node: &Node) -> i64 {
    node.config.ingest.patience.ms.saturating_add(limits::PULL_GRACE_MS)
}
