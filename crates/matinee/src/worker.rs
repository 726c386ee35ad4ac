//! The worker: claims, renews and releases. It knows leases, not what a job does.

use std::sync::Arc;
use std::time::Duration;

use matinee_core::job::Kind;
use matinee_core::limits::ENGINE_SLOTS;
use matinee_core::replica::LOCAL;
use tokio::task::JoinSet;

use crate::flow::lease::{self, Hold, Slots};
use crate::flow::{self, Failure, engine, scratch};
use crate::node::{Node, Role};

/// Without a wake-up the table is looked at so often: another process may have inserted a job.
const POLL: Duration = Duration::from_secs(1);

/// Runs jobs until the node stops, then waits for those that run.
pub(crate) async fn run(node: Arc<Node>) {
    if !node.config.does(Role::Worker) {
        return;
    }
    tokio::spawn({
        let node = Arc::clone(&node);
        // Nobody waits for it: what needs no hardware begins at once.
        async move {
            engine::here(&node).await;
        }
    });
    let mut ready = node.db.job_ready();
    let mut running = JoinSet::new();
    loop {
        if node.stop.is_cancelled() {
            break;
        }
        // Waited for even when we are told to stop: a job that was claimed and dropped would be lost to everybody until its
        // lease ends.
        match lease::claim(&node, &limits(&node)).await {
            Ok(Some(hold)) => {
                running.spawn(work(Arc::clone(&node), hold));
                continue;
            }
            Ok(None) => {}
            Err(failure) => tracing::warn!(%failure, "no job could be claimed"),
        }
        tokio::select! {
            () = node.stop.cancelled() => break,
            changed = ready.changed() => if changed.is_err() { break },
            Some(_) = running.join_next() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// How many jobs of each kind run here at once.
fn limits(node: &Node) -> Vec<Slots> {
    let encoding = node.ffmpeg.is_ok();
    let of = |kind: Kind| Slots::of(kind, node.slots_of(kind));
    // A slow store has only its own slots full.
    let stores = node.stores.iter().map(|opened| opened.name.as_str()).chain([LOCAL]);
    let copies = stores.map(|store| Slots { store: Some(store.to_owned()), ..of(Kind::Copy) });
    let here = |kind: Kind| node.config.workers.here || !kind.is_for_runners();
    let mine = |kind: &Kind| (encoding || !kind.encodes()) && here(*kind);
    let engines = node
        .engines
        .get()
        .into_iter()
        .flatten()
        .map(|one| Slots { engine: Some(one.engine), ..Slots::of(Kind::Chunk, ENGINE_SLOTS) });
    Kind::ALL.into_iter().filter(mine).map(of).chain(engines).chain(copies).collect()
}

async fn work(node: Arc<Node>, hold: Hold) {
    let outcome = tokio::select! {
        outcome = flow::perform(&node, &hold) => outcome,
        () = lease::renew(&node, &hold) => Err(interruption(&hold)),
    };
    hold.keep_runs(&node).await;
    let given_back = match outcome {
        Ok(()) => return scratch::judge(&node, &hold.lease, false),
        Err(fault) => {
            scratch::judge(&node, &hold.lease, lease::interrupted(&hold).is_none());
            let fault = lease::interrupted(&hold).unwrap_or(fault);
            lease::fail(&node, &hold, &fault).await
        }
    };
    match given_back {
        Ok(()) => {}
        // The reaper takes the job when the lease has ended.
        Err(Failure::Again(cause)) => {
            tracing::warn!(cause, job = %hold.lease.job, "a job could not be given back");
        }
        Err(failure) => tracing::error!(%failure, job = %hold.lease.job, "a job could not be given back"),
    }
}

fn interruption(hold: &Hold) -> flow::fault::Fault {
    lease::interrupted(hold).expect("because renewing ends only when the work is to stop")
}
