//! For what a job works: the generation that counts, the one that is made beside it, or nothing any more.

use matinee_core::id::{JobId, VideoId};
use matinee_core::remake::Remake;
use matinee_core::time::Millis;

use crate::db::error::DbError;
use crate::db::tx::Tx;
use crate::db::value::args;
use crate::db::word;

/// What a generation is to its video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Run {
    /// It is the one that counts.
    First,
    /// It is made beside that one.
    Beside(Box<Remake>),
    /// Nobody wants it any more.
    Over,
}

/// Writes what is known of a remake.
pub(crate) async fn save(tx: &mut Tx, video: VideoId, remake: &Remake, now: Millis) -> Result<(), DbError> {
    let sql = "UPDATE video SET remake = $2, updated_ms = $3 WHERE id = $1";
    tx.execute_one(sql, args![video, word::as_json(remake), now]).await
}

/// What a generation is to its video, whose row is locked.
pub(crate) async fn run_of(tx: &mut Tx, video: VideoId, generation: u32) -> Result<Run, DbError> {
    let row = tx.row("SELECT encoding, remake FROM video WHERE id = $1", args![video]).await?;
    let row = row.ok_or(DbError::Absent)?;
    if row.get::<u32>("encoding")? == generation {
        return Ok(Run::First);
    }
    let remake: Option<Remake> = word::json(&row, "remake")?;
    let mine = remake.filter(|remake| remake.is_running() && remake.generation == generation);
    Ok(mine.map_or(Run::Over, |remake| Run::Beside(Box::new(remake))))
}

/// The generation that a job works for.
pub(crate) async fn generation_of(tx: &mut Tx, job: JobId) -> Result<u32, DbError> {
    let row = tx.row("SELECT generation FROM job WHERE id = $1", args![job]).await?;
    row.ok_or(DbError::Absent)?.get("generation")
}

/// Is it too late to run a job again, because its video was encoded again since, or is?
pub(crate) async fn is_past(tx: &mut Tx, job: JobId) -> Result<bool, DbError> {
    let sql = "SELECT 1 AS past FROM job j JOIN video v ON v.id = j.video_id
               WHERE j.id = $1 AND (j.generation <> v.encoding OR v.remake ->> 'state' = 'running')";
    Ok(tx.row(sql, args![job]).await?.is_some())
}

/// Does a job work for nothing any more, because another generation has taken the place of its own?
pub(crate) async fn is_over(tx: &mut Tx, job: JobId) -> Result<bool, DbError> {
    let sql = "SELECT j.video_id, j.generation FROM job j JOIN video v ON v.id = j.video_id
               WHERE j.id = $1 AND j.kind <> 'publish'";
    let Some(row) = tx.row(sql, args![job]).await? else { return Ok(false) };
    Ok(run_of(tx, row.get("video_id")?, row.get("generation")?).await? == Run::Over)
}
