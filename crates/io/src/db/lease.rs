//! The lease under which a job's results are published, seen together with its video.

use matinee_core::id::{AppId, VideoId};
use matinee_core::job::Lease;
use matinee_core::time::Millis;

use super::error::DbError;
use super::job;
use super::tx::{Sql, Tx};
use super::value::args;

/// For whom the holder of a lease works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) app: AppId,
    pub(crate) video: VideoId,
    /// The generation of the video that the job works for.
    pub(crate) generation: u32,
}

/// Locks a video for the rest of the transaction. [`DbError::Absent`] when it is deleted or was never there.
///
/// Whoever changes what belongs to a video takes this lock first, so that two chunks that end together agree on
/// who of them made the video playable.
pub(crate) async fn lock_video(tx: &mut Tx, video: VideoId) -> Result<AppId, DbError> {
    let sql = Sql::Each {
        sqlite: "SELECT app_id FROM video WHERE id = $1 AND deleted_ms IS NULL",
        postgres: "SELECT app_id FROM video WHERE id = $1 AND deleted_ms IS NULL FOR UPDATE",
    };
    tx.row(sql, args![video]).await?.ok_or(DbError::Absent)?.get("app_id")
}

/// Locks the video of the lease's job and makes sure that the lease holds.
pub(crate) async fn held(tx: &mut Tx, lease: &Lease, now: Millis) -> Result<Held, DbError> {
    let held = locked(tx, lease).await?;
    job::guard(tx, lease, now).await?;
    Ok(held)
}

/// The same, and completes the job.
pub(crate) async fn settled(tx: &mut Tx, lease: &Lease, now: Millis) -> Result<Held, DbError> {
    let held = locked(tx, lease).await?;
    job::settle(tx, lease, now, None).await?;
    Ok(held)
}

async fn locked(tx: &mut Tx, lease: &Lease) -> Result<Held, DbError> {
    let row = tx.row("SELECT video_id, generation FROM job WHERE id = $1", args![lease.job]).await?;
    let row = row.ok_or(DbError::LeaseLost)?;
    let video: VideoId = row.get::<Option<VideoId>>("video_id")?.ok_or(DbError::LeaseLost)?;
    let app = match lock_video(tx, video).await {
        Err(DbError::Absent) => return Err(DbError::LeaseLost),
        locked => locked?,
    };
    Ok(Held { app, video, generation: row.get("generation")? })
}
