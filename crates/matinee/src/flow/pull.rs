//! A file is to be brought in by its address: asked for by a request, a command or a message of a broker.

use matinee_core::arrival::title_from;
use matinee_core::id::{AppId, UploadId};
use matinee_core::pipeline;
use matinee_core::pull::Wanted;
use matinee_core::upload::Way;
use matinee_core::video::Problem;
use matinee_io::db::DbError;
use serde_json::Value;

use super::Failure;
use super::fault::Fault;
use super::intake::{self, Draft, Source};
use crate::node::Node;

/// Why a wish was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullFailure {
    /// What is wanted is wrong.
    #[error("{}", .0.human)]
    Refused(Problem),
    /// The world failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Takes a wish: the upload and the job that fetches it, in one transaction. With a `message` (its id at the broker, or a
/// request's `Idempotency-Key`) the same wish is taken once, however often it comes.
pub(crate) async fn order(
    node: &Node,
    app: AppId,
    wanted: &Wanted,
    message: Option<&str>,
) -> Result<UploadId, PullFailure> {
    let refused = |code: &str, human: String, fix: &str| {
        PullFailure::Refused(Problem { code: code.to_owned(), human, fix: fix.to_owned() })
    };
    wanted.check().map_err(|unfit| {
        refused(
            "pull_unfit",
            format!("The request cannot be taken: {unfit}."),
            "Send a shorter or a fuller text.",
        )
    })?;
    node.fetch.check(&wanted.url).map_err(|refusal| PullFailure::Refused(Fault::from(refusal).problem))?;
    let collection = match intake::collection(node, app, wanted.collection.as_deref()).await {
        Err(Failure::Absent) => {
            let human = "The app has no such collection.".to_owned();
            return Err(refused("pull_collection", human, "See /v1/collections, or make it there."));
        }
        found => found?,
    };
    let named = wanted.pipeline.as_deref().unwrap_or(pipeline::DEFAULT);
    if intake::usable(node, app, named).await.map_err(Failure::from)?.is_none() {
        let human = "The app has no such pipeline.".to_owned();
        return Err(refused("pull_pipeline", human, "See /v1/pipelines, or make it there."));
    }
    let title = wanted.title.as_deref().map_or_else(|| title_from(&wanted.file_name()), title_from_words);
    let draft = Draft {
        collection,
        facts: Value::Object(wanted.metadata.clone()),
        external_id: wanted.external_id.clone(),
        pipeline: named.to_owned(),
        run_after: wanted.run_after,
        ..Draft::new(node, app, title, Way::Url)
    };
    let source = Source {
        draft,
        url: wanted.url.clone(),
        bearer: None,
        place: None,
        idem_key: message.map(|message| format!("pull/{app}/{message}")),
    };
    let new = intake::pull(node, source);
    let pulled = match node.db.create_pull(&new).await {
        // The same message came to another node in this very moment: now it is seen.
        Err(DbError::Taken(_)) if message.is_some() => node.db.create_pull(&new).await,
        pulled => pulled,
    };
    let pulled = pulled.map_err(Failure::from)?;
    Ok(pulled.upload)
}

/// A title as it was given, without what cannot be shown.
fn title_from_words(words: &str) -> String {
    let plain = words.chars().filter(|letter| !letter.is_control());
    plain.take(matinee_core::limits::TITLE_CHARS_MAX).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn a_message_that_comes_twice_is_one_pull() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data: dir.path().join("data"), ..Config::default() };
        let node = Node::open_stored(config).await.unwrap();
        let app = node.defaults.app;
        let message = br#"{"url":"https://example.org/a%20b.mp4","external_id":"7","metadata":{"course":7},"run_after":5}"#;
        let wanted: Wanted = serde_json::from_slice(message).unwrap();
        let first = order(&node, app, &wanted, Some("m-1")).await.unwrap();
        assert_eq!(order(&node, app, &wanted, Some("m-1")).await.unwrap(), first);
        let upload = node.db.upload(app, first).await.unwrap().unwrap();
        assert_eq!((upload.title.as_str(), upload.way), ("a b", Way::Url));
        assert_eq!(upload.run_after, Some(matinee_core::time::Millis(5)));
        assert_eq!((upload.external_id.as_deref(), &upload.facts["course"]), (Some("7"), &Value::from(7)));
        let other = Wanted { external_id: None, ..wanted };
        assert_ne!(order(&node, app, &other, Some("m-2")).await.unwrap(), first);
    }

    #[tokio::test]
    async fn an_address_inside_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data: dir.path().join("data"), ..Config::default() };
        let node = Node::open_stored(config).await.unwrap();
        for (url, code) in [
            ("http://127.0.0.1/a.mp4", "pull_address"),
            ("ftp://example.org/a.mp4", "pull_url"),
            ("http://example.org:22/a.mp4", "pull_port"),
            ("http://a:b@example.org/a.mp4", "pull_url"),
        ] {
            let wanted: Wanted = serde_json::from_value(serde_json::json!({ "url": url })).unwrap();
            let refused = order(&node, node.defaults.app, &wanted, None).await;
            assert!(
                matches!(&refused, Err(PullFailure::Refused(problem)) if problem.code == code),
                "{url}: {refused:?}"
            );
        }
    }
}
