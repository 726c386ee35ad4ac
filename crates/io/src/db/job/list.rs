//! Reading jobs: lists for the API and the pages, one with its attempts, counts for metrics.

use matinee_core::id::{AppId, JobId, VideoId};
use matinee_core::job::load::Progress;
use matinee_core::job::{Attempt, Kind, State, Task};
use matinee_core::time::Millis;
use serde::Serialize;
use serde_json::Value;

use super::cascade::task_of;
use super::{number, outcome_of, state_of};
use crate::db::Db;
use crate::db::error::DbError;
use crate::db::tx::Tx;
use crate::db::value::{Row, args};

/// A job as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The app that pays for it.
    pub app: AppId,
    /// The video it works for.
    pub video: Option<VideoId>,
    /// The generation of the video that it works for.
    pub generation: u32,
    /// What to do; `None` when this release does not know it.
    pub task: Option<Task>,
    /// Where it is in its life.
    pub state: State,
    /// Lower goes first.
    pub prio: i64,
    /// Lower goes first among equal `prio`.
    pub weight: i64,
    /// What it is expected to cost, in milliseconds.
    pub cost_ms: u64,
    /// What memory it is expected to need, in bytes.
    pub memory_bytes: u64,
    /// Jobs it still waits for.
    pub needs: u32,
    /// Not before this moment.
    pub run_at: Millis,
    /// Attempts so far.
    pub attempt: u32,
    /// Node and run that hold it.
    pub holder: Option<String>,
    /// Somebody asked its holder to stop.
    pub cancel_requested: bool,
    /// The holder's last word about how far it is.
    pub progress: Option<Value>,
    /// What the holder said at the end.
    pub result: Option<Value>,
    /// What went wrong last.
    pub last_error: Option<Value>,
    /// When it was inserted.
    pub created: Millis,
    /// When it was claimed first.
    pub started: Option<Millis>,
    /// When the attempt began that runs; only where jobs are shown with their titles.
    pub leased: Option<Millis>,
    /// When it was over.
    pub finished: Option<Millis>,
}

impl Job {
    /// How far it is: what its holder said last while it runs, else nothing or all.
    pub fn far(&self) -> Progress {
        let said = || self.progress.clone().and_then(|said| serde_json::from_value(said).ok());
        match self.state {
            State::Done => Progress { done: 1.0, ..Progress::default() },
            State::Leased => said().unwrap_or_default(),
            State::Blocked | State::Ready | State::Dead | State::Cancelled => Progress::default(),
        }
    }
}

/// Which jobs to list; newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// Only of this app.
    pub app: Option<AppId>,
    /// Only of this video.
    pub video: Option<VideoId>,
    /// Only in this state.
    pub state: Option<State>,
    /// Only those created before this one: the last of the page before.
    pub before: Option<JobId>,
    /// At most so many.
    pub limit: u32,
}

/// How many jobs of a kind are in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The kind.
    pub kind: Kind,
    /// The state.
    pub state: State,
    /// How many.
    pub jobs: u64,
}

impl Db {
    /// One page of jobs, newest first.
    pub async fn jobs(&self, filter: &Filter) -> Result<Vec<Job>, DbError> {
        self.read(*filter, |tx, filter| {
            Box::pin(async move {
                let rows = tx
                    .rows(
                        "SELECT * FROM job WHERE ($1 IS NULL OR app_id = $1) AND ($2 IS NULL OR video_id = $2)
                           AND ($3 IS NULL OR state = $3) AND ($4 IS NULL OR id < $4)
                         ORDER BY id DESC LIMIT $5",
                        args![
                            filter.app,
                            filter.video,
                            filter.state.map(number),
                            filter.before,
                            filter.limit,
                        ],
                    )
                    .await?;
                rows.iter().map(job).collect()
            })
        })
        .await
    }

    /// One job with its attempts, the oldest first.
    pub async fn job(&self, app: AppId, id: JobId) -> Result<Option<(Job, Vec<Attempt>)>, DbError> {
        self.read((app, id), |tx, (app, id)| {
            Box::pin(async move {
                let sql = "SELECT * FROM job WHERE id = $1 AND app_id = $2";
                let Some(row) = tx.row(sql, args![*id, *app]).await? else { return Ok(None) };
                let sql = "SELECT * FROM job_attempt WHERE job_id = $1 ORDER BY attempt";
                let rows = tx.rows(sql, args![*id]).await?;
                let attempts = rows.iter().map(attempt).collect::<Result<_, _>>()?;
                Ok(Some((job(&row)?, attempts)))
            })
        })
        .await
    }

    /// How many jobs of each kind wait, are ready, run or are dead; what is 0 is left out. Cheap however many are done.
    pub async fn job_counts(&self) -> Result<Vec<Count>, DbError> {
        self.read((), |tx, ()| Box::pin(counts(tx))).await
    }
}

/// How many jobs of each kind are in each state that is not over.
pub(super) async fn counts(tx: &mut Tx) -> Result<Vec<Count>, DbError> {
    let sql = "SELECT kind, state, count(*) AS jobs FROM job WHERE state = 0 GROUP BY kind, state
               UNION ALL
               SELECT kind, state, count(*) FROM job WHERE state = 1 GROUP BY kind, state
               UNION ALL
               SELECT kind, state, count(*) FROM job WHERE state = 2 GROUP BY kind, state
               UNION ALL
               SELECT kind, state, count(*) FROM job WHERE state = 4 GROUP BY kind, state";
    let mut counts = Vec::new();
    for row in tx.rows(sql, args![]).await? {
        let word: String = row.get("kind")?;
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == word) else { continue };
        counts.push(Count { kind, state: state_of(row.get("state")?)?, jobs: row.get("jobs")? });
    }
    Ok(counts)
}

pub(super) fn job(row: &Row) -> Result<Job, DbError> {
    Ok(Job {
        id: row.get("id")?,
        app: row.get("app_id")?,
        video: row.get("video_id")?,
        generation: row.get("generation")?,
        task: task_of(row.get("payload")?).ok(),
        state: state_of(row.get("state")?)?,
        prio: row.get("prio")?,
        weight: row.get("weight")?,
        cost_ms: row.get("cost_ms")?,
        memory_bytes: row.get("memory_bytes")?,
        needs: row.get("needs")?,
        run_at: row.get("run_at_ms")?,
        attempt: row.get("attempt")?,
        holder: row.get("holder")?,
        cancel_requested: row.get("cancel_requested")?,
        progress: row.get("progress")?,
        result: row.get("result")?,
        last_error: row.get("last_error")?,
        created: row.get("created_ms")?,
        started: row.get("started_ms")?,
        leased: None,
        finished: row.get("finished_ms")?,
    })
}

pub(super) fn attempt(row: &Row) -> Result<Attempt, DbError> {
    let ended: Option<Millis> = row.get("ended_ms")?;
    let outcome: Option<String> = row.get("outcome")?;
    Ok(Attempt {
        attempt: row.get("attempt")?,
        holder: row.get("holder")?,
        started: row.get("started_ms")?,
        ended: match (ended, outcome) {
            (Some(ended), Some(outcome)) => Some((ended, outcome_of(outcome)?)),
            (None | Some(_), _) => None,
        },
        error: row.get("error")?,
    })
}
