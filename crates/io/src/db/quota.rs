//! Quotas inside a transaction: may this app and this collection take so much more?

use matinee_core::id::{AppId, CollectionId, UploadId, VideoId};
use matinee_core::quota::{Quota, Refusal, Usage, Whose, reservation};

use super::error::DbError;
use super::tx::{Sql, Tx};
use super::value::{Row, args};

const RULES: &str =
    "SELECT a.quota_bytes AS app_bytes, a.quota_uploads AS app_uploads, a.deleting_ms AS app_deleting,
   c.quota_bytes AS own_bytes, c.quota_uploads AS own_uploads, c.deleting_ms AS own_deleting
 FROM app a JOIN collection c ON c.app_id = a.id WHERE a.id = $1 AND c.id = $2";

/// Lets `bytes` more be reserved for `uploads` more uploads, or says why not. Nobody deletes the app or the
/// collection, or takes what is left of a quota, between this answer and the commit.
///
/// [`DbError::Absent`] when the app has no such collection, [`DbError::Refused`] when it may not be.
pub(crate) async fn admit(
    tx: &mut Tx,
    (app, collection): (AppId, CollectionId),
    bytes: u64,
    uploads: u64,
) -> Result<(), DbError> {
    let rules = rules(tx, (app, collection)).await?;
    for (whose, quota) in [(Whose::App, rules.app), (Whose::Collection, rules.collection)] {
        if quota == Quota::default() {
            continue;
        }
        let usage = match whose {
            Whose::App => usage_of_app(tx, app).await?,
            Whose::Collection => usage_of_collection(tx, collection).await?,
        };
        quota.admit(whose, usage, bytes, uploads).map_err(DbError::Refused)?;
    }
    Ok(())
}

/// The same for bytes that are made of a video.
pub(crate) async fn admit_for(tx: &mut Tx, app: AppId, video: VideoId, bytes: u64) -> Result<(), DbError> {
    let row = tx.row("SELECT collection_id FROM video WHERE id = $1", args![video]).await?;
    admit(tx, (app, row.ok_or(DbError::Absent)?.get("collection_id")?), bytes, 0).await
}

struct Rules {
    app: Quota,
    collection: Quota,
}

async fn rules(tx: &mut Tx, (app, collection): (AppId, CollectionId)) -> Result<Rules, DbError> {
    let read = async |tx: &mut Tx, sql: Sql| {
        let row = tx.row(sql, args![app, collection]).await?.ok_or(DbError::Absent)?;
        read_rules(&row)
    };
    if !tx.is_postgres() {
        return read(tx, Sql::Both(RULES)).await;
    }
    // Whoever counts against a quota waits for the others who do; who counts nothing only holds off a deletion.
    let seen = read(tx, Sql::Both(RULES)).await?;
    let limited = seen.app != Quota::default() || seen.collection != Quota::default();
    let sql = if limited {
        "SELECT id FROM app WHERE id = $1 FOR UPDATE"
    } else {
        "SELECT id FROM app WHERE id = $1 FOR SHARE"
    };
    tx.rows(sql, args![app]).await?;
    let sql = "SELECT id FROM collection WHERE id = $1 FOR SHARE";
    tx.rows(sql, args![collection]).await?;
    read(tx, Sql::Both(RULES)).await
}

fn read_rules(row: &Row) -> Result<Rules, DbError> {
    for (column, whose) in [("app_deleting", Whose::App), ("own_deleting", Whose::Collection)] {
        if row.get::<Option<i64>>(column)?.is_some() {
            return Err(DbError::Refused(Refusal::Closed { whose }));
        }
    }
    Ok(Rules {
        app: Quota { bytes: row.get("app_bytes")?, uploads: row.get("app_uploads")? },
        collection: Quota { bytes: row.get("own_bytes")?, uploads: row.get("own_uploads")? },
    })
}

/// What an app has.
pub(crate) async fn usage_of_app(tx: &mut Tx, app: AppId) -> Result<Usage, DbError> {
    let sql = "SELECT (SELECT CAST(COALESCE(SUM(size_bytes), 0) AS bigint) FROM object WHERE app_id = $1) AS stored,
                 CAST(COALESCE(SUM(reserved_bytes), 0) AS bigint) AS reserved, COUNT(*) AS uploads
               FROM upload WHERE app_id = $1 AND state = 'open'";
    usage(&tx.row(sql, args![app]).await?.ok_or(DbError::Absent)?)
}

/// What a collection has.
pub(crate) async fn usage_of_collection(tx: &mut Tx, collection: CollectionId) -> Result<Usage, DbError> {
    let sql = "SELECT (SELECT CAST(COALESCE(SUM(o.size_bytes), 0) AS bigint) FROM video v
                   JOIN object o ON o.video_id = v.id WHERE v.collection_id = $1) AS stored,
                 CAST(COALESCE(SUM(reserved_bytes), 0) AS bigint) AS reserved, COUNT(*) AS uploads
               FROM upload WHERE collection_id = $1 AND state = 'open'";
    usage(&tx.row(sql, args![collection]).await?.ok_or(DbError::Absent)?)
}

fn usage(row: &Row) -> Result<Usage, DbError> {
    Ok(Usage {
        stored_bytes: row.get("stored")?,
        reserved_bytes: row.get("reserved")?,
        uploads: row.get("uploads")?,
    })
}

/// Reserves for an upload what it needs after `offset` bytes arrived, with its length if that is known.
pub(crate) async fn reserve(
    tx: &mut Tx,
    id: UploadId,
    (size, offset): (Option<u64>, u64),
) -> Result<(), DbError> {
    let sql = "SELECT app_id, collection_id, reserved_bytes, max_bytes FROM upload WHERE id = $1";
    let row = tx.row(sql, args![id]).await?.ok_or(DbError::Absent)?;
    let max: Option<u64> = row.get("max_bytes")?;
    if let Some(max) = max.filter(|max| size.unwrap_or(offset) > *max) {
        return Err(DbError::Refused(Refusal::TooLarge { max }));
    }
    let (has, needs): (u64, u64) = (row.get("reserved_bytes")?, reservation(size, offset));
    if needs > has {
        admit(tx, (row.get("app_id")?, row.get("collection_id")?), needs - has, 0).await?;
    }
    if needs != has {
        tx.execute("UPDATE upload SET reserved_bytes = $2 WHERE id = $1", args![id, needs]).await?;
    }
    Ok(())
}
