//! How an upload begins, whatever the way: what is known of it, into which collection it goes, and its rows.

use matinee_core::access::sender::Allowance;
use matinee_core::id::{AppId, CollectionId, UploadId};
use matinee_core::pipeline::Template;
use matinee_core::pull::Place;
use matinee_core::time::Millis;
use matinee_core::upload::Way;
use matinee_core::{limits, pipeline};
use matinee_io::db::{DbError, NewPull, NewUpload, Version, Video};
use matinee_io::random;
use serde_json::{Map, Value};

use super::{Failure, now, upload_key};
use crate::node::Node;

/// What is known when an upload begins.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) app: AppId,
    pub(crate) collection: CollectionId,
    pub(crate) title: String,
    /// What the app knows of the video, as a JSON object.
    pub(crate) facts: Value,
    /// The name that the app gives the video.
    pub(crate) external_id: Option<String>,
    /// The header `Upload-Metadata` as it came, or nothing.
    pub(crate) metadata: String,
    /// Bytes; a form does not know it before its end.
    pub(crate) size: Option<u64>,
    pub(crate) way: Way,
    /// The name of the pipeline by which its video is encoded.
    pub(crate) pipeline: String,
    /// Not before this moment is its video encoded.
    pub(crate) run_after: Option<Millis>,
    /// What its sender may do.
    pub(crate) allowance: Allowance,
    /// Makes a repeat of the announcement harmless.
    pub(crate) repeat_key: Option<String>,
    /// A part of a final upload: it makes no video of its own.
    pub(crate) partial: bool,
    /// The SHA-256 that the whole must have.
    pub(crate) digest: Option<[u8; 32]>,
}

impl Draft {
    /// An upload of which nothing is known but its app, its title and its way.
    pub(crate) fn new(node: &Node, app: AppId, title: String, way: Way) -> Self {
        Self {
            app,
            collection: node.first_collection(app),
            title,
            facts: Value::Object(Map::new()),
            external_id: None,
            metadata: String::new(),
            size: None,
            way,
            pipeline: pipeline::DEFAULT.to_owned(),
            run_after: None,
            allowance: Allowance::default(),
            repeat_key: None,
            partial: false,
            digest: None,
        }
    }

    /// The rows of an upload that begins now, under a new id and a new address.
    pub(crate) fn begun(self, expires: Millis) -> NewUpload {
        self.named((random::id(), upload_key()), expires)
    }

    /// The same under this id, and with this secret in its address.
    pub(crate) fn named(self, (id, url_key): (UploadId, String), expires: Millis) -> NewUpload {
        NewUpload {
            id,
            app: self.app,
            collection: self.collection,
            video: random::id(),
            object: random::id(),
            url_key,
            way: self.way,
            title: self.title,
            metadata: self.metadata,
            facts: self.facts,
            external_id: self.external_id,
            size: self.size,
            pipeline: self.pipeline,
            run_after: self.run_after,
            allowance: self.allowance,
            repeat_key: self.repeat_key,
            expires,
            now: now(),
        }
    }
}

/// A file that is to be fetched.
pub(crate) struct Source {
    pub(crate) draft: Draft,
    pub(crate) url: String,
    pub(crate) bearer: Option<String>,
    pub(crate) place: Option<Place>,
    /// A second wish with the same key is the first one.
    pub(crate) idem_key: Option<String>,
}

/// What the name of a pipeline means for an app now: the configuration file comes first, then the newest version of the
/// app's own, then what is built in.
///
/// An upload may have named a pipeline that is archived since: its newest version is still taken. `None` when there is no
/// such pipeline (the configuration has changed): another one in its place would make what nobody has asked for.
pub(crate) async fn template(node: &Node, app: AppId, name: &str) -> Result<Option<Template>, DbError> {
    Ok(found(node, app, name).await?.map(|(template, _)| template))
}

/// By which pipeline a generation of a video is made, once that is settled.
pub(crate) async fn settled(
    node: &Node,
    video: &Video,
    generation: u32,
) -> Result<Option<Template>, DbError> {
    let settled = video.remake_of(generation).map(|remake| &remake.made_by).or(video.made_by.as_ref());
    match settled {
        Some(made_by) => node.db.template(video.app, made_by).await,
        None => Ok(None),
    }
}

/// The same, if new videos may be made by it.
pub(crate) async fn usable(node: &Node, app: AppId, name: &str) -> Result<Option<Template>, DbError> {
    Ok(found(node, app, name).await?.filter(|(_, archived)| !archived).map(|(template, _)| template))
}

/// What a name means, and whether it is archived.
async fn found(node: &Node, app: AppId, name: &str) -> Result<Option<(Template, bool)>, DbError> {
    let fixed = |pipeline| Some((Template { version: None, pipeline }, false));
    if let Some(pipeline) = node.config.pipeline.iter().find(|known| known.name == name) {
        return Ok(fixed(pipeline.clone()));
    }
    let newest = node.db.newest_pipeline(app, name).await?;
    // An app that archives its own default one gets back what is built in.
    let newest = newest.filter(|newest| newest.archived.is_none() || name != pipeline::DEFAULT);
    Ok(match newest {
        Some(Version { version, pipeline, archived, .. }) => {
            Some((Template { version: Some(version), pipeline }, archived.is_some()))
        }
        None if name == pipeline::DEFAULT => fixed(node.default_pipeline()),
        None => None,
    })
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
    NewPull {
        upload: source.draft.begun(now().plus(lifetime_ms(node))),
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
