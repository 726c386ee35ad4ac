//! What of a video is still needed for something, and what of it goes.

use matinee_core::id::{ObjectId, VideoId};
use matinee_core::time::Millis;
use matinee_core::video::{Medium, RenditionState};

use crate::db::error::DbError;
use crate::db::lease::Held;
use crate::db::object::unwanted_if_unused;
use crate::db::rendition::Rendition;
use crate::db::tx::Tx;
use crate::db::value::args;

/// Is there something in the background of a generation that is not whole? Its jobs read what this video was encoded from.
pub(crate) fn wanted_in_background(renditions: &[Rendition], generation: u32) -> bool {
    let mut background = renditions.iter().filter(|one| one.generation == generation && one.background);
    background.any(|one| one.state != RenditionState::Ready)
}

/// Is there one with what the source has among the renditions of a generation that are whole?
pub(crate) fn is_whole(renditions: &[Rendition], generation: u32) -> bool {
    let encoded = || renditions.iter().filter(|one| one.generation == generation && !one.background);
    let pictures = encoded().any(|rendition| rendition.medium == Medium::Video);
    let wanted = if pictures { Medium::Video } else { Medium::Audio };
    let whole =
        |rendition: &Rendition| rendition.state == RenditionState::Ready && rendition.medium == wanted;
    encoded().any(whole)
}

/// Is there a dead job that would go on from what is there? Not one that fell with another, and not one whose source was
/// judged: that would be repeated.
pub(crate) async fn may_be_run_again(tx: &mut Tx, held: Held) -> Result<bool, DbError> {
    let sql = "SELECT 1 AS found FROM job j WHERE j.video_id = $1 AND j.generation = $2 AND j.state = 4
                 AND j.kind IN ('remux', 'chunk', 'audio', 'assemble') AND j.started_ms IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM job_attempt a WHERE a.job_id = j.id AND a.attempt = j.attempt
                                   AND a.outcome IN ('refusal', 'damage')) LIMIT 1";
    Ok(tx.row(sql, args![held.video, held.generation]).await?.is_some())
}

/// The rewritten source is not read any more by the generation that counts; a remake that runs may still read it.
pub(crate) async fn let_go_of_work(tx: &mut Tx, video: VideoId) -> Result<(), DbError> {
    let sql = "UPDATE video SET work_id = NULL
               WHERE id = $1 AND (remake IS NULL OR remake ->> 'state' <> 'running')";
    tx.execute(sql, args![video]).await.map(drop)
}

/// All objects of the video that nothing points at are deleted from `later` on.
pub(crate) async fn drop_unused(
    tx: &mut Tx,
    video: VideoId,
    reason: &str,
    later: Millis,
) -> Result<(), DbError> {
    let sql =
        "SELECT object_id FROM ledger WHERE video_id = $1 AND state = 'present' AND object_id IS NOT NULL";
    for row in tx.rows(sql, args![video]).await? {
        let object: ObjectId = row.get("object_id")?;
        unwanted_if_unused(tx, object, reason, later).await?;
    }
    Ok(())
}
