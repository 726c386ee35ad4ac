//! Watched folders: looked through again and again; what is complete is announced, and a job takes it.
//!
//! Looks are the truth, not notices of the kernel: those do not come from network drives.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use matinee_core::arrival::{Ending, Keep, Place, Stamp, title_from};
use matinee_core::id::{AppId, CollectionId, UploadId};
use matinee_core::upload::Way;
use matinee_core::watch::Watch;
use matinee_io::clock::Stopwatch;
use matinee_io::db::arrival::Original;
use matinee_io::folder::{self, Look};
use serde_json::json;

use super::Failure;
use super::arrival::{self, Wanted};
use super::intake::Draft;
use crate::node::{Node, source};

/// The longest and the shortest pause between two looks, in milliseconds.
const LOOK_MS_MAX: u64 = 2_000;
const LOOK_MS_MIN: u64 = 200;
/// After a look that failed: a network drive that is away needs time.
const AWAY_MS: u64 = 10_000;
/// So many files of a folder are announced and not yet dealt with; the others wait their turn.
const ANNOUNCED_MAX: usize = 64;

/// A file that was announced.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) upload: UploadId,
    pub(crate) size: u64,
}

/// Hears what was found.
pub(crate) type Heard = Arc<dyn Fn(Found) + Send + Sync>;

/// Watches one folder until the node stops.
pub(crate) async fn run(node: Arc<Node>, order: source::Watch, heard: Heard) {
    let settle_ms = u64::try_from(order.settle.ms).unwrap_or_default();
    let mut watcher = Watcher {
        node: &node,
        watch: Watch::new(settle_ms),
        clock: Stopwatch::start(),
        away: false,
        left_out: Vec::new(),
        order: &order,
        heard,
    };
    let pause_ms = (settle_ms / 2).clamp(LOOK_MS_MIN, LOOK_MS_MAX);
    loop {
        let pause_ms = match watcher.round(pause_ms).await {
            Ok(()) => pause_ms,
            Err(failure) => {
                watcher.miss(&failure);
                pause_ms.max(AWAY_MS.min(settle_ms.max(pause_ms)))
            }
        };
        tokio::select! {
            () = node.stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
        }
    }
}

struct Watcher<'a> {
    node: &'a Node,
    order: &'a source::Watch,
    watch: Watch,
    clock: Stopwatch,
    /// The last look failed, and that was said.
    away: bool,
    /// What is left out, which was said.
    left_out: Vec<PathBuf>,
    heard: Heard,
}

impl Watcher<'_> {
    async fn round(&mut self, pause_ms: u64) -> Result<(), Failure> {
        if !arrival::may_look(self.node, &self.source(), pause_ms).await? {
            return Ok(());
        }
        let look = self.look().await?;
        if std::mem::take(&mut self.away) {
            tracing::info!(folder = %self.order.folder.display(), "the watched folder is there again");
        }
        if look.left_out != self.left_out {
            tracing::warn!(left_out = ?look.left_out, "names are no UTF-8, or folders cannot be read");
            self.left_out = look.left_out;
        }
        let now_ms = self.clock.elapsed_ms();
        let ready = self.watch.look(now_ms, &look.files);
        if ready.is_empty() {
            return Ok(());
        }
        for (name, stamp) in self.unknown(ready).await? {
            let upload = self.announce(&name, stamp).await?;
            if let Some(upload) = upload {
                (self.heard)(Found { name, upload, size: stamp.size });
            }
        }
        Ok(())
    }

    async fn look(&self) -> Result<Look, Failure> {
        let order = self.order;
        let mut but: Vec<_> = [&order.done, &order.failed]
            .into_iter()
            .filter(|name| !name.is_empty())
            .map(|name| order.folder.join(name))
            .collect();
        but.push(self.node.config.data.clone());
        let folder = order.folder.clone();
        blocking(move || Ok(folder::look(&folder, &but)?)).await
    }

    /// Files that are not announced yet, still there, and not being written.
    async fn unknown(&mut self, ready: Vec<(String, Stamp)>) -> Result<Vec<(String, Stamp)>, Failure> {
        let marks: Vec<_> = ready.iter().map(|(_, stamp)| stamp.mark()).collect();
        let known = self.node.db.known_marks(&self.source(), &marks).await?;
        let room = ANNOUNCED_MAX.saturating_sub(known.len());
        let fresh: Vec<_> =
            ready.into_iter().filter(|(_, stamp)| !known.contains(&stamp.mark())).take(room).collect();
        if fresh.is_empty() {
            return Ok(fresh);
        }
        let paths: Vec<_> = fresh.iter().map(|(name, _)| self.order.folder.join(name)).collect();
        let written = blocking(move || Ok(folder::written(&paths))).await?;
        let mut quiet = Vec::new();
        for (name, stamp) in fresh {
            let path = self.order.folder.join(&name);
            if written.contains(&path) {
                self.watch.disturb(self.clock.elapsed_ms(), &name);
            } else if folder::is_still(&path, &stamp)? {
                // Asked after the database: one that was sorted since the look is known no more, but gone.
                quiet.push((name, stamp));
            }
        }
        Ok(quiet)
    }

    fn source(&self) -> String {
        self.order.folder.to_string_lossy().into_owned()
    }

    /// `None` when another process was quicker.
    async fn announce(&self, name: &str, stamp: Stamp) -> Result<Option<UploadId>, Failure> {
        let (app, collection) = self.owner().await?;
        let order = self.order;
        let done = (!order.done.is_empty()).then(|| order.done.clone());
        let keep = if done.is_some() { Keep::Cheapest } else { Keep::Moved };
        let original = Original {
            source: self.source(),
            name: name.to_owned(),
            mark: stamp.mark(),
            ending: Ending::Sort { stamp, done, failed: order.failed.clone() },
        };
        let path = order.folder.join(name).to_string_lossy().into_owned();
        let draft = Draft {
            collection,
            facts: json!({ "file": name }),
            size: Some(stamp.size),
            pipeline: order.pipeline.clone(),
            ..Draft::new(self.node, app, title_from(name), Way::Path)
        };
        let wanted = Wanted {
            draft,
            from: Place::File { below: Some(self.source()), path, keep, mark: Some(stamp.mark()) },
            original: Some(original),
        };
        match arrival::announce(self.node, vec![wanted]).await {
            Ok(uploads) => Ok(uploads.first().copied()),
            Err(Failure::Refused { conflict: true, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn owner(&self) -> Result<(AppId, CollectionId), Failure> {
        let app = self.node.defaults.app;
        let collection = arrival::collection(self.node, app, self.order.collection.as_deref()).await?;
        Ok((app, collection))
    }

    /// Says once that a look failed.
    fn miss(&mut self, failure: &Failure) {
        if !std::mem::replace(&mut self.away, true) {
            let folder = self.order.folder.display();
            tracing::warn!(%failure, %folder, "a watched folder cannot be looked through; it is tried again");
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| Failure::Never(panic.to_string()))?
}
