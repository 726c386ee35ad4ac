//! A runner asks for work: kept waiting while there is none, then told one job with all that it needs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use matinee_core::access::runner::{Pass, Way, sign};
use matinee_core::hash::hex;
use matinee_core::id::{ObjectId, RunnerId};
use matinee_core::job::Kind;
use matinee_core::ledger;
use matinee_core::limits;
use matinee_core::runner::State;
use matinee_io::db::NewObject;
use matinee_io::db::job::Slots;
use matinee_io::random;

use super::{Refused, Runner, ours};
use crate::errand::{Errand, Input, Leased, Output, Wish};
use crate::flow::fault::Fault;
use crate::flow::lease::{self, Hold, Room};
use crate::flow::order::order;
use crate::flow::{Failure, home, mark, now};
use crate::node::Node;

/// Takes a job for a runner, when there is one within half a minute. What the runner does not know of goes back first.
pub(crate) async fn claim(node: &Node, runner: &Runner, wish: &Wish) -> Result<Option<Errand>, Refused> {
    wish.report.fits(&ours(node).await)?;
    let holding: Vec<_> = wish.holding.iter().filter_map(|job| job.parse().ok()).collect();
    let given_back = node.db.give_back_unheld(runner.id, &holding, now()).await?;
    if given_back > 0 {
        tracing::info!(runner = %runner.id, given_back, "jobs that a runner does not know of go on elsewhere");
    }
    node.db.runner_seen(runner.id, Some(&wish.report), now()).await?;
    if wish.leaving {
        return Ok(None);
    }
    let wanted = Wanted::of(node, runner, wish);
    let mut ready = node.db.job_ready();
    let end = tokio::time::sleep(Duration::from_millis(limits::RUNNER_POLL_MS));
    tokio::pin!(end);
    loop {
        // Somebody may have drained or revoked it while it waits.
        let state = node.db.runner(runner.id).await?.map(|runner| runner.state);
        match state {
            Some(State::Active) => {
                if let Some(errand) = wanted.take().await? {
                    return Ok(Some(errand));
                }
            }
            Some(State::Draining) => {}
            Some(State::Revoked | State::Invited) | None => return Ok(None),
        }
        tokio::select! {
            () = &mut end => return Ok(None),
            () = node.stop.cancelled() => return Ok(None),
            changed = ready.changed() => if changed.is_err() { return Ok(None) },
            () = tokio::time::sleep(Duration::from_millis(limits::RUNNER_LOOK_MS)) => {}
        }
    }
}

/// What one runner may have.
struct Wanted<'a> {
    node: &'a Node,
    runner: RunnerId,
    holder: String,
    kinds: Vec<Slots>,
    /// It asks only when it has a slot; its memory is counted as that of a node.
    room: Room,
}

impl<'a> Wanted<'a> {
    fn of(node: &'a Node, runner: &Runner, wish: &Wish) -> Self {
        let run: String = wish.run.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        let memory = Some(wish.report.memory_bytes).filter(|bytes| *bytes > 0);
        let node_max = wish.report.slots.clamp(1, limits::RUNNER_SLOTS_MAX);
        let kinds = runner.kinds.iter().copied().filter(|kind| kind.is_for_runners());
        let chunks = runner.kinds.contains(&Kind::Chunk);
        let engines = wish
            .report
            .engines()
            .filter(|_| chunks)
            .map(|engine| Slots { engine: Some(engine), ..Slots::of(Kind::Chunk, limits::ENGINE_SLOTS) });
        let plain = kinds.map(|kind| Slots::of(kind, node_max));
        Self {
            node,
            runner: runner.id,
            holder: Runner::holder(runner.id, &run),
            kinds: plain.chain(engines).collect(),
            room: Room { jobs_max: None, memory_bytes: memory },
        }
    }

    async fn take(&self) -> Result<Option<Errand>, Failure> {
        while let Some(hold) = lease::claim_as(self.node, &self.holder, &self.kinds, self.room).await? {
            match self.describe(&hold).await {
                Ok(errand) => return Ok(Some(errand)),
                Err(fault) => lease::fail(self.node, &hold, &fault).await?,
            }
        }
        Ok(None)
    }

    /// Says all that the work needs. The rows of its outputs are committed before their addresses are given out.
    async fn describe(&self, hold: &Hold) -> Result<Errand, Fault> {
        home::ready(self.node, hold).await?;
        let order = order(self.node, hold).await?;
        let (planned, names) = (&order.planned, order.outputs(&hold.task)?);
        let objects: Vec<NewObject> =
            names.iter().map(|_| NewObject { id: random::id(), kind: ledger::Kind::Work }).collect();
        self.node.db.intend_objects(&hold.lease, &objects, now()).await?;
        let output = |(name, object): (String, &NewObject)| Output {
            name,
            key: object.id.to_string(),
            url: url(self.node, self.runner, object.id, Way::Write),
        };
        let facts = self.node.db.object_facts(planned.input).await?;
        let (size, blake3) = facts.ok_or_else(|| Fault::world("the source is not there"))?;
        let mark = mark::picture(self.node, hold.app, &planned.plan).await?;
        let plan = planned.video.plan_of(hold.generation).cloned().expect("because it was just read");
        Ok(Errand {
            lease: Leased {
                id: hold.lease.job.to_string(),
                attempt: hold.lease.attempt,
                token: hex(&hold.lease.token),
                lease_ms: limits::LEASE_MS,
                renew_ms: limits::LEASE_RENEW_MS,
            },
            task: serde_json::to_value(&hold.task).expect("because a task is plain text and numbers"),
            safe_profile: hold.safe_profile,
            plan,
            input: Input {
                key: planned.input.to_string(),
                size_bytes: size.ok_or_else(|| Fault::world("the source is not whole"))?,
                blake3: blake3.as_ref().map(|hash| hex(hash)),
                url: url(self.node, self.runner, planned.input, Way::Read),
            },
            mark: mark.map(|png| BASE64.encode(png)),
            sketch: serde_json::to_value(&order.sketch).expect("because a sketch is plain numbers"),
            outputs: names.into_iter().zip(&objects).map(output).collect(),
        })
    }
}

/// Where a runner reads or writes an object, for some minutes.
pub(super) fn url(node: &Node, runner: RunnerId, object: ObjectId, way: Way) -> String {
    let expires_s = now().plus(limits::RUNNER_URL_MS).0 / 1_000;
    let expires_s = u32::try_from(expires_s).unwrap_or(u32::MAX);
    format!("/r/{}", sign(&node.path_key, &Pass { runner, object, way, expires_s }))
}
