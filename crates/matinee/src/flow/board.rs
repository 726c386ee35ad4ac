//! Jobs as people see them: with the title of their video, how long they take, and why they wait.

use matinee_core::id::{AppId, JobId};
use matinee_core::job::load::{self, Progress};
use matinee_core::job::wait::{self, Wait, Waiting};
use matinee_core::job::{Attempt, Kind, State, Task};
use matinee_core::time::Millis;
use matinee_io::db::job::Titled;
pub(crate) use matinee_io::db::job::{Group, Groups, Job, Run, Wish};

use super::roster::{Roster, roster};
use super::{Failure, now, ran};
use crate::node::Node;

/// So many running jobs are told to who watches; a server with more has more slots than pages have lines.
const WATCHED_MAX: u32 = 100;

/// What other apps are told of the server that works for them.
const SERVER: &str = "server";

/// A job as people see it.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) job: Job,
    /// The title of its video.
    pub(crate) title: Option<String>,
    pub(crate) progress: Progress,
    /// How long it goes on while it runs, or will take before that, in milliseconds.
    pub(crate) left_ms: Option<u64>,
    /// Why it does not run.
    pub(crate) wait: Option<Wait>,
}

/// A group of jobs, with how many are in the others.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) jobs: Vec<Shown>,
    pub(crate) groups: Groups,
    /// Since when no work of the app begins.
    pub(crate) paused: Option<Millis>,
}

/// A job with all that is known of it.
#[derive(Debug)]
pub(crate) struct Closer {
    pub(crate) shown: Shown,
    pub(crate) attempts: Vec<(Attempt, Vec<Run>)>,
    pub(crate) needs: Vec<(JobId, Kind, State)>,
}

/// How much of a job is done, from 0 to 1: what its holder said last, while it runs.
pub(crate) fn done(job: &Job) -> f64 {
    job.far().done.clamp(0.0, 1.0)
}

/// The jobs of a group, with how many are in the others.
pub(crate) async fn board(node: &Node, wish: &Wish) -> Result<Board, Failure> {
    let listed = node.db.job_group(wish).await?;
    let groups = node.db.job_groups(wish.app).await?;
    let (paused, roster) = (node.db.paused(wish.app).await?, roster(node).await?);
    let mut jobs: Vec<_> =
        listed.into_iter().map(|titled| shown(titled, paused.is_some(), &roster)).collect();
    for shown in &mut jobs {
        hide_holder(node, &mut shown.job);
    }
    Ok(Board { jobs, groups, paused })
}

/// What runs now, for who watches.
pub(crate) async fn running(node: &Node, app: AppId) -> Result<Board, Failure> {
    let wish = Wish { app, group: Group::Running, kind: None, video: None, before: None, limit: WATCHED_MAX };
    board(node, &wish).await
}

/// One job with all that is known of it.
pub(crate) async fn closer(node: &Node, app: AppId, id: JobId) -> Result<Closer, Failure> {
    let found = node.db.job_closer(app, id).await?.ok_or(Failure::Absent)?;
    let (paused, roster) = (node.db.paused(app).await?, roster(node).await?);
    let (mut shown, mut attempts) = (shown(found.titled, paused.is_some(), &roster), found.attempts);
    hide_holder(node, &mut shown.job);
    for (attempt, runs) in &mut attempts {
        if app != node.defaults.app {
            SERVER.clone_into(&mut attempt.holder);
        }
        for run in runs {
            ran::hide(run, &node.config.data);
        }
    }
    Ok(Closer { shown, attempts, needs: found.needs })
}

/// Which servers there are is the business of the app that runs them.
pub(crate) fn hide_holder(node: &Node, job: &mut Job) {
    if job.app != node.defaults.app && job.holder.is_some() {
        job.holder = Some(SERVER.to_owned());
    }
}

fn shown(titled: Titled, paused: bool, roster: &Roster) -> Shown {
    let Titled { job, title } = titled;
    let (now, progress) = (now(), job.far());
    let kind = job.task.as_ref().map(Task::kind);
    let name = job.holder.as_deref().and_then(|holder| holder.split('/').next());
    let expected_ms = kind.and_then(|kind| roster.pace(name, kind).expect_ms(job.cost_ms));
    let waiting = Waiting {
        state: job.state,
        needs: job.needs,
        run_at: job.run_at,
        failed: job.attempt > 0 && job.last_error.is_some(),
        memory_bytes: job.memory_bytes,
        encodes: kind.is_some_and(Kind::encodes),
    };
    let left_ms = match job.state {
        State::Blocked | State::Ready => expected_ms,
        State::Leased => {
            let ran = job.leased.map_or(0, |since| u64::try_from(now.since(since)).unwrap_or_default());
            load::left_ms(progress, ran, expected_ms)
        }
        State::Done | State::Dead | State::Cancelled => None,
    };
    let wait = wait::why(&waiting, paused, &roster.hosts(kind), now);
    Shown { job, title, progress, left_ms, wait }
}
