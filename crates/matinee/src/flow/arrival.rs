//! What comes from outside and is taken by a job: announced as upload, job and memory in one transaction.

use matinee_core::arrival::Place;
use matinee_core::id::{AppId, CollectionId, UploadId};
use matinee_core::job::load::Load;
use matinee_core::job::retry::Class;
use matinee_core::job::{NewJob, Task};
use matinee_core::limits::LOOK_HOLD_MS;
use matinee_core::upload::Phase;
use matinee_io::db::arrival::{NewArrival, Original};
use matinee_io::db::{DbError, Upload};
use matinee_io::random;

use super::fault::Fault;
use super::intake::{self, Draft};
use super::lease::Hold;
use super::{Failure, now};
use crate::node::Node;

/// An original that is to be taken.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// What is known of the upload; its size is.
    pub(crate) draft: Draft,
    pub(crate) from: Place,
    /// How it is remembered, when it is to be dealt with afterwards or must not be taken twice.
    pub(crate) original: Option<Original>,
}

/// May this node look through a source, at the latest again after a pause of so long? Of several nodes one does; what
/// two of them see is announced once all the same.
pub(crate) async fn may_look(node: &Node, source: &str, pause_ms: u64) -> Result<bool, Failure> {
    let Some(name) = node.name() else { return Ok(true) };
    let until = now().plus(i64::try_from(pause_ms).unwrap_or(i64::MAX / 2).saturating_add(LOOK_HOLD_MS));
    Ok(node.db.may_look(source, name, (now(), until)).await?)
}

/// Announces originals, all or none; a job will take each.
pub(crate) async fn announce(node: &Node, all: Vec<Wanted>) -> Result<Vec<UploadId>, Failure> {
    let bytes = all.iter().filter_map(|wanted| wanted.draft.size).fold(0, u64::saturating_add);
    if !may_share(&all) && !node.admits(bytes) {
        return Err(Failure::Full);
    }
    let all: Vec<_> = all.into_iter().map(|wanted| row(node, wanted)).collect();
    match node.db.announce_arrivals(&all).await {
        Ok(()) => Ok(all.iter().map(|new| new.upload.id).collect()),
        Err(DbError::Taken(cause)) if cause.contains("arrival") => {
            Err(Failure::Refused { conflict: true, human: "This is being taken already.".to_owned() })
        }
        Err(DbError::Taken(cause)) if cause.contains("external") => {
            let human = "Another video of this app has this external_id.".to_owned();
            Err(Failure::Refused { conflict: true, human })
        }
        Err(error) => Err(error.into()),
    }
}

/// May it come without a copy? Then the disk needs no room for it.
fn may_share(all: &[Wanted]) -> bool {
    use matinee_core::arrival::Keep;
    all.iter().all(|wanted| match wanted.from {
        Place::File { keep, .. } => keep != Keep::Copied,
        Place::Object { .. } => false,
    })
}

fn row(node: &Node, wanted: Wanted) -> NewArrival {
    let upload = wanted.draft.begun(now().plus(node.config.uploads.idle_timeout.ms));
    let job = NewJob {
        id: random::id(),
        app: upload.app,
        video: Some(upload.video),
        task: Task::Take { video: upload.video, from: wanted.from },
        prio: 0,
        weight: 0,
        run_at: upload.now,
        needs: Vec::new(),
        load: Load::default(),
        idem_key: Some(format!("take/{}", upload.video)),
    };
    NewArrival { upload, job, original: wanted.original }
}

/// The collection with this id or name; the default one when none is named.
pub(crate) async fn collection(
    node: &Node,
    app: AppId,
    called: Option<&str>,
) -> Result<CollectionId, Failure> {
    let found = intake::collection(node, app, called).await;
    if matches!(found, Err(Failure::Absent)) {
        let human = format!("There is no collection `{}`.", called.unwrap_or_default());
        return Err(Failure::Refused { conflict: false, human });
    }
    found
}

/// The open upload that a job is to fill.
pub(crate) async fn open_upload(node: &Node, hold: &Hold) -> Result<Upload, Fault> {
    let video = hold.task.video().expect("because an original is taken for a video");
    let upload = node.db.upload_of_video(hold.app, video).await?;
    let open = upload.filter(|upload| upload.state.phase() == Phase::Open);
    open.ok_or_else(|| {
        Fault::new(Class::Refusal, "upload_over", "The upload is over already.", "Bring the file in again.")
    })
}

/// A failure as a job sees it.
pub(crate) fn fault(failure: Failure) -> Fault {
    match failure {
        Failure::Again(cause) => Fault::world(cause),
        Failure::Busy => Fault::world("too many ask at once"),
        Failure::Full => Fault::world("there is no room left on the server's disk"),
        Failure::Absent => Fault::new(
            Class::Refusal,
            "upload_over",
            "The upload is over already.",
            "Bring the file in again.",
        ),
        Failure::Limited(refusal) => {
            let problem = refusal.problem();
            Fault::new(Class::Refusal, &problem.code, problem.human, &problem.fix)
        }
        failure @ (Failure::Refused { .. } | Failure::Never(_)) => {
            Fault::new(Class::Crash, "internal", failure.to_string(), "Report this with the server's log.")
        }
    }
}
