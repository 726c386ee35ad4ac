//! What a runner says about its work: that it goes on, that it is done, that it gives up. All of it under its lease.

use matinee_core::access::runner::Way;
use matinee_core::id::ObjectId;
use matinee_core::job::Lease;
use matinee_core::job::retry::Class;
use matinee_core::limits;
use matinee_io::db::runner::Work;
use matinee_io::store::{Inbox, StoreError};
use serde_json::{Value, json};

use super::claim::{outputs, url};
use super::{Refused, Runner, seen};
use crate::errand::{Blame, Completion, GivingUp, Made, Renewable, Renewal, Renewed, hash_text};
use crate::flow::coding::{Planned, planned};
use crate::flow::fault::Fault;
use crate::flow::lease::{self, Hold};
use crate::flow::{Failure, now, publish_made};
use crate::node::Node;

/// How often a job may come back from one runner with outputs that are not as planned before its source is suspected.
const UNPROVEN_MAX: u32 = 2;

/// Extends a lease; the answer has fresh addresses, and says whether anybody still wants the work.
pub(crate) async fn renew(
    node: &Node,
    runner: &Runner,
    (lease, said): (Lease, &Renewal),
) -> Result<Renewed, Refused> {
    seen(node, runner).await?;
    let work = node.db.runner_work(&lease, runner.id, now()).await?;
    let done = if said.done.is_finite() { said.done.clamp(0.0, 1.0) } else { 0.0 };
    let until = now().plus(limits::LEASE_MS);
    let renewed = node.db.renew(&lease, until, Some(json!({ "done": done })), now()).await?;
    let video = match work.task.video() {
        Some(video) => node.db.video_any(video).await?,
        None => None,
    };
    let input = video.map(|video| video.input_of(work.generation)).ok_or(Refused::LeaseLost)?;
    let writes = |object: &ObjectId| Renewable {
        key: object.to_string(),
        url: url(node, runner.id, *object, Way::Write),
    };
    Ok(Renewed {
        cancel: renewed.cancel,
        input_url: url(node, runner.id, input, Way::Read),
        outputs: work.outputs.iter().map(writes).collect(),
    })
}

/// Judges what a runner has made as if we had made it, and publishes it.
pub(crate) async fn complete(
    node: &Node,
    runner: &Runner,
    (lease, said): (Lease, &Completion),
) -> Result<(), Refused> {
    seen(node, runner).await?;
    let work = node.db.runner_work(&lease, runner.id, now()).await?;
    let hold = Hold::of(lease, &work);
    let judged = match planned(node, &hold).await {
        Ok(planned) => judge(node, &hold, (&planned, &work), &said.outputs).await,
        Err(fault) => Err(Judged::Fault(fault)),
    };
    match judged {
        Ok(()) => {
            // What players get was written anew, with its final heads.
            node.db.drop_objects(&work.outputs, now()).await?;
            Ok(())
        }
        Err(Judged::Refused(refused)) => Err(refused),
        Err(Judged::Fault(fault)) => refuse(node, runner, &hold, fault).await,
    }
}

/// Why a completed attempt is none.
enum Judged {
    Refused(Refused),
    Fault(Fault),
}

impl From<Fault> for Judged {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Refused> for Judged {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

async fn judge(
    node: &Node,
    hold: &Hold,
    (planned, work): (&Planned, &Work),
    made: &[Made],
) -> Result<(), Judged> {
    let names = outputs(planned, &hold.task)?;
    let known = |object: &ObjectId| work.outputs.contains(object);
    let objects: Vec<ObjectId> = made.iter().filter_map(|made| made.key.parse().ok()).filter(known).collect();
    if objects.len() != names.len() || made.len() != names.len() {
        let human = format!("{} files were to be made, {} of them are named.", names.len(), objects.len());
        return Err(Refused::Mismatch(human).into());
    }
    // Nobody writes into them while they are judged and copied.
    let mut inboxes = Vec::with_capacity(objects.len());
    for (object, made) in objects.iter().zip(made) {
        inboxes.push(same(node, *object, made).await?);
    }
    let place = |name: &str| {
        let at = names.iter().position(|known| known == name).unwrap_or_default();
        node.store.path_of(objects[at])
    };
    publish_made(node, hold, planned, place).await?;
    Ok(())
}

/// Shuts a file that was received, when its length and hash are what the runner says.
async fn same(node: &Node, object: ObjectId, made: &Made) -> Result<Inbox, Refused> {
    let store = node.store.clone();
    let judged = tokio::task::spawn_blocking(move || {
        let Some(inbox) = store.inbox(object)? else { return Ok(None) };
        let written = inbox.judge()?;
        Ok::<_, StoreError>(Some((inbox, written)))
    });
    let judged = judged.await.map_err(|panic| Failure::Never(panic.to_string()))?;
    let Some((inbox, written)) = judged.map_err(Failure::from)? else {
        return Err(Failure::Again("the file is still being written".to_owned()).into());
    };
    let (size, hash) = (written.size, hash_text(&written.blake3));
    if size != made.size_bytes || hash != made.blake3.to_ascii_lowercase() {
        let human = format!(
            "{object} has {size} bytes with the hash {hash} here, and {} bytes with the hash {} there.",
            made.size_bytes, made.blake3
        );
        return Err(Refused::Mismatch(human));
    }
    Ok(inbox)
}

/// Takes a job back whose outputs are not what the plan says; what the world has done only delays the answer.
async fn refuse(node: &Node, runner: &Runner, hold: &Hold, fault: Fault) -> Result<(), Refused> {
    if node.db.runner_work(&hold.lease, runner.id, now()).await.is_err() {
        return Err(Refused::LeaseLost);
    }
    if fault.class == Class::World {
        return Err(Failure::Again(fault.to_string()).into());
    }
    // One runner alone may be broken or lie. What two find, or one again and again, is the source's doing.
    let (own, others) = node.db.unproven(hold.lease.job, runner.id).await?;
    let class = if others > 0 || own >= UNPROVEN_MAX { fault.class } else { Class::World };
    let human = fault.problem.human.clone();
    let detail = json!({ "runner": runner.id, "name": runner.name, "was": fault.detail });
    let fault = Fault { class, ..fault }.with(detail);
    lease::fail(node, hold, &fault).await?;
    Err(Refused::Unproven(human))
}

/// Ends an attempt that a runner gives up.
pub(crate) async fn fail(
    node: &Node,
    runner: &Runner,
    (lease, said): (Lease, &GivingUp),
) -> Result<(), Refused> {
    seen(node, runner).await?;
    let work = node.db.runner_work(&lease, runner.id, now()).await?;
    let hold = Hold::of(lease, &work);
    let class = match said.class {
        Blame::Returned => {
            node.db.give_back(&lease, now()).await?;
            return Ok(());
        }
        Blame::Crash => Class::Crash,
        Blame::World => Class::World,
    };
    let words = |text: &str| text.chars().take(limits::RUNNER_WORDS_MAX).collect::<String>();
    let code = if said.code.is_empty() { "encoder_failed" } else { &said.code };
    let detail: Value = match said.detail.to_string() {
        text if text.len() > limits::RUNNER_WORDS_MAX => json!({ "cut": words(&text) }),
        _ => said.detail.clone(),
    };
    let fault =
        Fault::new(class, &words(code), words(&said.human), "See the job's detail, and the runner's log.")
            .with(json!({ "runner": runner.id, "name": runner.name, "was": detail }));
    Ok(lease::fail(node, &hold, &fault).await?)
}
