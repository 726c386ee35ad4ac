//! The lease of a job: claimed, renewed with progress while the work runs, given back with its outcome.

use std::sync::Arc;
use std::time::Duration;

use matinee_core::id::AppId;
use matinee_core::job::retry::Class;
use matinee_core::job::{Lease, Task};
use matinee_core::limits;
use matinee_io::clock::Stopwatch;
use matinee_io::db::DbError;
pub(crate) use matinee_io::db::job::Slots;
use matinee_io::db::job::{Claim, Ended};
use matinee_io::db::runner::Work;
use matinee_io::random;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::{Failure, now};
use crate::node::Node;

/// A job that this process holds.
pub(crate) struct Hold {
    pub(crate) lease: Lease,
    pub(crate) app: AppId,
    pub(crate) task: Task,
    /// One decoder thread, one rendition at a time, no seeking.
    pub(crate) safe_profile: bool,
    /// Cancelled when the lease is lost, the job is cancelled or the process ends: the work stops at once.
    pub(crate) stop: CancellationToken,
    progress: watch::Sender<f64>,
}

impl Hold {
    /// The same for a lease that a runner has: we only prove and publish what it made.
    pub(crate) fn of(lease: Lease, work: &Work) -> Self {
        Self {
            lease,
            app: work.app,
            task: work.task.clone(),
            safe_profile: false,
            stop: CancellationToken::new(),
            progress: watch::Sender::new(0.0),
        }
    }

    /// Says how much of the job is done, 0 to 1; it is saved with the next renewal.
    pub(crate) fn progress(&self, done: f64) {
        self.progress.send_replace(done.clamp(0.0, 1.0));
    }

    /// Says how many of `size` bytes are there; for a thread that does the work.
    pub(crate) fn progress_of(&self, size: u64) -> Arc<dyn Fn(u64) + Send + Sync> {
        let progress = self.progress.clone();
        #[expect(clippy::cast_precision_loss, reason = "it is shown in percent")]
        Arc::new(move |done| {
            progress.send_replace(done as f64 / size.max(1) as f64);
        })
    }
}

/// Takes one job of these kinds, each with its limit on this node; `None` when nothing can be started.
pub(crate) async fn claim(node: &Node, kinds: &[Slots]) -> Result<Option<Hold>, Failure> {
    claim_as(node, &node.holder, kinds).await
}

/// The same for a holder `name/run`, which may be elsewhere.
pub(crate) async fn claim_as(node: &Node, holder: &str, kinds: &[Slots]) -> Result<Option<Hold>, Failure> {
    let claim = Claim {
        kinds: kinds.to_vec(),
        holder: holder.to_owned(),
        now: now(),
        lease_ms: limits::LEASE_MS,
        token: random::bytes(),
    };
    let claimed = node.db.claim(&claim).await?;
    Ok(claimed.map(|claimed| Hold {
        lease: claimed.lease,
        app: claimed.app,
        task: claimed.task,
        safe_profile: claimed.safe_profile,
        stop: node.stop.child_token(),
        progress: watch::Sender::new(0.0),
    }))
}

/// Renews the lease until the work is over; stops the work when the lease cannot be kept.
pub(crate) async fn renew(node: &Node, hold: &Hold) {
    let mut progress = hold.progress.subscribe();
    let mut alive = Stopwatch::start();
    let mut saved = 0.0_f64;
    let mut tick = tokio::time::interval(Duration::from_millis(limits::PROGRESS_MS));
    loop {
        tokio::select! {
            () = hold.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let done = *progress.borrow_and_update();
        let due = alive.elapsed_ms() >= limits::LEASE_RENEW_MS.unsigned_abs();
        if !due && (done - saved).abs() < 0.005 {
            continue;
        }
        let until = now().plus(limits::LEASE_MS);
        match node.db.renew(&hold.lease, until, Some(json!({ "done": done })), now()).await {
            Ok(renewed) if renewed.cancel => hold.stop.cancel(),
            Ok(_) => {
                saved = done;
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
