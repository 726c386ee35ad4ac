//! What the death of jobs means for their rendition and their video, in the transaction in which they die.
//!
//! * Without the fetch there is no video: its upload fails.
//! * Subtitles that cannot be converted fail alone.
//! * A poster or a storyboard that cannot be made, and a step that is not done, are only noted by the job's own event; what
//!   cannot be published fails its publication.
//! * A file that cannot be assembled fails its rendition; the others go on, until it was the last. So does a sound that is
//!   only an alternative.
//! * What is made in the background fails alone: the video is what it would be without it.
//! * Without the probe, the remux, a chunk or the main sound nothing can be encoded: all encoded renditions that are not
//!   whole fail, and the rest of the work is cancelled. The video is then ready with the source as it is if browsers
//!   can play that (its reason names the problem), else it is failed and nothing of it is served.
//! * A remake fails for the same reasons, or when one of its files cannot be made, and then leaves the video as it was, with all that is served of it. Jobs of a
//!   generation that does not count any more change nothing.
//! * After a crash all that was made is kept, so that the operator can run the dead job again. A refusal or damage is
//!   final: all that was made goes; the source goes, too, if the probe refused it.

use matinee_core::event::Topic;
use matinee_core::id::{AppId, JobId, RenditionId, VideoId};
use matinee_core::job::Task;
use matinee_core::time::Millis;
use matinee_core::video::{Medium, Problem, RenditionState, State};
use serde_json::{Value, json};

use super::encoded::settle_sound;
use super::error::DbError;
use super::lease::{Held, lock_video};
use super::ready::needed::drop_unused;
use super::ready::{become_ready, final_generation};
use super::remake;
use super::remake::run::{Run, generation_of, run_of};
use super::rendition::{Rendition, renditions_of};
use super::told::tell;
use super::tx::Tx;
use super::value::args;
use super::{caption, job, object, picture, publication, pull, word};

/// Jobs died together, the cause first: their rendition or video fails in the same transaction.
pub(crate) async fn job_died(
    tx: &mut Tx,
    died: &[(JobId, Task)],
    error: &Value,
    now: Millis,
) -> Result<(), DbError> {
    let Some((cause, first)) = died.first() else { return Ok(()) };
    let Some(video) = first.video() else { return Ok(()) };
    if matches!(first, Task::Fetch { .. }) {
        return pull::died(tx, video, &problem_of(error), now).await;
    }
    if matches!(first, Task::Take { .. }) {
        return super::ending::not_taken(tx, video, &problem_of(error), now).await;
    }
    let app = match lock_video(tx, video).await {
        Err(DbError::Absent) => return Ok(()),
        locked => locked?,
    };
    let reason = not_published(tx, (video, died), problem_of(error), now).await?;
    let generation = generation_of(tx, *cause).await?;
    let run = run_of(tx, video, generation).await?;
    if run == Run::Over {
        return Ok(());
    }
    let mut hopeless = false;
    for (_, task) in died {
        match task {
            // The files of an alternative sound, and of the background, die with it, and name what failed.
            Task::Poster { .. }
            | Task::Storyboard { .. }
            | Task::Erase { .. }
            | Task::Copy { .. }
            | Task::Webm { .. }
            | Task::Step { .. }
            | Task::Publish { .. }
            | Task::Chunk { family: 1.., .. }
            | Task::Finish { background: true, .. }
            | Task::Audio { track: 1.., .. } => {}
            Task::Subtitles { .. } => caption::give_up(tx, video, &reason).await?,
            Task::Assemble { rendition, .. } => {
                fail_rendition(tx, app, *rendition, &reason, now).await?;
                settle_sound(tx, video, generation, now).await?;
                hopeless |= match run {
                    Run::Beside(_) => !is_background(tx, task, generation).await?,
                    Run::First | Run::Over => nothing_left(&renditions_of(tx, video).await?, generation),
                };
            }
            Task::Fetch { .. }
            | Task::Join { .. }
            | Task::Take { .. }
            | Task::Probe { .. }
            | Task::Remux { .. }
            | Task::Chunk { family: 0, .. }
            | Task::Audio { track: 0, .. }
            | Task::Finish { background: false, .. } => hopeless = true,
        }
    }
    if !hopeless {
        return Ok(());
    }
    let held = Held { app, video, generation };
    if let Run::Beside(remake) = run {
        return remake::fail(tx, held, &remake, reason, now).await;
    }
    give_up(tx, held, &reason, now).await?;
    if is_final(tx, *cause).await? {
        clear(tx, video, matches!(first, Task::Probe { .. }), now).await?;
    }
    Ok(())
}

/// What these jobs were to publish fails for this reason, which is handed back.
async fn not_published(
    tx: &mut Tx,
    (video, died): (VideoId, &[(JobId, Task)]),
    reason: Problem,
    now: Millis,
) -> Result<Problem, DbError> {
    for (_, task) in died {
        if let Task::Publish { host, .. } = task {
            publication::job_ended(tx, (video, host), &reason, now).await?;
        }
    }
    Ok(reason)
}

/// Has everything failed that a video of these renditions is watched by, in a generation?
fn nothing_left(renditions: &[Rendition], generation: u32) -> bool {
    let encoded = || renditions.iter().filter(|one| one.generation == generation && !one.background);
    let pictures = encoded().any(|rendition| rendition.medium == Medium::Video);
    let wanted = if pictures { Medium::Video } else { Medium::Audio };
    encoded().filter(|row| row.medium == wanted).all(|row| row.state == RenditionState::Failed)
}

/// The operator wants dead jobs again: their rendition or video is worked on again, with all that was cancelled
/// because of their death.
pub(crate) async fn job_retried(tx: &mut Tx, wanted: &[(JobId, Task)], now: Millis) -> Result<(), DbError> {
    let Some((job, first)) = wanted.first() else { return Ok(()) };
    let Some(video) = first.video() else { return Ok(()) };
    match lock_video(tx, video).await {
        Err(DbError::Absent) => return Ok(()),
        locked => locked?,
    };
    if matches!(
        first,
        Task::Poster { .. }
            | Task::Storyboard { .. }
            | Task::Subtitles { .. }
            | Task::Step { .. }
            | Task::Publish { .. }
    ) {
        return caption::revive(tx, video).await;
    }
    let generation = generation_of(tx, *job).await?;
    let background = is_background(tx, first, generation).await?;
    tx.execute(
        "UPDATE rendition SET state = CASE WHEN EXISTS (SELECT 1 FROM part WHERE rendition_id = rendition.id)
           THEN 'encoding' ELSE 'waiting' END, reason = NULL
         WHERE video_id = $1 AND generation = $3 AND state = 'failed' AND (background OR NOT $2)",
        args![video, background, generation],
    )
    .await?;
    if !background {
        tx.execute(
            "UPDATE video SET state = 'processing', reason = NULL, updated_ms = $2 WHERE id = $1",
            args![video, now],
        )
        .await?;
    }
    // Jobs that were cancelled, or died without ever having run, count as open: this statement opens them again. So it
    // does the one that declares the video ready, which has to do that once more.
    tx.execute(
        "UPDATE job SET cancel_requested = $2, finished_ms = NULL, last_error = NULL,
           needs = (SELECT count(*) FROM job_dep d JOIN job n ON n.id = d.needs_id
                    WHERE d.job_id = job.id
                      AND (n.state IN (0, 1, 2, 5) OR (n.state = 4 AND n.started_ms IS NULL))),
           state = CASE WHEN EXISTS (SELECT 1 FROM job_dep d JOIN job n ON n.id = d.needs_id
                    WHERE d.job_id = job.id
                      AND (n.state IN (0, 1, 2, 5) OR (n.state = 4 AND n.started_ms IS NULL)))
                    THEN 0 ELSE 1 END
         WHERE video_id = $1 AND generation = $3 AND (state IN (0, 1, 5) OR (state = 4 AND started_ms IS NULL) OR (state = 3 AND kind = 'finish'))",
        args![video, false, generation],
    )
    .await?;
    let sql = "UPDATE job SET cancel_requested = $2 WHERE video_id = $1 AND generation = $3 AND state = 2";
    tx.execute(sql, args![video, false, generation]).await?;
    tx.wake_jobs();
    caption::revive(tx, video).await
}

/// Somebody does not want a job any more: a remake that cannot do without it ends, and captions do not wait for it.
pub(crate) async fn job_unwanted(tx: &mut Tx, job: JobId, now: Millis) -> Result<(), DbError> {
    let sql = "SELECT video_id, generation, payload FROM job WHERE id = $1";
    let row = tx.row(sql, args![job]).await?.ok_or(DbError::Absent)?;
    let Some(video) = row.get::<Option<VideoId>>("video_id")? else { return Ok(()) };
    // One of another release may say what this one cannot read.
    let Ok(task) = job::task_of(row.get("payload")?) else { return Ok(()) };
    let app = match lock_video(tx, video).await {
        Err(DbError::Absent) => return Ok(()),
        locked => locked?,
    };
    let generation = row.get("generation")?;
    if matches!(task, Task::Poster { .. } | Task::Storyboard { .. } | Task::Step { .. }) {
        return Ok(());
    }
    if let Task::Publish { host, .. } = &task {
        return publication::job_ended(tx, (video, host), &stopped(), now).await;
    }
    if matches!(task, Task::Subtitles { .. }) {
        return caption::abandon(tx, video).await;
    }
    if let Run::Beside(remake) = run_of(tx, video, generation).await?
        && !is_background(tx, &task, generation).await?
    {
        remake::cancel(tx, Held { app, video, generation }, &remake, now).await?;
    }
    Ok(())
}

/// Does nobody wait for what this task makes?
async fn is_background(tx: &mut Tx, task: &Task, generation: u32) -> Result<bool, DbError> {
    let row = match task {
        Task::Chunk { family, .. } => return Ok(*family > 0),
        Task::Webm { .. } | Task::Finish { background: true, .. } => return Ok(true),
        Task::Assemble { rendition, .. } => {
            tx.row("SELECT background FROM rendition WHERE id = $1", args![*rendition]).await?
        }
        Task::Audio { video, track } => {
            let sql =
                "SELECT background FROM rendition WHERE video_id = $1 AND media = 'audio' AND generation = $3
                       ORDER BY place LIMIT 1 OFFSET $2";
            tx.row(sql, args![*video, *track, generation]).await?
        }
        Task::Fetch { .. }
        | Task::Join { .. }
        | Task::Take { .. }
        | Task::Probe { .. }
        | Task::Remux { .. }
        | Task::Poster { .. }
        | Task::Subtitles { .. }
        | Task::Storyboard { .. }
        | Task::Finish { background: false, .. }
        | Task::Step { .. }
        | Task::Publish { .. }
        | Task::Erase { .. }
        | Task::Copy { .. } => return Ok(false),
    };
    row.map_or(Ok(false), |row| row.get("background"))
}

/// Fails a video: its work is cancelled and nothing of it is served.
pub(crate) async fn fail(
    tx: &mut Tx,
    (app, video): (AppId, VideoId),
    reason: &Problem,
    now: Millis,
) -> Result<(), DbError> {
    job::cancel_of_video(tx, video, now).await?;
    let changed = tx
        .execute(
            "UPDATE video SET state = 'failed', reason = $2, updated_ms = $3, generation = 0
             WHERE id = $1 AND state = 'processing'",
            args![video, word::stored(reason), now],
        )
        .await?;
    if changed == 0 {
        return Ok(());
    }
    tell(tx, app, Topic::VideoFailed, (video.to_string(), word::stored(reason)), now).await
}

/// Nothing more can be encoded: ready with the source as it is, or failed.
async fn give_up(tx: &mut Tx, held: Held, reason: &Problem, now: Millis) -> Result<(), DbError> {
    let Held { app, video, generation } = held;
    for rendition in renditions_of(tx, video).await? {
        if rendition.generation == generation {
            fail_rendition(tx, app, rendition.id, reason, now).await?;
        }
    }
    caption::give_up(tx, video, reason).await?;
    let row = tx.row("SELECT state FROM video WHERE id = $1", args![video]).await?.ok_or(DbError::Absent)?;
    if row.get::<State>("state")? != State::Processing {
        return Ok(());
    }
    let renditions = renditions_of(tx, video).await?;
    if final_generation(&renditions, generation) == 0 {
        return fail(tx, (app, video), reason, now).await;
    }
    job::cancel_of_video(tx, video, now).await?;
    tx.execute("UPDATE video SET reason = $2 WHERE id = $1", args![video, word::stored(reason)]).await?;
    become_ready(tx, held, &renditions, now).await
}

/// A rendition that is not whole will never be.
async fn fail_rendition(
    tx: &mut Tx,
    app: AppId,
    rendition: RenditionId,
    reason: &Problem,
    now: Millis,
) -> Result<(), DbError> {
    let sql = "UPDATE rendition SET state = 'failed', reason = $2 WHERE id = $1 AND state IN ('waiting', 'encoding')";
    if tx.execute(sql, args![rendition, word::stored(reason)]).await? == 0 {
        return Ok(());
    }
    tell(tx, app, Topic::RenditionFailed, (rendition.to_string(), json!({ "reason": reason })), now).await
}

/// Was the last attempt a verdict about the source, which another attempt would repeat?
async fn is_final(tx: &mut Tx, cause: JobId) -> Result<bool, DbError> {
    let sql = "SELECT outcome FROM job_attempt WHERE job_id = $1 ORDER BY attempt DESC LIMIT 1";
    let Some(row) = tx.row(sql, args![cause]).await? else { return Ok(false) };
    let outcome: Option<String> = row.get("outcome")?;
    Ok(matches!(outcome.as_deref(), Some("refusal" | "damage")))
}

/// Nothing remains of a video that can never be made; the source stays unless it was refused itself.
async fn clear(tx: &mut Tx, video: VideoId, refused: bool, now: Millis) -> Result<(), DbError> {
    let sql = "SELECT source_id FROM video WHERE id = $1 AND state = 'failed'";
    let Some(row) = tx.row(sql, args![video]).await? else { return Ok(()) };
    tx.execute("UPDATE video SET work_id = NULL WHERE id = $1", args![video]).await?;
    picture::forget(tx, video).await?;
    let sql = "DELETE FROM part WHERE rendition_id IN (SELECT id FROM rendition WHERE video_id = $1)";
    tx.execute(sql, args![video]).await?;
    tx.execute("DELETE FROM caption WHERE video_id = $1", args![video]).await?;
    drop_unused(tx, video, "work", now).await?;
    if let (true, Some(source)) = (refused, row.get("source_id")?) {
        object::unwanted(tx, source, "refused", now).await?;
    }
    Ok(())
}

/// Somebody has cancelled the job.
fn stopped() -> Problem {
    Problem {
        code: "publish_stopped".to_owned(),
        human: "Publishing was stopped.".to_owned(),
        fix: "Publish the video there again when it is wanted.".to_owned(),
    }
}

/// What people read: the error's own texts, or a sentence about its code.
fn problem_of(error: &Value) -> Problem {
    let text = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
    Problem {
        code: text("code").unwrap_or_else(|| "job_failed".to_owned()),
        human: text("human").unwrap_or_else(|| "This video could not be processed.".to_owned()),
        fix: text("fix").unwrap_or_else(|| "Run the job again, or upload another file.".to_owned()),
    }
}
