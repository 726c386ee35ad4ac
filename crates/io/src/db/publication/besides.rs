//! What hosts have of videos besides: compared with what is wanted when either has changed.

use matinee_core::id::{ObjectId, VideoId};
use matinee_core::publication::besides::Besides;
use matinee_core::time::Millis;

use super::row::{Publication, publication_of};
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::tx::Tx;
use crate::db::value::args;
use crate::db::word;

impl Db {
    /// Those that play at a host and whose captions and file are to be compared now with what is wanted.
    pub async fn publications_besides(
        &self,
        host: &str,
        now: Millis,
        limit: u32,
    ) -> Result<Vec<Publication>, DbError> {
        self.read((host.to_owned(), now, limit), |tx, (host, now, limit)| {
            Box::pin(async move {
                let sql =
                    "SELECT * FROM publication WHERE host = $1 AND besides_ms <= $2 AND remote_id IS NOT NULL
                             AND phase IN ('playable', 'ready') ORDER BY besides_ms, id LIMIT $3";
                tx.rows(sql, args![host.as_str(), *now, *limit]).await?.iter().map(publication_of).collect()
            })
        })
        .await
    }

    /// What a host has of it now. It is compared again at `next`, or sooner when something was changed since it was read.
    pub async fn publication_besides(
        &self,
        read: &Publication,
        besides: &Besides,
        next: Option<Millis>,
    ) -> Result<(), DbError> {
        let args = (read.id, read.besides_at, besides.clone(), next);
        self.write(args, |tx, (id, at, besides, next)| {
            Box::pin(async move {
                let sql = "UPDATE publication SET besides = $2,
                             besides_ms = CASE WHEN besides_ms = $3 THEN $4 ELSE besides_ms END WHERE id = $1";
                tx.execute(sql, args![*id, word::as_json(besides), *at, *next]).await.map(drop)
            })
        })
        .await
    }
}

/// Something of a video has changed that hosts where it plays may have to hear of, such as its captions.
pub(crate) async fn besides_due(tx: &mut Tx, video: VideoId, now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE publication SET besides_ms = $2 WHERE video_id = $1 AND phase IN ('playable', 'ready')";
    tx.execute(sql, args![video, now]).await.map(drop)
}

/// The same, of the video that an object is of.
pub(crate) async fn besides_due_of(tx: &mut Tx, object: ObjectId, now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE publication SET besides_ms = $2 WHERE phase IN ('playable', 'ready')
                 AND video_id = (SELECT video_id FROM object WHERE id = $1)";
    tx.execute(sql, args![object, now]).await.map(drop)
}
