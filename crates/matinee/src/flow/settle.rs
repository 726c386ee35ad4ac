//! What becomes of originals outside when their videos were checked or cannot be made: sorted, removed, moved.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use matinee_core::arrival::{Ending, Fate, Stamp};
use matinee_core::video::Problem;
use matinee_io::db::arrival::Due;
use matinee_io::folder::{self, Moved};
use matinee_io::store::bucket::{Bucket, BucketError};

use super::{Failure, now};
use crate::node::{Node, source};

/// How often it is looked what can be dealt with.
const LOOK: Duration = Duration::from_secs(1);
/// So many in one look.
const ROUND: u32 = 100;
/// What did not work is tried again after so long, in milliseconds.
const AGAIN_MS: i64 = 30_000;

/// Deals with originals until the node stops.
pub(crate) async fn run(node: Arc<Node>) {
    let mut beat = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        if let Err(failure) = round(&node).await {
            tracing::warn!(%failure, "originals could not be dealt with; it is tried again");
        }
    }
}

async fn round(node: &Node) -> Result<(), Failure> {
    for due in node.db.arrivals_due(now(), ROUND).await? {
        match settle(node, &due).await {
            // Only now: after a crash in between, the next look finds that it is done.
            Ok(seen_again) => node.db.arrival_settled(due.upload, seen_again, now()).await?,
            Err(failure) => {
                let (source, name) = (&due.original.source, &due.original.name);
                tracing::warn!(%failure, source, name, "an original stays where it is for now");
                node.db.arrival_later(due.upload, now().plus(AGAIN_MS)).await?;
            }
        }
    }
    Ok(())
}

/// Deals with one; says whether it can be seen again as it was.
async fn settle(node: &Node, due: &Due) -> Result<bool, Failure> {
    let original = &due.original;
    match (&original.ending, &due.fate) {
        // What may be taken again stays where it is.
        (_, Fate::Void) | (Ending::Remove { .. }, Fate::Refused(_)) => Ok(false),
        (Ending::Remove { stamp }, Fate::Brought) => {
            let (path, stamp) = (original.name.clone(), *stamp);
            on_disk(move || folder::remove(Path::new(&path), &stamp)).await
        }
        (Ending::Sort { stamp, done, failed }, fate) => {
            let reason = match fate {
                Fate::Refused(problem) => Some(reason(problem.as_ref(), &original.source)),
                Fate::Brought | Fate::Void => None,
            };
            let to = if reason.is_some() { Some(failed.clone()) } else { done.clone() };
            sort((original.source.clone(), original.name.clone()), *stamp, to, reason).await
        }
        (Ending::Object { .. }, Fate::Refused(_)) => Ok(true),
        (Ending::Object { etag }, Fate::Brought) => tidy(node, &original.source, &original.name, etag).await,
    }
}

async fn sort(
    (source, name): (String, String),
    stamp: Stamp,
    to: Option<String>,
    reason: Option<String>,
) -> Result<bool, Failure> {
    on_disk(move || {
        let source = Path::new(&source);
        match to {
            Some(to) => folder::sort(source, &name, &to, &stamp, reason.as_deref()),
            None => folder::remove(&source.join(&name), &stamp),
        }
    })
    .await
}

async fn on_disk(work: impl FnOnce() -> std::io::Result<Moved> + Send + 'static) -> Result<bool, Failure> {
    let moved =
        tokio::task::spawn_blocking(work).await.map_err(|panic| Failure::Never(panic.to_string()))??;
    tracing::debug!(?moved, "an original was dealt with");
    Ok(false)
}

/// The text that lies beside a file that could not be taken.
fn reason(problem: Option<&Problem>, folder: &str) -> String {
    let given_up = Problem {
        code: "upload_cancelled".to_owned(),
        human: "Somebody gave this upload up.".to_owned(),
        fix: "Nothing needs to be done.".to_owned(),
    };
    let problem = problem.unwrap_or(&given_up);
    format!(
        "matinee could not make a video of this file.\n\nWhy: {} [{}]\nWhat to do: {}\n\nTo try again, move the \
         file back into {folder}\n",
        problem.human, problem.code, problem.fix
    )
}

/// Does with an object what its bucket's configuration says.
async fn tidy(node: &Node, name: &str, key: &str, etag: &str) -> Result<bool, Failure> {
    // A bucket that is not configured any more is not touched any more.
    let Some(config) = node.config.bucket.iter().find(|bucket| bucket.name == name) else { return Ok(true) };
    let done = match &config.after {
        source::After::Keep => return Ok(true),
        source::After::Delete => open(config)?.remove(key, etag).await,
        source::After::Move(to) => open(config)?.rename(key, etag, &config.moved(key, to)).await,
    };
    match done {
        // Another object has its key, or it is gone: both are not ours to touch.
        Ok(()) | Err(BucketError::Changed) => Ok(false),
        // It can never be done, and is not to hold up what comes after it: so it stays, and is remembered.
        Err(error @ BucketError::Wrong(_)) => {
            tracing::error!(%error, bucket = name, key, "an original cannot be moved or removed, and stays where it is");
            Ok(true)
        }
        Err(error) => Err(Failure::Again(error.to_string())),
    }
}

fn open(config: &source::Bucket) -> Result<Bucket, Failure> {
    Bucket::open(&config.access()).map_err(|error| Failure::Again(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_says_what_to_do() {
        let problem =
            Problem { code: "no_video".into(), human: "It is text.".into(), fix: "Send a film.".into() };
        let text = reason(Some(&problem), "/in");
        for part in ["It is text.", "[no_video]", "Send a film.", "move the file back into /in"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(reason(None, "/in").contains("gave this upload up"));
    }
}
