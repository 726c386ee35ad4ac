//! When a video is ready: nothing is left to be made, and what was only needed for making it goes.

pub(crate) mod needed;

use matinee_core::event::Topic;
use matinee_core::id::VideoId;
use matinee_core::job::Lease;
use matinee_core::limits::REPLACED_GRACE_MS;
use matinee_core::time::Millis;
use matinee_core::video::{Generations, RenditionState, State, VIRTUAL, served};
use serde_json::json;

use self::needed::{drop_unused, is_whole, let_go_of_work, may_be_run_again, wanted_in_background};
use super::Db;
use super::error::DbError;
use super::lease::{Held, lock_video, settled};
use super::remake::run::{Run, run_of};
use super::remake::serve;
use super::rendition::{Rendition, renditions_of};
use super::told::tell;
use super::tx::Tx;
use super::value::args;

impl Db {
    /// Nothing is left to be made in the background: what was only needed for that goes, and the job is done. When some of
    /// it has failed, all is kept, so that the operator can run its dead job again.
    pub async fn publish_settled(&self, lease: &Lease, now: Millis) -> Result<(), DbError> {
        self.write((*lease, now), |tx, (lease, now)| {
            Box::pin(async move {
                let held = settled(tx, lease, *now).await?;
                // What belongs to a remake that is not served yet goes when it is, or with it.
                let counts = run_of(tx, held.video, held.generation).await? == Run::First;
                if !counts
                    || state_of(tx, held.video).await? != State::Ready
                    || wanted_in_background(&renditions_of(tx, held.video).await?, held.generation)
                {
                    return Ok(());
                }
                let_go_of_work(tx, held.video).await?;
                drop_unused(tx, held.video, "work", now.plus(REPLACED_GRACE_MS)).await
            })
        })
        .await
    }

    /// Declares a video ready and completes the job; one that is ready stays as it is. From now on the encoded renditions are served if one of them is
    /// whole, else the source as it is; work files stay for a minute, for players that know an older playlist.
    ///
    /// [`DbError::Conflict`] when a rendition is neither whole nor failed, or there is nothing to play.
    pub async fn publish_ready(&self, lease: &Lease, now: Millis) -> Result<(), DbError> {
        self.write((*lease, now), |tx, (lease, now)| {
            Box::pin(async move {
                let held = settled(tx, lease, *now).await?;
                let renditions = renditions_of(tx, held.video).await?;
                let run = run_of(tx, held.video, held.generation).await?;
                if run == Run::First && state_of(tx, held.video).await? == State::Ready {
                    return Ok(());
                }
                let open = |rendition: &Rendition| {
                    rendition.generation == held.generation
                        && !rendition.background
                        && matches!(rendition.state, RenditionState::Waiting | RenditionState::Encoding)
                };
                if renditions.iter().any(open) {
                    return Err(DbError::Conflict("renditions are still being made".to_owned()));
                }
                match run {
                    Run::Over => Err(DbError::LeaseLost),
                    Run::First => become_ready(tx, held, &renditions, *now).await,
                    Run::Beside(made) => serve(tx, held, (&made, &renditions), *now).await,
                }
            })
        })
        .await
    }
}

async fn state_of(tx: &mut Tx, video: VideoId) -> Result<State, DbError> {
    let row = tx.row("SELECT state FROM video WHERE id = $1", args![video]).await?;
    row.ok_or(DbError::Absent)?.get("state")
}

impl Db {
    /// Lets go of what ready videos kept for dead jobs that are forgotten by now, of so many videos; returns of how many.
    pub async fn forget_failed(&self, limit: u32, now: Millis) -> Result<u32, DbError> {
        self.write((limit, now), |tx, (limit, now)| {
            Box::pin(async move {
                let sql = "SELECT DISTINCT r.video_id, v.encoding FROM rendition r JOIN video v ON v.id = r.video_id
                           WHERE r.state = 'failed' AND NOT r.background AND v.state = 'ready'
                             AND r.generation = v.encoding AND v.deleted_ms IS NULL
                             AND EXISTS (SELECT 1 FROM part p WHERE p.rendition_id = r.id) LIMIT $1";
                let mut forgotten = 0;
                for row in tx.rows(sql, args![*limit]).await? {
                    let (video, encoding): (VideoId, u32) = (row.get("video_id")?, row.get("encoding")?);
                    let app = lock_video(tx, video).await?;
                    let held = Held { app, video, generation: encoding };
                    if may_be_run_again(tx, held).await? {
                        continue;
                    }
                    let renditions = renditions_of(tx, video).await?;
                    forget_failed(tx, held, &renditions).await?;
                    drop_unused(tx, video, "work", *now).await?;
                    forgotten += 1;
                }
                Ok(forgotten)
            })
        })
        .await
    }
}

/// Which generation is served once nothing is left to be made of the one that is encoded.
pub(crate) fn final_generation(renditions: &[Rendition], encoding: u32) -> u32 {
    let generations = Generations {
        virtual_set: renditions.iter().any(|rendition| rendition.generation == VIRTUAL),
        encoded_whole: is_whole(renditions, encoding),
        encoded_growing: false,
    };
    served(generations, encoding)
}

/// The video is ready with what there is.
pub(crate) async fn become_ready(
    tx: &mut Tx,
    held: Held,
    renditions: &[Rendition],
    now: Millis,
) -> Result<(), DbError> {
    let Held { app, video, generation: encoding } = held;
    let generation = final_generation(renditions, encoding);
    if generation == 0 {
        return Err(DbError::Conflict("nothing of this video can be played".to_owned()));
    }
    tx.execute_one(
        "UPDATE video SET state = 'ready', generation = $2, ready_ms = $3, updated_ms = $3,
           playable_ms = COALESCE(playable_ms, $3) WHERE id = $1",
        args![video, generation, now],
    )
    .await?;
    if !may_be_run_again(tx, held).await? {
        forget_failed(tx, held, renditions).await?;
    }
    drop_unused(tx, video, "work", now.plus(REPLACED_GRACE_MS)).await?;
    let failed: Vec<&str> = renditions
        .iter()
        .filter(|one| one.generation == encoding && !one.background && one.state == RenditionState::Failed)
        .map(|rendition| rendition.name.as_str())
        .collect();
    let facts = json!({ "generation": generation, "failed": failed });
    tell(tx, app, Topic::VideoReady, (video.to_string(), facts), now).await
}

/// What was made of renditions that failed, and what they were made from, is of no use any more.
async fn forget_failed(tx: &mut Tx, held: Held, renditions: &[Rendition]) -> Result<(), DbError> {
    let sql = "DELETE FROM part WHERE rendition_id IN
                 (SELECT id FROM rendition WHERE video_id = $1 AND generation = $2 AND state = 'failed'
                    AND NOT background)";
    tx.execute(sql, args![held.video, held.generation]).await?;
    if wanted_in_background(renditions, held.generation) {
        return Ok(());
    }
    let_go_of_work(tx, held.video).await
}
