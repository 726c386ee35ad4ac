//! Videos: read, changed and deleted.

pub(crate) mod row;

use matinee_core::event::Topic;
use matinee_core::id::{AppId, CollectionId, VideoId};
use matinee_core::time::Millis;
use matinee_core::video::{Policy, Problem, State};
use serde_json::json;

use self::row::{Video, video_of};
use super::Db;
use super::error::DbError;
use super::lease::lock_video;
use super::ledger::prune_if_gone;
use super::told::tell;
use super::tx::{Sql, Tx};
use super::value::args;
use super::{job, replica, word};

/// Which videos to list; an empty field means all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VideoFilter {
    /// Only in these states.
    pub states: Vec<State>,
    /// Only with this text in the title, in whatever case.
    pub search: Option<String>,
    /// Only in this collection.
    pub collection: Option<CollectionId>,
    /// Also those of other states that are being encoded again.
    pub or_remade: bool,
}

impl Db {
    /// The video of an app; none when it is deleted.
    pub async fn video(&self, app: AppId, id: VideoId) -> Result<Option<Video>, DbError> {
        Ok(self.video_any(id).await?.filter(|video| video.app == app))
    }

    /// The video in whatever app, for playback by token and for jobs; none when it is deleted.
    pub async fn video_any(&self, id: VideoId) -> Result<Option<Video>, DbError> {
        self.read(id, |tx, id| {
            Box::pin(async move {
                let sql = "SELECT * FROM video WHERE id = $1 AND deleted_ms IS NULL AND NOT EXISTS
                             (SELECT 1 FROM collection c WHERE c.id = collection_id AND c.deleting_ms IS NOT NULL)";
                tx.row(sql, args![*id]).await?.as_ref().map(video_of).transpose()
            })
        })
        .await
    }

    /// Videos of an app that are not deleted, the newest first, from before `before` on.
    pub async fn videos(
        &self,
        app: AppId,
        filter: &VideoFilter,
        before: Option<VideoId>,
        limit: u32,
    ) -> Result<Vec<Video>, DbError> {
        let all = [State::Processing, State::Ready, State::Failed];
        let states = word::list(if filter.states.is_empty() { &all } else { &filter.states });
        let pattern = filter.search.as_deref().map_or_else(|| "%".to_owned(), containing);
        let before = before.unwrap_or(VideoId::from_bits(u128::MAX));
        let args = (app, states, pattern, (filter.collection, filter.or_remade), (before, limit));
        self.read(args, |tx, (app, states, pattern, (collection, or_remade), (before, limit))| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: r"SELECT * FROM video WHERE app_id = $1 AND id < $5 AND deleted_ms IS NULL
                       AND (state IN (SELECT value FROM json_each($2)) OR ($7 AND remake ->> 'state' = 'running'))
                       AND lower(title) LIKE $3 ESCAPE '\'
                       AND ($4 IS NULL OR collection_id = $4) AND collection_id NOT IN
                         (SELECT c.id FROM collection c WHERE c.app_id = $1 AND c.deleting_ms IS NOT NULL)
                       ORDER BY id DESC LIMIT $6",
                    postgres: r"SELECT * FROM video WHERE app_id = $1 AND id < $5 AND deleted_ms IS NULL
                       AND (state IN (SELECT jsonb_array_elements_text($2)) OR ($7 AND remake ->> 'state' = 'running'))
                       AND lower(title) LIKE $3 ESCAPE '\'
                       AND ($4 IS NULL OR collection_id = $4) AND collection_id NOT IN
                         (SELECT c.id FROM collection c WHERE c.app_id = $1 AND c.deleting_ms IS NOT NULL)
                       ORDER BY id DESC LIMIT $6",
                };
                let args =
                    args![*app, states.clone(), pattern.as_str(), *collection, *before, *limit, *or_remade];
                tx.rows(sql, args).await?.iter().map(video_of).collect()
            })
        })
        .await
    }

    /// Changes the title or who may watch; what is `None` stays. [`DbError::Absent`] when there is no such video.
    pub async fn update_video(
        &self,
        (app, id): (AppId, VideoId),
        title: Option<&str>,
        policy: Option<Policy>,
        now: Millis,
    ) -> Result<(), DbError> {
        let args = (app, id, title.map(str::to_owned), policy, now);
        self.write(args, |tx, (app, id, title, policy, now)| {
            Box::pin(async move {
                tx.execute_one(
                    "UPDATE video SET title = COALESCE($3, title), policy = COALESCE($4, policy), updated_ms = $5
                     WHERE id = $1 AND app_id = $2 AND deleted_ms IS NULL",
                    args![*id, *app, title.clone(), policy.map(word::Word::word), *now],
                )
                .await
            })
        })
        .await
    }

    /// Deletes a video: playback and work stop at once, and all that is outside turns to "to delete".
    /// [`DbError::Absent`] when there is no such video.
    pub async fn delete_video(&self, app: AppId, id: VideoId, now: Millis) -> Result<(), DbError> {
        self.write((app, id, now), |tx, (app, id, now)| Box::pin(delete(tx, (*app, *id), *now))).await
    }

    /// Fails a video for a reason that is no job's death. [`DbError::Absent`] when it is deleted.
    pub async fn fail_video(&self, id: VideoId, reason: &Problem, now: Millis) -> Result<(), DbError> {
        self.write((id, reason.clone(), now), |tx, (id, reason, now)| {
            Box::pin(async move {
                let app = lock_video(tx, *id).await?;
                super::death::fail(tx, (app, *id), reason, *now).await
            })
        })
        .await
    }
}

/// A pattern for `LIKE` that finds `text` anywhere.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// See [`Db::delete_video`].
pub(crate) async fn delete(tx: &mut Tx, (app, id): (AppId, VideoId), now: Millis) -> Result<(), DbError> {
    if lock_video(tx, id).await? != app {
        return Err(DbError::Absent);
    }
    tx.execute_one(
        "UPDATE video SET deleted_ms = $2, updated_ms = $2, generation = 0, external_id = NULL WHERE id = $1",
        args![id, now],
    )
    .await?;
    // Its name may be given again.
    tx.execute("UPDATE upload SET external_id = NULL WHERE video_id = $1", args![id]).await?;
    // What is at hosts goes on in the ledger.
    tx.execute("DELETE FROM publication WHERE video_id = $1", args![id]).await?;
    job::cancel_of_video(tx, id, now).await?;
    tx.execute(
        "UPDATE ledger SET state = 'to_delete', reason = 'deleted', next_try_ms = $2
         WHERE video_id = $1 AND state IN ('intended', 'present')",
        args![id, now],
    )
    .await?;
    // What waits for a grace period need not wait any more: nobody may watch.
    tx.execute(
        "UPDATE ledger SET next_try_ms = $2 WHERE video_id = $1 AND state = 'to_delete'",
        args![id, now],
    )
    .await?;
    let sql = "UPDATE replica SET state = 'to_delete' WHERE object_id IN (SELECT id FROM object WHERE video_id = $1)";
    tx.execute(sql, args![id]).await?;
    replica::stop_copies_of_video(tx, id, now).await?;
    prune_if_gone(tx, id).await?;
    tell(tx, app, Topic::VideoDeleted, (id.to_string(), json!({})), now).await
}
