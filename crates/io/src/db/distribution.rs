//! Videos that are wanted in an archive and at hosts: told once when they are there, and not before.

use matinee_core::event::Topic;
use matinee_core::id::{AppId, VideoId};
use matinee_core::time::Millis;
use serde_json::{Value, json};

use super::Db;
use super::error::DbError;
use super::replica::{Replica, replica_of, replicas};
use super::told::tell;
use super::tx::{Sql, Tx};
use super::value::args;

/// Is a video `v` in one of the stores of `$1` and at all hosts where it is wanted? With no such store (`$2`) only the
/// hosts count, and so they do for a video of which there is no source here. What has failed at a host is not there; it may be
/// wanted there again.
macro_rules! is_there {
    ($names:literal) => {
        concat!(
            " v.state = 'ready' AND v.deleted_ms IS NULL
              AND NOT EXISTS (SELECT 1 FROM publication p WHERE p.video_id = v.id AND p.phase <> 'ready')
              AND NOT EXISTS (SELECT 1 FROM job j WHERE j.video_id = v.id AND j.kind = 'publish' AND j.state < 3)
              AND ((($2 OR v.source_id IS NULL) AND EXISTS (SELECT 1 FROM publication p WHERE p.video_id = v.id)) OR (NOT $2
                AND EXISTS (SELECT 1 FROM object o WHERE o.id = v.source_id AND o.placed IS NOT NULL)
                AND EXISTS (SELECT 1 FROM object o JOIN replica r ON r.object_id = o.id WHERE o.video_id = v.id
                              AND r.state = 'present' AND r.store IN (",
            $names,
            "))
                AND NOT EXISTS (SELECT 1 FROM object o JOIN replica r ON r.object_id = o.id WHERE o.video_id = v.id
                              AND r.state = 'intended' AND r.store IN (",
            $names,
            "))))"
        )
    };
}

/// A video that is where it was wanted.
const THERE: Sql = Sql::Each {
    sqlite: concat!(
        "SELECT v.id, v.app_id FROM video v WHERE v.distributing = 1 AND",
        is_there!("SELECT value FROM json_each($1)"),
        " ORDER BY v.id LIMIT $3"
    ),
    postgres: concat!(
        "SELECT v.id, v.app_id FROM video v WHERE v.distributing AND",
        is_there!("SELECT jsonb_array_elements_text($1)"),
        " ORDER BY v.id LIMIT $3"
    ),
};

/// The same, and nobody else tells of it.
const TELL: Sql = Sql::Each {
    sqlite: concat!(
        "UPDATE video AS v SET distributing = 0, distributed_ms = $3 WHERE v.id = $4 AND v.distributing = 1 AND",
        is_there!("SELECT value FROM json_each($1)")
    ),
    postgres: concat!(
        "UPDATE video AS v SET distributing = FALSE, distributed_ms = $3 WHERE v.id = $4 AND v.distributing AND",
        is_there!("SELECT jsonb_array_elements_text($1)")
    ),
};

impl Db {
    /// At most `limit` videos that are in one of these archives and at all hosts where they were wanted, and of which that was
    /// not told yet. Without archives only the hosts count.
    pub async fn to_distribute(
        &self,
        archives: &[String],
        limit: u32,
    ) -> Result<Vec<(AppId, VideoId)>, DbError> {
        self.read((archives.to_vec(), limit), |tx, (archives, limit)| {
            Box::pin(async move {
                let args = args![Value::from(archives.clone()), archives.is_empty(), *limit];
                let rows = tx.rows(THERE, args).await?;
                rows.iter().map(|row| Ok((row.get("app_id")?, row.get("id")?))).collect()
            })
        })
        .await
    }

    /// Tells that a video is where it was wanted; `false` when somebody has told it, or it is not so any more.
    pub async fn tell_distributed(
        &self,
        (app, video): (AppId, VideoId),
        archives: &[String],
        now: Millis,
    ) -> Result<bool, DbError> {
        self.write((app, video, archives.to_vec(), now), |tx, (app, video, archives, now)| {
            Box::pin(async move {
                let names = Value::from(archives.clone());
                let args = args![names, archives.is_empty(), *now, *video];
                if tx.execute(TELL, args).await? == 0 {
                    return Ok(false);
                }
                let sql = "SELECT host FROM publication WHERE video_id = $1 ORDER BY host";
                let rows = tx.rows(sql, args![*video]).await?;
                let hosts =
                    rows.iter().map(|row| row.get("host")).collect::<Result<Vec<String>, DbError>>()?;
                let facts = json!({ "archived": !archives.is_empty(), "hosts": hosts });
                tell(tx, *app, Topic::VideoDistributed, (video.to_string(), facts), *now).await?;
                Ok(true)
            })
        })
        .await
    }

    /// All good copies of what belongs to a video in these stores.
    pub async fn archived(&self, video: VideoId, archives: &[String]) -> Result<Vec<Replica>, DbError> {
        self.read((video, archives.to_vec()), |tx, (video, archives)| {
            Box::pin(async move {
                let sql = Sql::Each {
                    sqlite: replicas!(
                        "WHERE o.video_id = $1 AND r.state = 'present' AND r.store IN (SELECT value FROM json_each($2))
                         ORDER BY r.created_ms, r.id"
                    ),
                    postgres: replicas!(
                        "WHERE o.video_id = $1 AND r.state = 'present'
                           AND r.store IN (SELECT jsonb_array_elements_text($2)) ORDER BY r.created_ms, r.id"
                    ),
                };
                let rows = tx.rows(sql, args![*video, Value::from(archives.clone())]).await?;
                rows.iter().map(replica_of).collect()
            })
        })
        .await
    }
}

/// A video is wanted in an archive for the first time.
pub(crate) async fn wanted_in_archive(tx: &mut Tx, video: VideoId) -> Result<(), DbError> {
    let sql = "UPDATE video SET distributing = $2 WHERE id = $1 AND distributed_ms IS NULL";
    tx.execute(sql, args![video, true]).await.map(drop)
}

/// A video is wanted at a host, perhaps at one more.
pub(crate) async fn wanted_at_host(tx: &mut Tx, video: VideoId) -> Result<(), DbError> {
    tx.execute("UPDATE video SET distributing = $2 WHERE id = $1", args![video, true]).await.map(drop)
}
