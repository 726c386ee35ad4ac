//! What of each video lies where, for the account: bytes in stores, minutes and bytes at hosts.

use matinee_core::id::{AppId, CollectionId, VideoId};

use super::Db;
use super::error::DbError;
use super::value::{Row, args};

/// What of a video is paid for at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The store or the host.
    pub place: String,
    /// Who pays.
    pub app: AppId,
    /// The video.
    pub video: VideoId,
    /// Its bytes there.
    pub bytes: u64,
    /// Its length there in milliseconds; stores do not ask for that.
    pub duration_ms: u64,
}

/// A video, as the account names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The video.
    pub video: VideoId,
    /// Its app.
    pub app: AppId,
    /// Its collection.
    pub collection: CollectionId,
    /// Its title.
    pub title: String,
    /// Its length in milliseconds, once known.
    pub duration_ms: Option<u64>,
}

impl Db {
    /// What lies in stores and at hosts, by place and video; what is to be deleted is paid for until it is gone.
    pub async fn holdings(&self) -> Result<Vec<Holding>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let sql = "SELECT l.place, l.app_id, l.video_id, CAST(sum(COALESCE(o.size_bytes, 0)) AS bigint) AS bytes,
                             CAST(0 AS bigint) AS duration_ms
                           FROM ledger l JOIN object o ON o.id = l.object_id
                           WHERE l.state IN ('present', 'to_delete') GROUP BY l.place, l.app_id, l.video_id
                           UNION ALL
                           SELECT host, app_id, video_id, COALESCE(stored_bytes, 0), COALESCE(duration_ms, 0)
                           FROM publication WHERE remote_id IS NOT NULL AND phase IN ('processing', 'playable', 'ready')";
                tx.rows(sql, args![]).await?.iter().map(holding_of).collect()
            })
        })
        .await
    }

    /// All videos with what the account says of them.
    pub async fn videos_named(&self) -> Result<Vec<Named>, DbError> {
        self.read((), |tx, ()| {
            Box::pin(async move {
                let sql = "SELECT id, app_id, collection_id, title, duration_ms FROM video
                           WHERE deleted_ms IS NULL ORDER BY id";
                tx.rows(sql, args![]).await?.iter().map(named_of).collect()
            })
        })
        .await
    }
}

fn holding_of(row: &Row) -> Result<Holding, DbError> {
    Ok(Holding {
        place: row.get("place")?,
        app: row.get("app_id")?,
        video: row.get("video_id")?,
        bytes: row.get("bytes")?,
        duration_ms: row.get("duration_ms")?,
    })
}

fn named_of(row: &Row) -> Result<Named, DbError> {
    Ok(Named {
        video: row.get("id")?,
        app: row.get("app_id")?,
        collection: row.get("collection_id")?,
        title: row.get("title")?,
        duration_ms: row.get("duration_ms")?,
    })
}
