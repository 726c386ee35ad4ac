//! The lease of a job: claimed, renewed with progress while the work runs, given back with its outcome.

mod overtake;

use std::sync::Arc;
use std::time::Duration;

use matinee_core::disk::Level;
use matinee_core::id::AppId;
use matinee_core::job::load::{self, Progress};
use matinee_core::job::retry::Class;
use matinee_core::job::{Lease, Task};
use matinee_core::limits;
use matinee_io::clock::Stopwatch;
use matinee_io::db::DbError;
pub(crate) use matinee_io::db::job::Room;
pub(crate) use matinee_io::db::job::Slots;
use matinee_io::db::job::{Claim, Ended};
use matinee_io::db::runner::Work;
use matinee_io::random;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::ran::Runs;
use super::work::Told;
use super::{Failure, now};
use crate::node::Node;

/// A change of less than this is not worth a write.
const STEP_MIN: f64 = 0.005;

/// A job that this process holds.
pub(crate) struct Hold {
    pub(crate) lease: Lease,
    pub(crate) app: AppId,
    pub(crate) task: Task,
    /// The generation of its video that it works for.
    pub(crate) generation: u32,
    /// One decoder thread, one rendition at a time, no seeking.
    pub(crate) safe_profile: bool,
    /// Cancelled when the lease is lost, the job is cancelled or the process ends: the work stops at once.
    pub(crate) stop: CancellationToken,
    progress: watch::Sender<Progress>,
    /// The programs that it has run.
    runs: Runs,
    since: Stopwatch,
}

impl Hold {
    /// The same for a lease that a runner has: we only prove and publish what it made.
    pub(crate) fn of(lease: Lease, work: &Work) -> Self {
        Self {
            lease,
            app: work.app,
            task: work.task.clone(),
            generation: work.generation,
            safe_profile: work.safe_profile,
            stop: CancellationToken::new(),
            progress: watch::Sender::new(Progress::default()),
            runs: Runs::default(),
            since: Stopwatch::start(),
        }
    }

    /// Says how much of the job is done, 0 to 1; it is saved with the next renewal.
    pub(crate) fn progress(&self, done: f64) {
        self.progress.send_modify(|said| said.done = done.clamp(0.0, 1.0));
    }

    /// Says how many of `size` bytes are there; for a thread that does the work.
    pub(crate) fn progress_of(&self, size: u64) -> Arc<dyn Fn(u64) + Send + Sync> {
        let progress = self.progress.clone();
        #[expect(clippy::cast_precision_loss, reason = "it is shown in percent")]
        Arc::new(move |done| {
            progress.send_modify(|said| said.done = done as f64 / size.max(1) as f64);
        })
    }

    /// Says what its program does; saved with the next renewal, too.
    pub(crate) fn hear(&self, told: &Told<'_>) {
        if let Told::Saw(at) = told {
            self.progress
                .send_modify(|said| (said.frame, said.fps, said.speed) = (at.frame, at.fps, at.speed));
        }
        self.runs.hear(told);
    }

    /// Tells the database what it does not know of the programs. Nothing depends on it, so a failure is only logged.
    pub(crate) async fn keep_runs(&self, node: &Node) {
        let Some(runs) = self.runs.news() else { return };
        match node.db.keep_runs(&self.lease, &runs).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, job = %self.lease.job, "what a job has run could not be kept");
            }
        }
    }

    /// Will it be done soon enough to be waited for when the process ends?
    fn is_nearly_done(&self, within_ms: u64) -> bool {
        let left_ms = load::left_ms(*self.progress.borrow(), self.since.elapsed_ms(), None);
        self.task.kind().may_finish() && left_ms.is_some_and(|left| left <= within_ms)
    }
}

/// Takes one job of these kinds, each with its limit on this node; `None` when nothing can be started.
pub(crate) async fn claim(node: &Node, kinds: &[Slots]) -> Result<Option<Hold>, Failure> {
    let concurrency = node.config.workers.concurrency;
    let room =
        Room { jobs_max: (concurrency > 0).then_some(concurrency), memory_bytes: Some(node.memory_bytes()) };
    claim_as(node, &node.holder, kinds, room).await
}

/// The same for a holder `name/run`, which may be elsewhere.
pub(crate) async fn claim_as(
    node: &Node,
    holder: &str,
    kinds: &[Slots],
    room: Room,
) -> Result<Option<Hold>, Failure> {
    let full = node.disk().1 == Level::Full;
    let claim = Claim {
        kinds: kinds.iter().filter(|slots| !full || slots.kind.writes_little()).cloned().collect(),
        holder: holder.to_owned(),
        now: now(),
        lease_ms: limits::LEASE_MS,
        token: random::bytes(),
    };
    let claimed = match node.db.claim_within(&claim, room).await? {
        Some(claimed) => Some(claimed),
        None => overtake::overtake(node, &claim, room).await?,
    };
    Ok(claimed.map(|claimed| Hold {
        lease: claimed.lease,
        app: claimed.app,
        task: claimed.task,
        generation: claimed.generation,
        safe_profile: claimed.safe_profile,
        stop: node.halt.child_token(),
        progress: watch::Sender::new(Progress::default()),
        runs: Runs::default(),
        since: Stopwatch::start(),
    }))
}

/// Renews the lease until the work is over; stops the work when the lease cannot be kept, or when the process ends
/// and the work is not nearly done.
pub(crate) async fn renew(node: &Node, hold: &Hold) {
    let mut progress = hold.progress.subscribe();
    let mut alive = Stopwatch::start();
    let mut saved = 0.0_f64;
    let mut tick = tokio::time::interval(Duration::from_millis(limits::PROGRESS_MS));
    let within_ms = node.config.workers.finish_within.ms.unsigned_abs();
    let mut ending: Option<Stopwatch> = None;
    loop {
        tokio::select! {
            () = hold.stop.cancelled() => return,
            () = node.stop.cancelled(), if ending.is_none() => {
                if !hold.is_nearly_done(within_ms) {
                    return hold.stop.cancel();
                }
                ending = Some(Stopwatch::start());
            }
            _ = tick.tick() => {}
        }
        if ending.as_ref().is_some_and(|ending| ending.elapsed_ms() >= within_ms) {
            return hold.stop.cancel();
        }
        hold.keep_runs(node).await;
        let said = *progress.borrow_and_update();
        let due = alive.elapsed_ms() >= limits::LEASE_RENEW_MS.unsigned_abs();
        if !due && (said.done - saved).abs() < STEP_MIN {
            continue;
        }
        let until = now().plus(limits::LEASE_MS);
        match node.db.renew(&hold.lease, until, Some(json!(said)), now()).await {
            Ok(renewed) if renewed.cancel => hold.stop.cancel(),
            Ok(_) => {
                saved = said.done;
                alive = Stopwatch::start();
            }
            Err(DbError::LeaseLost) => hold.stop.cancel(),
            // By our own monotonic clock the lease ends before anybody else may take the job.
            Err(_)
                if alive.elapsed_ms() + limits::LEASE_RENEW_MS.unsigned_abs()
                    >= limits::LEASE_MS.unsigned_abs() =>
            {
                hold.stop.cancel();
            }
            Err(error) => tracing::warn!(%error, job = %hold.lease.job, "a lease could not be renewed yet"),
        }
    }
}

/// Gives the job back after a failed attempt.
pub(crate) async fn fail(node: &Node, hold: &Hold, fault: &Fault) -> Result<(), Failure> {
    let (job, kind, code) = (hold.lease.job, hold.task.kind().name(), fault.problem.code.as_str());
    let ended = if interrupted(hold).is_some() {
        // A drain or a cancel is nobody's failure.
        node.db.give_back(&hold.lease, now()).await
    } else {
        let jitter = u32::from_le_bytes(random::bytes());
        node.db.fail_job(&hold.lease, fault.class, fault.to_json(), now(), jitter).await
    };
    match ended {
        Ok(Ended::Again { run_at }) => {
            tracing::warn!(%job, kind, code, %fault, wait_ms = run_at.since(now()), "a job runs again");
        }
        Ok(Ended::Dead) => tracing::error!(%job, kind, code, %fault, "a job failed for good"),
        Ok(Ended::Cancelled) => tracing::info!(%job, kind, "a job was cancelled"),
        // Somebody else holds the job already: then there is nothing to give back.
        Err(DbError::LeaseLost) => tracing::warn!(%job, kind, "a lease was lost"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// A starting node takes back at once what its earlier runs held, so that nobody waits for their leases to end.
pub(crate) async fn recover(node: &Node) -> Result<(), Failure> {
    let reaped = node.db.release_own(&node.holder, now(), u32::from_le_bytes(random::bytes())).await?;
    if reaped.again + reaped.dead > 0 {
        tracing::info!(again = reaped.again, dead = reaped.dead, "jobs of an earlier run go on");
    }
    Ok(())
}

/// Was the attempt ended by us (a lost lease, a cancel, a drain) and not by its own fault?
pub(crate) fn interrupted(hold: &Hold) -> Option<Fault> {
    hold.stop.is_cancelled().then(|| Fault::new(Class::World, "interrupted", "The work was interrupted.", ""))
}
