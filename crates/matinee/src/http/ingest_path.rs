//! `/v1/ingest/path`: files of the server's own machine become videos; for administrators, below configured folders.

use std::path::PathBuf;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Shared;
use super::field::titled;
use super::pipeline;
use super::problem::{Code, Problem};
use super::request::{Caller, External};
use super::view::{Problems, Sent, Upload};
use crate::flow::import::{self, ImportFailure, Keep, Order};
use crate::flow::{arrival, upload};

/// So many files in one request: each is opened before the answer.
const PATHS_MAX: usize = 100;
/// The longest `external_id` in bytes.
const EXTERNAL_ID_BYTES_MAX: usize = 255;

/// The files to bring in; `path` for one, `paths` for several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewImport {
    /// An absolute path on the server's machine.
    path: Option<String>,
    /// Several of them; either all are announced or none.
    paths: Option<Vec<String>>,
    /// How the bytes come in.
    #[serde(default)]
    mode: Mode,
    /// The title, for a single file; made from the file name when it is missing.
    title: Option<String>,
    /// The collection, by name or id.
    collection: Option<String>,
    /// The name that the app gives the video, for a single file; a second one with the same name is refused.
    external_id: Option<String>,
    /// What is made of them: the name of a pipeline; `default` when it is missing.
    pipeline: Option<String>,
    /// What the app knows of the videos.
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// How the bytes of a file come in.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// The file stays; blocks are shared where the disk can, else it is copied.
    #[default]
    Cheapest,
    /// The file stays, and nothing is shared with it.
    Copy,
    /// The file gets a second name: it must not be edited in place afterwards.
    Link,
    /// The file is removed when its video has been checked; what cannot be played stays.
    Move,
}

impl From<Mode> for Keep {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Cheapest => Self::Cheapest,
            Mode::Copy => Self::Copied,
            Mode::Link => Self::Linked,
            Mode::Move => Self::Moved,
        }
    }
}

/// What was announced, in the order of the paths.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Announced {
    /// An upload for each file; a job brings its bytes in.
    items: Vec<Upload>,
}

/// Announces files of the server's machine. The answer comes at once; a job brings the bytes in.
#[utoipa::path(post, path = "/v1/ingest/path", operation_id = "ingest_path", tag = "uploads", request_body = NewImport, responses((status = 202, body = Announced), Problems))]
pub(crate) async fn create(
    State(node): State<Shared>,
    caller: Caller,
    external: External,
    Sent(new): Sent<NewImport>,
) -> Result<(StatusCode, Json<Announced>), Problem> {
    // The files are the server's, so an administrator of another app has no right to them.
    let app = caller.permit_server(&node)?;
    if node.config.uploads.import_roots.is_empty() {
        return Err(Problem::new(Code::ImportOff, "Import by path is switched off on this server."));
    }
    let (paths, title) = described(&new)?;
    let collection = arrival::collection(&node, app, new.collection.as_deref()).await?;
    let pipeline = pipeline::named(&node, app, new.pipeline.as_deref()).await?;
    let order = |path: &String| Order {
        collection,
        pipeline: pipeline.clone(),
        facts: Value::Object(new.metadata.clone()),
        external_id: new.external_id.clone(),
        keep: new.mode.into(),
        ..Order::new(&node, PathBuf::from(path), title.clone().unwrap_or_else(|| upload::title_from(path)))
    };
    let orders: Vec<_> = paths.iter().map(order).collect();
    let mut items = Vec::new();
    for id in import::announce(&node, app, &orders).await? {
        items.push(Upload::of(&upload::show(&node, app, id).await?, Some(&external)));
    }
    Ok((StatusCode::ACCEPTED, Json(Announced { items })))
}

/// The paths, and the title when there is one.
fn described(new: &NewImport) -> Result<(Vec<String>, Option<String>), Problem> {
    let wrong = |text: String| Err(Problem::new(Code::BadRequest, text));
    let paths = match (&new.path, &new.paths) {
        (Some(path), None) => vec![path.clone()],
        (None, Some(paths)) => paths.clone(),
        (Some(_), Some(_)) | (None, None) => {
            return wrong("Send `path` for one file, or `paths` for several.".to_owned());
        }
    };
    if paths.is_empty() || paths.len() > PATHS_MAX {
        return wrong(format!("`paths` has {} entries; it must have 1 to {PATHS_MAX}.", paths.len()));
    }
    if paths.len() > 1 && (new.title.is_some() || new.external_id.is_some()) {
        return wrong("`title` and `external_id` are for a single file.".to_owned());
    }
    if new.external_id.as_ref().is_some_and(|id| !(1..=EXTERNAL_ID_BYTES_MAX).contains(&id.len())) {
        return wrong(format!("`external_id` must have 1 to {EXTERNAL_ID_BYTES_MAX} bytes."));
    }
    let title = new.title.as_deref().map(titled).transpose()?;
    Ok((paths, title.map(str::to_owned)))
}

impl From<ImportFailure> for Problem {
    fn from(failure: ImportFailure) -> Self {
        match failure {
            ImportFailure::Refused(problem) => Self::new(Code::ImportRefused, problem.human).fix(problem.fix),
            ImportFailure::Failed(failure) => failure.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_or_several_but_not_both_and_none_never() {
        let long = format!(r#"{{"paths":[{}]}}"#, vec!["\"/a\""; PATHS_MAX + 1].join(","));
        for (json, expected) in [
            (r#"{"path":"/a"}"#, Some(1)),
            (r#"{"path":"/a","title":"T","external_id":"x"}"#, Some(1)),
            (r#"{"paths":["/a","/b"],"mode":"move"}"#, Some(2)),
            (r#"{"paths":[]}"#, None),
            (r"{}", None),
            (r#"{"path":"/a","paths":["/a"]}"#, None),
            (r#"{"paths":["/a","/b"],"title":"T"}"#, None),
            (r#"{"path":"/a","external_id":""}"#, None),
            (long.as_str(), None),
        ] {
            let read: NewImport = serde_json::from_str(json).unwrap();
            assert_eq!(described(&read).ok().map(|(paths, _)| paths.len()), expected, "{json}");
        }
    }
}
