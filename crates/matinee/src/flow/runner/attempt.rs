//! What a runner says about its work: that it goes on, that it is done, that it gives up. All of it under its lease.

use matinee_core::access::runner::Way;
use matinee_core::hash::hex;
use matinee_core::id::ObjectId;
use matinee_core::job::load::Progress;
use matinee_core::job::retry::Class;
use matinee_core::job::{Lease, Task};
use matinee_core::limits;
use matinee_core::plan::Refusal;
use matinee_io::db::runner::Work;
use matinee_io::store::{Inbox, StoreError};
use serde_json::{Value, json};

use super::claim::url;
use super::{Refused, Runner, seen};
use crate::errand::{Blame, Completion, GivingUp, Made, Renewable, Renewal, Renewed};
use crate::flow::coding::planned;
use crate::flow::engine;
use crate::flow::fault::Fault;
use crate::flow::lease::{self, Hold};
use crate::flow::order::{self, Order};
use crate::flow::ran::Runs;
use crate::flow::{Failure, damage, now, publish_made};
use crate::node::Node;

/// No encoder is faster, in pictures or seconds a second; what is said beyond it is nonsense.
const SPEED_MAX: f64 = 1e6;
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
    let most = |value: f64, most: f64| if value.is_finite() { value.clamp(0.0, most) } else { 0.0 };
    let progress = Progress {
        done: most(said.done, 1.0),
        frame: said.frame,
        fps: most(said.fps, SPEED_MAX),
        speed: most(said.speed, SPEED_MAX),
    };
    let until = now().plus(limits::LEASE_MS);
    let renewed = node.db.renew(&lease, until, Some(json!(progress)), now()).await?;
    keep_runs(node, &lease, &said.runs).await?;
    let input = order::input(node, &Hold::of(lease, &work)).await.map_err(|_| Refused::LeaseLost)?;
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

/// What a runner tells of its programs, for who looks closer; asked only under a lease that holds.
async fn keep_runs(node: &Node, lease: &Lease, said: &Value) -> Result<(), Failure> {
    if let Some(runs) = Runs::told(said) {
        node.db.keep_runs(lease, &runs).await?;
    }
    Ok(())
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
    keep_runs(node, &lease, &said.runs).await?;
    let judged = match order::order(node, &hold).await {
        Ok(order) => judge(node, &hold, (&order, &work), said).await,
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
    (order, work): (&Order, &Work),
    said: &Completion,
) -> Result<(), Judged> {
    let (names, made) = (order.outputs(&hold.task)?, &said.outputs);
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
    if let Some(said) = damage::of(&hold.task, &order.planned.plan, said.damage) {
        node.db.note_damage(&hold.lease, said, now()).await.map_err(Refused::from)?;
    }
    // It is only told; one that no sound can have is not.
    let leveled = said.leveled.filter(|leveled| leveled.can_be());
    publish_made(node, hold, (order, leveled), place).await?;
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
    let (size, hash) = (written.size, hex(&written.blake3));
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
    if without_hardware(node, hold, &fault).await? {
        return Err(Refused::Unproven(fault.problem.human));
    }
    if fault.class == Class::World {
        return Err(Failure::Again(fault.to_string()).into());
    }
    // One runner alone may be broken or lie. What two find, or one again and again, is the source's doing.
    let (own, others) = node.db.said_before(hold.lease.job, runner.id, &fault.problem.code).await?;
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
    keep_runs(node, &lease, &said.runs).await?;
    let class = match said.class {
        Blame::Returned => {
            node.db.give_back(&lease, now()).await?;
            return Ok(());
        }
        Blame::Source => match to_blame(node, runner, &hold, &said.code).await? {
            // Software has not seen it yet.
            Some(fault) if without_hardware(node, &hold, &fault).await? => return Ok(()),
            Some(fault) => return Ok(lease::fail(node, &hold, &fault).await?),
            None => Class::Crash,
        },
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
    if without_hardware(node, &hold, &fault).await? {
        return Ok(());
    }
    Ok(lease::fail(node, &hold, &fault).await?)
}

/// The fault of a source that a runner says is to blame, when that is believed: by the plan it can be, and it was found out
/// before, or every other way was tried.
async fn to_blame(node: &Node, runner: &Runner, hold: &Hold, code: &str) -> Result<Option<Fault>, Refused> {
    if code == Refusal::Undecodable.code() && hold.safe_profile {
        if matches!(hold.task, Task::Chunk { .. }) {
            node.db.note_damage(&hold.lease, damage::nothing(), now()).await?;
        }
        return Ok(Some(Refusal::Undecodable.into()));
    }
    if code != Refusal::Damaged.code() {
        return Ok(None);
    }
    let strict = planned(node, hold).await.is_ok_and(|planned| planned.plan.strict);
    let (own, others) = node.db.said_before(hold.lease.job, runner.id, code).await?;
    let class = if own + others > 0 { Class::Damage } else { Class::Crash };
    Ok(strict.then(|| Fault { class, ..Fault::from(Refusal::Damaged) }))
}

/// Takes the video back to software, when the runner encoded it in hardware and failed.
async fn without_hardware(node: &Node, hold: &Hold, fault: &Fault) -> Result<bool, Refused> {
    match planned(node, hold).await {
        Ok(planned) => Ok(engine::fall_back(node, hold, &planned.plan, fault).await?),
        Err(_) => Ok(false),
    }
}
